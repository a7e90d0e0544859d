/* vault/peer.c: real sockets, dead and replaced processes, foreign ids, conditions. */
#include "check.h"

#include "base/auto.h"
#include "vault/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static struct why why;
static char dir[64], path[100];
static int listener = -1;

static struct sockaddr_un address(const char *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", p);
    return a;
}

static void down(void)
{
    if (listener >= 0)
        close(listener);
    listener = -1;
    unlink(path);
    rmdir(dir);
}

static void up(void)
{
    if (listener >= 0)
        down();
    strcpy(dir, "/tmp/broker-peer-XXXXXX");
    if (!mkdtemp(dir) || chmod(dir, 0755) != 0)
        abort();
    snprintf(path, sizeof(path), "%s/broker.sock", dir);
    struct sockaddr_un a = address(path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, sizeof(a)) != 0 || chmod(path, 0666) != 0 || listen(listener, 100) != 0)
        abort();
}

static int dial(void)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        abort();
    return fd;
}

static int take(void)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static bool have_pidfd(void)
{
    int pair[2], fd = -1;
    socklen_t n = sizeof(fd);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return false;
    bool have = getsockopt(pair[0], SOL_SOCKET, 77, &fd, &n) == 0;
    if (have)
        close(fd);
    close(pair[0]);
    close(pair[1]);
    return have;
}

TEST(a_peer_is_what_the_kernel_says)
{
    struct peer p;
    char exe[4096] = "";
    up();
    int client = dial(), fd = take();
    CHECK_OK(peer_attest(fd, &p, &why), why);
    CHECK(p.uid == geteuid() && p.gid == getegid() && p.pid == getpid());
    CHECK_STR(p.socket, path);
    CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    CHECK(strncmp(p.exe, exe, PEER_EXE_MAX - 1) == 0 && p.exe[0] == '/');
    CHECK((p.pidfd >= 0) == have_pidfd());
    CHECK(p.pidfd < 0 || fcntl(p.pidfd, F_GETFD) & FD_CLOEXEC);
    int pidfd = p.pidfd;
    peer_clear(&p);
    peer_clear(&p);
    CHECK(p.pidfd == -1 && (pidfd < 0 || fcntl(pidfd, F_GETFD) < 0));
    close(client);
    CHECK_OK(peer_attest(fd, &p, &why), why); /* hung up, but still known */
    peer_clear(&p);
    close(fd);
    down();
}

static void refuse(int fd)
{
    struct peer p = {.pid = 42};
    err_t e = peer_attest(fd, &p, &why);
    if (fd >= 0)
        close(fd);
    CHECK_INT(e, ERR_DENIED);
    CHECK_INT(p.pid, 42); /* untouched */
}

