/*
 * What comes to a login's listener, and what is pasted: the first byte picks. Whatever it is, what is taken is visible ASCII, within its
 * bounds, of this login's state; and of a refused one nothing stays.
 */
#include "fuzz/hold.h"

#include "cli/redirect.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct brought *b, bool taken)
{
    const char *const text[] = {b->code, b->state, b->error};
    static const size_t max[] = {BROUGHT_CODE, BROUGHT_STATE, BROUGHT_ERROR};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(text[i]);
        HOLD(len <= max[i] && (taken || len == 0));
        for (size_t k = 0; k < len; k++)
            HOLD(text[i][k] > ' ' && text[i][k] <= '~');
    }
    HOLD(!taken || (b->code[0] != '\0') != (b->error[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct redirect r = {.port = 1455, .path = "/auth/callback", .state = "SSSSSSSS"};
    struct brought b = {0};
    struct why why = {0};
    if (n == 0)
        return 0;
    struct view v = VIEW(data + 1, n - 1);
    if (data[0] % 3 == 0) {
        unsigned status = redirect_judge(&r, v, &b);
        HOLD(status == 200 || status == 400 || status == 404 || status == 405);
        check(&b, status == 200);
        HOLD(status != 200 || strcmp(b.state, r.state) == 0);
    } else if (data[0] % 3 == 1) {
        bool taken = brought_by_query(v, &b);
        check(&b, taken);
    } else {
        bool taken = brought_by_paste(v, &b, &why) == ERR_OK;
        check(&b, taken);
        HOLD(!taken || b.state[0]);
    }
    return 0;
}
