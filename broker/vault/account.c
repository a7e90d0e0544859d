/*
 * Accounts. Invariants: what was used of a window only grows while the window lasts; a clock that seems to have gone back renews nothing;
 * a budget whose period was changed keeps what was used until the old window is over. Amounts saturate at BUDGET_AMOUNT_MAX.
 */
#include "vault/account.h"

#include "base/auto.h"

#include <inttypes.h>
#include <string.h>

enum { CONCURRENT_RETRY_MS = 1000, FIRST_SLOTS = 4 * ACCOUNTS_PER_PART };

/* ---- the set */

static struct account **bucket_of(const struct accounts *as, const char *consumer,
                                  const char *credential)
{
    uint32_t h = 2166136261u; /* FNV-1a: names are the operator's own */
    for (const char *p = consumer; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    h = (h ^ '/') * 16777619u;
    for (const char *p = credential; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    return (struct account **)(uintptr_t)&as->bucket[(h ^ h >> 16) % ACCOUNT_BUCKETS];
}

void accounts_clear(struct accounts *as)
{
    for (unsigned i = 0; i < as->n_slots; i++)
        free(as->slot[i]);
    free(as->slot);
    free(as->dirty);
    *as = (struct accounts){0};
}

struct account *account_find(const struct accounts *as, const char *consumer,
                             const char *credential)
{
    for (struct account *a = *bucket_of(as, consumer, credential); a; a = a->next)
        if (strcmp(a->consumer, consumer) == 0 && strcmp(a->credential, credential) == 0)
            return a;
    return NULL;
}

static bool grow(struct accounts *as, unsigned slots)
{
    unsigned n = as->n_slots ? as->n_slots : FIRST_SLOTS;
    while (n < slots)
        n *= 2;
    struct account **slot = reallocarray(as->slot, n, sizeof(struct account *));
    if (slot)
        as->slot = slot;
    uint8_t *dirty = slot ? realloc(as->dirty, n / ACCOUNTS_PER_PART + 1) : NULL;
    if (!dirty)
        return false;
    as->dirty = dirty;
    unsigned parts = as->n_slots ? as->n_slots / ACCOUNTS_PER_PART + 1 : 0;
    memset(slot + as->n_slots, 0, (n - as->n_slots) * sizeof(struct account *));
    memset(dirty + parts, 0, n / ACCOUNTS_PER_PART + 1 - parts);
    as->n_slots = n;
    return true;
}

struct account *account_place(struct accounts *as, unsigned slot, const char *consumer,
                              const char *credential)
{
    if (slot >= ACCOUNTS_MAX || account_find(as, consumer, credential) ||
        (slot >= as->n_slots && !grow(as, slot + 1)) || as->slot[slot])
        return NULL;
    struct account *a = calloc(1, sizeof(*a));
    if (!a || !view_copy(view_str(consumer), a->consumer, sizeof(a->consumer)) ||
        !view_copy(view_str(credential), a->credential, sizeof(a->credential))) {
        free(a);
        return NULL;
    }
    struct account **at = bucket_of(as, consumer, credential);
    a->slot = slot;
    a->next = *at;
    *at = a;
    as->slot[slot] = a;
    return a;
}

struct account *account_of(struct accounts *as, const char *consumer, const char *credential)
{
    unsigned slot = 0;
    struct account *a = account_find(as, consumer, credential);
    if (a)
        return a;
    while (slot < as->n_slots && as->slot[slot])
        slot++;
    a = account_place(as, slot, consumer, credential);
    if (a)
        a->presumed = as->suspect;
    return a;
}

static void mark(struct accounts *as, const struct account *a)
{
    uint8_t *dirty = &as->dirty[a->slot / ACCOUNTS_PER_PART];
    as->n_dirty += !*dirty;
    *dirty = 1;
}

static bool is_over(const struct account *a, int64_t now_ms)
{
    bool over = a->running == 0 && !a->presumed;
    for (unsigned k = 0; over && k < BUDGET_KINDS; k++)
        over = a->window[k].used == 0 || a->window[k].start_ms + a->window[k].period_ms <= now_ms;
    return over;
}

void accounts_sweep(struct accounts *as, int64_t now_ms)
{
    for (unsigned i = 0; i < as->n_slots; i++) {
        struct account *a = as->slot[i];
        if (!a || !is_over(a, now_ms))
            continue;
        struct account **at = bucket_of(as, a->consumer, a->credential);
        while (*at != a)
            at = &(*at)->next;
        *at = a->next;
        as->slot[i] = NULL;
        mark(as, a);
        free(a);
    }
}

/* ---- windows */

struct account_window account_look(const struct account *a, enum budget_kind k,
                                   const struct budget_limit *l, int64_t now_ms)
{
    struct account_window w = a->window[k];
    int64_t start = now_ms - now_ms % l->period_ms;
    if (w.period_ms == 0) {
        w.used = a->presumed ? l->amount : 0;
        w.start_ms = start;
    } else if (now_ms >= w.start_ms + w.period_ms) {
        w.used = 0;
        w.start_ms = start;
    } else if (w.period_ms != l->period_ms) {
        w.start_ms = start;
    }
    w.period_ms = l->period_ms;
    return w;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return b > BUDGET_AMOUNT_MAX || a > BUDGET_AMOUNT_MAX - b ? BUDGET_AMOUNT_MAX : a + b;
}

static const char *period_text(const struct budget_limit *l, char out[32])
{
    (void)snprintf(out, 32, "%" PRId64 " s", l->period_ms / 1000);
    return out;
}

static err_t spent(enum budget_kind k, const struct budget_limit *l, struct why *why)
{
    char period[32];
    if (k == BUDGET_COST)
        return fail(why, ERR_LIMIT,
                    "the budget of $%" PRIu64 ".%02" PRIu64 " in %s is spent: wait, or ask the "
                    "operator for more",
                    l->amount / 1000000, l->amount % 1000000 / 10000, period_text(l, period));
    return fail(why, ERR_LIMIT,
                "the budget of %" PRIu64 " %s%s in %s is spent: wait, or ask the operator for more",
                l->amount, budget_name(k), k == BUDGET_INPUT || k == BUDGET_OUTPUT ? " tokens" : "",
                period_text(l, period));
}

/* What is presumed becomes a fact of the present window, so that it is over when that is. */
static void settle(struct accounts *as, struct account *a, const struct budget *limits,
                   int64_t now_ms)
{
    for (unsigned k = 0; k < BUDGET_KINDS; k++)
        if (limits->limit[k].amount && a->window[k].period_ms == 0) {
            a->window[k] = account_look(a, (enum budget_kind)k, &limits->limit[k], now_ms);
            mark(as, a);
        }
}

err_t account_check(struct accounts *as, struct account *a, const struct budget *limits,
                    int64_t now_ms, int64_t *retry_ms, struct why *why)
{
    if (a->presumed)
        settle(as, a, limits, now_ms);
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        const struct budget_limit *l = &limits->limit[k];
        if (l->amount == 0)
            continue;
        struct account_window w = account_look(a, (enum budget_kind)k, l, now_ms);
        if (w.used < l->amount)
            continue;
        *retry_ms = w.start_ms + w.period_ms - now_ms;
        return spent((enum budget_kind)k, l, why);
    }
    if (limits->concurrent == 0 || a->running < limits->concurrent)
        return ERR_OK;
    *retry_ms = CONCURRENT_RETRY_MS;
    return fail(why, ERR_LIMIT, "%u requests of this grant are running, its maximum: let one end",
                a->running);
}

void account_begin(struct accounts *as, struct account *a, const struct budget *limits,
                   int64_t now_ms)
{
    const struct budget_limit *l = &limits->limit[BUDGET_REQUESTS];
    a->running++;
    if (l->amount == 0)
        return;
    a->window[BUDGET_REQUESTS] = account_look(a, BUDGET_REQUESTS, l, now_ms);
    a->window[BUDGET_REQUESTS].used = add(a->window[BUDGET_REQUESTS].used, 1);
    mark(as, a);
}

void account_end(struct account *a)
{
    a->running -= a->running > 0;
}

unsigned account_headroom(const struct account *a, const struct budget *limits, int64_t now_ms,
                          unsigned most)
{
    if (a->presumed || (limits->concurrent && a->running >= limits->concurrent / 16))
        return 0;
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        const struct budget_limit *l = &limits->limit[k];
        if (l->amount == 0)
            continue;
        uint64_t used = account_look(a, (enum budget_kind)k, l, now_ms).used;
        uint64_t left = used < l->amount ? l->amount - used : 0;
        if (k == BUDGET_REQUESTS)
            most = left / 64 < most ? (unsigned)(left / 64) : most;
        else if (left < l->amount / 16)
            return 0;
    }
    return most;
}

