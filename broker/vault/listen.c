/*
 * Listening sockets follow the configuration. Invariant: a listener exists exactly for `admin` and each configured consumer, bound below
 * a directory that nobody but the broker and the consumer's own uids can pass. Bound by its path, because that is what the kernel
 * tells of a connection later (peer.h); the run directory was checked to be writable by nobody else, so no component can be swapped.
 */
#include "vault/listen.h"

#include "base/acl.h"
#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "vault/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 512 };

const struct vault_listener *listener_by_path(const struct vault *v, const char *path)
{
    for (unsigned i = 0; i < v->n_listeners; i++)
        if (strcmp(v->listeners[i].path, path) == 0)
            return &v->listeners[i];
    return NULL;
}

static struct vault_listener *by_name(const struct vault *v, const char *name, bool proxy)
{
    for (unsigned i = 0; i < v->n_listeners; i++)
        if (v->listeners[i].proxy == proxy && strcmp(v->listeners[i].consumer, name) == 0)
            return &v->listeners[i];
    return NULL;
}

int listen_dir(const struct vault *v, const char *consumer)
{
    const struct vault_listener *l = by_name(v, consumer, false);
    return l ? l->dirfd : -1;
}

/* Do uids other than our own have to get through? */
static bool has_others(const struct config_ids *ids)
{
    bool others = false;
    for (unsigned i = 0; i < ids->n && !others; i++)
        others = ids->id[i] != geteuid();
    return others;
}

struct door {             /* what opens one path, and how */
    unsigned owner, user; /* ACL_R | ACL_W | ACL_X */
    mode_t closed, fallback;
};
static const struct door dir_door = {ACL_R | ACL_W | ACL_X, ACL_X, 0700, 0711};
static const struct door socket_door = {ACL_R | ACL_W, ACL_R | ACL_W, 0600, 0666};

/* Opens `path` to the uids of the consumer (or the administrators) and to no others, whatever it was open to before; where the file
 * system has no ACLs the mode is opened and SO_PEERCRED alone decides. A closed mode also voids an ACL that is there (its mask). */
static err_t open_to(const char *path, const struct door *door, const struct config_ids *ids,
                     struct why *why)
{
    struct acl_rule rule = {.owner = door->owner, .user = door->user, .uid = ids->id, .n = ids->n};
    bool others = has_others(ids);
    err_t e = others ? acl_allow(path, &rule, why) : ERR_UNAVAILABLE;
    if (e != ERR_UNAVAILABLE)
        return e;
    if (others)
        log_event(LOG_LVL_WARN, "acl.unavailable", "path", path, "instead",
                  "mode and peer credentials", NULL);
    return chmod(path, others ? door->fallback : door->closed) == 0
               ? ERR_OK
               : fail_errno(why, errno, "chmod %s", path);
}

static err_t open_listener(const struct vault_listener *l, const struct config_ids *ids,
                           struct why *why)
{
    char dir[sizeof(l->path)];
    (void)view_copy(VIEW(l->path, (size_t)(strrchr(l->path, '/') - l->path)), dir, sizeof(dir));
    TRY(open_to(l->path, &socket_door, ids, why)); /* behind a directory that is still as it was */
    return open_to(dir, &dir_door, ids, why);
}

static const char *file_of(const struct vault_listener *l)
{
    return l->proxy ? "proxy.sock" : "broker.sock";
}

static err_t bind_socket(struct vault_listener *l, const struct config_ids *ids, struct why *why)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    memcpy(sa.sun_path, l->path, sizeof(sa.sun_path));
    AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(why, errno, "socket");
    (void)unlinkat(l->dirfd, file_of(l), 0);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        return fail_errno(why, errno, "bind %s", l->path);
    TRY(open_listener(l, ids, why));
    if (listen(fd, BACKLOG) != 0)
        return fail_errno(why, errno, "listen on %s", l->path);
    l->fd = TAKE_FD(fd);
    return ERR_OK;
}

static void close_listener(struct vault_listener *l)
{
    if (l->dirfd >= 0)
        (void)unlinkat(l->dirfd, file_of(l), 0);
    auto_close(&l->fd);
    auto_close(&l->dirfd);
}

static err_t make_path(const struct vault *v, const char *name, bool proxy,
                       char out[sizeof(((struct vault_listener *)0)->path)], struct why *why)
{
    enum { ROOM = sizeof(((struct vault_listener *)0)->path) };
    _Static_assert((size_t)ROOM == sizeof(((struct sockaddr_un *)0)->sun_path),
                   "a path fits a socket's address");
    int n = snprintf(out, ROOM, "%s/%s/%s.sock", v->dirs->run, name, proxy ? "proxy" : "broker");
    if (n < 0 || n >= ROOM)
        return fail(
            why, ERR_INVALID,
            "%s/%s/broker.sock is over %d bytes, the room of sun_path: choose a shorter --run",
            v->dirs->run, name, ROOM - 1);
    return ERR_OK;
}

