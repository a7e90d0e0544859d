/*
 * Options are one table: name, what it takes, how it is set, its line of help. Places are resolved
 * in one order: option, environment, default. Invariant: what comes out is absolute and short
 * enough to be bound, or an error says which option mends it.
 */
#include "supervisor/options.h"
#include "base/auto.h"
#include "base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FOLDER "credential-broker"

enum { SUN_PATH_REST = sizeof("//broker.sock") };

/* ---- setting */

/* Absolute, without slashes at the end. */
static err_t set_path(char out[OPTIONS_PATH], const char *value, struct why *why)
{
    char path[OPTIONS_PATH], here[OPTIONS_PATH] = "";
    if (*value != '/' && !getcwd(here, sizeof(here)))
        return fail_errno(why, errno, "the current directory");
    int n = snprintf(path, sizeof(path), "%s%s%s", here, *value == '/' ? "" : "/", value);
    if (!*value || n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_INVALID, "a path must have 1 to %zu bytes", sizeof(path) - 1);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    memcpy(out, path, sizeof(path));
    return ERR_OK;
}

static err_t set_state(struct options *o, const char *v, struct why *why)
{
    return set_path(o->state, v, why);
}

static err_t set_run(struct options *o, const char *v, struct why *why)
{
    return set_path(o->run, v, why);
}

static err_t set_config(struct options *o, const char *v, struct why *why)
{
    return set_path(o->config, v, why);
}

static err_t set_user(struct options *o, const char *v, struct why *why)
{
    if (!*v || !view_copy(view_str(v), o->user, sizeof(o->user)))
        return fail(why, ERR_INVALID, "a user name has 1 to %zu bytes", sizeof(o->user) - 1);
    return ERR_OK;
}

static err_t set_level(struct options *o, const char *v, struct why *why)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(v, names[i]) == 0) {
            o->log_level = (enum log_level)i;
            return ERR_OK;
        }
    return fail(why, ERR_INVALID, "--log-level is error, warn, info or debug");
}

static err_t set_role(struct options *o, const char *v, struct why *why)
{
    if (!*v || !view_copy(view_str(v), o->role, sizeof(o->role)))
        return fail(why, ERR_INVALID, "no such role");
    return ERR_OK;
}

static err_t set_fd(struct options *o, const char *v, struct why *why)
{
    char *end = NULL;
    long fd = strtol(v, &end, 10);
    if (end == v || *end || fd <= STDERR_FILENO || fd > 1024)
        return fail(why, ERR_INVALID, "--fd is the number of an open descriptor");
    o->fd = (int)fd;
    return ERR_OK;
}

static err_t set_system(struct options *o, const char *v, struct why *why)
{
    (void)v;
    (void)why;
    o->system = true;
    return ERR_OK;
}

static err_t set_version(struct options *o, const char *v, struct why *why)
{
    (void)v;
    (void)why;
    o->version = true;
    return ERR_OK;
}

static err_t set_help(struct options *o, const char *v, struct why *why)
{
    (void)v;
    (void)why;
    o->help = true;
    return ERR_OK;
}

static err_t set_nothing(struct options *o, const char *v, struct why *why)
{
    (void)o;
    (void)v;
    (void)why;
    return ERR_OK;
}

static const struct option_row {
    const char *name, *takes; /* takes: NULL for a flag */
    err_t (*set)(struct options *o, const char *value, struct why *why);
    const char *help; /* NULL: between the supervisor and its roles, not for people */
} rows[] = {
    {"--state", "DIR", set_state, "sealed credentials and the audit log"},
    {"--run", "DIR", set_run, "socket directories, one per consumer"},
    {"--config", "FILE", set_config, "broker.yaml"},
    {"--user", "NAME", set_user, "who to become when started as root (default " FOLDER ")"},
    {"--log-level", "LEVEL", set_level, "error, warn, info (default) or debug"},
    {"--foreground", NULL, set_nothing, "stay in the foreground: the default, and the only way"},
    {"--version", NULL, set_version, "print the version and end"},
    {"--help", NULL, set_help, "print this and end"},
    {"--role", "NAME", set_role, NULL},
    {"--fd", "N", set_fd, NULL},
    {"--system", NULL, set_system, "the places of a service, though not started as root"},
};

void options_help(FILE *out)
{
    (void)fprintf(out, "usage: brokerd [OPTION]…\n"
                       "Holds credentials and hands out short-lived leases over Unix sockets. See "
                       "broker-cli(1).\n\n");
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].help)
            (void)fprintf(out, "  %-12s %-6s %s\n", rows[i].name,
                          rows[i].takes ? rows[i].takes : "", rows[i].help);
    (void)fprintf(out, "\nCREDENTIAL_BROKER_STATE, CREDENTIAL_BROKER_RUN and "
                       "CREDENTIAL_BROKER_CONFIG stand for the first three.\n");
}

