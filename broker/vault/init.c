/*
 * Setting up. The header is made before the key source is asked, because some sources keep the key under the store's id, which is in it.
 * The header's write is the commit point (unlock.c): before it the store is still empty, and what was made for it is removed again.
 * One init at a time: a second one that ended later would put its own header in the place of the first one's.
 */
#include "vault/init.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/unlock.h"

#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 1000 };

struct init {
    struct vault *v;
    struct pending *p;
    const struct keysource *source;
    struct unlock_keys keys;
};

static void init_free(struct init *in)
{
    if (!in)
        return;
    in->v->init = NULL;
    secret_free(in->keys.master);
    free(in);
}

static err_t open_new(struct init *in, struct view params, const struct secret *key,
                      struct why *why)
{
    unsigned slot = 0;
    const struct keyslot_new first = {in->source->name, params, key, clock_wall_ms()};
    TRY(keyslot_add(&in->keys.header, in->keys.master, &first, &slot, why));
    err_t e = unlock_open(in->v, &in->keys, why);
    in->keys.master = NULL; /* taken */
    return e;
}

static void undo(struct vault *v, const struct keysource *source, struct view params)
{
    struct why why = {0};
    (void)!sink_settle(
        v->sink, SETTLE_MS,
        NULL); /* the log of this attempt is on the disk before another one looks for it */
    err_t e = unlock_load(v, &why);
    if (e == ERR_UNINIT && params.n) /* else the header may be on the disk, and needs its key */
        keycall_forget(v, source->name, params);
}

static void on_key(void *ctx, err_t e, struct view params, struct secret *key,
                   const struct why *why)
{
    struct init *in = ctx;
    struct vault *v = in->v;
    struct pending *p = in->p;
    const struct keysource *source = in->source;
    struct audit_record r = {.event = AUDIT_STORE_INIT,
                             .outcome = ERR_OK,
                             .source = source->name,
                             .peer = server_peer(v, p)};
    struct why own = *why;
    bool made = e == ERR_OK;
    if (e == ERR_OK)
        e = open_new(in, params, key, &own);
    secret_free(key);
    init_free(in);
    if (e != ERR_OK && made)
        undo(v, source, params);
    if (e == ERR_OK)
        e = server_record(v, &r, p, &own);
    if (e == ERR_OK)
        server_wait(v, p);
    else
        server_refuse(v, p, e, &own);
}

void init_start(struct vault *v, const struct keycall *how, struct pending *p)
{
    struct why why = {0};
    struct init *in = v->init ? NULL : calloc(1, sizeof(*in));
    err_t e = in ? ERR_OK : fail(&why, ERR_CONFLICT, "the store is being set up already");
    if (e == ERR_OK) {
        *in = (struct init){.v = v, .p = p, .source = how->source, .keys = {.fresh = true}};
        v->init = in;
        e = keyheader_create(&in->keys.header, &in->keys.master, &why);
    }
    if (e != ERR_OK) {
        init_free(in);
        server_refuse(v, p, e, &why);
        return;
    }
    struct keycall call = *how;
    call.store_id = in->keys.header.store_id;
    call.done = on_key;
    call.ctx = in;
    keycall_start(v, &call);
}
