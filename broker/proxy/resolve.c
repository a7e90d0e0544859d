/*
 * Names to addresses: literals at once, fresh answers from the cache, else one question per name for
 * all who wait. Entries are few and bounded; the one unused for longest makes room, unless somebody
 * waits on it. Invariant: an entry that is asking or calling back is never freed, and a waiter
 * leaves its list before it is called, so callbacks may start and cancel what they like.
 */
#include "proxy/resolve.h"
#include "base/auto.h"
#include "base/clock.h"
#include "proxy/host.h"
#include "proxy/resolve_channel.h"

#include <string.h>
#include <sys/queue.h>

enum { ENTRIES_MAX = 128, TTL_MIN_S = 1, TTL_MAX_S = 3600 };

struct resolve_query {
    resolve_fn *fn;
    void *ctx;
    uint16_t port;
    LIST_ENTRY(resolve_query) link;
};
LIST_HEAD(waiting, resolve_query);

struct entry {
    struct resolver *resolver;
    char name[HOST_TEXT_MAX + 1];
    bool asking, calling;
    int64_t until_ms; /* the answer holds */
    struct resolved answer;
    err_t failure; /* of the last question, when it brought no answer */
    struct why why;
    struct waiting waiting;
    struct loop_timer *deadline;
    TAILQ_ENTRY(entry) link;
};
TAILQ_HEAD(entries, entry);

struct resolver {
    struct loop *loop;
    struct channel *channel;
    struct entries entries; /* last used first */
    unsigned n_entries;
};

static void set_ports(struct resolved *r, uint16_t port)
{
    for (unsigned i = 0; i < r->n; i++)
        address_set_port(&r->address[i], port);
}

static void call(resolve_fn *fn, void *ctx, const struct resolved *answer, uint16_t port)
{
    struct resolved r = *answer;
    set_ports(&r, port);
    fn(ctx, ERR_OK, &r, &(struct why){0});
}

static void answer(const struct entry *e, resolve_fn *fn, void *ctx, uint16_t port)
{
    struct why why = e->why; /* the entry may be asked again inside the callback */
    if (e->failure == ERR_OK)
        call(fn, ctx, &e->answer, port);
    else
        fn(ctx, e->failure, NULL, &why);
}

static void refuse(resolve_fn *fn, void *ctx, const char *reason)
{
    struct why why = {0};
    err_t e = fail(&why, ERR_UNAVAILABLE, "%s", reason);
    fn(ctx, e, NULL, &why);
}

/* ---- entries */

static void entry_free(struct entry *e)
{
    struct resolve_query *q;
    TAILQ_REMOVE(&e->resolver->entries, e, link);
    e->resolver->n_entries--;
    while ((q = LIST_FIRST(&e->waiting))) {
        LIST_REMOVE(q, link);
        free(q);
    }
    loop_timer_free(e->deadline);
    free(e);
}

static struct entry *find(struct resolver *r, const char *name)
{
    struct entry *e = TAILQ_FIRST(&r->entries);
    while (e && strcmp(e->name, name) != 0)
        e = TAILQ_NEXT(e, link);
    if (!e)
        return NULL;
    TAILQ_REMOVE(&r->entries, e, link);
    TAILQ_INSERT_HEAD(&r->entries, e, link);
    return e;
}

static bool make_room(struct resolver *r)
{
    struct entry *e = TAILQ_LAST(&r->entries, entries);
    if (r->n_entries < ENTRIES_MAX)
        return true;
    while (e && (e->asking || e->calling))
        e = TAILQ_PREV(e, entries, link);
    if (e)
        entry_free(e);
    return e;
}

/* Tells all who wait now; who comes meanwhile waits for the next answer. */
static void tell(struct entry *e)
{
    struct waiting told = LIST_HEAD_INITIALIZER(told);
    struct resolve_query *q = LIST_FIRST(&e->waiting);
    if (!q)
        return;
    LIST_FIRST(&told) = q;
    q->link.le_prev = &LIST_FIRST(&told);
    LIST_INIT(&e->waiting);
    e->calling = true;
    while ((q = LIST_FIRST(&told))) {
        struct resolve_query now = *q;
        LIST_REMOVE(q, link);
        free(q);
        answer(e, now.fn, now.ctx, now.port);
    }
    e->calling = false;
}

