/*
 * broker-cli login: a login that the broker makes itself. This program shows where to go and brings back what the browser was given; verifier,
 * tokens and device code never come here. It works without a browser, a display or a terminal of its own: what is to be opened stands on
 * standard error (with --json on standard output), what is pasted comes on standard input.
 */
#include "cli/login_wait.h"

#include "base/auto.h"
#include "cli/ask.h"
#include "cli/browser.h"
#include "provider/oauth.h"

#include <broker/secret.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_LINE_MAX = 2048 };

struct login_options {
    struct verb_common common;
    const char *provider, *client_secret_file, *origin, *header, *env;
    struct option_list deliver;
    bool device, client, paste, browser, no_browser, replace, yes;
};
/* clang-format off */
#define AT(member) offsetof(struct login_options, member)
static const struct option_row rows[] = {
    {"provider", OPTION_TEXT, AT(provider), "PROVIDER",
     "claude, codex, gemini, or a name in broker.yaml's providers:; the enrolled login's own when not given"},
    {"device", OPTION_FLAG, AT(device), NULL, "by a short code that is entered on any machine"},
    {"paste", OPTION_FLAG, AT(paste), NULL, "no listener: paste the code, or the address that the browser ends at"},
    {"browser", OPTION_FLAG, AT(browser), NULL, "by a redirect to this host, where the provider shows a code too"},
    {"no-browser", OPTION_FLAG, AT(no_browser), NULL, "open no browser here, only say the address"},
    {"client-credentials", OPTION_FLAG, AT(client), NULL, "the client's own login, with its secret and without a person"},
    {"client-secret-file", OPTION_TEXT, AT(client_secret_file), "FILE", "the client's secret, one line; - for standard input"},
    {"replace", OPTION_FLAG, AT(replace), NULL, "put it in the place of a login that works"},
    {"deliver", OPTION_LIST, AT(deliver), "DELIVERY", "never deliver it in any other way than this (commas, or given again)"},
    {"origin", OPTION_TEXT, AT(origin), "URL", "your own provider's: https://host the login is for"},
    {"header", OPTION_TEXT, AT(header), "TEMPLATE", "your own provider's: \"Authorization: Bearer {}\" when not given"},
    {"env", OPTION_TEXT, AT(env), "NAME", "the variable it goes by in a program"},
    {"yes", OPTION_FLAG, AT(yes), NULL, "do not ask"}, VERB_ROWS(struct login_options)};
/* clang-format on */
static const struct options options = {.rows = rows, .n = COUNT(rows)};

struct plan {
    const struct login_options *o;
    const char *name;
    char provider[65];
    const char *flow;
    bool replace;
    struct redirect redirect;
    struct buf secret;
    char prompt[320]; /* said when what is typed is not echoed any more; "" */
};

static void plan_end(struct plan *p)
{
    redirect_close(&p->redirect);
    buf_free(&p->secret);
}

/* ---- what is asked for */

static err_t check(const struct login_options *o, const struct operands *rest, struct why *why)
{
    int flows = o->device + o->client + (o->paste || o->browser);
    if (rest->n != 1)
        return fail(why, ERR_USAGE,
                    "one name is expected: broker-cli login NAME --provider PROVIDER");
    if (flows > 1)
        return fail(why, ERR_USAGE,
                    "--device, --client-credentials, and --paste or --browser: one of them");
    if (o->client && !o->client_secret_file)
        return fail(why, ERR_USAGE,
                    "--client-credentials goes with --client-secret-file FILE (or -)");
    return check_deliveries(&o->deliver, why);
}

/* The name of broker.yaml's entry, or the provider's. */
static const char *issuer_of(const json_t *there)
{
    const char *issuer = text_of(json_object_get(there, "detail"), "issuer");
    return issuer[0] ? issuer : text_of(there, "provider");
}

static err_t ask_replace(struct plan *p, const json_t *there, struct why *why)
{
    char question[200];
    p->replace = true;
    if (text_is(there, "state", "needs_login") ||
        text_is(there, "state", "expired")) /* nothing is lost: this is what it waits for */
        return ERR_OK;
    if (!p->o->replace)
        return fail(why, ERR_EXISTS,
                    "\"%s\" is enrolled already; to put a new login in its place: broker-cli "
                    "login %s --replace",
                    p->name, p->name);
    (void)snprintf(question, sizeof(question), "Put a new login in the place of \"%.64s\"?",
                   p->name);
    return ask_yes(p->o->yes, question, why);
}

