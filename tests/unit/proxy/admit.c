#include "proxy/admit.h"

#include "base/auto.h"
#include "check.h"

#define TOKEN "sk-ant-oat01-cbrk1_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_abcdef"
#define OTHER "sk-ant-oat01-cbrk1_ZZZZZZZZZZZZMnOpQrStUvWxYz0123456789_abcdef"

static bool parse(const char *text, struct gate_request *rq)
{
    struct gate_refusal no;
    size_t used;
    return gate_request(view_str(text), rq, &used, &no) == GATE_OK;
}

static unsigned refusal_of(const char *head)
{
    struct gate_request rq;
    struct gate_refusal no = {0};
    CHECK(parse(head, &rq));
    return admit_request(&rq, &no) ? 0 : no.status;
}

TEST(only_names_of_this_machine_are_hosts)
{
    static const struct {
        const char *host;
        unsigned status;
    } rows[] = {{"localhost", 0},         {"localhost:8080", 0}, {"127.0.0.1:1", 0},   {"[::1]", 0},          {"[::1]:80", 0},
                {"LOCALHOST", 0},         {"evil.example", 421}, {"localhost.evil", 421}, {"127.0.0.1.evil:1", 421}, {"api.anthropic.com", 421},
                {"127.0.0.2", 421},       {"localhosts", 421},   {"127.0.0.10", 421}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char head[256];
        (void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
        CHECK_INT(refusal_of(head), rows[i].status);
    }
}

TEST(pages_and_upgrades_do_not_get_in)
{
    CHECK_INT(refusal_of("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n"), 403);
    CHECK_INT(refusal_of("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 426);
}

TEST(a_token_in_the_path_goes_nowhere)
{
    CHECK_INT(refusal_of("GET /v1/sk-ant-oat01-cbrk1_AXKBcjDrVMD2LhPhbeM3 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
}

TEST(the_token_is_found_wherever_an_sdk_puts_it)
{
    static const char *const heads[] = {
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " TOKEN "\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nauthorization: bearer " TOKEN "\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " TOKEN "\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-goog-api-key: " TOKEN "\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n\r\n",
        "POST /v1/messages?beta=true&key=" TOKEN " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-somebodys-own\r\nAuthorization: Bearer " TOKEN "\r\n\r\n",
        /* x:<token> */
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic "
        "eDpzay1hbnQtb2F0MDEtY2JyazFfQWJDZEVmR2hJaktsTW5PcFFyU3RVdld4WXowMTIzNDU2Nzg5X2FiY2RlZg==\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct admit_room room = {0};
        struct gate_request rq;
        CHECK(parse(heads[i], &rq));
        CHECK(view_is(admit_token(&rq, &room), TOKEN));
    }
}

TEST(no_token_and_two_tokens_are_none)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-ant-oat01-real\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " TOKEN "\r\nx-api-key: " OTHER "\r\n\r\n",
        "GET /?key=" TOKEN "&api_key=" OTHER " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /?note=" TOKEN " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Note: " TOKEN "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ****\r\n\r\n",
        /* x:TOKEN and x:OTHER, of one length: the second is not decoded over the first */
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic eDpzay1hbnQtb2F0MDEtY2JyazFfQWJDZEVmR2hJaktsTW5PcFFyU3RVdld4WXowMTIzNDU2Nzg5X2FiY2RlZg==\r\n"
        "Proxy-Authorization: Basic eDpzay1hbnQtb2F0MDEtY2JyazFfWlpaWlpaWlpaWlpaTW5PcFFyU3RVdld4WXowMTIzNDU2Nzg5X2FiY2RlZg==\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct admit_room room = {0};
        struct gate_request rq;
        CHECK(parse(heads[i], &rq));
        CHECK_INT(admit_token(&rq, &room).n, 0);
    }
}

TEST(what_was_decoded_is_wiped)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic eDpzay1hbnQtb2F0MDEtY2JyazFfQWJDZEVmR2hJaktsTW5PcFFyU3RVdld4WXowMTIzNDU2Nzg5X2FiY2RlZg==\r\n\r\n";
    struct admit_room room = {0};
    struct gate_request rq;
    CHECK(parse(head, &rq) && view_is(admit_token(&rq, &room), TOKEN));
    CHECK(room.used > 0 && memmem(room.bytes, sizeof(room.bytes), TOKEN, strlen(TOKEN)));
    admit_wipe(&room);
    CHECK(room.used == 0 && !memmem(room.bytes, sizeof(room.bytes), "cbrk1_", 6));
}

TEST(the_form_of_errors_follows_the_request)
{
    struct gate_request rq;
    CHECK(parse("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n\r\n", &rq));
    CHECK_INT(admit_dialect(&rq), ROUTE_ANTHROPIC);
    CHECK(parse("POST /v1/models HTTP/1.1\r\nHost: localhost\r\nanthropic-version: 2023-06-01\r\n\r\n", &rq));
    CHECK_INT(admit_dialect(&rq), ROUTE_ANTHROPIC);
    CHECK(parse("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\n\r\n", &rq));
    CHECK_INT(admit_dialect(&rq), ROUTE_OPENAI);
    CHECK(parse("POST /v1beta/models/x:generateContent HTTP/1.1\r\nHost: localhost\r\n\r\n", &rq));
    CHECK_INT(admit_dialect(&rq), ROUTE_GEMINI);
}

TEST(a_token_dressed_as_a_jwt_is_unwrapped)
{
    struct admit_room room = {0};
    struct gate_request rq;
#define JWT "eyJhbGciOiJub25lIn0.eyJleHAiOjF9."
    CHECK(parse("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " JWT "cbat-cbrk1_abc_d\r\n\r\n", &rq));
    CHECK(view_is(admit_token(&rq, &room), "cbat-cbrk1_abc_d"));
    /* with the bare one beside it there is one token still */
    CHECK(parse("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nx-api-key: cbat-cbrk1_abc_d\r\nAuthorization: Bearer " JWT "cbat-cbrk1_abc_d\r\n\r\n", &rq));
    CHECK(view_is(admit_token(&rq, &room), "cbat-cbrk1_abc_d"));
    static const char *const none[] = {"eyJ.cbat-cbrk1_abc_d", "eyJcbrk1_abc", "eyJ..", "eyJ.a.", "eyJ", "eyJ.cbrk1_x.sig"};
    for (size_t i = 0; i < COUNT(none); i++) {
        char head[256];
        (void)snprintf(head, sizeof(head), "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", none[i]);
        CHECK(parse(head, &rq));
        struct view t = admit_token(&rq, &room);
        CHECK(t.n == 0 || view_is(t, none[i])); /* nothing is cut out that does not stand third */
    }
}
