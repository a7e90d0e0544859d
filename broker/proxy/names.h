/*
 * THE table of header names that the data plane treats in a way of its own, and how a name is read: without case, with `_` for `-` (RFC 3875
 * section 4.1.18 folds them), and `name[x]` for `name`, as other servers may read it.
 */
#ifndef PROXY_NAMES_H
#define PROXY_NAMES_H

#include "base/buf.h"

enum {
    NAME_HOP =
        1, /* between one hop and the next (RFC 9110 section 7.6.1), or framing, which is written anew */
    NAME_OURS = 2,       /* of a request: ours to say */
    NAME_CREDENTIAL = 4, /* carries somebody's credential */
    NAME_SESSION = 8,    /* of a reply: between the upstream and the broker */
    NAME_PARAMETER = 16  /* of a query: names a key */
};
/* Which of them it is; 0: none. */
unsigned name_class(struct view name);

#endif
