/* proxy/allowance.c: what the vault allowed in advance is used for the same request only, on its connection, in its time, and given back. */
#include "proxy_rig.h"

#define POST RIG_HEAD("POST", "/v1/messages") "Content-Length: 2\r\n\r\nhi"
static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

struct scene {
    struct rig r;
    struct msg m;
    int c, up;
    char text[8192];
};

/* One request has ended under serial 7, route 1; `more` of the same are allowed. */
static void scene(struct scene *s, struct rig_allowed more)
{
    rig_begin(&s->r, NULL);
    s->c = rig_client(&s->r);
    rig_say(s->c, POST);
    rig_expect(&s->r, MSG_PROXY_BEGIN, &s->m);
    rig_route_flags(&s->r, 1, 0, RIG_SECRET);
    rig_grant_more(&s->r, &s->m, 7, 1, more);
    s->up = rig_accept(&s->r);
    CHECK(rig_read(s->up, "\r\n\r\nhi", s->text, sizeof(s->text)));
    rig_say(s->up, reply);
    CHECK(rig_read(s->c, "{}", s->text, sizeof(s->text)));
    rig_expect(&s->r, MSG_PROXY_END, &s->m);
}

static void end(struct scene *s)
{
    close(s->c);
    close(s->up);
    CHECK_INT(rig_end(&s->r), 0);
}

static void one_more(struct scene *s)
{
    rig_say(s->c, POST);
    CHECK(rig_read(s->up, "\r\n\r\nhi", s->text, sizeof(s->text)));
    CHECK(strstr(s->text, "Bearer " RIG_SECRET) && !strstr(s->text, "cbrk1_"));
    rig_say(s->up, reply);
    CHECK(rig_read(s->c, "{}", s->text, sizeof(s->text)));
}

static void told(struct scene *s, uint64_t flags, err_t status)
{
    rig_expect(&s->r, MSG_PROXY_END, &s->m);
    CHECK_INT(msg_u64(&s->m, F_FLAGS, 0), flags);
    CHECK_INT(msg_u64(&s->m, F_SERIAL, 0), 7);
    CHECK_INT(msg_u64(&s->m, F_STATUS, 99), status);
}

static void asks(struct scene *s, const char *request, const char *path)
{
    rig_say(s->c, request);
    do
        CHECK(rig_poll(&s->r, &s->m, RIG_WAIT_MS));
    while (s->m.type != MSG_PROXY_BEGIN);
    CHECK(view_is(msg_view(&s->m, F_URI_PATH), path));
    CHECK(rig_untouched(&s->r, 1));
}

TEST(as_many_as_allowed_begin_unasked_and_each_end_is_told)
{
    struct scene s;
    scene(&s, (struct rig_allowed){2, 60000});
    CHECK_INT(msg_u64(&s.m, F_FLAGS, 0), PROXY_END_GOES_ON);
    one_more(&s);
    told(&s, PROXY_END_GOES_ON, ERR_OK);
    CHECK_INT(msg_u64(&s.m, F_HTTP_STATUS, 0), 200);
    CHECK_INT(msg_u64(&s.m, F_IN_BYTES, 0), 2);
    one_more(&s);
    told(&s, 0, ERR_OK); /* the last one: the books are closed with it */
    asks(&s, POST, "/v1/messages");
    end(&s);
}

TEST(without_an_allowance_each_is_asked_about)
{
    struct scene s;
    scene(&s, (struct rig_allowed){0});
    CHECK(!s.m.has[F_FLAGS]);
    asks(&s, POST, "/v1/messages");
    end(&s);
}

