/*
 * Bounded bytes. `struct view` looks at bytes somebody else owns; `struct buf` grows up to its maximum
 * and is wiped whenever it moves or is freed, so that it may carry secrets for a moment; `struct cursor`
 * reads big-endian, length-prefixed data and never past its end. No function here trusts a length.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <broker/err.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct view {
    const uint8_t *p; /* may be NULL when n is 0 */
    size_t n;
};

#define VIEW(ptr, len) ((struct view){(const uint8_t *)(ptr), (len)})
struct view view_str(const char *s);        /* without the NUL; NULL gives an empty view */
bool view_eq(struct view a, struct view b); /* not for secrets */
bool view_is(struct view v, const char *s);
/* Copies into a NUL-terminated string of room `cap`; false (and "") when it does not fit or holds a NUL. */
bool view_copy(struct view v, char *out, size_t cap);

/* A buffer. Zero is valid: no bytes, a maximum of BUF_DEFAULT_MAX. A failed append sets `bad`, once and
 * for all, and further appends do nothing: check buf_ok() at the end instead of every call. */
struct buf {
    uint8_t *p;
    size_t len, cap, max;
    bool bad;      /* over `max`, or out of memory */
    uint32_t mark; /* its owner's: base/msg.c keeps where the last field begins */
};
enum { BUF_DEFAULT_MAX = 1 << 20 };

void buf_free(struct buf *b);                 /* wipes; leaves a valid empty buffer */
void buf_reset(struct buf *b);                /* wipes the contents, keeps the room */
bool buf_reserve(struct buf *b, size_t more); /* room for `more` further bytes */
void buf_add_slowly(struct buf *b, const void *p, size_t n);
/* Without a call where there is room: most appends are a few bytes, and there are dozens in every answer. */
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    size_t max = b->max ? b->max : (size_t)BUF_DEFAULT_MAX;
    if (!b->p || n == 0 || b->bad || n > b->cap - b->len || n > max - b->len) {
        buf_add_slowly(b, p, n);
        return;
    }
    memcpy(b->p + b->len, p, n);
    b->len += n;
}
void buf_add_view(struct buf *b, struct view v);
static inline void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}
void buf_add_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}
/* Integers are big-endian, here and in all below. */
static inline void buf_put_u16(struct buf *b, uint16_t v)
{
    v = htobe16(v);
    buf_add(b, &v, sizeof(v));
}
static inline void buf_put_u32(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_add(b, &v, sizeof(v));
}
static inline void buf_put_u64(struct buf *b, uint64_t v)
{
    v = htobe64(v);
    buf_add(b, &v, sizeof(v));
}
void buf_put_str16(struct buf *b, struct view v); /* u16 length, then the bytes; bad over 65,535 */
void buf_put_str32(struct buf *b, struct view v);
struct view buf_view(const struct buf *b);
/* Appends a NUL (not counted in len) and returns the text; NULL when bad. */
const char *buf_text(struct buf *b);
/* ERR_OK, or ERR_TOO_LARGE with the maximum named */
MUST err_t buf_ok(const struct buf *b, struct why *why);

/* A reader. A read past the end sets `bad` and gives zeros/empty views from then on. */
struct cursor {
    const uint8_t *p, *end;
    bool bad;
};
struct cursor cursor_of(struct view v);
uint8_t get_u8(struct cursor *c);
uint16_t get_u16(struct cursor *c);
uint32_t get_u32(struct cursor *c);
uint64_t get_u64(struct cursor *c);
struct view get_bytes(struct cursor *c, size_t n);
struct view get_str16(struct cursor *c);
struct view get_str32(struct cursor *c);
bool cursor_done(const struct cursor *c); /* not bad, and nothing left */
size_t cursor_left(const struct cursor *c);

/* lower-case hex; `out` has room for 2n + 1 */
void hex_encode(const void *p, size_t n, char *out);
/* strict lower-case hex of exactly n bytes; false otherwise, out untouched */
bool hex_decode(struct view text, void *out, size_t n);
/* RFC 4648 section 5 without padding (URL-safe) */
void base64url_encode(struct view v, struct buf *out);
/* strict: canonical, unpadded, no white space; ERR_INVALID otherwise */
MUST err_t base64url_decode(struct view text, struct buf *out, struct why *why);

#endif
