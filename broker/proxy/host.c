/*
 * Takes a host apart. Strict, because three readers (resolver, certificate check, address policy)
 * must see one and the same host: a last label that is all digits or begins with 0x would be an
 * address to some of them, so it is refused unless inet_pton(3) takes the whole.
 */
#include "proxy/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { LABEL_MAX = 63 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool lower(char *c)
{
    if (*c >= 'A' && *c <= 'Z')
        *c = (char)(*c - 'A' + 'a');
    return (*c >= 'a' && *c <= 'z') || is_digit(*c) || *c == '-' || *c == '_';
}

static bool label_ok(char *s, size_t n)
{
    if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!lower(&s[i]))
            return false;
    return true;
}

/* of a whole name's last label */
static bool is_number(const char *label)
{
    return strspn(label, "0123456789") == strlen(label) ||
           (label[0] == '0' && label[1] == 'x' &&
            strspn(label + 2, "0123456789abcdef") == strlen(label + 2));
}

static bool name_ok(char *name)
{
    char *label = name;
    for (;;) {
        size_t n = strcspn(label, ".");
        if (!label_ok(label, n))
            return false;
        if (!label[n])
            return !is_number(label);
        label += n + 1;
    }
}

static bool literal4(struct host *h)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, h->text, &in.sin_addr) != 1)
        return false;
    memcpy(&h->address, &in, sizeof(in));
    return true;
}

static bool literal6(struct host *h)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET6, h->text, &in6.sin6_addr) != 1)
        return false;
    memcpy(&h->address, &in6, sizeof(in6));
    return true;
}

bool host_parse(struct view text, struct host *out)
{
    struct host h = {0};
    bool brackets = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (brackets)
        text = VIEW(text.p + 1, text.n - 2);
    if (!view_copy(text, h.text, sizeof(h.text)))
        return false;
    h.literal = brackets ? literal6(&h) : literal4(&h);
    if (!h.literal && (brackets || !name_ok(h.text)))
        return false;
    *out = h;
    return true;
}

void address_set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
}