TEST(anything_else_is_asked_about_and_the_rest_given_back)
{
    static const struct {
        const char *request, *path;
    } rows[] = {
        {RIG_HEAD("POST", "/v1/messages/x") "Content-Length: 2\r\n\r\nhi", "/v1/messages/x"},
        {RIG_HEAD("GET", "/v1/messages") "\r\n", "/v1/messages"},
        {"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: " RIG_TOKEN "x\r\nContent-Length: 2\r\n\r\nhi", "/v1/messages"},
        {"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: sk-ant-api03-cbrk1_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_abcdeg\r\nContent-Length: 2\r\n\r\nhi", "/v1/messages"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene s;
        scene(&s, (struct rig_allowed){5, 60000});
        rig_say(s.c, rows[i].request);
        told(&s, PROXY_END_UNUSED, ERR_OK);
        rig_expect(&s.r, MSG_PROXY_BEGIN, &s.m);
        CHECK(view_is(msg_view(&s.m, F_URI_PATH), rows[i].path));
        rig_grant(&s.r, &s.m, 8, 1);
        CHECK(rig_read(s.up, "\r\n\r\n", s.text, sizeof(s.text)));
        end(&s);
    }
}

/* The same token in another header is the same request; so is another query. */
TEST(the_same_request_otherwise_dressed_is_allowed)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    rig_say(s.c, "POST /v1/messages?beta=true HTTP/1.1\r\nHost: localhost\r\nx-api-key: " RIG_TOKEN "\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(rig_read(s.up, "\r\n\r\nhi", s.text, sizeof(s.text)));
    CHECK(strncmp(s.text, "POST /v1/messages?beta=true ", 28) == 0 && !strstr(s.text, "cbrk1_"));
    end(&s);
}

TEST(without_a_token_nothing_is_allowed)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    rig_say(s.c, "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(rig_read(s.c, "bad_token", s.text, sizeof(s.text)) && strstr(s.text, "HTTP/1.1 401 "));
    told(&s, PROXY_END_UNUSED, ERR_OK);
    end(&s);
}

TEST(its_time_ends_it)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60});
    (void)poll(NULL, 0, 80);
    asks(&s, POST, "/v1/messages");
    end(&s);
    scene(&s, (struct rig_allowed){5, 60}); /* and nobody asks */
    told(&s, PROXY_END_UNUSED, ERR_OK);
    end(&s);
}

static void send_cut(struct rig *r, const char *lease, uint64_t serial)
{
    msg_begin(&r->packet, MSG_CUT, 0, 0);
    msg_put_u64(&r->packet, F_STATUS, ERR_EXPIRED);
    msg_put_str(&r->packet, F_REASON, "the lease was revoked");
    msg_put_str(&r->packet, F_LEASE, lease);
    if (serial)
        msg_put_u64(&r->packet, F_SERIAL, serial);
    rig_send(r, -1);
}

TEST(a_cut_ends_it_while_nothing_runs)
{
    for (int by_serial = 0; by_serial < 2; by_serial++) {
        struct scene s;
        scene(&s, (struct rig_allowed){5, 60000});
        send_cut(&s.r, by_serial ? NULL : "ff0102030405060708090a0b0c0d0e0f", by_serial ? 9 : 0); /* another's */
        one_more(&s);
        told(&s, PROXY_END_GOES_ON, ERR_OK);
        send_cut(&s.r, by_serial ? NULL : RIG_LEASE, by_serial ? 7 : 0);
        told(&s, PROXY_END_UNUSED, ERR_OK);
        asks(&s, POST, "/v1/messages");
        end(&s);
    }
}

TEST(a_cut_ends_the_request_that_runs_under_it)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    rig_say(s.c, POST);
    CHECK(rig_read(s.up, "\r\n\r\nhi", s.text, sizeof(s.text)));
    send_cut(&s.r, RIG_LEASE, 0);
    CHECK(rig_read(s.c, "the lease was revoked", s.text, sizeof(s.text)));
    told(&s, 0, ERR_EXPIRED);
    asks(&s, POST, "/v1/messages");
    end(&s);
}

TEST(a_failure_ends_it)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    rig_say(s.c, POST);
    CHECK(rig_read(s.up, "\r\n\r\nhi", s.text, sizeof(s.text)));
    rig_say(s.up, "garbage\r\n\r\n");
    CHECK(rig_read(s.c, "HTTP/1.1 502 ", s.text, sizeof(s.text)));
    rig_expect(&s.r, MSG_PROXY_END, &s.m);
    CHECK(!s.m.has[F_FLAGS] && msg_u64(&s.m, F_STATUS, 0) != ERR_OK);
    asks(&s, POST, "/v1/messages");
    end(&s);
}

TEST(a_client_that_leaves_gives_it_back)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    close(s.c);
    told(&s, PROXY_END_UNUSED, ERR_OK);
    s.c = rig_client(&s.r);
    asks(&s, POST, "/v1/messages"); /* another connection has none */
    CHECK(s.r.showed);
    end(&s);
}

TEST(a_route_that_was_taken_back_ends_it)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    msg_begin(&s.r.packet, MSG_ROUTE_END, 0, 0);
    msg_put_u64(&s.r.packet, F_ROUTE, 1);
    rig_send(&s.r, -1);
    (void)poll(NULL, 0, 30);
    asks(&s, POST, "/v1/messages");
    end(&s);
}

TEST(a_connection_that_is_to_close_takes_none)
{
    struct scene s;
    scene(&s, (struct rig_allowed){5, 60000});
    rig_say(s.c, RIG_HEAD("POST", "/v1/messages") "Connection: close\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(rig_read(s.up, "\r\n\r\nhi", s.text, sizeof(s.text)));
    rig_say(s.up, reply);
    CHECK(rig_read(s.c, NULL, s.text, sizeof(s.text)));
    told(&s, 0, ERR_OK);
    end(&s);
}
