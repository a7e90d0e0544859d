/* The steps from a head to a message, apart from any socket. */
#include "api/exchange.h"
#include "base/auto.h"
#include "check.h"

static struct why why;

static err_t row(const char *method, const char *target, const struct head *h, struct exchange *x)
{
    *x = (struct exchange){0};
    return exchange_row(FROM_API, method, view_str(target), h, x, &why);
}

TEST(the_row_limits_the_body)
{
    static const struct view json = {(const uint8_t *)"application/json", 16};
    struct exchange x;
    struct head h = {.length = 18, .has_type = true, .type = json};
    CHECK_OK(row("POST", "/v1/leases", &h, &x), why);
    CHECK_INT(x.match.route->type, MSG_LEASE_ISSUE);
    CHECK_INT(row("GET", "/v1/whoami", &h, &x), ERR_INVALID); /* takes no body */
    h.length = 4096;
    CHECK_OK(row("POST", "/v1/leases", &h, &x), why);
    h.length = 4097;
    CHECK_INT(row("POST", "/v1/leases", &h, &x), ERR_TOO_LARGE);
    h = (struct head){.length = 1};
    CHECK_INT(row("POST", "/v1/leases", &h, &x), ERR_INVALID); /* of no type */
    h = (struct head){0};
    CHECK_INT(row("PUT", "/v1/leases", &h, &x), ERR_METHOD);
    CHECK_STR(x.match.allow, "POST, GET");
    CHECK_INT(row("GET", "/v1/status", &h, &x), ERR_NOT_FOUND); /* another role's */
    CHECK_INT(row("GET", "/v1/%77hoami", &h, &x), ERR_INVALID);
}

static err_t message(struct exchange *x, const char *authorization, const char *body,
                     struct buf *packet)
{
    static uint8_t bytes[256];
    x->authorization = view_str(authorization);
    x->body_n = strlen(body);
    memcpy(bytes, body, x->body_n);
    x->body = bytes;
    return exchange_message(x, (struct request_ids){7, 9}, packet, &why);
}

TEST(the_message_is_one_the_vault_takes)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct exchange x;
    struct msg m;
    struct head h = {.length = 1, .has_type = true, .type = view_str("application/json")};
    CHECK_OK(row("POST", "/v1/leases/00ff/renew", &h, &x), why);
    CHECK_OK(message(&x, "Bearer t0", "{\"ttl_ms\":5}", &packet), why);
    CHECK_OK(msg_parse(buf_view(&packet), FROM_API, &m, &why), why);
    CHECK(m.type == MSG_LEASE_RENEW && m.id == 7 && m.conn == 9);
    CHECK(view_is(m.field[F_TOKEN], "t0") && view_is(m.field[F_LEASE], "00ff"));
    CHECK_INT(message(&x, NULL, "{}", &packet), ERR_AUTH);
    CHECK_INT(message(&x, "Bearer t0", "{\"x\":5}", &packet), ERR_INVALID);
    CHECK_INT(message(&x, "Bearer t0", "{\"ttl_ms\":1,\"ttl_ms\":1}", &packet), ERR_INVALID);
    CHECK_OK(row("POST", "/v1/leases", &h, &x), why);
    CHECK_INT(message(&x, NULL, "{}", &packet), ERR_INVALID); /* no credential */
    CHECK_INT(message(&x, NULL, "{\"credential\":\"../x\"}", &packet), ERR_INVALID);
}
