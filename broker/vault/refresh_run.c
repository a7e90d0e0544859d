/*
 * One run of a refresh. The order is the security argument, and each step may be the last before a crash:
 * - 1 recorded; INTENT durable: from here on a restart knows that the token may be spent
 * - 2 the request, by a helper that has this one refresh token
 * - 3 RAW durable: from here on a restart needs no provider
 * - 4 parsed, by the same helper; the vault sees strict fields
 * - 5 the new version committed: what the answer left out stays; then the journal goes, and files and routes follow
 * A step that fails leaves the login as it was. Doubt (a request that may have been carried out and whose answer is lost) is kept, in memory and
 * by the journal: the old token is tried again soon, as providers allow for a while, and only their word ends the login.
 */
#include "vault/refresh_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/seal.h"
#include "vault/alert.h"
#include "vault/deliver.h"
#include "vault/unlock.h"

#include <string.h>

enum {
    FIRST_MS = 1000,
    DOUBT_MS = 250,
    REFUSED_MS = 60000,
    PAUSE_MS = 20000,
    PATIENCE_MS = 5000,
    DOUBLINGS = 10,
    JITTER = 5 /* a fifth */
};
#define MOST_MS (INT64_C(15) * 60 * 1000)

const char *refresh_cause_name(enum refresh_cause cause)
{
    static const char *const name[] = {"early", "lease", "rejected", "demand", "recovery"};
    return (unsigned)cause < REFRESH__COUNT ? name[cause] : "unknown";
}

/* ---- ends of a run */

static void on_wake(void *ctx)
{
    struct refresh *r = ctx;
    parked_wake(r->v, &r->waiting);
}

static struct audit_record record_of(const struct refresh *r, enum audit_event event, err_t e)
{
    const struct credential *c = refresh_credential(r);
    return (struct audit_record){.event = event,
                                 .outcome = e,
                                 .credential = r->name,
                                 .provider = c ? c->provider->name : NULL,
                                 .version = c ? c->version : 0,
                                 .source = refresh_cause_name(r->cause)};
}

static int64_t back_off(const struct refresh *r, int64_t least_ms)
{
    unsigned n = r->failures > DOUBLINGS ? DOUBLINGS : r->failures;
    int64_t ms = r->failures <= 1 && r->doubtful ? DOUBT_MS : (int64_t)FIRST_MS << (n ? n - 1 : 0);
    uint32_t random = 0;
    random_bytes(&random, sizeof(random));
    ms = ms > MOST_MS ? MOST_MS : ms;
    ms += ms / JITTER * (int64_t)(random % 1000) / 1000;
    return ms < least_ms ? least_ms : ms;
}

/* The run is over; who waited goes on. */
static void end_run(struct refresh *r, err_t e, unsigned status, const struct why *why)
{
    struct audit_record a = record_of(r, AUDIT_REFRESH_END, e);
    r->running = false;
    r->last = e;
    r->last_ms = clock_wall_ms();
    a.http_status = status;
    a.duration_ms = clock_boot_ms() - r->began_boot_ms;
    server_note(r->v, &a);
    (void)view_copy(view_str(e == ERR_OK ? "" : why->text), r->why, sizeof(r->why));
    if (e == ERR_OK) {
        r->failures = 0;
        r->not_before_ms = 0;
    }
    r->wake.fn = on_wake;
    r->wake.ctx = r;
    loop_later(r->v->loop, &r->wake);
}

static void fail_run(struct refresh *r, err_t e, const struct oauth_outcome *o, int64_t least_ms,
                     const struct why *why)
{
    r->failures++;
    r->v->refreshes->count.failed++;
    r->not_before_ms =
        clock_boot_ms() + back_off(r, o->retry_ms > least_ms ? o->retry_ms : least_ms);
    log_event(LOG_LVL_WARN, "refresh.failed", "credential", r->name, "why", why->text, "effect",
              "the login stays as it is; it is tried again", NULL);
    end_run(r, e, o->status, why);
}

static void end_journal(struct refresh *r)
{
    struct refresh_journal j = refresh_journal_of(r->v);
    refresh_journal_end(&j, r->id);
    r->journaled = r->has_raw = r->raw_in_file = r->doubtful = false;
    secret_free(TAKE(r->uncommitted));
}

/* ---- a new version */

