/*
 * broker-cli enroll --from-home: the login that a program keeps in its own file changes hands. The order, under the program's own locks:
 * - 1 read it, say what will be done, ask
 * - 2 seal it, held: from here on it is in two places, and only the program can renew it
 * - 3 a consumer and a grant, so that the file can be kept fresh
 * - 4 replace the file by one without the refresh token, in one step: now it is in one
 * - 5 the broker lets it go, and is its owner
 * Killed between 2 and 5, the next run finds the same login held (its access token ends at the same instant), or a file that is without it, and
 * goes on. A login that is enrolled and is not the same one is never touched without --replace.
 */
#include "cli/transfer.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/ask.h"
#include "cli/home_file.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct taking {
    const struct transfer *t;
    struct home_file file;
    struct buf text;
    enum home_state state;
    int64_t expires;
    const char *consumer;
    char room[HOME_CONSUMER_ROOM];
    bool enrolled, same, held; /* something of that name; it is this login; it is not used */
};

static void taking_free(struct taking *k)
{
    home_file_close(&k->file);
    buf_free(&k->text);
}

static bool quiet(const struct taking *k)
{
    return k->t->common->json;
}

/* ---- 1: what is there */

static MUST err_t look_at_broker(struct taking *k, struct why *why)
{
    AUTO(auto_json) json_t *there = NULL;
    AUTO(buf_free) struct buf path = {0};
    buf_add_str(&path, "/v1/credentials/");
    TRY(path_add(&path, k->t->name, "credential name", why));
    err_t e = admin_get(k->t->common, buf_text(&path), &there, why);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    k->enrolled = true;
    if (!text_is(there, "provider", k->t->program))
        return fail(why, ERR_EXISTS, "\"%s\" is a %s credential: choose another name", k->t->name,
                    text_of(there, "provider"));
    k->same = int_of(there, "expires_at_ms") == k->expires;
    k->held = text_is(there, "state", "held");
    return ERR_OK;
}

static MUST err_t read_file(struct taking *k, struct why *why)
{
    buf_reset(&k->text);
    TRY(home_file_read(&k->file, &k->text, why));
    k->state = home_state(k->file.form, buf_view(&k->text));
    k->expires = home_expires(k->file.form, buf_view(&k->text));
    if (k->state == HOME_FOREIGN)
        return fail(why, ERR_INVALID, "%.180s cannot be read as a login of %s", k->file.path,
                    k->t->program);
    if (k->state == HOME_NOTHING)
        return fail(why, ERR_NOT_FOUND, "%s is logged out: there is no login in %.180s",
                    k->t->program, k->file.path);
    return ERR_OK;
}

static MUST err_t may_take(const struct taking *k, struct why *why)
{
    if (k->state == HOME_PROJECTED && k->enrolled)
        return ERR_OK;
    if (k->state == HOME_PROJECTED)
        return fail(why, ERR_NOT_FOUND,
                    "%.150s holds no refresh token: there is nothing to take over", k->file.path);
    if (k->enrolled && !k->same && !k->t->replace)
        return fail(
            why, ERR_EXISTS,
            "\"%s\" is enrolled, and the login in the file is another one, or a newer: to put "
            "it in its place say --replace, else choose another name",
            k->t->name);
    return ERR_OK;
}

static MUST err_t ask(const struct taking *k, struct why *why)
{
    if (k->state == HOME_PROJECTED)
        return ERR_OK;
    if (!quiet(k)) {
        (void)fprintf(stderr, "The login of %s in %s\n", k->t->program, k->file.path);
        if (k->t->copy)
            (void)fprintf(stderr,
                          "  is sealed by the broker as \"%s\", and the file stays as it is.\n"
                          "warning: two owners of one login log each other out at the next "
                          "renewal: refresh tokens are for one use.\n",
                          k->t->name);
        else
            (void)fprintf(stderr,
                          "  is sealed by the broker as \"%s\",\n"
                          "  consumer \"%s\" may have a file of it (without the refresh token),\n"
                          "  and the file keeps only the short-lived access token: what else is in "
                          "it stays.\n"
                          "Back goes it with: broker-cli release %s\n",
                          k->t->name, k->consumer, k->t->name);
    }
    return ask_yes(k->t->yes, k->t->copy ? "Copy it?" : "Take it over?", why);
}

/* ---- 2 and 3: the broker */

static MUST err_t seal(struct taking *k, struct why *why)
{
    AUTO(buf_free) struct buf body = {0}, b64 = {0}, path = {0}, answer = {0};
    if (k->same)
        return ERR_OK;
    base64url_encode(buf_view(&k->text), &b64);
    struct jsonw w = jsonw_to(&body);
    jsonw_open(&w, NULL, '{');
    if (!k->enrolled)
        jsonw_str(&w, "name", k->t->name);
    jsonw_str(&w, "provider", k->t->program);
    jsonw_bool(&w, "hold", !k->t->copy);
    jsonw_view(&w, "data_base64", buf_view(&b64));
    jsonw_close(&w, '}');
    buf_add_str(&path, "/v1/credentials");
    if (k->enrolled)
        buf_add_fmt(&path, "/%s", k->t->name);
    TRY(admin_call(k->t->common, k->enrolled ? "PUT" : "POST", buf_text(&path), &body, &answer,
                   why));
    k->held = !k->t->copy;
    return ERR_OK;
}

