/*
 * broker-cli init, unlock, lock, rekey, store accept, key add|list|remove: the store and the keys
 * that open it. A passphrase lives in one buffer that is wiped, and in the body of one request that
 * is wiped too.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "cli/ask.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct store_options {
    struct verb_common common;
    const char *key, *path, *passphrase_file;
    bool yes, wait;
};
#define AT(member) offsetof(struct store_options, member)
/* clang-format off */
#define PASSPHRASE_ROW                                                                             \
    {"passphrase-file", OPTION_TEXT, AT(passphrase_file), "FILE",                                  \
     "the passphrase is the first line of FILE (-: standard input); else it is asked for"}
#define PATH_ROW                                                                                   \
    {"path", OPTION_TEXT, AT(path), "PATH",                                                        \
     "keyfile: where to make it; systemd: name of the credential; keyring: label"}
#define YES_ROW {"yes", OPTION_FLAG, AT(yes), NULL, "do not ask"}
#define OPTIONS(rows_) {.rows = (rows_), .n = COUNT(rows_)}
/* clang-format on */

static const struct option_row init_rows[] = {
    {"key", OPTION_TEXT, AT(key), "SOURCE",
     "keyfile (the default), passphrase, keyring or systemd"},
    PATH_ROW,
    PASSPHRASE_ROW,
    VERB_ROWS(struct store_options)};
static const struct option_row unlock_rows[] = {
    {"key", OPTION_TEXT, AT(key), "SOURCE", "try only slots of this source"},
    PASSPHRASE_ROW,
    VERB_ROWS(struct store_options)};
static const struct option_row key_add_rows[] = {PATH_ROW, PASSPHRASE_ROW,
                                                 VERB_ROWS(struct store_options)};
static const struct option_row rekey_rows[] = {
    YES_ROW,
    {"wait", OPTION_FLAG, AT(wait), NULL, "end only when everything is sealed anew"},
    VERB_ROWS(struct store_options)};
static const struct option_row yes_rows[] = {YES_ROW, VERB_ROWS(struct store_options)};
static const struct option_row plain_rows[] = {VERB_ROWS(struct store_options)};

static const struct options init_options = OPTIONS(init_rows),
                            unlock_options = OPTIONS(unlock_rows),
                            key_add_options = OPTIONS(key_add_rows),
                            rekey_options = OPTIONS(rekey_rows), yes_options = OPTIONS(yes_rows),
                            plain_options = OPTIONS(plain_rows);

/* Sources whose key a person types. Others are the broker's business, and so is a source that does
 * not exist. */
static bool is_typed(const char *source)
{
    static const char *const typed[] = {"passphrase"};
    for (size_t i = 0; i < COUNT(typed); i++)
        if (strcmp(typed[i], source) == 0)
            return true;
    return false;
}

/* {"source":…, "path":…, "passphrase":…} with what was given */
static void put_source(struct buf *body, const char *source, const char *path,
                       const struct buf *passphrase)
{
    struct jsonw w = jsonw_to(body);
    jsonw_open(&w, NULL, '{');
    if (source)
        jsonw_str(&w, "source", source);
    if (path)
        jsonw_str(&w, "path", path);
    if (passphrase->len)
        jsonw_view(&w, "passphrase", buf_view(passphrase));
    jsonw_close(&w, '}');
}

/* Deriving a key from a passphrase takes a second on purpose. */
static void say_deriving(const struct buf *passphrase)
{
    if (passphrase->len && isatty(STDERR_FILENO))
        (void)fputs("deriving the key…\n", stderr);
}

static err_t make_key(const struct store_options *o, const char *source, const char *path,
                      json_t **reply, struct why *why)
{
    AUTO(buf_free) struct buf body = {0}, pass = {0};
    if (is_typed(source))
        TRY(ask_passphrase(o->passphrase_file, true, &pass, why));
    else if (o->passphrase_file)
        return fail(why, ERR_USAGE, "--passphrase-file is for the source passphrase, not for %.32s",
                    source);
    put_source(&body, source, o->path, &pass);
    say_deriving(&pass);
    return admin_ask(&o->common, "POST", path, &body, reply, why);
}

