/*
 * Connections to upstreams: resolved, connected in the manner of happy eyeballs (RFC 8305), TLS 1.2 or better with verification and SNI, session
 * resumption, kept alive in a pool per origin. Everything is non-blocking and driven by the loop. No HTTP here: bytes only.
 *
 * A connection is handed out to one user at a time. It goes back to the pool only when its user says that the last reply ended cleanly.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "base/loop.h"
#include "base/route.h"
#include <sys/types.h>
#include <sys/uio.h>

enum {
    UPSTREAM_CONNECT_MS = 10000, /* resolve, connect and handshake together */
    UPSTREAM_IDLE_MS = 55000,    /* kept alive at most */
    UPSTREAM_IDLE_MAX = 64       /* idle ones kept per origin */
};
struct upstreams;
struct upstream;
struct upstream_limits { /* NULL where asked for: the values above */
    int connect_ms, idle_ms;
    unsigned idle_max;
    const char
        *name_servers; /* "10.0.0.2:53,…", must outlive it; NULL: those of /etc/resolv.conf */
};
/* Make it before sandbox_enter(SANDBOX_PROXY, …) and let Landlock leave these readable; all are read again while it works: /etc/hosts,
 * /etc/resolv.conf and the directory it may be a link into (/run/systemd/resolve, /run/resolvconf, /run/NetworkManager), /dev/urandom (c-ares
 * would else fall back to guessable query ids), the system's certificates (/etc/ssl, /usr/lib/ssl, /usr/share/ca-certificates,
 * /usr/local/share/ca-certificates, /etc/pki, /etc/ca-certificates) and every CA file a route may name. Of a file that is replaced by rename its
 * directory must be readable. /etc/nsswitch.conf, openssl.cnf and environment variables but SSL_CERT_FILE and SSL_CERT_DIR are not looked at. */
MUST err_t upstreams_new(struct loop *l, const struct upstream_limits *limits,
                         struct upstreams **out, struct why *why);
void upstreams_free(struct upstreams *us); /* takes NULL; all must have been given back */

struct upstream_user {
    void *ctx;
    /* Once after upstream_take: ERR_OK, it can be written; else it is gone already (never to be given back) and `why` names the fault:
     * ERR_DENIED an address that is not allowed, ERR_UNAVAILABLE no connection or a reset, ERR_TIMEOUT, ERR_CORRUPT the certificate does not
     * verify. May be called before upstream_take returns. */
    void (*on_ready)(void *ctx, err_t e, const struct why *why);
    /* What was asked for by upstream_want may be possible now; or the other side ended: reading tells. */
    void (*on_event)(void *ctx);
};
/* Takes an idle connection of the same origin, flags and CA, or makes one; `fresh`: never an idle one. *out is set before any callback. */
MUST err_t upstream_take(struct upstreams *us, const struct route *r, bool fresh,
                         const struct upstream_user *user, struct upstream **out, struct why *why);
/* Bytes; 0: the other side ended (cleanly: TLS close_notify or FIN); -1 with errno EAGAIN, or another errno: broken. TLS renegotiation and
 * early data are off. */
ssize_t upstream_read(struct upstream *u, void *p, size_t n);
ssize_t upstream_writev(struct upstream *u, const struct iovec *iov, int n);
/* Which of the two on_event is to be called for (level-triggered; a hidden need of TLS is looked after inside). Bytes that TLS holds
 * decrypted count as readable. */
void upstream_want(struct upstream *u, bool read, bool write);
/* It will wait for long: what it holds for speed alone is given back, until it is taken anew. */
void upstream_rest(struct upstream *u);
bool upstream_reused(const struct upstream *u); /* it carried a request before */
/* Gives it back: `clean`: into the pool, else it is closed at once (which cancels what runs there). Takes NULL. */
void upstream_give(struct upstream *u, bool clean);
/* For metrics and tests. */
struct upstream_counts {
    unsigned open, idle;
    uint64_t made, reused, resumed;
};
struct upstream_counts upstream_count(const struct upstreams *us);

#endif