static err_t find_old(struct plan *p, struct why *why)
{
    AUTO(buf_free) struct buf path = {0};
    AUTO(auto_json) json_t *there = NULL;
    struct verb_common quiet = p->o->common;
    buf_add_str(&path, "/v1/credentials/");
    TRY(path_add(&path, p->name, "credential name", why));
    err_t e = admin_get(&quiet, buf_text(&path), &there, why);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    const char *given = p->o->provider ? p->o->provider : there ? issuer_of(there) : "";
    if (!given[0])
        return fail(
            why, ERR_USAGE,
            "--provider is needed: claude, codex, gemini, or a name in broker.yaml's providers:");
    if (!view_copy(view_str(given), p->provider, sizeof(p->provider)))
        return fail(why, ERR_USAGE, "no provider has so long a name");
    why->text[0] = '\0';
    return there ? ask_replace(p, there, why) : ERR_OK;
}

static const struct provider_oauth *row_of(const char *provider)
{
    const struct provider *p = provider_by_name(view_str(provider));
    return oauth_row(p ? p : provider_by_name(view_str("oauth2")));
}

static err_t choose_flow(struct plan *p, struct why *why)
{
    const struct login_options *o = p->o;
    const struct provider_oauth *row = row_of(p->provider);
    if (!row)
        return fail(why, ERR_USAGE,
                    "%s is no provider of logins: enroll its key with broker-cli "
                    "enroll %s --provider %s",
                    p->provider, p->name, p->provider);
    p->flow = o->device                    ? "device"
              : o->client                  ? "client"
              : row->page && !(o->browser) ? "page"
                                           : "loopback";
    if (strcmp(p->flow, "loopback") != 0)
        return ERR_OK;
    return redirect_open(row->loopback, o->paste, &p->redirect, why);
}

static err_t read_secret(struct plan *p, struct why *why)
{
    const char *file = p->o->client_secret_file;
    uint8_t block[SECRET_LINE_MAX + 1];
    if (!file)
        return ERR_OK;
    AUTO(auto_close)
    int fd = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(why, errno, "%s", file);
    ssize_t n = 0, got = 0;
    while (got < (ssize_t)sizeof(block) &&
           (n = read(fd, block + got, sizeof(block) - (size_t)got)) > 0)
        got += n;
    while (got > 0 && (block[got - 1] == '\n' || block[got - 1] == '\r'))
        got--;
    buf_add(&p->secret, block, (size_t)got);
    wipe(block, sizeof(block));
    if (n < 0)
        return fail_errno(why, errno, "%s", file);
    if (got == 0 || got > SECRET_LINE_MAX)
        return fail(why, ERR_INVALID, "a client's secret is one line of at most %d bytes",
                    SECRET_LINE_MAX);
    return buf_ok(&p->secret, why);
}

/* ---- the beginning */

static void put_text(struct jsonw *w, const char *key, const char *value)
{
    if (value)
        jsonw_str(w, key, value);
}

static void put_ceiling(struct jsonw *w, const struct option_list *l)
{
    jsonw_open(w, "ceiling", '[');
    for (size_t i = 0; i < l->n; i++)
        for (const char *p = l->item[i]; *p;) {
            size_t n = strcspn(p, ",");
            jsonw_view(w, NULL, VIEW(p, n));
            p += n + (p[n] == ',');
        }
    jsonw_close(w, ']');
}

static void put_body(const struct plan *p, struct buf *body)
{
    struct jsonw w = jsonw_to(body);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "name", p->name);
    jsonw_str(&w, "provider", p->provider);
    jsonw_str(&w, "flow", p->flow);
    if (p->replace)
        jsonw_bool(&w, "replace", true);
    if (p->redirect.port)
        jsonw_int(&w, "port", p->redirect.port);
    if (p->secret.len)
        jsonw_view(&w, "client_secret", buf_view(&p->secret));
    put_text(&w, "origin", p->o->origin);
    put_text(&w, "header", p->o->header);
    put_text(&w, "env", p->o->env);
    if (p->o->deliver.n)
        put_ceiling(&w, &p->o->deliver);
    jsonw_close(&w, '}');
}

