/* provider/inject.c: which credential goes where, in which header, and what must never come back. */
#include "provider/inject.h"

#include "base/auto.h"
#include "check.h"

#include <broker/secret.h>

static struct why why;

struct made {
    struct buf scratch, bytes;
    struct route r, back;
};

static void made_free(struct made *m)
{
    buf_free(&m->scratch);
    buf_free(&m->bytes);
}

static err_t make(const char *provider, const struct cred *c, const struct inject_upstream *up, struct made *m)
{
    static const struct inject_upstream own = {0};
    *m = (struct made){.scratch.max = 1 << 20, .bytes.max = 1 << 20};
    TRY(inject_route(provider_by_name(view_str(provider)), c, up ? up : &own, &m->scratch, &m->r, &why));
    TRY(route_encode(&m->r, &m->bytes, &why));
    return route_decode(buf_view(&m->bytes), &m->back, &why);
}

static struct cred cred_of(const char *kind, enum cred_field f, const char *value)
{
    struct cred c = {0};
    c.f[CF_KIND] = view_str(kind);
    c.f[f] = view_str(value);
    return c;
}

static bool header_is(const struct made *m, unsigned i, const char *name, const char *value)
{
    return i < m->back.n_headers && view_is(m->back.header[i].name, name) && view_is(m->back.header[i].value, value);
}

TEST(each_kind_in_its_own_header)
{
    static const struct {
        const char *provider, *kind, *host, *name, *value, *strip, *prefix;
        enum cred_field f;
        enum route_dialect dialect;
    } rows[] = {
        {"anthropic", "api_key", "api.anthropic.com", "x-api-key", "SECRET", "", "", CF_SECRET, ROUTE_ANTHROPIC},
        {"claude", "login", "api.anthropic.com", "authorization", "Bearer SECRET", "", "", CF_ACCESS_TOKEN, ROUTE_ANTHROPIC},
        {"claude", "setup_token", "api.anthropic.com", "authorization", "Bearer SECRET", "", "", CF_SECRET, ROUTE_ANTHROPIC},
        {"codex", "login", "chatgpt.com", "authorization", "Bearer SECRET", "/v1", "/backend-api/codex", CF_ACCESS_TOKEN, ROUTE_OPENAI},
        {"codex", "api_key", "api.openai.com", "authorization", "Bearer SECRET", "", "", CF_SECRET, ROUTE_OPENAI},
        {"openai", "api_key", "api.openai.com", "authorization", "Bearer SECRET", "", "", CF_SECRET, ROUTE_OPENAI},
        {"gemini", "api_key", "generativelanguage.googleapis.com", "x-goog-api-key", "SECRET", "", "", CF_SECRET, ROUTE_GEMINI},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(made_free) struct made m;
        struct cred c = cred_of(rows[i].kind, rows[i].f, "SECRET");
        CHECK_OK(make(rows[i].provider, &c, NULL, &m), why);
        CHECK(header_is(&m, 0, rows[i].name, rows[i].value));
        CHECK_INT(m.back.n_headers, 1);
        CHECK(view_is(m.back.host, rows[i].host) && m.back.port == 443 && m.back.flags == (ROUTE_TLS | (rows[i].f == CF_ACCESS_TOKEN ? ROUTE_RENEWS : 0)) && m.back.ca.n == 0);
        CHECK(view_is(m.back.strip, rows[i].strip) && view_is(m.back.prefix, rows[i].prefix) && view_is(m.back.provider, rows[i].provider));
        CHECK(m.back.dialect == rows[i].dialect && m.back.query.name.n == 0);
        CHECK(m.back.n_secrets == 1 && view_is(m.back.secret[0], "SECRET"));
        bool claude = strcmp(rows[i].provider, "claude") == 0;
        CHECK(view_is(m.back.merge.name, claude ? "anthropic-beta" : "") && view_is(m.back.merge.value, claude ? "oauth-2025-04-20" : ""));
    }
}

