/* Names and literals as routes may hold them; what two readers could take for different hosts is neither. */
#include "proxy/host.h"
#include "base/auto.h"
#include "check.h"

#include <netinet/in.h>

static struct host h;

static bool parse(const char *text)
{
    return host_parse(view_str(text), &h);
}

TEST(names_are_taken_and_lowered)
{
    char label[80] = {0};
    CHECK(parse("API.Anthropic.COM"));
    CHECK(!h.literal);
    CHECK_STR(h.text, "api.anthropic.com");
    static const char *const good[] = {"localhost", "a", "litellm_proxy", "x-1.y", "1.2.3.com", "0x1.example", "xn--bcher-kva.example", "1e100.net",
                                       "0xg"};
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(parse(good[i]) && !h.literal);
    memset(label, 'a', 63);
    CHECK(parse(label));
    label[63] = 'a';
    CHECK(!parse(label));
}

TEST(literals_have_one_form)
{
    CHECK(parse("127.0.0.1") && h.literal);
    CHECK_INT(h.address.ss_family, AF_INET);
    CHECK_STR(h.text, "127.0.0.1");
    CHECK(parse("[2001:DB8::1]") && h.literal);
    CHECK_INT(h.address.ss_family, AF_INET6);
    CHECK_STR(h.text, "2001:DB8::1");
    CHECK(parse("[::ffff:1.2.3.4]"));
    address_set_port(&h.address, 443);
    CHECK_INT(((struct sockaddr_in6 *)(void *)&h.address)->sin6_port, htons(443));
    CHECK(parse("1.2.3.4"));
    address_set_port(&h.address, 80);
    CHECK_INT(((struct sockaddr_in *)(void *)&h.address)->sin_port, htons(80));
}

TEST(anything_else_is_refused_and_leaves_the_output)
{
    static const char *const bad[] = {
        "",          ".",        "a.",       ".a",      "a..b",     "-a",       "a-",       "a.-b",    "a b",        "a:443",  "a/b",   "user@a", "a%2e",
        "127.1",     "2130706433", "0x7f000001", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "a.0x7f", "a.1",  "a.0x",       "::1",    "2001:db8::1",
        "[::1",      "::1]",     "[]",       "[a]",     "[1.2.3.4]", "[fe80::1%eth0]", "[[::1]]", "b\xc3\xbc" "cher", "*.a", "a\n",  "a\\b"};
    int wrong = 0;
    CHECK(parse("before"));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(bad[i])) {
            printf("    taken: \"%s\"\n", bad[i]);
            wrong++;
        }
    CHECK_INT(wrong, 0);
    CHECK_STR(h.text, "before");
    CHECK(!host_parse(VIEW("a\0b", 3), &h));
}

TEST(names_over_253_bytes_are_refused)
{
    char name[300] = {0};
    for (int i = 0; i < 254; i += 2)
        memcpy(name + i, "a.", 2);
    name[253] = 0;
    CHECK_INT(strlen(name), 253);
    CHECK(parse(name));
    name[253] = 'a';
    CHECK(!parse(name));
}
