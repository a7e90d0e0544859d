/*
 * broker-exec: leases, sets the environment, and becomes the program. Static, libc only, nothing on
 * standard output, and gone by execve: same pid, so a lease that is owned by its process lives
 * exactly as long as the program, and stdio, signals and exit status are the program's own without
 * a copy loop. The order is: read the line, find the program, lease, build its environment, link
 * files, become it. Until the last step nothing is changed but leases, and those are given back.
 */
#include "base/auto.h"
#include "exec/command.h"
#include "exec/environ.h"
#include "exec/lease.h"
#include "exec/link.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A block of codes that programs leave alone: 125 to 127 mean the same in env, nohup, timeout and
 * docker run; 2 is taken by many. */
enum { EXIT_USAGE = 124, EXIT_NO_CREDENTIAL = 125, EXIT_CANNOT_RUN = 126, EXIT_NO_COMMAND = 127 };

extern char **environ;

/* One line on standard error. The reader may be gone: our exit status must not become a SIGPIPE. */
static int refuse(int status, err_t e, const struct why *why)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)dprintf(STDERR_FILENO, "broker-exec: %s [%s]\n", why->text[0] ? why->text : err_text(e),
                  err_wire(e));
    return status;
}

static int print(const struct exec_options *o, struct why *why)
{
    const struct profile *p;
    if (o->help)
        exec_options_help(stdout);
    else if (o->version)
        (void)puts("broker-exec " BROKER_VERSION);
    else if (o->list_profiles)
        profile_list(stdout);
    else if (profile_find(o->print_profile, &p, why) != ERR_OK)
        return refuse(EXIT_USAGE, ERR_USAGE, why);
    else
        profile_print(p, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_CANNOT_RUN;
}

/* ---- the program's environment */

static void unset_all(struct environment *env, const char *const *names)
{
    for (; names && *names; names++)
        environ_unset(env, *names);
}

/* A slot without a list of its own goes by the variable that it sets. */
static const char *const *conflicts_of(const struct exec_lease *l)
{
    char name[64];
    const char *set = l->way->set,
               *form = set && strncmp(set, "{env}", 5) == 0 ? l->lease.env_name : set;
    size_t n = form ? strcspn(form, "=") : 0;
    if (l->slot->conflicts || n == 0 || n >= sizeof(name))
        return l->slot->conflicts;
    memcpy(name, form, n);
    name[n] = '\0';
    return profile_family(name);
}

static MUST err_t set_variable(struct environment *env, const struct exec_lease *l, struct why *why)
{
    struct environ_values values = {.secret = l->lease.secret,
                                    .file = l->file,
                                    .dir = l->dir,
                                    .account = l->lease.account,
                                    .token = l->lease.token,
                                    .username = l->lease.username,
                                    .env = l->lease.env_name};
    return l->way->set ? environ_set(env, l->way->set, &values, why) : ERR_OK;
}

static MUST err_t build_environment(struct environment *env, const struct profile *p,
                                    const struct exec_leases *leases, struct why *why)
{
    TRY(environ_copy(env, environ, why));
    for (size_t i = 0; i < leases->n; i++)
        unset_all(env, conflicts_of(&leases->item[i]));
    for (size_t i = 0; i < leases->n; i++)
        TRY(set_variable(env, &leases->item[i], why));
    for (const char *const *c = p->constants; c && *c; c++)
        TRY(environ_default(env, *c, why));
    return ERR_OK;
}

static MUST err_t place_file(const struct environment *env, const struct exec_lease *l,
                             struct why *why)
{
    const struct profile_way *way = l->way;
    const char *dir = environ_get(env, way->link_env), *home = environ_get(env, "HOME");
    char path[PATH_MAX];
    if (dir && dir[0])
        return link_place(dir, way->link_file, l->file, why);
    if (!home || home[0] != '/')
        return fail(why, ERR_INVALID, "neither %s nor HOME says where %s looks for its login",
                    way->link_env, l->slot->name);
    int n = snprintf(path, sizeof(path), "%s/%s", home, way->link_home);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_INVALID, "HOME is too long");
    return link_place(path, way->link_file, l->file, why);
}

static MUST err_t place_files(const struct environment *env, const struct exec_leases *leases,
                              struct why *why)
{
    for (size_t i = 0; i < leases->n; i++)
        if (leases->item[i].way->link_file)
            TRY(place_file(env, &leases->item[i], why));
    return ERR_OK;
}

/* ---- starting */

static MUST err_t become(const char *path, char **argv, struct environment *env, struct why *why)
{
    (void)execve(path, argv, environ_list(env));
    if (errno == ENOEXEC)
        return fail(why, ERR_PERMISSION, "%.150s is no program: does the script lack its #! line?",
                    path);
    if (errno == E2BIG)
        return fail(why, ERR_PERMISSION, "%.150s: the arguments and the environment are too large",
                    path);
    return fail_errno(why, errno, "%.150s cannot be run", path);
}

static int start(const struct exec_options *o, const struct profile *p, const char *path)
{
    AUTO(exec_leases_free) struct exec_leases leases = {.n = 0};
    AUTO(environ_free) struct environment env = {0};
    struct why why = {0};
    int status = EXIT_NO_CREDENTIAL;
    err_t e = exec_leases_take(o, p, &leases, &why);
    if (e == ERR_OK)
        e = build_environment(&env, p, &leases, &why);
    if (e == ERR_OK)
        e = place_files(&env, &leases, &why);
    if (e == ERR_OK) {
        status = EXIT_CANNOT_RUN;
        e = become(path, o->command, &env, &why);
    }
    exec_leases_end(&leases);
    return refuse(status, e, &why);
}

int main(int argc, char **argv)
{
    struct exec_options o;
    const struct profile *p;
    struct why why = {0};
    char path[PATH_MAX];
    (void)argc;
    err_t e = exec_options_read(argv, &o, &why);
    if (e != ERR_OK)
        return refuse(EXIT_USAGE, e, &why);
    if (o.prints)
        return print(&o, &why);
    p = profile_for_command(o.command[0]);
    if (o.profile && (e = profile_find(o.profile, &p, &why)) != ERR_OK)
        return refuse(EXIT_USAGE, e, &why);
    e = command_find(o.command[0], getenv("PATH"), path, &why);
    if (e != ERR_OK)
        return refuse(e == ERR_NOT_FOUND ? EXIT_NO_COMMAND : EXIT_CANNOT_RUN, e, &why);
    return start(&o, p, path);
}
