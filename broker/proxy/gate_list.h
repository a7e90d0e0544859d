/*
 * List headers (RFC 9110 section 5.6.1).
 */
#ifndef PROXY_GATE_LIST_H
#define PROXY_GATE_LIST_H

#include "base/buf.h"

/* Takes the next member off the front of *rest, without the white space around it; empty ones are passed over. False: there is none. A
 * comma inside a quoted string does not end a member. */
bool gate_list_next(struct view *rest, struct view *member);

#endif
