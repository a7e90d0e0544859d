/*
 * Listening sockets follow the configuration. Invariant: a listener exists exactly for `admin` and each configured consumer, bound below
 * a directory that nobody but the broker and the consumer's own uids can pass. Bound through the directory's descriptor, so that no
 * path component can be swapped between the check and the bind.
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

static struct vault_listener *by_name(const struct vault *v, const char *name)
{
    for (unsigned i = 0; i < v->n_listeners; i++)
        if (strcmp(v->listeners[i].consumer, name) == 0)
            return &v->listeners[i];
    return NULL;
}

int listen_dir(const struct vault *v, const char *consumer)
{
    const struct vault_listener *l = by_name(v, consumer);
    return l ? l->dirfd : -1;
}

/* Uids other than our own that must get through: those of the consumer (or of the administrators). */
static unsigned other_uids(const struct config_ids *ids, uint32_t out[ACL_UIDS_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < ids->n && n < ACL_UIDS_MAX; i++)
        if (ids->id[i] != geteuid())
            out[n++] = ids->id[i];
    return n;
}

/* Opens `path` to the uids; where the file system has no ACLs the mode is opened and SO_PEERCRED alone decides. */
static err_t open_to(const char *path, const struct config_ids *ids, unsigned perm, mode_t fallback, struct why *why)
{
    uint32_t uid[ACL_UIDS_MAX];
    unsigned n = other_uids(ids, uid);
    unsigned own = perm == ACL_X ? ACL_R | ACL_W | ACL_X : ACL_R | ACL_W;
    if (n == 0)
        return ERR_OK;
    struct acl_rule rule = {.owner = own, .user = perm, .uid = uid, .n = n};
    err_t e = acl_allow(path, &rule, why);
    if (e != ERR_UNAVAILABLE)
        return e;
    log_event(LOG_LVL_WARN, "acl.unavailable", "path", path, "instead", "mode and peer credentials", NULL);
    return chmod(path, fallback) == 0 ? ERR_OK : fail_errno(why, errno, "chmod %s", path);
}

static err_t bind_socket(struct vault_listener *l, const struct config_ids *ids, struct why *why)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (!view_copy(view_str(l->path), sa.sun_path, sizeof(sa.sun_path)))
        return fail(why, ERR_INVALID, "the socket path %s is over %zu bytes: choose a shorter --run", l->path,
                    sizeof(sa.sun_path) - 1);
    AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(why, errno, "socket");
    (void)unlinkat(l->dirfd, "broker.sock", 0);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        return fail_errno(why, errno, "bind %s", l->path);
    if (chmod(l->path, 0600) != 0)
        return fail_errno(why, errno, "chmod %s", l->path);
    TRY(open_to(l->path, ids, ACL_R | ACL_W, 0666, why));
    if (listen(fd, BACKLOG) != 0)
        return fail_errno(why, errno, "listen on %s", l->path);
    l->fd = TAKE_FD(fd);
    return ERR_OK;
}

static void close_listener(struct vault_listener *l)
{
    if (l->dirfd >= 0)
        (void)unlinkat(l->dirfd, "broker.sock", 0);
    auto_close(&l->fd);
    auto_close(&l->dirfd);
}

static err_t make_listener(struct vault *v, const char *name, const struct config_ids *ids,
                           struct vault_listener *out, struct why *why)
{
    /* ACL mask bits show as group bits, so only others' are forbidden */
    const struct file_dir how = {.create = true, .mode = 0700, .forbidden = 0002};
    struct vault_listener l = {.fd = -1, .dirfd = -1};
    char dir[4096];
    (void)view_copy(view_str(name), l.consumer, sizeof(l.consumer));
    int n = snprintf(l.path, sizeof(l.path), "%s/%s/broker.sock", v->dirs->run, name);
    if (n < 0 || (size_t)n >= sizeof(l.path))
        return fail(why, ERR_INVALID, "%s/%s/broker.sock is over %zu bytes, the room of sun_path: choose a shorter --run",
                    v->dirs->run, name, sizeof(l.path) - 1);
    (void)snprintf(dir, sizeof(dir), "%s/%s", v->dirs->run, name);
    err_t e = file_open_dir_at(v->run_fd, name, &how, &l.dirfd, why);
    if (e == ERR_OK && fchmod(l.dirfd, 0700) != 0)
        e = fail_errno(why, errno, "chmod %s", dir);
    if (e == ERR_OK)
        e = open_to(dir, ids, ACL_X, 0711, why);
    if (e == ERR_OK)
        e = bind_socket(&l, ids, why);
    if (e == ERR_OK)
        *out = l;
    else
        close_listener(&l);
    return e;
}

static err_t add_listener(struct vault *v, const char *name, const struct config_ids *ids, struct why *why)
{
    if (by_name(v, name))
        return ERR_OK;
    struct vault_listener *more = realloc(v->listeners, (v->n_listeners + 1) * sizeof(*more));
    if (!more)
        return fail(why, ERR_UNAVAILABLE, "out of memory");
    v->listeners = more;
    TRY(make_listener(v, name, ids, &more[v->n_listeners], why));
    struct vault_listener *l = &more[v->n_listeners++];
    struct vault_worker *wk = &v->workers[strcmp(name, "admin") == 0 ? WORKER_ADMIN : WORKER_API];
    return wk->ready ? worker_listen(wk, l, why) : ERR_OK;
}

static void drop_missing(struct vault *v)
{
    for (unsigned i = 0; i < v->n_listeners;) {
        struct vault_listener *l = &v->listeners[i];
        if (strcmp(l->consumer, "admin") == 0 || config_consumer(v->config, view_str(l->consumer))) {
            i++;
            continue;
        }
        worker_unlisten(&v->workers[WORKER_API], l);
        close_listener(l);
        (void)unlinkat(v->run_fd, l->consumer, AT_REMOVEDIR);
        *l = v->listeners[--v->n_listeners];
    }
}

err_t listen_sync(struct vault *v, struct why *why)
{
    err_t last = add_listener(v, "admin", &v->config->admin_uid, why);
    drop_missing(v);
    for (unsigned i = 0; i < v->config->n_consumers; i++) {
        const struct config_consumer *c = &v->config->consumers[i];
        struct why own = {0};
        err_t e = add_listener(v, c->name, &c->peer.uid, &own);
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
