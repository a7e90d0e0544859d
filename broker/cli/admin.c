/*
 * The operator's side of the command line: where the admin socket is, and how its answers are read.
 * An answer is printed as it came only for --json; for people it is cleaned first. Nothing here
 * keeps a secret longer than one call.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include <broker/provider.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- the socket */

enum { DIR_MAX = 512, CHANGE_TIMEOUT_MS = 150000, PAGES_MAX = 100000 };

static bool dir_of(const char *run, const char *below, char out[DIR_MAX])
{
    int n = run && run[0] ? snprintf(out, DIR_MAX, "%s%s/admin", run, below) : -1;
    return n > 0 && n < DIR_MAX;
}

static bool has_socket(const char *dir)
{
    char path[DIR_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/broker.sock", dir);
    return access(path, F_OK) == 0 || errno == EACCES;
}

/* A user's own broker before the system's, where both run. */
static void admin_dir(char out[DIR_MAX])
{
    if (dir_of(getenv("CREDENTIAL_BROKER_RUN"), "", out))
        return;
    bool own = geteuid() != 0 && dir_of(getenv("XDG_RUNTIME_DIR"), "/credential-broker", out);
    if (own && has_socket(out))
        return;
    char shared[DIR_MAX] = "/run/credential-broker/admin";
    if (!own || has_socket(shared))
        memcpy(out, shared, sizeof(shared));
}

/* Says what mends it, as an operator needs it: the client's own sentence is for consumers. */
static err_t no_broker(const char *dir, struct why *why)
{
    char path[DIR_MAX + 16];
    (void)snprintf(path, sizeof(path), "%.*s/broker.sock", DIR_MAX - 1, dir);
    if (access(path, W_OK) != 0 && errno == EACCES)
        return fail(why, ERR_DENIED,
                    "%.100s is for root and the broker's own user: use sudo, or list uid %u under "
                    "admin: in broker.yaml",
                    path, (unsigned)geteuid());
    return fail(why, ERR_NO_BROKER,
                "no broker answers at %.100s: start one with `brokerd &` (or: systemctl start "
                "credential-broker)",
                path);
}

static err_t admin_connect(const struct verb_common *common, int timeout_ms,
                           struct broker_client **out, struct why *why)
{
    char dir[DIR_MAX];
    if (common->socket)
        return broker_connect(common->socket, timeout_ms, out, why);
    admin_dir(dir);
    err_t e = broker_connect(dir, timeout_ms, out, why);
    return e == ERR_NO_BROKER ? no_broker(dir, why) : e;
}

/* ---- exchanges */

err_t admin_call(const struct verb_common *common, const char *method, const char *path,
                 const struct buf *body, struct buf *text, struct why *why)
{
    struct broker_client *c = NULL;
    const char *reply = NULL;
    size_t n = 0;
    /* a change may have to derive a key, or wait for a person at a keyring */
    int timeout_ms = strcmp(method, "POST") == 0 ? CHANGE_TIMEOUT_MS : 0;
    if (body)
        TRY(buf_ok(body, why));
    TRY(admin_connect(common, timeout_ms, &c, why));
    struct broker_request rq = {.method = method,
                                .path = path,
                                .body = body ? body->p : NULL,
                                .body_len = body ? body->len : 0};
    err_t e = broker_call_ok(c, &rq, &reply, &n, why);
    if (e == ERR_OK)
        buf_add(text, reply, n);
    broker_close(c);
    TRY(e);
    return buf_ok(text, why);
}

/* Cleaned for a terminal and taken apart. `text` is changed. */
static err_t parse_answer(struct buf *text, json_t **out, struct why *why)
{
    AUTO(auto_json) json_t *tree = NULL;
    struct why detail = {0};
    show_clean(text);
    if (json_parse(buf_view(text), &tree, &detail) != ERR_OK)
        return fail(why, ERR_INVALID, "the broker's answer cannot be read: %.180s", detail.text);
    if (!json_is_object(tree))
        return fail(why, ERR_INVALID, "the broker's answer is %s, not an object", json_kind(tree));
    *out = TAKE(tree);
    return ERR_OK;
}

err_t admin_get(const struct verb_common *common, const char *path, json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf text = {0};
    TRY(admin_call(common, "GET", path, NULL, &text, why));
    return parse_answer(&text, out, why);
}

err_t admin_ask(const struct verb_common *common, const char *method, const char *path,
                const struct buf *body, json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf text = {0}, as_it_came = {0};
    AUTO(auto_json) json_t *tree = NULL;
    TRY(admin_call(common, method, path, body, &text, why));
    buf_add_view(&as_it_came, buf_view(&text));
    TRY(parse_answer(&text, &tree, why));
    if (!common->json) {
        *out = TAKE(tree);
        return ERR_OK;
    }
    buf_put_u8(&as_it_came, '\n');
    return verb_write(&as_it_came, why);
}

/* ---- lists */

static err_t read_page(const struct verb_common *common, const struct admin_list *l,
                       const char *from, json_t **out, struct why *why)
{
    AUTO(buf_free) struct buf path = {0};
    AUTO(auto_json) json_t *page = NULL;
    buf_add_str(&path, l->path);
    if (from[0]) {
        buf_add_fmt(&path, "%c%s=", strchr(l->path, '?') ? '&' : '?', l->query);
        if (path_add(&path, from, "place in a list", NULL) != ERR_OK)
            return fail(why, ERR_INVALID, "the broker's list goes on at no name");
    }
    TRY(buf_ok(&path, why));
    TRY(admin_get(common, buf_text(&path), &page, why));
    if (!json_is_array(json_object_get(page, l->member)))
        return fail(why, ERR_INVALID, "the broker's answer has no list \"%s\"", l->member);
    *out = TAKE(page);
    return ERR_OK;
}

/* Where the page says that the next one begins; false at the end. */
static bool next_page(const json_t *page, const char *member, char from[80])
{
    const json_t *next = json_object_get(page, member);
    if (json_is_integer(next) && json_integer_value(next) > 0)
        (void)snprintf(from, 80, "%" JSON_INTEGER_FORMAT, json_integer_value(next));
    else if (json_is_string(next) && json_string_value(next)[0])
        (void)snprintf(from, 80, "%s", json_string_value(next));
    else
        return false;
    return true;
}

static int add_text(const char *text, size_t n, void *ctx)
{
    buf_add(ctx, text, n);
    return 0;
}

/* {"leases":[…],"cursor":null} */
static err_t print_whole(const struct admin_list *l, json_t *items, struct why *why)
{
    AUTO(buf_free) struct buf out = {.max = 64 << 20};
    AUTO(auto_json) json_t *whole = json_pack("{s:O,s:n}", l->member, items, l->next);
    if (!whole || json_dump_callback(whole, add_text, &out, JSON_COMPACT) != 0)
        return fail(why, ERR_INTERNAL, "out of memory");
    buf_put_u8(&out, '\n');
    return verb_write(&out, why);
}

err_t admin_pages(const struct verb_common *common, const struct admin_list *l, json_t **out,
                  struct why *why)
{
    AUTO(auto_json) json_t *items = json_array();
    char from[80] = "", last[80] = "";
    bool more = true;
    for (unsigned n = 0; more; n++) {
        AUTO(auto_json) json_t *page = NULL;
        TRY(read_page(common, l, from, &page, why));
        if (json_array_extend(items, json_object_get(page, l->member)) != 0)
            return fail(why, ERR_INTERNAL, "out of memory");
        more = next_page(page, l->next, from);
        if (more && (n == PAGES_MAX || strcmp(from, last) == 0))
            return fail(why, ERR_INVALID, "the broker's list does not end");
        memcpy(last, from, sizeof(last));
    }
    if (common->json)
        return print_whole(l, items, why);
    *out = TAKE(items);
    return ERR_OK;
}

/* ---- words */

err_t path_add(struct buf *path, const char *word, const char *what, struct why *why)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (n == 0 || word[n] != '\0')
        return fail(why, ERR_USAGE, "\"%.64s\" is no %s: letters, digits and . _ - only", word,
                    what);
    buf_add_str(path, word);
    return ERR_OK;
}

