/*
 * The credential helpers: what the protocols share. Each protocol is a file with one `run`, and a
 * row in helper.c.
 */
#ifndef CLI_HELPER_H
#define CLI_HELPER_H

#include "base/buf.h"
#include "cli/origin.h"
#include "cli/verbs.h"

struct helper_options {
    struct verb_common common;
    const char *origin; /* what the named credentials are for, where the broker does not say */
    int64_t ttl_ms;
};
struct helper_ask {
    const struct helper_options *options;
    char **name; /* n_names credentials to choose from; none: every grant whose origin is known */
    size_t n_names;
    const char *operation; /* "get"; NULL: the protocol has none */
};

/* A protocol. Appends its answer to `out`, which is printed in any case; stdin is read by
 * helper_input. */
typedef err_t helper_run(const struct helper_ask *ask, struct buf *out, struct why *why);
helper_run helper_git, helper_docker, helper_aws;

enum { HELPER_INPUT_MAX = 65536 };
/* Standard input up to its end, or up to an empty line. ERR_TOO_LARGE, ERR_INVALID for a NUL in it.
 */
MUST err_t helper_input(bool to_empty_line, struct buf *out, struct why *why);
/* Leases the credential that is for `origin` (NULL: any, for one named credential). ERR_NOT_FOUND:
 * none is. */
MUST err_t helper_lease(const struct helper_ask *ask, const struct origin *origin,
                        struct broker_lease *out, struct why *why);
/* When the value ends, in ms of wall clock: the lease's end, or the value's own where that is
 * earlier. */
int64_t helper_ends_ms(const struct broker_lease *l);

/* What git asks for (git-credential(1), "INPUT/OUTPUT FORMAT"). */
struct git_request {
    char protocol[32], host[300], username[257]; /* "": not given */
};
/* Total. ERR_INVALID: a line without "=", or a value that is too long. Unknown keys are passed
 * over, as the format asks. */
MUST err_t git_request_read(const char *text, size_t n, struct git_request *out, struct why *why);

#endif
