/*
 * One row per client. Codex reads the end of an access token from its claims and renews four to five minutes before it, so its token is
 * dressed as a JWT; Claude Code is told the seconds that are left. Neither is given an id_token: Codex keeps the one it has.
 */
#include "provider/phantom.h"

#include "base/auto.h"

#include <inttypes.h>

void phantom_jwt(struct view token, int64_t expires_ms, struct buf *out)
{
    AUTO(buf_free) struct buf claims = {0};
    buf_add_fmt(&claims, "{\"iss\":\"credential-broker\",\"exp\":%" PRId64 "}", expires_ms / 1000);
    base64url_encode(view_str("{\"alg\":\"none\",\"typ\":\"JWT\"}"), out);
    buf_add_str(out, ".");
    base64url_encode(buf_view(&claims), out);
    buf_add_str(out, ".");
    buf_add_view(out, token);
    out->bad = out->bad || claims.bad;
}

static MUST err_t answer_codex(const struct phantom *p, struct jsonw *w, struct why *why)
{
    AUTO(buf_free) struct buf jwt = {0};
    phantom_jwt(p->access, p->expires_ms, &jwt);
    TRY(buf_ok(&jwt, why));
    jsonw_view(w, "access_token", buf_view(&jwt));
    jsonw_view(w, "refresh_token", p->renewal);
    return ERR_OK;
}

static MUST err_t answer_claude(const struct phantom *p, struct jsonw *w, struct why *why)
{
    (void)why;
    jsonw_view(w, "access_token", p->access);
    return ERR_OK;
}

static const struct {
    const char *client;
    err_t (*answer)(const struct phantom *p, struct jsonw *w, struct why *why);
} clients[] = {{"claude", answer_claude}, {"codex", answer_codex}};

bool phantom_knows(struct view client)
{
    for (size_t i = 0; i < COUNT(clients); i++)
        if (view_is(client, clients[i].client))
            return true;
    return false;
}

err_t phantom_answer(struct view client, const struct phantom *p, struct jsonw *w, struct why *why)
{
    int64_t left = (p->expires_ms - p->now_ms) / 1000;
    for (size_t i = 0; i < COUNT(clients); i++) {
        if (!view_is(client, clients[i].client))
            continue;
        jsonw_open(w, NULL, '{');
        TRY(clients[i].answer(p, w, why));
        jsonw_str(w, "token_type", "Bearer");
        jsonw_int(w, "expires_in", left > 0 ? left : 0);
        jsonw_close(w, '}');
        return ERR_OK;
    }
    return fail(why, ERR_INVALID, "no client of that name renews here");
}
