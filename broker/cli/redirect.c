/*
 * A server of one request. It reads a head, judges it, answers and closes; nothing is kept open, no body is read. The rules: GET, the exact
 * path, our own Host (a page of another site that resolves its name to 127.0.0.1 has another), this login's state, compared in constant
 * time. Only then is anything taken.
 */
#include "cli/redirect.h"

#include "base/auto.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <broker/secret.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MS = 5000, BACKLOG = 8 };

/* ---- the socket */

static err_t read_uri(const char *uri, struct redirect *out, struct why *why)
{
    const char *host = strstr(uri, "://"), *colon = host ? strchr(host + 3, ':') : NULL;
    const char *path = colon ? strchr(colon, '/') : NULL;
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;
    if (!path || port > UINT16_MAX || !view_copy(view_str(path), out->path, sizeof(out->path)))
        return fail(why, ERR_INVALID, "a redirect to this host is http://HOST:PORT/PATH");
    out->port = (uint16_t)port;
    return ERR_OK;
}

static err_t bind_port(struct redirect *r, bool deaf, struct why *why)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(r->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int on = 1;
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->listener < 0)
        return fail_errno(why, errno, "a socket");
    (void)setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(r->listener, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        (!deaf && listen(r->listener, BACKLOG) != 0)) {
        if (errno == EADDRINUSE)
            return fail(why, ERR_CONFLICT,
                        "port %u of 127.0.0.1 is taken, perhaps by another login: end that, or log "
                        "in with --device",
                        r->port);
        return fail_errno(why, errno, "127.0.0.1, port %u", r->port);
    }
    if (getsockname(r->listener, (struct sockaddr *)&at, &n) != 0)
        return fail_errno(why, errno, "127.0.0.1");
    r->port = ntohs(at.sin_port);
    return ERR_OK;
}

err_t redirect_open(const char *uri, bool deaf, struct redirect *out, struct why *why)
{
    *out = (struct redirect){.listener = -1};
    for (unsigned i = 0; i < REDIRECT_CONNS; i++)
        out->conn[i].fd = -1;
    TRY(read_uri(uri, out, why));
    err_t e = bind_port(out, deaf, why);
    if (e != ERR_OK)
        redirect_close(out);
    return e;
}

static void drop(struct redirect *r, unsigned i)
{
    auto_close(&r->conn[i].fd);
    r->conn[i].fd = -1;
    buf_free(&r->conn[i].head);
}

void redirect_close(struct redirect *r)
{
    for (unsigned i = 0; i < REDIRECT_CONNS; i++)
        drop(r, i);
    auto_close(&r->listener);
    r->listener = -1;
}

/* ---- a request */

/* The line that begins at *p, without its end; false: there is none that ends. */
static bool next_line(struct view *rest, struct view *line)
{
    const uint8_t *end = rest->n ? memmem(rest->p, rest->n, "\r\n", 2) : NULL;
    if (!end)
        return false;
    *line = VIEW(rest->p, (size_t)(end - rest->p));
    *rest = VIEW(end + 2, rest->n - line->n - 2);
    return true;
}

static bool is_ours(const struct redirect *r, struct view host)
{
    char name[32], number[32];
    (void)snprintf(name, sizeof(name), "localhost:%u", r->port);
    (void)snprintf(number, sizeof(number), "127.0.0.1:%u", r->port);
    return view_is(host, name) || view_is(host, number);
}

/* Exactly one Host, and it is ours (RFC 9112, section 3.2). */
static bool host_is_ours(const struct redirect *r, struct view fields)
{
    struct view line, host = {0};
    unsigned n = 0;
    while (next_line(&fields, &line) && line.n) {
        if (line.n < 5 || strncasecmp((const char *)line.p, "host:", 5) != 0)
            continue;
        host = VIEW(line.p + 5, line.n - 5);
        while (host.n && (host.p[0] == ' ' || host.p[0] == '\t'))
            host = VIEW(host.p + 1, host.n - 1);
        n++;
    }
    return n == 1 && is_ours(r, host);
}

/* "GET target HTTP/1.x" */
static unsigned split_line(struct view line, struct view *target)
{
    const uint8_t *space = line.n > 4 ? memchr(line.p + 4, ' ', line.n - 4) : NULL;
    if (line.n < 4 || memcmp(line.p, "GET ", 4) != 0)
        return 405;
    struct view version =
        space ? VIEW(space + 1, (size_t)(line.p + line.n - space - 1)) : VIEW(NULL, 0);
    if (!view_is(version, "HTTP/1.1") && !view_is(version, "HTTP/1.0"))
        return 400;
    *target = VIEW(line.p + 4, (size_t)(space - line.p - 4));
    return 200;
}

