/*
 * broker-cli attenuate: narrows a token offline. Reads it from standard input (never argv), appends caveats, prints the narrower one. No
 * key is needed, and none can widen one again.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "crypto/token.h"
#include <broker/provider.h>

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
    {"deliver", OPTION_LIST, AT(deliver), "DELIVERY", "only these deliveries (may be given again)"},
    {"allow", OPTION_LIST, AT(allow), "\"METHOD PATH\"", "proxy: only this request (each must hold)"},
    {"model", OPTION_LIST, AT(model), "GLOB", "proxy: only these models (each must hold)"},
    {"uid", OPTION_TEXT, AT(uid), "UID", "only a peer of this uid"},
    VERB_ROWS(struct attenuate_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

struct narrowing {
    struct buf token;
    unsigned added;
};

static err_t narrow(struct narrowing *n, enum token_caveat type, struct view value, struct why *why)
{
    AUTO(buf_free) struct buf next = {.max = TOKEN_MAX_TEXT};
    TRY(token_attenuate(buf_view(&n->token), type, value, &next, why));
    buf_reset(&n->token);
    buf_add_view(&n->token, buf_view(&next));
    n->added++;
    return buf_ok(&n->token, why);
}

static err_t narrow_number(struct narrowing *n, enum token_caveat type, uint64_t v, bool wide, struct why *why)
{
    AUTO(buf_free) struct buf b = {0};
    if (wide)
        buf_put_u64(&b, v);
    else
        buf_put_u32(&b, (uint32_t)v);
    return narrow(n, type, buf_view(&b), why);
}

static err_t narrow_deliver(struct narrowing *n, const struct option_list *l, struct why *why)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < l->n; i++) {
        enum delivery d;
        if (!delivery_from_name(view_str(l->item[i]), &d))
            return fail(why, ERR_USAGE, "--deliver is proxy, access_token, file, helper or secret, not \"%.32s\"", l->item[i]);
        mask |= 1u << d;
    }
    return mask ? narrow_number(n, CAVEAT_DELIVER, mask, false, why) : ERR_OK;
}

static err_t narrow_list(struct narrowing *n, enum token_caveat type, const struct option_list *l, struct why *why)
{
    for (size_t i = 0; i < l->n; i++)
        TRY(narrow(n, type, view_str(l->item[i]), why));
    return ERR_OK;
}

static err_t narrow_uid(struct narrowing *n, const char *uid, struct why *why)
{
    uint64_t v = 0;
    if (!uid)
        return ERR_OK;
    for (const char *p = uid; *p; p++) {
        if (*p < '0' || *p > '9' || (v = v * 10 + (uint64_t)(*p - '0')) > UINT32_MAX)
            return fail(why, ERR_USAGE, "--uid wants a number, not \"%.32s\"", uid);
    }
    return narrow_number(n, CAVEAT_PEER_UID, v, false, why);
}

static err_t read_token(struct buf *out, struct why *why)
{
    uint8_t c;
    if (isatty(STDIN_FILENO))
        (void)fputs("Paste the token, then press Enter:\n", stderr);
    while (out->len <= TOKEN_MAX_TEXT && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
        buf_put_u8(out, c);
    return out->len ? ERR_OK : fail(why, ERR_USAGE, "the token is read from standard input, and nothing came");
}

static err_t attenuate(const struct attenuate_options *o, struct narrowing *n, struct why *why)
{
    TRY(read_token(&n->token, why));
    if (o->ttl_ms)
        TRY(narrow_number(n, CAVEAT_EXPIRES, (uint64_t)(clock_wall_ms() + o->ttl_ms), true, why));
    TRY(narrow_deliver(n, &o->deliver, why));
    TRY(narrow_list(n, CAVEAT_METHOD_PATH, &o->allow, why));
    TRY(narrow_list(n, CAVEAT_MODEL, &o->model, why));
    TRY(narrow_uid(n, o->uid, why));
    if (n->added == 0)
        return fail(why, ERR_USAGE, "say how to narrow it: --ttl, --deliver, --allow, --model or --uid");
    return ERR_OK;
}

int verb_attenuate(int argc, char **argv)
{
    struct attenuate_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    struct narrowing n = {.token.max = TOKEN_MAX_TEXT + 1};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = rest.n ? fail(&why, ERR_USAGE, "the token is read from standard input, never from the command line") : ERR_OK;
    if (e == ERR_OK)
        e = attenuate(&o, &n, &why);
    if (e == ERR_OK) {
        buf_put_u8(&n.token, '\n');
        e = verb_write(&n.token, &why);
    }
    buf_free(&n.token);
    return verb_end(argv[0], &o.common, e, &why);
}
