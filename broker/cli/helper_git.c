/*
 * git's credential helper (gitcredentials(7), git-credential(1)): attributes as lines "key=value"
 * on standard input, the same back for `get`. What we have not is answered with nothing, so that
 * git asks its next helper; what git wants stored or erased is not ours to change. A value with a
 * line break would become a second attribute and is not handed out.
 */
#include "base/auto.h"
#include "cli/helper.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *key;
    size_t at, room;
} attributes[] = {
#define ATTRIBUTE(name)                                                                            \
    {                                                                                              \
#name "=", offsetof(struct git_request, name), sizeof(((struct git_request *)0)->name)     \
    }
    ATTRIBUTE(protocol),
    ATTRIBUTE(host),
    ATTRIBUTE(username),
#undef ATTRIBUTE
};

static MUST err_t read_line(const char *line, size_t n, struct git_request *out, struct why *why)
{
    if (n == 0 || line[0] == '=' || !memchr(line, '=', n))
        return fail(why, ERR_INVALID, "git's question has a line without key=value");
    for (size_t i = 0; i < COUNT(attributes); i++) {
        size_t key = strlen(attributes[i].key);
        if (n < key || memcmp(line, attributes[i].key, key) != 0)
            continue;
        char *slot = (char *)out + attributes[i].at;
        if (n - key >= attributes[i].room || memchr(line + key, '\0', n - key))
            return fail(why, ERR_INVALID, "git's %.*s is not one", (int)(key - 1),
                        attributes[i].key);
        memcpy(slot, line + key, n - key);
        slot[n - key] = '\0';
    }
    return ERR_OK;
}

err_t git_request_read(const char *text, size_t n, struct git_request *out, struct why *why)
{
    struct git_request r = {.protocol = ""};
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        if (len == 0)
            break;
        TRY(read_line(text + at, len, &r, why));
        at += len + 1;
    }
    *out = r;
    return ERR_OK;
}

static bool one_line(const char *s)
{
    return !strpbrk(s, "\r\n");
}

static MUST err_t answer(const struct git_request *q, const struct broker_lease *l, struct buf *out,
                         struct why *why)
{
    /* Hosts that take a token as a password take any name with it; this one is GitHub's for all
     * kinds of token. */
    const char *user = l->username ? l->username : q->username[0] ? q->username : "x-access-token";
    if (!one_line(user) || !one_line(l->secret))
        return fail(why, ERR_INVALID, "%.64s has several lines, which git cannot take",
                    l->credential);
    if (q->username[0] && strcmp(q->username, user) != 0)
        return fail(why, ERR_NOT_FOUND, "%.64s is another user's", l->credential);
    buf_add_str(out, "username=");
    buf_add_str(out, user);
    buf_add_str(out, "\npassword=");
    buf_add_str(out, l->secret);
    buf_add_fmt(out, "\npassword_expiry_utc=%" PRId64 "\n", helper_ends_ms(l) / 1000);
    return ERR_OK;
}

static MUST err_t get(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf input = {0};
    AUTO(broker_lease_free) struct broker_lease lease = {0};
    struct git_request q;
    struct origin origin;
    TRY(helper_input(true, &input, why));
    TRY(git_request_read((const char *)input.p, input.len, &q, why));
    if (!origin_read(q.protocol, q.host, &origin))
        return fail(why, ERR_NOT_FOUND, "git names no server");
    TRY(helper_lease(ask, &origin, &lease, why));
    return answer(&q, &lease, out, why);
}

err_t helper_git(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf input = {0};
    if (strcmp(ask->operation, "get") !=
        0) /* store, erase, and what later versions add: read and left alone */
        return helper_input(true, &input, why);
    err_t e = get(ask, out, why);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}
