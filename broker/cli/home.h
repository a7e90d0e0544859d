/*
 * The login file of a program in its user's home, as text: what is in it, and how it changes hands. Pure. All but the login stays as it is, byte
 * by byte.
 */
#ifndef CLI_HOME_H
#define CLI_HOME_H

#include "base/buf.h"
#include <broker/provider.h>

enum { HOME_FILE_MAX = 120 * 1024 };
struct home_member;
struct home_form {       /* one program */
    const char *name;    /* its provider's */
    const char *dir_env; /* the variable that names its directory */
    const char *object, *refresh,
        *stub; /* refresh token: where it stands, and what stands there when it is not here */
    const struct home_member *inner, *top;
    const char *null_member; /* must be there, and be null; or NULL */
};
const struct home_form *home_forms(void); /* all; ends with a NULL name */
/* NULL: there is no program of this name whose login can be taken over. */
const struct home_form *home_form(const char *name);

enum home_state {
    HOME_NOTHING,   /* logged out, or there is no file */
    HOME_LOGIN,     /* a refresh token is in it: whoever has the file owns the login */
    HOME_PROJECTED, /* an access token alone */
    HOME_FOREIGN    /* not readable as this program's file */
};
enum home_state home_state(const struct home_form *f, struct view text);
/* When the access token in it ends, ms since the epoch; 0: not known. */
int64_t home_expires(const struct home_form *f, struct view text);
/* Takes the refresh token out. */
MUST err_t home_strip(const struct home_form *f, struct buf *text, int64_t now_ms, struct why *why);
/* Takes the tokens of a projected file over. */
MUST err_t home_merge(const struct home_form *f, struct buf *text, struct view projected,
                      struct why *why);
/* Puts a whole login in; what else the file held when it was enrolled comes back where there is no file any more. */
MUST err_t home_restore(const struct home_form *f, struct buf *text, const struct cred *c,
                        struct why *why);

#endif
