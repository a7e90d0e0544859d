/*
 * broker-cli audit verify: the keys, the verdict, and what it means. Offline: no broker is asked.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <broker/err.h>
#include <stdbool.h>

struct verdict_ask {
    const char *dir;        /* of the log */
    const char *key;        /* auditor.key, or auditor-N.key of the chain from line N; or NULL */
    const char *public_key; /* audit.pub, audit-N.pub; or NULL */
};
/* Verifies, and prints the verdict on standard output. ERR_CORRUPT: something was found. */
MUST err_t verdict_give(const struct verdict_ask *ask, bool json, struct why *why);

#endif
