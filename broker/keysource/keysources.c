/*
 * The table of key sources. The keyring's row has no functions here: libsecret and glib have no
 * place beside keys, so the vault asks the program brokerd-keyring (`helper`), which has a table of
 * its own with the functions.
 */
#include "keysource/keysources.h"

#include <stdio.h>

const struct keysource keysource_keyring = {
    .name = "keyring",
    .title = "the desktop keyring (Secret Service)",
    .helper = "keyring",
    .describe = params_describe,
};

const struct keysource *const keysources[] = {
    &keysource_keyfile, &keysource_keyring, &keysource_passphrase, &keysource_systemd, NULL,
};

const struct keysource *keysource_by_name(struct view name)
{
    for (const struct keysource *const *k = keysources; *k; k++)
        if (view_is(name, (*k)->name))
            return *k;
    return NULL;
}

err_t params_text(struct view params, const char *what, char out[KEYSOURCE_PARAMS_MAX + 1],
                  struct why *why)
{
    if (params.n == 0 || params.n > KEYSOURCE_PARAMS_MAX)
        return fail(why, ERR_INVALID, "%s of 1 to %d bytes is needed", what, KEYSOURCE_PARAMS_MAX);
    for (size_t i = 0; i < params.n; i++)
        if (params.p[i] < 0x20 || params.p[i] == 0x7f)
            return fail(why, ERR_INVALID, "%s has control characters", what);
    (void)view_copy(params, out, KEYSOURCE_PARAMS_MAX + 1); /* fits, and has no NUL */
    return ERR_OK;
}

void params_describe(struct view params, char out[160])
{
    (void)snprintf(out, 160, "%.*s", (int)(params.n < 160 ? params.n : 159),
                   params.n ? (const char *)params.p : "");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}
