/*
 * Gives brokerd-oauth one job as the vault does: oauth_ask PROGRAM CONFIG URL CA FLAGS [SECONDS]. Prints "STATUS HTTP-STATUS VERDICT
 * ACCESS-TOKEN", or the reason; with SECONDS it lets the helper wait that long for KEPT and prints its pid first.
 */
#include "base/auto.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "provider/oauth.h"

#include <string.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 20000 };

static pid_t start(char **argv, int sock)
{
    char config[4200];
    (void)snprintf(config, sizeof(config), "--config=%s", argv[2]);
    pid_t pid = fork();
    if (pid == 0 && (dup2(sock, 3) < 0 || execl(argv[1], argv[1], "--role=oauth", "--fd=3", config, (char *)NULL) < 0))
        _exit(127);
    return pid;
}

static void put_job(struct buf *b, char **argv)
{
    AUTO(buf_free) struct buf pairs = {0};
    oauth_pair(&pairs, "grant_type", view_str("refresh_token"));
    oauth_pair(&pairs, "client_id", view_str("9d1c250a-e61b-44d9-88ed-5944d1962f5e"));
    oauth_pair(&pairs, "refresh_token", view_str(getenv("OAUTH_ASK_TOKEN") ? getenv("OAUTH_ASK_TOKEN") : "none"));
    msg_begin(b, MSG_OAUTH_JOB, 0, 0);
    msg_put_str(b, F_PROVIDER, "claude");
    msg_put_u64(b, F_TTL_MS, 3000);
    msg_put_str(b, F_PATH, argv[4][0] ? argv[4] : NULL);
    msg_put_str(b, F_OP, "ask");
    msg_put_u64(b, F_FLAGS, (uint64_t)strtoul(argv[5], NULL, 10));
    msg_put_str(b, F_URL, argv[3]);
    msg_put(b, F_PAIRS, buf_view(&pairs));
}

static err_t receive(int sock, struct buf *in, struct msg *m, struct why *why)
{
    int fd = -1;
    TRY(ipc_wait(sock, PATIENCE_MS, why));
    TRY(ipc_recv(sock, in, &fd, why));
    return msg_parse(buf_view(in), FROM_HELPER, m, why);
}

static err_t talk(int argc, char **argv, int sock, struct why *why)
{
    AUTO(buf_free) struct buf in = {0}, out = {.max = MSG_MAX};
    struct msg m;
    struct cred c = {0};
    put_job(&out, argv);
    TRY(ipc_send(sock, buf_view(&out), -1, why));
    TRY(receive(sock, &in, &m, why));
    err_t e = (err_t)msg_u64(&m, F_STATUS, ERR_INTERNAL);
    struct view reason = msg_view(&m, F_REASON);
    printf("%s %u ", err_wire(e), (unsigned)msg_u64(&m, F_HTTP_STATUS, 0));
    if (e != ERR_OK) {
        printf("%.*s\n", (int)reason.n, (const char *)reason.p);
        return ERR_OK;
    }
    (void)fflush(stdout);
    if (argc > 6)
        (void)sleep((unsigned)strtoul(argv[6], NULL, 10));
    msg_begin(&out, MSG_OAUTH_KEPT, 0, 0);
    msg_put_u64(&out, F_AT_MS, 1000);
    TRY(ipc_send(sock, buf_view(&out), -1, why));
    TRY(receive(sock, &in, &m, why));
    if (m.has[F_BODY])
        TRY(cred_decode(msg_view(&m, F_BODY), &c, why));
    printf("%u %.*s\n", (unsigned)msg_u64(&m, F_VERDICT, 99), (int)c.f[CF_ACCESS_TOKEN].n, (const char *)c.f[CF_ACCESS_TOKEN].p);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    struct why why = {0};
    int fds[2], status = 1;
    if (argc < 6 || ipc_pair(fds, &why) != ERR_OK)
        return 2;
    pid_t pid = start(argv, fds[1]);
    close(fds[1]);
    if (argc > 6)
        printf("%d\n", (int)pid);
    (void)fflush(stdout);
    if (talk(argc, argv, fds[0], &why) != ERR_OK)
        printf("broken: %s\n", why.text);
    close(fds[0]);
    (void)waitpid(pid, &status, 0);
    return status;
}
