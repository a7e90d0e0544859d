/*
 * The requests of a login, and what their answers mean for it. The order at the end is the security argument: the new credential is
 * validated, then recorded, then sealed and committed; only then is the login called done. An answer is not kept as it came, as a refresh's is:
 * what a crash loses here is a login that a person can make again.
 */
#include "vault/login_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "provider/text.h"
#include "vault/deliver.h"
#include "vault/refresh.h"
#include "vault/unlock.h"

#include <string.h>

enum { SLOWER_MS = 5000, SILENT_MAX = 4 };

static struct view view_of(const struct secret *s)
{
    return s ? VIEW(secret_bytes(s), secret_len(s)) : VIEW(NULL, 0);
}

/* ---- the credential */

static struct audit_record record_of(const struct login *l, err_t e)
{
    return (struct audit_record){.event = l->replace ? AUDIT_CRED_REPLACE : AUDIT_CRED_ENROLL,
                                 .outcome = e,
                                 .credential = l->name,
                                 .provider = l->provider->name,
                                 .source = "login"};
}

static err_t record_put(const struct login *l, struct why *why)
{
    const struct audit_record r = record_of(l, ERR_OK);
    return server_record(l->v, &r, NULL, why);
}

static err_t put(struct login *l, struct view canonical, const struct credential **out,
                 struct why *why)
{
    struct vault *v = l->v;
    const struct credential_put how = {.name = view_str(l->name),
                                       .provider = view_str(l->provider->name),
                                       .canonical = canonical,
                                       .ceiling = l->ceiling,
                                       .replace = l->replace,
                                       .now_ms = clock_wall_ms()};
    if (!v->credentials)
        return fail(why, ERR_LOCKED, "%s", v->state_why);
    TRY(record_put(l, why));
    err_t e = credential_put(v->credentials, &how, out, why);
    if (e != ERR_OK) {
        const struct audit_record r = record_of(l, e);
        v->swept = false; /* its record may be left */
        server_note(v, &r);
        return e;
    }
    unlock_note_commit(v);
    refresh_note_change(v, l->name);
    if (l->replace) {
        route_end_credential(v, l->name);
        deliver_refresh(v, l->name);
    }
    return ERR_OK;
}

static err_t commit(struct login *l, const struct cred *answer, struct why *why)
{
    AUTO(buf_free) struct buf canonical = {.max = CRED_MAX};
    struct oauth_client client;
    struct cred cred;
    const struct credential *c = NULL;
    const struct grant_with with = {.issuer = view_str(l->issuer),
                                    .client_secret = view_of(l->client_secret),
                                    .origin = view_str(l->origin),
                                    .header = view_str(l->header),
                                    .env = view_str(l->env)};
    TRY(login_client(l, &client, why));
    grant_login(&client, answer, &with, &cred);
    TRY(l->provider->validate(&cred, why));
    TRY(cred_encode(&cred, &canonical, why));
    TRY(put(l, buf_view(&canonical), &c, why));
    l->version = c->version;
    l->renewable = oauth_can_refresh(l->provider, &cred);
    return ERR_OK;
}

/* ---- what an answer means */

static err_t refused(const struct login *l, const struct oauth_outcome *o, struct why *why)
{
    const char *code = o->code[0] ? o->code : "no reason given";
    if (strcmp(code, "access_denied") == 0)
        return fail(why, ERR_DENIED, "the login was declined in the browser (access_denied)");
    if (strcmp(code, "expired_token") == 0)
        return fail(why, ERR_TIMEOUT, "the code has expired; begin again: broker-cli login %s",
                    l->name);
    if (o->verdict == OAUTH_TRANSIENT)
        return fail(why, ERR_UNAVAILABLE,
                    "the provider is busy (HTTP %u); begin again in a while: broker-cli login %s",
                    o->status, l->name);
    if (o->verdict == OAUTH_GARBAGE)
        return fail(why, ERR_UNAVAILABLE,
                    "the provider's answer (HTTP %u) is none that is understood; its endpoints "
                    "stand in broker.yaml, providers:",
                    o->status);
    if (strcmp(code, "invalid_client") == 0 || strcmp(code, "unauthorized_client") == 0)
        return fail(why, ERR_DENIED,
                    "the provider does not take this client (%s): see client_id in broker.yaml, "
                    "and the client's secret",
                    code);
    return fail(why, ERR_DENIED,
                "the provider refused (%s, HTTP %u): codes are good once and for a few minutes; "
                "begin again: broker-cli login %s",
                code, o->status, l->name);
}

/* ERR_OK: there is an answer, and it is a grant. */
static err_t granted(const struct login *l, const struct oauth_outcome *o, const struct why *reason,
                     struct why *why)
{
    if (o->e != ERR_OK)
        return fail(why, o->e, "%.160s; begin again: broker-cli login %s", reason->text, l->name);
    return o->verdict == OAUTH_GRANTED ? ERR_OK : refused(l, o, why);
}

static void on_tokens(void *ctx, const struct oauth_outcome *o, const struct why *reason)
{
    struct login *l = ctx;
    struct why why = {0};
    err_t e = granted(l, o, reason, &why);
    if (e == ERR_OK)
        e = commit(l, &o->login, &why);
    login_end(l, e, &why);
}

/* ---- requests */

static void ask(struct login *l, struct oauthcall *call, const struct oauth_client *client,
                struct buf *pairs)
{
    struct why why = {0};
    call->client = client;
    call->pairs = buf_view(pairs);
    call->ctx = l;
    err_t e = buf_ok(pairs, &why);
    if (e != ERR_OK)
        login_end(l, e, &why);
    else
        oauthcall_start(l->v, call);
}

