/*
 * broker-exec: leases, sets the environment, and becomes the program. Static, libc only, nothing on
 * standard output, and gone by execve: same pid, so a lease that is owned by its process lives
 * exactly as long as the program, and stdio, signals and exit status are the program's own without
 * a copy loop. The order is: read the line, find the program, lease, build its environment, link
 * files, become it. Until the last step nothing is changed but leases, and those are given back; a
 * relay that was started ends with this process, whatever becomes of it. With --acp the last step is
 * another: the program is a child, and this process stands between it and its client (acp.h).
 */
#include "base/auto.h"
#include "exec/acp.h"
#include "exec/command.h"
#include "exec/environ.h"
#include "exec/lease.h"
#include "exec/link.h"
#include "exec/phantom.h"
#include "exec/relay.h"

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
    const char *set = l->way->set ? l->way->set[0] : NULL,
               *form = set && strncmp(set, "{env}", 5) == 0 ? l->lease.env_name : set;
    size_t n = form ? strcspn(form, "=") : 0;
    if (l->slot->conflicts || n == 0 || n >= sizeof(name))
        return l->slot->conflicts;
    memcpy(name, form, n);
    name[n] = '\0';
    return profile_family(name);
}

static struct environ_values values_of(const struct exec_lease *l, const char *base)
{
    return (struct environ_values){.secret = l->lease.secret,
                                   .file = l->file,
                                   .dir = l->dir,
                                   .account = l->lease.account,
                                   .token = l->lease.token,
                                   .username = l->lease.username,
                                   .env = l->lease.env_name,
                                   .base = base,
                                   .proxy_socket = l->proxy_socket};
}

static MUST err_t set_variables(struct environment *env, const struct exec_lease *l,
                                const char *base, struct why *why)
{
    struct environ_values values = values_of(l, base);
    for (const char *const *set = l->way->set; set && *set; set++)
        TRY(environ_set(env, *set, &values, why));
    return ERR_OK;
}

static MUST err_t build_environment(struct environment *env, const struct profile *p,
                                    const struct exec_leases *leases, const char *base,
                                    struct why *why)
{
    bool proxied = false;
    TRY(environ_copy(env, environ, why));
    for (size_t i = 0; i < leases->n; i++)
        unset_all(env, conflicts_of(&leases->item[i]));
    for (size_t i = 0; i < leases->n; i++)
        TRY(set_variables(env, &leases->item[i], base, why));
    for (size_t i = 0; i < leases->n; i++)
        proxied = proxied || leases->item[i].proxy_socket;
    if (proxied)
        TRY(environ_spare_loopback(env, why));
    for (const char *const *c = p->constants; c && *c; c++)
        TRY(environ_default(env, *c, why));
    return ERR_OK;
}

static MUST err_t place_at(const char *dir, const struct exec_lease *l, struct why *why)
{
    const struct profile_way *way = l->way;
    struct environ_values values = values_of(l, NULL);
    AUTO(auto_free) char *text = NULL;
    if (!way->text)
        return link_place(dir, way->link_file, l->file, why);
    TRY(environ_expand(way->text, &values, &text, why));
    err_t e = phantom_place(dir, way->link_file, text, why);
    explicit_bzero(text, strlen(text));
    return e;
}

static MUST err_t place_file(const struct environment *env, const struct exec_lease *l,
                             struct why *why)
{
    const struct profile_way *way = l->way;
    const char *dir = environ_get(env, way->link_env), *home = environ_get(env, "HOME");
    char path[PATH_MAX];
    if (dir && dir[0])
        return place_at(dir, l, why);
    if (!home || home[0] != '/')
        return fail(why, ERR_INVALID, "neither %s nor HOME says where %s looks for its login",
                    way->link_env, l->slot->name);
    int n = snprintf(path, sizeof(path), "%s/%s", home, way->link_home);
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(why, ERR_INVALID, "HOME is too long");
    return place_at(path, l, why);
}

static MUST err_t place_files(const struct environment *env, const struct exec_leases *leases,
                              struct why *why)
{
    for (size_t i = 0; i < leases->n; i++)
        if (leases->item[i].way->link_file)
            TRY(place_file(env, &leases->item[i], why));
    return ERR_OK;
}

/* ---- the program's arguments */

struct arguments {
    char **item; /* the program's own are borrowed */
    char *made[PROFILE_USES * 16];
    size_t n_made;
    bool taken; /* the command takes those of its profile */
};

static void arguments_free(struct arguments *a)
{
    for (size_t i = 0; i < a->n_made; i++)
        free(a->made[i]);
    free(a->item);
}

