/*
 * The logins under way: a short list, each entry with its deadline. Invariants: an entry's secrets are wiped when it ends, not when it is
 * forgotten; what a person brings is looked at only with the state that was given out (in constant time), and a wrong one does not
 * end a login at once, for it may be anybody's; an end is recorded exactly once.
 */
#include "vault/login_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "crypto/seal.h"
#include "provider/text.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 15 * 60 * 1000, KEPT_MS = 2 * 60 * 1000 };

static bool has_ended(const struct login *l)
{
    return l->state == LOGIN_DONE || l->state == LOGIN_FAILED;
}

static void forget_secrets(struct login *l)
{
    secret_free(TAKE(l->verifier));
    secret_free(TAKE(l->client_secret));
    secret_free(TAKE(l->device_code));
    wipe(l->csrf, sizeof(l->csrf));
    wipe(l->user_code, sizeof(l->user_code));
    wipe(l->verify_full, sizeof(l->verify_full));
}

static void free_login(struct login *l)
{
    struct login **at = &l->v->logins;
    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
    oauthcall_drop(l->v, l);
    forget_secrets(l);
    free(l);
}

unsigned logins_pending(const struct vault *v)
{
    unsigned n = 0;
    for (const struct login *l = v->logins; l; l = l->next)
        n += !has_ended(l);
    return n;
}

struct login *login_find(const struct vault *v, struct view id)
{
    for (struct login *l = v->logins; l; l = l->next)
        if (view_is(id, l->id))
            return l;
    return NULL;
}

void login_id(const struct login *l, char out[LOGIN_ID + 1])
{
    (void)view_copy(view_str(l->id), out, LOGIN_ID + 1);
}

void login_name(const struct login *l, char out[65])
{
    (void)view_copy(view_str(l->name), out, 65);
}

uint64_t login_pos(const struct login *l)
{
    return l->pos;
}

/* ---- its end */

void login_end(struct login *l, err_t e, const struct why *why)
{
    struct audit_record r = {.event = AUDIT_LOGIN_END,
                             .outcome = e,
                             .credential = l->name,
                             .provider = l->provider->name,
                             .version = l->version,
                             .source = grant_flow_name(l->flow)};
    struct why own = {0};
    l->state = e == ERR_OK ? LOGIN_DONE : LOGIN_FAILED;
    l->e = e;
    if (e != ERR_OK)
        (void)view_copy(view_str(why->text), l->why, sizeof(l->why));
    if (!l->v->audit || audit_append(l->v->audit, &r, &l->pos, &own) != ERR_OK)
        server_note(l->v, &r);
    forget_secrets(l);
    l->ends_ms = clock_boot_ms() + KEPT_MS;
    if (e == ERR_OK)
        log_event(LOG_LVL_INFO, "login.done", "credential", l->name, NULL);
    else
        log_event(LOG_LVL_WARN, "login.failed", "credential", l->name, "why", l->why, NULL);
}

void login_cancel(struct login *l)
{
    struct why why = {0};
    if (!has_ended(l))
        login_end(l, fail(&why, ERR_DENIED, "given up"), &why);
    free_login(l);
}

void logins_close(struct vault *v)
{
    while (v->logins)
        login_cancel(v->logins);
}

static void step(struct login *l, int64_t now)
{
    struct why why = {0};
    if (has_ended(l) || now < l->ends_ms) {
        bool due = l->state == LOGIN_WAITING && l->ask_at_ms && now >= l->ask_at_ms;
        if (has_ended(l) && now >= l->ends_ms)
            free_login(l);
        else if (due)
            login_poll(l);
        return;
    }
    oauthcall_drop(l->v, l);
    login_end(l,
              fail(&why, ERR_TIMEOUT,
                   "nobody finished this login in time; begin again: broker-cli login %s", l->name),
              &why);
}

void logins_tick(struct vault *v)
{
    int64_t now = clock_boot_ms();
    for (struct login *l = v->logins, *next; l; l = next) {
        next = l->next;
        step(l, now);
    }
}

/* ---- its beginning */

err_t login_client(const struct login *l, struct oauth_client *out, struct why *why)
{
    if (!oauth_client_for(l->provider, view_str(l->issuer), l->v->config, out))
        return fail(why, ERR_CONFLICT, "broker.yaml, providers: has no entry %s with a token_url",
                    l->issuer[0] ? l->issuer : l->provider->name);
    return ERR_OK;
}

static err_t check_name(struct vault *v, const struct login_ask *ask, const struct provider *p,
                        struct why *why)
{
    const struct credential *old = NULL;
    TRY(name_check(ask->name, "credential", why));
    old = credential_find(v->credentials, ask->name);
    if (old && !ask->replace)
        return fail(why, ERR_EXISTS,
                    "\"%s\" is enrolled already; to put a new login in its place: broker-cli login "
                    "%s --replace",
                    old->name, old->name);
    if (!old && ask->replace)
        return fail(why, ERR_NOT_FOUND,
                    "nothing of that name is enrolled; log in without --replace");
    if (old && old->provider != p)
        return fail(why, ERR_CONFLICT, "\"%s\" is enrolled with provider %s; take another name",
                    old->name, old->provider->name);
    return ERR_OK;
}

