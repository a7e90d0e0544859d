/*
 * Key source `systemd`: the credential $CREDENTIALS_DIRECTORY/<name> that the service manager
 * decrypts for this service alone (systemd.exec(5), LoadCredentialEncrypted=). Params: the name.
 * Nothing is made here: `create` adopts the credential that is there. Any directory of mounted
 * secrets serves as well (CREDENTIALS_DIRECTORY=/run/secrets in a container). The service manager
 * may grant by group or ACL, so the group's read bit is allowed; that of others is not.
 */
#include "keysource/keysources.h"

#include "base/auto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_name[] = "credential-broker-key";
enum { NAME_ROOM = 256, FORBIDDEN = 0027 };

/* A file's name and nothing else: systemd's own rule for credentials. */
static err_t check_name(const char *name, struct why *why)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    if (n == 0 || n >= NAME_ROOM || name[0] == '.' || strspn(name, allowed) != n)
        return fail(
            why, ERR_INVALID,
            "the name of a systemd credential is 1 to 255 of [A-Za-z0-9._-], no leading dot");
    return ERR_OK;
}

static err_t open_named(const char *name, struct secret **key, struct why *why)
{
    char path[KEYSOURCE_PARAMS_MAX + 1];
    TRY(check_name(name, why));
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir || dir[0] != '/')
        return fail(
            why, ERR_UNAVAILABLE,
            "there is no $CREDENTIALS_DIRECTORY: give the service LoadCredentialEncrypted=%s:FILE",
            name);
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_INVALID, "$CREDENTIALS_DIRECTORY is too long");
    const struct material m = {.path = path, .forbidden = FORBIDDEN};
    return material_open(&m, key, why);
}

static err_t systemd_create(const struct keysource_ask *ask, struct buf *params,
                            struct secret **key, struct why *why)
{
    char name[KEYSOURCE_PARAMS_MAX + 1];
    TRY(params_text(ask->path.n ? ask->path : view_str(default_name), "the name of the credential",
                    name, why));
    if (!buf_reserve(params, strlen(name)))
        return fail(why, ERR_TOO_LARGE, "no room for the params");
    TRY(open_named(name, key, why));
    buf_add_str(params, name);
    return ERR_OK;
}

static err_t systemd_open(const struct keysource_ask *ask, struct secret **key, struct why *why)
{
    char name[KEYSOURCE_PARAMS_MAX + 1];
    TRY(params_text(ask->params, "the name of the credential", name, why));
    return open_named(name, key, why);
}

const struct keysource keysource_systemd = {
    .name = "systemd",
    .title = "a systemd credential",
    .create = systemd_create,
    .open = systemd_open,
    .describe = params_describe,
};