static MUST err_t add_arguments(struct arguments *a, const struct exec_lease *l, const char *base,
                                struct why *why)
{
    if (!a->taken && l->way->args && !l->way->args_can_lack)
        return fail(why, ERR_USAGE,
                    "%s takes the broker's proxy from its command line: name it as the command, "
                    "not what starts it",
                    l->slot->name);
    if (!a->taken)
        return ERR_OK;
    struct environ_values where = {.base = base, .proxy_socket = l->proxy_socket}; /* no secrets */
    for (const char *const *arg = l->way->args; arg && *arg; arg++) {
        if (a->n_made == COUNT(a->made))
            return fail(why, ERR_LIMIT, "a profile adds too many arguments");
        TRY(environ_expand(*arg, &where, &a->made[a->n_made], why));
        a->n_made++;
    }
    return ERR_OK;
}

static MUST err_t build_arguments(struct arguments *a, char **command,
                                  const struct exec_leases *leases, const char *base,
                                  struct why *why)
{
    size_t n = 0;
    for (size_t i = 0; i < leases->n; i++)
        TRY(add_arguments(a, &leases->item[i], base, why));
    while (command[n])
        n++;
    a->item = calloc(n + a->n_made + 1, sizeof(*a->item));
    if (!a->item)
        return fail(why, ERR_INTERNAL, "out of memory for the arguments");
    a->item[0] = command[0];
    memcpy(a->item + 1, a->made, a->n_made * sizeof(*a->item));
    memcpy(a->item + 1 + a->n_made, command + 1, (n - 1) * sizeof(*a->item));
    return ERR_OK;
}

/* ---- the relay */

enum { BASE_ROOM = sizeof("http://127.0.0.1:65535") };

static void write_base(char base[BASE_ROOM], uint16_t port)
{
    (void)snprintf(base, BASE_ROOM, "http://127.0.0.1:%u", (unsigned)port);
}

/* Starts one relay for all leases whose way needs it; `base` stays "" where none does. */
static MUST err_t start_relay(const struct exec_options *o, struct exec_leases *leases,
                              char base[BASE_ROOM], struct why *why)
{
    struct relay_ask ask = {.ttl_ms = o->ttl_ms, .ends_leases = !o->owner_process};
    char socket[PATH_MAX];
    uint16_t port = 0;
    for (size_t i = 0; i < leases->n; i++) {
        const struct exec_lease *l = &leases->item[i];
        if (!l->proxy_socket || !profile_way_names(l->way, "{base}"))
            continue;
        if (ask.proxy_socket && strcmp(ask.proxy_socket, l->proxy_socket) != 0)
            return fail(why, ERR_INVALID, "the broker names two proxies for one consumer");
        ask.proxy_socket = l->proxy_socket;
    }
    if (!ask.proxy_socket)
        return ERR_OK;
    TRY(exec_leases_socket(leases, socket, why));
    ask.broker_socket = socket;
    TRY(relay_start(&ask, leases, &port, why));
    write_base(base, port);
    return ERR_OK;
}

/* With --acp this process stays, and is the relay itself. */
static MUST err_t stay(const struct exec_options *o, const struct exec_leases *leases,
                       struct acp **out, char base[BASE_ROOM], struct why *why)
{
    struct acp_ask ask = {.ttl_ms = o->ttl_ms, .owner_process = o->owner_process};
    TRY(acp_new(&ask, leases, out, why));
    if (acp_port(*out) != 0)
        write_base(base, acp_port(*out));
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

/* The program is a child. Returns only where it could not be started. */
static MUST err_t accompany(struct acp *acp, const struct acp_program *program,
                            struct exec_leases *leases, struct environment *env, struct why *why)
{
    TRY(acp_start(acp, program, leases, why));
    environ_free(env);
    int status = acp_serve(acp);
    acp_free(acp);
    acp_child_mirror(status);
}

static void auto_acp(struct acp **a)
{
    acp_free(*a);
}

static int start(const struct exec_options *o, const struct profile *p, const char *path)
{
    AUTO(exec_leases_free) struct exec_leases leases = {.n = 0};
    AUTO(environ_free) struct environment env = {0};
    AUTO(arguments_free) struct arguments args = {.taken = profile_takes_args(p, o->command[0])};
    AUTO(auto_acp) struct acp *acp = NULL;
    char base[BASE_ROOM] = "";
    struct why why = {0};
    int status = EXIT_NO_CREDENTIAL;
    err_t e = exec_leases_take(o, p, &leases, &why);
    if (e == ERR_OK)
        e = o->acp ? stay(o, &leases, &acp, base, &why) : start_relay(o, &leases, base, &why);
    if (e == ERR_OK)
        e = build_environment(&env, p, &leases, base, &why);
    if (e == ERR_OK)
        e = build_arguments(&args, o->command, &leases, base, &why);
    if (e == ERR_OK)
        e = place_files(&env, &leases, &why);
    if (e == ERR_OK) {
        struct acp_program program = {path, args.item, environ_list(&env)};
        status = EXIT_CANNOT_RUN;
        e = acp ? accompany(acp, &program, &leases, &env, &why)
                : become(path, args.item, &env, &why);
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
