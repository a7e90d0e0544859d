/* What a role may reach: files below its paths and no others, no TCP, no signals to and no abstract sockets of strangers. */
#include "base/landlock.h"
#include "base/auto.h"
#include "check.h"
#include "forked.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

static char top[64], ro[80], rw[80], out[80], name[128];

static int abi_of_kernel(void)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    return v > 0 ? (int)v : 0;
}

static void write_file(const char *dir)
{
    (void)snprintf(name, sizeof(name), "%s/file", dir);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, "#!/bin/sh\n", 10), 10);
    close(fd);
}

static void set_up(void)
{
    if (abi_of_kernel() == 0)
        SKIP("this kernel has no Landlock");
    (void)snprintf(top, sizeof(top), "/tmp/landlock-XXXXXX");
    CHECK(mkdtemp(top) != NULL);
    (void)snprintf(ro, sizeof(ro), "%s/ro", top);
    (void)snprintf(rw, sizeof(rw), "%s/rw", top);
    (void)snprintf(out, sizeof(out), "%s/out", top);
    CHECK(mkdir(ro, 0700) == 0 && mkdir(rw, 0700) == 0 && mkdir(out, 0700) == 0);
    write_file(ro);
    write_file(rw);
    write_file(out);
}

static void tear_down(void)
{
    char *const dirs[] = {ro, rw, out};
    for (size_t i = 0; i < COUNT(dirs); i++) {
        (void)snprintf(name, sizeof(name), "%s/file", dirs[i]);
        (void)unlink(name);
        (void)snprintf(name, sizeof(name), "%s/sock", dirs[i]);
        (void)unlink(name);
        (void)rmdir(dirs[i]);
    }
    (void)rmdir(top);
}

struct job {
    enum sandbox_role role;
    const struct sandbox_path *paths;
    int (*call)(const char *arg);
    const char *arg;
};

static int confined(void *ctx)
{
    const struct job *j = ctx;
    struct why w = {0};
    int abi = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(j->role, j->paths, &abi, &w) != ERR_OK)
        return FORKED_BAD;
    return j->call(j->arg);
}

static int result(int fd)
{
    return fd < 0 ? errno : 0;
}

static int in_dir(const char *dir, int flags)
{
    (void)snprintf(name, sizeof(name), "%s/file", dir);
    return result(open(name, flags | O_CLOEXEC));
}

