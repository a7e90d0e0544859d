/*
 * What the api role costs by itself: a worker, and a vault that answers every request at once with
 * a lease-sized body. api_worker SOCKET     prints "worker PID vault PID", serves until stdin ends;
 * load comes from http_bench
 */
#include "api/worker.h"
#include "base/auto.h"
#include "base/ipc.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char lease[] =
    "{\"id\":\"00112233445566778899aabbccddeeff\",\"token\":\"cbt1-"
    "0123456789012345678901234567890123456789012345678901234\","
    "\"credential\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"deliver\":\"access_"
    "token\",\"secret\":"
    "\"sk-ant-oat01-"
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\","
    "\"file\":null,\"file_name\":null,\"env\":\"CLAUDE_CODE_OAUTH_TOKEN\",\"expires_at_ms\":"
    "1795300000000,\"state\":\"live\"}";

static int bind_socket(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !view_copy(view_str(path), a.sun_path, sizeof(a.sun_path)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 512) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void answer(int vault, const struct msg *m, struct buf *out)
{
    struct why why;
    if (m->type == MSG_READY || m->type == MSG_CLOSED)
        return;
    msg_begin(out, MSG_REPLY, m->id, m->conn);
    msg_put_u64(out, F_STATUS, ERR_OK);
    msg_put(out, F_BODY, VIEW(lease, sizeof(lease) - 1));
    while (ipc_send(vault, buf_view(out), -1, &why) == ERR_UNAVAILABLE)
        poll(&(struct pollfd){.fd = vault, .events = POLLOUT}, 1, -1);
}

static void serve(int vault)
{
    AUTO(buf_free) struct buf in = {.max = MSG_MAX}, out = {.max = MSG_MAX};
    struct pollfd p[2] = {{.fd = vault, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        struct why why;
        struct msg m;
        for (int fd = -1; ipc_recv(vault, &in, &fd, &why) == ERR_OK; fd = -1) {
            if (msg_parse(buf_view(&in), FROM_API, &m, &why) == ERR_OK)
                answer(vault, &m, &out);
            auto_close(&fd);
        }
    }
}

int main(int argc, char **argv)
{
    struct why why = {0};
    int pair[2], sock = argc == 2 ? bind_socket(argv[1]) : -1;
    if (sock < 0 || ipc_pair(pair, &why) != ERR_OK)
        return 2;
    pid_t pid = fork();
    if (pid == 0) {
        struct worker *w = NULL;
        close(pair[0]);
        (void)signal(SIGPIPE, SIG_IGN);
        if (worker_new(FROM_API, pair[1], NULL, &w, &why) != ERR_OK)
            _exit(1);
        _exit(worker_run(w, NULL));
    }
    close(pair[1]);
    AUTO(buf_free) struct buf out = {0};
    msg_begin(&out, MSG_LISTEN, 0, 0);
    msg_put_str(&out, F_CONSUMER, "gateway");
    msg_put_u64(&out, F_MAX_CONNS, 2048);
    if (ipc_send(pair[0], buf_view(&out), sock, &why) != ERR_OK)
        return 1;
    printf("worker %d vault %d\n", (int)pid, (int)getpid());
    fflush(stdout);
    serve(pair[0]);
    unlink(argv[1]);
    return 0;
}
