/*
 * The floor of the control API: libmicrohttpd with an external epoll, that answers every request at once with a body as long as that of
 * GET /v1/whoami. One process, no vault behind it.     mhd_floor SOCKET     prints "ready", serves until it is killed
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char reply[] = "{\"consumer\":\"gw\",\"version\":\"0.1.0\",\"time_ms\":1795300000000,"
                            "\"uid\":1000,\"pid\":123456}";

static enum MHD_Result answer(void *response, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    (void)url, (void)method, (void)version, (void)data;
    if (!*state) { /* the head; the answer is queued when the (empty) body has come */
        *state = response;
        return MHD_YES;
    }
    *size = 0;
    return MHD_queue_response(c, MHD_HTTP_OK, response);
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
        return -1;
    memcpy(a.sun_path, path, strlen(path) + 1);
    return bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 512) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
    int fd = argc == 2 ? listen_at(argv[1]) : -1;
    struct MHD_Response *r = MHD_create_response_from_buffer(
        sizeof(reply) - 1, (void *)(uintptr_t)reply, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *d =
        fd < 0 || !r ? NULL
                     : MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO, 0, NULL, NULL, answer, r,
                                        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info || MHD_add_response_header(r, "Content-Type", "application/json") != MHD_YES) {
        perror("mhd_floor");
        return 1;
    }
    int outer = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN};
    if (outer < 0 || epoll_ctl(outer, EPOLL_CTL_ADD, info->epoll_fd, &ev) < 0)
        return 1;
    printf("ready\n");
    fflush(stdout);
    while (epoll_wait(outer, &ev, 1, -1) >= 0)
        if (MHD_run(d) != MHD_YES)
            return 1;
    return 1;
}
