#include "proxy/rewrite.h"

#include "base/auto.h"
#include "check.h"

#include <strings.h>

#define TOKEN "sk-ant-oat01-cbrk1_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_abcdef"

static struct route claude(void)
{
    struct route r = {.flags = ROUTE_TLS, .port = 443, .n_headers = 1, .n_secrets = 1};
    r.host = view_str("api.anthropic.com");
    r.header[0] = (struct route_header){view_str("authorization"), view_str("Bearer REAL")};
    r.merge = (struct route_header){view_str("anthropic-beta"), view_str("oauth-2025-04-20")};
    r.secret[0] = view_str("REAL");
    return r;
}

/* The rewritten head, in a static buffer. */
static const char *rewritten(const char *head, const struct route *r)
{
    static char text[8192];
    AUTO(buf_free) struct buf out = {0};
    struct gate_request rq;
    struct gate_refusal no;
    struct why w = {0};
    size_t used;
    CHECK_INT(gate_request(view_str(head), &rq, &used, &no), GATE_OK);
    CHECK_OK(rewrite_request(&rq, r, &out, &w), w);
    CHECK(view_copy(buf_view(&out), text, sizeof(text)));
    /* whatever was written is a request that the gate itself takes */
    CHECK_INT(gate_request(view_str(text), &rq, &used, &no), GATE_OK);
    CHECK_INT(used, strlen(text));
    return text;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (size_t i = 0; text[i]; i++)
        n += strncasecmp(text + i, what, strlen(what)) == 0;
    return n;
}

TEST(exactly_one_credential_goes_up_and_it_is_the_brokers)
{
    struct route r = claude();
    const char *t = rewritten("POST /v1/messages?beta=true HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer " TOKEN
                              "\r\nX-Api-Key: sk-mine\r\nx-goog-api-key: AIza\r\nCookie: session=1\r\nProxy-Authorization: Basic eDp5\r\n"
                              "X-Custom: " TOKEN "\r\nAccept: text/event-stream\r\nContent-Length: 2\r\n\r\n",
                              &r);
    CHECK_INT(count(t, "\r\nauthorization:"), 1);
    CHECK(strstr(t, "authorization: Bearer REAL\r\n") && !strstr(t, "cbrk1_") && !strstr(t, "sk-mine") && !strstr(t, "AIza"));
    CHECK(!strstr(t, "session=1") && !strstr(t, "eDp5") && count(t, "x-custom") == 0);
    CHECK(begins(t, "POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.anthropic.com\r\n"));
    CHECK(strstr(t, "Accept: text/event-stream\r\n") && strstr(t, "Content-Length: 2\r\n"));
}

TEST(a_name_that_a_server_reads_as_the_credentials_stays_behind)
{
    struct route r = claude();
    const char *t = rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nx_api_key: sk-mine\r\nX_Goog-Api_Key: sk-mine\r\napikey: sk-mine\r\n"
                              "x-authorization: sk-mine\r\nanthropic_beta: sk-mine\r\nproxy-x: sk-mine\r\n" TOKEN ": a\r\n\r\n", &r);
    CHECK(!strstr(t, "sk-mine") && !strstr(t, "cbrk1_"));
    r.header[0].name = view_str("x-vendor-key");
    t = rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX_Vendor_Key: sk-mine\r\n\r\n", &r);
    CHECK(!strstr(t, "sk-mine") && count(t, "\r\nx-vendor-key:") == 1);
}

TEST(the_beta_is_added_when_missing_and_not_twice)
{
    struct route r = claude();
    CHECK(strstr(rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "anthropic-beta: oauth-2025-04-20\r\n"));
    CHECK(strstr(rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAnthropic-Beta: a,b\r\n\r\n", &r), "anthropic-beta: a,b,oauth-2025-04-20\r\n"));
    const char *t = rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nanthropic-beta: oauth-2025-04-20, x\r\n\r\n", &r);
    CHECK_INT(count(t, "oauth-2025-04-20"), 1);
}

TEST(hop_by_hop_and_nominated_headers_stay_behind)
{
    struct route r = claude();
    const char *t = rewritten("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n"
                              "TE: trailers\r\nX-Forwarded-For: 1.2.3.4\r\nAccept-Encoding: gzip, br\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                              &r);
    CHECK_INT(count(t, "connection:") + count(t, "x-private") + count(t, "keep-alive") + count(t, "\r\nte:") + count(t, "x-forwarded") + count(t, "gzip") +
                  count(t, "expect"),
              0);
    CHECK_INT(count(t, "accept-encoding: identity"), 1);
}

TEST(the_key_parameters_of_a_query_stay_behind)
{
    struct route r = claude();
    CHECK(begins(rewritten("GET /v1/models?key=" TOKEN "&a=1&access_token=x&b=2&c=" TOKEN " HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "GET /v1/models?a=1&b=2 HTTP"));
    r.query = (struct route_header){view_str("key"), view_str("REAL")};
    CHECK(begins(rewritten("GET /v1/models?Key=mine&a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "GET /v1/models?a=1&key=REAL HTTP"));
    CHECK(begins(rewritten("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "GET /v1/models?key=REAL HTTP"));
    r.query.name = view_str("my-secret"); /* a name that only this route knows for one */
    CHECK(begins(rewritten("GET /v1/models?my_secret=mine&My-Secret=mine&my-secret[]=mine&my-secret[0]=mine&a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "GET /v1/models?a=1&my-secret=REAL HTTP"));
}

TEST(paths_are_mapped_at_a_segment_border)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"/v1/responses", "POST /backend-api/codex/responses HTTP"},
                {"/responses", "POST /backend-api/codex/responses HTTP"},
                {"/v1", "POST /backend-api/codex HTTP"},
                {"/v11/x", "POST /backend-api/codex/v11/x HTTP"}};
    struct route r = claude();
    r.strip = view_str("/v1");
    r.prefix = view_str("/backend-api/codex");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char head[128];
        (void)snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", rows[i].in);
        CHECK(strncmp(rewritten(head, &r), rows[i].out, strlen(rows[i].out)) == 0);
    }
}

TEST(the_port_is_named_where_it_is_not_the_usual_one)
{
    struct route r = claude();
    r.port = 8443;
    CHECK(strstr(rewritten("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "Host: api.anthropic.com:8443\r\n"));
    r.flags = 0;
    r.port = 80;
    CHECK(strstr(rewritten("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &r), "Host: api.anthropic.com\r\n"));
}

TEST(a_reply_loses_what_is_between_us_and_the_upstream)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n"
                               "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAlt-Svc: h3\r\nrequest-id: req_1\r\n\r\n";
    AUTO(buf_free) struct buf out = {0};
    struct gate_response rp;
    struct gate_refusal no;
    struct why w = {0};
    char text[1024];
    size_t used;
    CHECK_INT(gate_response(view_str(head), false, &rp, &used, &no), GATE_OK);
    struct rewrite_reply how = {.reply = &rp, .chunked = true};
    CHECK_OK(rewrite_response(&how, &out, &w), w);
    CHECK(view_copy(buf_view(&out), text, sizeof(text)));
    CHECK(strstr(text, "request-id: req_1\r\n") && strstr(text, "Transfer-Encoding: chunked\r\n") && strstr(text, "text/event-stream"));
    CHECK_INT(count(text, "set-cookie") + count(text, "x-hop") + count(text, "alt-svc") + count(text, "connection"), 0);
}
