/*
 * Deliveries. Values go into the answer and nowhere else. Projected files lie in $RUN/<consumer>/files/<credential>/, a tmpfs unless the
 * configuration says otherwise, are replaced by rename and opened by ACL to the consumer's uids; several leases of one credential
 * share one file, and the last one to end takes it away.
 */
#include "vault/deliver.h"

#include "base/acl.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "vault/listen.h"
#include "vault/refresh.h"
#include "vault/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { MIN_LEFT_MS = 60000 };

unsigned deliver_possible(const struct credential *c)
{
    return provider_deliveries(c->provider, view_str(c->kind)) & c->ceiling;
}

err_t deliver_usable(const struct credential *c, enum delivery d, int64_t now_ms, struct why *why)
{
    bool short_lived = d != DELIVER_SECRET && c->expires_ms > 0;
    if (c->released)
        return fail(why, ERR_NEEDS_LOGIN,
                    "the login \"%s\" is changing hands; to finish: broker-cli release %s, or "
                    "broker-cli enroll --from-home",
                    c->name, c->name);
    /* what is still valid is still served */
    if (c->needs_login && (!short_lived || c->expires_ms - now_ms < MIN_LEFT_MS))
        return fail(why, ERR_NEEDS_LOGIN,
                    "the login \"%s\" no longer works; log in again: broker-cli login %s", c->name,
                    c->name);
    if (short_lived && c->expires_ms - now_ms < MIN_LEFT_MS)
        return fail(why, ERR_NEEDS_LOGIN,
                    "the access token of \"%s\" has ended; log in again: broker-cli login %s",
                    c->name, c->name);
    return ERR_OK;
}

static err_t mint(struct vault *v, const struct lease *l, struct buf *out, struct why *why)
{
    struct token_bind bind;
    lease_bind(l, &bind);
    return token_mint(v->keys.token, l->id, &bind, out, why);
}

/* ---- projected files */

/* Opens (making it) files/<credential> below the consumer's directory. */
static err_t open_file_dir(struct vault *v, const struct lease *l, int *out, struct why *why)
{
    const struct file_dir how = {.create = true, .mode = 0700, .forbidden = 0002};
    AUTO(auto_close) int files = -1;
    int base = listen_dir(v, l->consumer);
    if (base < 0)
        return fail(why, ERR_UNAVAILABLE, "the consumer has no directory");
    if (!v->config->files_on_disk && !file_is_memory_fs(base))
        return fail(why, ERR_UNAVAILABLE,
                    "%s is not on tmpfs, so no file is written there: choose a --run on tmpfs, or "
                    "set files_on_disk: true",
                    v->dirs->run);
    TRY(file_open_dir_at(base, "files", &how, &files, why));
    return file_open_dir_at(files, l->credential, &how, out, why);
}

/* Opens the file and the two directories above it to the consumer's uids, by ACL alone: a mode would open them to everybody. The file comes
 * last, so nobody waits before a door that is still shut. */
static err_t allow_consumer(struct vault *v, const struct lease *l, const char *rel,
                            struct why *why)
{
    const struct config_consumer *c = config_consumer(v->config, view_str(l->consumer));
    struct acl_rule rule = {.owner = ACL_R | ACL_W | ACL_X, .user = ACL_R | ACL_X};
    char path[512];
    int n = snprintf(path, sizeof(path), "%s/%s/", v->dirs->run, l->consumer);
    if (n < 0 || (size_t)n + strlen(rel) >= sizeof(path))
        return fail(why, ERR_INTERNAL, "the name of the projected file does not fit");
    if (!c || c->peer.uid.n == 0)
        return ERR_OK; /* the broker's own uid */
    rule.uid = c->peer.uid.id;
    rule.n = c->peer.uid.n;
    for (const char *end = strchr(rel, '/'); end; end = strchr(end + 1, '/')) {
        (void)snprintf(path + n, sizeof(path) - (size_t)n, "%.*s", (int)(end - rel), rel);
        TRY(acl_allow(path, &rule, why));
    }
    return ERR_OK;
}

/* The file can be read by its consumer from the first instant it is there. */
static err_t write_for_consumer(struct vault *v, const struct lease *l, int dir, const char *name,
                                struct view json, struct why *why)
{
    const struct config_consumer *c = config_consumer(v->config, view_str(l->consumer));
    struct acl_rule readers = {.owner = ACL_R | ACL_W, .user = ACL_R};
    if (!c || c->peer.uid.n == 0)
        return file_write_atomic_at(dir, name, json, 0600, why);
    readers.uid = c->peer.uid.id;
    readers.n = c->peer.uid.n;
    return file_write_atomic_for(dir, name, json, &readers, why);
}

