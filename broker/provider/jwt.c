/*
 * Takes a JWT apart. Decoded parts lie in wiped buffers; sentences name the token and the part,
 * never a byte of it.
 */
#include "provider/jwt.h"

#include "base/auto.h"

/* Splits at exactly two dots into three parts that are not empty. */
static bool split(struct view token, struct view part[3])
{
    unsigned n = 0;
    for (size_t i = 0, from = 0; i <= token.n; i++) {
        if (i < token.n && token.p[i] != '.')
            continue;
        if (n == 3 || i == from)
            return false;
        part[n++] = VIEW(token.p + from, i - from);
        from = i + 1;
    }
    return n == 3;
}

static err_t decode_object(struct view part, json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf text = {0};
    AUTO(auto_json) json_t *v = NULL;
    TRY(base64url_decode(part, &text, why));
    TRY(json_parse(buf_view(&text), &v, why));
    if (!json_is_object(v))
        return fail(why, ERR_INVALID, "%s", json_kind(v));
    *out = TAKE(v);
    return ERR_OK;
}

err_t jwt_claims(struct view token, const char *what, json_t **claims, struct why *why)
{
    struct view part[3];
    AUTO(auto_json) json_t *header = NULL;
    AUTO(buf_free) struct buf signature = {0};
    if (!split(token, part))
        return fail(why, ERR_INVALID, "%s is not a JWT: it has not three parts", what);
    if (decode_object(part[0], &header, NULL) != ERR_OK)
        return fail(why, ERR_INVALID, "%s is not a JWT: its header does not decode", what);
    if (base64url_decode(part[2], &signature, NULL) != ERR_OK)
        return fail(why, ERR_INVALID, "%s is not a JWT: its signature does not decode", what);
    if (decode_object(part[1], claims, NULL) != ERR_OK)
        return fail(why, ERR_INVALID, "%s is not a JWT: its claims do not decode", what);
    return ERR_OK;
}
