/* The supervisor against a vault that plays a script. The fake vault and the fake workers are this very program, started with
 * --role=; they write what happens to them into a file of the state directory. */
#include "supervisor/supervisor.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

/* ---- the roles */

static char state[256];

static void tell(const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/said", state);
    AUTO(auto_close) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (write(fd, text, strlen(text)) < 0 || write(fd, "\n", 1) < 0)
        _exit(90);
}

static void wait_for_end(void)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    int fd = -1;
    err_t e;
    while ((e = ipc_recv(SPAWN_FD, &b, &fd, &why)) != ERR_NO_BROKER)
        (void)!ipc_wait(SPAWN_FD, PATIENCE_MS, &why);
}

static void send_msg(enum msg_type type, enum msg_field f, const char *text)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    msg_begin(&b, type, 0, 0);
    msg_put_str(&b, f, text);
    if (b.bad || ipc_send(SPAWN_FD, buf_view(&b), -1, &why) != ERR_OK)
        _exit(91);
}

static void describe(const struct msg *m, int fd)
{
    char role[17] = "-", line[300];
    int status = (int)msg_u64(m, F_EXIT, 0);
    if (m->has[F_ROLE])
        (void)view_copy(msg_view(m, F_ROLE), role, sizeof(role));
    (void)snprintf(line, sizeof(line), "%s %s fd=%s pid=%s err=%s exit=%d sig=%d", msg_rule(m->type)->name, role,
                   fd >= 0 ? "yes" : "no", msg_u64(m, F_PID, 0) ? "yes" : "no", err_wire((err_t)msg_u64(m, F_STATUS, 0)),
                   WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    tell(line);
}

/* One message; descriptors are kept open: they are the lives of the workers. */
static enum msg_type listen_once(void)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct msg m;
    int fd = -1;
    if (ipc_wait(SPAWN_FD, PATIENCE_MS, &why) != ERR_OK)
        _exit(92);
    err_t e = ipc_recv(SPAWN_FD, &b, &fd, &why);
    if (e == ERR_NO_BROKER) {
        tell("vault sees the end");
        _exit(0);
    }
    if (e != ERR_OK || msg_parse(buf_view(&b), FROM_SUPERVISOR, &m, &why) != ERR_OK)
        _exit(93);
    describe(&m, fd);
    return m.type;
}

static void do_spawn(const char *arg) { send_msg(MSG_SPAWN, F_ROLE, arg); }
static void do_notify(const char *arg) { send_msg(MSG_NOTIFY, F_NOTE, arg); }
static void do_hear(const char *arg) { (void)arg; (void)listen_once(); }
static void do_exit(const char *arg) { _exit(atoi(arg)); } /* a test's own script */
static void do_crash(const char *arg) { (void)arg; (void)raise(SIGKILL); }
static void do_wrong(const char *arg) { send_msg(MSG_STOP, F_ROLE, arg); }
static void do_deaf(const char *arg) { (void)arg; (void)signal(SIGTERM, SIG_IGN); tell("deaf"); for (;;) (void)pause(); }
static void do_garbage(const char *arg)
{
    struct why why = {0};
    if (ipc_send(SPAWN_FD, view_str(arg), -1, &why) != ERR_OK)
        _exit(94);
}
static void do_stop(const char *arg)
{
    (void)arg;
    while (listen_once() != MSG_STOP)
        continue;
    _exit(0);
}

static const struct {
    const char *name;
    void (*run)(const char *arg);
} commands[] = {{"spawn", do_spawn}, {"hear", do_hear}, {"notify", do_notify}, {"exit", do_exit}, {"crash", do_crash},
                {"wrong", do_wrong}, {"deaf", do_deaf}, {"garbage", do_garbage}, {"stop", do_stop}};

static void play(char *line)
{
    char *arg = strchr(line, ' ');
    if (arg)
        *arg++ = '\0';
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, line) == 0)
            commands[i].run(arg ? arg : "");
}

