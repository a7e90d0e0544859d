/* The one rule for names of consumers and credentials: they become directory and file names, so it is strict. */
#include "base/name.h"

#include <string.h>

static bool allowed(uint8_t c, bool first)
{
    bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    return alnum || (!first && (c == '.' || c == '_' || c == '-'));
}

err_t name_check(struct view name, const char *what, struct why *why)
{
    if (name.n == 0 || name.n > NAME_MAX_LEN)
        return fail(why, ERR_INVALID, "a %s name has 1 to %d characters, not %zu", what,
                    NAME_MAX_LEN, name.n);
    for (size_t i = 0; i < name.n; i++)
        if (!allowed(name.p[i], i == 0))
            return fail(why, ERR_INVALID,
                        "a %s name begins with a-z or 0-9 and goes on with a-z 0-9 . _ -; "
                        "character %zu is not one of them",
                        what, i + 1);
    if (memmem(name.p, name.n, "..", 2))
        return fail(why, ERR_INVALID, "a %s name must not contain \"..\"", what);
    if (view_is(name, "admin"))
        return fail(why, ERR_INVALID, "the name \"admin\" is reserved");
    return ERR_OK;
}
