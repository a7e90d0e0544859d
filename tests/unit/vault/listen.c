/* vault/listen.c: sockets follow the configuration, and each directory is open to exactly its own. */
#include "vault_rig.h"

#include <sys/xattr.h>

static mode_t mode_of(const char *path)
{
    struct stat st;
    CHECK_INT(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* Does the ACL of `path` name this uid? */
static bool acl_names(const char *path, uint32_t uid)
{
    uint8_t acl[1024];
    ssize_t n = getxattr(path, "system.posix_acl_access", acl, sizeof(acl));
    for (ssize_t i = 4; i + 8 <= n; i += 8) {
        uint32_t id = (uint32_t)acl[i + 4] | (uint32_t)acl[i + 5] << 8 | (uint32_t)acl[i + 6] << 16 | (uint32_t)acl[i + 7] << 24;
        if (acl[i] == 2 && id == uid)
            return true;
    }
    return false;
}

static const char *dir_of(struct rig *r, const char *consumer)
{
    static char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", r->run, consumer);
    return path;
}

static void reload(struct rig *r, const char *yaml)
{
    rig_write_config(r, yaml);
    CHECK_OK(policy_reload(r->v, &r->why), r->why);
}

/* The next LISTEN or UNLISTEN for a worker names this consumer. */
static bool told(struct rig *r, unsigned side, enum msg_type type, const char *consumer)
{
    while (rig_recv(r, side, 50))
        if (r->msg.type == type && view_is(msg_view(&r->msg, F_CONSUMER), consumer))
            return true;
    return false;
}

TEST(each_consumer_has_a_directory_and_a_socket_of_its_own)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    static const char *const names[] = {"admin", "gw", "other"};
    CHECK_INT(r.v->n_listeners, COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct vault_listener *l = rig_listener(&r, names[i]);
        CHECK(l && listener_by_path(r.v, l->path) == l && listen_dir(r.v, names[i]) == l->dirfd);
        CHECK_INT(mode_of(dir_of(&r, names[i])), 0700);
        CHECK_INT(mode_of(l->path), 0600);
        int listening = 0;
        socklen_t n = sizeof(listening);
        CHECK(getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening);
        CHECK(fcntl(l->fd, F_GETFD) & FD_CLOEXEC && fcntl(l->fd, F_GETFL) & O_NONBLOCK);
    }
    CHECK(!listener_by_path(r.v, "/elsewhere") && !listener_by_path(r.v, ""));
    CHECK_INT(listen_dir(r.v, "nobody"), -1);
    /* each worker is given its own, and no other's */
    CHECK(told(&r, WORKER_ADMIN, MSG_LISTEN, "admin") && r.fd >= 0);
    CHECK(!told(&r, WORKER_ADMIN, MSG_LISTEN, "gw"));
    CHECK(told(&r, WORKER_API, MSG_LISTEN, "gw") && r.fd >= 0);
    CHECK(msg_u64(&r.msg, F_MAX_CONNS, 0) > 0);
    CHECK(told(&r, WORKER_API, MSG_LISTEN, "other"));
    CHECK(!told(&r, WORKER_API, MSG_LISTEN, "admin"));
    rig_end(&r);
}

TEST(what_a_killed_broker_left_is_taken_over)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    char path[180];
    rig_stop(&r);
    CHECK(!rig_exists(&r, "run/gw/broker.sock"));
    (void)snprintf(path, sizeof(path), "%s/broker.sock", dir_of(&r, "gw"));
    scratch_write(path, "stale", 5, 0666);
    CHECK_INT(chmod(dir_of(&r, "gw"), 0755), 0); /* and was opened too wide */
    rig_start(&r);
    CHECK_INT(mode_of(dir_of(&r, "gw")), 0700);
    (void)rig_conn(&r, "gw");
    rig_end(&r);
}

