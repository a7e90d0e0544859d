/*
 * The host of a route: a name (RFC 1123 letters, digits, hyphens; underscores as private networks have them) or a literal address, IPv4
 * in its one strict form, IPv6 in brackets without a zone. Numbers that only some readers take for an address (127.1, 0x7f000001) are
 * neither.
 */
#ifndef PROXY_HOST_H
#define PROXY_HOST_H

#include "base/buf.h"
#include <sys/socket.h>

enum { HOST_TEXT_MAX = 253 };
struct host {
    char text[HOST_TEXT_MAX + 1]; /* lower-case; of a literal without its brackets */
    bool literal;
    struct sockaddr_storage address; /* of a literal; port 0 */
};
/* False: it is none; `out` untouched. */
bool host_parse(struct view text, struct host *out);
void address_set_port(struct sockaddr_storage *a, uint16_t port);

#endif
