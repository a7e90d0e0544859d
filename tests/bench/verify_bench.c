/*
 * What a token costs in the vault: verifying one, as for each introspect and renew, and one that its holder narrowed four times.
 *     verify_bench [ROUNDS]     prints µs of CPU each
 */
#include "base/auto.h"
#include "crypto/token.h"

#include <string.h>
#include <time.h>

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(err_t e, const struct why *why)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "verify_bench: %s\n", why->text);
    exit(1);
}

static double verify_us(const struct secret *key, struct view text, const struct token_bind *bind,
                        unsigned rounds)
{
    AUTO(buf_free) struct buf scratch = {0};
    struct token_caveats caveats;
    const struct why why = {.text = "a good token was refused"};
    double began = cpu_us();
    for (unsigned i = 0; i < rounds; i++)
        must(token_verify(key, text, bind, &scratch, &caveats), &why);
    return (cpu_us() - began) / rounds;
}

int main(int argc, char **argv)
{
    static const uint8_t raw[32] = {1}, lease[TOKEN_LEASE_ID] = {2};
    const struct token_bind bind = {
        .consumer = "gateway", .credential = "claude", .prefix = "sk-ant-api03-"};
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300000;
    struct why why = {0};
    must(secret_pool_open(1 << 20, &why), &why);
    AUTO(auto_secret) struct secret *key = secret_from(raw, sizeof(raw));
    AUTO(buf_free) struct buf text = {0}, narrowed = {0}, next = {0};
    must(token_mint(key, lease, &bind, &text, &why), &why);
    buf_add_view(&narrowed, buf_view(&text));
    for (unsigned i = 0; i < 4; i++) {
        buf_reset(&next);
        must(token_attenuate(buf_view(&narrowed), CAVEAT_METHOD_PATH, view_str("POST /v1/messages"),
                             &next, &why),
             &why);
        buf_reset(&narrowed);
        buf_add_view(&narrowed, buf_view(&next));
    }
    printf("verify us=%.3f narrowed_us=%.3f\n", verify_us(key, buf_view(&text), &bind, rounds),
           verify_us(key, buf_view(&narrowed), &bind, rounds));
    return 0;
}
