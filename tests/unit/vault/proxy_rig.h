/* The vault's rig with a proxy worker that is the test's own: its connections, its requests, the routes it was sent. */
#ifndef TESTS_PROXY_RIG_H
#define TESTS_PROXY_RIG_H

#include "vault_rig.h"

#include "base/route.h"

#define PROXY_CONFIG                                                                             \
    "consumers:\n"                                                                               \
    "  - name: gw\n    grants:\n"                                                                \
    "      - credential: key\n        deliver: [proxy, secret]\n        ttl: 15m\n"              \
    "      - credential: claude\n        deliver: [proxy, access_token, file]\n        ttl: 15m\n" \
    "  - name: other\n    grants:\n"                                                             \
    "      - credential: key\n        deliver: [proxy]\n"                                        \
    "  - name: plain\n    grants:\n"                                                             \
    "      - credential: key\n        deliver: [secret]\n"

/* The worker of this role comes up. */
static inline void rig_proxy_up(struct rig *r, unsigned side)
{
    rig_attach_worker(r, side);
    rig_ready(r, side);
    rig_turns(r, 3);
}

static inline int rig_proxy_connect(struct rig *r, const char *consumer)
{
    const struct vault_listener *l = rig_proxy_listener(r, consumer);
    CHECK(l);
    return rig_connect_to(r, l->fd, l->path);
}

struct proxied_request {
    uint64_t serial, route;
    char lease[40];
};

static inline uint64_t proxy_post(struct rig *r, unsigned side, uint64_t conn, int fd, const struct field *f)
{
    uint64_t id = ++r->next_id;
    msg_begin(&r->out, MSG_PROXY_BEGIN, id, conn);
    for (; f->f != F__COUNT; f++)
        if (f->s)
            msg_put_str(&r->out, f->f, f->s);
    rig_send(r, side, fd);
    return id;
}

/* A shown connection of the consumer at the (first) proxy worker, which is started when there is none. The first request is refused. */
static inline uint64_t rig_proxy_conn(struct rig *r, const char *consumer)
{
    if (r->worker[WORKER_PROXY] < 0)
        rig_proxy_up(r, WORKER_PROXY);
    AUTO(auto_close) int fd = rig_proxy_connect(r, consumer);
    uint64_t id = rig_new_conn(r);
    uint64_t asked = proxy_post(r, WORKER_PROXY, id, fd, FIELDS(S(F_TOKEN, "none"), S(F_OP, "GET"), S(F_URI_PATH, "/")));
    CHECK(rig_reply(r, WORKER_PROXY, asked) != ERR_OK);
    return id;
}

/* Begins a request; what the answer says. `model` NULL: not told. */
static inline err_t proxy_begin(struct rig *r, uint64_t conn, const char *token, const char *method, const char *path, const char *model,
                                struct proxied_request *out)
{
    uint64_t id = proxy_post(r, WORKER_PROXY, conn, -1, FIELDS(S(F_TOKEN, token), S(F_OP, method), S(F_URI_PATH, path), S(F_MODEL, model)));
    err_t e = rig_reply(r, WORKER_PROXY, id);
    if (out) {
        *out = (struct proxied_request){.serial = msg_u64(&r->msg, F_SERIAL, 0), .route = msg_u64(&r->msg, F_ROUTE, 0)};
        (void)view_copy(msg_view(&r->msg, F_LEASE), out->lease, sizeof(out->lease));
    }
    return e;
}

/* A lease of the proxy; its token in `token`, its id in `id` (both may be NULL). */
static inline void proxy_lease(struct rig *r, uint64_t conn, const char *credential, char token[512], char id[40])
{
    CHECK_OK(rig_issue(r, conn, credential, "proxy"), r->why);
    if (token)
        rig_text(r, "token", token, 512);
    if (id)
        rig_text(r, "id", id, 40);
}

struct used {
    uint64_t in, out, input, output, cache_read, cache_write;
    const char *model;
};

static inline void proxy_usage(struct rig *r, unsigned side, uint64_t serial, const struct used *u)
{
    msg_begin(&r->out, MSG_PROXY_USAGE, 0, 0);
    msg_put_u64(&r->out, F_SERIAL, serial);
    msg_put_str(&r->out, F_MODEL, u->model);
    msg_put_u64(&r->out, F_IN_BYTES, u->in);
    msg_put_u64(&r->out, F_OUT_BYTES, u->out);
    msg_put_u64(&r->out, F_INPUT, u->input);
    msg_put_u64(&r->out, F_OUTPUT, u->output);
    msg_put_u64(&r->out, F_CACHE_READ, u->cache_read);
    msg_put_u64(&r->out, F_CACHE_WRITE, u->cache_write);
    rig_send(r, side, -1);
    rig_turns(r, 3);
}

static inline void proxy_end(struct rig *r, unsigned side, uint64_t serial, err_t outcome, const struct used *u)
{
    msg_begin(&r->out, MSG_PROXY_END, 0, 0);
    msg_put_u64(&r->out, F_STATUS, (uint64_t)outcome);
    msg_put_u64(&r->out, F_SERIAL, serial);
    msg_put_str(&r->out, F_MODEL, u->model);
    msg_put_u64(&r->out, F_HTTP_STATUS, 200);
    msg_put_u64(&r->out, F_IN_BYTES, u->in);
    msg_put_u64(&r->out, F_OUT_BYTES, u->out);
    msg_put_u64(&r->out, F_DURATION_MS, 1234);
    msg_put_u64(&r->out, F_FIRST_MS, 56);
    msg_put_u64(&r->out, F_INPUT, u->input);
    msg_put_u64(&r->out, F_OUTPUT, u->output);
    msg_put_u64(&r->out, F_CACHE_READ, u->cache_read);
    msg_put_u64(&r->out, F_CACHE_WRITE, u->cache_write);
    rig_send(r, side, -1);
    rig_turns(r, 3);
}

/* ---- the scene of most tests */

enum { PROXY = WORKER_PROXY };

struct scene {
    struct rig r;
    uint64_t admin, api, conn;
    char token[512], id[40];
};

/* A vault with this configuration; the consumer gw with a lease of "key" and a connection at the proxy. */
static inline void scene(struct scene *s, const char *yaml)
{
    rig_make(&s->r, NULL, yaml);
    s->admin = rig_init(&s->r);
    rig_enroll(&s->r, s->admin);
    s->api = rig_conn(&s->r, "gw");
    s->conn = rig_proxy_conn(&s->r, "gw");
    proxy_lease(&s->r, s->api, "key", s->token, s->id);
}

#define GRANT(more) "consumers:\n  - name: gw\n    grants:\n      - credential: key\n        deliver: [proxy]\n" more

static inline err_t messages(struct scene *s, struct proxied_request *out)
{
    return proxy_begin(&s->r, s->conn, s->token, "POST", "/v1/messages", NULL, out);
}

static inline bool next_from(struct rig *r, enum msg_type type)
{
    while (rig_recv(r, PROXY, 200))
        if (r->msg.type == type)
            return true;
    return false;
}

#endif