static err_t init(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    struct why cause = {0};
    TRY(no_operands(rest, why));
    const char *source = o->key ? o->key : "keyfile";
    err_t e = make_key(o, source, "/v1/init", &reply, &cause);
    if (e == ERR_PERMISSION && !o->path && strcmp(source, "keyfile") == 0)
        return fail(why, e, "%.150s; give --path FILE where the broker's user may write",
                    cause.text);
    if (e != ERR_OK)
        return fail(why, e, "%s", cause.text);
    if (reply)
        (void)puts("The store is set up and open.\n"
                   "The log's auditor key is log/auditor.key in the state directory (broker-cli "
                   "status): move it to another machine.\n"
                   "Next: broker-cli enroll NAME --provider PROVIDER --file FILE");
    return ERR_OK;
}

/* ---- unlock */

struct slots {
    bool typed, other;
};

static err_t find_slots(const struct store_options *o, struct slots *out, struct why *why)
{
    AUTO(auto_json) json_t *status = NULL;
    TRY(admin_get(&o->common, "/v1/status", &status, why));
    const json_t *keys = json_object_get(status, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        bool typed = is_typed(text_of(json_array_get(keys, i), "source"));
        out->typed |= typed;
        out->other |= !typed;
    }
    return ERR_OK;
}

static err_t unlock_with(const struct store_options *o, const struct buf *pass, struct why *why)
{
    AUTO(buf_free) struct buf body = {0};
    AUTO(auto_json) json_t *reply = NULL;
    put_source(&body, o->key, NULL, pass);
    say_deriving(pass);
    TRY(admin_ask(&o->common, "POST", "/v1/unlock", &body, &reply, why));
    if (!reply)
        return ERR_OK;
    if (!text_is(reply, "state", "ready"))
        return fail(why, text_is(reply, "state", "rollback") ? ERR_ROLLBACK : ERR_LOCKED, "%s: %s",
                    text_of(reply, "state"), text_of(reply, "reason"));
    (void)puts("The store is open.");
    return ERR_OK;
}

/* As the options or the slots have it: with a passphrase, without one, or first without. What opens
 * without a person is tried first, as at the broker's start. */
static err_t unlock(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(buf_free) struct buf pass = {0};
    struct slots slots = {.typed = o->passphrase_file || (o->key && is_typed(o->key))};
    struct why first = {0};
    TRY(no_operands(rest, why));
    if (!slots.typed && !o->key)
        TRY(find_slots(o, &slots, why));
    if (!slots.typed)
        return unlock_with(o, &pass, why);
    err_t e = slots.other ? unlock_with(o, &pass, &first) : ERR_LOCKED;
    if (e != ERR_LOCKED && e != ERR_AUTH && e != ERR_UNAVAILABLE && e != ERR_NOT_FOUND &&
        e != ERR_IO)
        return e == ERR_OK ? e : fail(why, e, "%s", first.text);
    TRY(ask_passphrase(o->passphrase_file, false, &pass, why));
    return unlock_with(o, &pass, why);
}

static err_t lock(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(admin_ask(&o->common, "POST", "/v1/lock", NULL, &reply, why));
    if (reply)
        (void)puts(
            "Locked. Leases stay valid in the journal and work again after: broker-cli unlock");
    return ERR_OK;
}

/* ---- rekey */

