/*
 * Stands in for GnuTLS, which Debian's libmicrohttpd wants and this worker never uses: it speaks
 * HTTP on Unix sockets only. Without these, a process that parses hostile bytes would initialise a
 * TLS library, a PKCS #11 loader and six libraries behind them: 2 MiB and two milliseconds for
 * nothing but surface. Linked against libmicrohttpd.a they make GnuTLS unnecessary; against the
 * shared library they are found first, so that what is mapped stays asleep.
 * libmicrohttpd calls only the first two without TLS; any other call is a mistake and ends the
 * process.
 */
#include <stdlib.h>

int gnutls_global_init(void);
void gnutls_global_deinit(void);
extern void *(*const gnutls_malloc)(size_t n);

int gnutls_global_init(void)
{
    return 0;
}

void gnutls_global_deinit(void)
{
}

void *(*const gnutls_malloc)(size_t n) = malloc;

#define ABSENT(name)                                                                               \
    _Noreturn void name(void);                                                                     \
    _Noreturn void name(void)                                                                      \
    {                                                                                              \
        abort();                                                                                   \
    }
ABSENT(gnutls_alpn_set_protocols)
ABSENT(gnutls_bye)
ABSENT(gnutls_certificate_allocate_credentials)
ABSENT(gnutls_certificate_free_credentials)
ABSENT(gnutls_certificate_server_set_request)
ABSENT(gnutls_certificate_set_dh_params)
ABSENT(gnutls_certificate_set_retrieve_function2)
ABSENT(gnutls_certificate_set_retrieve_function3)
ABSENT(gnutls_certificate_set_x509_key_mem)
ABSENT(gnutls_certificate_set_x509_key_mem2)
ABSENT(gnutls_certificate_set_x509_trust_mem)
ABSENT(gnutls_cipher_get)
ABSENT(gnutls_credentials_set)
ABSENT(gnutls_deinit)
ABSENT(gnutls_dh_params_deinit)
ABSENT(gnutls_dh_params_import_pkcs3)
ABSENT(gnutls_dh_params_init)
ABSENT(gnutls_handshake)
ABSENT(gnutls_init)
ABSENT(gnutls_priority_deinit)
ABSENT(gnutls_priority_init)
ABSENT(gnutls_priority_set)
ABSENT(gnutls_protocol_get_version)
ABSENT(gnutls_psk_allocate_server_credentials)
ABSENT(gnutls_psk_free_server_credentials)
ABSENT(gnutls_psk_set_server_credentials_function)
ABSENT(gnutls_record_check_pending)
ABSENT(gnutls_record_get_direction)
ABSENT(gnutls_record_recv)
ABSENT(gnutls_record_send)
ABSENT(gnutls_session_get_ptr)
ABSENT(gnutls_session_set_ptr)
ABSENT(gnutls_strerror)
ABSENT(gnutls_transport_set_int2)

/* libmicrohttpd.a sets TCP_NODELAY and TCP_CORK around each answer, which a Unix socket refuses each time: with --wrap=setsockopt its
 * calls come here. The program itself sets no socket options. */
int __wrap_setsockopt(int fd, int level, int option, const void *value, unsigned n);
int __wrap_setsockopt(int fd, int level, int option, const void *value, unsigned n)
{
    (void)fd;
    (void)level;
    (void)option;
    (void)value;
    (void)n;
    return 0;
}
