/*
 * Which logins there are to renew, when each is due, and what a crash left. An entry per login, made when the store is opened or a login is
 * enrolled; facts about a version are forgotten when there is a newer one. The tick looks at due times only: no credential is opened for it.
 */
#include "vault/refresh_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/seal.h"
#include "vault/deliver.h"

#include <stdlib.h>
#include <string.h>

enum { MINUTE = 60000, MIN_LEFT_MS = MINUTE, PER_TICK = 2048, FILE_PAUSE_MS = 10000 };
/* What a projected file shall have left, and the life from which on that can be had (CLIENTS.md: runs of DeerFlow; the CLI's own margin). */
static const struct {
    int64_t life_ms, left_ms;
} margins[] = {{45 * MINUTE, 36 * MINUTE}, {10 * MINUTE, 6 * MINUTE}};

struct refresh_journal refresh_journal_of(const struct vault *v)
{
    return (struct refresh_journal){
        .dirfd = v->refreshes->dirfd, .key = v->keys.refresh, .store_id = v->keys.header.store_id};
}

/* ---- entries */

static bool is_login(const struct credential *c)
{
    return strcmp(c->kind, "login") == 0 && oauth_row(c->provider);
}

static struct refresh **bucket_of(struct refreshes *all, const uint8_t id[SEAL_ID])
{
    return &all->bucket[(id[0] | id[1] << 8) % REFRESH_BUCKETS];
}

static struct refresh *find(const struct vault *v, const uint8_t id[SEAL_ID])
{
    struct refresh *r = v->refreshes ? *bucket_of(v->refreshes, id) : NULL;
    while (r && memcmp(r->id, id, SEAL_ID) != 0)
        r = r->alike;
    return r;
}

static int64_t since_of(const struct credential *c)
{
    return c->replaced_ms ? c->replaced_ms : c->created_ms;
}

static int64_t due_of(const struct refresh *r, const struct credential *c)
{
    int64_t since = since_of(c);
    int64_t life = c->expires_ms - since;
    uint32_t random = 0;
    if (!c->expires_ms || c->needs_login || c->no_refresh)
        return 0;
    if (life <= 0)
        return since;
    random_bytes(&random, sizeof(random));
    int64_t due = since + life / 5 * 4 - life / 20 * (int64_t)(random % 1000) / 1000;
    int64_t of_use =
        c->expires_ms - MIN_LEFT_MS - MINUTE / 2; /* behind it nobody is given the token */
    if (due > of_use)
        due = of_use > since + life / 2 ? of_use : since + life / 2;
    for (size_t i = 0; r->files && i < COUNT(margins); i++)
        if (life >= margins[i].life_ms && due > c->expires_ms - margins[i].left_ms)
            due = c->expires_ms - margins[i].left_ms;
    return due;
}

void refresh_follow(struct refresh *r, const struct credential *c)
{
    if (r->version == c->version)
        return;
    r->version = c->version;
    r->voided = false;
    r->due_ms = due_of(r, c);
    r->not_before_ms = 0;
    r->failures = 0;
    r->why[0] = '\0';
}

struct refresh *refresh_of(struct vault *v, const struct credential *c)
{
    struct refresh *r = find(v, c->id);
    if (r || !v->refreshes || !is_login(c))
        return r;
    r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->v = v;
    memcpy(r->id, c->id, SEAL_ID);
    memcpy(r->name, c->name, sizeof(r->name));
    r->next = v->refreshes->all;
    r->back = &v->refreshes->all;
    if (r->next)
        r->next->back = &r->next;
    v->refreshes->all = r;
    struct refresh **bucket = bucket_of(v->refreshes, c->id);
    r->alike = *bucket;
    *bucket = r;
    refresh_follow(r, c);
    return r;
}

const struct credential *refresh_credential(const struct refresh *r)
{
    const struct credential *c =
        r->v->credentials ? credential_find(r->v->credentials, view_str(r->name)) : NULL;
    return c && memcmp(c->id, r->id, SEAL_ID) == 0 ? c : NULL;
}

static void on_stranded(void *ctx)
{
    struct vault *v = ctx;
    parked_wake(v, &v->stranded);
}