static err_t put(struct refresh *r, struct view canonical, const struct credential **out,
                 struct why *why)
{
    const struct credential_put put = {.name = view_str(r->name),
                                       .canonical = canonical,
                                       .replace = true,
                                       .now_ms = clock_wall_ms()};
    TRY(credential_put(r->v->credentials, &put, out, why));
    unlock_note_commit(r->v);
    return ERR_OK;
}

/* A login that upstreams refuse however often it is renewed: its account is the trouble, and it is renewed ever more seldom. */
static void note_401(struct refresh *r, uint64_t version)
{
    bool again = r->from_401 == r->run_version && r->accepted != r->run_version;
    r->fruitless = !again ? 0 : r->fruitless < DOUBLINGS ? r->fruitless + 1 : DOUBLINGS;
    int64_t ms = (int64_t)PATIENCE_MS << r->fruitless;
    r->patience_ms = clock_boot_ms() + (ms > MOST_MS ? MOST_MS : ms);
    r->from_401 = version;
}

static void commit(struct refresh *r, struct view canonical, const struct oauth_outcome *o)
{
    struct vault *v = r->v;
    struct why why = {0};
    const struct credential *c = NULL;
    err_t e = put(r, canonical, &c, &why);
    if (e != ERR_OK) {
        v->swept = false;
        if (!r->uncommitted)
            r->uncommitted = secret_from(canonical.p, canonical.n);
        fail_run(r, e, o, 0, &why);
        return;
    }
    end_journal(r);
    v->refreshes->count.renewed++;
    refresh_follow(r, c);
    int64_t least =
        clock_wall_ms() +
        PAUSE_MS; /* a provider whose tokens last seconds is not asked without a pause */
    if (r->due_ms && r->due_ms < least)
        r->due_ms = least;
    if (r->cause == REFRESH_REJECTED)
        note_401(r, c->version);
    log_event(LOG_LVL_INFO, "refresh.done", "credential", r->name, "cause",
              refresh_cause_name(r->cause), NULL);
    route_end_credential(v, r->name);
    deliver_refresh(v, r->name);
    end_run(r, ERR_OK, o->status, &why);
}

static err_t merge(struct refresh *r, const struct credential *c, const struct cred *answer,
                   struct buf *canonical, struct why *why)
{
    const struct cred *login = NULL;
    struct cred merged;
    TRY(credential_view(r->v->credentials, c, &login, why));
    oauth_merge(c->provider, login, answer, &merged);
    TRY(c->provider->validate(&merged, why));
    TRY(cred_encode(&merged, canonical, why));
    return buf_ok(canonical, why);
}

static void granted(struct refresh *r, const struct credential *c, const struct oauth_outcome *o)
{
    AUTO(buf_free) struct buf canonical = {.max = CRED_MAX};
    struct why why = {0}, own = {0};
    err_t e = merge(r, c, &o->login, &canonical, &own);
    if (e == ERR_OK) {
        commit(r, buf_view(&canonical), o);
        return;
    }
    r->doubtful = true;
    e = fail(&why, e, "the answer makes no whole login: %s", own.text);
    fail_run(r, e, o, 0, &why);
}

/* ---- the end of a login */

static void explain_end(const struct oauth_outcome *o, enum login_end how, struct why *why)
{
    static const char *const text[LOGIN__COUNT] = {
        [LOGIN_WORKS] = "",
        [LOGIN_REVOKED] = "its provider no longer accepts the refresh token: revoked, expired, or "
                          "used by a program outside the broker",
        [LOGIN_ROTATED] = "its refresh token was used by somebody else: a program outside the "
                          "broker has a copy of this login",
        [LOGIN_LOST] = "its provider has replaced the refresh token, and that answer never reached "
                       "the broker",
    };
    (void)!fail(why, ERR_NEEDS_LOGIN, "%s (%s)", text[how], o->code);
}

