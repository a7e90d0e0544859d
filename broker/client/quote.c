/*
 * Writes one JSON string (RFC 8259 section 7) into room that the caller gives. Bytes that are no
 * UTF-8 refuse the whole string instead of being replaced: a secret that changed on its way is
 * worse than none.
 */
#include "base/utf8.h"

#include <broker/client.h>
#include <string.h>

struct sink {
    char *p;
    size_t left; /* with the place of the NUL */
};

static bool put(struct sink *s, const char *bytes, size_t n)
{
    if (s->left <= n)
        return false;
    memcpy(s->p, bytes, n);
    s->p += n;
    s->left -= n;
    return true;
}

static bool put_control(struct sink *s, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *at = strchr(from, c);
    if (at) {
        char two[2] = {'\\', to[at - from]};
        return put(s, two, sizeof(two));
    }
    char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    return put(s, six, sizeof(six));
}

static bool put_char(struct sink *s, const char **p, const char *end)
{
    unsigned char c = (unsigned char)**p;
    uint32_t code;
    size_t n = 1;
    bool plain = c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
    if (plain)
        n = utf8_next((const uint8_t *)*p, (size_t)(end - *p), &code);
    if (n == 0 || !(plain ? put(s, *p, n) : put_control(s, c)))
        return false;
    *p += n;
    return true;
}

bool broker_json_quote(const char *text, char *out, size_t room)
{
    if (room == 0)
        return false;
    struct sink s = {out, room};
    const char *p = text, *end = text + strlen(text);
    bool ok = put(&s, "\"", 1);
    while (ok && p < end)
        ok = put_char(&s, &p, end);
    if (ok && put(&s, "\"", 1)) {
        *s.p = '\0';
        return true;
    }
    explicit_bzero(out, (size_t)(s.p - out));
    out[0] = '\0';
    return false;
}
