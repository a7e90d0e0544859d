/*
 * Connections. Invariants: OpenSSL's error queue is empty between our calls, so its verdicts are about
 * the call just made; a peer's session was made under the trust it is used with; after the first
 * failure a connection repeats that failure and nothing else. A record never waits in OpenSSL for a
 * retry (proxy/tls_bio.h), hence no read that wants to write and no write that wants to read.
 */
#include "proxy/tls.h"
#include "base/auto.h"
#include "proxy/tls_bio.h"
#include "proxy/tls_trust.h"

#include <broker/secret.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
    RECORD = 16384, /* of plain text, at most: RFC 8446 section 5.1 */
    QUIET_MAX = 16, /* records without data (tickets, key updates) taken in one read */
    CLEAN_END = -1
};

struct tls {
    struct tls_trusts *trusts;
    BIO_METHOD *bio;
};
struct tls_peer {
    struct tls *tls;
    struct host host;
    char ca[TLS_CA_PATH_MAX];
    SSL_SESSION *session;
    SSL_CTX *trust; /* that the session was made under */
};
struct tls_conn {
    struct tls_peer *peer;
    SSL *ssl;
    struct tls_bio bio;
    int end;      /* 0: none; CLEAN_END; else an errno */
    bool swollen; /* OpenSSL made a buffer that it does not release by itself */
};

/* ---- what is shared */

static void auto_tls(struct tls **t)
{
    tls_free(*t);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_conn *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->peer->session);
    c->peer->session = session;
    return 1; /* ours now */
}

err_t tls_new(struct tls **out, struct why *why)
{
    AUTO(auto_tls) struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(tls_trusts_new(on_session, &t->trusts, why));
    t->bio = tls_bio_method();
    if (!t->bio)
        return fail(why, ERR_INTERNAL, "out of memory");
    *out = TAKE(t);
    return ERR_OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    tls_trusts_free(t->trusts);
    BIO_meth_free(t->bio);
    free(t);
}

err_t tls_peer_new(struct tls *t, const struct host *host, struct view ca, struct tls_peer **out,
                   struct why *why)
{
    struct tls_peer *p = calloc(1, sizeof(*p));
    if (!p)
        return fail(why, ERR_INTERNAL, "out of memory");
    p->tls = t;
    p->host = *host;
    if (!view_copy(ca, p->ca, sizeof(p->ca))) {
        free(p);
        return fail(why, ERR_INVALID, "the path of the CA file is too long");
    }
    *out = p;
    return ERR_OK;
}

static void forget_session(struct tls_peer *p)
{
    SSL_SESSION_free(p->session);
    p->session = NULL;
}

void tls_peer_free(struct tls_peer *p)
{
    if (!p)
        return;
    forget_session(p);
    SSL_CTX_free(p->trust);
    free(p);
}

/* ---- opening and closing */

static err_t take_trust(struct tls_peer *p, struct why *why)
{
    SSL_CTX *ctx = NULL;
    TRY(tls_trusts_get(p->tls->trusts, p->ca, &ctx, why));
    if (ctx != p->trust)
        forget_session(p);
    SSL_CTX_free(p->trust);
    p->trust = ctx;
    return ERR_OK;
}

/* The certificate must name the host that was asked for, in its subjectAltName (RFC 9525). */
static bool expect(SSL *ssl, const struct host *h)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (h->literal)
        return X509_VERIFY_PARAM_set1_ip_asc(param, h->text) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, h->text, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, h->text) == 1;
}

static bool prepare(struct tls_conn *c)
{
    c->ssl = SSL_new(c->peer->trust);
    BIO *bio = c->ssl ? tls_bio_new(c->peer->tls->bio, &c->bio) : NULL;
    if (!bio)
        return false;
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_app_data(c->ssl, c);
    SSL_set_connect_state(c->ssl);
    if (c->peer->session)
        (void)SSL_set_session(c->ssl, c->peer->session);
    return expect(c->ssl, &c->peer->host);
}

err_t tls_open(struct tls_peer *p, struct wire *w, struct tls_conn **out, struct why *why)
{
    TRY(take_trust(p, why));
    struct tls_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    c->peer = p;
    c->bio.wire = w;
    if (!prepare(c)) {
        tls_close(c);
        return fail(why, ERR_INTERNAL, "OpenSSL makes no connection");
    }
    *out = c;
    return ERR_OK;
}

void tls_close(struct tls_conn *c)
{
    if (!c)
        return;
    if (c->ssl && SSL_is_init_finished(c->ssl)) { /* else SSL_free() makes the session unusable */
        SSL_set_quiet_shutdown(c->ssl, 1);
        (void)SSL_shutdown(c->ssl);
    }
    SSL_free(c->ssl);
    ERR_clear_error();
    tls_bio_end(&c->bio);
    free(c);
}

/* ---- the handshake */

static const char *verdict_of(long code)
{
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "is not valid yet; is the clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "is for another host";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "is from an issuer that is not trusted";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "is not signed by the issuer it names";
    case X509_V_ERR_CERT_REVOKED:
        return "was revoked";
    case X509_V_ERR_INVALID_PURPOSE:
        return "is not for servers";
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return "is too weak";
    default:
        return NULL;
    }
}

static err_t handshake_failed(struct tls_conn *c, struct why *why)
{
    const char *host = c->peer->host.text;
    long code = SSL_get_verify_result(c->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error()); /* of OpenSSL's own table */
    forget_session(c->peer);
    if (code != X509_V_OK && verdict_of(code))
        return fail(why, ERR_CORRUPT, "the certificate of %s %s", host, verdict_of(code));
    if (code != X509_V_OK)
        return fail(why, ERR_CORRUPT, "the certificate of %s does not verify (code %ld)", host,
                    code);
    if (c->bio.eof || !reason)
        return fail(why, ERR_UNAVAILABLE, "%s closed the connection in the TLS handshake", host);
    return fail(why, ERR_UNAVAILABLE, "no TLS with %s: %s", host, reason);
}