/* Who waits when the store is closed is told so, in a turn of its own: the closing may stand in the middle of another answer. */
static void strand(struct refresh *r)
{
    struct vault *v = r->v;
    if (!r->waiting || v->stopping)
        return;
    parked_join(&v->stranded, &r->waiting);
    v->stranded_wake.fn = on_stranded;
    v->stranded_wake.ctx = v;
    loop_later(v->loop, &v->stranded_wake);
}

static void free_entry(struct refresh *r)
{
    strand(r);
    oauthcall_drop(r->v, r);
    loop_never(&r->wake);
    parked_free(&r->waiting);
    secret_free(r->uncommitted);
    free(r);
}

/* ---- what changes outside */

static void remove_entry(struct vault *v, struct refresh *gone)
{
    struct refresh_journal j = refresh_journal_of(v);
    struct refresh **at;
    *gone->back = gone->next;
    if (gone->next)
        gone->next->back = gone->back;
    for (at = bucket_of(v->refreshes, gone->id); *at != gone;)
        at = &(*at)->alike;
    *at = gone->alike;
    if (v->refreshes->looked == gone)
        v->refreshes->looked = gone->next;
    refresh_journal_end(&j, gone->id);
    free_entry(gone);
}

void refresh_note_change(struct vault *v, const char *name)
{
    const struct credential *c = credential_find(v->credentials, view_str(name));
    struct refresh *r = c ? refresh_of(v, c) : NULL;
    if (!r)
        return;
    refresh_follow(r, c);
    if (!r->due_ms) /* it was held, and is let go */
        r->due_ms = due_of(r, c);
}

void refresh_note_file(struct vault *v, const char *name)
{
    const struct credential *c = credential_find(v->credentials, view_str(name));
    struct refresh *r = c ? refresh_of(v, c) : NULL;
    if (!r || r->files)
        return;
    r->files = true;
    r->due_ms = due_of(r, c);
}

void refresh_note_accepted(struct vault *v, const char *name, uint64_t version)
{
    const struct credential *c = credential_find(v->credentials, view_str(name));
    struct refresh *r = c ? find(v, c->id) : NULL;
    if (r && c->version == version)
        r->accepted = version;
}

/* ---- the tick */

static void try_again(struct refresh *r, const struct credential *c, int64_t now_ms)
{
    struct why why = {0};
    bool left_over = r->journaled || r->uncommitted; /* the outcome of a run is still open */
    bool waits = r->files && c->expires_ms && c->expires_ms - now_ms < MIN_LEFT_MS &&
                 now_ms - since_of(c) > FILE_PAUSE_MS;
    bool due = (r->due_ms && r->due_ms <= now_ms) || waits;
    if (r->running || c->needs_login || c->no_refresh || (!due && !left_over) ||
        r->not_before_ms > clock_boot_ms())
        return;
    if (refresh_begin(r, left_over ? r->cause : REFRESH_EARLY, NULL, &why) != ERR_OK &&
        r->not_before_ms <= clock_boot_ms())
        r->not_before_ms = clock_boot_ms() + MINUTE; /* it could not even be recorded */
}

/* Files with a token that is no use any more say nothing instead. */
static void void_files(struct refresh *r, const struct credential *c, int64_t now_ms)
{
    if (!r->files || r->voided || !c->expires_ms || c->expires_ms - now_ms >= MIN_LEFT_MS)
        return;
    r->voided = true;
    deliver_void(r->v, c->name);
}

static void look_at(struct vault *v, struct refresh *r, int64_t now_ms)
{
    const struct credential *c = refresh_credential(r);
    parked_wake_late(v, &r->waiting);
    if (c) {
        try_again(r, c, now_ms);
        void_files(r, c, now_ms);
    } else if (!r->running && !r->waiting) {
        remove_entry(v, r);
    }
}

/* A part of many: what is due in a store of 100,000 logins begins within half a minute, and nobody waits for the looking. */
void refreshes_tick(struct vault *v)
{
    struct refreshes *all = v->refreshes;
    int64_t now_ms = clock_wall_ms();
    if (!all || v->state != VAULT_READY)
        return;
    struct refresh *r = all->looked ? all->looked : all->all;
    for (unsigned n = 0; r && n < PER_TICK; n++, r = all->looked) {
        all->looked = r->next;
        look_at(v, r, now_ms);
    }
    all->looked = r;
}

/* ---- beginning and end */

