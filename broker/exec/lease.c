/*
 * Takes the leases of a start. One try is: connect, ask for the grants, choose, lease each; what
 * fails in it is told apart only into "may pass by itself" and "will not", and a try that fails
 * leaves no lease behind. Tries are spaced with growing, jittered pauses, so that a host full of
 * containers does not knock in step when the broker comes back.
 */
#include "exec/lease.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_FIRST_MS = 50, PAUSE_MOST_MS = 2000 };

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

void exec_leases_free(struct exec_leases *l)
{
    for (size_t i = 0; i < l->n; i++) {
        broker_lease_free(&l->item[i].lease);
        free_text(&l->item[i].file);
        free_text(&l->item[i].dir);
        free_text(&l->item[i].proxy_socket);
    }
    broker_close(l->client);
    *l = (struct exec_leases){.n = 0};
}

void exec_leases_end(struct exec_leases *l)
{
    struct why unheard = {0};
    for (size_t i = 0; i < l->n && l->client; i++)
        if (broker_lease_end(l->client, l->item[i].lease.id, &unheard) != ERR_OK)
            return; /* they end by themselves, with us or with their time */
}

/* ---- projected files */

/* Relative, and never out of the socket's directory. */
static bool stays_inside(const char *file)
{
    if (file[0] == '/' || file[0] == '\0')
        return false;
    for (const char *p = file; *p; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return false;
        p += n;
    }
    return true;
}

static MUST err_t absolute(const char *socket, char out[PATH_MAX], struct why *why)
{
    const char *slash = strrchr(socket, '/');
    char dir[BROKER_SOCKET_ROOM];
    (void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - socket) : 1,
                   slash ? socket : ".");
    if (!realpath(dir[0] ? dir : "/", out))
        return fail_errno(why, errno, "cannot find the directory of %s", socket);
    return ERR_OK;
}

