/* The relay behind a process that becomes a program: it lives and dies with it, and is in nobody's way. */
#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include "unit/client/fake.h"

#include "base/clock.h"
#include "exec/relay.h"

#define ID    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN "CANARY-token-of-a-test"

static struct fake fake;
static char proxy_path[108];
static const char *proxy_named; /* NULL: proxy_path */
static int proxy = -1; /* the listening socket of the data plane */
static uint16_t port;

/* What the broker does meanwhile; the relay's parent becomes this process, so that its end is seen. */
static void begin(struct fake_reply *r, size_t n)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    fake_start(&fake, r, n);
    snprintf(proxy_path, sizeof(proxy_path), "%s/proxy.sock", fake.dir);
    proxy = fake_listen(proxy_path);
}
static void done(void)
{
    close(proxy);
    fake_stop(&fake);
}

static err_t start(bool ends_leases, int64_t life_ms, struct why *why)
{
    struct exec_leases leases = {.n = 1};
    struct relay_ask ask = {
        .broker_socket = fake.path,
        .ends_leases = ends_leases};
    struct exec_lease *l = &leases.item[0];
    memcpy(l->lease.id, ID, sizeof(ID));
    l->lease.token = strdup(TOKEN);
    l->lease.expires_at_ms = clock_wall_ms() + life_ms;
    l->proxy_socket = strdup(proxy_named ? proxy_named : proxy_path);
    ask.proxy_socket = l->proxy_socket; /* which goes with the lease */
    err_t e = relay_start(&ask, &leases, &port, why);
    exec_leases_free(&leases);
    return e;
}

/* A program with a relay, its output in a pipe: it says the port, then does `then`. */
struct program {
    pid_t pid;
    int out;
};
static struct program program(bool ends_leases, int64_t life_ms, void (*then)(void))
{
    int p[2];
    CHECK(pipe(p) == 0);
    struct program g = {.pid = fork(), .out = p[0]};
    if (g.pid == 0) {
        struct why why = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing */
        close(p[0]);
        for (int i = 0; i < 3; i++)
            dup2(p[1], i); /* all three, as an agent's client has them */
        close(p[1]);
        if (start(ends_leases, life_ms, &why) != ERR_OK || write(1, &port, sizeof(port)) != 2)
            _exit(9);
        then();
        _exit(0);
    }
    close(p[1]);
    CHECK(read(g.out, &port, sizeof(port)) == 2 && port != 0);
    return g;
}

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}
static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}
static bool serves(void)
{
    char c = 0;
    int client = dial();
    if (client < 0 || !readable(proxy, 2000))
        return false;
    int served = accept4(proxy, NULL, NULL, SOCK_CLOEXEC);
    bool ok = send(client, "q", 1, 0) == 1 && readable(served, 1000) && read(served, &c, 1) == 1 &&
              send(served, "a", 1, 0) == 1 && readable(client, 1000) && read(client, &c, 1) == 1;
    close(client);
    close(served);
    return ok && c == 'a';
}

/* The relay, an orphan that this process has inherited. */
static pid_t relay_pid(void)
{
    char path[64], text[1000] = "", name[64];
    pid_t found = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;
    text[n] = '\0';
    if (in)
        fclose(in);
    for (char *p = text; *p;) {
        pid_t pid = (pid_t)strtol(p, &p, 10);
        p += strspn(p, " ");
        snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
        in = fopen(path, "re");
        if (in && fgets(name, sizeof(name), in) && strcmp(name, "broker-relay\n") == 0)
            found = pid;
        if (in)
            fclose(in);
    }
    return found;
}
static bool ends_within(pid_t pid, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    while (clock_boot_ms() < until) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return true;
        usleep(5000);
    }
    return false;
}
/* The program has ended: so has its output, at once, and then the relay, and its port. */
static void all_ends(struct program g, pid_t relay)
{
    char c;
    int64_t before = clock_boot_ms();
    CHECK(readable(g.out, 500) && read(g.out, &c, 1) == 0);
    close(g.out);
    waitpid(g.pid, NULL, 0);
    CHECK(ends_within(relay, 1000));
    CHECK(clock_boot_ms() - before < 1000);
    CHECK(dial() < 0);
}

static void sleeps(void)
{
    sleep(20);
}
static void becomes_sleep(void)
{
    execl("/bin/sleep", "sleep", "20", (char *)NULL);
}
static void ends_when_told(void)
{
    sigset_t set;
    int signo;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigwait(&set, &signo);
}
static void forks_and_ends(void)
{
    ends_when_told();
    if (fork() == 0) {
        for (int i = 0; i < 3; i++)
            close(i);
        sleep(3);
        _exit(0);
    }
}

