/*
 * Builds the environment for execve. Inherited entries are borrowed; only entries that may hold a
 * secret are ours, and those are wiped if the program is not started after all. A value is never
 * blank: some programs take an empty token for a token, and an empty key for "no authentication".
 */
#include "exec/environ.h"

#include "base/auto.h"

#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *entry)
{
    return strcspn(entry, "=");
}

static bool is_named(const char *entry, const char *name, size_t n)
{
    return name_length(entry) == n && memcmp(entry, name, n) == 0;
}

err_t environ_copy(struct environment *e, char *const *from, struct why *why)
{
    size_t n = 0;
    while (from[n])
        n++;
    char **item = calloc(n + ENVIRON_OWN + 1, sizeof(*item));
    if (!item)
        return fail(why, ERR_INTERNAL, "out of memory for the environment");
    memcpy(item, from, n * sizeof(*item));
    *e = (struct environment){.item = item, .n = n};
    return ERR_OK;
}

static void free_entry(char *entry)
{
    explicit_bzero(entry, strlen(entry));
    free(entry);
}

void environ_free(struct environment *e)
{
    for (size_t i = 0; i < e->n_own; i++)
        free_entry(e->own[i]);
    free(e->item);
    *e = (struct environment){0};
}

static const char *own_named(const struct environment *e, const char *name, size_t n)
{
    for (size_t i = 0; i < e->n_own; i++)
        if (is_named(e->own[i], name, n))
            return e->own[i] + n + 1;
    return NULL;
}

const char *environ_get(const struct environment *e, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < e->n; i++)
        if (is_named(e->item[i], name, n) && e->item[i][n] == '=')
            return e->item[i] + n + 1;
    return own_named(e, name, n);
}

static void unset(struct environment *e, const char *name, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->n; i++)
        if (!is_named(e->item[i], name, n))
            e->item[kept++] = e->item[i];
    e->n = kept;
    e->item[kept] = NULL;
}

void environ_unset(struct environment *e, const char *name)
{
    unset(e, name, strlen(name));
}

/* ---- templates */

static const struct {
    const char *name, *says;
    size_t at; /* of a const char * */
} placeholders[] = {
    {"{secret}", "a secret", offsetof(struct environ_values, secret)},
    {"{file}", "a file", offsetof(struct environ_values, file)},
    {"{dir}", "a file", offsetof(struct environ_values, dir)},
    {"{account}", "an account id", offsetof(struct environ_values, account)},
    {"{token}", "a token", offsetof(struct environ_values, token)},
    {"{username}", "a user name", offsetof(struct environ_values, username)},
    {"{env}", "the name of a variable: enroll it with --env NAME",
     offsetof(struct environ_values, env)},
    {"{base}", "a relay", offsetof(struct environ_values, base)},
    {"{proxy_socket}", "a proxy's socket", offsetof(struct environ_values, proxy_socket)},
};

/* What stands at `form`: a placeholder's value, or one plain character; *used is its length there.
 */
static MUST err_t next_piece(const char *form, const struct environ_values *values, size_t *used,
                             const char **piece, struct why *why)
{
    *used = 1;
    *piece = NULL;
    for (size_t i = 0; i < COUNT(placeholders); i++) {
        size_t n = strlen(placeholders[i].name);
        if (strncmp(form, placeholders[i].name, n) != 0)
            continue;
        *used = n;
        *piece = *(const char *const *)(const void *)((const char *)values + placeholders[i].at);
        if (!*piece || !(*piece)[0])
            return fail(why, ERR_INVALID, "the broker's lease lacks %s", placeholders[i].says);
        return ERR_OK;
    }
    return ERR_OK;
}

/* Writes the expansion where `out` is given; its length in any case. */
static MUST err_t expand(const char *form, const struct environ_values *values, char *out,
                         size_t *len, struct why *why)
{
    size_t at = 0, used;
    const char *piece;
    for (; *form; form += used) {
        TRY(next_piece(form, values, &used, &piece, why));
        size_t n = piece ? strlen(piece) : 1;
        for (size_t i = 0; out && i < n; i++)
            out[at + i] = piece ? piece[i] : *form;
        at += n;
    }
    *len = at;
    return ERR_OK;
}

