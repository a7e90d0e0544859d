/* What refresh.c, refresh_run.c and refresh_wait.c share. Internal. */
#ifndef VAULT_REFRESH_STATE_H
#define VAULT_REFRESH_STATE_H

#include "vault/oauthcall.h"
#include "vault/parked.h"
#include "vault/refresh.h"
#include "vault/refresh_journal.h"

struct refresh { /* of one login */
    struct vault *v;
    struct refresh *next, **back; /* of all */
    struct refresh *alike;        /* of its bucket */
    uint8_t id[SEAL_ID];
    char name[65];
    uint64_t version;    /* what the facts below are about */
    bool files;          /* a consumer has a file with it */
    bool voided;         /* its files say nothing any more, for nothing of it is valid */
    int64_t due_ms;      /* wall clock; 0: never */
    uint64_t from_401;   /* this version came after a 401 */
    uint64_t accepted;   /* this version was taken by an upstream */
    unsigned fruitless;  /* renewals after a 401, in a row, that no upstream took */
    int64_t patience_ms; /* boot clock: until then the next 401 is not answered with another one */
    int64_t
        spent_ms; /* boot clock: up to when renewals after a 401 are paid for (refresh_wait.c) */
    /* the run */
    bool running, journaled, has_raw, raw_in_file, doubtful;
    enum refresh_cause cause;
    uint64_t run_version; /* that the run began with */
    int64_t began_boot_ms;
    struct secret *uncommitted; /* the new version, that could not be written yet */
    /* since the last success */
    unsigned failures;
    int64_t not_before_ms; /* boot clock: back-off */
    int64_t last_ms;       /* wall clock, of the last outcome */
    err_t last;
    char why[200];
    struct parked *waiting;
    struct loop_later wake;
};

enum { REFRESH_BUCKETS = 1024 };
struct refreshes {
    struct refresh *all;
    struct refresh *bucket[REFRESH_BUCKETS]; /* by id, which is random */
    struct refresh *looked;                  /* where the tick goes on; NULL: at the beginning */
    int dirfd;
    struct refresh_counts count;
};

struct refresh_journal refresh_journal_of(const struct vault *v);
/* The entry of this credential, made when there is none; NULL: it is not of a kind that is renewed, or there is no memory. */
struct refresh *refresh_of(struct vault *v, const struct credential *c);
/* Its row, if it is still the one; NULL: removed. */
const struct credential *refresh_credential(const struct refresh *r);
/* Facts of a version that is new to the entry. */
void refresh_follow(struct refresh *r, const struct credential *c);

/* refresh_run.c. Begins a run. `peer`: who asked; NULL: nobody. An error: there is none now, and why. */
MUST err_t refresh_begin(struct refresh *r, enum refresh_cause cause, const struct peer *peer,
                         struct why *why);
const char *refresh_cause_name(enum refresh_cause cause);

#endif