err_t check_deliveries(const struct option_list *given, struct why *why)
{
    for (size_t i = 0; i < given->n; i++)
        for (const char *p = given->item[i]; *p;) {
            enum delivery d;
            size_t n = strcspn(p, ",");
            if (!delivery_from_name(VIEW(p, n), &d))
                return fail(
                    why, ERR_USAGE,
                    "--deliver is proxy, access_token, file, helper or secret, not \"%.*s\"",
                    (int)(n < 40 ? n : 40), p);
            p += n + (p[n] == ',');
        }
    return ERR_OK;
}

err_t no_operands(const struct operands *rest, struct why *why)
{
    return rest->n ? fail(why, ERR_USAGE, "\"%.40s\" is not expected here: --help says what is",
                          rest->at[0])
                   : ERR_OK;
}

/* ---- verbs of verbs */

static void print_words(const struct verb *v, FILE *out)
{
    for (const struct verb *w = v->words; w->name; w++)
        (void)fprintf(out, "%s broker-cli %s\n", w == v->words ? "Usage:" : "      ", w->usage);
    (void)fprintf(out, "\n%c%s. --help behind a word says more about it.\n\nExamples:\n  %s\n",
                  toupper((unsigned char)v->summary[0]), v->summary + 1, v->example);
}

static const struct verb *near_word(const struct verb *v, const char *word)
{
    for (const struct verb *w = v->words; w->name; w++)
        if (options_near(word, w->name + strlen(v->name) + 1))
            return w;
    return NULL;
}

int subverb_run(int argc, char **argv)
{
    const struct verb *v = verb_find(argv[0]);
    const char *word = argc > 1 ? argv[1] : NULL;
    for (const struct verb *w = v->words; word && w->name; w++)
        if (strcmp(w->name + strlen(v->name) + 1, word) == 0) {
            /* errors and help name both words; nobody writes through argv */
            memcpy(&argv[1], &w->name, sizeof(argv[1]));
            return w->run(argc - 1, argv + 1);
        }
    if (word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
        print_words(v, stdout);
        return 0;
    }
    const struct verb *meant = word ? near_word(v, word) : NULL;
    if (meant)
        (void)fprintf(stderr, "broker-cli %s: there is no \"%s %.40s\": did you mean %s?\n",
                      v->name, v->name, word, meant->name);
    else
        print_words(v, stderr);
    return err_exit(ERR_USAGE);
}
