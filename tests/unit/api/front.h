/*
 * What both fronts promise, with a fake vault: what is let through, what is refused, and how
 * connections live and end. Included by http.c and wire.c, each with its own RIG_FRONT; OURS is
 * true for api/wire.c.
 */
#ifndef TESTS_API_FRONT_H
#define TESTS_API_FRONT_H

#include "rig.h"

static struct answer a;

static void ask(struct rig *r, int fd, const char *method, const char *target, const char *body,
                enum msg_type type, struct msg *m)
{
    http_request(fd, method, target, NULL, body);
    rig_expect(r, type, m);
}

TEST(a_lease_goes_to_the_vault_and_its_answer_back)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    ask(&r, fd, "POST", "/v1/leases",
        "{\"owner\":\"process\",\"uses\":3,\"credential\":\"claude\",\"ttl_ms\":60000,\"deliver\":"
        "\"access_token\"}",
        MSG_LEASE_ISSUE, &m);
    CHECK(r.fd >= 0);
    CHECK(view_is(m.field[F_CREDENTIAL], "claude"));
    CHECK(view_is(m.field[F_DELIVER], "access_token"));
    CHECK(view_is(m.field[F_OWNER], "process"));
    CHECK_INT(msg_u64(&m, F_TTL_MS, 0), 60000);
    CHECK_INT(msg_u64(&m, F_USES, 0), 3);
    rig_reply(&r, m.id, ERR_OK, "{\"id\":\"0123\"}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "{\"id\":\"0123\"}");
    CHECK(strcasestr(a.head, "Content-Type: application/json\r\n"));
    CHECK(strcasestr(a.head, "Cache-Control: no-store\r\n"));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(the_descriptor_travels_once_and_is_the_clients)
{
    struct rig r;
    struct msg m;
    struct ucred cred;
    socklen_t n = sizeof(cred);
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    ask(&r, fd, "GET", "/v1/whoami", NULL, MSG_WHOAMI, &m);
    CHECK(r.fd >= 0 && getsockopt(r.fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0);
    CHECK_INT(cred.pid, getpid());
    uint64_t conn = m.conn;
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    ask(&r, fd, "GET", "/v1/grants", NULL, MSG_GRANTS, &m);
    CHECK_INT(r.fd, -1);
    CHECK(m.conn == conn);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    close(fd);
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK(m.conn == conn);
    fd = http_connect(&r);
    ask(&r, fd, "GET", "/v1/whoami", NULL, MSG_WHOAMI, &m);
    CHECK(r.fd >= 0);
    CHECK((uint32_t)m.conn == (uint32_t)conn && m.conn != conn); /* same slot, next generation */
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(an_error_of_the_vault_becomes_status_and_json)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    ask(&r, fd, "GET", "/v1/grants", NULL, MSG_GRANTS, &m);
    rig_reply(&r, m.id, ERR_LOCKED, "unlock it with `broker-cli unlock`");
    http_read(fd, &a);
    CHECK_INT(a.status, 503);
    CHECK_STR(a.body,
              "{\"error\":\"locked\",\"message\":\"unlock it with `broker-cli unlock`\"}\n");
    ask(&r, fd, "GET", "/v1/grants", NULL, MSG_GRANTS, &m);
    msg_begin(&r.packet, MSG_REPLY, m.id, 0);
    msg_put_u64(&r.packet, F_STATUS, ERR_LIMIT);
    msg_put_u64(&r.packet, F_RETRY_MS, 2500);
    rig_send(&r, -1);
    http_read(fd, &a);
    CHECK_INT(a.status, 429);
    CHECK(strcasestr(a.head, "Retry-After: 3\r\n"));
    ask(&r, fd, "GET", "/v1/grants", NULL, MSG_GRANTS, &m);
    rig_reply(&r, m.id, (err_t)9999, "?");
    http_read(fd, &a);
    CHECK_INT(a.status, 500);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

/* ---- every row, with every value it takes */

static const char *sample(const struct route_field *f)
{
    static const char *const by_kind[] = {
        [K_TEXT] = "\"a\"",        [K_NUMBER] = "1",    [K_BOOL] = "true",
        [K_NAMES] = "[\"proxy\"]", [K_NUMBERS] = "[7]", [K_LIST] = "[\"x\",\"y\"]",
    };
    if (strcmp(f->name, "provider") == 0)
        return "\"generic\"";
    return strcmp(f->name, "data") == 0 ? "\"hunter2hunter2\"" : by_kind[f->kind];
}

static void sample_target(const struct route *r, char *out, size_t room)
{
    size_t n = 0;
    for (const char *p = r->path; *p; p++) {
        n += (size_t)snprintf(out + n, room - n, "%c", *p == '{' ? '1' : *p);
        p = *p == '{' ? strchr(p, '}') : p;
    }
    for (size_t i = 0; i < r->n_fields; i++)
        if (r->fields[i].from == IN_QUERY)
            n += (size_t)snprintf(out + n, room - n, "%c%s=1", strchr(out, '?') ? '&' : '?',
                                  r->fields[i].name);
}

static bool sample_body(const struct route *r, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct route_field *f = &r->fields[i];
        bool option =
            (r->flags & ROUTE_ENROLLS) && f->field == NOT_SENT && strcmp(f->name, "data") != 0;
        if (f->from == IN_BODY && !option)
            n += (size_t)snprintf(out + n, room - n, "%c\"%s\":%s", n ? ',' : '{', f->name,
                                  sample(f));
    }
    (void)snprintf(out + n, room - n, "}");
    return n > 0;
}

static void walk_role(uint32_t role)
{
    struct rig r;
    struct msg m;
    rig_open(&r, role, NULL, 0);
    int fd = http_connect(&r);
    for (size_t i = 0; route_at(i); i++) {
        const struct route *row = route_at(i);
        char target[512], body[1024];
        if (row->role != role)
            continue;
        sample_target(row, target, sizeof(target));
        bool has_body = sample_body(row, body, sizeof(body));
        http_request(fd, row->method, target, "Authorization: Bearer t\r\n",
                     has_body ? body : NULL);
        rig_expect(&r, row->type, &m);
        for (size_t k = 0; k < row->n_fields; k++)
            CHECK(row->fields[k].field == NOT_SENT || m.has[row->fields[k].field]);
        CHECK_INT(m.has[F_BODY], (row->flags & ROUTE_ENROLLS) != 0);
        rig_reply(&r, m.id, ERR_OK, "{}");
        http_read(fd, &a);
        CHECK_INT(a.status, 200);
    }
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(every_endpoint_of_a_consumer_works)
{
    walk_role(FROM_API);
}

TEST(every_endpoint_of_an_operator_works)
{
    walk_role(FROM_ADMIN);
}

/* ---- refusals */

/* Requests that never reach the vault. `closes`: where the next one begins would be in doubt. */
static const struct refusal {
    const char *request;
    int status;
    const char *error;
    bool closes;
} refusals[] = {
#define JSON(n) "Content-Type: application/json\r\nContent-Length: " #n "\r\n\r\n"
    {"GET /v1/nothing HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET /v1/status HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET / HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET /v1/leases/ HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET /v1/leases/a/b HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET //v1/whoami HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET /v1/whoam%69 HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/../v1/whoami HTTP/1.1\r\n\r\n", 404, "not_found", false},
    {"GET /v1/whoami?x=1 HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/leases?cursor=1&cursor=2 HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/leases?cursor=-1 HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/whoami;x HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET http://broker/v1/whoami HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"OPTIONS * HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"PUT /v1/leases HTTP/1.1\r\n\r\n", 405, "method", false},
    {"CONNECT broker:443 HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"TRACE /v1/whoami HTTP/1.1\r\n\r\n", 405, "method", false},
    {"get /v1/whoami HTTP/1.1\r\n\r\n", 405, "method", false},
    {"GET /v1/whoami HTTP/1.1\r\n" JSON(2) "{}", 400, "invalid", false},
    {"DELETE /v1/leases/abc HTTP/1.1\r\n" JSON(2) "{}", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 400,
     "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\nContent-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n{}",
     400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(2) "{}", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(2) "[]", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(16) "{\"credential\":1}", 400, "invalid", false},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(24) "{\"credential\":\"../etc\"}\n", 400, "invalid",
     false},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(9999) "", 413, "too_large", true},
    {"POST /v1/leases HTTP/1.1\r\n" JSON(99999999) "", 413, "too_large", true},
    {"POST /v1/leases/abc/renew HTTP/1.1\r\n\r\n", 401, "bad_token", false},
    {"POST /v1/leases/abc/renew HTTP/1.1\r\nAuthorization: Basic eA==\r\n\r\n", 401, "bad_token",
     false},
    {"POST /v1/leases/abc/renew HTTP/1.1\r\nAuthorization: Bearer a b\r\n\r\n", 401, "bad_token",
     false},
    /* heads that are malformed */
    {"POST /v1/leases HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "invalid",
     true},
    {"POST /v1/leases HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, "invalid", true},
    {"POST /v1/leases HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid",
     true},
    {"POST /v1/leases HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", 400, "invalid", true},
    {"POST /v1/leases HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}", 400, "invalid", true},
    /* answered by libmicrohttpd itself (0.9.75 writes the status line twice), and closed */
    {"POST /v1/leases HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}", 400, NULL, true},
    {"POST /v1/leases HTTP/1.1\r\nContent-Length: 2,2\r\n\r\n{}", 400, NULL, true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\r\n\tc\r\nD: e\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\nA: b\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\r\n\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\rc\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA: b\x01\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\n: b\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA b: c\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/1.1\r\nA\r\n\r\n", 400, NULL, true},
    {"GET  /v1/whoami HTTP/1.1\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami  HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/who ami HTTP/1.1\r\n\r\n", 400, "invalid", false},
    {"GET /v1/whoami HTTP/1.1 \r\n\r\n", 400, NULL, true},
    {"GET /v1/whoami HTTP/1.2\r\n\r\n", 400, "invalid", true},
    {"GET /v1/whoami HTTP/2.0\r\n\r\n", 505, NULL, true},
    {"GET /v1/whoami\r\n\r\n", 400, NULL, true},
    {"G(T /v1/whoami HTTP/1.1\r\n\r\n", 400, "invalid", true},
    {"\x16\x03\x01\x02\r\n\r\n", OURS ? 400 : 0, NULL, true},
    {"GET /v1/whoami HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400,
     "invalid", true},
};

static void check_refusal(struct rig *r, const struct refusal *x)
{
    char error[64];
    int fd = http_connect(r);
    http_send(fd, x->request);
    http_read(fd, &a);
    snprintf(error, sizeof(error), "{\"error\":\"%s\",", x->error ? x->error : "");
    if (a.status != x->status || (x->error && strncmp(a.body, error, strlen(error)) != 0))
        printf("    %s    gives %d %s\n", x->request, a.status, a.body ? a.body : "");
    CHECK_INT(a.status, x->status);
    if (x->error)
        CHECK(strncmp(a.body, error, strlen(error)) == 0);
    struct msg m;
    if (x->closes) {
        bool closed = http_closed(fd);
        if (!closed)
            printf("    %s    leaves the connection open\n", x->request);
        CHECK(closed);
    } else {
        http_request(fd, "GET", "/v1/whoami", NULL, NULL);
        rig_expect(r, MSG_WHOAMI, &m);
        rig_reply(r, m.id, ERR_OK, "{}");
        http_read(fd, &a);
        CHECK_INT(a.status, 200);
    }
    close(fd);
    if (!x->closes)
        rig_expect(r, MSG_CLOSED, &m);
}

TEST(refusals_are_told_and_never_reach_the_vault)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    for (size_t i = 0; i < COUNT(refusals); i++)
        check_refusal(&r, &refusals[i]);
    CHECK(!rig_poll(&r, &m, 50));
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_nul_in_the_head_is_refused)
{
    static const char in_value[] = "GET /v1/whoami HTTP/1.1\r\nA: b\0c\r\n\r\n";
    static const char in_path[] = "GET /v1/whoami\0x HTTP/1.1\r\n\r\n";
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_send_n(fd, in_value, sizeof(in_value) - 1);
    http_read(fd, &a);
    CHECK_INT(a.status, 400);
    CHECK(http_closed(fd));
    close(fd);
    fd = http_connect(&r);
    http_send_n(fd, in_path, sizeof(in_path) - 1);
    http_read(fd, &a);
    CHECK_INT(a.status, 400);
    CHECK(http_closed(fd));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(method_not_allowed_names_those_that_are)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_request(fd, "PATCH", "/v1/leases/abc", NULL, NULL);
    http_read(fd, &a);
    CHECK_INT(a.status, 405);
    CHECK(strcasestr(a.head, "Allow: DELETE, GET\r\n"));
    http_request(fd, "POST", "/v1/leases/abc/renew", NULL, NULL);
    http_read(fd, &a);
    CHECK_INT(a.status, 401);
    CHECK(strcasestr(a.head, "WWW-Authenticate: Bearer\r\n"));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(huge_heads_are_refused)
{
    static char big[64 * 1024];
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int n = snprintf(big, sizeof(big), "GET /v1/whoami HTTP/1.1\r\nX: ");
    memset(big + n, 'x', sizeof(big) - (size_t)n);
    int fd = http_connect(&r);
    (void)!send(fd, big, sizeof(big), MSG_NOSIGNAL | MSG_DONTWAIT);
    http_read(fd, &a);
    CHECK_INT(a.status, 431);
    CHECK(http_closed(fd));
    close(fd);
    n = snprintf(big, sizeof(big), "GET /");
    memset(big + n, 'x', 4000);
    snprintf(big + n + 4000, 100, " HTTP/1.1\r\n\r\n");
    fd = http_connect(&r);
    http_send(fd, big);
    http_read(fd, &a);
    CHECK_INT(a.status, 400);
    CHECK(strstr(a.body, "over 320 bytes"));
    close(fd);
    CHECK(!rig_poll(&r, &m, 50));
    CHECK_INT(rig_close(&r), 0);
}

TEST(keep_alive_and_pipelining_keep_order)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_send(fd,
              "GET /v1/whoami HTTP/1.1\r\n\r\nGET /v1/nothing HTTP/1.1\r\n\r\n"
              "POST /v1/leases HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\r\n"
              "Content-Length: 18\r\n\r\n{\"credential\":\"a\"}GET /v1/grants HTTP/1.1\r\n\r\n");
    rig_expect(&r, MSG_WHOAMI, &m);
    struct msg early;
    CHECK(!rig_poll(&r, &early, 50)); /* one request of a connection at a time */
    rig_reply(&r, m.id, ERR_OK, "1");
    rig_expect(&r, MSG_LEASE_ISSUE, &m);
    rig_reply(&r, m.id, ERR_OK, "3");
    rig_expect(&r, MSG_GRANTS, &m);
    rig_reply(&r, m.id, ERR_OK, "4");
    static const int status[] = {200, 404, 200, 200};
    static const char first[] = "1{34";
    for (int i = 0; i < 4; i++) {
        http_read(fd, &a);
        CHECK_INT(a.status, status[i]);
        CHECK_INT(a.body[0], first[i]);
    }
    http_send(fd, "GET /v1/whoami HTTP/1.1\r\nConnection: close\r\n\r\n");
    rig_expect(&r, MSG_WHOAMI, &m);
    rig_reply(&r, m.id, ERR_OK, "5");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    CHECK(http_closed(fd));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(the_bearer_token_travels_and_http_1_0_works)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    http_request(fd, "POST", "/v1/leases/00ff/renew", "authorization: bearer tok.en-1\r\n",
                 "{\"ttl_ms\":5}");
    rig_expect(&r, MSG_LEASE_RENEW, &m);
    CHECK(view_is(m.field[F_TOKEN], "tok.en-1"));
    CHECK(view_is(m.field[F_LEASE], "00ff"));
    CHECK_INT(msg_u64(&m, F_TTL_MS, 0), 5);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    close(fd);
    rig_expect(&r, MSG_CLOSED, &m);
    fd = http_connect(&r);
    http_send(fd, "GET /v1/whoami HTTP/1.0\r\n\r\n");
    rig_expect(&r, MSG_WHOAMI, &m);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    CHECK(http_closed(fd));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(bodies_may_come_in_pieces_and_after_100_continue)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, 0);
    int fd = http_connect(&r);
    const char *all =
        "POST /v1/leases HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
        "Content-Length: 18\r\n\r\n{\"credential\":\"a\"}";
    size_t head = strlen(all) - 18;
    for (size_t i = 0; i < head; i++)
        http_send_n(fd, all + i, 1);
    http_read(fd, &a);
    CHECK_INT(a.status, 100);
    for (size_t i = head; i < head + 18; i++)
        http_send_n(fd, all + i, 1);
    rig_expect(&r, MSG_LEASE_ISSUE, &m);
    CHECK(view_is(m.field[F_CREDENTIAL], "a"));
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_large_reply_arrives_whole)
{
    static char big[MSG_MAX - 4096];
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_ADMIN, NULL, 0);
    int fd = http_connect(&r);
    http_request(fd, "GET", "/metrics", NULL, NULL);
    rig_expect(&r, MSG_METRICS, &m);
    for (size_t i = 0; i + 1 < sizeof(big); i++)
        big[i] = (char)('a' + i % 26);
    rig_reply(&r, m.id, ERR_OK, big);
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    CHECK(strcasestr(a.head, "Content-Type: text/plain; version=0.0.4"));
    CHECK_INT(a.body_n, sizeof(big) - 1);
    CHECK_STR(a.body, big);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_client_that_vanishes_while_it_waits_harms_nobody)
{
    struct rig r;
    struct msg m, other;
    rig_open(&r, FROM_API, NULL, 0);
    int gone = http_connect(&r), stays = http_connect(&r);
    ask(&r, gone, "GET", "/v1/whoami", NULL, MSG_WHOAMI, &m);
    close(gone);
    ask(&r, stays, "GET", "/v1/grants", NULL, MSG_GRANTS, &other);
    rig_reply(&r, m.id, ERR_OK, "{}"); /* to nobody */
    uint64_t conn = m.conn;
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK(m.conn == conn);
    rig_reply(&r, other.id, ERR_OK, "{\"grants\":[]}");
    http_read(stays, &a);
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "{\"grants\":[]}");
    rig_reply(&r, other.id, ERR_OK, "twice"); /* answered already: ignored */
    rig_reply(&r, 0, ERR_OK, "?");
    rig_reply(&r, UINT64_MAX, ERR_OK, "?");
    ask(&r, stays, "GET", "/v1/grants", NULL, MSG_GRANTS, &other);
    rig_reply(&r, other.id, ERR_OK, "{}");
    http_read(stays, &a);
    CHECK_STR(a.body, "{}");
    close(stays);
    CHECK_INT(rig_close(&r), 0);
}

#endif
