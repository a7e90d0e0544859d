/*
 * A name server for tests, in the loop of the test itself, on a free UDP port of 127.0.0.1. What it answers is a table of names.
 */
#ifndef TESTS_DNS_H
#define TESTS_DNS_H

#include "base/loop.h"
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct dns_name {
    const char *name;
    int ttl;         /* -1: NXDOMAIN; -2: no answer at all; -3: SERVFAIL */
    const char *a[4], *aaaa[4];
    bool mute6; /* questions for AAAA are lost, as behind some home routers */
};
struct dns {
    int fd;
    struct loop_fd *watch;
    char servers[32]; /* for resolver_new_at() */
    const struct dns_name *names;
    size_t n_names;
    int asked_a, asked_aaaa;
};

static inline size_t dns_name_of(const uint8_t *q, size_t n, char out[256])
{
    size_t at = 12, used = 0;
    while (at < n && q[at] && used + q[at] + 1 < 255) {
        memcpy(out + used, q + at + 1, q[at]);
        used += q[at];
        out[used++] = '.';
        at += q[at] + 1u;
    }
    out[used ? used - 1 : 0] = 0;
    return at + 1; /* behind the name */
}

static inline size_t dns_add(uint8_t *p, const char *address, int family, int ttl)
{
    size_t size = family == AF_INET6 ? 16 : 4;
    const uint8_t head[] = {0xc0, 12, 0, family == AF_INET6 ? 28 : 1, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16), (uint8_t)(ttl >> 8),
                            (uint8_t)ttl, 0, (uint8_t)size};
    memcpy(p, head, sizeof(head));
    (void)inet_pton(family, address, p + sizeof(head));
    return sizeof(head) + size;
}

static inline void dns_on_query(void *ctx, int fd, uint32_t events)
{
    struct dns *d = ctx;
    uint8_t q[1024], type;
    char name[256];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(fd, q, 512, 0, (struct sockaddr *)&from, &from_len);
    (void)events;
    if (n < 17)
        return;
    size_t at = dns_name_of(q, (size_t)n, name);
    type = q[at + 1];
    *(type == 28 ? &d->asked_aaaa : &d->asked_a) += 1;
    const struct dns_name *found = NULL;
    for (size_t i = 0; i < d->n_names; i++)
        if (strcmp(name, d->names[i].name) == 0)
            found = &d->names[i];
    if (found && (found->ttl == -2 || (found->mute6 && type == 28)))
        return;
    size_t len = at + 4, answers = 0;
    const char *const *list = !found || found->ttl < 0 ? NULL : type == 28 ? found->aaaa : found->a;
    for (; list && answers < 4 && list[answers]; answers++)
        len += dns_add(q + len, list[answers], type == 28 ? AF_INET6 : AF_INET, found->ttl);
    q[2] = 0x81;
    q[3] = (uint8_t)(0x80 | (!found || found->ttl == -1 ? 3 : found->ttl == -3 ? 2 : 0));
    q[6] = 0;
    q[7] = (uint8_t)answers;
    memset(q + 8, 0, 4);
    (void)!sendto(fd, q, len, 0, (struct sockaddr *)&from, from_len);
}

static inline void dns_start(struct dns *d, struct loop *l, const struct dns_name *names, size_t n)
{
    struct why w = {0};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    memset(d, 0, sizeof(*d));
    d->names = names;
    d->n_names = n;
    d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(d->fd >= 0 && bind(d->fd, (struct sockaddr *)&sa, len) == 0 && getsockname(d->fd, (struct sockaddr *)&sa, &len) == 0);
    (void)snprintf(d->servers, sizeof(d->servers), "127.0.0.1:%u", ntohs(sa.sin_port));
    CHECK_OK(loop_watch(l, &(struct loop_source){d->fd, EPOLLIN, dns_on_query, d}, &d->watch, &w), w);
}

static inline void dns_stop(struct dns *d)
{
    loop_unwatch(d->watch);
    close(d->fd);
}

#endif