static void lives_and_dies(void (*then)(void), int signo)
{
    begin(NULL, 0);
    struct program g = program(false, 600000, then);
    pid_t relay = relay_pid();
    CHECK(relay > 0 && relay != g.pid);
    CHECK(serves());
    usleep(50000);
    CHECK(serves());
    kill(g.pid, signo);
    all_ends(g, relay);
    CHECK(!strstr(fake_seen(&fake), "DELETE")); /* the broker does it */
    done();
}

TEST(with_a_program_that_is_killed)
{
    lives_and_dies(becomes_sleep, SIGKILL);
}
TEST(with_a_program_that_is_ended)
{
    lives_and_dies(becomes_sleep, SIGTERM);
}
TEST(with_a_program_that_ends)
{
    lives_and_dies(ends_when_told, SIGUSR1);
}
TEST(with_the_leader_not_with_what_it_forked)
{
    lives_and_dies(forks_and_ends, SIGUSR1);
}

TEST(open_connections_end_too)
{
    char c;
    begin(NULL, 0);
    struct program g = program(false, 600000, sleeps);
    pid_t relay = relay_pid();
    int client = dial();
    CHECK(client >= 0 && readable(proxy, 1000));
    int served = accept4(proxy, NULL, NULL, SOCK_CLOEXEC);
    kill(g.pid, SIGKILL);
    CHECK(readable(served, 1000) && read(served, &c, 1) == 0);
    CHECK(readable(client, 1000) && read(client, &c, 1) <= 0);
    close(client);
    close(served);
    all_ends(g, relay);
    done();
}

TEST(leases_are_given_back_where_the_broker_does_not_see_the_end)
{
    struct fake_reply r[] = {
        {.match = "DELETE", .bytes = fake_ok(200, "{\"ended\":1}"), .often = true}};
    begin(r, 1);
    struct program g = program(true, 600000, sleeps);
    pid_t relay = relay_pid();
    kill(g.pid, SIGKILL);
    all_ends(g, relay);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID) != NULL);
    done();
}

TEST(leases_are_renewed)
{
    struct fake_reply r[] = {{.match = "POST", .bytes = fake_ok(200, "{}"), .often = true}};
    begin(r, 1);
    struct program g = program(false, 100, sleeps);
    pid_t relay = relay_pid();
    for (int i = 0; i < 400 && !strstr(fake_seen(&fake), "POST /v1/leases/" ID "/renew"); i++)
        usleep(10000);
    CHECK(strstr(fake_seen(&fake), "POST /v1/leases/" ID "/renew") != NULL);
    CHECK(strstr(fake_seen(&fake), "Bearer " TOKEN) != NULL);
    CHECK(waitpid(-1, NULL, WNOHANG) == 0); /* no errand was left behind as a zombie of ours */
    kill(g.pid, SIGKILL);
    all_ends(g, relay);
    done();
}

/* ---- in nobody's way */

static size_t slurp(const char *file, pid_t pid, char *text, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(text, 1, room - 1, in) : 0;
    text[n] = '\0';
    if (in)
        fclose(in);
    return n;
}

static int pipes_of(pid_t pid)
{
    char path[64], target[200];
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", (int)pid, e->d_name);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        n += strncmp(target, "pipe:", 5) == 0;
    }
    if (d)
        closedir(d);
    return n;
}

TEST(it_shows_its_name_and_nothing_else)
{
    char text[70000], path[64];
    struct stat st;
    begin(NULL, 0);
    struct program g = program(false, 600000, sleeps);
    pid_t relay = relay_pid();
    CHECK(slurp("cmdline", relay, text, sizeof(text)) > 0);
    CHECK_STR(text, "broker-relay");
    size_t n = slurp("environ", relay, text, sizeof(text)); /* root may look */
    CHECK(memchr(text, '=', n) == NULL); /* nothing of what this process was started with */
    CHECK(slurp("status", relay, text, sizeof(text)) > 0);
    CHECK(strstr(text, "NoNewPrivs:\t1") && strstr(text, "SigBlk:\t0000000000000000"));
    CHECK_INT(getsid(relay), relay);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)relay);
    CHECK(stat(path, &st) == 0 && st.st_uid == 0); /* not dumpable: its files are root's */
    int64_t until = clock_boot_ms() + 1000; /* that of its first word is closed in a moment */
    while (pipes_of(relay) > 0) /* neither the program's output nor ours */
        CHECK(clock_boot_ms() < until);
    kill(g.pid, SIGKILL);
    all_ends(g, relay);
    done();
}