unsigned redirect_judge(const struct redirect *r, struct view head, struct brought *out)
{
    struct view line, target = {0};
    size_t n = strlen(r->path);
    if (!next_line(&head, &line))
        return 400;
    unsigned status = split_line(line, &target);
    if (status != 200)
        return status;
    if (target.n < n || memcmp(target.p, r->path, n) != 0 || (target.n > n && target.p[n] != '?'))
        return 404;
    if (!host_is_ours(r, head) || target.n <= n + 1)
        return 400;
    bool good = brought_by_query(VIEW(target.p + n + 1, target.n - n - 1), out) && r->state &&
                strlen(out->state) == strlen(r->state) &&
                equal_ct(out->state, r->state, strlen(r->state));
    if (!good)
        brought_wipe(out);
    return good ? 200 : 400;
}

static void answer(int fd, unsigned status, bool error)
{
    static const char *const line[] = {"200 OK", "400 Bad Request", "404 Not Found",
                                       "405 Method Not Allowed"};
    static const char *const said[] = {
        "Done: go back to the terminal. This page can be closed.",
        "This is not the login that the terminal waits for.",
        "There is nothing here.",
        "There is nothing here.",
    };
    const unsigned at = status == 200 ? 0 : status == 400 ? 1 : status == 404 ? 2 : 3;
    const char *text =
        error ? "The provider did not give a login: the terminal says more." : said[at];
    char page[1024];
    int n = snprintf(page, sizeof(page),
                     "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
                     "%zu\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
                     "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
                     "<!doctype html><title>credential-broker</title><p>%s</p>\n",
                     line[at],
                     strlen(text) +
                         sizeof("<!doctype html><title>credential-broker</title><p></p>\n") - 1,
                     text);
    if (n > 0 && (size_t)n < sizeof(page))
        (void)!send(fd, page, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
}

/* ---- the loop's part */

unsigned redirect_poll(const struct redirect *r, struct pollfd out[REDIRECT_POLL])
{
    out[0] = (struct pollfd){.fd = r->listener, .events = POLLIN};
    for (unsigned i = 0; i < REDIRECT_CONNS; i++)
        out[i + 1] = (struct pollfd){.fd = r->conn[i].fd, .events = POLLIN};
    return REDIRECT_POLL;
}

/* A free place, or that of the one that came first. */
static unsigned place_for(const struct redirect *r)
{
    unsigned at = 0;
    for (unsigned i = 0; i < REDIRECT_CONNS; i++) {
        if (r->conn[i].fd < 0)
            return i;
        if (r->conn[i].place < r->conn[at].place)
            at = i;
    }
    return at;
}

static void take(struct redirect *r)
{
    int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    unsigned at = place_for(r);
    drop(r, at);
    r->conn[at].fd = fd;
    r->conn[at].head = (struct buf){.max = REDIRECT_HEAD};
    r->conn[at].until_ms = clock_boot_ms() + HEAD_MS;
    r->conn[at].place = ++r->arrived;
}

/* True: the redirect. */
static bool read_some(struct redirect *r, unsigned i, struct brought *out)
{
    uint8_t block[4096];
    struct buf *head = &r->conn[i].head;
    ssize_t n = recv(r->conn[i].fd, block, sizeof(block), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0)
        buf_add(head, block, (size_t)n);
    wipe(block, sizeof(block));
    bool whole = n > 0 && !head->bad && memmem(head->p, head->len, "\r\n\r\n", 4);
    if (n > 0 && !whole && !head->bad)
        return false;
    unsigned status = whole ? redirect_judge(r, buf_view(head), out) : 400;
    if (n > 0)
        answer(r->conn[i].fd, status, status == 200 && out->error[0]);
    drop(r, i);
    return status == 200;
}

bool redirect_step(struct redirect *r, const struct pollfd *polled, struct brought *out)
{
    int64_t now = clock_boot_ms();
    for (unsigned i = 0; i < REDIRECT_CONNS; i++) {
        if (r->conn[i].fd < 0)
            continue;
        if (polled[i + 1].fd == r->conn[i].fd && polled[i + 1].revents && read_some(r, i, out))
            return true;
        if (r->conn[i].fd >= 0 && now >= r->conn[i].until_ms)
            drop(r, i);
    }
    if (polled[0].revents & POLLIN)
        take(r);
    return false;
}