static err_t write_projected(struct vault *v, struct lease *l, const struct provider *p,
                             struct view json, struct why *why)
{
    AUTO(auto_close) int dir = -1;
    char rel[sizeof(l->file)];
    int n = snprintf(rel, sizeof(rel), "files/%s/%s", l->credential, p->file_name);
    if (n < 0 || (size_t)n >= sizeof(rel))
        return fail(why, ERR_INTERNAL, "the name of the projected file does not fit");
    if (!l->file[0]) /* first, so that whatever fails behind, the lease's end takes the file away */
        TRY(lease_set_file(v->leases, l, rel, why));
    TRY(open_file_dir(v, l, &dir, why));
    TRY(allow_consumer(v, l, rel, why));
    TRY(write_for_consumer(v, l, dir, p->file_name, json, why));
    struct audit_record r = {.event = AUDIT_FILE_PROJECT,
                             .outcome = ERR_OK,
                             .consumer = l->consumer,
                             .credential = l->credential,
                             .lease = l->id_hex};
    server_note(v, &r);
    refresh_note_file(v, l->credential);
    return ERR_OK;
}

static err_t project(struct vault *v, struct lease *l, const struct credential *c,
                     const struct cred *cred, struct why *why)
{
    AUTO(buf_free) struct buf json = {.max = SECRET_MAX};
    if (!c->provider->project)
        return fail(why, ERR_CONFLICT, "provider %s has no file", c->provider->name);
    TRY(c->provider->project(cred, clock_wall_ms(), &json, why));
    TRY(buf_ok(&json, why));
    return write_projected(v, l, c->provider, buf_view(&json), why);
}

static void remove_file(struct vault *v, const char *consumer, const char *credential,
                        const char *rel)
{
    int base = listen_dir(v, consumer);
    char dir[128];
    (void)snprintf(dir, sizeof(dir), "files/%s", credential);
    if (base < 0)
        return;
    (void)unlinkat(base, rel, 0);
    (void)unlinkat(base, dir, AT_REMOVEDIR);
    (void)unlinkat(base, "files", AT_REMOVEDIR);
}

static bool file_shared(struct vault *v, const struct lease *gone)
{
    uint64_t cursor = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;)
        if (l != gone && l->file[0] && strcmp(l->consumer, gone->consumer) == 0 &&
            strcmp(l->file, gone->file) == 0)
            return true;
    return false;
}

void deliver_end(struct vault *v, const struct lease *l)
{
    if (!l->file[0] || file_shared(v, l))
        return;
    remove_file(v, l->consumer, l->credential, l->file);
    struct audit_record r = {.event = AUDIT_FILE_REMOVE,
                             .outcome = ERR_OK,
                             .consumer = l->consumer,
                             .credential = l->credential,
                             .lease = l->id_hex};
    server_note(v, &r);
}

void deliver_remove_all(struct vault *v)
{
    uint64_t cursor = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;)
        if (l->file[0])
            remove_file(v, l->consumer, l->credential, l->file);
}

static err_t refresh_one(struct vault *v, struct lease *l, const struct credential *c,
                         struct why *why)
{
    const struct cred *cred = NULL;
    TRY(credential_view(v->credentials, c, &cred, why));
    return project(v, l, c, cred, why);
}

void deliver_refresh(struct vault *v, const char *credential)
{
    const struct credential *c = credential_find(v->credentials, view_str(credential));
    uint64_t cursor = 0;
    for (struct lease *l; c && (l = lease_next(v->leases, &cursor)) != NULL;) {
        struct why why = {0};
        /* one without a file was not answered yet: it gets the new version */
        if (l->file[0] && strcmp(l->credential, credential) == 0 &&
            refresh_one(v, l, c, &why) != ERR_OK)
            log_event(LOG_LVL_WARN, "file.stale", "consumer", l->consumer, "credential", credential,
                      "why", why.text, NULL);
    }
}

void deliver_void(struct vault *v, const char *credential)
{
    const struct credential *c = credential_find(v->credentials, view_str(credential));
    uint64_t cursor = 0;
    for (struct lease *l; c && (l = lease_next(v->leases, &cursor)) != NULL;) {
        struct why why = {0};
        if (l->file[0] && strcmp(l->credential, credential) == 0 &&
            write_projected(v, l, c->provider, view_str("{}"), &why) != ERR_OK)
            log_event(LOG_LVL_WARN, "file.stale", "consumer", l->consumer, "credential", credential,
                      "why", why.text, NULL);
    }
}

