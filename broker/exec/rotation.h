/*
 * A lease of a program that can be given another token while it runs: renewed in time, replaced by a
 * new one before the broker renews it no longer, and looked after, so that its end is noticed.
 */
#ifndef EXEC_ROTATION_H
#define EXEC_ROTATION_H

#include "base/loop.h"

#include <broker/client.h>

enum {
    ROTATION_LOOK_MS = 5000, /* the end of a lease is noticed within */
    ROTATION_LEAST_MS = 250,
    ROTATION_RETRY_MS = 30000,   /* a token that was not taken is offered again after */
    ROTATION_DENIED_MS = 600000, /* the longest pause after a lease was refused */
    ROTATION_GRACE_MS = 2000,    /* what ran under the old token may end */
    ROTATION_CONNECT_MS = 250
};
struct rotation_options {
    const char *socket; /* the broker's; stays the caller's, as all here */
    const char *credential, *delivery;
    int64_t ttl_ms; /* 0: as granted */
    bool owner_process;
    /* A token to be given, within spare_ms if it can; rotation_taken or rotation_refused answers. False: none can be given any more. */
    bool (*fresh)(void *ctx, const char *token, int64_t spare_ms);
    /* The lease has ended, and no other takes its place. `revoked`: before its time. Once. */
    void (*lost)(void *ctx, bool revoked, const char *why);
    void *ctx;
};
struct rotation;
/* Takes `first` over: what has been leased already, and given. */
MUST err_t rotation_new(struct loop *l, const struct rotation_options *o,
                        struct broker_lease *first, struct rotation **out, struct why *why);
/* The program has the last token. `everywhere`: nothing uses the one before, which ends. */
void rotation_taken(struct rotation *r, bool everywhere);
void rotation_refused(struct rotation *r);
/* Something was refused: is the lease still there? Looks at once, but not more often than every ROTATION_LEAST_MS. */
void rotation_look(struct rotation *r);
/* Gives back what has not ended, as far as the broker hears it. Blocks for two seconds at most. */
void rotation_end(struct rotation *r);
void rotation_free(struct rotation *r); /* takes NULL; wipes */

#endif
