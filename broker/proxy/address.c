/*
 * Which addresses count as public: two tables of prefixes after the IANA special-purpose registries.
 * Invariant: what is not understood is not public. IPv6 forms that carry an IPv4 address are judged
 * by that one, else an upstream's DNS could name 127.0.0.1 in another spelling.
 */
#include "proxy/address.h"
#include "base/auto.h"

#include <netinet/in.h>
#include <string.h>

struct prefix4 {
    uint8_t bytes[4];
    unsigned bits;
};
/* RFC 6890 and its updates; whole blocks, although single addresses of 192.0.0.0/24 are global */
static const struct prefix4 special4[] = {
    {{0, 0, 0, 0}, 8},       /* this network */
    {{10, 0, 0, 0}, 8},      /* private */
    {{100, 64, 0, 0}, 10},   /* shared: carrier-grade NAT */
    {{127, 0, 0, 0}, 8},     /* loopback */
    {{169, 254, 0, 0}, 16},  /* link-local, and every cloud's metadata */
    {{172, 16, 0, 0}, 12},   /* private */
    {{192, 0, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2, 0}, 24},    /* documentation */
    {{192, 88, 99, 0}, 24},  /* 6to4 relays, deprecated */
    {{192, 168, 0, 0}, 16},  /* private */
    {{198, 18, 0, 0}, 15},   /* benchmarks */
    {{198, 51, 100, 0}, 24}, /* documentation */
    {{203, 0, 113, 0}, 24},  /* documentation */
    {{224, 0, 0, 0}, 4},     /* multicast */
    {{240, 0, 0, 0}, 4},     /* reserved, broadcast */
};

enum { NONE = -1 };
struct prefix6 {
    uint8_t bytes[16];
    unsigned bits;
    int carries; /* where an IPv4 address begins that decides; NONE: never public */
};
/* the first that matches decides; outside of 2000::/3 and these nothing is public */
static const struct prefix6 special6[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12}, /* IPv4-mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},   /* NAT64, RFC 6052 */
    {{0x20, 0x02}, 16, 2},                /* 6to4 */
    {{0x20, 0x01}, 23, NONE},             /* protocol assignments: Teredo, benchmarks, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, NONE}, /* documentation */
    {{0x3f, 0xff}, 20, NONE},             /* documentation, RFC 9637 */
};

static bool begins(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool public4(const uint8_t a[4])
{
    for (size_t i = 0; i < COUNT(special4); i++)
        if (begins(a, special4[i].bytes, special4[i].bits))
            return false;
    return true;
}

static bool public6(const uint8_t a[16])
{
    for (size_t i = 0; i < COUNT(special6); i++)
        if (begins(a, special6[i].bytes, special6[i].bits))
            return special6[i].carries != NONE && public4(a + special6[i].carries);
    return a[0] >> 5 == 1; /* 2000::/3, global unicast */
}

bool address_is_public(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        return public4((const uint8_t *)&in.sin_addr);
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        return public6(in6.sin6_addr.s6_addr);
    }
    return false;
}
