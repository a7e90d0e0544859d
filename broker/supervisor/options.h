/*
 * brokerd's command line, environment and default places, in one value.
 */
#ifndef SUPERVISOR_OPTIONS_H
#define SUPERVISOR_OPTIONS_H

#include "base/log.h"
#include <broker/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum { OPTIONS_PATH = 4096, OPTIONS_NAME = 33 };
/* Bytes a consumer's name may at least have in "$RUN/<name>/broker.sock", whatever $RUN is. */
enum { OPTIONS_NAME_ROOM = 32 };

struct options {
    char state[OPTIONS_PATH], run[OPTIONS_PATH]; /* absolute, no slash at the end */
    char config[OPTIONS_PATH];                   /* absolute path of broker.yaml */
    char user[OPTIONS_NAME];                     /* system mode: who to become */
    bool system;                                 /* started as root */
    enum log_level log_level;
    bool version, help;
    char role[OPTIONS_NAME]; /* what the supervisor started this process for; "": the supervisor
                                itself */
    int fd;                  /* its socket, -1 for the supervisor */
};

/* Command line before CREDENTIAL_BROKER_STATE, _RUN and _CONFIG before the defaults of `euid`
 * (root: system mode; else XDG). ERR_USAGE, ERR_INVALID or ERR_NOT_FOUND with the option that mends
 * it. */
MUST err_t options_read(int argc, char *const argv[], uid_t euid, struct options *out,
                        struct why *why);
void options_help(FILE *out);

#endif