err_t environ_expand(const char *form, const struct environ_values *values, char **out,
                     struct why *why)
{
    size_t n;
    TRY(expand(form, values, NULL, &n, why));
    char *text = calloc(n + 1, 1);
    if (!text)
        return fail(why, ERR_INTERNAL, "out of memory for the environment");
    err_t e = expand(form, values, text, &n, why); /* as before */
    if (e != ERR_OK)
        free(text);
    else
        *out = text;
    return e;
}

/* Does it say where, not what? */
static bool is_address(const char *form)
{
    return strstr(form, "{base}") || strstr(form, "{proxy_socket}") || !strchr(form, '{');
}

static bool is_variable(const char *name, size_t n)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (n == 0 || !strchr(first, name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr(first, name[i]) && (name[i] < '0' || name[i] > '9'))
            return false;
    return true;
}

/* Takes `entry`, which is "NAME=value", over. */
static MUST err_t own(struct environment *e, char *entry, struct why *why)
{
    size_t n = name_length(entry);
    if (!is_variable(entry, n) || entry[n] != '=' || !entry[n + 1])
        return fail(why, ERR_INVALID, "\"%.*s\" is no name for a variable", (int)(n < 60 ? n : 60),
                    entry);
    if (own_named(e, entry, n))
        return fail(why, ERR_CONFLICT, "two credentials would be in %.*s: choose with --credential",
                    (int)n, entry);
    if (e->n_own == ENVIRON_OWN)
        return fail(why, ERR_LIMIT, "one program gets %d variables at most", ENVIRON_OWN);
    unset(e, entry, n);
    e->own[e->n_own++] = entry;
    return ERR_OK;
}

err_t environ_set(struct environment *e, const char *form, const struct environ_values *values,
                  struct why *why)
{
    char *entry;
    if (values->env && !is_variable(values->env, strlen(values->env)))
        return fail(why, ERR_INVALID, "\"%.60s\" is no name for a variable", values->env);
    TRY(environ_expand(form, values, &entry, why));
    const char *before = own_named(e, entry, name_length(entry));
    if (before && is_address(form) && strcmp(before, entry + name_length(entry) + 1) == 0) {
        free_entry(entry);
        return ERR_OK;
    }
    err_t result = own(e, entry, why);
    if (result != ERR_OK)
        free_entry(entry);
    return result;
}

err_t environ_default(struct environment *e, const char *entry, struct why *why)
{
    static const struct environ_values none = {0};
    char name[64];
    size_t n = name_length(entry);
    if (n >= sizeof(name))
        return fail(why, ERR_INTERNAL, "the name of a constant is too long");
    memcpy(name, entry, n);
    name[n] = '\0';
    return environ_get(e, name) ? ERR_OK : environ_set(e, entry, &none, why);
}

/* "NAME=…,127.0.0.1,localhost", after what this name, or else the other, says already. NULL: out of memory. */
static char *spared(const struct environment *e, const char *name, const char *other)
{
    const char *have = environ_get(e, name);
    char *entry = NULL;
    if (!have || !have[0])
        have = environ_get(e, other);
    bool any = have && have[0];
    int n = asprintf(&entry, "%s=%s%s127.0.0.1,localhost", name, any ? have : "", any ? "," : "");
    return n < 0 ? NULL : entry;
}

static bool has_proxy(const struct environment *e)
{
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *proxy = environ_get(e, names[i]);
        if (proxy && proxy[0])
            return true;
    }
    return false;
}

err_t environ_spare_loopback(struct environment *e, struct why *why)
{
    if (!has_proxy(e))
        return ERR_OK;
    char *entry[] = {spared(e, "no_proxy", "NO_PROXY"), spared(e, "NO_PROXY", "no_proxy")};
    err_t result = ERR_OK;
    for (size_t i = 0; i < COUNT(entry); i++) {
        if (result == ERR_OK)
            result = entry[i] ? own(e, entry[i], why)
                              : fail(why, ERR_INTERNAL, "out of memory for the environment");
        if (result != ERR_OK)
            free(entry[i]);
    }
    return result;
}

char **environ_list(struct environment *e)
{
    memcpy(e->item + e->n, e->own, e->n_own * sizeof(*e->own));
    e->item[e->n + e->n_own] = NULL;
    return e->item;
}
