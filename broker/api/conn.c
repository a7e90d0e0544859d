/*
 * The connection table. Slots are reused last-freed first, so an idle worker touches little memory;
 * the generation grows with each use, so an id or a request id of the past finds nothing. A request
 * id carries its slot in the low bits: finding the connection a reply is for is one look.
 * Deadlines: one number per connection, scanned only when the earliest may have passed. Under load
 * that is every few seconds, however many requests come and go; a heap would be touched four times
 * a request.
 */
#include "api/conn.h"
#include "base/auto.h"

#include <broker/secret.h>

const struct conn_limits conn_limits_default = {
    .ms = {[CONN_IDLE] = 30000,
           [CONN_READING] = 10000,
           [CONN_WAITING] = 15000,
           [CONN_WRITING] = 30000},
};

struct place {
    struct conn *conn;
    uint32_t generation, next_free;
};
struct conns {
    struct place *place;
    uint32_t max, used, high; /* `high`: places ever used */
    uint32_t free;            /* first of the free list below `high`; `max` ends it */
    uint32_t waiting;
    uint64_t sequence;
    int64_t next_deadline;
    struct conn_limits limits;
};

err_t conns_new(uint32_t max, const struct conn_limits *limits, struct conns **out, struct why *why)
{
    struct conns *t = calloc(1, sizeof(*t));
    struct place *place = calloc(max, sizeof(*place));
    if (!t || !place) {
        free(t);
        free(place);
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    *t = (struct conns){
        .place = place, .max = max, .free = max, .next_deadline = INT64_MAX, .limits = *limits};
    *out = t;
    return ERR_OK;
}

void conns_free(struct conns *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->high; i++)
        if (t->place[i].conn)
            conn_free(t, t->place[i].conn);
    free(t->place);
    free(t);
}

uint32_t conns_open(const struct conns *t)
{
    return t->used;
}

uint32_t conns_waiting(const struct conns *t)
{
    return t->waiting;
}

struct conn *conn_new(struct conns *t, int fd, struct listener *from, int64_t now)
{
    uint32_t slot = t->free < t->max ? t->free : t->high;
    struct conn *c = slot < t->max ? calloc(1, sizeof(*c)) : NULL;
    if (!c)
        return NULL;
    struct place *p = &t->place[slot];
    if (slot == t->high)
        t->high++;
    else
        t->free = p->next_free;
    t->used++;
    c->slot = slot;
    c->generation = ++p->generation;
    c->fd = fd;
    c->from = from;
    p->conn = c;
    conn_enter(t, c, CONN_IDLE, now);
    return c;
}

void conn_free(struct conns *t, struct conn *c)
{
    struct place *p = &t->place[c->slot];
    if (c->waiting_for)
        t->waiting--;
    conn_request_clear(c);
    buf_free(&c->in);
    buf_free(&c->out);
    p->conn = NULL;
    p->next_free = t->free;
    t->free = c->slot;
    t->used--;
    free(c);
}

struct conn *conn_find(const struct conns *t, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    struct conn *c = slot < t->high ? t->place[slot].conn : NULL;
    return c && conn_id(c) == id ? c : NULL;
}

struct conn *conn_find_waiting(const struct conns *t, uint64_t request)
{
    uint32_t slot = request & ((1u << CONN_SLOT_BITS) - 1);
    struct conn *c = slot < t->high ? t->place[slot].conn : NULL;
    return c && request && c->waiting_for == request ? c : NULL;
}

struct conn *conn_next(const struct conns *t, uint32_t from)
{
    for (; from < t->high; from++)
        if (t->place[from].conn)
            return t->place[from].conn;
    return NULL;
}

void conn_enter(struct conns *t, struct conn *c, enum conn_phase phase, int64_t now)
{
    if (c->waiting_for) {
        t->waiting--;
        c->waiting_for = 0;
    }
    c->phase = phase;
    c->deadline = now + t->limits.ms[phase];
    if (c->deadline < t->next_deadline)
        t->next_deadline = c->deadline;
}

uint64_t conn_wait(struct conns *t, struct conn *c, int64_t now)
{
    conn_enter(t, c, CONN_WAITING, now);
    t->waiting++;
    c->waiting_for = ++t->sequence << CONN_SLOT_BITS | c->slot;
    return c->waiting_for;
}

void conn_request_clear(struct conn *c)
{
    buf_free(&c->rq.body);
    wipe(&c->rq, sizeof(c->rq));
}

int64_t conns_next_deadline(const struct conns *t)
{
    return t->next_deadline;
}

void conns_expire(struct conns *t, int64_t now, void (*fn)(void *ctx, struct conn *c), void *ctx)
{
    t->next_deadline = INT64_MAX;
    for (uint32_t i = 0; i < t->high; i++) {
        struct conn *c = t->place[i].conn;
        if (!c)
            continue;
        if (c->deadline <= now) {
            c->deadline = INT64_MAX;
            fn(ctx, c);
        }
        c = t->place[i].conn; /* fn may have freed it, or entered a phase */
        if (c && c->deadline < t->next_deadline)
            t->next_deadline = c->deadline;
    }
}
