/* vault/route_table.c: who holds which route, and until when. */
#include "proxy_rig.h"

static struct rig r;
static struct lease lease[3];

static const struct credential *cred(const char *name)
{
    return credential_find(r.v->credentials, view_str(name));
}

static void setup(void)
{
    rig_make(&r, NULL, "proxy: { workers: 2 }\n" PROXY_CONFIG);
    rig_enroll(&r, rig_init(&r));
    rig_proxy_up(&r, WORKER_PROXY);
    rig_proxy_up(&r, WORKER_PROXY + 1);
    memset(lease, 0, sizeof(lease));
    for (unsigned side = WORKER_PROXY; side < WORKER_PROXY + 2; side++)
        while (rig_recv(&r, side, 20)) /* LISTEN */
            ;
}

static uint64_t take(unsigned side, unsigned l, const char *name)
{
    uint64_t id = 0;
    CHECK_OK(route_take(&r.v->workers[side], &lease[l], cred(name), &id, &r.why), r.why);
    return id;
}

/* The packets that came for a worker: ROUTE +1, ROUTE_END -1 of this route. */
static int held(unsigned side, uint64_t id)
{
    int sum = 0;
    while (rig_recv(&r, side, 20))
        if (msg_u64(&r.msg, F_ROUTE, 0) == id)
            sum += r.msg.type == MSG_ROUTE ? 1 : r.msg.type == MSG_ROUTE_END ? -1 : 0;
    return sum;
}

static void done(void)
{
    for (unsigned i = 0; i < 3; i++)
        route_drop_lease(r.v, &lease[i]);
    CHECK(!r.v->routes.all);
    rig_end(&r);
}

TEST(sent_once_to_each_worker_and_ended_with_the_last_lease)
{
    setup();
    uint64_t id = take(WORKER_PROXY, 0, "key");
    CHECK(take(WORKER_PROXY, 0, "key") == id && take(WORKER_PROXY, 1, "key") == id && take(WORKER_PROXY + 1, 1, "key") == id);
    uint64_t other = take(WORKER_PROXY, 2, "claude");
    CHECK(other != id);
    CHECK_INT(held(WORKER_PROXY, id), 1);
    CHECK_INT(held(WORKER_PROXY + 1, id), 1);
    CHECK_INT(lease[0].route->leases, 2);
    route_drop_lease(r.v, &lease[0]);
    route_drop_lease(r.v, &lease[0]);
    CHECK_INT(held(WORKER_PROXY, id), 0);
    route_drop_lease(r.v, &lease[1]);
    CHECK_INT(held(WORKER_PROXY, id), -1);
    CHECK_INT(held(WORKER_PROXY + 1, id), -1);
    CHECK(r.v->routes.all && r.v->routes.all->id == other && !r.v->routes.all->next);
    CHECK(take(WORKER_PROXY, 0, "key") > other); /* never the same number */
    done();
}

TEST(a_credentials_end_is_told_at_once_and_its_leases_move)
{
    setup();
    uint64_t id = take(WORKER_PROXY, 0, "key"), other = take(WORKER_PROXY, 1, "claude");
    CHECK_INT(held(WORKER_PROXY, id), 1);
    route_end_credential(r.v, "key");
    CHECK_INT(held(WORKER_PROXY, id), -1);
    route_end_credential(r.v, "key"); /* told once */
    CHECK(!rig_recv(&r, WORKER_PROXY, 20));
    uint64_t next = take(WORKER_PROXY, 0, "key");
    CHECK(next != id && lease[0].route->id == next && lease[1].route->id == other);
    CHECK_INT(held(WORKER_PROXY, next), 1);
    route_end_all(r.v);
    CHECK(!r.v->routes.all->holders);
    done();
}

TEST(a_worker_that_is_gone_holds_nothing)
{
    setup();
    uint64_t id = take(WORKER_PROXY, 0, "key");
    (void)held(WORKER_PROXY, id);
    route_forget_worker(r.v, WORKER_PROXY);
    CHECK(take(WORKER_PROXY, 0, "key") == id);
    CHECK_INT(held(WORKER_PROXY, id), 1);
    done();
}

/* a credential that cannot be opened gives no route, and nothing is believed to be held */
TEST(what_cannot_be_opened_is_not_held)
{
    setup();
    struct credential broken = *cred("key");
    uint64_t id = 77;
    broken.hash[0] ^= 1;
    CHECK(route_take(&r.v->workers[WORKER_PROXY], &lease[0], &broken, &id, &r.why) != ERR_OK);
    CHECK(id == 77 && lease[0].route->holders == 0);
    CHECK(!rig_recv(&r, WORKER_PROXY, 20));
    done();
}

TEST(generic_upstreams_apply_to_their_origin_alone)
{
    setup();
    AUTO(buf_free) struct buf b = {.max = ROUTE_MAX};
    struct credential c = {.provider = provider_by_name(view_str("generic"))};
    struct cred plain = {0};
    struct route route;
    rig_write_config(&r, "upstreams:\n  - { provider: generic, origin: \"https://b.example\", private: true, ca: /own.pem }\n" PROXY_CONFIG);
    CHECK_OK(policy_reload(r.v, &r.why), r.why);
    plain.f[CF_KIND] = view_str("generic");
    plain.f[CF_SECRET] = view_str("open sesame");
    plain.f[CF_HEADER] = view_str("X-Key: {}");
    plain.f[CF_ORIGIN] = view_str("https://a.example");
    CHECK_OK(route_build(r.v, &c, &plain, &b, &r.why), r.why);
    CHECK_OK(route_decode(buf_view(&b), &route, &r.why), r.why);
    CHECK(view_is(route.host, "a.example") && route.flags == ROUTE_TLS && route.ca.n == 0);
    buf_reset(&b);
    plain.f[CF_ORIGIN] = view_str("https://b.example");
    CHECK_OK(route_build(r.v, &c, &plain, &b, &r.why), r.why);
    CHECK_OK(route_decode(buf_view(&b), &route, &r.why), r.why);
    CHECK(view_is(route.host, "b.example") && route.flags == (ROUTE_TLS | ROUTE_PRIVATE) && view_is(route.ca, "/own.pem"));
    done();
}
