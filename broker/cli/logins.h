/*
 * The logins that the broker renews, as people look at them: a table, and what changes.
 */
#ifndef CLI_LOGINS_H
#define CLI_LOGINS_H

#include "cli/admin.h"

/* The array `logins` of the status, as a table; what fails and its remedy below. Nothing when it is empty. */
MUST err_t logins_print(const json_t *logins, struct why *why);
/* One line whenever a login's state changes, until interrupted; with --json the login's object. The first lines are the logins as they are. */
MUST err_t logins_follow(const struct verb_common *common, struct why *why);

#endif
