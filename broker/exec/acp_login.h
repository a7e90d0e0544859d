/*
 * Gives an ACP adapter its login over its own protocol: by providers/set where it has that, because
 * it reaches sessions that run; else by an auth method that takes a gateway; and again with another
 * token. Where it has neither, the login of its environment stays its login.
 */
#ifndef EXEC_ACP_LOGIN_H
#define EXEC_ACP_LOGIN_H

#include "exec/acp_stream.h"

/* The client's messages wait so long for the adapter to be initialized, and for its first login. */
enum { ACP_START_MS = 120000, ACP_LOGIN_MS = 30000 };
enum acp_way {
    ACP_BY_ENVIRONMENT, /* nothing was given over the protocol, or not this one: it keeps what it has */
    ACP_BY_PROVIDERS,
    ACP_BY_GATEWAY /* sessions that run may keep what they had */
};
struct acp_login_options {
    const char *protocol, *base, *header; /* stay the caller's; see struct acp_route */
    /* A token was taken, or (ACP_BY_ENVIRONMENT) was not: `why` says why. Once per token. */
    void (*given)(void *ctx, enum acp_way way, const char *why);
    void (*slow)(
        void *ctx); /* the client's messages go on without the first login, which may still come */
    void *ctx;
};
struct acp_login;
MUST err_t acp_login_new(struct loop *l, const struct acp_login_options *o, struct acp_login **out,
                         struct why *why);
/* The two directions; they are the caller's. To be set before the loop runs. */
void acp_login_streams(struct acp_login *g, struct acp_stream *up, struct acp_stream *down);
/* The token to give: kept (a copy) until the adapter can take it, given at once where it has been initialized; but not for
 * `spare_ms` while there is a session without a prompt, which an adapter may lose by it. False: it never can. */
bool acp_login_give(struct acp_login *g, const char *token, int64_t spare_ms);
void acp_login_free(struct acp_login *g); /* takes NULL; wipes */

/* For the streams: from the client (up) and from the adapter (down); ctx is the login. */
enum acp_take acp_login_judge_up(void *ctx, const struct acp_scan *scan);
void acp_login_whole_up(void *ctx, const struct acp_scan *scan, const char *line, size_t n);
enum acp_take acp_login_judge_down(void *ctx, const struct acp_scan *scan);
void acp_login_whole_down(void *ctx, const struct acp_scan *scan, const char *line, size_t n);

#endif
