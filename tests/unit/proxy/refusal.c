#include "proxy/refusal.h"

#include "base/auto.h"
#include "check.h"

static const char *written(struct refusal r)
{
    static char text[2048];
    AUTO(buf_free) struct buf out = {0};
    refusal_write(&r, &out);
    CHECK(view_copy(buf_view(&out), text, sizeof(text)));
    return text;
}

TEST(each_dialect_has_the_form_of_its_sdk)
{
    struct refusal r = {.status = 429, .code = ERR_LIMIT, .message = "the budget is used up", .retry_ms = 1500, .keep_alive = true};
    r.dialect = ROUTE_ANTHROPIC;
    CHECK(strstr(written(r), "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"the budget is used up\""));
    CHECK(strstr(written(r), "HTTP/1.1 429 ") && strstr(written(r), "Retry-After: 2\r\n") && !strstr(written(r), "Connection: close"));
    r.dialect = ROUTE_OPENAI;
    CHECK(strstr(written(r), "\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"limit\""));
    r.dialect = ROUTE_GEMINI;
    CHECK(strstr(written(r), "{\"error\":{\"code\":429,") && strstr(written(r), "\"RESOURCE_EXHAUSTED\""));
    r.dialect = ROUTE_PLAIN;
    CHECK(strstr(written(r), "{\"error\":\"limit\",\"message\":"));
}

TEST(what_cannot_be_mended_by_trying_again_says_so)
{
    static const struct {
        err_t e;
        unsigned status;
        bool final;
    } rows[] = {{ERR_AUTH, 401, true},  {ERR_EXPIRED, 403, true},      {ERR_DENIED, 403, true},       {ERR_LIMIT, 429, false},
                {ERR_AUDIT, 503, false}, {ERR_NEEDS_LOGIN, 503, true}, {ERR_UNAVAILABLE, 502, false}, {ERR_TIMEOUT, 504, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool final = !rows[i].final;
        CHECK_INT(refusal_status(rows[i].e, &final), rows[i].status);
        CHECK_INT(final, rows[i].final);
    }
    struct refusal r = {.dialect = ROUTE_ANTHROPIC, .status = 401, .code = ERR_AUTH, .message = "no", .no_retry = true};
    CHECK(strstr(written(r), "X-Should-Retry: false\r\n") && strstr(written(r), "Connection: close\r\n"));
}

TEST(the_length_is_the_bodys_and_a_head_has_none)
{
    struct refusal r = {.dialect = ROUTE_OPENAI, .status = 403, .code = ERR_DENIED, .message = "with \"quotes\" and \r\n"};
    const char *t = written(r), *body = strstr(t, "\r\n\r\n") + 4;
    char line[64];
    (void)snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(body));
    CHECK(strstr(t, line) && strstr(body, "\\\"quotes\\\" and \\r\\n"));
    r.to_head = true;
    CHECK(strstr(written(r), line) && strlen(strstr(written(r), "\r\n\r\n")) == 4);
}
