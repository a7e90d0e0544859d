/*
 * broker-cli release: a login goes back into its program's file, and the broker is without it. The order, under the program's own locks:
 * - 1 look at the file: a login of its own in it is never overwritten
 * - 2 the broker ends its leases, holds it, and answers with it
 * - 3 it is written into the file, in one step: what else the file holds stays
 * - 4 the broker removes it
 * Cut between 3 and 4, the next run finds in the file the very login that is held, and goes on at 4.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "cli/ask.h"
#include "cli/home_file.h"
#include "client/json.h"

#include <inttypes.h>
#include <string.h>

struct release_options {
    struct verb_common common;
    const char *home, *consumer;
    bool yes;
};
static const struct option_row rows[] = {
    {"home", OPTION_TEXT, offsetof(struct release_options, home), "DIR",
     "the home that the program's directory is in"},
    {"consumer", OPTION_TEXT, offsetof(struct release_options, consumer), "NAME",
     "that kept the file fresh; home-UID when not given"},
    {"yes", OPTION_FLAG, offsetof(struct release_options, yes), NULL, "do not ask"},
    VERB_ROWS(struct release_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

struct giving {
    const struct release_options *o;
    const char *name;
    struct home_file file;
    struct buf text, answer, values; /* values: the fields, unescaped */
    struct cred cred;
    int64_t version;
};

static void giving_free(struct giving *g)
{
    home_file_close(&g->file);
    buf_free(&g->text);
    buf_free(&g->answer);
    buf_free(&g->values);
}

static MUST err_t path_to(const struct giving *g, const char *rest, struct buf *path,
                          struct why *why)
{
    buf_add_str(path, "/v1/credentials/");
    TRY(path_add(path, g->name, "credential name", why));
    buf_add_str(path, rest);
    return buf_ok(path, why);
}

/* ---- 1 */

static MUST err_t find_form(struct giving *g, const struct home_form **form, struct why *why)
{
    AUTO(auto_json) json_t *there = NULL;
    AUTO(buf_free) struct buf path = {0};
    TRY(path_to(g, "", &path, why));
    err_t e = admin_get(&g->o->common, buf_text(&path), &there, why);
    if (e == ERR_NOT_FOUND) /* a run that was cut at its very end */
        for (const struct home_form *f = home_forms(); f->name; f++)
            home_file_tidy(f, g->o->home);
    TRY(e);
    *form = home_form(text_of(there, "provider"));
    if (!*form || !text_is(there, "kind", "login"))
        return fail(why, ERR_CONFLICT,
                    "\"%s\" is no login that came from a program's own file: broker-cli remove %s "
                    "forgets it",
                    g->name, g->name);
    return ERR_OK;
}

static MUST err_t ask(const struct giving *g, struct why *why)
{
    char question[160];
    if (!g->o->common.json)
        (void)fprintf(stderr,
                      "The login \"%s\" goes back into %s, whole; its leases end now,\n"
                      "and the broker forgets it.\n",
                      g->name, g->file.path);
    (void)snprintf(question, sizeof(question), "Give \"%.64s\" back?", g->name);
    return ask_yes(g->o->yes, question, why);
}

/* ---- 2 */

/* Fields point into g->values, whose room is made at once and does not move. */
static MUST err_t take_fields(struct giving *g, struct json_slice fields, struct why *why)
{
    struct json_slice value;
    if (!buf_reserve(&g->values, g->answer.len + CF__COUNT))
        return fail(why, ERR_INTERNAL, "out of memory");
    for (unsigned f = 1; f < CF__COUNT; f++) {
        size_t n = 0;
        char *room = (char *)g->values.p + g->values.len;
        if (!json_member(fields, cred_field_name((enum cred_field)f), &value))
            continue;
        if (!json_text(value, room, g->values.cap - g->values.len, &n))
            return fail(why, ERR_INVALID, "the broker's answer cannot be read");
        g->cred.f[f] = VIEW(room, n);
        g->values.len += n + 1;
    }
    return cred_has(&g->cred, CF_ACCESS_TOKEN)
               ? ERR_OK
               : fail(why, ERR_INVALID, "the broker's answer has no login in it");
}

static MUST err_t fetch(struct giving *g, struct why *why)
{
    AUTO(buf_free) struct buf path = {0};
    struct json_slice whole, fields, version;
    TRY(path_to(g, "/release", &path, why));
    TRY(admin_call(&g->o->common, "POST", buf_text(&path), NULL, &g->answer, why));
    if (!json_value((const char *)g->answer.p, g->answer.len, &whole) ||
        !json_member(whole, "fields", &fields) || !json_member(whole, "version", &version) ||
        !json_int(version, &g->version))
        return fail(why, ERR_INVALID, "the broker's answer cannot be read");
    return take_fields(g, fields, why);
}

/* ---- 3 */

/* Is the file's login the one that is held? */
static bool is_the_same(const struct giving *g)
{
    AUTO(buf_free) struct buf canonical = {0};
    const struct provider *p = provider_by_name(view_str(g->file.form->name));
    const struct provider_options none = {0};
    struct why unheard = {0};
    struct cred c;
    return p->parse(buf_view(&g->text), &none, &canonical, &unheard) == ERR_OK &&
           cred_decode(buf_view(&canonical), &c, &unheard) == ERR_OK &&
           view_eq(c.f[CF_REFRESH_TOKEN], g->cred.f[CF_REFRESH_TOKEN]);
}

