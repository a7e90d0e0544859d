/*
 * The table of login files, and the four things that are done with one. The tokens in a file belong to whoever owns the login, and are replaced;
 * the rest (scopes, plan, other programs' logins) belongs to the program that wrote it, and is only filled in where it is missing.
 */
#include "cli/home.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "cli/json_edit.h"

#include <stdio.h>
#include <string.h>

enum form { TEXT, NUMBER, WORDS };
struct home_member {
    const char *key; /* NULL ends a list */
    enum cred_field field;
    enum form form;
    bool token; /* belongs to the owner of the login */
};

static const struct home_member claude_inner[] = {
    {"accessToken", CF_ACCESS_TOKEN, TEXT, true},
    {"refreshToken", CF_REFRESH_TOKEN, TEXT, true},
    {"expiresAt", CF_EXPIRES_AT, NUMBER, true},
    {"refreshTokenExpiresAt", CF_REFRESH_EXPIRES, NUMBER, true},
    {"scopes", CF_SCOPES, WORDS, false},
    {"subscriptionType", CF_PLAN, TEXT, false},
    {"rateLimitTier", CF_TIER, TEXT, false},
    {.key = NULL},
};
static const struct home_member codex_inner[] = {
    {"id_token", CF_ID_TOKEN, TEXT, true},
    {"access_token", CF_ACCESS_TOKEN, TEXT, true},
    {"refresh_token", CF_REFRESH_TOKEN, TEXT, true},
    {"account_id", CF_ACCOUNT, TEXT, false},
    {.key = NULL},
};
static const struct home_member codex_top[] = {
    {"auth_mode", CF_AUTH_MODE, TEXT, false},
    {"last_refresh", CF_LAST_REFRESH, TEXT, true},
    {.key = NULL},
};
static const struct home_member none[] = {{.key = NULL}};

static const struct home_form forms[] = {
    {"claude", "CLAUDE_CONFIG_DIR", "claudeAiOauth", "refreshToken", "null", claude_inner, none,
     NULL},
    {"codex", "CODEX_HOME", "tokens", "refresh_token", "\"\"", codex_inner, codex_top,
     "OPENAI_API_KEY"},
    {.name = NULL},
};

const struct home_form *home_forms(void)
{
    return forms;
}

