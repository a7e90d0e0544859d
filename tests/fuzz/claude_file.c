#include "fuzz/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    parse_and_use("claude", VIEW(data, n));
    return 0;
}
