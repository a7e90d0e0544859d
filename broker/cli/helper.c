/*
 * broker-cli helper: git, docker and aws get a secret in the protocol they speak anyway. The rule
 * they share is that a secret goes only to the origin it is for: the broker says which that is (or
 * the operator's --origin), the client says whom it talks to, and where the two differ nothing is
 * handed out.
 */
#include "cli/helper.h"

#include "base/auto.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { HELPER_GRANTS = 256 };

static const struct option_row rows[] = {
    {"origin", OPTION_TEXT, offsetof(struct helper_options, origin), "URL",
     "what the named credentials are for, where the broker does not say"},
    {"ttl", OPTION_TIME, offsetof(struct helper_options, ttl_ms), "TIME",
     "how long the lease lives; else as granted"},
    VERB_ROWS_PLAIN(struct helper_options),
};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static const struct protocol {
    const char *name;
    bool operation; /* its last operand says what to do */
    helper_run *run;
} protocols[] = {
    {"git", true, helper_git},
    {"docker", true, helper_docker},
    {"aws", false, helper_aws},
};

/* ---- input */

err_t helper_input(bool to_empty_line, struct buf *out, struct why *why)
{
    char c;
    for (ssize_t n;
         (n = read(STDIN_FILENO, &c, 1)) != 0;) { /* byte by byte: what follows is not ours */
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "cannot read the question");
        if (c == '\0')
            return fail(why, ERR_INVALID, "the question has a NUL byte in it");
        if (out->len == HELPER_INPUT_MAX)
            return fail(why, ERR_TOO_LARGE, "the question is over %d bytes", HELPER_INPUT_MAX);
        bool empty = c == '\n' && (out->len == 0 || out->p[out->len - 1] == '\n');
        if (to_empty_line && empty)
            break;
        buf_put_u8(out, (uint8_t)c);
    }
    return buf_ok(out, why);
}

/* ---- the lease */

int64_t helper_ends_ms(const struct broker_lease *l)
{
    bool sooner = l->secret_expires_ms > 0 && l->secret_expires_ms < l->expires_at_ms;
    return sooner ? l->secret_expires_ms : l->expires_at_ms;
}

struct search {
    const struct helper_ask *ask;
    const struct origin *origin; /* NULL: any */
    struct broker_client *client;
};

/* Is what somebody says this credential is for the origin that is asked for? */
static bool is_for(const char *said, const struct origin *wanted)
{
    struct origin o;
    return said && said[0] && origin_read(NULL, said, &o) && origin_equal(&o, wanted);
}

static void give_back(struct broker_client *c, const struct broker_lease *l)
{
    struct why unheard = {0};
    if (broker_lease_end(c, l->id, &unheard) != ERR_OK)
        return; /* it ends with its time */
}

static MUST err_t lease_one(const struct search *s, const char *name, struct broker_lease *out,
                            struct why *why)
{
    AUTO(broker_lease_free) struct broker_lease l = {0};
    struct broker_lease_ask ask = {
        .credential = name, .delivery = "helper", .ttl_ms = s->ask->options->ttl_ms};
    TRY(broker_lease(s->client, &ask, &l, why));
    const char *said = s->ask->options->origin ? s->ask->options->origin : l.origin;
    if (!l.secret || !l.secret[0]) {
        give_back(s->client, &l);
        return fail(why, ERR_INVALID, "the broker's lease of %.64s is empty", name);
    }
    if (s->origin && !is_for(said, s->origin)) {
        give_back(s->client, &l);
        return fail(why, ERR_NOT_FOUND, "%.64s is %s%.120s, not for this server", name,
                    said ? "for " : "for no known origin", said ? said : "");
    }
    *out = l;
    l = (struct broker_lease){0};
    return ERR_OK;
}

/* The named ones, in their order. A name that is not for this server is passed over. */
static MUST err_t search_names(const struct search *s, struct broker_lease *out, struct why *why)
{
    const char *said = s->ask->options->origin;
    if (said && s->origin && !is_for(said, s->origin))
        return fail(why, ERR_NOT_FOUND, "%.120s is not the server that was asked for", said);
    for (size_t i = 0; i < s->ask->n_names; i++) {
        err_t e = lease_one(s, s->ask->name[i], out, why);
        if (e != ERR_NOT_FOUND)
            return e;
    }
    return fail(why, ERR_NOT_FOUND, "no named credential is for this server");
}

/* Every grant that the broker says is for this server: nothing is released to find out. */
static MUST err_t search_grants(const struct search *s, struct broker_lease *out, struct why *why)
{
    AUTO(auto_free) struct broker_grant *grant = calloc(HELPER_GRANTS, sizeof(*grant));
    size_t n;
    if (!grant)
        return fail(why, ERR_INTERNAL, "out of memory");
    TRY(broker_grants(s->client, grant, HELPER_GRANTS, &n, why));
    for (size_t i = 0; i < n && i < HELPER_GRANTS; i++)
        if (s->origin && is_for(grant[i].origin, s->origin) &&
            broker_grant_delivers(&grant[i], "helper"))
            return lease_one(s, grant[i].credential, out, why);
    return fail(why, ERR_NOT_FOUND, "no grant is known to be for this server: name the credential");
}

err_t helper_lease(const struct helper_ask *ask, const struct origin *origin,
                   struct broker_lease *out, struct why *why)
{
    struct search s = {.ask = ask, .origin = origin};
    TRY(broker_connect(ask->options->common.socket, 0, &s.client, why));
    err_t e = ask->n_names > 0 ? search_names(&s, out, why) : search_grants(&s, out, why);
    broker_close(s.client);
    return e;
}

/* ---- the verb */

static const struct protocol *find_protocol(const char *name)
{
    for (size_t i = 0; name && i < COUNT(protocols); i++)
        if (strcmp(protocols[i].name, name) == 0)
            return &protocols[i];
    return NULL;
}

/* Operands: the protocol, the names, and behind them the operation where the protocol has any. */
static MUST err_t answer(const struct helper_options *o, const struct operands *rest,
                         struct buf *out, struct why *why)
{
    const struct protocol *p = find_protocol(rest->at[0]);
    struct helper_ask ask = {.options = o, .name = rest->at + 1};
    struct origin ignored;
    if (!p)
        return fail(why, ERR_USAGE, "which protocol? broker-cli helper git|docker|aws");
    if (o->origin && !origin_read(NULL, o->origin, &ignored))
        return fail(why, ERR_USAGE, "--origin wants https://HOST[:PORT], not \"%.80s\"", o->origin);
    if (p->operation && rest->n < 2)
        return fail(why, ERR_USAGE, "%s says what to do behind the names: get, store or erase",
                    p->name);
    ask.n_names = rest->n - (p->operation ? 2 : 1);
    ask.operation = p->operation ? rest->at[rest->n - 1] : NULL;
    if (o->origin && ask.n_names == 0)
        return fail(why, ERR_USAGE, "--origin says what the named credentials are for: name one");
    return p->run(&ask, out, why);
}

int verb_helper(int argc, char **argv)
{
    AUTO(buf_free) struct buf out = {0};
    struct helper_options o = {0};
    struct operands rest = {0};
    struct why why = {0}, unwritten = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = answer(&o, &rest, &out, &why);
    err_t written = verb_write(&out, &unwritten);
    if (e == ERR_OK && written != ERR_OK)
        return verb_end("helper", &o.common, written, &unwritten);
    return verb_end("helper", &o.common, e, &why);
}
