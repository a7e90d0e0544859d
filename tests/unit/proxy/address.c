/* Every special-purpose block at both of its ends and just outside, and the IPv6 forms that carry an IPv4 address. */
#include "proxy/address.h"
#include "base/auto.h"
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_is_public((struct sockaddr *)&in);
    CHECK_INT(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_is_public((struct sockaddr *)&in6);
}

static void check_list(const char *const *list, size_t n, bool expect)
{
    int wrong = 0;
    for (size_t i = 0; i < n; i++)
        if (is_public(list[i]) != expect) {
            printf("    %s: %d\n", list[i], !expect);
            wrong++;
        }
    CHECK_INT(wrong, 0);
}

TEST(special_ipv4_addresses_are_not_public)
{
    static const char *const list[] = {
        "0.0.0.0",      "0.255.255.255",   "10.0.0.0",     "10.255.255.255",  "100.64.0.0",    "100.127.255.255", "127.0.0.1",
        "127.255.255.255", "169.254.0.0",  "169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255",  "192.0.0.0",
        "192.0.0.255",  "192.0.2.0",       "192.0.2.255",  "192.88.99.1",     "192.168.0.0",   "192.168.255.255", "198.18.0.0",
        "198.19.255.255", "198.51.100.7",  "203.0.113.0",  "203.0.113.255",   "224.0.0.1",     "239.255.255.255", "240.0.0.0",
        "255.255.255.255"};
    check_list(list, COUNT(list), false);
}

TEST(ipv4_addresses_beside_the_blocks_are_public)
{
    static const char *const list[] = {
        "1.0.0.0",      "9.255.255.255", "11.0.0.0",     "100.63.255.255", "100.128.0.0",  "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",  "191.255.255.255", "192.0.1.0",    "192.0.3.0",
        "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",    "198.51.99.255",
        "198.51.101.0", "203.0.112.255", "203.0.114.0",  "223.255.255.255", "8.8.8.8",     "160.79.104.10"};
    check_list(list, COUNT(list), true);
}

TEST(special_ipv6_addresses_are_not_public)
{
    static const char *const list[] = {
        "::",          "::1",          "::2",         "::127.0.0.1", "::8.8.8.8", "100::1",      "fc00::",     "fd00:ec2::254",
        "fdff::1",     "fe80::1",      "febf::1",     "fec0::1",     "ff02::1",   "2001::1",     "2001:0:808:808::1", "2001:1ff::1",
        "2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1", "5f00::1",   "64:ff9b:1::1", "4000::1",   "1fff:ffff::1"};
    check_list(list, COUNT(list), false);
}

TEST(global_unicast_is_public)
{
    static const char *const list[] = {"2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2607:6bc0::10",
                                       "2a00::1", "3ffe::1", "3fff:1000::1"};
    check_list(list, COUNT(list), true);
}

TEST(ipv6_that_carries_ipv4_is_judged_by_it)
{
    static const char *const bad[] = {"::ffff:127.0.0.1", "::ffff:10.0.0.1",  "::ffff:169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3",
                                      "2002:7f00:1::1",   "2002:a9fe:a9fe::", "2002:c0a8:101::1"};
    static const char *const good[] = {"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"};
    check_list(bad, COUNT(bad), false);
    check_list(good, COUNT(good), true);
}

TEST(other_families_are_not_public)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage none = {0};
    CHECK(!address_is_public((struct sockaddr *)&un));
    CHECK(!address_is_public((struct sockaddr *)&none));
}
