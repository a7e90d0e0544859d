/*
 * Sources of trust for proxy/tls.h: one SSL_CTX each.
 */
#ifndef PROXY_TLS_TRUST_H
#define PROXY_TLS_TRUST_H

#include "proxy/tls.h"
#include <openssl/ssl.h>

struct tls_trusts;
typedef int tls_session_fn(SSL *ssl, SSL_SESSION *session); /* SSL_CTX_sess_set_new_cb(3) */
MUST err_t tls_trusts_new(tls_session_fn *on_session, struct tls_trusts **out, struct why *why);
void tls_trusts_free(struct tls_trusts *t); /* takes NULL */
/* The context that trusts what `ca` holds ("": the system's store); a reference the caller frees with SSL_CTX_free(). It is another one than before
 * when the file has changed. */
MUST err_t tls_trusts_get(struct tls_trusts *t, const char *ca, SSL_CTX **out, struct why *why);

#endif