/* OpenSSL takes whatever protocol the server names. */
static err_t check_protocol(struct tls_conn *c, struct why *why)
{
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(c->ssl, &name, &n);
    if (n > 0 && !view_is(VIEW(name, n), "http/1.1"))
        return fail(why, ERR_UNAVAILABLE, "%s speaks another protocol than HTTP/1.1",
                    c->peer->host.text);
    return ERR_OK;
}

err_t tls_handshake(struct tls_conn *c, bool *done, struct why *why)
{
    *done = false;
    (void)tls_bio_flush(&c->bio);
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        TRY(check_protocol(c, why));
        c->swollen = true;
        *done = true;
        return ERR_OK;
    }
    if (SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ)
        return ERR_OK;
    err_t e = handshake_failed(c, why);
    ERR_clear_error();
    return e;
}

bool tls_resumed(const struct tls_conn *c)
{
    return SSL_session_reused(c->ssl);
}

/* ---- bytes */

static ssize_t ended(const struct tls_conn *c)
{
    if (c->end == CLEAN_END)
        return 0;
    errno = c->end;
    return -1;
}

static void end_with(struct tls_conn *c, int error)
{
    if (error == SSL_ERROR_ZERO_RETURN)
        c->end = CLEAN_END;
    else if (c->bio.eof || error == SSL_ERROR_SYSCALL)
        c->end = ECONNRESET; /* cut, perhaps by somebody on the way: no end of a body */
    else
        c->end = EPROTO;
    ERR_clear_error();
}

/* One record's worth; 0: nothing now, or `end` is set. */
static size_t read_some(struct tls_conn *c, uint8_t *p, size_t n)
{
    for (int quiet = 0; quiet < QUIET_MAX; quiet++) {
        c->bio.starved = false;
        int r = SSL_read(c->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
        if (r > 0)
            return (size_t)r;
        int error = SSL_get_error(c->ssl, r);
        if (error != SSL_ERROR_WANT_READ) {
            end_with(c, error);
            return 0;
        }
        if (c->bio.starved)
            return 0;
        c->swollen = true;
    }
    return 0;
}

/* After a handshake and each ticket OpenSSL sits on 16 KB for writing until data are written. */
static void shrink(struct tls_conn *c)
{
    if (c->swollen && SSL_free_buffers(c->ssl) == 1)
        c->swollen = false;
}

ssize_t tls_read(struct tls_conn *c, void *p, size_t n)
{
    size_t got = 0;
    if (c->end == 0 && !c->bio.wire->readable && !SSL_has_pending(c->ssl)) {
        errno =
            EAGAIN; /* OpenSSL is not asked: it would take 17 KB for a record, and give them back, each time */
        return -1;
    }
    while (got < n && c->end == 0) {
        size_t more = read_some(c, (uint8_t *)p + got, n - got);
        got += more;
        if (more == 0 || !SSL_has_pending(c->ssl))
            break;
    }
    shrink(c);
    if (got > 0)
        return (ssize_t)got;
    if (c->end != 0)
        return ended(c);
    errno = EAGAIN;
    return -1;
}

void tls_lean(struct tls_conn *c, bool lean)
{
    if (!lean) {
        SSL_clear_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
        return;
    }
    SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    c->swollen = true;
    shrink(c);
}

bool tls_holds(const struct tls_conn *c)
{
    return c->end != 0 || (!c->bio.starved && SSL_has_pending(c->ssl));
}

bool tls_at_rest(const struct tls_conn *c)
{
    return c->end == 0 && c->bio.kept.len == 0 && !SSL_has_pending(c->ssl);
}

bool tls_flush(struct tls_conn *c)
{
    return tls_bio_flush(&c->bio);
}

/* What is next to be sent, from `at` on: a part of one piece, or several small ones put together in `room`, so that a head and a small
 * body are one record and one system call. */
static struct view next_record(const struct iovec *iov, size_t n, size_t at, uint8_t room[RECORD])
{
    size_t got = 0, i = 0;
    for (; i < n && at >= iov[i].iov_len; i++)
        at -= iov[i].iov_len;
    if (i < n && (i + 1 == n || iov[i].iov_len - at >= RECORD)) {
        size_t left = iov[i].iov_len - at;
        return VIEW((uint8_t *)iov[i].iov_base + at, left < RECORD ? left : RECORD);
    }
    for (; i < n && got < RECORD; i++, at = 0) {
        size_t left = iov[i].iov_len - at, take = left < RECORD - got ? left : RECORD - got;
        memcpy(room + got, (uint8_t *)iov[i].iov_base + at, take);
        got += take;
    }
    return VIEW(room, got);
}

ssize_t tls_writev(struct tls_conn *c, const struct iovec *iov, size_t n)
{
    uint8_t room[RECORD];
    size_t done = 0, gathered = 0;
    if (c->end <= 0 && !tls_flush(c)) {
        if (errno == EAGAIN)
            return -1;
        end_with(c, SSL_ERROR_SYSCALL);
    }
    while (c->end <= 0 && c->bio.kept.len == 0) {
        struct view v = next_record(iov, n, done, room);
        if (v.n == 0)
            break;
        gathered = v.p == room && v.n > gathered ? v.n : gathered;
        int r = SSL_write(c->ssl, v.p, (int)v.n);
        if (r <= 0)
            end_with(c, SSL_get_error(c->ssl, r));
        else
            done += (size_t)r;
    }
    wipe(room, gathered); /* a head holds the credential */
    if (done > 0 || c->end <= 0)
        return (ssize_t)done;
    return ended(c);
}
