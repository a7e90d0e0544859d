/* cli/brought.c: what a browser brings, and what a person pastes. */
#include "check.h"

#include "base/auto.h"
#include "cli/brought.h"

#include <string.h>

static char long_code[BROUGHT_CODE + 8];

TEST(queries)
{
    static const struct {
        const char *query;
        bool good;
        const char *code, *state, *error;
    } rows[] = {
        {"code=a&state=b", true, "a", "b", ""},
        {"state=b&code=a%2Fb%2B&iss=https://x", true, "a/b+", "b", ""},
        {"error=access_denied&error_description=no%20way&state=b", true, "", "b", "access_denied"},
        {"code=a", true, "a", "", ""},
        {"", false, "", "", ""},
        {"state=b", false, "", "", ""},
        {"code=a&error=b&state=c", false, "", "", ""},
        {"code=a&code=b&state=c", false, "", "", ""},
        {"code=a&state=b&state=c", false, "", "", ""},
        {"code=&state=b", false, "", "", ""},
        {"code&state=b", false, "", "", ""},
        {"code=a%&state=b", false, "", "", ""},
        {"code=a%2&state=b", false, "", "", ""},
        {"code=a%zz&state=b", false, "", "", ""},
        {"code=a%00b&state=b", false, "", "", ""},
        {"code=a%0d%0ab&state=b", false, "", "", ""},
        {"code=a b&state=b", false, "", "", ""},
        {"code=a%20b&state=b", false, "", "", ""},
        {"error=Access+Denied&state=b", false, "", "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct brought b;
        CHECK_INT(brought_by_query(view_str(rows[i].query), &b), rows[i].good);
        CHECK_STR(b.code, rows[i].code);
        CHECK_STR(b.state, rows[i].state);
        CHECK_STR(b.error, rows[i].error);
    }
}

TEST(pastes)
{
    static const struct {
        const char *text;
        err_t e;
        const char *code, *state;
    } rows[] = {
        {"abc#def", ERR_OK, "abc", "def"},
        {"  abc#def\r\n", ERR_OK, "abc", "def"},
        {"http://localhost:1455/auth/callback?code=abc&state=def", ERR_OK, "abc", "def"},
        {"http://localhost:1455/auth/callback?code=abc&state=def#", ERR_OK, "abc", "def"},
        {"http://127.0.0.1/x?error=access_denied&state=def", ERR_OK, "", "def"},
        {"abc", ERR_INVALID, "", ""},
        {"abc#", ERR_INVALID, "", ""},
        {"#def", ERR_INVALID, "", ""},
        {"", ERR_INVALID, "", ""},
        {"   ", ERR_INVALID, "", ""},
        {"ab c#def", ERR_INVALID, "", ""},
        {"http://localhost/cb?code=abc", ERR_INVALID, "", ""},
        {"https://claude.com/cai/oauth/authorize?client_id=x&state=def", ERR_INVALID, "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct brought b;
        struct why why = {0};
        CHECK_INT(brought_by_paste(view_str(rows[i].text), &b, &why), rows[i].e);
        CHECK_STR(b.code, rows[i].code);
        CHECK_STR(b.state, rows[i].state);
        CHECK(rows[i].e == ERR_OK || !strstr(why.text, "abc")); /* no code in a sentence */
    }
}

TEST(what_is_too_long_is_refused_and_nothing_is_left)
{
    AUTO(buf_free) struct buf q = {.max = 100000};
    struct brought b;
    struct why why = {0};
    memset(long_code, 'x', sizeof(long_code) - 1);
    buf_add_str(&q, "code=");
    buf_add_str(&q, long_code);
    buf_add_str(&q, "&state=b");
    CHECK(!brought_by_query(buf_view(&q), &b) && !b.code[0] && !b.state[0]);
    buf_reset(&q);
    buf_add_str(&q, long_code);
    buf_add_str(&q, "#b");
    CHECK_INT(brought_by_paste(buf_view(&q), &b, &why), ERR_INVALID);
    CHECK(!b.code[0] && !b.state[0]);
    brought_wipe(&b);
}
