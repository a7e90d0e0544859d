/*
 * The proxied requests that are running: which worker runs each, under which lease and account, and what it has used so far. A place in the
 * table is part of the request's serial, so everything is found at once; a serial is never used twice, nor by a later run (its upper
 * bits begin at random). Bounded per worker. Knows nothing of messages.
 */
#ifndef VAULT_PROXIED_H
#define VAULT_PROXIED_H

#include "base/config.h"
#include "vault/account.h"
#include "vault/lease.h"

enum {
    PROXIED_PER_WORKER = 4096, /* at once */
    PROXIED_CHUNK = 64,
    PROXIED_METHOD = 16,
    PROXIED_TEXT = 64
};
struct proxied_usage { /* as the worker told, cumulative */
    uint64_t in_bytes, out_bytes, input, output, cache_read, cache_write;
};
struct proxied {
    uint64_t serial;              /* 0: a free place */
    unsigned worker;              /* 0 to CONFIG_MAX_PROXIES - 1 */
    uint32_t next_free;           /* of a free place */
    struct lease *lease;          /* NULL: it has ended */
    struct proxied *next, **back; /* others under the same lease */
    struct account *account;
    const char *provider;
    uint64_t version; /* of the credential it goes upstream with */
    bool priced, asked_again, cut;
    bool follows;     /* others have ended under this serial: the present one was not asked about */
    unsigned left;    /* requests that may still begin under it */
    int64_t reserved; /* of account_reserve(), with `left` of them */
    struct config_price price; /* its `model` is not used */
    struct proxied_usage usage;
    uint64_t cost;
    int64_t began_boot_ms;
    char lease_hex[2 * TOKEN_LEASE_ID + 1];
    char method[PROXIED_METHOD + 1], path[PROXIED_TEXT + 1],
        model[PROXIED_TEXT + 1]; /* as recorded */
};
struct proxied_worker {
    struct proxied *chunk[PROXIED_PER_WORKER / PROXIED_CHUNK];
    uint32_t used, free; /* places ever used; first free one + 1, 0: none */
    unsigned running;
};
struct proxied_table {
    struct proxied_worker worker[CONFIG_MAX_PROXIES];
    uint64_t last; /* serial without its place */
    struct {
        uint64_t begun, denied, ok, failed, cut, in_bytes, out_bytes, input, output, cache_read,
            cache_write, cost;
    } count;
};

/* A place for one more, with its serial; NULL: the worker's share is used up, or there is no memory. The rest is zero. Not linked to the
 * lease yet. */
struct proxied *proxied_new(struct proxied_table *t, unsigned worker);
void proxied_link(struct proxied *p, struct lease *l);
void proxied_unlink(struct proxied *p); /* from its lease, when it has one */
/* Gives the place back; it is unlinked. */
void proxied_free(struct proxied_table *t, struct proxied *p);
/* The running request of this serial, if this worker runs it. */
struct proxied *proxied_find(const struct proxied_table *t, unsigned worker, uint64_t serial);
/* Running requests in no particular order: begin with *at = 0. NULL: the end. The one given may be freed before the next is asked for. */
struct proxied *proxied_next(const struct proxied_table *t, unsigned worker, uint32_t *at);
unsigned proxied_running(const struct proxied_table *t);
void proxied_clear(struct proxied_table *t); /* frees the memory; all must have been freed */

/* Takes over what is larger than before; *more is the difference in tokens, priced. */
void proxied_used(struct proxied *p, const struct proxied_usage *now, struct account_spent *more);
/* Copies at most `room` - 1 bytes that may stand in the log (0x21 to 0x7e; of a model letters, digits and ._:/@+-); others become '_'. */
void proxied_text(struct view from, bool model, char *out, size_t room);

#endif
