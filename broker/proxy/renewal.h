/*
 * The token endpoints of the data plane: a client that believes it renews its login at its provider renews its lease here, for as long as
 * the grant stands, and never sees a refresh token but ours. POST /oauth/token as Codex asks it, POST /v1/oauth/token as Claude Code's
 * workload identity asks it; no upstream ever sees such a request.
 */
#ifndef PROXY_RENEWAL_H
#define PROXY_RENEWAL_H

#include "proxy/gate.h"

struct stream;
struct msg;
struct renewal; /* a row of the table of endpoints */

/* NULL: this path is an ordinary one. */
const struct renewal *renewal_of(struct view path);
/* The request is this endpoint's: judges its head. Called once, before anything of the body is read. */
void renewal_begin(struct stream *s, const struct renewal *r, const struct gate_request *rq);
/* Reads what came of the body; asks the vault when it is whole. Each may end the stream. */
void renewal_run(struct stream *s);
void renewal_on_reply(struct stream *s, const struct msg *m);
/* It ends with this outcome, in the form that the endpoint's client takes as final or not. */
void renewal_fail(struct stream *s, err_t e, const char *reason, int64_t retry_ms);

#endif
