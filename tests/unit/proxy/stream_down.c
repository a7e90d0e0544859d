#include "proxy_rig.h"

#define SSE "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

static int begin(struct rig *r, int *c, const char *request)
{
    char seen[4096];
    rig_begin(r, NULL);
    *c = rig_client(r);
    return rig_granted(r, *c, request, seen, sizeof(seen));
}

static void end(struct rig *r, int c, int up)
{
    close(c);
    close(up);
    CHECK_INT(rig_end(r), 0);
}

TEST(events_come_down_one_by_one)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char got[8192];
    struct msg m;
    rig_say(up, SSE);
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "text/event-stream"));
    for (int i = 0; i < 20; i++) {
        char event[64], chunk[96];
        (void)snprintf(event, sizeof(event), "data: {\"n\":%d}\n\n", i);
        (void)snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(event), event);
        rig_say(up, chunk);
        CHECK(rig_read(c, event, got, sizeof(got))); /* each before the next is sent */
    }
    rig_say(up, "0\r\n\r\n");
    CHECK(rig_read(c, "0\r\n\r\n", got, sizeof(got)));
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_STATUS, 9), ERR_OK);
    end(&r, c, up);
}

TEST(usage_is_told_while_it_streams_and_at_the_end)
{
    static const char start[] = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":25,"
                                "\"output_tokens\":1}}}\n\n";
    static const char delta[] = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n";
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char chunk[512], got[4096];
    struct msg m;
    (void)snprintf(chunk, sizeof(chunk), SSE "%zx\r\n%s\r\n", sizeof(start) - 1, start);
    rig_say(up, chunk);
    do
        CHECK(rig_poll(&r, &m, RIG_WAIT_MS));
    while (m.type != MSG_PROXY_USAGE);
    CHECK(msg_u64(&m, F_SERIAL, 0) == 7 && msg_u64(&m, F_INPUT, 0) == 25);
    (void)snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n0\r\n\r\n", sizeof(delta) - 1, delta);
    rig_say(up, chunk);
    CHECK(rig_read(c, "0\r\n\r\n", got, sizeof(got)));
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK(msg_u64(&m, F_INPUT, 0) == 25 && msg_u64(&m, F_OUTPUT, 0) == 15 && view_is(msg_view(&m, F_MODEL), "claude-x"));
    end(&r, c, up);
}

/* The planted credential, in two reads, split anywhere: no tail of it comes down. */
TEST(a_reflected_credential_is_cut_across_reads)
{
    for (size_t split = 1; split < sizeof(RIG_SECRET) - 1; split += 7) {
        struct rig r;
        int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
        char chunk[512], got[4096];
        struct msg m;
        (void)snprintf(chunk, sizeof(chunk), SSE "%zx\r\nfine: %.*s\r\n", 6 + split, (int)split, RIG_SECRET);
        rig_say(up, chunk);
        CHECK(rig_read(c, "fine: ", got, sizeof(got)) && !strstr(got, "sk-ant"));
        (void)snprintf(chunk, sizeof(chunk), "%zx\r\n%s more\r\n0\r\n\r\n", sizeof(RIG_SECRET) - 1 - split + 5, RIG_SECRET + split);
        rig_say(up, chunk);
        CHECK(rig_read(c, NULL, got, sizeof(got)) && !strstr(got, RIG_SECRET + 24) && !strstr(got, "more"));
        rig_expect(&r, MSG_PROXY_END, &m);
        CHECK_INT(msg_u64(&m, F_STATUS, 0), ERR_CORRUPT);
        end(&r, c, up);
    }
}

TEST(a_credential_in_a_reply_head_never_comes_down)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char got[4096];
    rig_say(up, "HTTP/1.1 200 OK\r\nX-Echo: " RIG_SECRET "\r\nContent-Length: 2\r\n\r\nok");
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 502 ") && !strstr(got, "planted"));
    end(&r, c, up);
}

TEST(what_is_held_back_and_harmless_comes_down_whole)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char got[4096];
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nsee sk-ant-oat01-plant");
    rig_say(up, "XYZW");
    CHECK(rig_read(c, "see sk-ant-oat01-plantXYZW", got, sizeof(got)));
    rig_say(c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    struct msg m;
    rig_expect(&r, MSG_PROXY_END, &m);
    rig_expect(&r, MSG_PROXY_BEGIN, &m);
    rig_grant(&r, &m, 8, 1);
    CHECK(rig_read(up, "\r\n\r\n", got, sizeof(got)));
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nend: sk-ant-oat0"); /* held back at the very end */
    CHECK(rig_read(c, "end: sk-ant-oat0", got, sizeof(got)));
    end(&r, c, up);
}