static void on_answer(void *ctx, err_t err, const struct resolved *r, int ttl_s)
{
    struct entry *e = ctx;
    e->asking = false;
    loop_timer_cancel(e->deadline);
    e->failure = err;
    if (err == ERR_OK) {
        int64_t s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
        e->answer = *r;
        e->until_ms = clock_boot_ms() + s * 1000;
    } else if (err == ERR_TIMEOUT) {
        e->failure = fail(&e->why, ERR_TIMEOUT, "no name server answers for %s", e->name);
    } else {
        e->failure = fail(&e->why, ERR_UNAVAILABLE,
                          err == ERR_NOT_FOUND ? "the name %s has no address"
                                               : "the name %s cannot be resolved",
                          e->name);
    }
    tell(e);
}

/* c-ares goes on, and its late answer still is of use to whoever asks next. */
static void on_deadline(void *ctx)
{
    struct entry *e = ctx;
    e->failure = fail(&e->why, ERR_TIMEOUT, "the name %s was not resolved in time", e->name);
    tell(e);
}

static struct entry *entry_new(struct resolver *r, const char *name)
{
    struct entry *e = make_room(r) ? calloc(1, sizeof(*e)) : NULL;
    if (!e)
        return NULL;
    if (loop_timer_new(r->loop, on_deadline, e, &e->deadline) != ERR_OK) {
        free(e);
        return NULL;
    }
    e->resolver = r;
    LIST_INIT(&e->waiting);
    (void)snprintf(e->name, sizeof(e->name), "%s", name);
    TAILQ_INSERT_HEAD(&r->entries, e, link);
    r->n_entries++;
    return e;
}

/* ---- asking */

static struct resolve_query *wait_on(struct entry *e, uint16_t port, resolve_fn *fn, void *ctx)
{
    struct resolve_query *q = e ? malloc(sizeof(*q)) : NULL;
    if (!q)
        return NULL;
    *q = (struct resolve_query){.fn = fn, .ctx = ctx, .port = port};
    LIST_INSERT_HEAD(&e->waiting, q, link);
    return q;
}

static void ask(struct entry *e)
{
    e->asking = true;
    (void)!loop_timer_set(e->deadline, clock_boot_ms() + RESOLVE_TIMEOUT_MS);
    channel_ask(e->resolver->channel, e->name, on_answer, e);
}

/* The entry of a name, asked for when there is no fresh answer; NULL: no room. */
static struct entry *entry_of(struct resolver *r, const char *name)
{
    struct entry *e = find(r, name);
    e = e ? e : entry_new(r, name);
    if (e && !e->asking && (e->failure != ERR_OK || clock_boot_ms() >= e->until_ms))
        ask(e);
    return e;
}

void resolve_start(struct resolver *r, struct view host, uint16_t port, resolve_fn *fn, void *ctx,
                   struct resolve_query **out)
{
    struct host h;
    *out = NULL;
    if (!host_parse(host, &h)) {
        refuse(fn, ctx, "the upstream's host is no host name");
        return;
    }
    if (h.literal) {
        call(fn, ctx, &(struct resolved){.address = {h.address}, .n = 1}, port);
        return;
    }
    struct entry *e = entry_of(r, h.text);
    if (e && !e->asking) {
        answer(e, fn, ctx, port);
        return;
    }
    *out = wait_on(e, port, fn, ctx);
    if (!*out)
        refuse(fn, ctx, "too many names are being resolved");
}

void resolve_cancel(struct resolve_query *q)
{
    if (!q)
        return;
    LIST_REMOVE(q, link);
    free(q);
}

/* ---- the resolver */

static void auto_resolver(struct resolver **r)
{
    resolver_free(*r);
}

err_t resolver_new_at(struct loop *l, const char *servers, struct resolver **out, struct why *why)
{
    AUTO(auto_resolver) struct resolver *r = calloc(1, sizeof(*r));
    if (!r)
        return fail(why, ERR_INTERNAL, "out of memory");
    r->loop = l;
    TAILQ_INIT(&r->entries);
    TRY(channel_new(l, servers, &r->channel, why));
    *out = TAKE(r);
    return ERR_OK;
}

err_t resolver_new(struct loop *l, struct resolver **out, struct why *why)
{
    return resolver_new_at(l, NULL, out, why);
}

void resolver_free(struct resolver *r)
{
    struct entry *e;
    if (!r)
        return;
    channel_free(r->channel); /* first: its questions point at entries */
    while ((e = TAILQ_FIRST(&r->entries)))
        entry_free(e);
    free(r);
}
