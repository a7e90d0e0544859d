/*
 * Reads a token endpoint's answer (RFC 6749, sections 5.1 and 5.2) and a device endpoint's, with what the providers served here do
 * differently: Anthropic sends account and organization along, OpenAI says the end of its tokens only inside of them and its errors
 * as an object. The rules: a login is called dead only for a code that its provider's row lists, in an answer of the 400s; an
 * answer that is half good is none; error texts are never passed on (they echo refresh tokens), only codes that are words.
 */
#include "oauth/reply.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "provider/jwt.h"
#include "provider/oauth.h"
#include "provider/text.h"

#include <inttypes.h>
#include <string.h>

enum { TOKEN_MAX = 16384, SHORT_MAX = 256, CODE_MAX = 4096, VERIFIER_MAX = 256, MS = 1000 };
#define SECONDS_MAX  (INT64_C(10) * 366 * 24 * 3600)
#define INTERVAL_MAX INT64_C(600)

void reply_free(struct reply *r)
{
    buf_free(&r->login);
    buf_free(&r->device_code);
    buf_free(&r->code_granted);
    buf_free(&r->verifier);
}

/* ---- errors */

/* RFC 8628, section 3.5 */
static const struct {
    const char *code;
    enum oauth_verdict verdict;
} common[] = {
    {"authorization_pending", OAUTH_PENDING},
    {"slow_down", OAUTH_SLOW_DOWN},
    {"expired_token", OAUTH_REVOKED},
    {"access_denied", OAUTH_REVOKED},
    {"temporarily_unavailable", OAUTH_TRANSIENT},
};

static bool take_word(const json_t *v, char out[65])
{
    struct view s = VIEW(json_string_value(v), json_string_length(v));
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-')
            return false;
    }
    return s.n > 0 && view_copy(s, out, 65);
}

/* error.code, error.type, error, code: the first that is a word */
static void find_code(const json_t *root, char out[65])
{
    const json_t *error = json_object_get(root, "error");
    if (!take_word(json_object_get(error, "code"), out) &&
        !take_word(json_object_get(error, "type"), out) && !take_word(error, out))
        (void)take_word(json_object_get(root, "code"), out);
}

static enum oauth_verdict judge_code(const struct reply_ask *ask, const char *code)
{
    const struct provider_oauth *row = oauth_row(ask->provider);
    for (size_t i = 0; i < COUNT(common); i++)
        if (strcmp(common[i].code, code) == 0)
            return common[i].verdict;
    if (row && oauth_listed(row->rotated, view_str(code)))
        return OAUTH_ROTATED;
    return row && oauth_listed(row->final, view_str(code)) ? OAUTH_REVOKED : OAUTH_REFUSED;
}

static void read_error(const struct reply_ask *ask, struct reply *out)
{
    AUTO(auto_json) json_t *root = NULL;
    if (ask->poll && (ask->status == 403 || ask->status == 404)) {
        out->verdict = OAUTH_PENDING;
        return;
    }
    if (json_parse(ask->body, &root, NULL) == ERR_OK)
        find_code(root, out->code);
    bool later = ask->status >= 500 || ask->status == 429 || ask->status == 408;
    if (later)
        out->verdict = OAUTH_TRANSIENT;
    else if (ask->status >= 400)
        out->verdict = judge_code(ask, out->code);
    else
        out->verdict = OAUTH_GARBAGE; /* a redirect, or what is no status */
}

/* ---- tokens */

struct tokens { /* what the fields of `cred` look into */
    const struct reply_ask *ask;
    json_t *root, *access, *id;
    struct cred cred;
    char expires[24], refresh_expires[24], now[CLOCK_RFC3339_LEN + 1];
};

static void tokens_free(struct tokens *t)
{
    json_decref(t->root);
    json_decref(t->access);
    json_decref(t->id);
}

static bool take_token(struct tokens *t, const char *key, enum cred_field field)
{
    struct view v;
    if (json_get_str(t->root, key, TOKEN_MAX, false, &v, NULL) != ERR_OK ||
        (v.n && !text_visible(v)))
        return false;
    t->cred.f[field] = v;
    return true;
}