void deliver_restore(struct vault *v)
{
    uint64_t cursor = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;) {
        struct why why = {0};
        const struct credential *c =
            l->file[0] ? credential_find(v->credentials, view_str(l->credential)) : NULL;
        int base = listen_dir(v, l->consumer);
        if (!c || base < 0 || faccessat(base, l->file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        if (refresh_one(v, l, c, &why) != ERR_OK)
            log_event(LOG_LVL_WARN, "file.missing", "consumer", l->consumer, "credential",
                      l->credential, "why", why.text, NULL);
    }
}

/* ---- the lease object */

static const char *env_of(const struct credential *c, const struct cred *cred, char out[129])
{
    if (cred && cred_has(cred, CF_ENV) && view_copy(cred->f[CF_ENV], out, 129))
        return out;
    return strcmp(c->kind, "api_key") == 0 ? c->provider->env_secret : c->provider->env_token;
}

void deliver_field(struct jsonw *w, const struct cred *cred, enum cred_field f, const char *key)
{
    if (cred_has(cred, f))
        jsonw_view(w, key, cred->f[f]);
    else
        jsonw_null(w, key);
}

static void write_head(struct jsonw *w, const struct lease *l, const struct credential *c)
{
    jsonw_str(w, "id", l->id_hex);
    jsonw_str(w, "credential", l->credential);
    jsonw_str(w, "provider", c ? c->provider->name : NULL);
    jsonw_str(w, "kind", c ? c->kind : NULL);
    jsonw_str(w, "deliver", delivery_name(l->delivery));
    jsonw_str(w, "file", l->file[0] ? l->file : NULL);
    jsonw_str(w, "proxy_socket", l->delivery == DELIVER_PROXY ? "proxy.sock" : NULL);
    jsonw_int(w, "issued_at_ms", l->issued_wall_ms);
    jsonw_int(w, "expires_at_ms", l->expires_wall_ms);
    jsonw_int(w, "max_expires_at_ms", l->max_wall_ms);
    if (l->limited_uses)
        jsonw_int(w, "uses_left", (int64_t)l->uses_left);
    else
        jsonw_null(w, "uses_left");
    jsonw_str(w, "owner", l->owner_process ? "process" : "none");
    jsonw_str(w, "state", "live");
}

static err_t write_released(struct vault *v, struct lease *l, const struct credential *c,
                            struct jsonw *w, struct why *why)
{
    AUTO(buf_free) struct buf value = {.max = SECRET_MAX}, token = {.max = TOKEN_MAX_TEXT};
    const struct cred *cred = NULL;
    char env[129];
    bool file = l->delivery == DELIVER_FILE, proxy = l->delivery == DELIVER_PROXY;
    if (!c)
        return fail(why, ERR_NOT_FOUND, "the credential was removed");
    TRY(credential_view(v->credentials, c, &cred, why));
    if (file)
        TRY(project(v, l, c, cred, why));
    else if (proxy) /* can it be used that way at all? Nothing of it goes into the answer */
        TRY(route_build(v, c, cred, &value, why));
    else
        TRY(c->provider->release(cred, l->delivery, clock_wall_ms(), &value, why));
    TRY(mint(v, l, &token, why));
    write_head(w, l, c);
    jsonw_view(w, "token", buf_view(&token));
    if (file || proxy)
        jsonw_null(w, "secret");
    else
        jsonw_view(w, "secret", buf_view(&value));
    jsonw_str(w, "file_name", file ? c->provider->file_name : NULL);
    static const struct cred nothing;
    const struct cred *told = proxy ? &nothing : cred;
    jsonw_str(w, "env", env_of(c, cred, env));
    deliver_field(w, told, CF_USERNAME, "username");
    deliver_field(w, cred, CF_ORIGIN, "origin");
    deliver_field(w, told, CF_ACCOUNT, "account");
    if (c->expires_ms && !proxy)
        jsonw_int(w, "secret_expires_at_ms", c->expires_ms);
    else
        jsonw_null(w, "secret_expires_at_ms");
    return ERR_OK;
}

err_t deliver_lease(struct vault *v, struct lease *l, bool released, struct jsonw *w,
                    struct why *why)
{
    const struct credential *c = credential_find(v->credentials, view_str(l->credential));
    jsonw_open(w, NULL, '{');
    if (released)
        TRY(write_released(v, l, c, w, why));
    else
        write_head(w, l, c);
    jsonw_close(w, '}');
    return ERR_OK;
}

err_t deliver_lease_admin(struct vault *v, const struct lease *l, struct jsonw *w, struct why *why)
{
    (void)why;
    jsonw_open(w, NULL, '{');
    jsonw_str(w, "consumer", l->consumer);
    jsonw_int(w, "uid", l->uid);
    jsonw_int(w, "pid", l->pid);
    write_head(w, l, credential_find(v->credentials, view_str(l->credential)));
    jsonw_close(w, '}');
    return ERR_OK;
}
