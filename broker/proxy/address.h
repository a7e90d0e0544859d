/*
 * Which addresses an upstream may have: not loopback, private, shared, link-local, multicast, reserved, nor an IPv6 form that carries such an
 * IPv4 address (mapped, 6to4, NAT64, Teredo), unless the route says so (IANA special-purpose registries, RFC 6890, RFC 8190).
 */
#ifndef PROXY_ADDRESS_H
#define PROXY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

bool address_is_public(const struct sockaddr *sa);

#endif