/* Until the broker says that it is done; on a terminal with the seconds so far. */
static err_t wait_rekey(const struct store_options *o, struct why *why)
{
    int64_t begun = clock_boot_ms();
    bool shown = false;
    for (;;) {
        AUTO(auto_json) json_t *keys = NULL;
        TRY(admin_get(&o->common, "/v1/keys", &keys, why));
        if (!json_is_true(json_object_get(keys, "rekeying")))
            break;
        if (isatty(STDERR_FILENO)) {
            (void)fprintf(stderr, "\rsealing anew… %" PRId64 " s",
                          (clock_boot_ms() - begun) / 1000);
            shown = true;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    if (shown)
        (void)fputc('\n', stderr);
    return ERR_OK;
}

static err_t rekey(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(no_operands(rest, why));
    TRY(ask_yes(o->yes, "Seal every credential anew under a fresh master key?", why));
    TRY(admin_ask(&o->common, "POST", "/v1/rekey", NULL, &reply, why));
    if (o->wait)
        TRY(wait_rekey(o, why));
    if (reply)
        (void)printf("Epoch %" PRId64 ": %" PRId64 " credentials %s.\n", int_of(reply, "epoch"),
                     int_of(reply, "records"),
                     o->wait ? "are sealed anew"
                             : "are being sealed anew in the background (broker-cli key list tells "
                               "when it is done)");
    return ERR_OK;
}

static err_t accept(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    if (rest->n != 1 || strcmp(rest->at[0], "accept") != 0)
        return fail(why, ERR_USAGE, "what about the store? broker-cli store accept");
    TRY(ask_yes(o->yes,
                "Accept the store and the log as they are now? Do it only when you know why they "
                "are older or changed.",
                why));
    TRY(admin_ask(&o->common, "POST", "/v1/store/accept", NULL, &reply, why));
    if (reply)
        (void)puts("Accepted, and recorded.");
    return ERR_OK;
}

/* ---- key */

static err_t key_add(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    if (rest->n != 1)
        return fail(why, ERR_USAGE,
                    "which source? broker-cli key add keyfile|passphrase|keyring|systemd");
    TRY(make_key(o, rest->at[0], "/v1/keys", &reply, why));
    if (reply)
        (void)printf("Slot %" PRId64 " (%s) opens the store from now on.\n", int_of(reply, "slot"),
                     text_of(reply, "source"));
    return ERR_OK;
}

static err_t key_list(const struct store_options *o, const struct operands *rest, struct why *why)
{
    static const char *const head[] = {"SLOT", "SOURCE", "MADE", "DETAIL"};
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(table_free) struct table t = table_of(COUNT(head));
    TRY(no_operands(rest, why));
    TRY(admin_ask(&o->common, "GET", "/v1/keys", NULL, &reply, why));
    if (!reply)
        return ERR_OK;
    table_row(&t, head);
    const json_t *keys = json_object_get(reply, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        char slot[24], when[32];
        (void)snprintf(slot, sizeof(slot), "%" PRId64, int_of(k, "slot"));
        table_row(&t,
                  (const char *const[]){slot, text_of(k, "source"),
                                        when_of(k, "created_at_ms", when), text_of(k, "detail")});
    }
    TRY(table_print(&t, "", stdout, why));
    (void)printf("epoch %" PRId64 "%s\n", int_of(reply, "epoch"),
                 json_is_true(json_object_get(reply, "rekeying")) ? ", a rekey is under way" : "");
    return ERR_OK;
}

static err_t key_remove(const struct store_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0};
    if (rest->n != 1)
        return fail(why, ERR_USAGE,
                    "which slot? broker-cli key remove SLOT (see: broker-cli key list)");
    buf_add_str(&path, "/v1/keys/");
    TRY(path_add(&path, rest->at[0], "slot", why));
    TRY(ask_yes(o->yes, "Remove this key slot? It opens the store no longer.", why));
    TRY(admin_ask(&o->common, "DELETE", buf_text(&path), NULL, &reply, why));
    if (reply)
        (void)puts("Removed. A kept copy of the old key header still opens with it: to shut that "
                   "out, rekey.");
    return ERR_OK;
}

/* ---- the verbs */

typedef err_t store_fn(const struct store_options *o, const struct operands *rest, struct why *why);

static int run(const struct options *options, store_fn *fn, char **argv)
{
    struct store_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    int done = verb_begin(options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = fn(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}

#define VERB(linkage_, name_, options_, fn_)                                                       \
    linkage_ name_(int argc, char **argv)                                                          \
    {                                                                                              \
        (void)argc;                                                                                \
        return run(&(options_), fn_, argv);                                                        \
    }
VERB(int, verb_init, init_options, init)
VERB(int, verb_unlock, unlock_options, unlock)
VERB(int, verb_lock, plain_options, lock)
VERB(int, verb_rekey, rekey_options, rekey)
VERB(int, verb_store, yes_options, accept)
VERB(static int, run_key_add, key_add_options, key_add)
VERB(static int, run_key_list, plain_options, key_list)
VERB(static int, run_key_remove, yes_options, key_remove)

const struct verb key_words[] = {
    {"key add",
     "one more key that opens the store; SOURCE is keyfile, passphrase, keyring or systemd",
     "key add SOURCE [OPTIONS]",
     "broker-cli key add passphrase\n  broker-cli key add keyfile --path /media/usb/broker.key",
     run_key_add, NULL},
    {"key list", "the slots", "key list [OPTIONS]", "broker-cli key list", run_key_list, NULL},
    {"key remove", "take a slot away", "key remove SLOT [--yes] [OPTIONS]",
     "broker-cli key remove 1", run_key_remove, NULL},
    {.name = NULL},
};

int verb_key(int argc, char **argv)
{
    return subverb_run(argc, argv);
}
