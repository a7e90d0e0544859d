/* Replies of libmicrohttpd: their status, headers and types. */
#include "api/reply.h"
#include "base/auto.h"
#include "check.h"

#include <microhttpd.h>

TEST(errors_have_their_status_and_headers)
{
    struct reply r = {0};
    struct why why = {.text = "no"};
    CHECK(reply_error(ERR_METHOD, &why, "GET, POST", &r));
    CHECK_INT(r.status, 405);
    CHECK_STR(MHD_get_response_header(r.http, "Allow"), "GET, POST");
    CHECK_STR(MHD_get_response_header(r.http, "Cache-Control"), "no-store");
    MHD_destroy_response(r.http);
    CHECK(reply_error(ERR_AUTH, NULL, NULL, &r));
    CHECK_INT(r.status, 401);
    CHECK_STR(MHD_get_response_header(r.http, "WWW-Authenticate"), "Bearer");
    MHD_destroy_response(r.http);
}

TEST(replies_of_the_vault_have_their_types)
{
    struct route route = {.reply = REPLY_JSONL};
    AUTO(buf_free) struct buf packet = {.max = MSG_MAX};
    struct why why = {0};
    struct msg m;
    struct reply r = {0};
    msg_begin(&packet, MSG_REPLY, 1, 0);
    msg_put_u64(&packet, F_STATUS, ERR_OK);
    msg_put(&packet, F_BODY, view_str("{}\n{}\n"));
    CHECK_OK(msg_parse(buf_view(&packet), FROM_VAULT, &m, &why), why);
    CHECK(reply_from_message(&route, &m, &r));
    CHECK_INT(r.status, 200);
    CHECK_STR(MHD_get_response_header(r.http, "Content-Type"), "application/jsonl");
    MHD_destroy_response(r.http);
    msg_begin(&packet, MSG_REPLY, 1, 0);
    msg_put_u64(&packet, F_STATUS, ERR_LOCKED);
    msg_put_u64(&packet, F_RETRY_MS, 0);
    CHECK_OK(msg_parse(buf_view(&packet), FROM_VAULT, &m, &why), why);
    CHECK(reply_from_message(&route, &m, &r));
    CHECK_INT(r.status, 503);
    CHECK_STR(MHD_get_response_header(r.http, "Retry-After"), "1");
    CHECK_STR(MHD_get_response_header(r.http, "Content-Type"), "application/json");
    MHD_destroy_response(r.http);
    msg_begin(&packet, MSG_REPLY, 1, 0); /* without a status: nothing is claimed */
    CHECK_OK(msg_parse(buf_view(&packet), FROM_VAULT, &m, &why), why);
    CHECK(reply_from_message(&route, &m, &r));
    CHECK_INT(r.status, 500);
    MHD_destroy_response(r.http);
}