static MUST err_t add_consumer(const struct taking *k, struct why *why)
{
    AUTO(buf_free) struct buf body = {0}, answer = {0}, path = {0};
    AUTO(auto_json) json_t *there = NULL;
    buf_add_str(&path, "/v1/consumers/");
    TRY(path_add(&path, k->consumer, "consumer name", why));
    err_t e = admin_get(k->t->common, buf_text(&path), &there, why);
    if (e != ERR_NOT_FOUND)
        return e;
    struct jsonw w = jsonw_to(&body);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "name", k->consumer);
    jsonw_open(&w, "uids", '[');
    jsonw_int(&w, NULL, (int64_t)k->file.owner);
    jsonw_close(&w, ']');
    jsonw_str(&w, "note", "keeps login files in a home fresh");
    jsonw_close(&w, '}');
    return admin_call(k->t->common, "POST", "/v1/consumers", &body, &answer, why);
}

static MUST err_t add_grant(const struct taking *k, struct why *why)
{
    AUTO(buf_free) struct buf body = {0}, path = {0}, answer = {0};
    struct jsonw w = jsonw_to(&body);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "credential", k->t->name);
    jsonw_open(&w, "deliver", '[');
    jsonw_str(&w, NULL, "file");
    jsonw_close(&w, ']');
    jsonw_close(&w, '}');
    buf_add_str(&path, "/v1/consumers/");
    TRY(path_add(&path, k->consumer, "consumer name", why));
    buf_add_str(&path, "/grants");
    return admin_call(k->t->common, "POST", buf_text(&path), &body, &answer, why);
}

/* ---- 4 and 5 */

static MUST err_t strip(struct taking *k, struct why *why)
{
    if (k->state != HOME_LOGIN)
        return ERR_OK;
    TRY(home_strip(k->file.form, &k->text, clock_wall_ms(), why));
    return home_file_write(&k->file, buf_view(&k->text), why);
}

static MUST err_t let_go(const struct taking *k, struct why *why)
{
    AUTO(buf_free) struct buf path = {0}, answer = {0};
    if (!k->held)
        return ERR_OK;
    buf_add_fmt(&path, "/v1/credentials/%s/release", k->t->name); /* path_add() has seen it */
    return admin_call(k->t->common, "DELETE", buf_text(&path), NULL, &answer, why);
}

static void say_done(const struct taking *k)
{
    if (quiet(k)) {
        AUTO(buf_free) struct buf out = {0};
        struct why unheard = {0};
        struct jsonw w = jsonw_to(&out);
        jsonw_open(&w, NULL, '{');
        jsonw_str(&w, "name", k->t->name);
        jsonw_str(&w, "file", k->file.path);
        jsonw_bool(&w, "copy", k->t->copy);
        jsonw_str(&w, "consumer", k->t->copy ? NULL : k->consumer);
        jsonw_close(&w, '}');
        buf_add_str(&out, "\n");
        (void)!verb_write(&out, &unheard);
        return;
    }
    (void)printf("%s: %s.\n", k->t->name,
                 k->t->copy                   ? "copied, sealed"
                 : k->state == HOME_PROJECTED ? "taken over already"
                                              : "taken over, sealed");
    if (!k->t->copy)
        (void)printf(
            "Keep the file fresh with: broker-cli keep %s   (or: systemctl --user enable --now "
            "credential-broker-keep@%s)\n",
            k->t->name, k->t->name);
}

static MUST err_t under_lock(struct taking *k, struct why *why)
{
    TRY(home_file_lock(&k->file, why));
    TRY(read_file(k, why)); /* it may have been renewed while the question was open */
    k->enrolled = k->same = k->held = false;
    TRY(look_at_broker(k, why));
    TRY(may_take(k, why));
    if (k->state == HOME_LOGIN)
        TRY(seal(k, why));
    if (k->t->copy)
        return ERR_OK;
    TRY(add_consumer(k, why));
    TRY(add_grant(k, why));
    TRY(strip(k, why));
    return let_go(k, why);
}

err_t transfer_take(const struct transfer *t, struct why *why)
{
    AUTO(taking_free) struct taking k = {.t = t, .text.max = HOME_FILE_MAX + 4096};
    const struct home_form *form = home_form(t->program);
    if (!form)
        return fail(why, ERR_USAGE, "--from-home takes claude or codex, not \"%.32s\"", t->program);
    TRY(home_file_open(form, t->home, &k.file, why));
    k.consumer = home_file_consumer(&k.file, t->consumer, k.room);
    TRY(read_file(&k, why));
    TRY(look_at_broker(&k, why));
    TRY(may_take(&k, why));
    TRY(ask(&k, why));
    TRY(under_lock(&k, why));
    say_done(&k);
    return ERR_OK;
}
