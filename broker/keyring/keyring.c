/*
 * Key source `keyring`: the slot secret as an item of the desktop's Secret Service
 * (org.freedesktop.secrets, through libsecret). Params: the item's label, for people; the item is
 * found by its attributes application=credential-broker, store=<hex>. It never waits for a person:
 * no call here unlocks or prompts, a locked keyring is said to be locked. Every call is
 * asynchronous and ends with a common deadline, so a Secret Service that hangs costs seconds and an
 * error. The item's value is the secret in hex, which every implementation keeps unharmed.
 */
#include "keyring/keyring.h"

#include "base/auto.h"
#include "crypto/seal.h"
#include "keysource/keysources.h"

#include <libsecret/secret.h>
#include <string.h>

enum { DEADLINE_S = 8, HEX = 2 * KEYSOURCE_KEY_BYTES };
static const char default_label[] = "Credential broker master key";

static const SecretSchema schema = {
    .name = "org.credential-broker.key",
    .flags = SECRET_SCHEMA_NONE,
    .attributes = {{"application", SECRET_SCHEMA_ATTRIBUTE_STRING},
                   {"store", SECRET_SCHEMA_ATTRIBUTE_STRING}},
};

/* ---- one conversation: a loop that runs until the pending call answered or the deadline cancelled
 * it */

struct talk {
    GMainLoop *loop;
    GCancellable *cancel;
    guint timer;
    GAsyncResult *result;
    GError *error;
    SecretService *service;
    GHashTable *attributes;
};

static gboolean on_deadline(gpointer data)
{
    struct talk *t = data;
    t->timer = 0;
    g_cancellable_cancel(t->cancel);
    return G_SOURCE_REMOVE;
}

static void on_ready(GObject *source, GAsyncResult *result, gpointer data)
{
    struct talk *t = data;
    (void)source;
    t->result = g_object_ref(result);
    g_main_loop_quit(t->loop);
}

/* Runs the loop until on_ready; gives the result for the call's _finish function. */
static GAsyncResult *talk_wait(struct talk *t)
{
    g_clear_object(&t->result); /* NOLINT(bugprone-sizeof-expression): as in talk_end() */
    g_main_loop_run(t->loop);
    return t->result;
}

static void talk_end(struct talk *t)
{
    if (t->timer)
        (void)g_source_remove(t->timer);
    /* NOLINTBEGIN(bugprone-sizeof-expression): these macros of GLib take the size of a pointer */
    g_clear_object(&t->result);
    g_clear_object(&t->service);
    g_clear_object(&t->cancel);
    g_clear_error(&t->error);
    g_clear_pointer(&t->attributes, g_hash_table_unref);
    g_clear_pointer(&t->loop, g_main_loop_unref);
    /* NOLINTEND(bugprone-sizeof-expression) */
}

static err_t locked(struct why *why)
{
    return fail(why, ERR_UNAVAILABLE,
                "the keyring is locked: log in to the desktop or unlock it, then try again");
}

static err_t talk_failed(const struct talk *t, struct why *why)
{
    if (g_cancellable_is_cancelled(t->cancel))
        return fail(
            why, ERR_TIMEOUT,
            "the keyring did not answer within %d s: is it waiting for somebody to unlock it?",
            DEADLINE_S);
    if (g_error_matches(t->error, SECRET_ERROR, SECRET_ERROR_IS_LOCKED))
        return locked(why);
    return fail(why, ERR_UNAVAILABLE, "the keyring cannot be used: %s",
                t->error ? t->error->message : "no reason given");
}

/* Without an address GDBus would try to start a bus of its own. */
static err_t check_bus(struct why *why)
{
    const char *address = g_getenv("DBUS_SESSION_BUS_ADDRESS");
    const char *run = g_getenv("XDG_RUNTIME_DIR");
    g_autofree char *bus = run ? g_build_filename(run, "bus", NULL) : NULL;
    if ((address && *address) || (bus && g_file_test(bus, G_FILE_TEST_EXISTS)))
        return ERR_OK;
    return fail(why, ERR_UNAVAILABLE,
                "there is no D-Bus session, so no keyring: run inside the desktop session, or use "
                "keyfile, passphrase or systemd");
}

static err_t talk_begin(struct talk *t, const struct keysource_ask *ask, struct why *why)
{
    char store[2 * sizeof(ask->store_id) + 1];
    TRY(check_bus(why));
    hex_encode(ask->store_id, sizeof(ask->store_id), store);
    t->attributes =
        secret_attributes_build(&schema, "application", "credential-broker", "store", store, NULL);
    t->loop = g_main_loop_new(NULL, FALSE);
    t->cancel = g_cancellable_new();
    t->timer = g_timeout_add_seconds(DEADLINE_S, on_deadline, t);
    secret_service_get(SECRET_SERVICE_OPEN_SESSION, t->cancel, on_ready, t);
    t->service = secret_service_get_finish(talk_wait(t), &t->error);
    return t->service ? ERR_OK : talk_failed(t, why);
}

/* ---- items */

static void free_items(GList **items)
{
    g_list_free_full(*items, g_object_unref);
}

/* All items of this store, locked ones too, none of them unlocked. */
static err_t search(struct talk *t, GList **items, struct why *why)
{
    secret_service_search(t->service, &schema, t->attributes, SECRET_SEARCH_ALL, t->cancel,
                          on_ready, t);
    *items = secret_service_search_finish(t->service, talk_wait(t), &t->error);
    return t->error ? talk_failed(t, why) : ERR_OK;
}

/* Is the default collection there and open? Storing into a locked one would raise a prompt, and a
 * locked one does not always tell what it holds. */
