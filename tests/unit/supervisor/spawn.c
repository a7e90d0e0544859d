/* What a started role sees: its socket, stdio, its arguments, the variables of its row, and nothing else. The role is this very
 * program, which reports what it finds when it is started with --role=. */
#include "supervisor/spawn.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static struct options o;
static struct spawner *spawner;
static struct buf report;
static struct why w;

/* ---- the role */

static void add_link(struct buf *b, int fd)
{
    char path[64], to[256];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, to, sizeof(to) - 1);
    buf_add_fmt(b, "%d=%.*s\n", fd, n > 0 ? (int)n : 1, n > 0 ? to : "-");
}

static void report_self(int argc, char **argv)
{
    struct buf b = {0};
    struct why own = {0};
    sigset_t mask;
    for (int i = 0; i < argc; i++)
        buf_add_fmt(&b, "arg:%s\n", argv[i]);
    for (char **e = environ; *e; e++)
        buf_add_fmt(&b, "env:%s\n", *e);
    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            add_link(&b, fd);
    (void)sigprocmask(SIG_BLOCK, NULL, &mask);
    buf_add_fmt(&b, "session:%s\nblocked:%s\n", getsid(0) == getpid() ? "own" : "shared",
                sigismember(&mask, SIGTERM) ? "yes" : "no");
    _exit(ipc_send(SPAWN_FD, buf_view(&b), -1, &own) == ERR_OK ? 0 : 1);
}

__attribute__((constructor)) static void maybe_role(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "--role=", 7) == 0)
        report_self(argc, argv);
}

/* ---- the tests */

static const char *const keeps[] = {"SPAWN_TEST_KEPT", "SPAWN_TEST_UNSET", "SPAWN_TEST_SET=1", NULL};
static const struct spawn_role roles[] = {
    {"vault", NULL, SPAWN_DIRS, NULL},
    {"plain", NULL, 0, keeps},
    {"aside", NULL, SPAWN_CONFIG, NULL},
    {"missing", "no-such-program", 0, NULL},
    {"elsewhere", "/proc/self/exe", 0, NULL},
    {NULL, NULL, 0, NULL},
};

static void set_up(void)
{
    o = (struct options){.state = "/s", .run = "/r", .config = "/c/broker.yaml", .log_level = LOG_LVL_WARN, .fd = -1};
    CHECK(setenv("SPAWN_TEST_KEPT", "kept", 1) == 0 && setenv("SPAWN_TEST_SECRET", "hidden", 1) == 0 &&
          setenv("LD_LIBRARY_PATH", "/nowhere", 1) == 0 && unsetenv("SPAWN_TEST_UNSET") == 0);
    CHECK_OK(spawner_new(roles, &o, &spawner, &w), w);
}

static void tear_down(void)
{
    spawner_free(spawner);
    buf_free(&report);
}

