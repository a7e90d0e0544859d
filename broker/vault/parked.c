/*
 * The packet is written anew from the parsed message: the original lies in a buffer that the next packet overwrites. A worker that was
 * restarted meanwhile has other connections under the same numbers, so its predecessor's requests are dropped.
 */
#include "vault/parked.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/worker.h"

#include <stdlib.h>

struct parked {
    struct parked *next;
    unsigned worker;
    int64_t attached_ms; /* of that worker */
    int64_t until_ms;
    struct buf packet; /* may hold a token */
};

static void free_one(struct parked *k)
{
    buf_free(&k->packet);
    free(k);
}

err_t parked_add(struct parked **list, struct request *rq, struct pending *p)
{
    const struct msg *m = rq->msg;
    struct parked *k = calloc(1, sizeof(*k));
    if (!k)
        return fail(rq->why, ERR_INTERNAL, "out of memory");
    *k = (struct parked){.worker = rq->worker->kind,
                         .attached_ms = rq->worker->attached_ms,
                         .until_ms = clock_boot_ms() + PARKED_MS,
                         .packet = {.max = MSG_MAX}};
    msg_begin(&k->packet, m->type, m->id, m->conn);
    for (unsigned f = 0; f < F__COUNT; f++)
        if (m->has[f])
            msg_put(&k->packet, (enum msg_field)f, m->field[f]);
    err_t e = buf_ok(&k->packet, rq->why);
    if (e != ERR_OK) {
        free_one(k);
        return e;
    }
    while (*list)
        list = &(*list)->next;
    *list = k;
    pending_free(p);
    rq->deferred = true;
    return ERR_OK;
}

static void take_up(struct vault *v, struct parked *k)
{
    struct vault_worker *wk = &v->workers[k->worker];
    struct why why = {0};
    struct msg m;
    if (wk->sock >= 0 && wk->attached_ms == k->attached_ms &&
        msg_parse(buf_view(&k->packet), worker_from(wk->kind), &m, &why) == ERR_OK)
        server_again(wk, &m);
    free_one(k);
}

static void wake(struct vault *v, struct parked **list, int64_t before)
{
    struct parked *due = NULL, **tail = &due;
    for (struct parked **at = list; *at;) {
        struct parked *k = *at;
        if (k->until_ms > before) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        k->next = NULL;
        *tail = k;
        tail = &k->next;
    }
    if (due)
        v->batch++; /* whether their processes still live is asked anew */
    while (due) {
        struct parked *k = due;
        due = k->next;
        take_up(v, k);
    }
}

void parked_wake(struct vault *v, struct parked **list)
{
    wake(v, list, INT64_MAX);
}

void parked_wake_late(struct vault *v, struct parked **list)
{
    wake(v, list, clock_boot_ms());
}

void parked_join(struct parked **list, struct parked **from)
{
    while (*list)
        list = &(*list)->next;
    *list = *from;
    *from = NULL;
}

void parked_free(struct parked **list)
{
    while (*list) {
        struct parked *k = *list;
        *list = k->next;
        free_one(k);
    }
}
