/*
 * Starts roles. Invariant: a role sees its socket, stdio and the few variables its row names, and
 * nothing else of ours: no descriptor, no signal mask, no LD_PRELOAD, no secret in argv or
 * environment. Programs are held open (O_PATH) from the start and executed by descriptor. All the
 * child needs is put together before the fork, so between fork and exec only system calls happen.
 */
#include "supervisor/spawn.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { ARG_ROOM = OPTIONS_PATH + 16, ARGS = 10, ENV_MAX = 32, CANNOT_EXEC = 127 };

static const char *const vault_keeps[] = {"CREDENTIALS_DIRECTORY", NULL};
static const char *const api_keeps[] = {"GNUTLS_NO_IMPLICIT_INIT=1",
                                        NULL}; /* libmicrohttpd brings it, nobody needs it */
static const char *const keyring_keeps[] = {"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME",
                                            NULL};

static const char *const proxy_keeps[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "RES_OPTIONS", NULL};

/* a name server that is silent must not use up the job's time; openssl.cnf may load further code */
static const char *const oauth_keeps[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",
                                          "RES_OPTIONS=timeout:3 attempts:2",
                                          "OPENSSL_CONF=/dev/null", NULL};

const struct spawn_role spawn_roles[] = {
    {"vault", NULL, SPAWN_DIRS, vault_keeps},
    {"audit", NULL, SPAWN_DIRS, NULL},
    {"kdf", NULL, 0, NULL},
    {"api", "brokerd-api", 0, api_keeps},
    {"admin", "brokerd-api", 0, api_keeps},
    {"proxy", "brokerd-proxy", SPAWN_CONFIG, proxy_keeps},
    {"proxy2", "brokerd-proxy", SPAWN_CONFIG, proxy_keeps},
    {"proxy3", "brokerd-proxy", SPAWN_CONFIG, proxy_keeps},
    {"proxy4", "brokerd-proxy", SPAWN_CONFIG, proxy_keeps},
    {"keyring", "brokerd-keyring", 0, keyring_keeps},
    {"oauth", "brokerd-oauth", SPAWN_CONFIG | SPAWN_OFTEN, oauth_keeps},
    {NULL, NULL, 0, NULL},
};

static const char *const all_keep[] = {
    "PATH",         "LANG",          "LC_ALL",       "TZ",         "JOURNAL_STREAM",
#ifdef BROKER_NO_SANDBOX
    "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "LD_PRELOAD", "LLVM_PROFILE_FILE",
#endif
    NULL,
};

struct spawner {
    const struct spawn_role *roles;
    const struct options *o;
    int program[SPAWN_ROLES]; /* O_PATH, -1: not found */
    int null;
};