/* Starts the role and gives its report as text. */
static const char *run(const char *name)
{
    struct spawned child = {.sock = -1};
    int fd = -1, status = -1;
    CHECK_OK(spawn_role(spawner, spawn_find(roles, name), &child, &w), w);
    CHECK_OK(ipc_wait(child.sock, 20000, &w), w);
    CHECK_OK(ipc_recv(child.sock, &report, &fd, &w), w);
    CHECK_INT(ipc_wait(child.sock, 20000, &w), ERR_OK); /* its end */
    CHECK(waitpid(child.pid, &status, 0) == child.pid && status == 0);
    close(child.sock);
    return buf_text(&report);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

TEST(role_has_stdio_its_socket_and_no_other_descriptor)
{
    set_up();
    AUTO(auto_close) int inherited = open("/dev/zero", O_RDONLY); /* not close-on-exec, on purpose */
    const char *text = run("plain");
    CHECK(strstr(text, "\n0=/dev/null\n") && strstr(text, "\n1=/dev/null\n") && strstr(text, "\n2="));
    CHECK(strstr(text, "\n3=socket:"));
    CHECK_INT(count(text, "/dev/zero"), 0);
    CHECK_INT(count(text, "socket:"), 1);
    for (int fd = 4; fd < 256; fd++) {
        char line[16];
        (void)snprintf(line, sizeof(line), "\n%d=", fd);
        CHECK(!strstr(text, line));
    }
    tear_down();
}

TEST(role_sees_the_variables_of_its_row_only)
{
    set_up();
    CHECK_INT(setenv("TZ", "UTC", 1), 0);
    const char *text = run("plain");
    CHECK(strstr(text, "env:SPAWN_TEST_KEPT=kept\n") && strstr(text, "env:SPAWN_TEST_SET=1\n") && strstr(text, "env:TZ=UTC\n"));
    CHECK(!strstr(text, "SECRET") && !strstr(text, "LD_LIBRARY_PATH") && !strstr(text, "SPAWN_TEST_UNSET") && !strstr(text, "HOME="));
    text = run("vault");
    CHECK(!strstr(text, "SPAWN_TEST"));
    tear_down();
}

TEST(role_is_told_its_name_its_socket_and_the_places_if_it_needs_them)
{
    set_up();
    CHECK(strstr(run("plain"), "arg:brokerd\narg:--role=plain\narg:--fd=3\nenv:"));
    const char *text = run("vault");
    CHECK(strstr(text, "arg:--role=vault\narg:--fd=3\narg:--state=/s\narg:--run=/r\narg:--config=/c/broker.yaml\narg:--log-level=warn\nenv:"));
    CHECK(strstr(run("aside"), "arg:--role=aside\narg:--fd=3\narg:--config=/c/broker.yaml\nenv:"));
    o.system = true;
    CHECK(strstr(run("vault"), "arg:--system\n"));
    tear_down();
}

TEST(role_has_a_session_of_its_own_and_no_blocked_signal)
{
    sigset_t set, before;
    set_up();
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGTERM) == 0 && sigprocmask(SIG_BLOCK, &set, &before) == 0);
    const char *text = run("plain");
    CHECK(strstr(text, "session:own\n") && strstr(text, "blocked:no\n"));
    CHECK_INT(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    tear_down();
}

TEST(program_with_a_slash_is_taken_as_it_is)
{
    set_up();
    CHECK(strstr(run("elsewhere"), "arg:/proc/self/exe\narg:--role=elsewhere\n"));
    tear_down();
}

TEST(missing_program_is_told_when_it_is_started)
{
    struct spawned child = {.pid = -5, .sock = -5};
    set_up();
    CHECK_INT(spawn_role(spawner, spawn_find(roles, "missing"), &child, &w), ERR_NOT_FOUND);
    CHECK(strstr(w.text, "no-such-program") && child.pid == -5 && child.sock == -5);
    tear_down();
}

TEST(the_program_is_the_one_that_was_there_at_the_start)
{
    static struct spawn_role moved[] = {{"vault", NULL, false, NULL}, {NULL, NULL, 0, NULL}};
    static char path[64], link[64];
    struct spawned child;
    int status, fd = -1;
    (void)snprintf(path, sizeof(path), "/tmp/spawn-test-%d", getpid());
    (void)snprintf(link, sizeof(link), "/proc/%d/exe", getpid());
    CHECK_INT(symlink(link, path), 0);
    moved[0].program = path;
    set_up();
    spawner_free(spawner);
    CHECK_OK(spawner_new(moved, &o, &spawner, &w), w);
    CHECK(unlink(path) == 0 && symlink("/bin/false", path) == 0);
    CHECK_OK(spawn_role(spawner, 0, &child, &w), w);
    CHECK_OK(ipc_wait(child.sock, 20000, &w), w);
    CHECK_OK(ipc_recv(child.sock, &report, &fd, &w), w); /* /bin/false would have said nothing */
    CHECK(waitpid(child.pid, &status, 0) == child.pid && status == 0);
    close(child.sock);
    CHECK_INT(unlink(path), 0);
    tear_down();
}

TEST(table_of_roles_fits_its_limits)
{
    int n = 0;
    for (; spawn_roles[n].name; n++)
        CHECK_INT(spawn_find(spawn_roles, spawn_roles[n].name), n);
    CHECK(n <= SPAWN_ROLES);
    CHECK_STR(spawn_roles[0].name, "vault");
    CHECK_INT(spawn_find(spawn_roles, "vaul"), -1);
    CHECK_INT(spawn_find(spawn_roles, ""), -1);
}
