/* The path matcher. That the rows are right is tests/contract/route.c's part. */
#include "api/routes.h"
#include "check.h"

static struct route_match m;
static struct why why;

static err_t find(uint32_t role, const char *method, const char *path)
{
    m = (struct route_match){0};
    return route_find(role, method, view_str(path), &m, &why);
}

TEST(rows_are_found_with_their_parameters)
{
    CHECK_OK(find(FROM_API, "GET", "/v1/whoami"), why);
    CHECK_INT(m.route->type, MSG_WHOAMI);
    CHECK_OK(find(FROM_API, "POST", "/v1/leases/00ff/renew"), why);
    CHECK_INT(m.route->type, MSG_LEASE_RENEW);
    CHECK(view_is(m.param[0], "00ff"));
    CHECK_OK(find(FROM_ADMIN, "DELETE", "/v1/consumers/gateway/grants/claude.max"), why);
    CHECK_INT(m.route->type, MSG_GRANT_REMOVE);
    CHECK(view_is(m.param[0], "gateway") && view_is(m.param[1], "claude.max"));
    CHECK_OK(find(FROM_ADMIN, "GET", "/metrics"), why);
}

TEST(a_role_has_its_own_rows_only)
{
    CHECK_INT(find(FROM_API, "GET", "/v1/status"), ERR_NOT_FOUND);
    CHECK_INT(find(FROM_API, "POST", "/v1/credentials"), ERR_NOT_FOUND);
    CHECK_INT(find(FROM_ADMIN, "POST", "/v1/leases"), ERR_METHOD);
    CHECK_OK(find(FROM_ADMIN, "GET", "/v1/leases"), why);
    CHECK_INT(m.route->type, MSG_ADMIN_LEASES);
    CHECK_OK(find(FROM_API, "GET", "/v1/leases"), why);
    CHECK_INT(m.route->type, MSG_LEASES);
}

TEST(near_misses_are_not_found)
{
    static const char *const path[] = {"",
                                       "/",
                                       "/v1",
                                       "/v1/",
                                       "/v1/whoami/",
                                       "/v1/whoamix",
                                       "/v1/whoam",
                                       "//v1/whoami",
                                       "/v1//whoami",
                                       "/v1/./whoami",
                                       "/V1/whoami",
                                       "/v1/leases/",
                                       "/v1/leases//renew",
                                       "/v1/leases/a/renew/",
                                       "/v1/leases/a/b",
                                       "/v1/leases/a/renew/b",
                                       "v1/whoami"};
    for (size_t i = 0; i < sizeof(path) / sizeof(*path); i++)
        CHECK_INT(find(FROM_API, "GET", path[i]), ERR_NOT_FOUND);
}

TEST(other_methods_are_named)
{
    CHECK_INT(find(FROM_API, "PUT", "/v1/leases"), ERR_METHOD);
    CHECK_STR(m.allow, "POST, GET");
    CHECK_INT(find(FROM_ADMIN, "POST", "/v1/credentials/a"), ERR_METHOD);
    CHECK_STR(m.allow, "PUT, GET, DELETE");
    CHECK_INT(find(FROM_API, "get", "/v1/whoami"), ERR_METHOD);
    CHECK_INT(find(FROM_API, "GET", "/v1/nothing"), ERR_NOT_FOUND);
    CHECK_STR(m.allow, "");
}

TEST(maxima_come_from_the_message_table)
{
    struct route_field f = {.name = "x", .field = F_CREDENTIAL};
    CHECK_INT(route_field_max(&f), 64);
    f.max = 7;
    CHECK_INT(route_field_max(&f), 7);
    f = (struct route_field){.name = "x", .field = NOT_SENT};
    CHECK_INT(route_field_max(&f), 0);
    size_t n = 0;
    while (route_at(n))
        n++;
    CHECK(n > 30 && !route_at(n) && !route_at(SIZE_MAX));
}
