/*
 * What foreign bytes look like, so that a wrong file is refused by its name: "this is Codex's
 * auth.json (provider codex)".
 */
#ifndef PROVIDER_SHAPE_H
#define PROVIDER_SHAPE_H

#include "base/buf.h"

struct shape {
    const char *what;     /* "Codex's auth.json" */
    const char *provider; /* that takes it; NULL: none */
};
/* Never NULL. */
const struct shape *shape_of(struct view input);
/* One word that no row knows: a key of a make to come. */
bool shape_is_unknown_word(const struct shape *s);
/* ERR_INVALID "this is …": for input that a provider could not take. Quotes nothing of it. */
MUST err_t shape_refuse(struct view input, struct why *why);

#endif
