/*
 * One SSL_CTX per source of trust, made when it is first needed. The system's store is a directory
 * of hashed names on Debian (OpenSSL then reads one file per issuer when it meets it) or one bundle
 * elsewhere (25 ms, once). openssl.cnf is not read: what is allowed here is decided here.
 * Invariant: a context is never changed after it was handed out; a new CA file gives a new one.
 */
#include "proxy/tls_trust.h"
#include "base/auto.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

/* TLS 1.2 only with forward secrecy and AEAD; TLS 1.3 has nothing else */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct trust {
    char ca[TLS_CA_PATH_MAX]; /* "": the system's store */
    struct stat file;
    SSL_CTX *ctx;
    TAILQ_ENTRY(trust) link;
};
TAILQ_HEAD(trust_list, trust);
struct tls_trusts {
    tls_session_fn *on_session;
    struct trust_list list; /* last used first */
    unsigned n;
};

static void auto_ctx(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static bool configure(SSL_CTX *ctx)
{
    static const uint8_t alpn[] = "\x08http/1.1";
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1); /* a whole record per call instead of its head and its body */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(ctx, 2);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, ciphers) == 1 &&
           SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0;
}

static err_t load(SSL_CTX *ctx, const char *ca, struct why *why)
{
    if (!*ca) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1)
            return fail(why, ERR_INTERNAL, "the system's certificate store cannot be used");
        return ERR_OK;
    }
    if (access(ca, R_OK) < 0)
        return fail_errno(why, errno, "%s", ca);
    if (SSL_CTX_load_verify_file(ctx, ca) != 1)
        return fail(why, ERR_INVALID, "%s holds no certificate in PEM form", ca);
    return ERR_OK;
}

static err_t make(const struct tls_trusts *t, const char *ca, SSL_CTX **out, struct why *why)
{
    AUTO(auto_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || !configure(ctx))
        return fail(why, ERR_INTERNAL, "OpenSSL makes no context");
    SSL_CTX_sess_set_new_cb(ctx, t->on_session);
    err_t e = load(ctx, ca, why);
    ERR_clear_error();
    if (e == ERR_OK)
        *out = TAKE(ctx);
    return e;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0;
}

static void drop(struct tls_trusts *t, struct trust *x)
{
    TAILQ_REMOVE(&t->list, x, link);
    t->n--;
    SSL_CTX_free(x->ctx);
    free(x);
}

static err_t add(struct tls_trusts *t, const char *ca, const struct stat *file, struct why *why)
{
    struct trust *x = calloc(1, sizeof(*x));
    if (!x)
        return fail(why, ERR_INTERNAL, "out of memory");
    err_t e = make(t, ca, &x->ctx, why);
    if (e != ERR_OK) {
        free(x);
        return e;
    }
    (void)snprintf(x->ca, sizeof(x->ca), "%s", ca);
    x->file = *file;
    if (t->n >= TLS_TRUSTS_MAX)
        drop(t, TAILQ_LAST(&t->list, trust_list));
    TAILQ_INSERT_HEAD(&t->list, x, link);
    t->n++;
    return ERR_OK;
}

err_t tls_trusts_get(struct tls_trusts *t, const char *ca, SSL_CTX **out, struct why *why)
{
    struct stat file = {0};
    struct trust *x = TAILQ_FIRST(&t->list);
    if (*ca && stat(ca, &file) < 0)
        return fail_errno(why, errno, "%s", ca);
    while (x && strcmp(x->ca, ca) != 0)
        x = TAILQ_NEXT(x, link);
    if (x && same_file(&x->file, &file)) {
        TAILQ_REMOVE(&t->list, x, link);
        TAILQ_INSERT_HEAD(&t->list, x, link);
    } else {
        if (x)
            drop(t, x);
        TRY(add(t, ca, &file, why));
        x = TAILQ_FIRST(&t->list);
    }
    (void)SSL_CTX_up_ref(x->ctx);
    *out = x->ctx;
    return ERR_OK;
}

err_t tls_trusts_new(tls_session_fn *on_session, struct tls_trusts **out, struct why *why)
{
    struct tls_trusts *t = calloc(1, sizeof(*t));
    if (!t)
        return fail(why, ERR_INTERNAL, "out of memory");
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) {
        free(t);
        return fail(why, ERR_INTERNAL, "OpenSSL does not start");
    }
    TAILQ_INIT(&t->list);
    t->on_session = on_session;
    *out = t;
    return ERR_OK;
}

void tls_trusts_free(struct tls_trusts *t)
{
    struct trust *x;
    if (!t)
        return;
    while ((x = TAILQ_FIRST(&t->list)))
        drop(t, x);
    free(t);
}
