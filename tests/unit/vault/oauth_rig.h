/* The oauth helper's side of a refresh, played by the test. */
#ifndef TESTS_OAUTH_RIG_H
#define TESTS_OAUTH_RIG_H

#include "vault_rig.h"

/* The vault asks for a helper and gets one; its job is in r->msg. */
static inline int oauth_helper(struct rig *r)
{
    int pair[2];
    CHECK(rig_asked_for(r, "oauth", 3000));
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    oauthcall_on_spawned(r->v, pair[1]);
    CHECK(rig_recv_now(r, pair[0]));
    CHECK_INT(r->msg.type, MSG_OAUTH_JOB);
    return pair[0];
}

static inline void oauth_say(struct rig *r, int sock)
{
    CHECK(!r->out.bad);
    CHECK_OK(ipc_send(sock, buf_view(&r->out), -1, &r->why), r->why);
    rig_turns(r, 10);
}

static inline void oauth_raw(struct rig *r, int sock, unsigned status, const char *body)
{
    msg_begin(&r->out, MSG_OAUTH_RAW, 0, 0);
    msg_put_u64(&r->out, F_STATUS, ERR_OK);
    msg_put_u64(&r->out, F_FLAGS, OAUTH_SENT);
    msg_put_u64(&r->out, F_HTTP_STATUS, status);
    msg_put(&r->out, F_RAW, view_str(body));
    oauth_say(r, sock);
}

static inline void oauth_none(struct rig *r, int sock, err_t e, bool sent)
{
    msg_begin(&r->out, MSG_OAUTH_RAW, 0, 0);
    msg_put_u64(&r->out, F_STATUS, e);
    msg_put_str(&r->out, F_REASON, "injected");
    msg_put_u64(&r->out, F_FLAGS, sent ? OAUTH_SENT : 0);
    oauth_say(r, sock);
}

static inline void oauth_verdict(struct rig *r, int sock, enum oauth_verdict verdict, const char *code)
{
    msg_begin(&r->out, MSG_OAUTH_RESULT, 0, 0);
    msg_put_u64(&r->out, F_VERDICT, verdict);
    msg_put_str(&r->out, F_CODE, code);
    oauth_say(r, sock);
}

/* Granted: these tokens, good for `left_ms`. */
static inline void oauth_tokens(struct rig *r, int sock, const char *access, const char *refresh, int64_t left_ms)
{
    AUTO(buf_free) struct buf b = {0};
    char ends[24];
    (void)snprintf(ends, sizeof(ends), "%lld", (long long)(clock_wall_ms() + left_ms));
    struct cred c = {.f = {[CF_ACCESS_TOKEN] = view_str(access), [CF_EXPIRES_AT] = view_str(ends)}};
    if (refresh)
        c.f[CF_REFRESH_TOKEN] = view_str(refresh);
    CHECK_OK(cred_encode(&c, &b, &r->why), r->why);
    msg_begin(&r->out, MSG_OAUTH_RESULT, 0, 0);
    msg_put(&r->out, F_BODY, buf_view(&b));
    msg_put_u64(&r->out, F_VERDICT, OAUTH_GRANTED);
    oauth_say(r, sock);
}

/* The value of one parameter of the job. */
static inline struct view oauth_param(const struct rig *r, const char *name)
{
    struct cursor c = cursor_of(msg_view(&r->msg, F_PAIRS));
    struct view n, v;
    while (msg_list_next(&c, &n) && msg_list_next(&c, &v))
        if (view_is(n, name))
            return v;
    return VIEW(NULL, 0);
}

static inline const struct credential *rig_cred(struct rig *r, const char *name)
{
    return credential_find(r->v->credentials, view_str(name));
}

/* Does the credential have this in the field? */
static inline bool rig_has(struct rig *r, const char *name, enum cred_field f, const char *value)
{
    const struct cred *c = NULL;
    CHECK_OK(credential_view(r->v->credentials, rig_cred(r, name), &c, &r->why), r->why);
    return value ? view_is(c->f[f], value) : c->f[f].n == 0;
}

static inline unsigned rig_journals(struct rig *r)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/refresh", r->state);
    return scratch_count(path, ".refresh");
}

#endif