static int reads(const char *dir) { return in_dir(dir, O_RDONLY); }
static int writes(const char *dir) { return in_dir(dir, O_WRONLY); }
static int lists(const char *dir) { return result(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
static int removes(const char *dir)
{
    (void)snprintf(name, sizeof(name), "%s/file", dir);
    return result(unlink(name));
}
static int makes_fifo(const char *dir)
{
    (void)snprintf(name, sizeof(name), "%s/fifo", dir);
    return result(mkfifo(name, 0600));
}
static int makes_symlink(const char *dir)
{
    (void)snprintf(name, sizeof(name), "%s/link", dir);
    return result(symlink("/", name));
}
static int executes(const char *dir)
{
    (void)snprintf(name, sizeof(name), "%s/file", dir);
    return result(execl(name, name, (char *)NULL));
}
static int binds(const char *dir)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

TEST(files_are_reached_below_the_roles_paths_only)
{
    set_up();
    const struct sandbox_path paths[] = {{ro, false}, {rw, true}, {"/nonexistent/path", true}, {NULL, false}};
    const struct {
        int (*call)(const char *dir);
        const char *dir;
        int expect;
    } cases[] = {
        {reads, ro, 0},       {reads, rw, 0},           {reads, out, EACCES},
        {lists, ro, 0},       {lists, rw, 0},           {lists, out, EACCES},    {lists, "/", EACCES},
        {writes, ro, EACCES}, {writes, rw, 0},          {writes, out, EACCES},
        {binds, ro, EACCES},  {binds, rw, 0},           {binds, out, EACCES},
        {executes, ro, EACCES}, {executes, rw, EACCES}, {executes, out, EACCES},
        {makes_fifo, rw, EACCES}, {makes_symlink, rw, EACCES},
        {removes, ro, EACCES}, {removes, out, EACCES},  {removes, rw, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct job j = {SANDBOX_VAULT, paths, cases[i].call, cases[i].dir};
        CHECK_INT(exit_code(forked(confined, &j)), cases[i].expect);
    }
    tear_down();
}

TEST(rule_for_a_single_file_covers_that_file)
{
    set_up();
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/file", ro);
    const struct sandbox_path paths[] = {{file, true}, {NULL, false}};
    struct job j = {SANDBOX_VAULT, paths, writes, ro};
    CHECK_INT(exit_code(forked(confined, &j)), 0);
    j.arg = out;
    CHECK_INT(exit_code(forked(confined, &j)), EACCES);
    tear_down();
}

TEST(no_list_means_read_everything_and_write_nothing)
{
    set_up();
    struct job j = {SANDBOX_KEYRING, NULL, reads, out};
    CHECK_INT(exit_code(forked(confined, &j)), 0);
    j.call = writes;
    CHECK_INT(exit_code(forked(confined, &j)), EACCES);
    j.call = executes;
    CHECK_INT(exit_code(forked(confined, &j)), EACCES);
    tear_down();
}

TEST(empty_list_means_no_file_at_all)
{
    set_up();
    const struct sandbox_path none[] = {{NULL, false}};
    struct job j = {SANDBOX_KDF, none, reads, out};
    CHECK_INT(exit_code(forked(confined, &j)), EACCES);
    tear_down();
}

TEST(supervisor_keeps_its_files_and_may_execute)
{
    set_up();
    struct job j = {SANDBOX_SUPERVISOR, NULL, writes, out};
    CHECK_INT(exit_code(forked(confined, &j)), 0);
    j.call = executes;
    CHECK_INT(exit_code(forked(confined, &j)), 0); /* an empty script */
    tear_down();
}

static int tcp(const char *how)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    sa.sin_port = *how == 'b' ? 0 : htons(1);
    return result(*how == 'b' ? bind(fd, (struct sockaddr *)&sa, sizeof(sa)) : connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

TEST(tcp_is_for_the_proxy_and_the_oauth_helper_and_outwards_only)
{
    static const struct sandbox_path none[] = {{NULL, false}};
    if (abi_of_kernel() < 4)
        SKIP("Landlock before ABI 4 does not know networks");
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct job j = {(enum sandbox_role)role, none, tcp, "bind"};
        CHECK_INT(exit_code(forked(confined, &j)), EACCES);
        j.arg = "connect"; /* nothing listens on port 1; the supervisor's children inherit what it gives up */
        bool may = role == SANDBOX_PROXY || role == SANDBOX_OAUTH || role == SANDBOX_SUPERVISOR;
        CHECK_INT(exit_code(forked(confined, &j)), may ? ECONNREFUSED : EACCES);
    }
}

static int signals_parent(const char *arg)
{
    (void)arg;
    return result(kill(getppid(), 0));
}

TEST(signals_stay_inside)
{
    static const struct sandbox_path none[] = {{NULL, false}};
    if (abi_of_kernel() < 6)
        SKIP("Landlock before ABI 6 does not know signals");
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct job j = {(enum sandbox_role)role, none, signals_parent, NULL};
        CHECK_INT(exit_code(forked(confined, &j)), EPERM);
    }
}

static struct sockaddr_un abstract;
static socklen_t abstract_len;

static int connects_abstract(const char *arg)
{
    (void)arg;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result(connect(fd, (struct sockaddr *)&abstract, abstract_len));
}

TEST(abstract_sockets_of_strangers_are_for_the_supervisor_and_the_keyring_only)
{
    static const struct sandbox_path none[] = {{NULL, false}};
    if (abi_of_kernel() < 6)
        SKIP("Landlock before ABI 6 does not know abstract sockets");
    AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    abstract.sun_family = AF_UNIX;
    int n = snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "landlock-test-%d", getpid());
    abstract_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    CHECK(bind(fd, (struct sockaddr *)&abstract, abstract_len) == 0 && listen(fd, 16) == 0);
    for (unsigned role = 0; role < SANDBOX__COUNT; role++) {
        struct job j = {(enum sandbox_role)role, none, connects_abstract, NULL};
        bool may = role == SANDBOX_SUPERVISOR || role == SANDBOX_KEYRING;
        CHECK_INT(exit_code(forked(confined, &j)), may ? 0 : EPERM);
    }
}

static int reports_abi(void *ctx)
{
    struct why w = {0};
    int abi = -1;
    (void)ctx;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(SANDBOX_KDF, NULL, &abi, &w) != ERR_OK)
        return FORKED_BAD;
    return abi;
}

TEST(the_kernels_abi_is_told)
{
    CHECK_INT(exit_code(forked(reports_abi, NULL)), abi_of_kernel());
}

static int without_nnp(void *ctx)
{
    struct why w = {0};
    int abi = -1;
    (void)ctx;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        return FORKED_BAD;
    return landlock_confine(SANDBOX_KDF, NULL, &abi, &w) == ERR_OK ? 0 : abi == -1 && w.text[0] ? 1 : 2;
}

TEST(refusal_by_the_kernel_is_an_error)
{
    if (abi_of_kernel() == 0)
        SKIP("this kernel has no Landlock");
    CHECK_INT(exit_code(forked(without_nnp, NULL)), 1);
}
