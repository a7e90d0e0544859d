/*
 * The command that the operator wants to be run when something must be done by a person. The vault says what happened, in names and codes;
 * the command gets them as arguments and nothing else of ours: no descriptor, no secret, a small environment, and a limited time.
 */
#ifndef SUPERVISOR_ALERT_H
#define SUPERVISOR_ALERT_H

#include "base/loop.h"
#include "base/msg.h"

#include <sys/types.h>

enum { ALERTS_RUNNING = 8, ALERT_MS = 60000 };

struct alerts {
    struct {
        pid_t pid; /* 0: free */
        int64_t until_ms;
    } one[ALERTS_RUNNING];
    struct loop_timer *timer; /* when the first one's time is over */
};

MUST err_t alerts_open(struct alerts *a, struct loop *loop);
void alerts_close(struct alerts *a); /* ends those that run */
/* Runs PATH with the arguments OP, CREDENTIAL, PROVIDER and CODE of the message; a failure is logged. */
void alert_take(struct alerts *a, const struct msg *m);
/* The same, and ERR_LIMIT: ALERTS_RUNNING run already; ERR_NOT_FOUND, ERR_PERMISSION: there is nothing to run. */
MUST err_t alert_run(struct alerts *a, const struct msg *m, struct why *why);
/* A process ended: was it one of ours? How it ended is logged when it was not well. */
bool alert_reaped(struct alerts *a, pid_t pid, int status);
/* Ends those whose time is over by `now_ms`. The next time to look; 0: none runs. */
int64_t alert_expire(struct alerts *a, int64_t now_ms);

#endif
