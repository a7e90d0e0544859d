/*
 * The one table of outcomes. A row gives the enum, the HTTP status, the exit code of our programs,
 * the wire code of the API (`"error"` in JSON, `reason` in the audit log) and a default sentence.
 *
 * A function that can fail returns `err_t` and writes one sentence into the caller's `struct why`:
 * what went wrong and, where there is one, the remedy. The sentence is never allocated, never holds
 * a secret and is never translated. `return fail(why, ERR_DENIED, "…")` is one statement.
 * Outputs are untouched on failure. Needs libc only.
 */
#ifndef BROKER_ERR_H
#define BROKER_ERR_H

#include <stddef.h>

/*   name          HTTP exit wire code              default sentence */
/* clang-format off */
#define BROKER_ERRORS(X)                                                                        \
    X(OK,          200, 0,   "ok",               "done")                                        \
    X(INTERNAL,    500, 1,   "internal",         "internal error")                              \
    X(USAGE,       400, 2,   "usage",            "the command line is not usable")              \
    X(INVALID,     400, 3,   "invalid",          "the input is not valid")                      \
    X(DENIED,      403, 4,   "denied",           "not allowed by policy")                       \
    X(AUTH,        401, 5,   "bad_token",        "the token is not valid here")                 \
    X(NOT_FOUND,   404, 6,   "not_found",        "no such thing")                               \
    X(EXISTS,      409, 7,   "exists",           "exists already")                              \
    X(CONFLICT,    409, 8,   "conflict",         "not possible in the present state")           \
    X(EXPIRED,     403, 9,   "expired",          "expired")                                     \
    X(NEEDS_LOGIN, 409, 10,  "needs_login",      "the credential must be enrolled again")       \
    X(LIMIT,       429, 11,  "limit",            "a limit is reached")                          \
    X(TOO_LARGE,   413, 12,  "too_large",        "too large")                                   \
    X(LOCKED,      503, 13,  "locked",           "the store is locked")                         \
    X(UNINIT,      503, 14,  "uninitialised",    "the store is not initialised")                \
    X(AUDIT,       503, 15,  "audit_unavailable","the audit log cannot be written")             \
    X(NO_SPACE,    507, 16,  "no_space",         "no space left")                               \
    X(IO,          500, 17,  "io",               "input/output error")                          \
    X(CORRUPT,     500, 18,  "corrupt",          "stored data does not verify")                 \
    X(ROLLBACK,    503, 19,  "rollback",         "the store is older than its anchor")          \
    X(VERSION,     500, 20,  "version",          "written by a newer version")                  \
    X(UNAVAILABLE, 503, 21,  "unavailable",      "not available now")                           \
    X(TIMEOUT,     504, 22,  "timeout",          "took too long")                               \
    X(NO_BROKER,   503, 23,  "no_broker",        "the broker cannot be reached")                \
    X(METHOD,      405, 24,  "method",           "method not allowed")                          \
    X(PERMISSION,  500, 25,  "permission",       "owner or mode is not safe")
/* clang-format on */

typedef enum broker_err {
#define BROKER_ERR_ENUM(n, h, e, w, s) ERR_##n,
    BROKER_ERRORS(BROKER_ERR_ENUM)
#undef BROKER_ERR_ENUM
        ERR__COUNT
} err_t;

/* Dropping an outcome does not compile: put this before every function that returns err_t. */
#define MUST __attribute__((warn_unused_result))

/* Room for one sentence; always NUL-terminated. Initialise with `= {0}`. */
struct why {
    char text[256];
};

/* Writes the sentence (cut at the room there is; control characters become '?') and returns `e`.
 * `why` may be NULL. Never pass a secret. */
MUST err_t fail(struct why *why, err_t e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As fail(), the code chosen from errno `no` (ENOSPC/EDQUOT/EFBIG → NO_SPACE, EACCES/EPERM/EROFS → PERMISSION,
 * ENOENT → NOT_FOUND, ETIMEDOUT → TIMEOUT, else IO), and ": strerror" appended. */
MUST err_t fail_errno(struct why *why, int no, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *err_wire(err_t e);                   /* "denied"; "internal" for a value out of range */
const char *err_text(err_t e);                   /* the default sentence */
int err_http(err_t e);                           /* HTTP status */
int err_exit(err_t e);                           /* exit code */
err_t err_from_wire(const char *wire, size_t n); /* ERR_INTERNAL when unknown */

#endif