static MUST err_t check_file(const struct giving *g, enum home_state *state, struct why *why)
{
    *state = home_state(g->file.form, buf_view(&g->text));
    if (*state == HOME_FOREIGN)
        return fail(why, ERR_INVALID,
                    "%.150s cannot be read as a login of %s: move it away, and say this again",
                    g->file.path, g->file.form->name);
    return ERR_OK;
}

static MUST err_t own_login(const struct giving *g, struct why *why)
{
    return fail(
        why, ERR_EXISTS,
        "%.120s holds another login, which is not overwritten. To keep that one: broker-cli "
        "remove %s; else move the file away, and say this again",
        g->file.path, g->name);
}

static MUST err_t write_back(struct giving *g, struct why *why)
{
    enum home_state state;
    TRY(home_file_read(&g->file, &g->text, why));
    TRY(check_file(g, &state, why));
    if (state == HOME_LOGIN)
        return is_the_same(g) ? ERR_OK : own_login(g, why);
    TRY(home_restore(g->file.form, &g->text, &g->cred, why));
    return home_file_write(&g->file, buf_view(&g->text), why);
}

/* ---- 4 */

static MUST err_t forget(const struct giving *g, struct why *why)
{
    AUTO(buf_free) struct buf path = {0}, answer = {0};
    AUTO(auto_json) json_t *there = NULL;
    TRY(path_to(g, "", &path, why));
    TRY(admin_get(&g->o->common, buf_text(&path), &there, why));
    if (int_of(there, "version") != g->version || !text_is(there, "state", "held"))
        return fail(
            why, ERR_CONFLICT,
            "\"%s\" was replaced meanwhile: the file has the old login, the broker a new one",
            g->name);
    return admin_call(&g->o->common, "DELETE", buf_text(&path), NULL, &answer, why);
}

/* What kept the file fresh has nothing to keep any more. One that is not there, or is written down elsewhere, is no fault. */
static void take_grant_back(const struct giving *g)
{
    AUTO(buf_free) struct buf path = {0}, answer = {0};
    AUTO(auto_json) json_t *there = NULL;
    struct why unheard = {0};
    char room[HOME_CONSUMER_ROOM];
    buf_add_str(&path, "/v1/consumers/");
    if (path_add(&path, home_file_consumer(&g->file, g->o->consumer, room), "consumer name",
                 &unheard) != ERR_OK)
        return;
    if (admin_get(&g->o->common, buf_text(&path), &there, &unheard) != ERR_OK)
        return;
    buf_add_fmt(&path, "/grants/%s", g->name);
    (void)!admin_call(&g->o->common, "DELETE", buf_text(&path), NULL, &answer, &unheard);
}

static void say_done(const struct giving *g)
{
    AUTO(buf_free) struct buf out = {0};
    struct why unheard = {0};
    struct jsonw w = jsonw_to(&out);
    if (!g->o->common.json) {
        (void)printf("%s: given back into %s; the broker is without it.\n", g->name, g->file.path);
        return;
    }
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "released", g->name);
    jsonw_str(&w, "file", g->file.path);
    jsonw_close(&w, '}');
    buf_add_str(&out, "\n");
    (void)!verb_write(&out, &unheard);
}

/* A login of its own in the file is seen before the broker is asked to let go. */
static MUST err_t look_first(struct giving *g, struct why *why)
{
    AUTO(auto_json) json_t *there = NULL;
    AUTO(buf_free) struct buf path = {0};
    enum home_state state;
    TRY(home_file_read(&g->file, &g->text, why));
    TRY(check_file(g, &state, why));
    int64_t expires = home_expires(g->file.form, buf_view(&g->text));
    buf_reset(&g->text);
    if (state != HOME_LOGIN)
        return ERR_OK;
    TRY(path_to(g, "", &path, why));
    TRY(admin_get(&g->o->common, buf_text(&path), &there, why));
    return text_is(there, "state", "held") || int_of(there, "expires_at_ms") == expires
               ? ERR_OK
               : own_login(g, why);
}

static MUST err_t release(const struct release_options *o, const struct operands *rest,
                          struct why *why)
{
    AUTO(giving_free)
    struct giving g = {.o = o, .name = rest->at[0], .text.max = HOME_FILE_MAX + CRED_MAX};
    const struct home_form *form = NULL;
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which login? broker-cli release NAME");
    TRY(find_form(&g, &form, why));
    TRY(home_file_open(form, o->home, &g.file, why));
    TRY(ask(&g, why));
    TRY(home_file_lock(&g.file, why));
    TRY(look_first(&g, why));
    TRY(fetch(&g, why));
    TRY(write_back(&g, why));
    TRY(forget(&g, why));
    take_grant_back(&g);
    say_done(&g);
    return ERR_OK;
}

int verb_release(int argc, char **argv)
{
    struct release_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = release(&o, &rest, &why);
    return verb_end("release", &o.common, e, &why);
}
