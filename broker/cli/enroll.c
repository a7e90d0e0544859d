/*
 * broker-cli enroll, replace: a login or key on its way in, from a file, standard input or a
 * variable, never from the command line. It is parsed here first, so that it can be shown redacted,
 * and asked about, before anything leaves this process.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "cli/ask.h"
#include "cli/transfer.h"
#include <broker/provider.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 120 * 1024 };

struct enroll_options {
    struct verb_common common;
    const char *provider, *file, *from_env, *origin, *header, *env, *username;
    const char *from_home, *home, *consumer;
    struct option_list deliver;
    bool yes, copy, replace;
};
/* clang-format off */
#define AT(member) offsetof(struct enroll_options, member)
#define INTAKE_ROWS                                                                                \
    {"provider", OPTION_TEXT, AT(provider), "PROVIDER",                                            \
     "claude, codex, anthropic, openai, gemini, generic or oauth2"},                                       \
    {"file", OPTION_TEXT, AT(file), "FILE", "read it from FILE; - or nothing: standard input"},    \
    {"from-env", OPTION_TEXT, AT(from_env), "NAME", "read it from this variable"},                 \
    {"deliver", OPTION_LIST, AT(deliver), "DELIVERY",                                              \
     "never deliver it in any other way than this (commas, or given again)"},                      \
    {"origin", OPTION_TEXT, AT(origin), "URL", "generic: https://host the secret is for"},         \
    {"header", OPTION_TEXT, AT(header), "TEMPLATE",                                                \
     "generic: \"Authorization: Bearer {}\", \"X: Basic {basic}\", \"query:NAME={}\""},            \
    {"env", OPTION_TEXT, AT(env), "NAME", "the variable it goes by in a program"},                 \
    {"username", OPTION_TEXT, AT(username), "NAME", "for git, docker and aws"},                    \
    {"yes", OPTION_FLAG, AT(yes), NULL, "do not ask"}, VERB_ROWS(struct enroll_options)
static const struct option_row replace_rows[] = {INTAKE_ROWS};
static const struct option_row enroll_rows[] = {
    {"from-home", OPTION_TEXT, AT(from_home), "PROGRAM",
     "take the login of claude or codex over from its own file; NAME may be left out"},
    {"home", OPTION_TEXT, AT(home), "DIR", "the home that the program's directory is in"},
    {"consumer", OPTION_TEXT, AT(consumer), "NAME",
     "that keeps the program's file fresh; home-UID when not given"},
    {"copy", OPTION_FLAG, AT(copy), NULL,
     "leave the login in the file too: two owners log each other out"},
    {"replace", OPTION_FLAG, AT(replace), NULL, "put it in the place of the one that is enrolled"},
    INTAKE_ROWS};
/* clang-format on */
static const struct options options[] = {{.rows = enroll_rows, .n = COUNT(enroll_rows)},
                                         {.rows = replace_rows, .n = COUNT(replace_rows)}};

static err_t read_fd(int fd, const char *name, struct buf *out, struct why *why)
{
    out->max = INPUT_MAX;
    for (;;) {
        if (!buf_reserve(out, 4096))
            return fail(why, ERR_TOO_LARGE, "%s is over %d bytes: no login is that large", name,
                        INPUT_MAX);
        ssize_t n = read(fd, out->p + out->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "%s", name);
        if (n == 0)
            return out->len ? ERR_OK : fail(why, ERR_INVALID, "%s is empty", name);
        out->len += (size_t)n;
    }
}

