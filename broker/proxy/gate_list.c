/*
 * Looking things up in a head that was read: headers by name, members of list headers.
 */
#include "proxy/gate_list.h"

#include "proxy/gate_scan.h"

struct view gate_header_of(const struct gate_header *h, unsigned n_headers, const char *name,
                           unsigned *n)
{
    struct view lower = view_str(name), found = {NULL, 0};
    unsigned count = 0;
    for (unsigned i = 0; i < n_headers; i++)
        if (gate_same(h[i].name, lower)) {
            count++;
            found = h[i].value;
        }
    if (n)
        *n = count;
    return count == 1 ? found : VIEW(NULL, 0);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Bytes up to the comma that ends the first member, or to the end. */
static size_t member_length(struct view v)
{
    bool quoted = false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '"')
            quoted = !quoted;
        else if (quoted && v.p[i] == '\\')
            i++;
        else if (!quoted && v.p[i] == ',')
            return i;
    }
    return v.n;
}

static struct view trimmed(struct view v)
{
    while (v.n && is_blank(v.p[0]))
        v = VIEW(v.p + 1, v.n - 1);
    while (v.n && is_blank(v.p[v.n - 1]))
        v.n--;
    return v;
}

bool gate_list_next(struct view *rest, struct view *member)
{
    while (rest->n) {
        size_t n = member_length(*rest), past = n < rest->n ? n + 1 : n;
        *member = trimmed(VIEW(rest->p, n));
        *rest = VIEW(rest->p + past, rest->n - past);
        if (member->n)
            return true;
    }
    return false;
}

bool gate_list_has(struct view value, const char *member)
{
    struct view lower = view_str(member), m;
    while (gate_list_next(&value, &m))
        if (gate_same(m, lower))
            return true;
    return false;
}
