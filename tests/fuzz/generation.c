/*
 * A manifest file of any bytes: reading ends, gives no more than there is, and what it gave, written
 * as a new generation, reads the same.
 */
#include "base/auto.h"
#include "store/generation.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int file_of(struct view bytes)
{
    int fd = memfd_create("generation", MFD_CLOEXEC);
    if (fd < 0 || (bytes.n && write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n))
        abort();
    return fd;
}

static err_t copy(void *ctx, struct view entry)
{
    return generation_put(ctx, entry, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(buf_free) struct buf first = {.max = 16 << 20}, second = {.max = 16 << 20};
    bool torn = false, whole = false;
    AUTO(auto_close) int fd = file_of(VIEW(data, n));
    if (generation_check(fd, 1, &whole, NULL) != ERR_OK && !whole && n >= GENERATION_HEADER)
        abort();
    generation_header(&first, 1);
    generation_header(&second, 1);
    err_t e = generation_walk(fd, copy, &first, &torn, NULL);
    if (first.len > GENERATION_HEADER + n)
        abort();
    AUTO(auto_close) int again = file_of(buf_view(&first));
    if (generation_check(again, 1, &whole, NULL) != ERR_OK || !whole)
        abort();
    if (e == ERR_OK && !torn &&
        (generation_walk(again, copy, &second, &torn, NULL) != ERR_OK || torn ||
         !view_eq(buf_view(&first), buf_view(&second))))
        abort();
    return 0;
}