TEST(a_directory_others_can_write_to_or_a_link_is_refused_and_the_others_are_served)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    rig_stop(&r);
    CHECK_INT(chmod(dir_of(&r, "gw"), 0777), 0);
    rig_log[0] = '\0';
    rig_open_vault(&r);
    rig_start_writer(&r);
    CHECK_INT(listen_sync(r.v, &r.why), ERR_PERMISSION);
    CHECK(strstr(rig_log, "listen.failed consumer=gw"));
    CHECK(!rig_listener(&r, "gw") && rig_listener(&r, "other") && rig_listener(&r, "admin"));
    CHECK_INT(rmdir(dir_of(&r, "gw")), 0);
    CHECK_INT(symlink("/tmp", dir_of(&r, "gw")), 0);
    CHECK(listen_sync(r.v, &r.why) != ERR_OK);
    CHECK(!rig_listener(&r, "gw"));
    CHECK_INT(unlink(dir_of(&r, "gw")), 0);
    CHECK_OK(listen_sync(r.v, &r.why), r.why); /* the next reload mends it */
    CHECK(rig_listener(&r, "gw"));
    r.v->supervisor = r.supervisor = r.worker[0] = r.worker[1] = -1;
    rig_end(&r);
}

TEST(a_path_over_the_room_of_a_socket_is_refused)
{
    struct rig r;
    char name[65], yaml[400];
    memset(name, 'n', 64);
    name[64] = '\0';
    rig_make(&r, "/dev/shm/././.", RIG_CONFIG); /* a few bytes longer */
    CHECK_OK(listen_check_name(r.v, "short", &r.why), r.why);
    size_t fits = 107 - 1 - strlen("/broker.sock") - strlen(r.run);
    CHECK(fits < 64);
    name[fits] = '\0';
    CHECK_OK(listen_check_name(r.v, name, &r.why), r.why);
    name[fits] = 'n';
    name[fits + 1] = '\0';
    CHECK_INT(listen_check_name(r.v, name, &r.why), ERR_INVALID);
    (void)snprintf(yaml, sizeof(yaml), "consumers:\n  - name: %s\n  - name: gw\n", name);
    reload(&r, yaml);
    CHECK(!rig_listener(&r, name) && rig_listener(&r, "gw"));
    CHECK(strstr(rig_log, "choose a shorter --run"));
    rig_end(&r);
}

TEST(the_uids_of_the_configuration_get_through_and_a_reload_changes_them)
{
    struct rig r;
    char yaml[300];
    static const char *const form = "consumers:\n  - name: gw\n    peer: { uid: [%u, %u] }\n";
    (void)snprintf(yaml, sizeof(yaml), form, 4000001u, 4000002u);
    rig_make(&r, NULL, yaml);
    const char *dir = dir_of(&r, "gw"), *path = rig_listener(&r, "gw")->path;
    if (getxattr(dir, "system.posix_acl_access", NULL, 0) <= 0)
        SKIP("no ACLs on this file system");
    CHECK(acl_names(dir, 4000001) && acl_names(path, 4000001) && acl_names(dir, 4000002));
    CHECK_INT(mode_of(dir) & 07, 0);
    CHECK_INT(mode_of(path) & 07, 0);
    int fd = rig_listener(&r, "gw")->fd;
    (void)snprintf(yaml, sizeof(yaml), form, 4000002u, 4000003u);
    reload(&r, yaml);
    CHECK(!acl_names(dir, 4000001) && !acl_names(path, 4000001));
    CHECK(acl_names(dir, 4000003) && acl_names(path, 4000003) && acl_names(dir, 4000002));
    CHECK_INT(rig_listener(&r, "gw")->fd, fd); /* it is the same socket all the time */
    reload(&r, "consumers:\n  - name: gw\n");  /* no other uid any more */
    CHECK_INT(mode_of(dir), 0700);             /* the mask is empty: whoever the ACL still names has nothing */
    CHECK_INT(mode_of(path), 0600);
    (void)snprintf(yaml, sizeof(yaml), form, getuid(), getuid());
    reload(&r, yaml); /* our own uid needs no ACL */
    CHECK_INT(mode_of(dir), 0700);
    rig_end(&r);
}

TEST(the_administrators_uids_follow_too)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    const char *dir = dir_of(&r, "admin");
    reload(&r, "admin: { uid: [4000009] }\n" RIG_CONFIG);
    if (getxattr(dir, "system.posix_acl_access", NULL, 0) <= 0)
        SKIP("no ACLs on this file system");
    CHECK(acl_names(dir, 4000009) && acl_names(rig_listener(&r, "admin")->path, 4000009));
    reload(&r, RIG_CONFIG);
    CHECK_INT(mode_of(dir), 0700);
    rig_end(&r);
}