const struct home_form *home_form(const char *name)
{
    for (const struct home_form *f = forms; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

/* ---- looking */

static bool is_text(struct view v)
{
    return v.n > 2 && v.p[0] == '"';
}

static bool has_text(const struct home_form *f, struct view text, const char *key)
{
    struct view v;
    return json_edit_find(text, f->object, key, &v) && is_text(v);
}

static const char *access_key(const struct home_form *f)
{
    const struct home_member *m = f->inner;
    while (m->field != CF_ACCESS_TOKEN)
        m++;
    return m->key;
}

static bool only_space(struct view text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ' ' && text.p[i] != '\n' && text.p[i] != '\r' && text.p[i] != '\t')
            return false;
    return true;
}

enum home_state home_state(const struct home_form *f, struct view text)
{
    struct view v;
    if (only_space(text))
        return HOME_NOTHING;
    if (json_edit_find(text, NULL, f->object, &v) && !view_is(v, "null") && v.p[0] != '{')
        return HOME_FOREIGN;
    if (has_text(f, text, f->refresh))
        return HOME_LOGIN;
    if (has_text(f, text, access_key(f)))
        return HOME_PROJECTED;
    AUTO(buf_free) struct buf copy = {.max = HOME_FILE_MAX};
    struct why why = {0};
    buf_add_view(&copy, text); /* an object at all? */
    return json_edit_set(&copy, NULL, "x", view_str("0"), &why) == ERR_OK ? HOME_NOTHING
                                                                          : HOME_FOREIGN;
}

int64_t home_expires(const struct home_form *f, struct view text)
{
    AUTO(buf_free) struct buf canonical = {0};
    const struct provider_options none_given = {0};
    struct why why = {0};
    struct cred c;
    const struct provider *p = provider_by_name(view_str(f->name));
    if (p->parse(text, &none_given, &canonical, &why) != ERR_OK ||
        cred_decode(buf_view(&canonical), &c, &why) != ERR_OK)
        return 0;
    return cred_ms(&c, CF_EXPIRES_AT);
}

/* ---- changing */

static MUST err_t set_now(const struct home_form *f, struct buf *text, int64_t now_ms,
                          struct why *why)
{
    char now[CLOCK_RFC3339_LEN + 1], quoted[CLOCK_RFC3339_LEN + 3];
    clock_rfc3339(now_ms, now);
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", now);
    for (const struct home_member *m = f->top; m->key; m++)
        if (m->field == CF_LAST_REFRESH)
            TRY(json_edit_set(text, NULL, m->key, view_str(quoted), why));
    return ERR_OK;
}

/* No refresh token, and no end of one. */
static MUST err_t strip_refresh(const struct home_form *f, struct buf *text, struct why *why)
{
    struct view v;
    TRY(json_edit_set(text, f->object, f->refresh, view_str(f->stub), why));
    for (const struct home_member *m = f->inner; m->key; m++)
        if (m->field == CF_REFRESH_EXPIRES && json_edit_find(buf_view(text), f->object, m->key, &v))
            TRY(json_edit_set(text, f->object, m->key, view_str("null"), why));
    return ERR_OK;
}

err_t home_strip(const struct home_form *f, struct buf *text, int64_t now_ms, struct why *why)
{
    TRY(strip_refresh(f, text, why));
    return set_now(f, text, now_ms, why); /* one that is old is renewed at once, in vain */
}

static MUST err_t merge_list(const struct home_member *m, const char *object, struct buf *text,
                             struct view projected, struct why *why)
{
    struct view v, there;
    for (; m->key; m++) {
        if (!json_edit_find(projected, object, m->key, &v) || m->field == CF_REFRESH_TOKEN)
            continue;
        if (m->token || !json_edit_find(buf_view(text), object, m->key, &there))
            TRY(json_edit_set(text, object, m->key, v, why));
    }
    return ERR_OK;
}

err_t home_merge(const struct home_form *f, struct buf *text, struct view projected,
                 struct why *why)
{
    struct view v;
    TRY(merge_list(f->inner, f->object, text, projected, why));
    TRY(merge_list(f->top, NULL, text, projected, why));
    if (f->null_member && !json_edit_find(buf_view(text), NULL, f->null_member, &v))
        TRY(json_edit_set(text, NULL, f->null_member, view_str("null"), why));
    return strip_refresh(f, text, why);
}

static void print_words(struct jsonw *w, struct view words)
{
    jsonw_open(w, NULL, '[');
    while (words.n) {
        const uint8_t *space = memchr(words.p, ' ', words.n);
        size_t n = space ? (size_t)(space - words.p) : words.n;
        jsonw_view(w, NULL, VIEW(words.p, n));
        words = space ? VIEW(space + 1, words.n - n - 1) : VIEW(NULL, 0);
    }
    jsonw_close(w, ']');
}

static void print_value(const struct home_member *m, const struct cred *c, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    if (m->form == TEXT)
        jsonw_view(&w, NULL, c->f[m->field]);
    else if (m->form == NUMBER)
        buf_add_view(out, c->f[m->field]); /* decimal digits: cred_decode has seen to it */
    else
        print_words(&w, c->f[m->field]);
}

static MUST err_t restore_list(const struct home_member *m, const char *object, struct buf *text,
                               const struct cred *c, struct why *why)
{
    struct view there;
    for (; m->key; m++) {
        AUTO(buf_free) struct buf value = {0};
        bool is_there = json_edit_find(buf_view(text), object, m->key, &there);
        if (!cred_has(c, m->field) || (is_there && !m->token && !view_is(there, "null")))
            continue;
        print_value(m, c, &value);
        TRY(buf_ok(&value, why));
        TRY(json_edit_set(text, object, m->key, buf_view(&value), why));
    }
    return ERR_OK;
}

err_t home_restore(const struct home_form *f, struct buf *text, const struct cred *c,
                   struct why *why)
{
    struct view there;
    if (only_space(buf_view(text))) {
        buf_reset(text);
        buf_add_view(text, cred_has(c, CF_REST) ? c->f[CF_REST] : view_str("{}"));
    }
    TRY(restore_list(f->top, NULL, text, c, why));
    TRY(restore_list(f->inner, f->object, text, c, why));
    if (f->null_member && !json_edit_find(buf_view(text), NULL, f->null_member, &there))
        TRY(json_edit_set(text, NULL, f->null_member, view_str("null"), why));
    return ERR_OK;
}
