/*
 * broker-cli attenuate: narrows a token offline. Reads it from standard input (never argv), appends
 * caveats, prints the narrower one. No key is needed, and none can widen one again.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/token.h"
#include <broker/provider.h>
#include <broker/secret.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct attenuate_options {
    struct verb_common common;
    int64_t ttl_ms;
    struct option_list deliver, allow, model;
    const char *uid;
};
#define AT(member) offsetof(struct attenuate_options, member)
static const struct option_row rows[] = {
    {"ttl", OPTION_TIME, AT(ttl_ms), "TIME", "it ends this long from now, at the latest"},
    {"deliver", OPTION_LIST, AT(deliver), "DELIVERY",
     "only these deliveries (commas, or given again)"},
    {"allow", OPTION_LIST, AT(allow), "\"METHOD PATH\"",
     "proxy: only this request (each must hold)"},
    {"model", OPTION_LIST, AT(model), "GLOB", "proxy: only these models (each must hold)"},
    {"uid", OPTION_TEXT, AT(uid), "UID", "only a peer of this uid"},
    VERB_ROWS(struct attenuate_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static err_t narrow(struct buf *token, enum token_caveat type, struct view value, struct why *why)
{
    AUTO(buf_free) struct buf next = {.max = TOKEN_MAX_TEXT};
    TRY(token_attenuate(buf_view(token), type, value, &next, why));
    buf_reset(token);
    buf_add_view(token, buf_view(&next));
    return buf_ok(token, why);
}

static err_t narrow_number(struct buf *token, enum token_caveat type, uint64_t v, bool wide,
                           struct why *why)
{
    AUTO(buf_free) struct buf b = {0};
    if (wide)
        buf_put_u64(&b, v);
    else
        buf_put_u32(&b, (uint32_t)v);
    return narrow(token, type, buf_view(&b), why);
}

static err_t narrow_deliver(struct buf *token, const struct option_list *l, struct why *why)
{
    uint32_t mask = 0;
    TRY(check_deliveries(l, why));
    for (size_t i = 0; i < l->n; i++)
        for (const char *p = l->item[i]; *p;) {
            enum delivery d;
            size_t len = strcspn(p, ",");
            if (delivery_from_name(VIEW(p, len), &d))
                mask |= 1u << d;
            p += len + (p[len] == ',');
        }
    return mask ? narrow_number(token, CAVEAT_DELIVER, mask, false, why) : ERR_OK;
}

static err_t narrow_list(struct buf *token, enum token_caveat type, const struct option_list *l,
                         struct why *why)
{
    for (size_t i = 0; i < l->n; i++)
        TRY(narrow(token, type, view_str(l->item[i]), why));
    return ERR_OK;
}

static err_t narrow_uid(struct buf *token, const char *uid, struct why *why)
{
    uint64_t v = 0;
    if (!uid)
        return ERR_OK;
    for (const char *p = uid; *p; p++) {
        if (*p < '0' || *p > '9' || (v = v * 10 + (uint64_t)(*p - '0')) > UINT32_MAX)
            return fail(why, ERR_USAGE, "--uid wants a number, not \"%.32s\"", uid);
    }
    return narrow_number(token, CAVEAT_PEER_UID, v, false, why);
}

static err_t read_token(struct buf *out, struct why *why)
{
    uint8_t c = 0;
    ssize_t n;
    if (isatty(STDIN_FILENO))
        (void)fputs("Paste the token, then press Enter:\n", stderr);
    while (out->len <= TOKEN_MAX_TEXT &&
           ((n = read(STDIN_FILENO, &c, 1)) == 1 || (n < 0 && errno == EINTR)) && c != '\n')
        if (n == 1)
            buf_put_u8(out, c);
    wipe(&c, 1);
    if (out->len && out->p[out->len - 1] == '\r')
        out->len--;
    return out->len
               ? ERR_OK
               : fail(why, ERR_USAGE, "the token is read from standard input, and nothing came");
}

static err_t attenuate(const struct attenuate_options *o, struct buf *token, struct why *why)
{
    if (!o->ttl_ms && !o->deliver.n && !o->allow.n && !o->model.n && !o->uid)
        return fail(why, ERR_USAGE,
                    "say how to narrow it: --ttl, --deliver, --allow, --model or --uid");
    TRY(read_token(token, why));
    if (o->ttl_ms)
        TRY(narrow_number(token, CAVEAT_EXPIRES, (uint64_t)(clock_wall_ms() + o->ttl_ms), true,
                          why));
    TRY(narrow_deliver(token, &o->deliver, why));
    TRY(narrow_list(token, CAVEAT_METHOD_PATH, &o->allow, why));
    TRY(narrow_list(token, CAVEAT_MODEL, &o->model, why));
    return narrow_uid(token, o->uid, why);
}

static err_t print(const struct attenuate_options *o, const struct buf *token, struct why *why)
{
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    if (o->common.json) {
        jsonw_open(&w, NULL, '{');
        jsonw_view(&w, "token", buf_view(token));
        jsonw_close(&w, '}');
    } else {
        buf_add_view(&out, buf_view(token));
    }
    buf_put_u8(&out, '\n');
    return verb_write(&out, why);
}

int verb_attenuate(int argc, char **argv)
{
    struct attenuate_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    struct buf token = {.max = TOKEN_MAX_TEXT + 1}; /* so far */
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = rest.n ? fail(&why, ERR_USAGE,
                            "the token is read from standard input, never from the command line")
                     : ERR_OK;
    if (e == ERR_OK)
        e = attenuate(&o, &token, &why);
    if (e == ERR_OK)
        e = print(&o, &token, &why);
    buf_free(&token);
    return verb_end(argv[0], &o.common, e, &why);
}