/* Before anybody is sent anywhere: would the credential that comes of it be valid? */
static err_t check_options(const struct login_ask *ask, const struct provider *p, struct why *why)
{
    struct cred trial = {.f = {[CF_KIND] = view_str("generic"),
                               [CF_SECRET] = view_str("x"),
                               [CF_ORIGIN] = ask->origin,
                               [CF_HEADER] = ask->header}};
    bool own =
        provider_upstream(p, view_str("login")) && !provider_upstream(p, view_str("login"))->origin;
    if ((ask->origin.n || ask->header.n) && !own)
        return fail(why, ERR_INVALID,
                    "origin and header are for logins of your own providers; "
                    "%s knows its own",
                    p->name);
    if (ask->env.n && !text_env_name(ask->env))
        return fail(why, ERR_INVALID, "env must be a name of A-Z, 0-9 and _, such as MY_TOKEN");
    if (ask->client_secret.n && (!own || !text_visible(ask->client_secret)))
        return fail(why, ERR_INVALID,
                    own ? "a client secret holds no white space"
                        : "this provider's client has no secret");
    if (ask->flow == GRANT_CLIENT && (!own || !ask->client_secret.n))
        return fail(why, ERR_INVALID,
                    own ? "the client's own login needs its secret"
                        : "this provider has no logins of clients");
    return provider_by_name(view_str("generic"))->validate(&trial, why);
}

static err_t copy_secret(struct view v, struct secret **out, struct why *why)
{
    if (v.n == 0)
        return ERR_OK;
    *out = secret_from(v.p, v.n);
    return *out ? ERR_OK : fail(why, ERR_UNAVAILABLE, "no secret memory left");
}

static err_t make_pkce(struct login *l, struct why *why)
{
    char verifier[PKCE_TEXT + 1] = "";
    uint8_t id[LOGIN_ID / 2];
    random_bytes(id, sizeof(id));
    hex_encode(id, sizeof(id), l->id);
    err_t e = pkce_random(verifier);
    if (e == ERR_OK)
        e = pkce_challenge(view_str(verifier), l->challenge);
    if (e == ERR_OK)
        e = pkce_random(l->csrf);
    if (e == ERR_OK)
        e = copy_secret(view_str(verifier), &l->verifier, why);
    wipe(verifier, sizeof(verifier));
    return e;
}

static bool copy_texts(struct login *l, const struct login_ask *ask)
{
    return view_copy(ask->name, l->name, sizeof(l->name)) &&
           view_copy(ask->origin, l->origin, sizeof(l->origin)) &&
           view_copy(ask->header, l->header, sizeof(l->header)) &&
           view_copy(ask->env, l->env, sizeof(l->env));
}

static err_t fill(struct login *l, const struct login_ask *ask, struct why *why)
{
    struct oauth_client client;
    if (!copy_texts(l, ask))
        return fail(why, ERR_INVALID, "the name, or what comes with it, is too long");
    TRY(login_client(l, &client, why));
    TRY(grant_check(&client, l->flow, ask->port, l->redirect, why));
    TRY(make_pkce(l, why));
    return copy_secret(ask->client_secret, &l->client_secret, why);
}

static err_t find_provider(struct vault *v, const struct login_ask *ask, struct login *l,
                           struct why *why)
{
    struct view issuer = {0};
    l->provider = oauth_named(ask->provider, v->config, &issuer);
    if (!l->provider || !oauth_row(l->provider))
        return fail(
            why, ERR_INVALID,
            "there are logins of claude, codex, gemini, and what broker.yaml names in providers:, "
            "but not of \"%.*s\"",
            (int)ask->provider.n, ask->provider.n ? (const char *)ask->provider.p : "");
    (void)view_copy(issuer, l->issuer, sizeof(l->issuer));
    if (!l->issuer[0] && !oauth_row(l->provider)->token_url)
        return fail(why, ERR_INVALID,
                    "which identity provider? broker.yaml, providers: names it; then: broker-cli "
                    "login NAME --provider THAT");
    TRY(check_name(v, ask, l->provider, why));
    return check_options(ask, l->provider, why);
}

static err_t record_begin(const struct login *l, const struct peer *peer, uint64_t *pos,
                          struct why *why)
{
    struct audit_record r = {.event = AUDIT_LOGIN_BEGIN,
                             .outcome = ERR_OK,
                             .credential = l->name,
                             .provider = l->provider->name,
                             .source = grant_flow_name(l->flow),
                             .peer = peer};
    if (!l->v->audit)
        return fail(why, ERR_LOCKED, "%s", l->v->state_why);
    return audit_append(l->v->audit, &r, pos, why);
}

