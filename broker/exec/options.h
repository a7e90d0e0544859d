/*
 * broker-exec's command line.
 */
#ifndef EXEC_OPTIONS_H
#define EXEC_OPTIONS_H

#include "base/options.h"

struct exec_options {
    const char *socket, *profile, *owner, *print_profile;
    struct option_list credential; /* "NAME" or "NAME=DELIVERY" */
    int64_t wait_ms, ttl_ms;
    bool list_profiles, help, version;
    bool owner_process; /* from `owner` */
    bool acp;           /* stays between an ACP client and its adapter */
    bool prints;        /* asks to be shown something: no program is started */
    char **command;     /* NULL-terminated, and not empty unless `prints` */
};
/* ERR_USAGE */
MUST err_t exec_options_read(char **argv, struct exec_options *out, struct why *why);
void exec_options_help(FILE *out);

#endif
