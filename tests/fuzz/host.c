/*
 * Hosts: whatever is taken for a name has only the characters of one and could not be an address to anybody, whatever is taken for a
 * literal is what inet_pton(3) makes of it; both read the same when they are read again.
 */
#include "proxy/address.h"
#include "proxy/host.h"
#include "hold.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_name(const struct host *h)
{
    struct in_addr in;
    struct in6_addr in6;
    HOLD(strspn(h->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(h->text));
    HOLD(h->text[0] && h->text[0] != '.' && h->text[strlen(h->text) - 1] != '.' && !strstr(h->text, ".."));
    HOLD(inet_aton(h->text, &in) == 0 && inet_pton(AF_INET6, h->text, &in6) != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct host h, again;
    char text[HOST_TEXT_MAX + 3];
    if (!host_parse(VIEW(data, n), &h))
        return 0;
    bool six = h.literal && h.address.ss_family == AF_INET6;
    (void)snprintf(text, sizeof(text), six ? "[%s]" : "%s", h.text);
    HOLD(host_parse(view_str(text), &again));
    HOLD(memcmp(&h, &again, sizeof(h)) == 0);
    HOLD(n == strlen(text));
    if (h.literal) {
        bool public = address_is_public((struct sockaddr *)&h.address);
        address_set_port(&h.address, 443);
        HOLD(address_is_public((struct sockaddr *)&h.address) == public);
    } else
        check_name(&h);
    return 0;
}
