/*
 * Asks brokerd-keyring one question as the vault does: keyring_ask PROGRAM OP [PARAMS]. Prints
 * "STATUS PARAMS KEY-in-hex" or "STATUS REASON", and on stderr the milliseconds it took.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/ipc.h"
#include "base/msg.h"
#include <broker/secret.h>

#include <string.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 12000 };

static int start(const char *program, int sock)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (dup2(sock, 3) < 0 || execl(program, program, (char *)NULL) < 0)
        _exit(127);
    return 0;
}

static void put_question(struct buf *b, const char *op, const char *params)
{
    msg_begin(b, MSG_KEY_ASK, 1, 0);
    msg_put_str(b, F_SOURCE, "keyring");
    if (params)
        msg_put(b, F_PARAMS, view_str(params));
    msg_put_str(b, F_OP, op);
    msg_put_str(b, F_NOTE, "00112233445566778899aabbccddeeff");
}

static void print_answer(const struct msg *m)
{
    char key[65] = "";
    struct view text = msg_view(m, m->has[F_REASON] ? F_REASON : F_PARAMS);
    if (m->has[F_KEY])
        hex_encode(msg_view(m, F_KEY).p, 32, key);
    printf("%s %.*s %s\n", err_wire((err_t)msg_u64(m, F_STATUS, ERR_INTERNAL)), (int)text.n,
           text.n ? (const char *)text.p : "", key);
}

static err_t ask(int argc, char **argv, struct why *why)
{
    AUTO(buf_free) struct buf in = {0}, out = {0};
    struct msg m;
    int fds[2], fd = -1;
    TRY(ipc_pair(fds, why));
    int pid = start(argv[1], fds[1]);
    close(fds[1]);
    put_question(&out, argv[2], argc > 3 ? argv[3] : NULL);
    TRY(ipc_send(fds[0], buf_view(&out), -1, why));
    TRY(ipc_wait(fds[0], PATIENCE_MS, why));
    TRY(ipc_recv(fds[0], &in, &fd, why));
    TRY(msg_parse(buf_view(&in), FROM_HELPER, &m, why));
    print_answer(&m);
    int status = 1;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return fail(why, ERR_INTERNAL, "the helper ended with %d", status);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    struct why why = {0};
    int64_t begin = clock_boot_ms();
    if (argc < 3)
        return 2;
    err_t e = ask(argc, argv, &why);
    if (e != ERR_OK)
        printf("no answer: %s\n", why.text);
    (void)fprintf(stderr, "%lld\n", (long long)(clock_boot_ms() - begin));
    return e != ERR_OK;
}
