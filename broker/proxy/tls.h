/*
 * TLS to upstreams (OpenSSL): 1.2 or better, the certificate checked against the host and one source of trust, sessions resumed. What is
 * never done: renegotiation, compression, early data, any protocol but http/1.1. Bytes travel over a struct wire.
 *
 * A `tls_peer` is whom one speaks to; connections to it share its session. Trust is loaded when first needed (the system's store is slow to
 * load) and again when a CA file has changed.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include "base/buf.h"
#include "proxy/host.h"
#include "proxy/wire.h"

enum { TLS_TRUSTS_MAX = 64, TLS_CA_PATH_MAX = 1024 };
struct tls;      /* trust, and what all connections share */
struct tls_peer; /* must outlive its connections */
struct tls_conn;

MUST err_t tls_new(struct tls **out, struct why *why);
void tls_free(struct tls *t); /* takes NULL; peers first */

/* `ca`: a PEM file to trust instead of the system's store; empty: the system's. */
MUST err_t tls_peer_new(struct tls *t, const struct host *host, struct view ca,
                        struct tls_peer **out, struct why *why);
void tls_peer_free(struct tls_peer *p); /* takes NULL */

/* A connection that has not shaken hands yet, on a connected socket that the caller goes on owning. ERR_INVALID, ERR_NOT_FOUND,
 * ERR_PERMISSION: the CA file. */
MUST err_t tls_open(struct tls_peer *p, struct wire *w, struct tls_conn **out, struct why *why);
void tls_close(
    struct tls_conn *c); /* quietly: nothing is sent, the session stays resumable; takes NULL */

/* ERR_OK with *done true: it is secure. ERR_OK, not done: waits for the wire. ERR_CORRUPT: the certificate does not verify, and why (never
 * in the peer's words); ERR_UNAVAILABLE: any other end. */
MUST err_t tls_handshake(struct tls_conn *c, bool *done, struct why *why);
bool tls_resumed(const struct tls_conn *c);

/* As read(2): 0 only after a close_notify; a connection that was cut is ECONNRESET; one that breaks the protocol EPROTO. */
ssize_t tls_read(struct tls_conn *c, void *p, size_t n);
/* Bytes taken, which is sent or kept for tls_flush; -1 with EAGAIN while something is kept. */
ssize_t tls_writev(struct tls_conn *c, const struct iovec *iov, size_t n);
/* `lean`: it will wait for long, and gives back what OpenSSL holds between two records (up to 34 KB); else it keeps that, which saves taking and
 * wiping it for each. A new connection is lean. */
void tls_lean(struct tls_conn *c, bool lean);
/* True: tls_read gives something at once, without the wire. */
bool tls_holds(const struct tls_conn *c);
/* Neither ended nor in the middle of a record in either direction. */
bool tls_at_rest(const struct tls_conn *c);
/* Sends what is kept; false: something still is (errno as of write(2)). An error shows again when reading or writing next. */
bool tls_flush(struct tls_conn *c);

#endif
