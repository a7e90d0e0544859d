/* proxy/renewal.c: the token endpoints, with the test as the vault. */
#include "proxy_rig.h"

#define PHANTOM "cbat-cbrk1_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_abcdef"
#define BODY(token) "{\"client_id\":\"app_x\",\"grant_type\":\"refresh_token\",\"refresh_token\":\"" token "\"}"
#define JWT_BEARER  "urn:ietf:params:oauth:grant-type:jwt-bearer"

static void post(int c, const char *path, const char *type, const char *body)
{
    char head[512];
    (void)snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", path, type, strlen(body));
    rig_say(c, head);
    rig_say(c, body);
}

static void say_answer(struct rig *r, const struct msg *asked, const char *json)
{
    uint64_t conn = asked->conn, id = asked->id;
    msg_begin(&r->packet, MSG_REPLY, id, conn);
    msg_put_u64(&r->packet, F_STATUS, ERR_OK);
    msg_put_str(&r->packet, F_BODY, json);
    rig_send(r, -1);
}

TEST(the_vault_is_asked_and_its_answer_is_the_reply)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    for (int i = 0; i < 2; i++) { /* and the connection serves on */
        post(c, "/oauth/token", "application/json", BODY(PHANTOM));
        rig_expect(&r, MSG_PROXY_TOKEN, &m);
        CHECK(view_is(msg_view(&m, F_TOKEN), PHANTOM) && view_is(msg_view(&m, F_OP), "codex"));
        CHECK(r.showed == (i == 0));
        say_answer(&r, &m, "{\"access_token\":\"x\"}");
        CHECK(rig_read(c, "{\"access_token\":\"x\"}", got, sizeof(got)));
        CHECK(strncmp(got, "HTTP/1.1 200 OK\r\n", 17) == 0 && strstr(got, "Cache-Control: no-store\r\n") && strstr(got, "Content-Length: 20\r\n"));
    }
    post(c, "/v1/oauth/token?beta=true", "application/x-www-form-urlencoded", "assertion=" PHANTOM "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
    rig_expect(&r, MSG_PROXY_TOKEN, &m);
    CHECK(view_is(msg_view(&m, F_TOKEN), PHANTOM) && view_is(msg_view(&m, F_OP), "claude"));
    CHECK(rig_untouched(&r, 50)); /* no upstream ever hears of it */
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_body_in_pieces_and_in_chunks)
{
    struct rig r;
    struct msg m;
    char got[4096], head[256], piece[2] = "";
    const char *body = BODY(PHANTOM);
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    (void)snprintf(head, sizeof(head), "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    rig_say(c, head);
    CHECK(rig_read(c, "100 Continue\r\n\r\n", got, sizeof(got)));
    for (size_t i = 0; body[i]; i++) {
        piece[0] = body[i];
        rig_say(c, piece);
    }
    rig_expect(&r, MSG_PROXY_TOKEN, &m);
    CHECK(view_is(msg_view(&m, F_TOKEN), PHANTOM));
    say_answer(&r, &m, "{}");
    CHECK(rig_read(c, "\r\n\r\n{}", got, sizeof(got)));
    (void)snprintf(head, sizeof(head), "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", strlen(body));
    rig_say(c, head);
    rig_say(c, body);
    rig_say(c, "\r\n0\r\n\r\n");
    rig_expect(&r, MSG_PROXY_TOKEN, &m);
    CHECK(view_is(msg_view(&m, F_TOKEN), PHANTOM));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(what_the_vault_refuses_is_final_to_each_client_in_its_own_form_and_what_may_pass_is_not)
{
    static const struct {
        const char *path, *body;
        err_t e;
        const char *status, *code;
    } cases[] = {
        {"/oauth/token", BODY(PHANTOM), ERR_EXPIRED, "HTTP/1.1 401 ", "{\"error\":{\"code\":\"refresh_token_invalidated\""},
        {"/oauth/token", BODY(PHANTOM), ERR_AUTH, "HTTP/1.1 401 ", "{\"error\":{\"code\":\"refresh_token_invalidated\""},
        {"/oauth/token", BODY(PHANTOM), ERR_DENIED, "HTTP/1.1 401 ", "{\"error\":{\"code\":\"refresh_token_invalidated\""},
        {"/oauth/token", BODY(PHANTOM), ERR_LOCKED, "HTTP/1.1 503 ", "{\"error\":{\"code\":\"temporarily_unavailable\""},
        {"/oauth/token", BODY(PHANTOM), ERR_NEEDS_LOGIN, "HTTP/1.1 503 ", "temporarily_unavailable"},
        {"/v1/oauth/token", "{\"grant_type\":\"" JWT_BEARER "\",\"assertion\":\"x\"}", ERR_EXPIRED, "HTTP/1.1 400 ", "{\"error\":\"invalid_grant\""},
        {"/v1/oauth/token", "{\"grant_type\":\"" JWT_BEARER "\",\"assertion\":\"x\"}", ERR_AUDIT, "HTTP/1.1 503 ", "{\"error\":\"temporarily_unavailable\""},
    };
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    for (size_t i = 0; i < COUNT(cases); i++) {
        post(c, cases[i].path, "application/json", cases[i].body);
        rig_expect(&r, MSG_PROXY_TOKEN, &m);
        rig_deny(&r, &m, cases[i].e, 0);
        CHECK(rig_read(c, "refused by the test", got, sizeof(got)));
        CHECK(strstr(got, cases[i].status) && strstr(got, cases[i].code));
    }
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(what_is_no_token_request_reaches_nobody)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"GET /oauth/token HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 "},
        {"PUT /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 405 "},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", "invalid_request"},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "neither JSON nor a form"},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "coded body"},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 8193\r\n\r\n", "too large"},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n{\"grant_type\":\"password\",\"refresh_token\":\"x\"}", "unsupported_grant_type"},
        {"POST /v1/oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n{\"grant_type\":\"refresh_token\",\"assertion\":\"abc\"}", "unsupported_grant_type"},
        {"POST /oauth/token HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 421 "},
        {"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 403 "},
    };
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int c = rig_client(&r);
        rig_say(c, cases[i].request);
        if (!rig_read(c, cases[i].answer, got, sizeof(got)))
            (void)fprintf(stderr, "case %zu: %s\n", i, got);
        CHECK(strstr(got, cases[i].answer));
        close(c);
    }
    CHECK(rig_untouched(&r, 1));
    while (rig_poll(&r, &m, 30))
        CHECK(m.type == MSG_CLOSED);
    CHECK_INT(rig_end(&r), 0);
}