int64_t account_reserve(struct accounts *as, struct account *a, const struct budget *limits,
                        unsigned n, int64_t now_ms)
{
    const struct budget_limit *l = &limits->limit[BUDGET_REQUESTS];
    struct account_window *w = &a->window[BUDGET_REQUESTS];
    if (l->amount == 0 || n == 0)
        return -1;
    *w = account_look(a, BUDGET_REQUESTS, l, now_ms);
    w->used = add(w->used, n);
    mark(as, a);
    return w->start_ms;
}

void account_give_back(struct accounts *as, struct account *a, unsigned n, int64_t reserved)
{
    struct account_window *w = &a->window[BUDGET_REQUESTS];
    if (n == 0 || reserved < 0 || w->period_ms == 0 || w->start_ms != reserved)
        return;
    w->used -= w->used < n ? w->used : n;
    mark(as, a);
}

/* What is read from a cache costs, but is no token of the budget: most of an agent's tokens are, again and again. */
static uint64_t amount_of(const struct account_spent *s, enum budget_kind k)
{
    switch (k) {
    case BUDGET_TOKENS:
        return add(add(s->input, s->cache_write), s->output);
    case BUDGET_INPUT:
        return add(s->input, s->cache_write);
    case BUDGET_OUTPUT:
        return s->output;
    case BUDGET_COST:
        return s->cost;
    default:
        return 0;
    }
}

enum budget_kind account_charge(struct accounts *as, struct account *a, const struct budget *limits,
                                const struct account_spent *more, int64_t now_ms)
{
    enum budget_kind first = BUDGET_KINDS;
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        const struct budget_limit *l = &limits->limit[k];
        uint64_t n = amount_of(more, (enum budget_kind)k);
        if (l->amount == 0 || n == 0)
            continue;
        struct account_window w = account_look(a, (enum budget_kind)k, l, now_ms);
        bool had = w.used < l->amount;
        w.used = add(w.used, n);
        a->window[k] = w;
        mark(as, a);
        if (had && w.used >= l->amount && first == BUDGET_KINDS)
            first = (enum budget_kind)k;
    }
    return first;
}