int spawn_find(const struct spawn_role *roles, const char *name)
{
    for (int i = 0; roles[i].name; i++)
        if (strcmp(roles[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- finding the programs */

static int open_program(const char *name)
{
    static const char *const places[] = {"", "../libexec/credential-broker/"};
    char exe[OPTIONS_PATH] = "", path[OPTIONS_PATH];
    if (!name)
        return open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (strchr(name, '/'))
        return open(name, O_PATH | O_CLOEXEC);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash = n > 0 ? strrchr(exe, '/') : NULL;
    if (!slash)
        return -1;
    slash[1] = '\0';
    for (size_t i = 0; i < COUNT(places); i++) {
        int len = snprintf(path, sizeof(path), "%s%s%s", exe, places[i], name);
        int fd = len > 0 && (size_t)len < sizeof(path) ? open(path, O_PATH | O_CLOEXEC) : -1;
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static void auto_spawner(struct spawner **s)
{
    spawner_free(*s);
}

err_t spawner_new(const struct spawn_role *roles, const struct options *o, struct spawner **out,
                  struct why *why)
{
    AUTO(auto_spawner) struct spawner *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(why, ERR_INTERNAL, "out of memory");
    *s = (struct spawner){.roles = roles, .o = o};
    for (int i = 0; i < SPAWN_ROLES; i++)
        s->program[i] = -1;
    s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (s->null < 0)
        return fail_errno(why, errno, "/dev/null");
    for (int i = 0; i < SPAWN_ROLES && roles[i].name; i++)
        s->program[i] = open_program(roles[i].program);
    *out = TAKE(s);
    return ERR_OK;
}

void spawner_free(struct spawner *s)
{
    if (!s)
        return;
    for (int i = 0; i < SPAWN_ROLES; i++)
        auto_close(&s->program[i]);
    auto_close(&s->null);
    free(s);
}

/* ---- what a role is told */

struct call {
    char arg[ARGS][ARG_ROOM];
    char *argv[ARGS + 1];
    const char *env[ENV_MAX + 1];
    int n_args, n_env;
};

__attribute__((format(printf, 2, 3))) static void add_arg(struct call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->arg[c->n_args], ARG_ROOM, fmt, ap);
    va_end(ap);
    c->argv[c->n_args] = c->arg[c->n_args];
    c->n_args++;
}

static void add_dirs(struct call *c, const struct options *o)
{
    static const char *const level[] = {"error", "warn", "info", "debug"};
    add_arg(c, "--state=%s", o->state);
    add_arg(c, "--run=%s", o->run);
    add_arg(c, "--config=%s", o->config);
    add_arg(c, "--log-level=%s", level[o->log_level]);
    if (o->system)
        add_arg(c, "--system");
}

/* "NAME=value" goes in as it is; for "NAME" the whole entry of our own environment is looked up. */
static void add_env(struct call *c, const char *const *names)
{
    for (; names && *names && c->n_env < ENV_MAX; names++) {
        const char *value = strchr(*names, '=') ? NULL : getenv(*names);
        if (value)
            c->env[c->n_env++] = value - strlen(*names) - 1;
        else if (strchr(*names, '='))
            c->env[c->n_env++] = *names;
    }
}

static void prepare(const struct spawner *s, int role, struct call *c)
{
    const struct spawn_role *row = &s->roles[role];
    add_arg(c, "%s", row->program ? row->program : "brokerd");
    add_arg(c, "--role=%s", row->name);
    add_arg(c, "--fd=%d", SPAWN_FD);
    if (row->told & SPAWN_DIRS)
        add_dirs(c, s->o);
    else if (row->told & SPAWN_CONFIG)
        add_arg(c, "--config=%s", s->o->config);
    add_env(c, all_keep);
    add_env(c, row->keeps);
}

/* ---- fork and exec */

/* In the child. The program's descriptor lies above SPAWN_FD, or it is moved there first: SPAWN_FD
 * is taken by the socket. */
static void become(const struct call *c, int program, int null, int sock)
{
    sigset_t none;
    (void)setsid(); /* no terminal, and a Ctrl-C goes to the supervisor alone */
    program = fcntl(program, F_DUPFD_CLOEXEC, SPAWN_FD + 1);
    sock = fcntl(sock, F_DUPFD_CLOEXEC, SPAWN_FD + 1);
    if (program < 0 || sock < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(sock, SPAWN_FD) < 0)
        _exit(CANNOT_EXEC);
    if (close_range(SPAWN_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 || sigemptyset(&none) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(CANNOT_EXEC);
    (void)syscall(SYS_execveat, program, "", c->argv, c->env, AT_EMPTY_PATH);
    _exit(CANNOT_EXEC);
}

err_t spawn_role(struct spawner *s, int role, struct spawned *out, struct why *why)
{
    int pair[2];
    AUTO(auto_free) struct call *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(why, ERR_INTERNAL, "out of memory");
    if (s->program[role] < 0)
        return fail(why, ERR_NOT_FOUND,
                    "%s is not installed beside brokerd or in ../libexec/credential-broker",
                    s->roles[role].program ? s->roles[role].program : "brokerd");
    prepare(s, role, c);
    TRY(ipc_pair(pair, why));
    AUTO(auto_close) int ours = pair[0];
    AUTO(auto_close) int theirs = pair[1];
    pid_t pid = fork();
    if (pid == 0)
        become(c, s->program[role], s->null, theirs);
    if (pid < 0)
        return fail(why, ERR_LIMIT, "cannot fork for %s: %s", s->roles[role].name, strerror(errno));
    *out = (struct spawned){.pid = pid, .sock = TAKE_FD(ours)};
    return ERR_OK;
}