TEST(what_is_no_connected_stream_socket_with_a_path_is_refused)
{
    int pair[2], tube[2];
    up();
    refuse(-1);
    refuse(open("/dev/null", O_RDONLY));
    CHECK(pipe(tube) == 0);
    refuse(tube[0]);
    close(tube[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    refuse(pair[0]);
    close(pair[1]);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    refuse(pair[0]);
    close(pair[1]);
    refuse(socket(AF_UNIX, SOCK_STREAM, 0));
    refuse(socket(AF_UNIX, SOCK_DGRAM, 0));
    refuse(socket(AF_INET, SOCK_STREAM, 0));
    refuse(dup(listener));
    refuse(dial()); /* the client's own end: it came by no path */
    down();
}

TEST(an_abstract_name_is_no_path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0broker-test"};
    socklen_t n = offsetof(struct sockaddr_un, sun_path) + 12;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    a.sun_path[11] = (char)('a' + getpid() % 26);
    CHECK(bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 1) == 0 && connect(c, (struct sockaddr *)&a, n) == 0);
    int fd = accept(l, NULL, NULL);
    close(l);
    close(c);
    refuse(fd);
}

/* The child connects; what it does then is `after`. */
static pid_t connect_from_child(void (*before)(void))
{
    int go[2];
    if (pipe(go) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        if (before)
            before();
        int fd = dial();
        (void)fd;
        if (write(go[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char x;
    close(go[1]);
    ssize_t n = read(go[0], &x, 1);
    close(go[0]);
    return n == 1 ? child : -1;
}

static void end_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

TEST(a_process_that_ended_is_refused)
{
    if (!have_pidfd())
        SKIP("needs SO_PEERPIDFD (Linux 6.5)");
    up();
    pid_t child = connect_from_child(NULL);
    CHECK(child > 0);
    int fd = take(), other = dup(fd);
    kill(child, SIGKILL);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0); /* a zombie */
    refuse(fd);
    waitpid(child, NULL, 0);
    refuse(other);
    down();
}

TEST(attest_names_the_one_who_connected)
{
    struct peer p;
    up();
    pid_t child = connect_from_child(NULL);
    CHECK(child > 0);
    int fd = take();
    CHECK_OK(peer_attest(fd, &p, &why), why);
    CHECK_INT(p.pid, child);
    CHECK(!peer_has_ended(&p));
    end_child(child);
    CHECK(peer_has_ended(&p) == have_pidfd()); /* though the descriptor is still open */
    peer_clear(&p);
    CHECK(!peer_has_ended(&p));
    close(fd);
    down();
}

/* ---- other users */

static uint32_t as_uid;
static void become(void)
{
    if (setresgid(as_uid, as_uid, as_uid) != 0 || setresuid(as_uid, as_uid, as_uid) != 0)
        _exit(1);
}

TEST(other_uids_are_seen_and_nobody_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root to become somebody else");
    struct peer p;
    up();
    as_uid = 12345;
    pid_t child = connect_from_child(become);
    CHECK(child > 0);
    int fd = take();
    CHECK_OK(peer_attest(fd, &p, &why), why);
    CHECK(p.uid == 12345 && p.gid == 12345);
    peer_clear(&p);
    close(fd);
    end_child(child);
    as_uid = PEER_OVERFLOW_ID;
    child = connect_from_child(become);
    CHECK(child > 0);
    fd = take();
    err_t e = peer_attest(fd, &p, &why);
    close(fd);
    end_child(child);
    CHECK_INT(e, ERR_DENIED);
    CHECK(strstr(why.text, "65534"));
    down();
}

/* A peer whose pid has no name in our pid namespace shows pid 0. */
TEST(a_pid_that_is_not_visible_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root for a pid namespace");
    up();
    int client = dial();
    int fd = take();
    pid_t middle = fork();
    if (middle == 0) {
        if (unshare(CLONE_NEWPID) != 0)
            _exit(77);
        pid_t inner = fork();
        if (inner == 0) {
            struct peer p;
            struct why w = {0};
            _exit(peer_attest(fd, &p, &w) == ERR_DENIED ? 0 : 1);
        }
        int status = 0;
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    int status = 0;
    waitpid(middle, &status, 0);
    close(client);
    close(fd);
    down();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("pid namespaces are not allowed here");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(the_kernel_is_checked_once)
{
    CHECK_OK(peer_check_kernel(&why), why);
}

/* ---- /proc */

TEST(start_ticks_tell_processes_apart)
{
    uint64_t own = peer_start_ticks(getpid());
    CHECK(own > 0 && own == peer_start_ticks(getpid()));
    CHECK(peer_start_ticks(0) == 0 && peer_start_ticks(-1) == 0 && peer_start_ticks(0x7fffffff) == 0);
    struct timespec t = {0, 30000000};
    nanosleep(&t, NULL);
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    CHECK(peer_start_ticks(child) > own);
    end_child(child);
    CHECK_INT(peer_start_ticks(child), 0);
}

TEST(a_command_name_with_brackets_and_blanks_does_not_shift_the_field)
{
    int go[2];
    CHECK(pipe(go) == 0);
    uint64_t own = peer_start_ticks(getpid());
    pid_t child = fork();
    if (child == 0) {
        int fd = open("/proc/self/comm", O_WRONLY);
        ssize_t n = write(fd, ") 1 2 3 (x) 4", 13);
        (void)!write(go[1], "x", n == 13 ? 1 : 0);
        close(go[1]);
        for (;;)
            pause();
    }
    char x;
    close(go[1]);
    CHECK(read(go[0], &x, 1) == 1);
    close(go[0]);
    uint64_t ticks = peer_start_ticks(child);
    end_child(child);
    CHECK(ticks >= own && ticks < own + 100000);
}

/* ---- conditions */

TEST(uids_and_gids_are_exact)
{
    uint32_t list[] = {0, 1000, 4294967294u};
    struct peer p = {.uid = 1000, .gid = 50, .pidfd = -1};
    struct config_peer none = {0}, uid = {.uid = {list, 3}}, gid = {.gid = {list, 3}}, both = {.uid = {list, 3}, .gid = {list, 3}};
    CHECK_OK(peer_matches(&p, &none, &why), why);
    CHECK_OK(peer_matches(&p, &uid, &why), why);
    CHECK_INT(peer_matches(&p, &gid, &why), ERR_DENIED);
    CHECK(strstr(why.text, "gid 50"));
    CHECK_INT(peer_matches(&p, &both, &why), ERR_DENIED);
    p.gid = 0;
    CHECK_OK(peer_matches(&p, &both, &why), why);
    p.uid = 1001;
    CHECK_INT(peer_matches(&p, &uid, &why), ERR_DENIED);
    CHECK(strstr(why.text, "uid 1001"));
}

static bool own_cgroup(char *out, size_t cap)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[1024];
    bool found = false;
    while (f && !found && fgets(line, sizeof(line), f)) {
        char *at = strncmp(line, "0::", 3) == 0 ? line + 3 : NULL;
        if (!at)
            continue;
        at[strcspn(at, "\n")] = '\0';
        snprintf(out, cap, "%s", at);
        found = true;
    }
    if (f)
        fclose(f);
    return found;
}

TEST(cgroups_are_prefixes_at_a_segment)
{
    char own[1024], text[1100];
    if (!have_pidfd() || !own_cgroup(own, sizeof(own)))
        SKIP("needs SO_PEERPIDFD and cgroup version 2");
    struct peer p;
    struct config_peer cond = {.cgroup = text};
    up();
    int client = dial(), fd = take();
    CHECK_OK(peer_attest(fd, &p, &why), why);
    static const struct {
        const char *end;
        err_t expected;
    } cases[] = {{"", ERR_OK}, {"/", ERR_OK}, {"x", ERR_DENIED}, {"/x", ERR_DENIED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof(text), "%s%s", own, strcmp(own, "/") == 0 && cases[i].end[0] == '/' ? cases[i].end + 1 : cases[i].end);
        CHECK_INT(peer_matches(&p, &cond, &why), cases[i].expected);
    }
    strcpy(text, "/");
    CHECK_OK(peer_matches(&p, &cond, &why), why);
    if (strlen(own) > 2) { /* half of its last segment is not enough */
        snprintf(text, sizeof(text), "%.*s", (int)strlen(own) - 1, own);
        CHECK_INT(peer_matches(&p, &cond, &why), text[strlen(text) - 1] == '/' ? ERR_OK : ERR_DENIED);
    }
    int pidfd = p.pidfd;
    p.pidfd = -1;
    CHECK_INT(peer_matches(&p, &cond, &why), ERR_DENIED); /* cannot be sure */
    p.pidfd = pidfd;
    peer_clear(&p);
    close(client);
    close(fd);
    down();
}

TEST(a_cgroup_is_the_one_of_version_2_or_of_systemd)
{
    static const char v2[] = "0::/system.slice/docker-a1.scope\n", v1[] = "9:name=systemd:/user.slice/a\n4:memory:/other\n1:cpu:/\n";
    CHECK(peer_cgroup_below(v2, "/system.slice") && peer_cgroup_below(v2, "/system.slice/") && peer_cgroup_below(v2, "/"));
    CHECK(peer_cgroup_below(v2, "/system.slice/docker-a1.scope"));
    CHECK(!peer_cgroup_below(v2, "/system.slice/docker-a") && !peer_cgroup_below(v2, "/system") && !peer_cgroup_below(v2, "/system.slice/docker-a1.scope/x"));
    CHECK(peer_cgroup_below(v1, "/user.slice") && !peer_cgroup_below(v1, "/other") && !peer_cgroup_below(v1, "/user"));
    CHECK(!peer_cgroup_below("", "/") && !peer_cgroup_below("4:memory:/a\n", "/"));
}

TEST(the_cgroup_of_a_process_that_ended_is_nobodys)
{
    if (!have_pidfd())
        SKIP("needs SO_PEERPIDFD (Linux 6.5)");
    struct peer p;
    char all[] = "/";
    struct config_peer cond = {.cgroup = all};
    up();
    pid_t child = connect_from_child(NULL);
    int fd = take();
    CHECK_OK(peer_attest(fd, &p, &why), why);
    end_child(child);
    p.pid = getpid(); /* as if the pid had passed to somebody who would be allowed */
    CHECK_INT(peer_matches(&p, &cond, &why), ERR_DENIED);
    peer_clear(&p);
    close(fd);
    down();
}
