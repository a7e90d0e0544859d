/*
 * Reads an origin strictly: what is not plainly scheme, host and port is no origin, because a
 * reading more generous than the client's would send a secret to the wrong server.
 * Internationalised names come as xn--.
 */
#include "cli/origin.h"

#include "base/auto.h"

#include <string.h>

static const struct {
    const char *scheme;
    unsigned port;
} usual[] = {{"https", 443}, {"http", 80},   {"ssh", 22}, {"ftp", 21},
             {"imap", 143},  {"imaps", 993}, {"smtp", 25}};

static unsigned usual_port(const char *scheme)
{
    for (size_t i = 0; i < COUNT(usual); i++)
        if (strcmp(usual[i].scheme, scheme) == 0)
            return usual[i].port;
    return 0;
}

/* Lower-case copy of n characters, all of them among `allowed` or letters and digits. */
static bool copy_lower(const char *from, size_t n, const char *allowed, char *out, size_t room)
{
    if (n == 0 || n >= room)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            (c == '\0' || !strchr(allowed, c)))
            return false;
        out[i] = c;
    }
    out[n] = '\0';
    return true;
}

static bool read_port(const char *text, size_t n, unsigned *port)
{
    unsigned v = 0;
    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *port = v;
    return v > 0 && v <= 65535;
}

static bool is_v6(const char *host)
{
    return strchr(host, ':') && strspn(host, "0123456789abcdef:.") == strlen(host);
}

/* "host", "host:port", "[v6]", "[v6]:port" of n characters. */
static bool read_authority(const char *text, size_t n, struct origin *o)
{
    const char *close = text[0] == '[' ? memchr(text, ']', n) : NULL;
    size_t host = close ? (size_t)(close - text) + 1 : strcspn(text, ":/");
    if (host > n || (text[0] == '[' && !close))
        return false;
    if (host < n && (text[host] != ':' || !read_port(text + host + 1, n - host - 1, &o->port)))
        return false;
    if (!close)
        return copy_lower(text, host, ".-_", o->host, sizeof(o->host)) && o->host[0] != '.';
    return copy_lower(text + 1, host - 2, ":.", o->host, sizeof(o->host)) && is_v6(o->host);
}

bool origin_read(const char *scheme, const char *text, struct origin *out)
{
    struct origin o = {.port = 0};
    const char *mark = scheme ? NULL : strstr(text, "://");
    const char *name = scheme ? scheme : text, *rest = mark ? mark + 3 : text;
    if (!scheme && !mark)
        return false;
    if (!copy_lower(name, mark ? (size_t)(mark - text) : strlen(name), "+-.", o.scheme,
                    sizeof(o.scheme)))
        return false;
    o.port = usual_port(o.scheme);
    if (!read_authority(rest, strcspn(rest, "/"), &o))
        return false;
    *out = o;
    return true;
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
    return a->port == b->port && strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0;
}