TEST(it_is_deaf_to_what_ends_the_group)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
    begin(NULL, 0);
    struct program g = program(false, 600000, sleeps);
    pid_t relay = relay_pid();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        CHECK(kill(relay, signals[i]) == 0);
    usleep(50000);
    CHECK(serves());
    kill(g.pid, SIGKILL);
    all_ends(g, relay);
    done();
}

static void waits_for_all(void)
{
    bool none = waitpid(-1, NULL, 0) < 0 && errno == ECHILD;
    (void)!write(1, none ? "1" : "0", 1);
    sleep(20);
}

static void sees_no_child(struct program g)
{
    char c = 0;
    CHECK(readable(g.out, 2000) && read(g.out, &c, 1) == 1 && c == '1');
}

TEST(a_program_that_waits_for_all_children_does_not_meet_it)
{
    begin(NULL, 0);
    struct program g = program(false, 600000, waits_for_all);
    pid_t relay = relay_pid();
    sees_no_child(g);
    CHECK(serves());
    kill(g.pid, SIGKILL);
    all_ends(g, relay);
    done();
}

static void dies_alone(struct program g)
{
    int64_t until = clock_boot_ms() + 1500;
    sees_no_child(g);
    CHECK(serves());
    kill(g.pid, SIGKILL);
    waitpid(g.pid, NULL, 0);
    close(g.out);
    for (int fd; (fd = dial()) >= 0; close(fd), usleep(5000))
        CHECK(clock_boot_ms() < until);
}

/* As program(), in a state that makes it inherit orphans. */
static struct program inheriting(bool first_of_namespace)
{
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t between = fork();
    if (between == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (first_of_namespace && unshare(CLONE_NEWPID) < 0)
            _exit(77);
        pid_t pid = first_of_namespace ? fork() : 0;
        if (pid > 0) {
            (void)!write(p[1], &pid, sizeof(pid));
            waitpid(pid, NULL, 0);
            _exit(0);
        }
        if (!first_of_namespace)
            prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct why why = {0};
        dup2(p[1], 1);
        if (start(false, 600000, &why) != ERR_OK || write(1, &port, sizeof(port)) != 2)
            _exit(9);
        waits_for_all();
        _exit(0);
    }
    struct program g = {.pid = between, .out = p[0]};
    close(p[1]);
    if (first_of_namespace && read(p[0], &g.pid, sizeof(g.pid)) != (ssize_t)sizeof(g.pid))
        g.pid = 0;
    CHECK(g.pid == 0 || read(p[0], &port, sizeof(port)) == 2);
    return g;
}

TEST(nor_one_that_inherits_orphans)
{
    begin(NULL, 0);
    dies_alone(inheriting(false));
    done();
}

TEST(nor_process_1_of_a_container)
{
    begin(NULL, 0);
    struct program g = inheriting(true);
    if (g.pid == 0) {
        done();
        SKIP("needs root");
    }
    dies_alone(g);
    done();
}

/* ---- what cannot be */

TEST(without_a_loopback_it_is_said_before_the_program)
{
    int status = -1;
    begin(NULL, 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct why why = {0};
        if (unshare(CLONE_NEWNET) < 0)
            _exit(77);
        _exit(start(false, 1000, &why) == ERR_UNAVAILABLE && strstr(why.text, "lo up") ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    done();
    if (WEXITSTATUS(status) == 77)
        SKIP("needs root");
    CHECK_INT(status, 0);
}

TEST(a_relay_that_cannot_start_leaves_nothing)
{
    struct why why = {0};
    char long_path[120] = "";
    begin(NULL, 0);
    while (relay_pid() != 0) /* those of other tests */
        CHECK(ends_within(relay_pid(), 1000));
    memset(long_path, 'a', sizeof(long_path) - 1);
    proxy_named = long_path;
    err_t e = start(false, 1000, &why);
    proxy_named = NULL;
    CHECK_INT(e, ERR_USAGE);
    CHECK(strstr(why.text, "too long") != NULL);
    CHECK(waitpid(fake.pid, NULL, WNOHANG | __WALL) == 0 && relay_pid() == 0);
    done();
}