static void end_login(struct refresh *r, const struct credential *c, const struct oauth_outcome *o)
{
    struct vault *v = r->v;
    struct why why = {0}, own = {0};
    enum login_end how = o->verdict == OAUTH_ROTATED && !r->doubtful ? LOGIN_ROTATED
                         : r->doubtful                               ? LOGIN_LOST
                                                                     : LOGIN_REVOKED;
    explain_end(o, how, &why);
    err_t e = credential_set_end(v->credentials, c, how, &own);
    if (e !=
        ERR_OK) { /* it is asked again until the disk takes it: never silent, never forgotten */
        fail_run(r, e, o, 0, &own);
        return;
    }
    unlock_note_commit(v);
    end_journal(r);
    v->refreshes->count.dead++;
    r->failures++;
    struct audit_record a = record_of(r, AUDIT_CRED_NEEDS_LOGIN, ERR_NEEDS_LOGIN);
    server_note(v, &a);
    alert_needs_login(v, c, how, why.text);
    end_run(r, ERR_NEEDS_LOGIN, o->status, &why);
}

/* ---- answers */

static void refused(struct refresh *r, const struct oauth_outcome *o)
{
    struct why why = {0};
    bool later = o->verdict == OAUTH_TRANSIENT;
    err_t e = later ? fail(&why, ERR_UNAVAILABLE, "the identity provider answered %u%s%s",
                           o->status, o->code[0] ? " " : "", o->code)
                    : fail(&why, ERR_CONFLICT,
                           "the identity provider does not take the request (%u%s%s): see "
                           "providers: in broker.yaml",
                           o->status, o->code[0] ? " " : "", o->code);
    if (later && o->status >= 500)
        r->doubtful = true; /* it may have come so far */
    if (!r->doubtful)
        end_journal(r); /* the old token is as good as it was */
    fail_run(r, e, o, later ? 0 : REFUSED_MS, &why);
}

static void garbage(struct refresh *r, const struct oauth_outcome *o)
{
    struct why why = {0};
    err_t e = fail(&why, ERR_INVALID, "the identity provider's answer (%u) cannot be understood",
                   o->status);
    r->doubtful = true;
    r->has_raw = false; /* read once, that is what it is; the old token may still be good */
    fail_run(r, e, o, 0, &why);
}

static void no_answer(struct refresh *r, const struct oauth_outcome *o, const struct why *why)
{
    if (!r->has_raw && !o->sent && !r->doubtful)
        end_journal(r); /* nothing went out */
    else if (!r->has_raw && o->sent)
        r->doubtful = true;
    fail_run(r, o->e, o, 0, why);
}

static void settle(struct refresh *r, const struct credential *c, const struct oauth_outcome *o)
{
    switch (o->verdict) {
    case OAUTH_GRANTED:
        granted(r, c, o);
        return;
    case OAUTH_REVOKED:
    case OAUTH_ROTATED:
        end_login(r, c, o);
        return;
    case OAUTH_TRANSIENT:
    case OAUTH_REFUSED:
    case OAUTH_PENDING:
    case OAUTH_SLOW_DOWN:
        refused(r, o);
        return;
    case OAUTH_GARBAGE:
    case OAUTH__COUNT:
        garbage(r, o);
        return;
    }
}

static void on_done(void *ctx, const struct oauth_outcome *o, const struct why *why)
{
    struct refresh *r = ctx;
    struct why own = {0};
    const struct credential *c = refresh_credential(r);
    if (!c ||
        c->version !=
            r->run_version) { /* an operator has put another login in its place: that one counts */
        end_journal(r);
        err_t e = fail(&own, ERR_CONFLICT, "another login was put in its place meanwhile");
        end_run(r, c ? ERR_OK : e, o->status, &own);
        return;
    }
    if (o->e != ERR_OK) {
        no_answer(r, o, why);
        return;
    }
    r->has_raw = false;
    settle(r, c, o);
}

static err_t on_keep(void *ctx, const struct oauth_raw *raw, struct why *why)
{
    struct refresh *r = ctx;
    struct refresh_journal j = refresh_journal_of(r->v);
    const struct credential *c = refresh_credential(r);
    struct why own = {0};
    (void)why;
    if (!c || c->version != r->run_version)
        return ERR_OK; /* void anyway */
    err_t e =
        refresh_journal_raw(&j, c, &(struct refresh_raw){raw->status, raw->at_ms, raw->body}, &own);
    r->has_raw = e == ERR_OK;
    r->raw_in_file = true;
    if (e !=
        ERR_OK) /* its room was there, so the disk is sick: to commit the answer is better than to drop it */
        log_event(LOG_LVL_ERROR, "refresh.unkept", "credential", r->name, "why", own.text, NULL);
    return ERR_OK;
}

/* ---- the beginning of a run */

