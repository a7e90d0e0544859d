/*
 * A login on its way out of its program's own file and back.
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include "cli/admin.h"

struct transfer {
    const struct verb_common *common;
    const char *program;  /* claude, codex */
    const char *name;     /* of the credential */
    const char *home;     /* NULL: as its program finds it */
    const char *consumer; /* that keeps the file fresh; NULL: the owner's */
    bool yes, copy, replace;
};
/* Takes it over: seals it, and leaves in the file only what keeps the program working. Cut anywhere, it is done again with the same outcome. */
MUST err_t transfer_take(const struct transfer *t, struct why *why);

#endif