static void be_vault(void)
{
    AUTO(buf_free) struct buf script = {0};
    struct why why = {0};
    char path[300], line[128];
    (void)snprintf(path, sizeof(path), "%s/script", state);
    if (file_read_at(AT_FDCWD, path, 4096, &script, &why) != ERR_OK)
        _exit(95);
    struct view left = buf_view(&script);
    while (left.n) {
        const uint8_t *nl = memchr(left.p, '\n', left.n);
        size_t n = nl ? (size_t)(nl - left.p) : left.n;
        if (!view_copy(VIEW(left.p, n), line, sizeof(line)))
            _exit(96);
        play(line);
        left = VIEW(left.p + n + (nl ? 1 : 0), left.n - n - (nl ? 1 : 0));
    }
    do_stop("");
}

static void be_audit(void)
{
    wait_for_end();
    (void)usleep(300000); /* draining takes its time */
    tell("audit drained");
}

static void be_worker(void)
{
    wait_for_end();
}

static void be_short(void)
{
    _exit(7);
}

static void be_stubborn(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    tell("stubborn");
    for (;;)
        (void)pause();
}

static const struct {
    const char *arg;
    void (*run)(void);
} fakes[] = {{"--role=vault", be_vault}, {"--role=audit", be_audit}, {"--role=api", be_worker},
             {"--role=short", be_short}, {"--role=stubborn", be_stubborn}};

__attribute__((constructor)) static void maybe_role(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--state=", 8) == 0)
            (void)snprintf(state, sizeof(state), "%s", argv[i] + 8);
    for (size_t i = 0; argc > 1 && i < COUNT(fakes); i++)
        if (strcmp(argv[1], fakes[i].arg) == 0) {
            fakes[i].run();
            _exit(0);
        }
}

static const struct spawn_role roles[] = {
    {"vault", NULL, true, NULL}, {"audit", NULL, true, NULL}, {"api", NULL, false, NULL},
    {"short", NULL, false, NULL}, {"stubborn", NULL, true, NULL}, {"absent", "no-such-program", false, NULL},
    {NULL, NULL, false, NULL},
};

/* ---- the rig */

static struct options o;
static char top[32];
static pid_t pid;
static struct buf seen;

static void set_up(const char *script)
{
    char path[4200];
    (void)snprintf(top, sizeof(top), "/tmp/supervisor-XXXXXX");
    CHECK(mkdtemp(top) != NULL);
    o = (struct options){.log_level = LOG_LVL_DEBUG, .user = "root", .fd = -1};
    (void)snprintf(o.state, sizeof(o.state), "%s/state", top);
    (void)snprintf(o.run, sizeof(o.run), "%s/run", top);
    (void)snprintf(o.config, sizeof(o.config), "%s/etc/broker.yaml", top);
    CHECK_INT(mkdir(o.state, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/script", o.state);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(script, f) >= 0 && fclose(f) == 0);
}

static void begin(void)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/log", top);
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
            _exit(97);
        log_open("supervisor", LOG_LVL_DEBUG);
        _exit(supervisor_main(&o, roles));
    }
    CHECK(pid > 0);
}

/* The text of a file below `top`; "" when there is none. */
static const char *text_of(const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/%s", top, name);
    struct why why = {0};
    buf_reset(&seen);
    err_t e = file_read_at(AT_FDCWD, path, 65536, &seen, &why);
    (void)e;
    return buf_text(&seen);
}

static bool comes(const char *name, const char *part)
{
    for (int64_t end = clock_boot_ms() + PATIENCE_MS; clock_boot_ms() < end; (void)usleep(5000))
        if (strstr(text_of(name), part))
            return true;
    printf("    never came: %s\n    %s: %s\n", part, name, text_of(name));
    return false;
}

