/* Answers as bytes: status line, headers, length, and bodies that are whole. */
#include "api/answer.h"
#include "base/auto.h"
#include "check.h"

TEST(an_error_is_whole)
{
    AUTO(buf_free) struct buf out = {0};
    answer_error(ERR_UNAVAILABLE, "say \"when\"",
                 &(struct answer_head){.retry_s = 1, .closes = true}, &out);
    const char *text = buf_text(&out);
    CHECK(text && strncmp(text, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
    CHECK(strstr(text, "\r\nConnection: close\r\n") && strstr(text, "\r\nRetry-After: 1\r\n"));
    const char *body = strstr(text, "\r\n\r\n") + 4;
    CHECK_STR(body, "{\"error\":\"unavailable\",\"message\":\"say \\\"when\\\"\"}\n");
    char length[64];
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
    CHECK(strstr(text, length));
}

static const char *error_text(err_t e, struct answer_head h, struct buf *out)
{
    buf_reset(out);
    answer_error(e, NULL, &h, out);
    return buf_text(out);
}

TEST(errors_have_their_headers)
{
    AUTO(buf_free) struct buf out = {0};
    const char *t = error_text(ERR_METHOD, (struct answer_head){.allow = "GET, POST"}, &out);
    CHECK(strstr(t, "HTTP/1.1 405 ") == t && strstr(t, "\r\nAllow: GET, POST\r\n"));
    CHECK(strstr(t, "\r\nCache-Control: no-store\r\n") && !strstr(t, "Connection"));
    t = error_text(ERR_AUTH, (struct answer_head){.allow = "GET"}, &out);
    CHECK(strstr(t, "\r\nWWW-Authenticate: Bearer\r\n") && !strstr(t, "Allow"));
    t = error_text(ERR_TOO_LARGE, (struct answer_head){.status = 431}, &out);
    CHECK(strstr(t, "HTTP/1.1 431 ") == t && strstr(t, "{\"error\":\"too_large\","));
    t = error_text(ERR_DENIED, (struct answer_head){.without_body = true}, &out);
    CHECK(strcmp(t + strlen(t) - 4, "\r\n\r\n") == 0 && !strstr(t, "Content-Length: 0\r\n"));
}

static const char *reply(const struct route *r, err_t status, const char *body, struct buf *out)
{
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct why why = {0};
    struct msg m;
    msg_begin(&packet, MSG_REPLY, 1, 0);
    if (status != ERR__COUNT)
        msg_put_u64(&packet, F_STATUS, status);
    if (body)
        msg_put(&packet, F_BODY, view_str(body));
    if (status == ERR_LIMIT)
        msg_put_u64(&packet, F_RETRY_MS, 2500);
    CHECK_OK(msg_parse(buf_view(&packet), FROM_VAULT, &m, &why), why);
    buf_reset(out);
    answer_message(r, &m, (struct answer_head){0}, out);
    return buf_text(out);
}

TEST(replies_of_the_vault_have_their_types)
{
    AUTO(buf_free) struct buf out = {0};
    const char *t = reply(&(struct route){.reply = REPLY_JSON}, ERR_OK, "{\"a\":1}", &out);
    CHECK_STR(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                 "Content-Length: 7\r\n\r\n{\"a\":1}");
    t = reply(&(struct route){.reply = REPLY_JSONL}, ERR_OK, "{}\n{}\n", &out);
    CHECK(strstr(t, "\r\nContent-Type: application/jsonl\r\n"));
    t = reply(&(struct route){0}, ERR_OK, NULL, &out);
    CHECK(strstr(t, "\r\nContent-Length: 0\r\n\r\n"));
    t = reply(&(struct route){0}, ERR_LIMIT, NULL, &out);
    CHECK(strstr(t, "HTTP/1.1 429 ") == t && strstr(t, "\r\nRetry-After: 3\r\n"));
    t = reply(&(struct route){0}, ERR__COUNT, NULL, &out); /* no status: nothing is claimed */
    CHECK(strstr(t, "HTTP/1.1 500 ") == t);
}

TEST(what_does_not_fit_is_no_answer)
{
    AUTO(buf_free) struct buf out = {.max = 20};
    answer_error(ERR_DENIED, "no", &(struct answer_head){0}, &out);
    CHECK(out.bad);
}