/* One option, "--name value" or "--name=value"; *used: how many arguments it took. */
static err_t read_one(char *const argv[], struct options *o, int *used, struct why *why)
{
    const char *arg = argv[0];
    size_t n = strcspn(arg, "=");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct option_row *row = &rows[i];
        if (strlen(row->name) != n || strncmp(arg, row->name, n) != 0)
            continue;
        const char *value = arg[n] == '=' ? arg + n + 1 : row->takes ? argv[1] : NULL;
        if (!row->takes && value)
            return fail(why, ERR_USAGE, "%s takes no value", row->name);
        if (row->takes && !value)
            return fail(why, ERR_USAGE, "%s needs a %s", row->name, row->takes);
        *used = row->takes && arg[n] != '=' ? 2 : 1;
        return row->set(o, value, why);
    }
    return fail(why, ERR_USAGE, "unknown option %.60s; see brokerd --help", arg);
}

/* ---- defaults */

static err_t join(char out[OPTIONS_PATH], const char *base, const char *rest, struct why *why)
{
    char path[OPTIONS_PATH];
    int n = snprintf(path, sizeof(path), "%s/%s", base, rest);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_INVALID, "the path %.60s… is too long", base);
    return set_path(out, path, why);
}

/* An XDG variable that is not absolute must be ignored (XDG Base Directory Specification). */
static const char *absolute_env(const char *name)
{
    const char *v = getenv(name);
    return v && *v == '/' ? v : NULL;
}

/* $XDG/rest, else $HOME/dir/rest */
struct home_place {
    const char *xdg, *dir, *rest, *option;
};

static err_t below_home(char out[OPTIONS_PATH], const struct home_place *p, struct why *why)
{
    char base[OPTIONS_PATH];
    const char *home = absolute_env("HOME");
    if (absolute_env(p->xdg))
        return join(out, absolute_env(p->xdg), p->rest, why);
    if (!home)
        return fail(why, ERR_NOT_FOUND, "neither %s nor HOME is set: give %s", p->xdg, p->option);
    TRY(join(base, home, p->dir, why));
    return join(out, base, p->rest, why);
}

static err_t default_run(struct options *o, uid_t uid, struct why *why)
{
    char path[64];
    struct stat st;
    if (absolute_env("XDG_RUNTIME_DIR"))
        return join(o->run, absolute_env("XDG_RUNTIME_DIR"), FOLDER, why);
    (void)snprintf(path, sizeof(path), "/run/user/%u", uid);
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid)
        return join(o->run, path, FOLDER, why);
    return fail(why, ERR_NOT_FOUND,
                "XDG_RUNTIME_DIR is not set and %s is not ours: give --run a directory of your own",
                path);
}

static err_t from_environment(struct options *o, struct why *why)
{
    static const struct {
        const char *name;
        err_t (*set)(struct options *o, const char *value, struct why *why);
    } vars[] = {{"CREDENTIAL_BROKER_STATE", set_state},
                {"CREDENTIAL_BROKER_RUN", set_run},
                {"CREDENTIAL_BROKER_CONFIG", set_config}};
    for (size_t i = 0; i < COUNT(vars); i++) {
        const char *value = getenv(vars[i].name);
        if (value && *value)
            TRY(vars[i].set(o, value, why));
    }
    return ERR_OK;
}

static err_t fill_defaults(struct options *o, uid_t euid, struct why *why)
{
    static const struct home_place state = {"XDG_STATE_HOME", ".local/state", FOLDER, "--state"};
    static const struct home_place config = {"XDG_CONFIG_HOME", ".config", FOLDER "/broker.yaml",
                                             "--config"};
    if (!*o->state)
        TRY(o->system ? set_path(o->state, "/var/lib/" FOLDER, why)
                      : below_home(o->state, &state, why));
    if (!*o->config)
        TRY(o->system ? set_path(o->config, "/etc/" FOLDER "/broker.yaml", why)
                      : below_home(o->config, &config, why));
    if (!*o->run)
        TRY(o->system ? set_path(o->run, "/run/" FOLDER, why) : default_run(o, euid, why));
    return ERR_OK;
}

static err_t check_room(const struct options *o, struct why *why)
{
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - SUN_PATH_REST - OPTIONS_NAME_ROOM;
    if (strlen(o->run) > most)
        return fail(why, ERR_INVALID,
                    "--run %.100s has %zu bytes, but a socket's path must fit 107: choose one of "
                    "at most %zu",
                    o->run, strlen(o->run), most);
    return ERR_OK;
}

err_t options_read(int argc, char *const argv[], uid_t euid, struct options *out, struct why *why)
{
    struct options o = {.system = euid == 0, .user = FOLDER, .log_level = LOG_LVL_INFO, .fd = -1};
    TRY(from_environment(&o, why));
    for (int i = 1, used = 1; i < argc; i += used)
        TRY(read_one(argv + i, &o, &used, why));
    if (!o.version && !o.help && !*o.role) { /* a role is told what it needs */
        TRY(fill_defaults(&o, euid, why));
        TRY(check_room(&o, why));
    }
    *out = o;
    return ERR_OK;
}