TEST(the_account_goes_along_and_no_other_field_does)
{
    AUTO(made_free) struct made m;
    struct cred c = cred_of("login", CF_ACCESS_TOKEN, "ACCESS");
    c.f[CF_REFRESH_TOKEN] = view_str("REFRESH");
    c.f[CF_ID_TOKEN] = view_str("IDTOKEN");
    c.f[CF_ACCOUNT] = view_str("acc-1");
    CHECK_OK(make("codex", &c, NULL, &m), why);
    CHECK(header_is(&m, 1, "chatgpt-account-id", "acc-1") && m.back.n_headers == 2);
    CHECK(!memmem(m.bytes.p, m.bytes.len, "REFRESH", 7) && !memmem(m.bytes.p, m.bytes.len, "IDTOKEN", 7));
}

TEST(an_operators_upstream_replaces_the_origin)
{
    AUTO(made_free) struct made m;
    struct cred c = cred_of("api_key", CF_SECRET, "SECRET");
    struct inject_upstream up = {.host = view_str("gw.example"), .port = 8443, .tls = true, .ca = view_str("/own.pem"), .private_hosts = true};
    CHECK_OK(make("anthropic", &c, &up, &m), why);
    CHECK(view_is(m.back.host, "gw.example") && m.back.port == 8443 && view_is(m.back.ca, "/own.pem"));
    CHECK_INT(m.back.flags, ROUTE_TLS | ROUTE_PRIVATE);
}
TEST(an_operators_upstream_may_be_in_the_clear)
{
    AUTO(made_free) struct made m;
    struct cred c = cred_of("login", CF_ACCESS_TOKEN, "SECRET");
    struct inject_upstream up = {.host = view_str("127.0.0.1"), .port = 80, .private_hosts = true};
    CHECK_OK(make("codex", &c, &up, &m), why);
    CHECK_INT(m.back.flags & ~(unsigned)ROUTE_RENEWS, ROUTE_PRIVATE);
    CHECK(view_is(m.back.prefix, "/backend-api/codex"));
}

/* ---- generic */

static struct cred generic(const char *origin, const char *header, const char *secret)
{
    struct cred c = cred_of("generic", CF_SECRET, secret);
    c.f[CF_ORIGIN] = origin ? view_str(origin) : VIEW(NULL, 0);
    c.f[CF_HEADER] = header ? view_str(header) : VIEW(NULL, 0);
    return c;
}

TEST(a_generic_header)
{
    AUTO(made_free) struct made m;
    struct cred c = generic("https://api.example:444", "X-Key: v=  {} ;", "s3 cret");
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK(header_is(&m, 0, "X-Key", "v=  s3 cret ;"));
    CHECK(view_is(m.back.host, "api.example") && m.back.port == 444 && m.back.flags == ROUTE_TLS && m.back.dialect == ROUTE_PLAIN);
    CHECK(m.back.n_secrets == 1 && view_is(m.back.secret[0], "s3 cret"));
}

