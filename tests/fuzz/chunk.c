/*
 * A chunked body; the first byte says whose (bit 0: a reply's) and how long the pieces are. Read whole, in pieces and byte by byte it has
 * the same payload, the same end and the same verdict; what a request's reader takes, a reply's takes too; payload that was taken and is
 * written out again reads the same.
 */
#include "fuzz/hold.h"

#include "proxy/chunk.h"

#include <string.h>

enum { LOOKED_AT = 1024 }; /* long ones only cost time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
    enum chunk_result r;
    size_t used;
    struct buf payload;
};

static void read_in(struct view v, bool lenient, size_t step, struct outcome *o)
{
    struct chunk_reader c = {.lenient = lenient};
    struct view data;
    o->r = CHUNK_MORE;
    o->used = 0;
    o->payload.len = 0;
    for (size_t at = 0; at < v.n && o->r == CHUNK_MORE; at = o->used) {
        struct view in = VIEW(v.p + at, v.n - at < step ? v.n - at : step);
        const uint8_t *begin = in.p, *end = in.p + in.n;
        while ((o->r = chunk_next(&c, &in, &data)) == CHUNK_DATA) {
            HOLD(data.n && data.p >= begin && data.p + data.n == in.p);
            buf_add_view(&o->payload, data);
        }
        HOLD(in.p >= begin && in.p + in.n == end);
        HOLD(o->r != CHUNK_MORE || in.n == 0);
        o->used = v.n - (size_t)(v.p + v.n - in.p);
    }
    struct view in = VIEW("7\r\n", 3);
    if (o->r != CHUNK_MORE) /* final */
        HOLD(chunk_next(&c, &in, &data) == o->r && in.n == 3);
}

static void same(const struct outcome *a, const struct outcome *b)
{
    HOLD(a->r == b->r && view_eq(buf_view(&a->payload), buf_view(&b->payload)));
    HOLD(a->r == CHUNK_MORE || a->used == b->used);
}

static void check_again(struct view payload, size_t step)
{
    static struct outcome o;
    static struct buf out; /* kept: an allocation for each input is most of its time */
    out.len = 0;
    char head[CHUNK_HEAD_ROOM];
    for (size_t at = 0, n; at < payload.n; at += n) {
        n = payload.n - at < step ? payload.n - at : step;
        buf_add(&out, head, chunk_head(n, head));
        buf_add(&out, payload.p + at, n);
        buf_add_str(&out, "\r\n");
    }
    buf_add_str(&out, "0\r\n\r\n");
    read_in(buf_view(&out), false, 7, &o);
    HOLD(o.r == CHUNK_END && o.used == out.len && view_eq(buf_view(&o.payload), payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    bool lenient = data[0] & 1;
    size_t step = 1 + (data[0] >> 1);
    struct view v = VIEW(data + 1, n - 1 < LOOKED_AT ? n - 1 : LOOKED_AT);
    static struct outcome whole, pieces, bytes, other;
    read_in(v, lenient, v.n + 1, &whole);
    read_in(v, lenient, step, &pieces);
    read_in(v, lenient, 1, &bytes);
    read_in(v, !lenient, v.n + 1, &other);
    same(&whole, &pieces);
    same(&whole, &bytes);
    if (!lenient && whole.r != CHUNK_BAD)
        same(&whole, &other);
    HOLD(whole.payload.len <= v.n);
    check_again(buf_view(&whole.payload), step);
    return 0;
}
