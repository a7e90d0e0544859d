/*
 * What each grant has spent: one account per consumer and credential, with the fixed windows of its budget (aligned to the epoch, UTC) and the
 * number of its running requests. Knows nothing of requests, disks or clocks: the caller says what time it is, and that time never goes
 * back (leases_wall_ms()). Keeping accounts over a restart: account_state.h.
 */
#ifndef VAULT_ACCOUNT_H
#define VAULT_ACCOUNT_H

#include "base/budget.h"
#include <stdio.h>

struct account_window {
    int64_t start_ms, period_ms; /* period 0: never used */
    uint64_t used;
};
struct account {
    char consumer[65], credential[65];
    struct account_window window[BUDGET_KINDS];
    unsigned running;
    bool presumed; /* its file was lost: a window that was never used counts as spent */
    unsigned slot; /* in the order of accounts; decides the file it is kept in */
    struct account *next;
};
enum { ACCOUNT_BUCKETS = 1024, ACCOUNTS_PER_PART = 15, ACCOUNTS_MAX = 262144 };
struct accounts {
    struct account *bucket[ACCOUNT_BUCKETS];
    struct account **slot; /* NULL: free */
    uint8_t *dirty;        /* per part (ACCOUNTS_PER_PART slots): changed since it was kept */
    unsigned n_slots, n_dirty;
    bool suspect; /* a file did not verify: accounts that no file had are presumed spent */
    int64_t kept_boot_ms;
};

void accounts_clear(struct accounts *as); /* frees all; leaves a valid empty one */
/* NULL: none yet. */
struct account *account_find(const struct accounts *as, const char *consumer,
                             const char *credential);
/* Finds or makes one. NULL: out of memory, or ACCOUNTS_MAX. */
struct account *account_of(struct accounts *as, const char *consumer, const char *credential);
/* Puts one at a slot (when it is read back); NULL: taken, known already, out of memory. */
struct account *account_place(struct accounts *as, unsigned slot, const char *consumer,
                              const char *credential);
/* Frees what says nothing any more: no request runs and every window is over. Such an account begins anew as it would go on. */
void accounts_sweep(struct accounts *as, int64_t now_ms);

struct account_spent {                                     /* by one request */
    uint64_t input, output, cache_read, cache_write, cost; /* tokens; millionths of a dollar */
};
/* What a window has at `now_ms`, as if it had been rolled. */
struct account_window account_look(const struct account *a, enum budget_kind k,
                                   const struct budget_limit *l, int64_t now_ms);
/* May one more request begin? ERR_LIMIT says which budget is spent; *retry_ms: until it renews (about 1 s for concurrency). */
MUST err_t account_check(struct accounts *as, struct account *a, const struct budget *limits,
                         int64_t now_ms, int64_t *retry_ms, struct why *why);
/* One begins; one ended. */
void account_begin(struct accounts *as, struct account *a, const struct budget *limits,
                   int64_t now_ms);
void account_end(struct account *a);
/* How many more requests, `most` at most, may follow one that may begin without each being checked: few enough that nobody is refused for what
 * others hold unused (a 64th of the requests that are left), and none near the end of another budget or where more than a 16th of
 * those that may run at once do. */
unsigned account_headroom(const struct account *a, const struct budget *limits, int64_t now_ms,
                          unsigned most);
/* Counts n requests in advance; what account_give_back() is to have with those of them that never began. */
int64_t account_reserve(struct accounts *as, struct account *a, const struct budget *limits,
                        unsigned n, int64_t now_ms);
void account_give_back(struct accounts *as, struct account *a, unsigned n, int64_t reserved);
/* Charges what was spent since the last time. The kind whose budget this exhausted, BUDGET_KINDS: none was. */
enum budget_kind account_charge(struct accounts *as, struct account *a, const struct budget *limits,
                                const struct account_spent *more, int64_t now_ms);

#endif
