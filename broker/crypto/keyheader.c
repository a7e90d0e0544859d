/*
 * The bytes of a key header. Invariant: one encoding of each header, and what decodes encodes to
 * the same bytes again; so the signature (keyslot.c) over the encoding covers every byte that was
 * read.
 */
#include "crypto/keyslot.h"

#include "base/auto.h"
#include "base/name.h"
#include "crypto/format.h"

#include <string.h>

enum { FLAG_REKEYING = 1 };

static const struct format format = {.magic = "CBRK", .what = "key header", .flags = FLAG_REKEYING};

static void put_slot(const struct keyslot *s, unsigned index, struct buf *out)
{
    buf_put_u8(out, (uint8_t)index);
    buf_put_str16(out, view_str(s->source));
    buf_put_str16(out, VIEW(s->params, s->params_len));
    buf_put_u64(out, (uint64_t)s->created_ms);
    buf_add(out, s->pk, sizeof(s->pk));
    buf_add(out, s->pin, sizeof(s->pin));
    buf_add(out, s->sealed, sizeof(s->sealed));
}

unsigned keyheader_slots(const struct keyheader *h)
{
    unsigned n = 0;
    for (unsigned i = 0; i < KEYSLOTS_MAX; i++)
        n += h->slot[i].used;
    return n;
}

void keyheader_encode(const struct keyheader *h, struct buf *out)
{
    format_put(&format, h->rekeying ? FLAG_REKEYING : 0, out);
    buf_add(out, h->store_id, sizeof(h->store_id));
    buf_put_u32(out, h->epoch);
    buf_put_u64(out, h->serial);
    buf_add(out, h->commitment, sizeof(h->commitment));
    buf_add(out, h->auth_pk, sizeof(h->auth_pk));
    buf_add(out, h->auth_wrapped, sizeof(h->auth_wrapped));
    if (h->rekeying)
        buf_add(out, h->prev_wrapped, sizeof(h->prev_wrapped));
    buf_put_u8(out, (uint8_t)keyheader_slots(h));
    for (unsigned i = 0; i < KEYSLOTS_MAX; i++)
        if (h->slot[i].used)
            put_slot(&h->slot[i], i, out);
    buf_add(out, h->sig, sizeof(h->sig));
}

static void get_fixed(struct cursor *c, void *out, size_t n)
{
    struct view v = get_bytes(c, n);
    if (v.n == n)
        memcpy(out, v.p, n);
}

static bool get_slot(struct cursor *c, struct keyslot *s)
{
    struct view source = get_str16(c), params = get_str16(c);
    if (source.n > KEYSLOT_SOURCE_MAX || params.n > sizeof(s->params) ||
        name_check(source, "key source", NULL) != ERR_OK)
        return false;
    s->used = view_copy(source, s->source, sizeof(s->source));
    s->params_len = params.n;
    if (params.n)
        memcpy(s->params, params.p, params.n);
    s->created_ms = (int64_t)get_u64(c);
    get_fixed(c, s->pk, sizeof(s->pk));
    get_fixed(c, s->pin, sizeof(s->pin));
    get_fixed(c, s->sealed, sizeof(s->sealed));
    return s->used && s->created_ms >= 0;
}

/* 1 to 8 slots, in ascending order of their index */
static bool get_slots(struct cursor *c, struct keyheader *h)
{
    unsigned n = get_u8(c), next = 0;
    if (n == 0 || n > KEYSLOTS_MAX)
        return false;
    for (unsigned i = 0; i < n; i++) {
        unsigned index = get_u8(c);
        if (index < next || index >= KEYSLOTS_MAX || !get_slot(c, &h->slot[index]))
            return false;
        next = index + 1;
    }
    return true;
}

err_t keyheader_decode(struct view bytes, struct keyheader *out, struct why *why)
{
    struct keyheader h = {0};
    struct cursor c = cursor_of(bytes);
    uint16_t flags;
    TRY(format_get(&format, &c, &flags, why));
    h.rekeying = flags & FLAG_REKEYING;
    get_fixed(&c, h.store_id, sizeof(h.store_id));
    h.epoch = get_u32(&c);
    h.serial = get_u64(&c);
    get_fixed(&c, h.commitment, sizeof(h.commitment));
    get_fixed(&c, h.auth_pk, sizeof(h.auth_pk));
    get_fixed(&c, h.auth_wrapped, sizeof(h.auth_wrapped));
    if (h.rekeying)
        get_fixed(&c, h.prev_wrapped, sizeof(h.prev_wrapped));
    bool slots = get_slots(&c, &h);
    get_fixed(&c, h.sig, sizeof(h.sig));
    if (!slots || !cursor_done(&c) || h.serial == 0 || h.epoch < (h.rekeying ? 2 : 1))
        return fail(why, ERR_CORRUPT, "the key header is damaged: restore it from a backup");
    *out = h;
    return ERR_OK;
}
