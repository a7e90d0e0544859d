/*
 * Requests: from a worker's packet to its answer. THE table of operations is in ops.c: message, handler, what it needs, its audit
 * event. A handler works in two steps: `decide` checks, changes what is only in memory and records; `finish` runs when the record is
 * as durable as the configuration asks, and is the first to open a secret.
 */
#ifndef VAULT_SERVER_H
#define VAULT_SERVER_H

#include "base/jsonw.h"
#include "vault/vault.h"

enum { SERVER_BODY_MAX = 126976 }; /* of a reply: the field BODY of base/msg.h */

/* What survives between the two steps. */
struct pending {
    const struct op *op;
    unsigned worker;
    uint64_t conn, id, pos; /* pos: sink position to wait for; 0: none */
    int64_t deadline_ms;
    uint8_t lease[TOKEN_LEASE_ID];
    char name[65], name2[65];
    unsigned number;        /* an operation's own: a slot, a mask, a count */
    bool flag;              /* replace; remove */
    bool hold;              /* a credential is enrolled and not used yet */
    struct secret *payload; /* a credential on its way in; or a new slot's key */
    struct buf text;        /* a drop-in on its way to the disk */
    /* of answers to a proxy worker; zero: left out */
    const char *provider;
    uint64_t serial, route;
    unsigned flags, allowed; /* allowed: requests that may follow unasked … */
    int64_t allowed_ms;      /* … within this time */
    int64_t retry_ms;
    struct pending *next;
};

struct op {
    enum msg_type type;
    bool needs_ready;       /* refused with the state's reason unless the store is open */
    enum audit_event event; /* of a refusal; AUDIT__COUNT: refusals are not recorded */
    err_t (*decide)(struct request *rq, struct pending *p, struct jsonw *w);
    err_t (*finish)(struct vault *v, struct pending *p, struct jsonw *w,
                    struct why *why); /* NULL: decide answered */
    void (*undo)(struct vault *v,
                 struct pending *p); /* the record never became durable; NULL: nothing to undo */
};
extern const struct op ops[]; /* ends with type MSG_NONE */

/* Reads what the worker sent, up to a bounded number of packets a turn. */
void server_on_worker(void *ctx, int fd, uint32_t events);
/* Answers everything in the queue whose record is durable, and refuses what waited too long. */
void server_on_progress(void *ctx);
void server_turn_end(void *ctx);
/* An answer given later than its request (by a helper). Takes p. */
void server_answer(struct vault *v, struct pending *p, err_t e, const struct buf *body,
                   const struct why *why);
/* A refusal given later than its request: recorded like one given at once. Takes p. */
void server_refuse(struct vault *v, struct pending *p, err_t e, const struct why *why);
/* Goes on to `finish` when p->pos is durable, now or later. Takes p. */
void server_wait(struct vault *v, struct pending *p);
/* A request that waited (vault/parked.h) is taken up as if it came now; it does not wait again. */
void server_again(struct vault_worker *wk, const struct msg *m);
void pending_free(struct pending *p);
/* Who asked, for the record; NULL when the connection has ended meanwhile. */
const struct peer *server_peer(const struct vault *v, const struct pending *p);
/* Is a change of the same kind and `name` decided, but not made yet? A second one would be decided on what is about to change. */
bool server_changing(const struct vault *v, const struct pending *p);

/* Records and remembers in p->pos what to wait for. */
MUST err_t server_record(struct vault *v, const struct audit_record *r, struct pending *p,
                         struct why *why);
/* Records without anybody waiting; a failure is counted. */
void server_note(struct vault *v, const struct audit_record *r);

#endif