TEST(basic_authentication)
{
    AUTO(made_free) struct made m;
    struct cred c = generic("https://api.example", "Authorization: Basic {basic}", "open sesame");
    c.f[CF_USERNAME] = view_str("Aladdin");
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK(header_is(&m, 0, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")); /* RFC 7617 section 2 */
    CHECK(m.back.n_secrets == 2 && view_is(m.back.secret[0], "open sesame") && view_is(m.back.secret[1], "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

TEST(basic_without_a_user_name_and_with_bytes_of_every_kind)
{
    AUTO(made_free) struct made m;
    struct cred c = generic("https://api.example", "Authorization: Basic {basic}", "\xff\xfe?>~");
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK(header_is(&m, 0, "Authorization", "Basic Ov/+Pz5+"));
}

TEST(a_query_parameter_is_percent_encoded)
{
    AUTO(made_free) struct made m;
    struct cred c = generic("https://api.example", "query:api_key={}", "a+b/c&d=\xc3\xa9-._~");
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK_INT(m.back.n_headers, 0);
    CHECK(view_is(m.back.query.name, "api_key") && view_is(m.back.query.value, "a%2Bb%2Fc%26d%3D%C3%A9-._~"));
    CHECK(m.back.n_secrets == 2 && view_is(m.back.secret[1], "a%2Bb%2Fc%26d%3D%C3%A9-._~"));
}

TEST(loopback_in_the_clear_is_private)
{
    AUTO(made_free) struct made m;
    struct cred c = generic("http://127.0.0.1:99", "X-Key: {}", "secret");
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK(m.back.flags == ROUTE_PRIVATE && m.back.port == 99);
}

TEST(without_origin_or_template_there_is_no_route)
{
    AUTO(made_free) struct made a, b, c;
    struct cred none = generic(NULL, "X-Key: {}", "secret"), bare = generic("https://api.example", NULL, "secret"), empty = generic("https://a", "X: {}", "");
    CHECK_INT(make("generic", &none, NULL, &a), ERR_CONFLICT);
    CHECK(strstr(why.text, "--origin"));
    CHECK_INT(make("generic", &bare, NULL, &b), ERR_CONFLICT);
    CHECK(strstr(why.text, "--header"));
    CHECK_INT(make("generic", &empty, NULL, &c), ERR_CONFLICT);
}

TEST(a_secret_that_would_end_the_header_has_no_route)
{
    static const char *const bad[] = {"a\r\nHost: evil", "a\nb", "\xc3\xa9", "ends "};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(made_free) struct made m;
        struct cred c = generic("https://api.example", "X-Key: {}", bad[i]);
        CHECK_INT(make("generic", &c, NULL, &m), ERR_INVALID);
    }
}

TEST(a_secret_of_the_largest_size_moves_no_view)
{
    static char big[SECRET_MAX - 600];
    AUTO(made_free) struct made m;
    memset(big, 'x', sizeof(big));
    struct cred c = generic("https://api.example", "X-Key: {}", "x");
    c.f[CF_SECRET] = VIEW(big, 19000);
    CHECK_OK(make("generic", &c, NULL, &m), why);
    CHECK(m.back.header[0].value.n == 19000 && view_eq(m.back.header[0].value, VIEW(big, 19000)));
}

TEST(templates)
{
    static const char *const bad[] = {"", "X", "X-Key", ": {}", "X-Key:", "X-Key: x", "X-Key: {}{}", "X-Key: {basic}{}", "X-Key: {}{basic}",
                                      "X-Key: {basic}{basic}", "X Key: {}", "X-Key: \x01{}", "query:", "query:={}", "query:a={}x", "query:a", "query:a b={}",
                                      "query:a&b={}", "query:a%20={}", "query:a+b={}", "query:{}={}", "query:a=b={}"};
    struct inject_template t;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (inject_template(view_str(bad[i]), &t))
            printf("    taken: %s\n", bad[i]);
        CHECK(!inject_template(view_str(bad[i]), &t));
    }
    CHECK(inject_template(view_str("a:{}"), &t) && view_is(t.name, "a") && t.before.n == 0 && t.after.n == 0 && !t.basic && !t.query);
    CHECK(inject_template(view_str("query:a={}"), &t) && t.query && view_is(t.name, "a"));
}

TEST(kinds_that_do_not_exist_have_no_route)
{
    AUTO(made_free) struct made m;
    struct cred c = cred_of("login", CF_ACCESS_TOKEN, "x");
    CHECK_INT(make("openai", &c, NULL, &m), ERR_CONFLICT);
    CHECK(inject_origin(provider_by_name(view_str("openai")), &c).n == 0);
    struct cred key = cred_of("api_key", CF_SECRET, "x");
    CHECK(view_is(inject_origin(provider_by_name(view_str("openai")), &key), "https://api.openai.com"));
}
