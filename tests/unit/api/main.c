/* The program itself, in its sandbox: it serves, it ends with the vault, it is small, and it
 * refuses to be started otherwise. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>

static struct answer a;

/* brokerd-api beside this test: …/unit/api/main → …/brokerd-api */
static bool program(char out[512])
{
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(n > 0);
    self[n] = '\0';
    char *cut = strstr(self, "/unit/api/");
    CHECK(cut);
    *cut = '\0';
    snprintf(out, 512, "%s/brokerd-api", self);
    return access(out, X_OK) == 0;
}

static pid_t start(const char *path, char *const argv[], int fd)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (fd >= 0 && dup2(fd, 3) != 3)
            _exit(98);
        if (fd < 0)
            (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);
        execv(path, argv);
        _exit(99);
    }
    return pid;
}

static int result(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void open_program(struct rig *r, const char *path, const char *role, uint32_t from,
                         struct msg *ready)
{
    char role_arg[32];
    struct why why = {0};
    int pair[2];
    *r = (struct rig){.role = from, .fd = -1, .packet.max = MSG_MAX};
    CHECK_OK(ipc_pair(pair, &why), why);
    snprintf(role_arg, sizeof(role_arg), "--role=%s", role);
    r->pid =
        start(path, (char *[]){(char *)"brokerd-api", role_arg, (char *)"--fd=3", NULL}, pair[1]);
    close(pair[1]);
    r->vault = pair[0];
    rig_expect(r, MSG_READY, ready);
}

static long pss_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        (void)!sscanf(line, "Pss: %ld", &kb);
    if (f)
        fclose(f);
    return kb;
}

TEST(it_serves_inside_its_sandbox_and_ends_with_the_vault)
{
    char path[512];
    struct rig r;
    struct msg m;
    if (!program(path))
        SKIP("brokerd-api is not built");
    open_program(&r, path, "api", FROM_API, &m);
    r.listen = rig_socket(&r.addr, &r.addr_n);
    rig_listen(&r, "gateway", r.listen, 2);
    int fd[3];
    for (int i = 0; i < 2; i++) {
        http_request(fd[i] = http_connect(&r), "POST", "/v1/leases", NULL,
                     "{\"credential\":\"claude\"}");
        rig_expect(&r, MSG_LEASE_ISSUE, &m);
        rig_reply(&r, m.id, ERR_OK, "{}");
        http_read(fd[i], &a);
        CHECK_INT(a.status, 200);
    }
    http_read(fd[2] = http_connect(&r), &a);
    CHECK_INT(a.status, 503);
    http_request(fd[0], "GET", "/v1/nothing", NULL, NULL);
    http_read(fd[0], &a);
    CHECK_INT(a.status, 404);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    rig_expect(&r, MSG_CLOSED, &m);
    CHECK_INT(rig_close(&r), 0);
}

TEST(the_admin_role_enrolls_inside_its_sandbox)
{
    char path[512];
    struct rig r;
    struct msg m;
    if (!program(path))
        SKIP("brokerd-api is not built");
    open_program(&r, path, "admin", FROM_ADMIN, &m);
    r.listen = rig_socket(&r.addr, &r.addr_n);
    rig_listen(&r, "admin", r.listen, 0);
    int fd = http_connect(&r);
    http_request(fd, "POST", "/v1/credentials", NULL,
                 "{\"name\":\"k\",\"provider\":\"anthropic\",\"data\":\"sk-ant-api03-"
                 "abcdefghijklmnopqrstuvwxyz0123456789\"}");
    rig_expect(&r, MSG_CRED_PUT, &m);
    CHECK(memmem(m.field[F_BODY].p, m.field[F_BODY].n, "sk-ant-api03-", 13));
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    http_request(fd, "POST", "/v1/credentials", NULL,
                 "{\"name\":\"k\",\"provider\":\"claude\",\"data\":\"{]\"}");
    http_read(fd, &a);
    CHECK_INT(a.status, 400);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(idle_it_is_small)
{
    char path[512];
    struct rig r;
    struct msg m;
    if (!program(path))
        SKIP("brokerd-api is not built");
#ifdef __SANITIZE_ADDRESS__
    SKIP("a sanitizer's memory is its own");
#endif
    open_program(&r, path, "api", FROM_API, &m);
    long kb = pss_kb(r.pid);
    r.listen = dup(r.vault);
    CHECK_INT(rig_close(&r), 0);
    if (kb < 0)
        SKIP("its memory may not be looked at");
    printf("    PSS %ld kB\n", kb);
    CHECK(kb <= 4096);
}

TEST(other_arguments_are_refused)
{
    static char *const lines[][4] = {
        {(char *)"brokerd-api", NULL},
        {(char *)"brokerd-api", (char *)"--role=api", NULL},
        {(char *)"brokerd-api", (char *)"--fd=3", NULL},
        {(char *)"brokerd-api", (char *)"--role=vault", (char *)"--fd=3", NULL},
        {(char *)"brokerd-api", (char *)"--role=api", (char *)"--fd=2", NULL},
        {(char *)"brokerd-api", (char *)"--role=api", (char *)"--fd=3x", NULL},
        {(char *)"brokerd-api", (char *)"--role=api", (char *)"--fd=", NULL},
        {(char *)"brokerd-api", (char *)"--help", NULL},
    };
    char path[512];
    if (!program(path))
        SKIP("brokerd-api is not built");
    for (size_t i = 0; i < COUNT(lines); i++)
        CHECK_INT(result(start(path, lines[i], -1)), err_exit(ERR_USAGE));
}