TEST(over_the_size_in_chunks_it_is_answered_and_closed)
{
    struct rig r;
    struct msg m;
    char got[4096], chunk[1100];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    rig_say(c, "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    memset(chunk, 'a', sizeof(chunk));
    memcpy(chunk, "400\r\n", 5);
    memcpy(chunk + 5 + 1024, "\r\n", 3);
    for (int i = 0; i < 12; i++)
        rig_say(c, chunk);
    CHECK(rig_read(c, "invalid_request", got, sizeof(got)) && strstr(got, "HTTP/1.1 400 "));
    CHECK(!rig_poll(&r, &m, 30));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}

TEST(a_client_that_goes_away_in_between_harms_nobody)
{
    struct rig r;
    struct msg m;
    char got[4096];
    rig_begin(&r, NULL);
    int c = rig_client(&r);
    post(c, "/oauth/token", "application/json", BODY(PHANTOM));
    rig_expect(&r, MSG_PROXY_TOKEN, &m);
    uint64_t conn = m.conn, id = m.id;
    close(c);
    rig_expect(&r, MSG_CLOSED, &m);
    m.conn = conn;
    m.id = id;
    say_answer(&r, &m, "{}");
    c = rig_client(&r);
    rig_say(c, "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{");
    CHECK(shutdown(c, SHUT_WR) == 0);
    CHECK(rig_read(c, "ended before its end", got, sizeof(got)));
    close(c);
    CHECK_INT(rig_end(&r), 0);
}
