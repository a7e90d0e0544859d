#include "proxy/gate_path.h"

#include "unit/proxy/gate_rig.h"

static int path(const char *p)
{
    CHECK((gate_path_fault(view_str(p)) == NULL) == gate_path_ok(view_str(p)));
    return gate_path_ok(view_str(p)) ? 0 : 400;
}
static int query(const char *q)
{
    return gate_query_fault(view_str(q)) ? 400 : 0;
}

TEST(ordinary_paths_are_good)
{
    static const char *const good[] = {"/",
                                       "/v1/messages",
                                       "/v1/messages/",
                                       "/v1beta/models/gemini-2.5-pro:generateContent",
                                       "/backend-api/codex/responses",
                                       "/a/...",
                                       "/.well-known/x",
                                       "/..a/a../.a/a.",
                                       "/v1/models/ft%3Agpt-4%3aorg",
                                       "/a%20b%C3%A4%E2%82%AC%F0%9F%98%80",
                                       "/~x/$a,b!c'(d)*+e=f&g@h",
                                       "/a%5Bb%5D%7B%7D%7C%22%3C%3E"};
    ALL(good, path, 0);
}

TEST(path_games_are_refused)
{
    static const char *const bad[] = {
        "",          "v1",         "*",           "//",         "/a//b",       "/a//",       "/.",         "/..",         "/a/.",        "/a/..",      "/a/./b",       "/a/../b",
        "/./a",      "/../a",      "/%2e",        "/%2E%2e/a",  "/.%2e/a",     "/%2e./a",    "/a%2fb",     "/a%2Fb",      "/a%5cb",      "/a%5Cb",     "/a\\b",        "/a;b",
        "/a;/../b",  "/..;/a",     "/a%3bb",      "/a%3Bb",     "/a#b",        "/a%23b",     "/a%3fb",     "/a%3Fb",      "/a?b",        "/a%00b",     "/a%0d%0ab",    "/a%0A",
        "/a%7f",     "/a%1f",      "/%",          "/%2",        "/%zz",        "/%2g",       "/%g2",       "/%%",         "/% 20",       "/a%25b",     "/a%252e%252e", "/a%25%32%65",
        "/%2%65",    "/%61",       "/%4d",        "/%30",       "/%2d",        "/%5f",       "/%7e",       "/a b",        "/a\tb",       "/a\"b",      "/a<b>",        "/a[b]",
        "/a{b}",     "/a|b",       "/a^b",        "/a`b",       "/a\x80",      "/\xc3\xa4",  "/%c0%af",    "/%c0%ae",     "/%e0%80%af",  "/%f0%80%80%af", "/%c1%9c",   "/%ed%a0%80",
        "/%ff",      "/%80",       "/%c3",        "/%c3a",      "/%c3%",       "/%e2%82",    "/%f5%80%80%80", "/%c2%80",  "/%c2%9f",     "/%u002e",    "/%c3%28",      "/a/%2e%2e/%2e"};
    ALL(bad, path, 400);
    CHECK(!gate_path_ok(VIEW("/a\0b", 4)));
    CHECK(!gate_path_ok(VIEW(NULL, 0)));
}

TEST(each_escape_of_a_path_has_its_rule)
{
    for (unsigned c = 0; c < 0x80; c++) {
        char lower[8], upper[8];
        (void)snprintf(lower, sizeof(lower), "/a%%%02x", c);
        (void)snprintf(upper, sizeof(upper), "/a%%%02X", c);
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool bad = c < ' ' || c == 0x7f || alnum || strchr("-._~/\\;%?#", (int)c);
        CHECK_INT(path(lower), bad ? 400 : 0);
        CHECK_INT(path(upper), bad ? 400 : 0);
    }
}

TEST(an_escape_ends_where_the_path_ends)
{
    CHECK(gate_path_fault(VIEW("/%20", 4)) == NULL);
    CHECK(gate_path_fault(VIEW("/%20", 3)) != NULL);
    CHECK(gate_path_fault(VIEW("/%c3%a4", 7)) == NULL);
    CHECK(gate_path_fault(VIEW("/%c3%a4", 6)) != NULL);
    CHECK(gate_path_fault(VIEW("/%c3%a4", 4)) != NULL);
}

TEST(a_path_is_bounded)
{
    static char p[GATE_TARGET_MAX + 2];
    memset(p, 'a', sizeof(p));
    p[0] = '/';
    CHECK(gate_path_ok(VIEW(p, GATE_TARGET_MAX)));
    CHECK(!gate_path_ok(VIEW(p, GATE_TARGET_MAX + 1)));
}

TEST(queries)
{
    static const char *const good[] = {"",          "beta=true", "a=b&c=d",  "include[]=x", "a=%0d%0a",   "a=%2Fb%3F%23%25", "x=%7e%7E", "q={a|b}^`c", "a?b/c:d@e",
                                       "a=+b",      "a=%e4",     "a=%C3%A4", "alt=sse",     "a=%26b%3Dc", "=", "&&", "a=%3B", "a=..//.."};
    static const char *const bad[] = {"a;b",     "a=%00", "a=%",    "a=%2", "a=%zz", "%6bey=x", "k%65y=x", "api%5fkey=x", "api%2dkey=x", "a=%30", "a=%2e", "a b",
                                      "a\"b",    "a<b",   "a>b",    "a\\b", "a#b",   "a\x80",   "\xc3\xa4", "a\tb", "a=%%", "a\x7f"};
    ALL(good, query, 0);
    ALL(bad, query, 400);
    CHECK(gate_query_fault(VIEW("a=%20", 4)) != NULL);
    CHECK(gate_query_fault(VIEW("a\0b", 3)) != NULL);
}