static MUST err_t check_readable(const char *path, struct why *why)
{
    AUTO(auto_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(why, errno, "uid %u cannot read the broker's file %.150s",
                          (unsigned)geteuid(), path);
    return ERR_OK;
}

static MUST err_t locate_file(const char *socket, struct exec_lease *l, struct why *why)
{
    char dir[PATH_MAX];
    if (!l->lease.file || !stays_inside(l->lease.file))
        return fail(why, ERR_INVALID, "the broker names no file for %s", l->lease.credential);
    TRY(absolute(socket, dir, why));
    AUTO(auto_free) char *file = NULL;
    if (asprintf(&file, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, l->lease.file) < 0) {
        file = NULL;
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    TRY(check_readable(file, why));
    l->dir = strndup(file, (size_t)(strrchr(file, '/') - file));
    l->file = TAKE(file);
    return l->dir ? ERR_OK : fail(why, ERR_INTERNAL, "out of memory");
}

/* ---- the data plane */

static MUST err_t check_usable(const char *path, struct why *why)
{
    if (access(path, W_OK) < 0)
        return fail_errno(why, errno, "uid %u cannot use the broker's proxy at %.150s",
                          (unsigned)geteuid(), path);
    return ERR_OK;
}

static MUST err_t locate_proxy(const char *socket, struct exec_lease *l, struct why *why)
{
    char dir[PATH_MAX];
    if (!l->lease.proxy_socket || !stays_inside(l->lease.proxy_socket))
        return fail(why, ERR_INVALID, "the broker names no proxy for %s", l->lease.credential);
    if (!l->lease.token || !l->lease.token[0])
        return fail(why, ERR_INVALID, "the broker's lease of %s has no token", l->lease.credential);
    TRY(absolute(socket, dir, why));
    if (asprintf(&l->proxy_socket, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir,
                 l->lease.proxy_socket) < 0) {
        l->proxy_socket = NULL;
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    if (strlen(l->proxy_socket) >= BROKER_SOCKET_ROOM)
        return fail(why, ERR_USAGE, "the path of the broker's proxy is over %d bytes: %.150s",
                    BROKER_SOCKET_ROOM - 1, l->proxy_socket);
    return check_usable(l->proxy_socket, why);
}

err_t exec_leases_socket(const struct exec_leases *l, char *out, struct why *why)
{
    const char *path = broker_socket_path(l->client), *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    TRY(absolute(path, dir, why));
    int n = snprintf(out, PATH_MAX, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir,
                     slash ? slash + 1 : path);
    if (n < 0 || n >= PATH_MAX)
        return fail(why, ERR_USAGE, "the path of the broker's socket is too long: %.150s", path);
    return ERR_OK;
}

/* ---- one try */

static MUST err_t take_one(const struct exec_options *o, const struct profile_use *use,
                           struct exec_leases *l, struct why *why)
{
    struct broker_lease_ask ask = {.credential = use->credential,
                                   .delivery = use->way->delivery,
                                   .ttl_ms = o->ttl_ms,
                                   .owner_process = o->owner_process};
    struct exec_lease *item = &l->item[l->n];
    TRY(broker_lease(l->client, &ask, &item->lease, why));
    l->n++; /* from here on it is given back if anything fails */
    item->slot = use->slot;
    item->way = use->way;
    if (strcmp(item->lease.delivery, ask.delivery) != 0)
        return fail(why, ERR_INVALID, "the broker delivers %s by %s, not by %s", ask.credential,
                    item->lease.delivery, ask.delivery);
    if (strcmp(ask.delivery, "file") == 0)
        return locate_file(broker_socket_path(l->client), item, why);
    if (strcmp(ask.delivery, "proxy") == 0)
        return locate_proxy(broker_socket_path(l->client), item, why);
    if (!item->lease.secret || !item->lease.secret[0])
        return fail(why, ERR_INVALID, "the broker's lease of %s is empty", ask.credential);
    return ERR_OK;
}

static MUST err_t choose(const struct exec_options *o, const struct profile *p,
                         struct profile_grants grants, struct profile_plan *plan, struct why *why)
{
    const char *wish[OPTION_LIST_MAX + 1] = {0};
    if (o->credential.n == 0)
        return profile_choose(p, grants, plan, why);
    memcpy(wish, o->credential.item, o->credential.n * sizeof(*wish));
    return profile_choose_named(p, grants, wish, plan, why);
}

static MUST err_t take_all(const struct exec_options *o, const struct profile *p,
                           struct exec_leases *l, struct why *why)
{
    AUTO(auto_free) struct broker_grant *grant = calloc(PROFILE_GRANTS, sizeof(*grant));
    struct profile_grants grants = {.grant = grant};
    struct profile_plan plan;
    if (!grant)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(broker_grants(l->client, grant, PROFILE_GRANTS, &grants.n, why));
    if (grants.n > PROFILE_GRANTS)
        return fail(why, ERR_LIMIT, "this consumer has over %d grants", PROFILE_GRANTS);
    TRY(choose(o, p, grants, &plan, why));
    for (size_t i = 0; i < plan.n; i++)
        TRY(take_one(o, &plan.use[i], l, why));
    return ERR_OK;
}

static MUST err_t try_once(const struct exec_options *o, const struct profile *p, int timeout_ms,
                           struct exec_leases *out, struct why *why)
{
    struct exec_leases l = {.n = 0};
    err_t e = broker_connect(o->socket, timeout_ms, &l.client, why);
    if (e == ERR_OK)
        e = take_all(o, p, &l, why);
    if (e == ERR_OK) {
        *out = l;
        return ERR_OK;
    }
    exec_leases_end(&l);
    exec_leases_free(&l);
    return e;
}

/* ---- waiting */

static bool may_pass(err_t e)
{
    static const err_t passing[] = {ERR_NO_BROKER, ERR_LOCKED,  ERR_UNINIT,
                                    ERR_AUDIT,     ERR_TIMEOUT, ERR_UNAVAILABLE};
    for (size_t i = 0; i < COUNT(passing); i++)
        if (e == passing[i])
            return true;
    return false;
}

static int64_t now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Half to three halves of a pause that doubles. */
static int64_t next_pause(unsigned tries)
{
    uint32_t random = 0;
    int64_t pause = tries < 6 ? (int64_t)PAUSE_FIRST_MS << tries : PAUSE_MOST_MS;
    (void)!getrandom(&random, sizeof(random),
                     GRND_NONBLOCK); /* without it there is no jitter, and no harm */
    return pause / 2 + (int64_t)(random % (uint32_t)pause);
}

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static int timeout_for(int64_t left_ms, bool waits)
{
    if (!waits || left_ms > BROKER_TIMEOUT_MS)
        return BROKER_TIMEOUT_MS;
    return left_ms > PAUSE_FIRST_MS ? (int)left_ms : PAUSE_FIRST_MS;
}

err_t exec_leases_take(const struct exec_options *o, const struct profile *p,
                       struct exec_leases *out, struct why *why)
{
    int64_t until = now_ms() + o->wait_ms;
    for (unsigned tries = 0;; tries++) {
        err_t e = try_once(o, p, timeout_for(until - now_ms(), o->wait_ms > 0), out, why);
        int64_t pause = next_pause(tries), left = until - now_ms();
        if (e == ERR_OK || !may_pass(e) || left <= 0)
            return e;
        pause_ms(pause < left ? pause : left);
    }
}