static err_t replay(struct refresh *r, const struct oauthcall *call, struct why *why)
{
    AUTO(refresh_entry_clear) struct refresh_entry e = {0};
    struct refresh_journal j = refresh_journal_of(r->v);
    struct oauthcall parse = *call;
    TRY(refresh_journal_read(&j, r->id, &e, why));
    if (!e.has_raw)
        return fail(why, ERR_CORRUPT, "the kept answer is gone");
    struct oauth_raw raw = {.status = e.status, .at_ms = e.raw_at_ms};
    if (e.body)
        raw.body = VIEW(secret_bytes(e.body), secret_len(e.body));
    parse.parse = &raw;
    oauthcall_start(r->v, &parse);
    return ERR_OK;
}

static err_t ask(struct refresh *r, const struct credential *c, struct oauthcall *call,
                 struct why *why)
{
    AUTO(buf_free) struct buf pairs = {0};
    struct refresh_journal j = refresh_journal_of(r->v);
    const struct cred *login = NULL;
    if (!r->journaled || r->raw_in_file)
        TRY(refresh_journal_intent(&j, c, clock_wall_ms(), why));
    r->journaled = true;
    r->raw_in_file = false;
    TRY(credential_view(r->v->credentials, c, &login, why));
    oauth_refresh_pairs(call->client, login, &pairs);
    TRY(buf_ok(&pairs, why));
    call->pairs = buf_view(&pairs);
    oauthcall_start(r->v, call);
    return ERR_OK;
}

static void commit_again(struct refresh *r)
{
    AUTO(auto_secret)
    struct secret *canonical =
        secret_from(secret_bytes(r->uncommitted), secret_len(r->uncommitted));
    const struct oauth_outcome o = {.code = ""};
    struct why why = {0};
    if (canonical)
        commit(r, VIEW(secret_bytes(canonical), secret_len(canonical)), &o);
    else
        fail_run(r, fail(&why, ERR_UNAVAILABLE, "no secret memory left"), &o, 0, &why);
}

static err_t may_begin(struct refresh *r, const struct credential *c, struct oauth_client *client,
                       struct why *why)
{
    if (!c)
        return fail(why, ERR_NOT_FOUND, "the credential was removed");
    refresh_follow(r, c);
    if (c->no_refresh)
        return fail(why, ERR_CONFLICT,
                    "\"%s\" has no refresh token: log in again: broker-cli login %s", c->name,
                    c->name);
    const struct cred *login = NULL;
    TRY(credential_view(r->v->credentials, c, &login, why));
    if (!oauth_client_for(c->provider, login->f[CF_ISSUER], r->v->config, client))
        return fail(why, ERR_CONFLICT,
                    "broker.yaml says no more where \"%s\" is renewed: providers: lacks its entry",
                    c->name);
    return ERR_OK;
}

static void set_running(struct refresh *r, enum refresh_cause cause, uint64_t version)
{
    r->cause = cause;
    r->running = true;
    r->run_version = version;
    r->began_boot_ms = clock_boot_ms();
    r->v->refreshes->count.begun++;
}

/* What is left of a run that another version ended is void. */
static void drop_stale(struct refresh *r, const struct credential *c)
{
    if (r->run_version != c->version && (r->journaled || r->uncommitted))
        end_journal(r);
}

err_t refresh_begin(struct refresh *r, enum refresh_cause cause, const struct peer *peer,
                    struct why *why)
{
    struct vault *v = r->v;
    struct oauth_client client;
    const struct credential *c = refresh_credential(r);
    TRY(may_begin(r, c, &client, why));
    drop_stale(r, c);
    r->cause = cause;
    struct audit_record a = record_of(r, AUDIT_REFRESH_BEGIN, ERR_OK);
    a.peer = peer;
    TRY(server_record(v, &a, NULL, why));
    set_running(r, cause, c->version);
    if (r->uncommitted) {
        commit_again(r);
        return ERR_OK;
    }
    struct oauthcall call = {.client = &client, .keep = on_keep, .done = on_done, .ctx = r};
    err_t e = r->has_raw ? replay(r, &call, why) : ask(r, c, &call, why);
    if (e == ERR_OK)
        return ERR_OK;
    const struct oauth_outcome o = {.code = ""};
    r->has_raw = r->has_raw && e != ERR_CORRUPT;
    fail_run(r, e, &o, 0, why);
    return e;
}
