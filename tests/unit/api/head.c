/* The Content-Type rule here; the walk over a real head is proved over real sockets in http.c
 * (refusals). */
#include "api/head.h"
#include "base/auto.h"
#include "check.h"

static err_t type(const char *value)
{
    struct why why;
    struct head h = {.has_type = value != NULL, .type = view_str(value)};
    return head_check_type(&h, &why);
}

TEST(json_is_taken)
{
    static const char *const good[] = {
        "application/json", "Application/JSON", "application/json;charset=utf-8",
        "application/json; charset=UTF-8", "application/json;  charset=utf-8"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK_INT(type(good[i]), ERR_OK);
}

TEST(everything_else_is_not)
{
    static const char *const bad[] = {NULL,
                                      "",
                                      "application/jso",
                                      "application/jsonx",
                                      "application/json ",
                                      "text/json",
                                      "application/json;",
                                      "application/json; charset=latin1",
                                      "application/json, text/plain",
                                      "application/json; charset=utf-8; x=y",
                                      "application/x-www-form-urlencoded",
                                      "application/json; boundary=x",
                                      " application/json"};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(type(bad[i]), ERR_INVALID);
}
