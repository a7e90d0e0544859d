/*
 * The environment that the program will get: what was inherited, less the variables that conflict,
 * plus ours. Nothing is changed in our own environment, so nothing has to be undone.
 */
#ifndef EXEC_ENVIRON_H
#define EXEC_ENVIRON_H

#include <broker/client.h>

enum { ENVIRON_OWN = 64 };
struct environment {
    char **
        item; /* inherited entries (borrowed), NULL-terminated; ours are appended by environ_list */
    size_t n;
    char *own[ENVIRON_OWN]; /* "NAME=value" that we made */
    size_t n_own;
};
MUST err_t environ_copy(struct environment *e, char *const *from, struct why *why);
void environ_free(struct environment *e); /* wipes ours */

const char *environ_get(const struct environment *e, const char *name); /* NULL: not set */
/* Takes every inherited entry of this name away. */
void environ_unset(struct environment *e, const char *name);
/* Where a proxy for HTTP is set, adds the loopback to what it is not for (no_proxy and NO_PROXY). */
MUST err_t environ_spare_loopback(struct environment *e, struct why *why);

/* What the placeholders of a template stand for; NULL: the lease has none. */
struct environ_values {
    const char *secret, *file, *dir, *account, *token, *username, *env;
    const char *base, *proxy_socket;
};
/* A template with its placeholders replaced, for the caller to free; it may be a secret. ERR_INVALID: the lease lacks
 * what a placeholder stands for. */
MUST err_t environ_expand(const char *form, const struct environ_values *values, char **out,
                          struct why *why);
/* Sets "NAME=…{placeholder}…" in place of what was inherited. ERR_INVALID: the lease lacks what a
 * placeholder stands for, the name is no variable's, or the value is empty; ERR_CONFLICT: set by us
 * before, and not to the same address: credentials may share {base} and {proxy_socket}. */
MUST err_t environ_set(struct environment *e, const char *form, const struct environ_values *values,
                       struct why *why);
/* "NAME=value", unless there is a NAME. */
MUST err_t environ_default(struct environment *e, const char *entry, struct why *why);
/* The list for execve, valid until `e` is changed or freed. */
char **environ_list(struct environment *e);

#endif