static err_t read_input(const struct enroll_options *o, struct buf *out, struct why *why)
{
    if (o->from_env) {
        const char *v = getenv(o->from_env);
        if (!v || !v[0])
            return fail(why, ERR_NOT_FOUND, "the variable %.64s is not set", o->from_env);
        buf_add_str(out, v);
        return buf_ok(out, why);
    }
    if (o->file && strcmp(o->file, "-") != 0) {
        AUTO(auto_close) int fd = open(o->file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return fail_errno(why, errno, "%s", o->file);
        return read_fd(fd, o->file, out, why);
    }
    if (isatty(STDIN_FILENO))
        (void)fputs("Paste it, then press Ctrl-D:\n", stderr);
    return read_fd(STDIN_FILENO, "standard input", out, why);
}

static err_t unknown_provider(const char *name, struct why *why)
{
    AUTO(buf_free) struct buf known = {0};
    for (const struct provider *const *p = providers; *p; p++)
        buf_add_fmt(&known, "%s%s", known.len ? ", " : "", (*p)->name);
    return fail(why, ERR_USAGE, "no provider \"%.32s\"; there are %.160s", name, buf_text(&known));
}

/* `replace` without --provider: as it is. */
static err_t find_provider(const struct enroll_options *o, const char *path,
                           const struct provider **out, struct why *why)
{
    AUTO(auto_json) json_t *there = NULL;
    if (!o->provider)
        TRY(admin_get(&o->common, path, &there, why));
    const char *name = o->provider ? o->provider : text_of(there, "provider");
    *out = provider_by_name(view_str(name));
    return *out ? ERR_OK : unknown_provider(name, why);
}

/* What was read, redacted, on standard error: standard output is for the answer. */
static err_t show(const struct provider *p, struct view input, const struct enroll_options *o,
                  struct why *why)
{
    AUTO(buf_free) struct buf canonical = {0}, text = {0};
    AUTO(auto_json) json_t *picture = NULL;
    struct provider_options po = {.origin = view_str(o->origin),
                                  .header = view_str(o->header),
                                  .env = view_str(o->env),
                                  .username = view_str(o->username)};
    struct cred cred;
    TRY(p->parse(input, &po, &canonical, why));
    TRY(cred_decode(buf_view(&canonical), &cred, why));
    TRY(p->validate(&cred, why));
    if (o->common.json)
        return ERR_OK;
    cred_describe(p, &cred, &text);
    show_clean(&text);
    TRY(json_parse(buf_view(&text), &picture, why));
    (void)fprintf(stderr, "%s\n", p->title);
    show_picture(picture, stderr);
    return ERR_OK;
}

static void put_text(struct jsonw *w, const char *key, const char *value)
{
    if (value)
        jsonw_str(w, key, value);
}

/* Given again, or with commas. */
static void put_deliveries(struct jsonw *w, const struct option_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        for (const char *p = l->item[i]; *p;) {
            size_t n = strcspn(p, ",");
            jsonw_view(w, NULL, VIEW(p, n));
            p += n + (p[n] == ',');
        }
}

static void put_body(struct buf *body, const struct enroll_options *o, const struct provider *p,
                     const char *name, struct view data)
{
    AUTO(buf_free) struct buf b64 = {0};
    struct jsonw w = jsonw_to(body);
    base64url_encode(data, &b64);
    jsonw_open(&w, NULL, '{');
    put_text(&w, "name", name);
    jsonw_str(&w, "provider",
              p->name); /* needed for a replacement too: parsing knows no credential */
    jsonw_view(&w, "data_base64", buf_view(&b64));
    put_text(&w, "origin", o->origin);
    put_text(&w, "header", o->header);
    put_text(&w, "env", o->env);
    put_text(&w, "username", o->username);
    if (o->deliver.n) {
        jsonw_open(&w, "ceiling", '[');
        put_deliveries(&w, &o->deliver);
        jsonw_close(&w, ']');
    }
    jsonw_close(&w, '}');
}

static bool is_stdin(const struct enroll_options *o)
{
    return !o->from_env && (!o->file || strcmp(o->file, "-") == 0);
}

static err_t check(const struct enroll_options *o, const struct operands *rest, bool replace,
                   struct why *why)
{
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "one name is expected: broker-cli %s NAME%s",
                    replace ? "replace" : "enroll", replace ? "" : " --provider PROVIDER");
    if (!o->provider && !replace)
        return fail(why, ERR_USAGE,
                    "--provider is needed: claude, codex, anthropic, openai, gemini or generic");
    if (o->provider && !provider_by_name(view_str(o->provider)))
        return unknown_provider(o->provider, why);
    if (o->home || o->consumer || o->copy || o->replace)
        return fail(why, ERR_USAGE, "--home, --consumer, --copy and --replace go with --from-home");
    if (o->file && o->from_env)
        return fail(why, ERR_USAGE, "--file or --from-env, not both");
    return check_deliveries(&o->deliver, why);
}

/* Two owners of one login log each other out: refresh tokens are for one use. */
static void warn_leftover(const struct enroll_options *o)
{
    (void)fprintf(stderr,
                  "%s is still there. Remove it when nothing else reads it: two owners of one "
                  "login log each other out.\n",
                  o->file);
}

static err_t enroll(const struct enroll_options *o, const struct operands *rest, bool replace,
                    struct why *why)
{
    AUTO(buf_free) struct buf input = {.max = INPUT_MAX}, body = {0}, path = {0};
    AUTO(auto_json) json_t *reply = NULL;
    const struct provider *p = NULL;
    TRY(check(o, rest, replace, why));
    buf_add_str(&path, "/v1/credentials/");
    TRY(path_add(&path, rest->at[0], "credential name", why));
    TRY(find_provider(o, buf_text(&path), &p, why));
    TRY(read_input(o, &input, why));
    TRY(show(p, buf_view(&input), o, why));
    if (isatty(STDIN_FILENO) && !is_stdin(o))
        TRY(ask_yes(o->yes, replace ? "Put this in the place of the old one?" : "Take it?", why));
    put_body(&body, o, p, replace ? NULL : rest->at[0], buf_view(&input));
    TRY(admin_ask(&o->common, replace ? "PUT" : "POST",
                  replace ? buf_text(&path) : "/v1/credentials", &body, &reply, why));
    if (!reply)
        return ERR_OK;
    (void)printf("%s: %s, version %" PRId64 ", sealed.\n", text_of(reply, "name"),
                 replace ? "replaced" : "enrolled", int_of(reply, "version"));
    if (o->file && !is_stdin(o))
        warn_leftover(o);
    return ERR_OK;
}

static err_t from_home(const struct enroll_options *o, const struct operands *rest, struct why *why)
{
    const struct transfer t = {.common = &o->common,
                               .program = o->from_home,
                               .name = rest->n ? rest->at[0] : o->from_home,
                               .home = o->home,
                               .consumer = o->consumer,
                               .yes = o->yes,
                               .copy = o->copy,
                               .replace = o->replace};
    if (rest->n > 1 || o->provider || o->file || o->from_env || o->deliver.n)
        return fail(why, ERR_USAGE, "broker-cli enroll --from-home PROGRAM [NAME] takes no source");
    return transfer_take(&t, why);
}

static int run(char **argv, bool replace)
{
    struct enroll_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(&options[replace], argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = o.from_home ? from_home(&o, &rest, &why) : enroll(&o, &rest, replace, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

int verb_enroll(int argc, char **argv)
{
    (void)argc;
    return run(argv, false);
}

int verb_replace(int argc, char **argv)
{
    (void)argc;
    return run(argv, true);
}
