/*
 * What OpenSSL reads from and writes to: a struct wire. Writing always succeeds: what the socket does not take is kept here, so that a record
 * once made need not be offered again with the very same bytes (SSL_write's retry rule) and our callers see plain write(2) semantics.
 */
#ifndef PROXY_TLS_BIO_H
#define PROXY_TLS_BIO_H

#include "base/buf.h"
#include "proxy/wire.h"
#include <openssl/bio.h>

struct tls_bio { /* in its connection; zero but for the wire */
    struct wire *wire;
    struct buf kept;
    size_t sent;  /* of `kept` */
    bool starved; /* the last read found nothing on the wire */
    bool eof;
};
BIO_METHOD *tls_bio_method(void); /* to be freed with BIO_meth_free(3); NULL: out of memory */
BIO *tls_bio_new(const BIO_METHOD *m, struct tls_bio *b);
bool tls_bio_flush(struct tls_bio *b); /* nothing is kept any more */
void tls_bio_end(struct tls_bio *b);

#endif
