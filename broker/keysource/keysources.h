/*
 * The rows of the table of key sources, each defined at the end of its own file, and what the
 * file-like ones share.
 */
#ifndef KEYSOURCE_KEYSOURCES_H
#define KEYSOURCE_KEYSOURCES_H

#include <broker/keysource.h>
#include <sys/types.h>

extern const struct keysource keysource_keyfile, keysource_passphrase, keysource_systemd;
/* Without create, open and remove, which are in the program brokerd-keyring. */
extern const struct keysource keysource_keyring;

/* The params of sources whose params are one text: kept as it is. ERR_INVALID: empty, too long, or
 * with control characters. */
MUST err_t params_text(struct view params, const char *what, char out[KEYSOURCE_PARAMS_MAX + 1],
                       struct why *why);
void params_describe(struct view params, char out[160]);

enum { MATERIAL_MIN = KEYSOURCE_KEY_BYTES, MATERIAL_MAX = 4096 };
/* The slot secret from the contents of a file of MATERIAL_MIN..MATERIAL_MAX bytes. `flags` for
 * open(2) beside O_RDONLY, `forbidden` the mode bits it must not have: ERR_PERMISSION with the
 * chmod or chown that mends it. */
struct material {
    const char *path;
    int flags;
    mode_t forbidden;
};
MUST err_t material_open(const struct material *m, struct secret **key, struct why *why);
/* What the bytes of a file give. */
MUST err_t material_key(struct view bytes, struct secret **key, struct why *why);

#endif