static int end_code(void)
{
    int status = -1;
    for (int64_t end = clock_boot_ms() + PATIENCE_MS; clock_boot_ms() < end; (void)usleep(2000))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void tear_down(void)
{
    buf_free(&seen);
    (void)nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- the promises */

TEST(sigterm_and_sigint_ask_the_vault_and_end_with_0)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < COUNT(signals); i++) {
        set_up("spawn api\nhear\n");
        begin();
        CHECK(comes("state/said", "SPAWNED api fd=yes pid=yes err=ok"));
        CHECK_INT(kill(pid, signals[i]), 0);
        CHECK_INT(end_code(), 0);
        CHECK(strstr(text_of("state/said"), "STOP -"));
        CHECK(!strstr(text_of("log"), "stop.insist")); /* all went of themselves */
        tear_down();
    }
}

TEST(audit_writer_is_given_time_to_drain)
{
    set_up("spawn audit\nhear\n");
    begin();
    CHECK(comes("state/said", "SPAWNED audit"));
    CHECK_INT(kill(pid, SIGTERM), 0);
    CHECK_INT(end_code(), 0);
    CHECK(strstr(text_of("state/said"), "audit drained"));
    tear_down();
}

TEST(death_of_the_vault_ends_everything_with_1)
{
    static const char *const ends[] = {"spawn audit\nhear\nexit 0\n", "spawn audit\nhear\nexit 25\n", "spawn audit\nhear\ncrash\n"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        set_up(ends[i]);
        begin();
        CHECK_INT(end_code(), 1);
        CHECK(strstr(text_of("log"), "vault.lost"));
        CHECK(strstr(text_of("state/said"), "audit drained"));
        tear_down();
    }
}

TEST(exit_of_a_child_is_told_with_its_status)
{
    set_up("spawn short\nhear\nhear\n");
    begin();
    CHECK(comes("state/said", "CHILD_EXIT short fd=no pid=yes err=ok exit=7 sig=0"));
    CHECK(kill(pid, SIGTERM) == 0 && end_code() == 0);
    tear_down();
}

TEST(role_that_is_not_installed_is_refused_and_nothing_ends)
{
    set_up("spawn absent\nhear\nspawn api\nhear\n");
    begin();
    CHECK(comes("state/said", "SPAWNED absent fd=no pid=no err=not_found"));
    CHECK(comes("state/said", "SPAWNED api fd=yes"));
    CHECK(kill(pid, SIGTERM) == 0 && end_code() == 0);
    tear_down();
}

TEST(sighup_becomes_a_reload)
{
    set_up("hear\n");
    begin();
    CHECK(comes("log", "child.started"));
    CHECK_INT(kill(pid, SIGHUP), 0);
    CHECK(comes("state/said", "RELOAD_SIGNAL"));
    CHECK(kill(pid, SIGTERM) == 0 && end_code() == 0);
    tear_down();
}

TEST(vault_that_breaks_the_protocol_ends_everything)
{
    static const char *const breaks[] = {"garbage hello\nhear\n", "wrong x\nhear\n", "spawn vault\nhear\n", "spawn nobody\nhear\n",
                                         "spawn \nhear\n"};
    for (size_t i = 0; i < COUNT(breaks); i++) {
        set_up(breaks[i]);
        begin();
        CHECK_INT(end_code(), 1);
        CHECK(strstr(text_of("log"), "vault.protocol"));
        tear_down();
    }
}

TEST(eleventh_start_within_the_window_waits)
{
    char script[1024] = "";
    for (int i = 0; i < SUPERVISOR_STARTS + 1; i++)
        (void)strncat(script, "spawn short\n", sizeof(script) - strlen(script) - 1);
    for (int i = 0; i < 2 * SUPERVISOR_STARTS; i++)
        (void)strncat(script, "hear\n", sizeof(script) - strlen(script) - 1);
    (void)strncat(script, "spawn api\nhear\n", sizeof(script) - strlen(script) - 1);
    set_up(script);
    begin();
    CHECK(comes("state/said", "SPAWNED api")); /* other roles are not delayed */
    int started = 0;
    for (const char *at = text_of("state/said"); (at = strstr(at, "SPAWNED short")) != NULL; at++)
        started++;
    CHECK_INT(started, SUPERVISOR_STARTS);
    CHECK(strstr(text_of("log"), "child.delayed"));
    CHECK(kill(pid, SIGTERM) == 0 && end_code() == 0); /* and waiting does not delay the end */
    tear_down();
}

