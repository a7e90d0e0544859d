/*
 * The settings are one table-like function: what libcurl must not do stands there and nowhere else. Names are resolved by
 * getaddrinfo() in this thread, before libcurl runs and not by it: its own resolver starts a thread, which the sandbox forbids.
 * Sentences name the host and never hold a byte of request or answer.
 */
#include "oauth/http.h"

#include "base/auto.h"
#include "base/clock.h"
#include <broker/secret.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { URL_ROOM = 513, HOST_ROOM = 256, PIN_ROOM = 1024, CONNECT_MS = 10000, ADDRESSES = 6 };

/* TLS 1.2 only with forward secrecy and AEAD; TLS 1.3 has nothing else */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct call {
    CURL *curl;
    struct curl_slist *headers, *pins;
    char url[URL_ROOM], host[HOST_ROOM], port[8];
    bool tls;
    const struct http_ask *ask;
    struct http_reply *reply;
    size_t head;
    bool too_large;
};

static void call_free(struct call *c)
{
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->pins);
    wipe(c->url, sizeof(c->url));
}

/* ---- the URL */

static void auto_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void auto_text(char **s)
{
    curl_free(*s);
}

static bool part(CURLU *u, CURLUPart what, char *out, size_t room)
{
    AUTO(auto_text) char *text = NULL;
    return curl_url_get(u, what, &text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           view_copy(view_str(text), out, room) && out[0];
}

static err_t read_url(struct call *c, struct why *why)
{
    char scheme[16];
    AUTO(auto_url) CURLU *u = curl_url();
    if (!u || !view_copy(c->ask->url, c->url, sizeof(c->url)) ||
        curl_url_set(u, CURLUPART_URL, c->url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        !part(u, CURLUPART_SCHEME, scheme, sizeof(scheme)) ||
        !part(u, CURLUPART_HOST, c->host, sizeof(c->host)) ||
        !part(u, CURLUPART_PORT, c->port, sizeof(c->port)))
        return fail(why, ERR_INVALID, "the identity provider's URL cannot be used");
    c->tls = strcmp(scheme, "https") == 0;
    bool here = strcmp(c->host, "127.0.0.1") == 0 || strcmp(c->host, "[::1]") == 0 ||
                strcmp(c->host, "localhost") == 0;
    if (!c->tls && (strcmp(scheme, "http") != 0 || !c->ask->insecure_loopback || !here))
        return fail(why, ERR_INVALID, "%s is not asked without TLS", c->host);
    return ERR_OK;
}

/* ---- the address */

static bool is_literal(const char *host)
{
    struct in_addr four;
    return host[0] == '[' || inet_pton(AF_INET, host, &four) == 1;
}

static void add_address(const struct addrinfo *a, char *pin, size_t room)
{
    char text[INET6_ADDRSTRLEN];
    size_t n = strlen(pin);
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
        return;
    bool six = a->ai_family == AF_INET6;
    (void)snprintf(pin + n, room - n, "%s%s%s%s", pin[n - 1] == ':' ? "" : ",", six ? "[" : "",
                   text, six ? "]" : "");
}

static err_t pin_host(struct call *c, struct why *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char pin[PIN_ROOM];
    if (is_literal(c->host))
        return ERR_OK;
    (void)snprintf(pin, sizeof(pin), "%s:%s:", c->host, c->port);
    if (!c->tls) { /* localhost, whatever the hosts file says */
        (void)snprintf(pin + strlen(pin), sizeof(pin) - strlen(pin), "127.0.0.1,[::1]");
    } else {
        int e = getaddrinfo(c->host, c->port, &hints, &found);
        if (e != 0)
            return fail(why, ERR_UNAVAILABLE, "%s has no address: %s", c->host, gai_strerror(e));
        unsigned n = 0;
        for (const struct addrinfo *a = found; a && n < ADDRESSES; a = a->ai_next, n++)
            add_address(a, pin, sizeof(pin));
        freeaddrinfo(found);
    }
    c->pins = curl_slist_append(NULL, pin);
    return c->pins ? ERR_OK : fail(why, ERR_INTERNAL, "out of memory");
}

/* ---- what comes */

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct call *c = ctx;
    (void)p;
    c->head += size * n;
    c->too_large |= c->head > HTTP_HEAD_MAX;
    return c->too_large ? 0 : size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct call *c = ctx;
    buf_add(&c->reply->body, p, size * n);
    c->too_large |= c->reply->body.bad;
    return c->too_large ? 0 : size * n;
}

/* ---- the call */

static bool add_header(struct call *c, const char *line)
{
    struct curl_slist *more = curl_slist_append(c->headers, line);
    if (more)
        c->headers = more;
    return more != NULL;
}

static bool set_what_is_asked(struct call *c, int64_t left_ms)
{
    const struct http_ask *a = c->ask;
    CURL *h = c->curl;
    return add_header(c, a->form ? "Content-Type: application/x-www-form-urlencoded"
                                 : "Content-Type: application/json") &&
           add_header(c, "Accept: application/json") && add_header(c, "Expect:") &&
           curl_easy_setopt(h, CURLOPT_URL, c->url) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_POSTFIELDS, (const char *)a->body.p) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->body.n) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_USERAGENT, "credential-broker/" BROKER_VERSION) ==
               CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_head) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_HEADERDATA, c) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_WRITEDATA, c) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)(left_ms < CONNECT_MS ? left_ms : CONNECT_MS)) == CURLE_OK;
}

