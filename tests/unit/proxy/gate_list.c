#include "proxy/gate_list.h"

#include "unit/proxy/gate_rig.h"

static void members(const char *list, const char *joined)
{
    char got[256] = "";
    size_t n = 0;
    struct view rest = view_str(list), m;
    while (gate_list_next(&rest, &m))
        n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s>", (int)m.n, (const char *)m.p);
    CHECK_STR(got, joined);
}

TEST(a_list_is_cut_at_its_commas)
{
    members("", "");
    members(" , ,\t,", "");
    members("a", "<a>");
    members("a,b , c ,, d\t", "<a><b><c><d>");
    members("a=\"x, y\", b", "<a=\"x, y\"><b>");
    members("\"a\\\", b\", c", "<\"a\\\", b\"><c>");
    members("\"open, c", "<\"open, c>");
    members("\"open\\", "<\"open\\>");
    members("a\\,b", "<a\\><b>");
}

TEST(members_are_found_whole_and_without_case)
{
    CHECK(gate_list_has(view_str("close"), "close"));
    CHECK(gate_list_has(view_str("x, CLOSE ,y"), "close"));
    CHECK(!gate_list_has(view_str("closed, xclose"), "close"));
    CHECK(!gate_list_has(view_str("a=\"x, close, y\""), "close"));
    CHECK(!gate_list_has(view_str(""), "close"));
    CHECK(!gate_list_has(VIEW(NULL, 0), "close"));
    CHECK(gate_list_has(view_str("a,oauth-2025-04-20"), "oauth-2025-04-20"));
}

TEST(a_header_is_found_when_it_is_the_only_one)
{
    unsigned n = 9;
    CHECK_INT(with("X-Api-Key: one\r\nAuthorization: a\r\nauthorization: b\r\nX-Empty:"), 0);
    CHECK(view_is(gate_header_of(req.header, req.n_headers, "x-api-key", &n), "one") && n == 1);
    CHECK(gate_header_of(req.header, req.n_headers, "authorization", &n).n == 0 && n == 2);
    CHECK(gate_header_of(req.header, req.n_headers, "x-empty", &n).n == 0 && n == 1);
    CHECK(gate_header_of(req.header, req.n_headers, "cookie", &n).p == NULL && n == 0);
    CHECK(view_is(gate_header_of(req.header, req.n_headers, "host", NULL), "a"));
    CHECK(gate_header_of(NULL, 0, "host", NULL).n == 0);
}
