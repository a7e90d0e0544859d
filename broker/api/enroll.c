/*
 * Enrolling. The operator's bytes are parsed here, in the worker of the admin socket, by the
 * provider's own parser; the vault gets only the canonical form and decodes that strictly.
 * Intermediate copies are wiped, also on failure.
 */
#include "api/enroll.h"
#include "base/auto.h"

#include <broker/provider.h>

/* RFC 4648 section 4 or 5, with or without padding → what base64url_decode() takes. */
static MUST err_t decode_base64(struct view text, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf plain = {.max = ROUTE_ENROLL_BODY};
    while (text.n && text.p[text.n - 1] == '=')
        text.n--;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        buf_put_u8(&plain, c == '+' ? '-' : c == '/' ? '_' : c);
    }
    TRY(buf_ok(&plain, why));
    if (base64url_decode(buf_view(&plain), out, why) != ERR_OK)
        return fail(why, ERR_INVALID, "\"data_base64\" is not base64 in one line");
    return ERR_OK;
}

static MUST err_t input_of(const struct route *r, const struct values *v, struct buf *decoded,
                           struct view *out, struct why *why)
{
    struct view data = values_text(r, v, "data"), coded = values_text(r, v, "data_base64");
    if ((data.n == 0) == (coded.n == 0))
        return fail(why, ERR_INVALID, "give either \"data\" or \"data_base64\"");
    *out = data;
    if (coded.n == 0)
        return ERR_OK;
    TRY(decode_base64(coded, decoded, why));
    *out = buf_view(decoded);
    return ERR_OK;
}

err_t enroll_canonical(const struct route *r, const struct values *v, struct buf *out,
                       struct why *why)
{
    AUTO(buf_free) struct buf decoded = {.max = ROUTE_ENROLL_BODY};
    struct view name = values_text(r, v, "provider"), input;
    const struct provider *p = provider_by_name(name);
    if (!p)
        return fail(why, ERR_INVALID, "there is no provider \"%.*s\"", (int)name.n,
                    name.n ? (const char *)name.p : "");
    TRY(input_of(r, v, &decoded, &input, why));
    const struct provider_options opt = {
        .origin = values_text(r, v, "origin"),
        .header = values_text(r, v, "header"),
        .env = values_text(r, v, "env"),
        .username = values_text(r, v, "username"),
    };
    TRY(p->parse(input, &opt, out, why));
    if (!msg_fits(F_BODY, buf_view(out)))
        return fail(why, ERR_TOO_LARGE, "the credential is larger than %s takes", p->title);
    return ERR_OK;
}
