/*
 * Builds and parses the packets of the message table. The parser is total: a packet either fits its
 * row and every field's kind in full, or it is refused with a reason; nothing is repaired and no
 * length is believed. Invariant: what the builder emits, the parser takes. Both ask the same
 * msg_fits(), so a value that would get its sender ended for a malformed message cannot be sent in
 * the first place (`bad` is set). Reasons name types and tags only, never a value: a field may be a
 * secret.
 */
#include "base/msg.h"
#include "base/auto.h"
#include "base/utf8.h"

#include <string.h>

enum { COUNT_AT = 2, FIELD_HEADER = 6, C1_FIRST = 0x80, C1_LAST = 0x9f, DEL = 0x7f };

static const struct msg_rule rules[MSG__COUNT] = {
#define ROW(n, who, how, size)                                                                     \
    [MSG_##n] = {.name = #n, .from = (who), .flags = (how), .max = (size)},
    BROKER_MESSAGES(ROW)
#undef ROW
};

enum kind { KIND_S, KIND_B, KIND_U, KIND_L };

static const struct field_rule {
    const char *name;
    enum kind kind;
    size_t max;
} fields[F__COUNT] = {
#define ROW(n, k, size) [F_##n] = {.name = #n, .kind = KIND_##k, .max = (size)},
    BROKER_FIELDS(ROW)
#undef ROW
};

const struct msg_rule *msg_rule(unsigned type)
{
    return type > MSG_NONE && type < MSG__COUNT ? &rules[type] : NULL;
}

const char *msg_field_name(unsigned tag)
{
    return tag < F__COUNT ? fields[tag].name : "?";
}

/* ---- kinds */

static bool is_text(struct view v)
{
    uint32_t cp = 0;
    for (size_t i = 0, len; i < v.n; i += len) {
        i += utf8_plain(v.p + i, v.n - i);
        if (i == v.n)
            break;
        len = utf8_next(v.p + i, v.n - i, &cp);
        if (len == 0 || cp < ' ' || cp == DEL || (cp >= C1_FIRST && cp <= C1_LAST))
            return false;
    }
    return true;
}

static bool is_list(struct view v)
{
    struct cursor c = cursor_of(v);
    while (cursor_left(&c) > 0) {
        struct view item = get_str16(&c);
        if (c.bad || !is_text(item))
            return false;
    }
    return true;
}

bool msg_fits(enum msg_field f, struct view v)
{
    if ((unsigned)f >= F__COUNT || v.n > fields[f].max)
        return false;
    switch (fields[f].kind) {
    case KIND_S:
        return is_text(v);
    case KIND_U:
        return v.n == sizeof(uint64_t);
    case KIND_L:
        return is_list(v);
    case KIND_B:
        return true;
    }
    return false;
}

/* ---- building */

void msg_begin(struct buf *out, enum msg_type type, uint64_t id, uint64_t conn)
{
    buf_reset(out);
    out->mark = 0;
    buf_put_u16(out, (uint16_t)type);
    buf_put_u16(out, 0);
    buf_put_u64(out, id);
    buf_put_u64(out, conn);
    if (!msg_rule((unsigned)type))
        out->bad = true;
}

/* The last tag in the packet that is being built; -1: none yet. */
static int last_tag(const struct buf *out)
{
    if (out->mark < MSG_HEADER || out->mark + FIELD_HEADER > out->len)
        return -1;
    struct cursor c = cursor_of(VIEW(out->p + out->mark, FIELD_HEADER));
    return get_u16(&c);
}

void msg_put(struct buf *out, enum msg_field f, struct view v)
{
    if (out->bad)
        return;
    if (out->len < MSG_HEADER || (int)f <= last_tag(out) || !msg_fits(f, v)) {
        out->bad = true;
        return;
    }
    struct cursor head = cursor_of(buf_view(out));
    unsigned type = get_u16(&head), count = get_u16(&head) + 1u;
    if (out->len + FIELD_HEADER + v.n > rules[type].max) {
        out->bad = true;
        return;
    }
    size_t at = out->len;
    buf_put_u16(out, (uint16_t)f);
    buf_put_str32(out, v);
    if (out->bad)
        return;
    out->mark = (uint32_t)at;
    out->p[COUNT_AT] = (uint8_t)(count >> 8);
    out->p[COUNT_AT + 1] = (uint8_t)count;
}

void msg_put_str(struct buf *out, enum msg_field f, const char *s)
{
    if (s)
        msg_put(out, f, view_str(s));
}

void msg_put_u64(struct buf *out, enum msg_field f, uint64_t v)
{
    uint8_t be[sizeof(v)];
    for (size_t i = 0; i < sizeof(be); i++)
        be[i] = (uint8_t)(v >> (8 * (sizeof(be) - 1 - i)));
    msg_put(out, f, VIEW(be, sizeof(be)));
}

void list_put(struct buf *out, struct view item)
{
    buf_put_str16(out, item);
}

/* ---- parsing */

static err_t parse_header(struct cursor *c, size_t total, uint32_t from, struct msg *m,
                          struct why *why)
{
    if (total < MSG_HEADER)
        return fail(why, ERR_INVALID, "a message of %zu bytes has no header", total);
    unsigned type = get_u16(c);
    const struct msg_rule *rule = msg_rule(type);
    if (!rule)
        return fail(why, ERR_INVALID, "message type %u is unknown", type);
    if (!(rule->from & from))
        return fail(why, ERR_INVALID, "%s does not come from this role", rule->name);
    if (total > rule->max)
        return fail(why, ERR_INVALID, "%s of %zu bytes is over its %u", rule->name, total,
                    rule->max);
    m->type = (enum msg_type)type;
    return ERR_OK;
}

static err_t parse_field(struct cursor *c, int *last, struct msg *m, struct why *why)
{
    const char *name = rules[m->type].name;
    unsigned tag = get_u16(c);
    struct view v = get_str32(c);
    if (c->bad)
        return fail(why, ERR_INVALID, "%s ends inside a field", name);
    if (tag >= F__COUNT)
        return fail(why, ERR_INVALID, "%s has an unknown field %u", name, tag);
    if ((int)tag <= *last)
        return fail(why, ERR_INVALID, "%s has field %s repeated or out of order", name,
                    fields[tag].name);
    if (!msg_fits((enum msg_field)tag, v))
        return fail(why, ERR_INVALID, "%s has a field %s that is not of its kind or size", name,
                    fields[tag].name);
    m->has[tag] = true;
    m->field[tag] = v;
    *last = (int)tag;
    return ERR_OK;
}

err_t msg_parse(struct view packet, uint32_t from, struct msg *out, struct why *why)
{
    struct cursor c = cursor_of(packet);
    struct msg m = {0};
    TRY(parse_header(&c, packet.n, from, &m, why));
    unsigned count = get_u16(&c);
    m.id = get_u64(&c);
    m.conn = get_u64(&c);
    if (count > F__COUNT)
        return fail(why, ERR_INVALID, "%s says it has %u fields", rules[m.type].name, count);
    int last = -1;
    for (unsigned i = 0; i < count; i++)
        TRY(parse_field(&c, &last, &m, why));
    if (!cursor_done(&c))
        return fail(why, ERR_INVALID, "%s has bytes after its last field", rules[m.type].name);
    *out = m;
    return ERR_OK;
}

bool msg_peek(struct view packet, unsigned *type, uint64_t *conn)
{
    struct cursor c = cursor_of(packet);
    *type = get_u16(&c);
    (void)get_u16(&c);
    (void)get_u64(&c);
    *conn = get_u64(&c);
    return !c.bad;
}

uint64_t msg_u64(const struct msg *m, enum msg_field f, uint64_t otherwise)
{
    if (!m->has[f])
        return otherwise;
    struct cursor c = cursor_of(m->field[f]);
    return get_u64(&c);
}

struct view msg_view(const struct msg *m, enum msg_field f)
{
    return m->has[f] ? m->field[f] : (struct view){0};
}

bool msg_list_next(struct cursor *c, struct view *item)
{
    if (cursor_left(c) == 0)
        return false;
    struct view v = get_str16(c);
    if (c->bad)
        return false;
    *item = v;
    return true;
}
