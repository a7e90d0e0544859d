/*
 * An identity provider's answer: the first byte picks provider, status and endpoint. Whatever comes is one of the verdicts; what is granted
 * decodes strictly, and tokens could stand in a header; a code is a word.
 */
#include "fuzz/hold.h"

#include "oauth/reply.h"
#include "provider/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_login(const struct reply *r)
{
    struct cred c;
    HOLD(cred_decode(VIEW(r->login.p, r->login.len), &c, NULL) == ERR_OK);
    HOLD(cred_has(&c, CF_ACCESS_TOKEN) || cred_has(&c, CF_REFRESH_TOKEN) || cred_has(&c, CF_ID_TOKEN));
    HOLD(!cred_has(&c, CF_KIND) && !cred_has(&c, CF_SECRET));
    HOLD(!cred_has(&c, CF_ACCESS_TOKEN) || text_visible(c.f[CF_ACCESS_TOKEN]));
    HOLD(!cred_has(&c, CF_REFRESH_TOKEN) || text_visible(c.f[CF_REFRESH_TOKEN]));
    HOLD(!cred_has(&c, CF_ACCOUNT) || text_visible(c.f[CF_ACCOUNT]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned status[] = {200, 200, 200, 400, 401, 429, 503, 302};
    static const char *const names[] = {"claude", "codex", "oauth2", "openai"};
    if (n == 0)
        return 0;
    struct reply r;
    struct reply_ask ask = {.provider = provider_by_name(view_str(names[(data[0] & 1) | (data[0] >> 4 & 2)])),
                            .status = status[data[0] >> 1 & 7],
                            .body = VIEW(data + 1, n - 1),
                            .at_ms = 1000,
                            .device = data[0] & 0x80,
                            .poll = data[0] & 0x40};
    reply_parse(&ask, &r);
    HOLD((unsigned)r.verdict < OAUTH__COUNT);
    HOLD(strspn(r.code, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(r.code));
    HOLD(r.verdict == OAUTH_GRANTED || (!r.login.len && !r.device_code.len && !r.code_granted.len && !r.verifier.len));
    HOLD(r.interval_ms >= 0 && r.interval_ms <= 600000);
    HOLD(ask.status == 200 || r.verdict != OAUTH_GRANTED);
    HOLD(ask.status < 500 || r.verdict == OAUTH_TRANSIENT);
    if (r.login.len)
        check_login(&r);
    reply_free(&r);
    return 0;
}
