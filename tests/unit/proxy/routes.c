#include "proxy/routes.h"

#include "base/auto.h"
#include "check.h"

static struct routes *fresh(void)
{
    static bool open;
    struct routes *rs = NULL;
    struct why w = {0};
    if (!open)
        CHECK_OK(secret_pool_open(1 << 20, &w), w);
    open = true;
    CHECK_OK(routes_new(&rs, &w), w);
    return rs;
}

static void blob(struct buf *out)
{
    struct why w = {0};
    struct route r = {.flags = ROUTE_TLS, .port = 443, .n_secrets = 1};
    r.host = view_str("api.example");
    r.provider = view_str("generic");
    r.secret[0] = view_str("planted-secret-1");
    CHECK_OK(route_encode(&r, out, &w), w);
}

TEST(a_route_is_used_until_it_is_taken_back)
{
    AUTO(buf_free) struct buf b = {0};
    struct routes *rs = fresh();
    struct why w = {0};
    blob(&b);
    CHECK_OK(routes_put(rs, 5, buf_view(&b), &w), w);
    CHECK_INT(routes_put(rs, 5, buf_view(&b), &w), ERR_INVALID);
    struct proxy_route *r = routes_take(rs, 5);
    CHECK(r && view_is(r->route.host, "api.example") && r->guard);
    routes_end(rs, 5);
    CHECK(routes_take(rs, 5) == NULL);              /* nobody new */
    CHECK(view_is(r->route.host, "api.example"));   /* but who has it keeps it */
    routes_give(rs, r);
    CHECK_OK(routes_put(rs, 5, buf_view(&b), &w), w); /* gone: its number is free */
    routes_free(rs);
}

TEST(what_is_no_route_is_refused)
{
    struct routes *rs = fresh();
    struct why w = {0};
    AUTO(buf_free) struct buf b = {0};
    CHECK_INT(routes_put(rs, 1, VIEW("junk", 4), &w), ERR_INVALID);
    CHECK(routes_take(rs, 1) == NULL);
    blob(&b);
    CHECK_INT(routes_put(rs, 0, buf_view(&b), &w), ERR_INVALID);
    routes_end(rs, 9);
    routes_free(rs);
}