/* What libcurl would do by itself, and must not. */
static bool set_what_is_not(struct call *c)
{
    CURL *h = c->curl;
    return curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, c->tls ? "https" : "http") == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_DNS_SHUFFLE_ADDRESSES, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_VERBOSE, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_NOPROGRESS, 1L) == CURLE_OK;
}

static bool set_whom_to_trust(struct call *c)
{
    CURL *h = c->curl;
    if (c->ask->ca && (curl_easy_setopt(h, CURLOPT_CAPATH, NULL) != CURLE_OK ||
                       curl_easy_setopt(h, CURLOPT_CAINFO, c->ask->ca) != CURLE_OK))
        return false;
    return curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_CIPHER_LIST, ciphers) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_RESOLVE, c->pins) == CURLE_OK;
}

static void take_facts(struct call *c)
{
    long status = 0, request = 0;
    curl_off_t after = 0;
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c->curl, CURLINFO_REQUEST_SIZE, &request);
    (void)curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &after);
    c->reply->status = status > 0 && status < 1000 ? (unsigned)status : 0;
    c->reply->sent = request > 0;
    c->reply->retry_ms = after <= 0                         ? 0
                         : after > HTTP_RETRY_MAX_MS / 1000 ? HTTP_RETRY_MAX_MS
                                                            : after * 1000;
}

static err_t outcome(const struct call *c, CURLcode code, struct why *why)
{
    if (code == CURLE_OK)
        return ERR_OK;
    if (c->too_large)
        return fail(why, ERR_TOO_LARGE, "the answer of %s is too large", c->host);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail(why, ERR_TIMEOUT, "%s did not answer in time", c->host);
    return fail(why, ERR_UNAVAILABLE, "%s: %s", c->host, curl_easy_strerror(code));
}

err_t http_post(const struct http_ask *ask, struct http_reply *out, struct why *why)
{
    AUTO(call_free) struct call c = {.ask = ask, .reply = out};
    int64_t until = clock_boot_ms() + ask->timeout_ms;
    out->body.max = HTTP_REPLY_MAX;
    TRY(read_url(&c, why));
    TRY(pin_host(&c, why));
    int64_t left = until - clock_boot_ms();
    if (left <= 0)
        return fail(why, ERR_TIMEOUT, "the address of %s was not found in time", c.host);
    c.curl = curl_easy_init();
    if (!c.curl || !set_what_is_asked(&c, left) || !set_what_is_not(&c) || !set_whom_to_trust(&c))
        return fail(why, ERR_INTERNAL, "libcurl does not take its settings");
    CURLcode code = curl_easy_perform(c.curl);
    take_facts(&c);
    return outcome(&c, code, why);
}
