/*
 * The adapter's standard error on its way to ours. It makes the adapter wait for a slow reader, but not
 * for one that has stopped: what nobody reads is dropped, and counted.
 */
#ifndef EXEC_ACP_ERRORS_H
#define EXEC_ACP_ERRORS_H

#include "base/loop.h"

enum {
    ACP_ERRORS_HELD = 64 * 1024,
    ACP_ERRORS_PATIENCE_MS = 1000, /* a reader that takes nothing for so long has stopped */
    ACP_ERRORS_LOOK_MS = 20
};
struct acp_errors;
/* `from` is non-blocking, `to` may be anything; both stay the caller's. */
MUST err_t acp_errors_new(struct loop *l, int from, int to, struct acp_errors **out,
                          struct why *why);
/* A line of our own, "broker-exec: …", between what the adapter says. */
void acp_errors_say(struct acp_errors *e, const char *sentence);
/* The adapter has ended: what it said is taken, and goes out as far as it is read. */
void acp_errors_finish(struct acp_errors *e);
bool acp_errors_waiting(const struct acp_errors *e); /* for its reader */
void acp_errors_free(struct acp_errors *e);          /* takes NULL */

#endif
