/* cli/redirect.c: the one redirect is taken, and nothing else. */
#include "check.h"

#include "base/auto.h"
#include "cli/redirect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct why why;

TEST(heads)
{
    static const struct {
        const char *head;
        unsigned status;
    } rows[] = {
        {"GET /cb?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 200},
        {"GET /cb?code=a&state=S HTTP/1.0\r\nhost:127.0.0.1:1455\r\nx: y\r\n\r\n", 200},
        {"GET /cb?error=access_denied&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 200},
        {"GET /cb?code=a&state=T HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb?code=a&state=SS HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb?code=a HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb? HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb?code=a&state=S HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400},
        {"GET /cb?code=a&state=S HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
        {"GET /cb?code=a&state=S HTTP/1.1\r\n\r\n", 400},
        {"GET /cb?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb?code=a&state=S HTTP/2\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cb?code=a&state=S\r\nHost: localhost:1455\r\n\r\n", 400},
        {"GET /cbx?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 404},
        {"GET /favicon.ico HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 404},
        {"GET http://localhost:1455/cb?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 404},
        {"POST /cb?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 405},
        {"OPTIONS /cb?code=a&state=S HTTP/1.1\r\nHost: localhost:1455\r\n\r\n", 405},
        {"\r\n\r\n", 405},
        {"", 400},
        {"GET ", 400},
    };
    struct redirect r = {.port = 1455, .path = "/cb", .state = "S"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct brought b = {0};
        unsigned status = redirect_judge(&r, view_str(rows[i].head), &b);
        CHECK(status == rows[i].status || !printf("    %s: %u\n", rows[i].head, status));
        CHECK_INT(b.code[0] || b.error[0], status == 200);
    }
    struct brought b = {0};
    r.state = NULL;
    CHECK_INT(redirect_judge(&r, view_str(rows[0].head), &b), 400);
}

static int dial(uint16_t port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool turn(struct redirect *r, struct brought *b)
{
    struct pollfd p[REDIRECT_POLL];
    unsigned n = redirect_poll(r, p);
    CHECK(poll(p, n, 2000) > 0);
    return redirect_step(r, p, b);
}

static void read_answer(int fd, char *text, size_t room)
{
    ssize_t n = 0, got;
    while (n < (ssize_t)room - 1 && (got = read(fd, text + n, room - 1 - (size_t)n)) > 0)
        n += got;
    text[n] = '\0';
    close(fd);
}

TEST(the_redirect_comes_past_silent_and_wrong_connections)
{
    struct redirect r;
    struct brought b = {0};
    char head[256], text[2048], uri[] = "http://localhost:0/cb";
    CHECK_OK(redirect_open(uri, false, &r, &why), why);
    CHECK(r.port > 0);
    r.state = "S";
    int silent[REDIRECT_CONNS + 2];
    for (size_t i = 0; i < COUNT(silent); i++) {
        silent[i] = dial(r.port);
        CHECK(silent[i] >= 0 && !turn(&r, &b));
    }
    int wrong = dial(r.port), right = dial(r.port);
    CHECK(!turn(&r, &b) && !turn(&r, &b));
    CHECK(write(wrong, "GET /cb?code=x&state=no HTTP/1.1\r\nHost: localhost\r\n\r\n", 54) > 0);
    CHECK(!turn(&r, &b) && !b.code[0]);
    read_answer(wrong, text, sizeof(text));
    CHECK(strncmp(text, "HTTP/1.1 400 ", 13) == 0);
    int n = snprintf(head, sizeof(head), "GET /cb?code=x%%2Fy&state=S HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", r.port);
    CHECK(write(right, head, 20) == 20 && !turn(&r, &b));
    CHECK(write(right, head + 20, (size_t)n - 20) == n - 20 && turn(&r, &b));
    CHECK_STR(b.code, "x/y");
    read_answer(right, text, sizeof(text));
    CHECK(strncmp(text, "HTTP/1.1 200 ", 13) == 0 && strstr(text, "no-store") && !strstr(text, "x/y"));
    const char *length = strstr(text, "Content-Length: "), *body = strstr(text, "\r\n\r\n");
    CHECK(length && body && strtoul(length + 16, NULL, 10) == strlen(body + 4));
    for (size_t i = 0; i < COUNT(silent); i++)
        close(silent[i]);
    uint16_t port = r.port;
    redirect_close(&r);
    CHECK(dial(port) < 0);
}

TEST(a_port_is_taken_or_held)
{
    struct redirect a, b;
    char uri[64];
    CHECK_OK(redirect_open("http://127.0.0.1:0/cb", true, &a, &why), why);
    CHECK(dial(a.port) < 0); /* held, and deaf */
    (void)snprintf(uri, sizeof(uri), "http://127.0.0.1:%u/cb", a.port);
    redirect_close(&a);
    CHECK_OK(redirect_open(uri, false, &a, &why), why);
    CHECK_INT(redirect_open(uri, false, &b, &why), ERR_CONFLICT);
    CHECK(strstr(why.text, "--device"));
    redirect_close(&a);
    CHECK_INT(redirect_open("http://localhost/cb", false, &b, &why), ERR_INVALID);
}