static err_t check_default(struct talk *t, struct why *why)
{
    secret_collection_for_alias(t->service, SECRET_COLLECTION_DEFAULT, SECRET_COLLECTION_NONE,
                                t->cancel, on_ready, t);
    g_autoptr(SecretCollection) c = secret_collection_for_alias_finish(talk_wait(t), &t->error);
    if (t->error)
        return talk_failed(t, why);
    if (!c)
        return fail(
            why, ERR_UNAVAILABLE,
            "the keyring has no default collection: create one in the desktop's password manager");
    if (secret_collection_get_locked(c))
        return locked(why);
    return ERR_OK;
}

static err_t find_one(struct talk *t, SecretItem **item, struct why *why)
{
    AUTO(free_items) GList *items = NULL;
    TRY(search(t, &items, why));
    if (!items)
        TRY(check_default(t, why));
    if (!items)
        return fail(
            why, ERR_NOT_FOUND,
            "the keyring holds no key for this store: was it made by another user or session?");
    if (items->next)
        return fail(why, ERR_CONFLICT,
                    "the keyring holds several keys for this store: remove all but one");
    if (secret_item_get_locked(items->data))
        return locked(why);
    *item = g_object_ref(items->data);
    return ERR_OK;
}

static err_t decode_value(SecretValue *value, struct secret **key, struct why *why)
{
    gsize n = 0;
    const gchar *text = secret_value_get(value, &n);
    AUTO(auto_secret) struct secret *s = secret_new(KEYSOURCE_KEY_BYTES);
    if (!s)
        return fail(why, ERR_INTERNAL, "no secret memory left");
    if (n != HEX || !hex_decode(VIEW(text, n), secret_edit(s), KEYSOURCE_KEY_BYTES))
        return fail(why, ERR_CORRUPT, "the key in the keyring was changed: it is not %d hex digits",
                    HEX);
    *key = TAKE(s);
    return ERR_OK;
}

static err_t load_item(struct talk *t, SecretItem *item, struct secret **key, struct why *why)
{
    secret_item_load_secret(item, t->cancel, on_ready, t);
    if (!secret_item_load_secret_finish(item, talk_wait(t), &t->error))
        return talk_failed(t, why);
    SecretValue *value = secret_item_get_secret(item);
    if (!value)
        return locked(why);
    err_t e = decode_value(value, key, why);
    secret_value_unref(value); /* libsecret keeps it in locked memory and wipes it */
    return e;
}

static err_t store_item(struct talk *t, const char *label, const struct secret *key,
                        struct why *why)
{
    char hex[HEX + 1];
    hex_encode(secret_bytes(key), KEYSOURCE_KEY_BYTES, hex);
    SecretValue *value = secret_value_new(hex, HEX, "text/plain");
    wipe(hex, sizeof(hex));
    secret_service_store(t->service, &schema, t->attributes, SECRET_COLLECTION_DEFAULT, label,
                         value, t->cancel, on_ready, t);
    gboolean ok = secret_service_store_finish(t->service, talk_wait(t), &t->error);
    secret_value_unref(value);
    return ok ? ERR_OK : talk_failed(t, why);
}

/* ---- the row */

static err_t create_in(struct talk *t, const struct keysource_ask *ask, const char *label,
                       struct secret **key, struct why *why)
{
    AUTO(free_items) GList *items = NULL;
    TRY(talk_begin(t, ask, why));
    TRY(search(t, &items, why));
    if (items)
        return fail(why, ERR_EXISTS, "the keyring holds a key for this store already");
    TRY(check_default(t, why));
    AUTO(auto_secret) struct secret *s = secret_new(KEYSOURCE_KEY_BYTES);
    if (!s)
        return fail(why, ERR_INTERNAL, "no secret memory left");
    random_bytes(secret_edit(s), KEYSOURCE_KEY_BYTES);
    TRY(store_item(t, label, s, why));
    *key = TAKE(s);
    return ERR_OK;
}

static err_t keyring_create(const struct keysource_ask *ask, struct buf *params,
                            struct secret **key, struct why *why)
{
    AUTO(talk_end) struct talk t = {0};
    char label[KEYSOURCE_PARAMS_MAX + 1];
    TRY(params_text(ask->path.n ? ask->path : view_str(default_label),
                    "the label of the keyring item", label, why));
    if (!buf_reserve(params, strlen(label)))
        return fail(why, ERR_TOO_LARGE, "no room for the params");
    TRY(create_in(&t, ask, label, key, why));
    buf_add_str(params, label);
    return ERR_OK;
}

static err_t keyring_open(const struct keysource_ask *ask, struct secret **key, struct why *why)
{
    AUTO(talk_end) struct talk t = {0};
    g_autoptr(SecretItem) item = NULL;
    TRY(talk_begin(&t, ask, why));
    TRY(find_one(&t, &item, why));
    return load_item(&t, item, key, why);
}

static err_t keyring_remove(const struct keysource_ask *ask, struct why *why)
{
    AUTO(talk_end) struct talk t = {0};
    TRY(talk_begin(&t, ask, why));
    secret_service_clear(t.service, &schema, t.attributes, t.cancel, on_ready, &t);
    (void)secret_service_clear_finish(t.service, talk_wait(&t),
                                      &t.error); /* false: there was none */
    return t.error ? talk_failed(&t, why) : ERR_OK;
}

const struct keysource keyring_source = {
    .name = "keyring",
    .title = "the desktop keyring (Secret Service)",
    .create = keyring_create,
    .open = keyring_open,
    .remove = keyring_remove,
    .describe = params_describe,
};
