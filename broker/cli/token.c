/*
 * broker-cli token: the value of a credential, on standard output, for the commands that programs
 * ask for a token (Claude's apiKeyHelper, Codex's auth.command). Run often, so it does one exchange
 * and nothing else.
 */
#include "base/auto.h"
#include "base/jsonw.h"
#include "cli/verbs.h"

#include <string.h>

struct token_options {
    struct verb_common common;
    const char *deliver;
    int64_t ttl_ms;
};
static const struct option_row rows[] = {
    {"deliver", OPTION_TEXT, offsetof(struct token_options, deliver), "DELIVERY",
     "helper (as it is by default), access_token or secret"},
    {"ttl", OPTION_TIME, offsetof(struct token_options, ttl_ms), "TIME",
     "how long the lease lives; else as granted"},
    VERB_ROWS(struct token_options),
};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static MUST err_t check(const struct token_options *o, const struct operands *rest, struct why *why)
{
    static const char *const values[] = {"helper", "access_token", "secret"};
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which credential? broker-cli token NAME");
    for (size_t i = 0; i < COUNT(values); i++)
        if (!o->deliver || strcmp(o->deliver, values[i]) == 0)
            return ERR_OK;
    return fail(why, ERR_USAGE, "--deliver is helper, access_token or secret, not \"%.40s\"",
                o->deliver);
}

static void print(const struct token_options *o, const struct broker_lease *l, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    if (!o->common.json) {
        buf_add_str(out, l->secret);
    } else {
        jsonw_open(&w, NULL, '{');
        jsonw_str(&w, "value", l->secret);
        jsonw_str(&w, "credential", l->credential);
        jsonw_str(&w, "deliver", l->delivery);
        jsonw_str(&w, "lease", l->id);
        jsonw_int(&w, "expires_at_ms", l->expires_at_ms);
        jsonw_close(&w, '}');
    }
    buf_add_str(out, "\n");
}

static MUST err_t token(const struct token_options *o, const char *name, struct buf *out,
                        struct why *why)
{
    AUTO(broker_lease_free) struct broker_lease lease = {0};
    struct broker_lease_ask ask = {
        .credential = name, .delivery = o->deliver ? o->deliver : "helper", .ttl_ms = o->ttl_ms};
    struct broker_client *c;
    TRY(broker_connect(o->common.socket, 0, &c, why));
    err_t e = broker_lease(c, &ask, &lease, why);
    broker_close(c);
    TRY(e);
    if (!lease.secret || !lease.secret[0])
        return fail(why, ERR_INVALID, "the broker's lease of %s is empty", name);
    print(o, &lease, out);
    return ERR_OK;
}

int verb_token(int argc, char **argv)
{
    AUTO(buf_free) struct buf out = {0};
    struct token_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = check(&o, &rest, &why);
    if (e == ERR_OK)
        e = token(&o, rest.at[0], &out, &why);
    if (e == ERR_OK)
        e = verb_write(&out, &why);
    return verb_end("token", &o.common, e, &why);
}
