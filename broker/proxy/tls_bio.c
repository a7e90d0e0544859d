/*
 * The BIO between OpenSSL and a wire. Invariant: bytes leave in the order they were written: nothing
 * goes to the socket directly while something is kept.
 */
#include "proxy/tls_bio.h"

#include <errno.h>

enum {
    KEPT_MAX = 256 * 1024
}; /* a handshake's flight or a few records: more is never written at once */

static bool keep(struct tls_bio *b, const char *p, size_t n)
{
    b->kept.max = KEPT_MAX;
    buf_add(&b->kept, p, n);
    return !b->kept.bad;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls_bio *b = BIO_get_data(bio);
    const struct iovec iov = {(void *)(uintptr_t)p, (size_t)n};
    ssize_t sent = 0;
    BIO_clear_retry_flags(bio);
    if (b->kept.len == 0) {
        sent = wire_sendv(b->wire, &iov, 1);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        sent = sent < 0 ? 0 : sent;
    }
    return sent == n || keep(b, p + sent, (size_t)(n - sent)) ? n : -1;
}

static int bio_read(BIO *bio, char *p, int n)
{
    struct tls_bio *b = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = wire_recv(b->wire, p, (size_t)n);
    b->starved = got < 0 && errno == EAGAIN;
    b->eof = got == 0;
    if (b->starved)
        BIO_set_retry_read(bio);
    return (int)got;
}

static long bio_ctrl(BIO *bio, int cmd, long larg, void *parg)
{
    const struct tls_bio *b = BIO_get_data(bio);
    (void)larg;
    (void)parg;
    if (cmd == BIO_CTRL_EOF)
        return b->eof;
    return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");
    if (m && BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        return m;
    BIO_meth_free(m);
    return NULL;
}

BIO *tls_bio_new(const BIO_METHOD *m, struct tls_bio *b)
{
    BIO *bio = BIO_new(m);
    if (!bio)
        return NULL;
    BIO_set_data(bio, b);
    BIO_set_init(bio, 1);
    return bio;
}

bool tls_bio_flush(struct tls_bio *b)
{
    while (b->sent < b->kept.len) {
        const struct iovec iov = {b->kept.p + b->sent, b->kept.len - b->sent};
        ssize_t n = wire_sendv(b->wire, &iov, 1);
        if (n < 0)
            return false;
        b->sent += (size_t)n;
    }
    if (b->kept.len > 0)
        tls_bio_end(b);
    return true;
}

void tls_bio_end(struct tls_bio *b)
{
    buf_free(&b->kept);
    b->sent = 0;
}