TEST(too_many_uids_are_said_and_not_cut_silently)
{
    struct rig r;
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n  - name: many\n    peer: { uid: [4000000");
    for (unsigned i = 1; i < CONFIG_MAX_LIST; i++)
        buf_add_fmt(&yaml, ", %u", 4000000 + i);
    buf_add_str(&yaml, "] }\n");
    rig_make(&r, NULL, buf_text(&yaml));
    CHECK(rig_listener(&r, "many"));
    CHECK(acl_names(dir_of(&r, "many"), 4000000 + CONFIG_MAX_LIST - 1) || strstr(rig_log, "acl.unavailable"));
    rig_end(&r);
}

TEST(consumers_come_and_go_with_the_configuration)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    (void)rig_conn(&r, "gw");
    while (rig_recv(&r, WORKER_API, 20)) /* what was told at the start */
        ;
    reload(&r, "consumers:\n  - name: other\n  - name: third\n");
    CHECK(told(&r, WORKER_API, MSG_UNLISTEN, "gw"));
    CHECK(told(&r, WORKER_API, MSG_LISTEN, "third") && r.fd >= 0);
    CHECK(!rig_listener(&r, "gw") && !rig_exists(&r, "run/gw"));
    CHECK(rig_listener(&r, "admin") && rig_listener(&r, "other") && rig_listener(&r, "third"));
    (void)rig_conn(&r, "third");
    reload(&r, "consumers: []\n");
    CHECK_INT(r.v->n_listeners, 1);
    listen_close(r.v);
    CHECK(r.v->n_listeners == 0 && !r.v->listeners && !rig_exists(&r, "run/admin/broker.sock"));
    rig_end(&r);
}

/* ---- proxy.sock */

#define PROXY(d) "consumers:\n  - name: gw\n    grants:\n      - { credential: key, deliver: [" d "] }\n"

TEST(a_consumer_has_a_proxy_socket_exactly_while_a_grant_delivers_so)
{
    struct rig r;
    rig_make(&r, NULL, PROXY("secret"));
    CHECK(!rig_proxy_listener(&r, "gw") && !rig_exists(&r, "run/gw/proxy.sock"));
    reload(&r, PROXY("secret, proxy"));
    const struct vault_listener *l = rig_proxy_listener(&r, "gw");
    CHECK(l && rig_exists(&r, "run/gw/proxy.sock") && listener_by_path(r.v, l->path) == l);
    CHECK_INT(mode_of(l->path), 0600);
    CHECK_INT(listen_dir(r.v, "gw"), rig_listener(&r, "gw")->dirfd);
    CHECK(!rig_proxy_listener(&r, "admin"));
    rig_attach_worker(&r, WORKER_PROXY);
    rig_ready(&r, WORKER_PROXY);
    CHECK(told(&r, WORKER_PROXY, MSG_LISTEN, "gw"));
    CHECK(r.fd >= 0 && msg_u64(&r.msg, F_MAX_CONNS, 0) == 2048);
    while (rig_recv(&r, WORKER_API, 20)) /* the api worker is not told of it */
        CHECK(r.msg.type != MSG_LISTEN || !view_is(msg_view(&r.msg, F_CONSUMER), "gw") || msg_u64(&r.msg, F_MAX_CONNS, 0) == 256);
    reload(&r, PROXY("secret, proxy") "  - name: more\n    grants:\n      - { credential: key, deliver: [proxy] }\n");
    CHECK(told(&r, WORKER_PROXY, MSG_LISTEN, "more"));
    reload(&r, PROXY("secret") "  - name: more\n    grants:\n      - { credential: key, deliver: [proxy] }\n");
    CHECK(told(&r, WORKER_PROXY, MSG_UNLISTEN, "gw"));
    CHECK(!rig_proxy_listener(&r, "gw") && !rig_exists(&r, "run/gw/proxy.sock") && rig_exists(&r, "run/gw/broker.sock"));
    reload(&r, PROXY("secret"));
    CHECK(!rig_exists(&r, "run/more"));
    rig_end(&r);
}

TEST(the_proxy_socket_is_open_to_the_consumers_uids)
{
    struct rig r;
    rig_make(&r, NULL, "consumers:\n  - name: gw\n    peer: { uid: [4711] }\n    grants:\n      - { credential: key, deliver: [proxy] }\n");
    const struct vault_listener *l = rig_proxy_listener(&r, "gw"), *main = rig_listener(&r, "gw");
    CHECK_INT(acl_names(l->path, 4711), acl_names(main->path, 4711));
    CHECK_INT(mode_of(l->path), mode_of(main->path));
    CHECK_INT(acl_names(dir_of(&r, "gw"), 4711), acl_names(main->path, 4711));
    rig_end(&r);
}
