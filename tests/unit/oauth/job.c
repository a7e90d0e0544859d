/* oauth/job.c: the conversation with the vault, in its order; nothing is parsed before it is kept. */
#include "check.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "oauth/job.h"
#include "oauth/memory.h"
#include <broker/provider.h>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct why why;
static struct msg m;
static struct buf in;

static void recv_from(int sock)
{
    int fd = -1;
    CHECK_OK(ipc_wait(sock, 5000, &why), why);
    CHECK_OK(ipc_recv(sock, &in, &fd, &why), why);
    CHECK_OK(msg_parse(buf_view(&in), FROM_HELPER, &m, &why), why);
}

static void begin_job(struct buf *b, const char *op)
{
    msg_begin(b, MSG_OAUTH_JOB, 0, 0);
    msg_put_str(b, F_PROVIDER, "claude");
    msg_put_u64(b, F_TTL_MS, 2000);
    msg_put_str(b, F_OP, op);
    msg_put_u64(b, F_FLAGS, OAUTH_LOOPBACK);
}

/* A server that answers once with `reply`. */
static pid_t serve(const char *reply, char url[64])
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 4) == 0 && getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
    (void)snprintf(url, 64, "http://127.0.0.1:%u/token", ntohs(sa.sin_port));
    pid_t pid = fork();
    if (pid == 0) {
        char got[8192];
        (void)alarm(20);
        int c = accept(fd, NULL, NULL);
        if (read(c, got, sizeof(got)) <= 0 || write(c, reply, strlen(reply)) < 0)
            _exit(1);
        _exit(0);
    }
    close(fd);
    return pid;
}

/* The helper in a child, because the conversation has two sides. */
static pid_t helper(int pair[2])
{
    CHECK_OK(ipc_pair(pair, &why), why);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        struct why own = {0};
        if (memory_curl_init(&own) != ERR_OK)
            _exit(9);
        _exit(job_serve(pair[1], &own) == ERR_OK ? 0 : 1);
    }
    close(pair[1]);
    return pid;
}

static int ended(pid_t pid)
{
    int status = 0;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ask_raw_kept_result)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX}, pairs = {0};
    char url[64];
    int pair[2];
    pid_t server = serve("HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n{\"access_token\":\"new\",\"expires_in\":  100}", url);
    pid_t pid = helper(pair);
    list_put(&pairs, view_str("grant_type"));
    list_put(&pairs, view_str("refresh_token"));
    begin_job(&b, "ask");
    msg_put_str(&b, F_URL, url);
    msg_put(&b, F_PAIRS, buf_view(&pairs));
    CHECK_OK(ipc_send(pair[0], buf_view(&b), -1, &why), why);
    recv_from(pair[0]);
    CHECK(m.type == MSG_OAUTH_RAW && msg_u64(&m, F_STATUS, 9) == ERR_OK && msg_u64(&m, F_HTTP_STATUS, 0) == 200);
    CHECK(view_is(msg_view(&m, F_RAW), "{\"access_token\":\"new\",\"expires_in\":  100}"));
    CHECK_INT(ipc_wait(pair[0], 100, &why), ERR_TIMEOUT); /* it waits */
    msg_begin(&b, MSG_OAUTH_KEPT, 0, 0);
    msg_put_u64(&b, F_AT_MS, 5000);
    CHECK_OK(ipc_send(pair[0], buf_view(&b), -1, &why), why);
    recv_from(pair[0]);
    struct cred c;
    CHECK(m.type == MSG_OAUTH_RESULT && msg_u64(&m, F_VERDICT, 9) == OAUTH_GRANTED);
    CHECK_OK(cred_decode(msg_view(&m, F_BODY), &c, &why), why);
    CHECK_INT(cred_ms(&c, CF_EXPIRES_AT), 105000);
    CHECK_INT(ended(pid), 0);
    CHECK_INT(ended(server), 0);
    close(pair[0]);
}

TEST(an_answer_that_was_not_kept_is_never_read)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    char url[64];
    int pair[2];
    pid_t server = serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", url);
    pid_t pid = helper(pair);
    begin_job(&b, "ask");
    msg_put_str(&b, F_URL, url);
    CHECK_OK(ipc_send(pair[0], buf_view(&b), -1, &why), why);
    recv_from(pair[0]);
    CHECK_INT(m.type, MSG_OAUTH_RAW);
    close(pair[0]); /* the vault is gone */
    CHECK_INT(ended(pid), 1);
    CHECK_INT(ended(server), 0);
}

TEST(no_answer_is_told_with_its_reason_and_nothing_follows)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    int pair[2], fd = -1;
    pid_t pid = helper(pair);
    begin_job(&b, "ask");
    msg_put_str(&b, F_URL, "http://127.0.0.1:1/token");
    CHECK_OK(ipc_send(pair[0], buf_view(&b), -1, &why), why);
    recv_from(pair[0]);
    CHECK(m.type == MSG_OAUTH_RAW && msg_u64(&m, F_STATUS, 0) == ERR_UNAVAILABLE && msg_u64(&m, F_FLAGS, 9) == 0 && !m.has[F_RAW]);
    CHECK_INT(ended(pid), 0);
    CHECK_INT(ipc_recv(pair[0], &in, &fd, &why), ERR_NO_BROKER);
    close(pair[0]);
}

TEST(parse_asks_nobody)
{
    AUTO(buf_free) struct buf b = {.max = MSG_MAX};
    int pair[2];
    pid_t pid = helper(pair);
    begin_job(&b, "parse");
    msg_put_u64(&b, F_HTTP_STATUS, 400);
    msg_put(&b, F_RAW, view_str("{\"error\":\"invalid_grant\"}"));
    msg_put_u64(&b, F_AT_MS, 1);
    CHECK_OK(ipc_send(pair[0], buf_view(&b), -1, &why), why);
    recv_from(pair[0]);
    CHECK(m.type == MSG_OAUTH_RESULT && msg_u64(&m, F_VERDICT, 9) == OAUTH_REVOKED && view_is(msg_view(&m, F_CODE), "invalid_grant"));
    CHECK_INT(ended(pid), 0);
    close(pair[0]);
}

TEST(what_is_no_job_ends_it)
{
    for (int i = 0; i < 4; i++) {
        AUTO(buf_free) struct buf b = {.max = MSG_MAX};
        int pair[2];
        pid_t pid = helper(pair);
        begin_job(&b, i == 0 ? "steal" : "ask");
        if (i == 1)
            msg_begin(&b, MSG_OAUTH_KEPT, 0, 0);
        if (i == 2) {
            msg_begin(&b, MSG_OAUTH_JOB, 0, 0);
            msg_put_str(&b, F_PROVIDER, "nobody");
        }
        CHECK_OK(ipc_send(pair[0], i == 3 ? view_str("garbage") : buf_view(&b), -1, &why), why);
        CHECK_INT(ended(pid), 1);
        close(pair[0]);
    }
    buf_free(&in);
}