void login_exchange(struct login *l, struct view code)
{
    AUTO(buf_free) struct buf pairs = {.max = 16384};
    struct oauth_client client;
    struct why why = {0};
    const struct grant_code g = {.redirect = l->redirect,
                                 .state = l->csrf,
                                 .code = code,
                                 .verifier = view_of(l->verifier),
                                 .client_secret = view_of(l->client_secret)};
    err_t e = login_client(l, &client, &why);
    if (e != ERR_OK) {
        login_end(l, e, &why);
        return;
    }
    l->state = LOGIN_EXCHANGING;
    grant_code_pairs(&client, &g, &pairs);
    client.form = client.code_form;
    ask(l, &(struct oauthcall){.done = on_tokens}, &client, &pairs);
}

void login_ask_client(struct login *l)
{
    AUTO(buf_free) struct buf pairs = {.max = 16384};
    struct oauth_client client;
    struct why why = {0};
    err_t e = login_client(l, &client, &why);
    if (e != ERR_OK) {
        login_end(l, e, &why);
        return;
    }
    grant_client_pairs(&client, view_of(l->client_secret), &pairs);
    ask(l, &(struct oauthcall){.done = on_tokens}, &client, &pairs);
}

/* ---- the device grant (RFC 8628) */

static err_t take_device(struct login *l, const struct oauth_outcome *o, struct why *why)
{
    int64_t left = o->expires_ms - clock_wall_ms();
    l->device_code = secret_from(o->device_code.p, o->device_code.n);
    if (!l->device_code)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    if (!view_copy(o->user_code, l->user_code, sizeof(l->user_code)) ||
        !view_copy(o->verify_uri, l->verify_uri, sizeof(l->verify_uri)) ||
        !view_copy(o->verify_full, l->verify_full, sizeof(l->verify_full)))
        return fail(why, ERR_UNAVAILABLE, "the provider's answer is too long");
    int64_t ends = clock_boot_ms() + (left > 0 ? left : 0);
    l->ends_ms = ends < l->ends_ms ? ends : l->ends_ms;
    l->interval_ms = o->interval_ms;
    l->ask_at_ms = clock_boot_ms() + l->interval_ms;
    l->state = LOGIN_WAITING;
    return ERR_OK;
}

static void on_device(void *ctx, const struct oauth_outcome *o, const struct why *reason)
{
    struct login *l = ctx;
    struct why why = {0};
    err_t e = granted(l, o, reason, &why);
    if (e == ERR_OK)
        e = take_device(l, o, &why);
    if (e != ERR_OK)
        login_end(l, e, &why);
}

void login_ask_device(struct login *l)
{
    AUTO(buf_free) struct buf pairs = {.max = 16384};
    struct oauth_client client;
    struct why why = {0};
    err_t e = login_client(l, &client, &why);
    if (e != ERR_OK) {
        login_end(l, e, &why);
        return;
    }
    grant_device_pairs(&client, view_of(l->client_secret), &pairs);
    ask(l, &(struct oauthcall){.done = on_device, .device = true, .url = client.device_url},
        &client, &pairs);
}

/* Section 3.5: as asked; slower where that is said; and slower by itself where there is no answer. */
static bool goes_on(struct login *l, const struct oauth_outcome *o)
{
    bool silent = o->e != ERR_OK || o->verdict == OAUTH_TRANSIENT;
    if (!silent && o->verdict != OAUTH_PENDING && o->verdict != OAUTH_SLOW_DOWN)
        return false;
    l->silent = silent ? l->silent + (l->silent < SILENT_MAX) : 0;
    l->interval_ms += o->e == ERR_OK && o->verdict == OAUTH_SLOW_DOWN ? SLOWER_MS : 0;
    l->ask_at_ms = clock_boot_ms() + (l->interval_ms << l->silent);
    return true;
}

/* The person has agreed, and the provider gives a code with a verifier of its own. */
static err_t take_handover(struct login *l, const struct oauth_outcome *o,
                           const struct oauth_client *client, struct why *why)
{
    secret_free(TAKE(l->verifier));
    l->verifier = o->verifier.n ? secret_from(o->verifier.p, o->verifier.n) : NULL;
    if (!l->verifier || !view_copy(view_str(client->row->device_redirect), l->redirect, GRANT_URI))
        return fail(why, ERR_UNAVAILABLE,
                    "the provider's answer has no code, or no memory is left");
    login_exchange(l, o->auth_code);
    return ERR_OK;
}

static void on_poll(void *ctx, const struct oauth_outcome *o, const struct why *reason)
{
    struct login *l = ctx;
    struct oauth_client client;
    struct why why = {0};
    if (goes_on(l, o))
        return;
    err_t e = granted(l, o, reason, &why);
    if (e == ERR_OK)
        e = login_client(l, &client, &why);
    bool handover = e == ERR_OK && client.row->device_poll;
    if (handover)
        e = take_handover(l, o, &client, &why);
    else if (e == ERR_OK)
        e = commit(l, &o->login, &why);
    if (e != ERR_OK || !handover)
        login_end(l, e, &why);
}

void login_poll(struct login *l)
{
    AUTO(buf_free) struct buf pairs = {.max = 16384};
    struct oauth_client client;
    struct why why = {0};
    char url[GRANT_URI];
    const struct grant_device d = {.device_code = view_of(l->device_code),
                                   .user_code = view_str(l->user_code),
                                   .client_secret = view_of(l->client_secret)};
    err_t e = login_client(l, &client, &why);
    if (e == ERR_OK)
        e = grant_poll_url(&client, url, &why);
    if (e != ERR_OK) {
        login_end(l, e, &why);
        return;
    }
    l->ask_at_ms = 0;
    grant_poll_pairs(&client, &d, &pairs);
    ask(l,
        &(struct oauthcall){.done = on_poll, .poll = client.row->device_poll != NULL, .url = url},
        &client, &pairs);
}
