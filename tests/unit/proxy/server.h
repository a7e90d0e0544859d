/*
 * Servers for tests of upstream connections: a throw-away CA and certificates made on the spot, a forked server on a free port of
 * 127.0.0.1 (one more process for each connection), plain or TLS, that obeys what the client writes, a line each:
 *   ping → "pong"        big → BIG bytes of 'x'      end → closes cleanly     cut → closes without close_notify
 *   rst → resets         half → "halfhalf", its TLS record in two parts 100 ms apart   late → "late" after 150 ms
 *   push → "pong", and 50 ms later an unasked "x"    bye → "pong", closes 50 ms later  two → "aabb" in two records at once
 *   sink → sleeps 200 ms, then reads BIG bytes of server_pattern() and says "sunk", or "diff"                         key → a TLS 1.3 key update, then "pong"
 *   who → the server name and the protocols that the client offered
 */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include "check.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVER_BIG = 300000 };

/* ---- certificates */

struct authority {
    EVP_PKEY *key;
    X509 *cert;
};
struct leaf {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, (char *)(uintptr_t)value);
    CHECK(e && X509_add_ext(cert, e, -1) == 1);
    X509_EXTENSION_free(e);
}

/* `san`: "DNS:localhost"; NULL: a CA. `from`, `to`: seconds from now. `ca` NULL: signed by itself. */
static inline struct leaf cert_make(const char *cn, const char *san, long from, long to, const struct authority *ca)
{
    static long serial = 1;
    struct leaf l = {EVP_EC_gen("P-256"), X509_new()};
    CHECK(l.key && l.cert);
    X509_set_version(l.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(l.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(l.cert), from);
    X509_gmtime_adj(X509_getm_notAfter(l.cert), to);
    X509_set_pubkey(l.cert, l.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(l.cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509 *issuer = ca ? ca->cert : l.cert;
    X509_set_issuer_name(l.cert, X509_get_subject_name(issuer));
    cert_extend(l.cert, issuer, NID_basic_constraints, san ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (san)
        cert_extend(l.cert, issuer, NID_subject_alt_name, san);
    CHECK(X509_sign(l.cert, ca ? ca->key : l.key, EVP_sha256()) > 0);
    return l;
}

static inline struct authority authority_new(const char *path, const char *name)
{
    struct leaf l = cert_make(name, NULL, -3600, 86400, NULL);
    FILE *f = fopen(path, "we");
    CHECK(f && PEM_write_X509(f, l.cert) == 1 && fclose(f) == 0);
    return (struct authority){l.key, l.cert};
}

static inline void leaf_free(struct leaf *l)
{
    EVP_PKEY_free(l->key);
    X509_free(l->cert);
}

/* ---- one connection, in a process of its own */

struct talk {
    int fd;
    SSL *ssl;
    BIO *out; /* what the TLS side wants to send */
};

static inline void talk_flush(struct talk *t, int parts)
{
    char *p;
    long n = t->out ? BIO_get_mem_data(t->out, &p) : 0;
    for (int i = 0; i < parts && n > 0; i++) {
        long part = i + 1 == parts ? n : n / 2;
        if (i > 0)
            usleep(100000);
        for (long at = 0; at < part;) {
            ssize_t sent = send(t->fd, p + at, (size_t)(part - at), MSG_NOSIGNAL);
            if (sent <= 0)
                _exit(0);
            at += sent;
        }
        p += part;
        n -= part;
    }
    if (t->out)
        (void)BIO_reset(t->out);
}

static inline void talk_say(struct talk *t, const char *p, int n, int parts)
{
    if (t->ssl) {
        if (SSL_write(t->ssl, p, n) <= 0)
            _exit(0);
        talk_flush(t, parts);
        return;
    }
    for (int at = 0; at < n;) {
        ssize_t sent = send(t->fd, p + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (sent <= 0)
            _exit(0);
        at += (int)sent;
    }
}

static inline int talk_read(struct talk *t, char *p, int n)
{
    int r = t->ssl ? SSL_read(t->ssl, p, n) : (int)recv(t->fd, p, (size_t)n, 0);
    talk_flush(t, 1);
    return r;
}

static inline void talk_reset(struct talk *t)
{
    const struct linger now = {1, 0};
    (void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(t->fd);
    _exit(0);
}

static inline void talk_clean(struct talk *t)
{
    if (t->ssl) {
        (void)SSL_shutdown(t->ssl);
        talk_flush(t, 1);
    }
    (void)shutdown(t->fd, SHUT_WR);
    char c;
    while (recv(t->fd, &c, 1, 0) > 0)
        ;
    _exit(0);
}

static inline char server_pattern(int i)
{
    return (char)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static inline void talk_sink(struct talk *t)
{
    static char room[65536];
    bool same = true;
    usleep(200000);
    for (int at = 0; at < SERVER_BIG;) {
        int left = SERVER_BIG - at, n = talk_read(t, room, left < (int)sizeof(room) ? left : (int)sizeof(room));
        if (n <= 0)
            _exit(0);
        for (int i = 0; i < n; i++)
            same = same && room[i] == server_pattern(at + i);
        at += n;
    }
    talk_say(t, same ? "sunk" : "diff", 4, 1);
}

static inline void talk_who(struct talk *t)
{
    char text[128];
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(t->ssl, &alpn, &n);
    int len = snprintf(text, sizeof(text), "%s %.*s", name ? name : "-", (int)n, alpn ? (const char *)alpn : "");
    talk_say(t, text, len, 1);
}

static inline void talk_obey(struct talk *t, const char *line)
{
    static char big[SERVER_BIG];
    if (strcmp(line, "ping") == 0) {
        talk_say(t, "pong", 4, 1);
    } else if (strcmp(line, "big") == 0) {
        memset(big, 'x', sizeof(big));
        talk_say(t, big, SERVER_BIG, 1);
    } else if (strcmp(line, "end") == 0) {
        talk_clean(t);
    } else if (strcmp(line, "cut") == 0) {
        close(t->fd);
        _exit(0);
    } else if (strcmp(line, "rst") == 0) {
        talk_reset(t);
    } else if (strcmp(line, "half") == 0) {
        talk_say(t, "halfhalf", 8, 2);
    } else if (strcmp(line, "late") == 0) {
        usleep(150000);
        talk_say(t, "late", 4, 1);
    } else if (strcmp(line, "push") == 0) {
        talk_say(t, "pong", 4, 1);
        usleep(50000);
        talk_say(t, "x", 1, 1);
    } else if (strcmp(line, "bye") == 0) {
        talk_say(t, "pong", 4, 1);
        usleep(50000);
        talk_clean(t);
    } else if (strcmp(line, "two") == 0) {
        (void)SSL_write(t->ssl, "aa", 2); /* stays in the memory BIO */
        talk_say(t, "bb", 2, 1);
    } else if (strcmp(line, "who") == 0) {
        talk_who(t);
    } else if (strcmp(line, "sink") == 0) {
        talk_sink(t);
    } else if (strcmp(line, "key") == 0) {
        (void)SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED);
        talk_say(t, "pong", 4, 1);
    }
}

static inline void talk_run(int fd, SSL_CTX *ctx)
{
    const int one = 1;
    struct talk t = {.fd = fd};
    char line[64];
    size_t n = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    alarm(20);
    if (ctx) {
        t.ssl = SSL_new(ctx);
        (void)SSL_set_fd(t.ssl, fd);
        if (SSL_accept(t.ssl) != 1)
            _exit(0);
        t.out = BIO_new(BIO_s_mem());
        SSL_set0_wbio(t.ssl, t.out);
    }
    while (n < sizeof(line) - 1 && talk_read(&t, line + n, 1) == 1) {
        if (line[n] != '\n') {
            n++;
            continue;
        }
        line[n] = 0;
        n = 0;
        talk_obey(&t, line);
    }
    _exit(0);
}

/* ---- the server */

enum server_kind { SERVER_TALKS, SERVER_MUTE /* accepts, never answers */, SERVER_GARBAGE /* "HTTP/1.1 400" at once */ };
struct server {
    pid_t pid;
    uint16_t port;
};
struct server_rules { /* zero: plain */
    const struct leaf *leaf;
    int version;      /* TLS1_2_VERSION: not above */
    const char *alpn; /* names it, asked or not: "\x02h2"; "": the only one offered */
    enum server_kind kind;
    const char *address; /* NULL: 127.0.0.1 */
    uint16_t port;       /* 0: a free one */
};

static inline int server_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *arg)
{
    const unsigned char *wire = arg;
    (void)ssl;
    if (*wire == 0) { /* whatever is offered */
        *out = in + 1;
        *out_n = in[0];
        return in_n == in[0] + 1u ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = wire + 1;
    *out_n = wire[0];
    return SSL_TLSEXT_ERR_OK;
}

static inline SSL_CTX *server_context(const struct server_rules *r)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx && SSL_CTX_use_certificate(ctx, r->leaf->cert) == 1 && SSL_CTX_use_PrivateKey(ctx, r->leaf->key) == 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
    if (r->version)
        SSL_CTX_set_max_proto_version(ctx, r->version);
    if (r->version && r->version < TLS1_2_VERSION)
        SSL_CTX_set_security_level(ctx, 0);
    if (r->alpn)
        SSL_CTX_set_alpn_select_cb(ctx, server_alpn, (void *)(uintptr_t)r->alpn);
    return ctx;
}

static inline void server_run(int listener, const struct server_rules *r, SSL_CTX *ctx)
{
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (fork() == 0) {
            if (r->kind == SERVER_TALKS)
                talk_run(fd, ctx);
            if (r->kind == SERVER_GARBAGE)
                (void)!write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
            sleep(20);
            _exit(0);
        }
        close(fd);
    }
}

static inline int server_listen(const char *address, uint16_t *port)
{
    const int one = 1;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t n = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(inet_pton(AF_INET, address ? address : "127.0.0.1", &sa.sin_addr), 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 128) == 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

static inline struct server server_start(const struct server_rules *r)
{
    struct server s = {.port = r->port};
    int fd = server_listen(r->address, &s.port);
    SSL_CTX *ctx = r->leaf ? server_context(r) : NULL;
    s.pid = fork();
    if (s.pid == 0) {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that failed */
        close(STDOUT_FILENO);                   /* nobody waits for its end */
        alarm(60);
        server_run(fd, r, ctx);
    }
    CHECK(s.pid > 0);
    (void)setpgid(s.pid, s.pid);
    close(fd);
    SSL_CTX_free(ctx);
    return s;
}

/* the server and its connections: a group of their own */
static inline void server_stop(struct server *s)
{
    if (s->pid > 0) {
        (void)kill(-s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}

/* A listener whose queue is full: connecting to it hangs. Gives the descriptors to close. */
static inline void server_black_hole(const char *address, uint16_t *port, int fd[4])
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    fd[0] = server_listen(address, port);
    CHECK_INT(listen(fd[0], 0), 0);
    (void)inet_pton(AF_INET, address, &sa.sin_addr);
    sa.sin_port = htons(*port);
    for (int i = 1; i < 4; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fd[i], (struct sockaddr *)&sa, sizeof(sa));
    }
    usleep(20000);
}

/* A port of 127.0.0.1 where nobody listens. */
static inline uint16_t server_dead_port(void)
{
    uint16_t port = 0;
    close(server_listen(NULL, &port));
    return port;
}

#endif