TEST(vault_that_does_not_stop_is_made_to_by_those_in_a_hurry)
{
    set_up("spawn audit\nhear\ndeaf\n");
    begin();
    CHECK(comes("state/said", "deaf"));
    CHECK_INT(kill(pid, SIGTERM), 0); /* asks */
    (void)usleep(100000);
    CHECK_INT(kill(pid, SIGTERM), 0); /* SIGTERM, which it ignores */
    CHECK(comes("log", "with=SIGTERM"));
    CHECK_INT(end_code(), 0);         /* SIGKILL after a second */
    CHECK(strstr(text_of("log"), "with=SIGKILL"));
    CHECK(strstr(text_of("state/said"), "audit drained")); /* all the same */
    tear_down();
}

TEST(stubborn_child_is_killed_in_the_end)
{
    set_up("spawn stubborn\nhear\n");
    begin();
    CHECK(comes("state/said", "stubborn\n"));
    CHECK_INT(kill(pid, SIGTERM), 0);
    CHECK(comes("log", "child=vault"));
    (void)usleep(200000);
    CHECK_INT(kill(pid, SIGTERM), 0); /* the vault is gone: hurry past the draining */
    CHECK_INT(end_code(), 0);
    CHECK(strstr(text_of("log"), "with=SIGKILL"));
    tear_down();
}

TEST(when_the_supervisor_is_killed_the_others_end_by_themselves)
{
    set_up("spawn audit\nhear\nhear\n");
    begin();
    CHECK(comes("state/said", "SPAWNED audit"));
    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK_INT(end_code(), 1000 + SIGKILL);
    CHECK(comes("state/said", "vault sees the end"));
    CHECK(comes("state/said", "audit drained"));
    tear_down();
}

TEST(vaults_note_reaches_the_service_manager)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char heard[128] = "";
    int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "supervisor-test-%d", getpid());
    char name[128];
    (void)snprintf(name, sizeof(name), "@%s", sa.sun_path + 1);
    AUTO(auto_close) int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(manager, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)), 0);
    CHECK_INT(setenv("NOTIFY_SOCKET", name, 1), 0);
    set_up("notify READY=1\nnotify MAINPID=1\n");
    begin();
    CHECK_INT(recv(manager, heard, sizeof(heard) - 1, 0), 7);
    CHECK_STR(heard, "READY=1");
    CHECK(kill(pid, SIGTERM) == 0 && end_code() == 0);
    memset(heard, 0, sizeof(heard));
    CHECK_INT(recv(manager, heard, sizeof(heard) - 1, 0), 10);
    CHECK_STR(heard, "STOPPING=1"); /* and no MAINPID before it */
    CHECK_INT(unsetenv("NOTIFY_SOCKET"), 0);
    tear_down();
}

TEST(unsafe_directory_ends_the_start_with_its_code)
{
    set_up("");
    CHECK_INT(chmod(o.state, 0755), 0);
    begin();
    CHECK_INT(end_code(), err_exit(ERR_PERMISSION));
    CHECK(strstr(text_of("log"), "start.failed") && strstr(text_of("log"), "chmod"));
    tear_down();
}

TEST(unknown_user_ends_the_start_with_its_code)
{
    if (geteuid() != 0)
        SKIP("needs root");
    set_up("");
    (void)snprintf(o.user, sizeof(o.user), "no-such-user-here");
    begin();
    CHECK_INT(end_code(), err_exit(ERR_NOT_FOUND));
    CHECK(strstr(text_of("log"), "useradd"));
    tear_down();
}
