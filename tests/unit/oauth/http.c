/* oauth/http.c against a server in a child process that says what the test wants, byte for byte. */
#include "check.h"

#include "base/auto.h"
#include "oauth/http.h"
#include "oauth/memory.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct why why;

struct server {
    pid_t pid;
    char url[64];
    int seen; /* what came is read from here */
};

static void answer(int fd, const char *reply, size_t more, int seen)
{
    char in[8192];
    ssize_t n = read(fd, in, sizeof(in));
    if (n > 0 && write(seen, in, (size_t)n) != n)
        _exit(1);
    if (strcmp(reply, "hang") == 0)
        (void)sleep(30);
    if (write(fd, reply, strlen(reply)) < 0)
        _exit(1);
    static const char fill[4096] = {'x'};
    for (; more > 0; more -= more < sizeof(fill) ? more : sizeof(fill))
        if (write(fd, fill, more < sizeof(fill) ? more : sizeof(fill)) < 0)
            break;
}

/* Serves one connection; `more`: that many bytes behind the reply. */
static void serve(struct server *s, const char *reply, size_t more)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sa);
    int pipes[2], fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 4) == 0 && pipe(pipes) == 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u/token", ntohs(sa.sin_port));
    s->pid = fork();
    if (s->pid == 0) {
        (void)alarm(20);
        (void)signal(SIGPIPE, SIG_IGN);
        int c = accept(fd, NULL, NULL);
        answer(c, reply, more, pipes[1]);
        _exit(0);
    }
    close(fd);
    close(pipes[1]);
    s->seen = pipes[0];
}

static void server_end(struct server *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    close(s->seen);
}

static err_t post(const char *url, struct http_reply *r)
{
    static bool ready;
    if (!ready)
        CHECK_OK(memory_curl_init(&why), why);
    ready = true;
    *r = (struct http_reply){0};
    return http_post(&(struct http_ask){.url = view_str(url), .body = view_str("{\"refresh_token\":\"t\"}"), .insecure_loopback = true, .timeout_ms = 1500}, r,
                     &why);
}

TEST(an_answer_comes_whole_and_the_request_says_nothing_more_than_it_must)
{
    struct server s;
    struct http_reply r;
    char in[8192] = "";
    serve(&s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0);
    CHECK_OK(post(s.url, &r), why);
    CHECK(r.status == 200 && r.sent && r.retry_ms == 0 && view_is(buf_view(&r.body), "hello"));
    ssize_t n = read(s.seen, in, sizeof(in) - 1);
    CHECK(n > 0 && strncmp(in, "POST /token HTTP/1.1\r\n", 22) == 0);
    CHECK(strstr(in, "Content-Type: application/json\r\n") && strstr(in, "Accept: application/json\r\n"));
    CHECK(strstr(in, "User-Agent: credential-broker/") && strstr(in, "\r\n\r\n{\"refresh_token\":\"t\"}"));
    CHECK(!strstr(in, "Expect:") && !strstr(in, "Accept-Encoding") && !strstr(in, "Cookie"));
    buf_free(&r.body);
    server_end(&s);
}

TEST(redirects_are_answers_and_are_not_followed)
{
    struct server s;
    struct http_reply r;
    serve(&s, "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", 0);
    CHECK_OK(post(s.url, &r), why);
    CHECK_INT(r.status, 307);
    server_end(&s);
}

TEST(retry_after_is_read_and_bounded)
{
    static const struct {
        const char *head;
        int64_t ms;
    } rows[] = {{"Retry-After: 7\r\n", 7000}, {"Retry-After: 999999\r\n", HTTP_RETRY_MAX_MS}, {"Retry-After: soon\r\n", 0}, {"", 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server s;
        struct http_reply r;
        char text[256];
        (void)snprintf(text, sizeof(text), "HTTP/1.1 429 Slow\r\n%sContent-Length: 0\r\n\r\n", rows[i].head);
        serve(&s, text, 0);
        CHECK_OK(post(s.url, &r), why);
        CHECK(r.status == 429 && r.retry_ms == rows[i].ms);
        server_end(&s);
    }
}

TEST(what_is_no_whole_answer_is_none_and_says_whether_it_was_sent)
{
    static const struct {
        const char *reply;
        size_t more;
        err_t e;
    } rows[] = {
        {"", 0, ERR_UNAVAILABLE},                                                    /* ends without a word */
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 0, ERR_UNAVAILABLE},  /* cut */
        {"hello", 0, ERR_UNAVAILABLE},                                               /* HTTP/0.9 */
        {"HTTP/1.1 200 OK\r\n\r\n", HTTP_REPLY_MAX + 1, ERR_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n", 1 << 20, ERR_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nX: ", 1 << 20, ERR_UNAVAILABLE}, /* a head without an end */
        {"hang", 0, ERR_TIMEOUT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server s;
        struct http_reply r;
        serve(&s, rows[i].reply, rows[i].more);
        err_t e = post(s.url, &r);
        if (e != rows[i].e)
            printf("    row %zu: %s\n", i, why.text);
        CHECK_INT(e, rows[i].e);
        CHECK(r.sent);
        buf_free(&r.body);
        server_end(&s);
    }
}

TEST(a_port_nobody_listens_on_was_sent_nothing)
{
    struct http_reply r;
    CHECK_INT(post("http://127.0.0.1:1/token", &r), ERR_UNAVAILABLE);
    CHECK(!r.sent && r.status == 0);
}

TEST(tls_is_not_waived_but_for_this_host_by_name)
{
    static const char *const urls[] = {"http://192.0.2.1/token", "http://example.invalid/t", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x",
                                       "file:///etc/passwd",     "gopher://127.0.0.1:1/x",   "",                  "nonsense"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct http_reply r;
        CHECK_INT(post(urls[i], &r), ERR_INVALID);
        CHECK(!r.sent);
    }
    struct http_reply r = {0};
    CHECK_INT(http_post(&(struct http_ask){.url = view_str("http://127.0.0.1:1/t"), .body = view_str("{}"), .timeout_ms = 500}, &r, &why), ERR_INVALID);
}

TEST(a_server_without_a_certificate_is_not_spoken_to)
{
    struct server s;
    struct http_reply r;
    char url[80];
    serve(&s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0);
    (void)snprintf(url, sizeof(url), "https%s", s.url + 4);
    CHECK_INT(post(url, &r), ERR_UNAVAILABLE);
    CHECK(!r.sent && r.body.len == 0);
    server_end(&s);
}