struct recovery {
    struct vault *v;
    unsigned open;
};

/* What is void: its credential is gone, or the new version was committed before the crash. */
static const struct credential *still_open(struct vault *v, const struct refresh_entry *e)
{
    const struct credential *c = credential_find(v->credentials, view_str(e->name));
    bool same = c && memcmp(c->id, e->id, SEAL_ID) == 0 && c->version == e->version;
    return same && !c->needs_login ? c : NULL;
}

static void recover(void *ctx, const uint8_t id[SEAL_ID])
{
    struct recovery *k = ctx;
    AUTO(refresh_entry_clear) struct refresh_entry e = {0};
    struct refresh_journal j = refresh_journal_of(k->v);
    struct why why = {0};
    err_t read = refresh_journal_read(&j, id, &e, &why);
    const struct credential *c = read == ERR_OK ? still_open(k->v, &e) : NULL;
    struct refresh *r = c ? refresh_of(k->v, c) : NULL;
    if (!r) {
        if (read == ERR_OK || read == ERR_CORRUPT)
            refresh_journal_end(&j, id);
        return;
    }
    r->journaled = true;
    r->has_raw = r->raw_in_file = e.has_raw;
    r->doubtful = !e.has_raw;
    r->run_version = c->version;
    r->cause = REFRESH_RECOVERY;
    k->open++;
    log_event(LOG_LVL_WARN, "refresh.recovered", "credential", c->name, "found",
              e.has_raw ? "an answer that was kept" : "a request whose answer is not known", NULL);
}

static err_t open_dir(struct vault *v, struct why *why)
{
    const struct file_dir own = {.create = true, .mode = 0700, .forbidden = 0077};
    v->refreshes = calloc(1, sizeof(*v->refreshes));
    if (!v->refreshes)
        return fail(why, ERR_INTERNAL, "out of memory");
    v->refreshes->dirfd = -1;
    return file_open_dir_at(v->state_fd, "refresh", &own, &v->refreshes->dirfd, why);
}

static void note_files(struct vault *v)
{
    uint64_t cursor = 0;
    for (struct lease *l; (l = lease_next(v->leases, &cursor)) != NULL;)
        if (l->file[0])
            refresh_note_file(v, l->credential);
}

void refreshes_open(struct vault *v)
{
    struct why why = {0};
    struct recovery k = {.v = v};
    refreshes_close(v);
    err_t e = open_dir(v, &why);
    if (e == ERR_OK) {
        struct refresh_journal j = refresh_journal_of(v);
        for (const struct credential *c = credential_next(v->credentials, ""); c;
             c = credential_next(v->credentials, c->name))
            (void)refresh_of(v, c);
        note_files(v);
        e = refresh_journal_each(&j, recover, &k, &why);
    }
    if (e == ERR_OK)
        return;
    log_event(LOG_LVL_ERROR, "refresh.closed", "why", why.text, "effect",
              "no login is renewed until the store is opened again", NULL);
    refreshes_close(v);
}

void refreshes_close(struct vault *v)
{
    struct refreshes *all = v->refreshes;
    if (!all)
        return;
    while (all->all) {
        struct refresh *r = all->all;
        all->all = r->next;
        free_entry(r);
    }
    auto_close(&all->dirfd);
    free(all);
    v->refreshes = NULL;
}

/* ---- what an operator sees */

void refresh_look(struct vault *v, const struct credential *c, struct refresh_view *out)
{
    struct refresh *r = refresh_of(v, c);
    *out = (struct refresh_view){.why = ""};
    if (!r)
        return;
    out->renewable = !c->no_refresh;
    out->running = r->running;
    out->doubtful = r->doubtful;
    out->failures = r->failures;
    out->last_ms = r->last_ms;
    out->why = r->why;
    if (!out->renewable || c->needs_login)
        return;
    int64_t in_ms = r->not_before_ms - clock_boot_ms();
    out->next_ms = in_ms > 0 ? clock_wall_ms() + in_ms : r->due_ms;
}

struct refresh_counts refresh_counts(const struct vault *v)
{
    struct refresh_counts count = {0};
    if (!v->refreshes)
        return count;
    count = v->refreshes->count;
    for (const struct refresh *r = v->refreshes->all; r; r = r->next)
        count.running += r->running;
    return count;
}
