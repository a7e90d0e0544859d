/*
 * Waiting for a login's end: the browser's redirect, what a person pastes, and what the broker says of it, at once; given up cleanly on a
 * signal.
 */
#ifndef CLI_LOGIN_WAIT_H
#define CLI_LOGIN_WAIT_H

#include "cli/admin.h"
#include "cli/redirect.h"

struct login_wait {
    const struct verb_common *common;
    const char *id, *flow;     /* as the broker says them */
    struct redirect *redirect; /* NULL: no listener */
    bool paste;                /* a code may come on standard input */
    const char *prompt;        /* said when what is typed is not echoed any more; "": nothing */
};
/* *out: the login as the broker shows it in the end, done. An error: the login's, or why it was given up; then the broker was told. */
MUST err_t login_wait(const struct login_wait *w, json_t **out, struct why *why);

#endif