TEST(replies_that_could_be_misread_or_lead_elsewhere_are_a_502)
{
    static const char *const replies[] = {
        "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "garbage\r\n\r\n",
        "\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(replies); i++) {
        struct rig r;
        int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
        char got[4096];
        rig_say(up, replies[i]);
        CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 502 ") && !strstr(got, "evil"));
        end(&r, c, up);
    }
}

TEST(an_upstream_that_closes_without_an_answer_is_a_502_and_in_the_middle_a_cut)
{
    struct rig r;
    char got[4096];
    struct msg m;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    close(up);
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)) && strstr(got, "HTTP/1.1 502 "));
    end(&r, c, -1);
    up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    CHECK(rig_read(c, "half", got, sizeof(got)));
    close(up);
    CHECK(rig_read(c, NULL, got, sizeof(got)));
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_STATUS, 0), ERR_UNAVAILABLE);
    end(&r, c, -1);
}

TEST(a_reply_that_ends_with_its_connection_comes_down_chunked)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char got[4096];
    rig_say(up, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it");
    CHECK(rig_read(c, "all of it", got, sizeof(got)) && strstr(got, "Transfer-Encoding: chunked"));
    close(up);
    CHECK(rig_read(c, "0\r\n\r\n", got, sizeof(got)));
    end(&r, c, -1);
}

TEST(interim_replies_are_not_passed_on)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char got[4096];
    rig_say(up, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le");
    (void)poll(NULL, 0, 20);
    rig_say(up, "ngth: 2\r\n\r\nok");
    CHECK(rig_read(c, "\r\n\r\nok", got, sizeof(got)) && strncmp(got, "HTTP/1.1 200 ", 13) == 0 && !strstr(got, "103"));
    end(&r, c, up);
}

TEST(a_head_request_has_no_body)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("HEAD", "/v1/models") "\r\n");
    char got[4096];
    struct msg m;
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    CHECK(rig_read(c, "\r\n\r\n", got, sizeof(got)));
    rig_expect(&r, MSG_PROXY_END, &m);
    CHECK_INT(msg_u64(&m, F_STATUS, 9), ERR_OK);
    end(&r, c, up);
}

TEST(an_early_answer_is_passed_on_and_ends_the_connection)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 1000000\r\n\r\nbeginning");
    char got[4096];
    rig_say(up, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, "HTTP/1.1 413 ") && strstr(got, "big") && strstr(got, "Connection: close"));
    end(&r, c, up);
}

/* 60 MB to a reader that stalls: the worker holds a bounded part of it, and the rest waits at the upstream. */
TEST(a_stalled_reader_costs_a_bounded_amount_of_memory)
{
    struct rig r;
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    char path[64], text[256];
    long before = 0, after = 0, size = 0;
    static char block[65536];
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", r.pid);
    FILE *f = fopen(path, "r");
    CHECK(f && fscanf(f, "%ld %ld", &size, &before) == 2);
    (void)fclose(f);
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 62914560\r\n\r\n");
    CHECK(fcntl(up, F_SETFL, O_NONBLOCK) == 0);
    size_t sent = 0;
    for (int idle = 0; idle < 20;) {
        ssize_t n = send(up, block, sizeof(block), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        if (n <= 0)
            (void)poll(NULL, 0, 10);
    }
    f = fopen(path, "r");
    CHECK(f && fscanf(f, "%ld %ld", &size, &after) == 2);
    (void)fclose(f);
    CHECK(sent < 40 << 20);              /* it was made to wait */
    CHECK((after - before) * 4 < 1024);  /* KiB */
    CHECK(rig_read(c, "\r\n\r\n", text, sizeof(text)) || text[0]);
    end(&r, c, up);
}

TEST(a_client_of_http_1_0_gets_no_chunks)
{
    struct rig r;
    int c, up = begin(&r, &c,
                      "POST /v1/messages HTTP/1.0\r\nHost: localhost\r\nx-api-key: " RIG_TOKEN "\r\nContent-Length: 0\r\n\r\n");
    char got[4096];
    rig_say(up, SSE "5\r\nhello\r\n0\r\n\r\n");
    CHECK(rig_read(c, NULL, got, sizeof(got)) && strstr(got, "\r\n\r\nhello") && !strstr(got, "chunked"));
    end(&r, c, up);
}

TEST(interim_replies_without_end_are_a_502)
{
    struct rig r;
    char got[4096];
    int c, up = begin(&r, &c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 0\r\n\r\n");
    for (int i = 0; i < 40; i++) {
        (void)!send(up, "HTTP/1.1 103 Early Hints\r\n\r\n", 28, MSG_NOSIGNAL);
        (void)poll(NULL, 0, 2);
    }
    CHECK(rig_read(c, "interim", got, sizeof(got)) && strncmp(got, "HTTP/1.1 502 ", 13) == 0);
    end(&r, c, up);
}
