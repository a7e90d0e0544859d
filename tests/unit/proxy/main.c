/* The program itself, in its sandbox: it serves a whole request, ends with the vault, and refuses to be started otherwise. */
#include "proxy_rig.h"

/* brokerd-proxy beside this test: …/unit/proxy/main → …/brokerd-proxy */
static bool program(char out[512])
{
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(n > 0);
    self[n] = '\0';
    char *cut = strstr(self, "/unit/proxy/");
    CHECK(cut);
    *cut = '\0';
    (void)snprintf(out, 512, "%s/brokerd-proxy", self);
    return access(out, X_OK) == 0;
}

static pid_t start(const char *path, char *const argv[], int fd)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (fd >= 0 && dup2(fd, 3) != 3)
            _exit(98);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        (void)execv(path, argv);
        _exit(99);
    }
    return pid;
}

TEST(the_program_serves_inside_its_sandbox)
{
    char path[512], seen[4096], got[4096], text[64];
    struct rig r = {.packet.max = MSG_MAX};
    struct why why = {0};
    struct msg m;
    int pair[2];
    if (!program(path))
        SKIP("brokerd-proxy is not built");
    CHECK_OK(ipc_pair(pair, &why), why);
    r.vault = pair[0];
    rig_sockets(&r);
    r.pid = start(path, (char *[]){(char *)"brokerd-proxy", (char *)"--role=proxy", (char *)"--fd=3", NULL}, pair[1]);
    close(pair[1]);
    rig_expect(&r, MSG_READY, &m);
    CHECK(view_copy(msg_view(&m, F_REASON), text, sizeof(text)) && (strstr(text, "seccomp") || strcmp(text, "none") == 0));
    rig_listen(&r, "gateway", 16);
    int c = rig_client(&r);
    int up = rig_granted(&r, c, RIG_HEAD("POST", "/v1/messages") "Content-Length: 2\r\n\r\nhi", seen, sizeof(seen));
    CHECK(strstr(seen, RIG_SECRET) && !strstr(seen, "cbrk1_"));
    rig_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    CHECK(rig_read(c, "\r\n\r\nok", got, sizeof(got)));
    close(c);
    close(up);
    CHECK_INT(rig_end(&r), 0);
}

TEST(it_refuses_to_be_started_by_hand)
{
    static char *const lines[][4] = {{(char *)"brokerd-proxy", NULL},
                                     {(char *)"brokerd-proxy", (char *)"--role=api", (char *)"--fd=3", NULL},
                                     {(char *)"brokerd-proxy", (char *)"--role=proxy", NULL},
                                     {(char *)"brokerd-proxy", (char *)"--role=proxy", (char *)"--fd=x", NULL},
                                     {(char *)"brokerd-proxy", (char *)"--role=proxy", (char *)"--fd=1", NULL}};
    char path[512];
    if (!program(path))
        SKIP("brokerd-proxy is not built");
    for (size_t i = 0; i < COUNT(lines); i++) {
        int status = -1;
        pid_t pid = start(path, lines[i], -1);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), err_exit(ERR_USAGE));
    }
}