err_t listen_check_name(const struct vault *v, const char *consumer, struct why *why)
{
    char path[sizeof(((struct vault_listener *)0)->path)];
    return make_path(v, consumer, false, path, why); /* the longer one of its two */
}

/* What is to be there. */
struct wish {
    const char *name;
    const struct config_ids *ids;
    bool proxy;
};

static err_t make_listener(struct vault *v, const struct wish *want, struct vault_listener *out,
                           struct why *why)
{
    /* ACL mask bits show as group bits, so only others' are forbidden */
    const struct file_dir how = {.create = true, .mode = 0700, .forbidden = 0002};
    struct vault_listener l = {.fd = -1, .dirfd = -1, .proxy = want->proxy};
    (void)view_copy(view_str(want->name), l.consumer, sizeof(l.consumer));
    TRY(make_path(v, want->name, want->proxy, l.path, why));
    err_t e = file_open_dir_at(v->run_fd, want->name, &how, &l.dirfd, why);
    if (e == ERR_OK && !want->proxy && fchmod(l.dirfd, 0700) != 0)
        e = fail_errno(why, errno, "chmod of the directory of %s", l.path);
    if (e == ERR_OK)
        e = bind_socket(&l, want->ids, why);
    if (e == ERR_OK)
        *out = l;
    else
        close_listener(&l);
    return e;
}

/* Makes it, or opens the one that is there to the uids as they are now. */
static err_t keep_listener(struct vault *v, const struct wish *want, struct why *why)
{
    const struct vault_listener *there = by_name(v, want->name, want->proxy);
    if (there)
        return open_listener(there, want->ids, why);
    struct vault_listener *more = realloc(v->listeners, (v->n_listeners + 1) * sizeof(*more));
    if (!more)
        return fail(why, ERR_UNAVAILABLE, "out of memory");
    v->listeners = more;
    TRY(make_listener(v, want, &more[v->n_listeners], why));
    const struct vault_listener *l = &more[v->n_listeners++];
    err_t last = ERR_OK;
    for (unsigned k = 0; k < WORKER__COUNT; k++)
        if (worker_serves(k, l) && v->workers[k].ready) {
            err_t e = worker_listen(&v->workers[k], l, why);
            last = e == ERR_OK ? last : e;
        }
    return last;
}

static void drop_missing(struct vault *v)
{
    for (unsigned i = 0; i < v->n_listeners;) {
        struct vault_listener *l = &v->listeners[i];
        const struct config_consumer *c = config_consumer(v->config, view_str(l->consumer));
        if (strcmp(l->consumer, "admin") == 0 ||
            (c && (!l->proxy || config_delivers(c, DELIVER_PROXY)))) {
            i++;
            continue;
        }
        for (unsigned k = 0; k < WORKER__COUNT; k++)
            if (worker_serves(k, l))
                worker_unlisten(&v->workers[k], l);
        close_listener(l);
        if (!c) /* the last of its sockets takes the directory along */
            (void)unlinkat(v->run_fd, l->consumer, AT_REMOVEDIR);
        *l = v->listeners[--v->n_listeners];
    }
}

err_t listen_sync(struct vault *v, struct why *why)
{
    err_t last = keep_listener(v, &(struct wish){"admin", &v->config->admin_uid, false}, why);
    drop_missing(v);
    for (unsigned i = 0; i < v->config->n_consumers; i++) {
        const struct config_consumer *c = &v->config->consumers[i];
        struct why own = {0};
        err_t e = keep_listener(v, &(struct wish){c->name, &c->peer.uid, false}, &own);
        if (e == ERR_OK && config_delivers(c, DELIVER_PROXY))
            e = keep_listener(v, &(struct wish){c->name, &c->peer.uid, true}, &own);
        if (e == ERR_OK)
            continue;
        log_event(LOG_LVL_ERROR, "listen.failed", "consumer", c->name, "why", own.text, NULL);
        last = fail(why, e, "%s", own.text);
    }
    return last;
}

void listen_close(struct vault *v)
{
    for (unsigned i = 0; i < v->n_listeners; i++)
        close_listener(&v->listeners[i]);
    free(v->listeners);
    v->listeners = NULL;
    v->n_listeners = 0;
}