err_t login_begin(struct vault *v, const struct login_ask *ask, struct login **out, struct why *why)
{
    static const enum login_state first[GRANT__COUNT] = {LOGIN_WAITING, LOGIN_WAITING,
                                                         LOGIN_STARTING, LOGIN_EXCHANGING};
    if (logins_pending(v) >= LOGINS_MAX)
        return fail(why, ERR_LIMIT, "%d logins are under way already; end one, or wait",
                    LOGINS_MAX);
    struct login *l = calloc(1, sizeof(*l));
    if (!l)
        return fail(why, ERR_INTERNAL, "out of memory");
    *l = (struct login){.v = v,
                        .flow = ask->flow,
                        .state = first[ask->flow],
                        .ceiling = ask->ceiling,
                        .replace = ask->replace,
                        .ends_ms = clock_boot_ms() + WAIT_MS};
    err_t e = find_provider(v, ask, l, why);
    if (e == ERR_OK)
        e = fill(l, ask, why);
    if (e == ERR_OK)
        e = record_begin(l, ask->peer, &l->pos, why);
    if (e != ERR_OK) {
        free_login(l);
        return e;
    }
    l->next = v->logins;
    v->logins = l;
    *out = l;
    return ERR_OK;
}

void login_start(struct login *l)
{
    if (l->flow == GRANT_DEVICE && l->state == LOGIN_STARTING)
        login_ask_device(l);
    else if (l->flow == GRANT_CLIENT && l->state == LOGIN_EXCHANGING)
        login_ask_client(l);
}

/* ---- what is brought */

static err_t check_state(struct login *l, struct view state, struct why *why)
{
    struct why own = {0};
    if (l->state != LOGIN_WAITING || l->flow == GRANT_DEVICE)
        return fail(why, ERR_CONFLICT,
                    has_ended(l) ? "this login has ended; begin again"
                                 : "this login waits for no code");
    if (state.n == PKCE_TEXT && equal_ct(state.p, l->csrf, PKCE_TEXT))
        return ERR_OK;
    err_t e = fail(why, ERR_AUTH,
                   "this code is of another login, or not all of it was pasted: paste it whole, "
                   "with the part behind #, or the whole address");
    if (++l->tries >= LOGIN_TRIES)
        login_end(l,
                  fail(&own, ERR_AUTH,
                       "%d codes of other logins came; begin again: broker-cli login %s",
                       LOGIN_TRIES, l->name),
                  &own);
    return e;
}

err_t login_take_code(struct login *l, struct view code, struct view state, struct why *why)
{
    TRY(check_state(l, state, why));
    if (!text_visible(code))
        return fail(why, ERR_INVALID, "a code is one word of visible characters");
    login_exchange(l, code);
    return ERR_OK;
}

err_t login_take_error(struct login *l, struct view error, struct view state, struct why *why)
{
    struct why own = {0};
    TRY(check_state(l, state, why));
    bool no = view_is(error, "access_denied");
    err_t e =
        fail(&own, ERR_DENIED,
             no ? "the login was declined in the browser (%.*s)"
                : "the provider did not give a code (%.*s); see that the entry in broker.yaml "
                  "is right",
             (int)error.n, (const char *)error.p);
    login_end(l, e, &own);
    return ERR_OK;
}

/* ---- what is seen */

static void write_device(const struct login *l, struct jsonw *w)
{
    jsonw_str(w, "user_code", l->user_code);
    jsonw_str(w, "verification_uri", l->verify_uri);
    jsonw_str(w, "verification_uri_complete", l->verify_full[0] ? l->verify_full : NULL);
    jsonw_int(w, "interval_ms", l->interval_ms);
}

static void write_url(const struct login *l, struct jsonw *w)
{
    AUTO(buf_free) struct buf url = {.max = 8192};
    struct oauth_client client;
    struct why why = {0};
    const struct grant_code g = {
        .redirect = l->redirect, .state = l->csrf, .challenge = view_str(l->challenge)};
    if (login_client(l, &client, &why) != ERR_OK || !client.authorize_url)
        return;
    grant_authorize_url(&client, &g, &url);
    jsonw_view(w, "authorize_url", buf_view(&url));
    jsonw_str(w, "redirect_uri", l->redirect);
    jsonw_str(w, "state", l->csrf);
}

void login_write(const struct login *l, bool first, struct jsonw *w)
{
    static const char *const word[] = {"starting", "waiting", "exchanging", "done", "failed"};
    int64_t left = l->ends_ms - clock_boot_ms();
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "id", l->id);
    jsonw_str(w, "name", l->name);
    jsonw_str(w, "provider", l->issuer[0] ? l->issuer : l->provider->name);
    jsonw_str(w, "flow", grant_flow_name(l->flow));
    jsonw_str(w, "status", word[l->state]);
    if (!has_ended(l))
        jsonw_int(w, "expires_in_ms", left > 0 ? left : 0);
    if (first && l->redirect[0])
        write_url(l, w);
    if (l->user_code[0])
        write_device(l, w);
    if (l->state == LOGIN_FAILED) {
        jsonw_str(w, "error", err_wire(l->e));
        jsonw_str(w, "message", l->why);
    }
    if (l->state == LOGIN_DONE) {
        jsonw_int(w, "version", (int64_t)l->version);
        jsonw_bool(w, "renewable", l->renewable);
    }
    jsonw_close(w, '}');
}