static err_t print_json(const json_t *tree, struct why *why)
{
    if (json_dumpf(tree, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return fail(why, ERR_IO, "cannot write the answer");
    return ERR_OK;
}

static err_t begin(struct plan *p, json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf body = {.max = 16384};
    struct verb_common quiet = p->o->common;
    quiet.json = false; /* the answer is looked at, and printed, here */
    put_body(p, &body);
    TRY(admin_ask(&quiet, "POST", "/v1/logins", &body, out, why));
    return p->o->common.json && text_of(*out, "authorize_url")[0] ? print_json(*out, why) : ERR_OK;
}

/* ---- what a person is told */

static void say_url(struct plan *p, const json_t *login)
{
    const char *url = text_of(login, "authorize_url");
    bool page = strcmp(p->flow, "page") == 0;
    bool opened = !p->o->no_browser && !p->o->common.json && browser_is_here() && browser_open(url);
    (void)fprintf(stderr, "%s:\n\n  %s\n\n",
                  opened ? "Log in in the browser that opens; if none does, open this"
                         : "Open this in a browser, on any machine, and log in",
                  url);
    if (page)
        (void)snprintf(
            p->prompt, sizeof(p->prompt),
            "Then paste the code that the page shows, all of it (it is not shown here):");
    else if (p->o->paste)
        (void)snprintf(p->prompt, sizeof(p->prompt),
                       "The browser then ends at an address that does not open; paste that address "
                       "(it is not shown here):");
    else
        (void)snprintf(
            p->prompt, sizeof(p->prompt),
            "Waiting for the browser on 127.0.0.1, port %u. If it runs on another "
            "machine, it ends at an address\nthat does not open: paste that address here "
            "(it is not shown).",
            p->redirect.port);
}

static void say_code(const json_t *login)
{
    const char *full = text_of(login, "verification_uri_complete");
    (void)fprintf(stderr,
                  "Open this in a browser, on any machine:\n\n  %s\n\nand enter this code: %s\n",
                  text_of(login, "verification_uri"), text_of(login, "user_code"));
    if (full[0])
        (void)fprintf(stderr, "or open this, which has it:\n\n  %s\n", full);
    (void)fputs("\nOnly enter it if you began this login yourself. Waiting …\n", stderr);
}

/* A device code comes a moment after the beginning; an end may come before it. */
static err_t await_code(const struct plan *p, const char *id, struct why *why)
{
    AUTO(buf_free) struct buf path = {0};
    AUTO(auto_json) json_t *now = NULL;
    struct verb_common quiet = p->o->common;
    buf_add_str(&path, "/v1/logins/");
    TRY(path_add(&path, id, "login's id", why));
    for (;;) {
        json_decref(TAKE(now));
        TRY(admin_get(&quiet, buf_text(&path), &now, why));
        if (!text_is(now, "status", "starting"))
            break;
        (void)usleep(100000);
    }
    if (!text_of(now, "user_code")[0])
        return ERR_OK; /* it has ended: login_wait() says how */
    if (p->o->common.json)
        return print_json(now, why);
    say_code(now);
    return ERR_OK;
}

static err_t tell(struct plan *p, const json_t *login, struct why *why)
{
    if (strcmp(p->flow, "device") == 0)
        return await_code(p, text_of(login, "id"), why);
    if (p->redirect.listener >= 0 || strcmp(p->flow, "page") == 0)
        say_url(p, login);
    return ERR_OK;
}

static err_t say_done(const struct plan *p, const json_t *done, struct why *why)
{
    if (p->o->common.json)
        return print_json(done, why);
    (void)printf("%s: logged in, version %" PRId64 ", sealed.\n", text_of(done, "name"),
                 int_of(done, "version"));
    if (!json_is_true(json_object_get(done, "renewable")))
        (void)fprintf(stderr,
                      "No refresh token came with it, so it ends when its access token does. If "
                      "the provider has them for\nthe scope offline_access, say so in broker.yaml: "
                      "providers: scopes.\n");
    return ERR_OK;
}

static err_t login(struct plan *p, struct why *why)
{
    AUTO(auto_json) json_t *first = NULL;
    AUTO(auto_json) json_t *done = NULL;
    TRY(find_old(p, why));
    TRY(read_secret(p, why));
    TRY(choose_flow(p, why));
    TRY(begin(p, &first, why));
    p->redirect.state = text_of(first, "state");
    TRY(tell(p, first, why));
    bool listens = p->redirect.listener >= 0 && !p->o->paste;
    bool by_code = p->redirect.listener >= 0 || strcmp(p->flow, "page") == 0;
    bool taken = p->o->client_secret_file && strcmp(p->o->client_secret_file, "-") == 0;
    TRY(login_wait(&(struct login_wait){.common = &p->o->common,
                                        .id = text_of(first, "id"),
                                        .flow = p->flow,
                                        .redirect = listens ? &p->redirect : NULL,
                                        .paste = by_code && !taken,
                                        .prompt = p->prompt},
                   &done, why));
    return say_done(p, done, why);
}

int verb_login(int argc, char **argv)
{
    struct login_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    AUTO(plan_end)
    struct plan p = {.o = &o, .redirect = {.listener = -1}, .secret = {.max = SECRET_LINE_MAX + 1}};
    for (unsigned i = 0; i < REDIRECT_CONNS; i++)
        p.redirect.conn[i].fd = -1;
    err_t e = check(&o, &rest, &why);
    if (e == ERR_OK) {
        p.name = rest.at[0];
        e = login(&p, &why);
    }
    return verb_end(argv[0], &o.common, e, &why);
}