/* What is no secret and of no consequence: left out where it is not as it should be. */
static void take_text(struct tokens *t, const json_t *from, const char *key, enum cred_field field)
{
    struct view v;
    if (!cred_has(&t->cred, field) && json_is_object(from) &&
        json_get_str(from, key, SHORT_MAX, false, &v, NULL) == ERR_OK && text_line(v))
        t->cred.f[field] = v;
}

static void put_time(struct tokens *t, enum cred_field field, int64_t ms)
{
    char *text = field == CF_EXPIRES_AT ? t->expires : t->refresh_expires;
    int n = snprintf(text, sizeof(t->expires), "%" PRId64, ms);
    t->cred.f[field] = VIEW(text, (size_t)n);
}

static bool take_life(struct tokens *t, const char *key, enum cred_field field)
{
    int64_t seconds = 0;
    if (json_get_int(t->root, key, 1, SECONDS_MAX, &seconds, NULL) != ERR_OK)
        return false;
    if (seconds > 0)
        put_time(t, field, t->ask->at_ms + seconds * MS);
    return true;
}

/* The end of the access token: expires_in, else its own claim, else what is known of the provider. */
static bool take_end(struct tokens *t)
{
    const struct provider_oauth *row = oauth_row(t->ask->provider);
    int64_t end_s = 0;
    if (!take_life(t, "expires_in", CF_EXPIRES_AT))
        return false;
    if (cred_has(&t->cred, CF_EXPIRES_AT) || !cred_has(&t->cred, CF_ACCESS_TOKEN))
        return true;
    if (jwt_claims(t->cred.f[CF_ACCESS_TOKEN], "access_token", &t->access, NULL) == ERR_OK &&
        json_get_int(t->access, "exp", 1, TEXT_MILLIS_MAX / MS, &end_s, NULL) == ERR_OK &&
        end_s > 0)
        put_time(t, CF_EXPIRES_AT, end_s * MS);
    else if (row && row->life_s)
        put_time(t, CF_EXPIRES_AT, t->ask->at_ms + (int64_t)row->life_s * MS);
    return true;
}

/* An id_token that does not decode makes Codex refuse the whole file: better the old one. */
static void take_id_token(struct tokens *t)
{
    if (!cred_has(&t->cred, CF_ID_TOKEN))
        return;
    if (jwt_claims(t->cred.f[CF_ID_TOKEN], "id_token", &t->id, NULL) != ERR_OK)
        t->cred.f[CF_ID_TOKEN] = (struct view){0};
}

static void take_person(struct tokens *t)
{
    static const char space[] = "https://api.openai.com/auth";
    const json_t *account = json_object_get(t->root, "account");
    const json_t *of_access = json_object_get(t->access, space);
    const json_t *of_id = json_object_get(t->id, space);
    take_text(t, t->root, "scope", CF_SCOPES);
    take_text(t, account, "uuid", CF_ACCOUNT);
    take_text(t, account, "email_address", CF_EMAIL);
    take_text(t, json_object_get(t->root, "organization"), "uuid", CF_ORGANIZATION);
    take_text(t, of_access, "chatgpt_account_id", CF_ACCOUNT);
    take_text(t, of_id, "chatgpt_account_id", CF_ACCOUNT);
    take_text(t, of_access, "chatgpt_plan_type", CF_PLAN);
    take_text(t, of_id, "chatgpt_plan_type", CF_PLAN);
    take_text(t, t->id, "email", CF_EMAIL);
    if (cred_has(&t->cred, CF_ACCOUNT) && !text_visible(t->cred.f[CF_ACCOUNT]))
        t->cred.f[CF_ACCOUNT] = (struct view){0};
}

static bool take_tokens(struct tokens *t)
{
    if (json_parse(t->ask->body, &t->root, NULL) != ERR_OK || !json_is_object(t->root))
        return false;
    if (!take_token(t, "access_token", CF_ACCESS_TOKEN) ||
        !take_token(t, "refresh_token", CF_REFRESH_TOKEN) ||
        !take_token(t, "id_token", CF_ID_TOKEN) || !take_end(t) ||
        !take_life(t, "refresh_token_expires_in", CF_REFRESH_EXPIRES))
        return false;
    take_id_token(t);
    take_person(t);
    clock_rfc3339(t->ask->at_ms, t->now);
    t->cred.f[CF_LAST_REFRESH] = view_str(t->now);
    return cred_has(&t->cred, CF_ACCESS_TOKEN) || cred_has(&t->cred, CF_REFRESH_TOKEN) ||
           cred_has(&t->cred, CF_ID_TOKEN);
}

