/*
 * The message parser on arbitrary bytes. First byte: the sender's role bit; the rest: a packet. What is taken must lie inside the
 * packet, be allowed for that sender, and be built again by the builder into the very same bytes.
 */
#include "base/msg.h"
#include "base/auto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void rebuild(const struct msg *m, struct view packet)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, m->type, m->id, m->conn);
    for (unsigned f = 0; f < F__COUNT; f++) {
        if (!m->has[f])
            continue;
        struct view v = m->field[f];
        must(v.n == 0 || (v.p >= packet.p && v.p + v.n <= packet.p + packet.n));
        msg_put(&b, (enum msg_field)f, v);
    }
    must(!b.bad && view_eq(buf_view(&b), packet));
}

static size_t walk_list(struct view list)
{
    struct cursor c = cursor_of(list);
    struct view item;
    size_t used = 0;
    while (msg_list_next(&c, &item))
        used += 2 + item.n;
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msg m;
    struct why why = {0};
    if (size < 1)
        return 0;
    /* a copy of exactly its size, so that ASan sees one byte too many */
    uint8_t *copy = malloc(size);
    must(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct view packet = VIEW(copy, size - 1);
    if (msg_parse(packet, data[0], &m, &why) == ERR_OK) {
        must((msg_rule(m.type)->from & data[0]) != 0 && packet.n <= msg_rule(m.type)->max);
        rebuild(&m, packet);
        must(walk_list(msg_view(&m, F_ALLOW)) == msg_view(&m, F_ALLOW).n);
        must(walk_list(msg_view(&m, F_MODELS)) == msg_view(&m, F_MODELS).n);
        (void)msg_u64(&m, F_TTL_MS, 0);
    } else {
        must(why.text[0] != '\0');
    }
    free(copy);
    return 0;
}