static void read_tokens(const struct reply_ask *ask, struct reply *out)
{
    AUTO(tokens_free) struct tokens t = {.ask = ask};
    out->login.max = CRED_MAX;
    if (take_tokens(&t) && cred_encode(&t.cred, &out->login, NULL) == ERR_OK && !out->login.bad)
        out->verdict = OAUTH_GRANTED;
}

/* ---- device codes */

static bool take_field(const json_t *root, const char *key, char *out, size_t room)
{
    struct view v;
    return json_get_str(root, key, room - 1, false, &v, NULL) == ERR_OK && v.n > 0 &&
           text_line(v) && view_copy(v, out, room);
}

/* A number, or (OpenAI) one as text. */
static bool take_interval(const json_t *root, int64_t *out)
{
    struct view text = {0};
    if (json_get_str(root, "interval", 4, false, &text, NULL) != ERR_OK)
        return json_get_int(root, "interval", 1, INTERVAL_MAX, out, NULL) == ERR_OK;
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        n = n * 10 + (text.p[i] - '0');
    }
    if (n > INTERVAL_MAX)
        return false;
    *out = n > 0 ? n : *out;
    return true;
}

static bool take_code(const json_t *root, const char *key, size_t max, struct buf *out)
{
    struct view code = {0};
    if (json_get_str(root, key, max, true, &code, NULL) != ERR_OK || !text_visible(code))
        return false;
    buf_add_view(out, code);
    return !out->bad;
}

static void read_poll(const struct reply_ask *ask, struct reply *out)
{
    AUTO(auto_json) json_t *root = NULL;
    if (json_parse(ask->body, &root, NULL) == ERR_OK && json_is_object(root) &&
        take_code(root, "authorization_code", CODE_MAX, &out->code_granted) &&
        take_code(root, "code_verifier", VERIFIER_MAX, &out->verifier))
        out->verdict = OAUTH_GRANTED;
}

static void read_device(const struct reply_ask *ask, struct reply *out)
{
    const struct provider_oauth *row = oauth_row(ask->provider);
    AUTO(auto_json) json_t *root = NULL;
    int64_t life_s = 900, interval_s = 5;
    bool own = row && row->device_poll;
    if (json_parse(ask->body, &root, NULL) != ERR_OK || !json_is_object(root) ||
        !take_code(root, own ? "device_auth_id" : "device_code", 2048, &out->device_code) ||
        json_get_int(root, "expires_in", 1, SECONDS_MAX, &life_s, NULL) != ERR_OK ||
        !take_interval(root, &interval_s))
        return;
    if (!take_field(root, "user_code", out->user_code, sizeof(out->user_code)) && own)
        (void)take_field(root, "usercode", out->user_code, sizeof(out->user_code));
    if (own)
        (void)view_copy(view_str(row->device_page), out->verify_uri, sizeof(out->verify_uri));
    else if (!take_field(root, "verification_uri", out->verify_uri, sizeof(out->verify_uri)))
        (void)take_field(root, "verification_url", out->verify_uri, sizeof(out->verify_uri));
    if (!take_field(root, "verification_uri_complete", out->verify_full, sizeof(out->verify_full)))
        out->verify_full[0] = '\0';
    if (!out->verify_uri[0] || !out->user_code[0])
        return;
    out->interval_ms = interval_s * MS;
    out->expires_ms = ask->at_ms + life_s * MS;
    out->verdict = OAUTH_GRANTED;
}

void reply_parse(const struct reply_ask *ask, struct reply *out)
{
    *out = (struct reply){.verdict = OAUTH_GARBAGE};
    if (ask->status != 200)
        read_error(ask, out);
    else if (ask->device)
        read_device(ask, out);
    else if (ask->poll)
        read_poll(ask, out);
    else
        read_tokens(ask, out);
    if (out->verdict != OAUTH_GRANTED)
        reply_free(out); /* half an answer is none */
}
