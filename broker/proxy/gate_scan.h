/*
 * What the parts of the gate share: a position in the bytes, classes of bytes, line ends, refusals.
 */
#ifndef PROXY_GATE_SCAN_H
#define PROXY_GATE_SCAN_H

#include "proxy/gate.h"

/* Classes of bytes, one bit each (RFC 9110 section 5.6, RFC 3986). */
enum {
    GATE_TOKEN = 1, /* tchar */
    GATE_TEXT = 2,  /* of a field value: VCHAR, SP, HTAB */
    GATE_OBS = 4,   /* the same and obs-text */
    GATE_PATH = 8,  /* pchar without `;`, and `/` */
    GATE_QUERY =
        16, /* pchar without `;`, `/`, `?`, and what URL parsers of clients leave bare: [ ] { } | ^ ` */
    GATE_HOST = 32, /* letters, digits, `-`, `.`, `_` */
    GATE_DIGIT = 64,
    GATE_HEX = 128
};
extern const uint8_t gate_class[256];

static inline bool gate_is(uint8_t c, unsigned classes)
{
    return (gate_class[c] & classes) != 0;
}

struct scan {
    const uint8_t *p, *end;
    bool full;  /* no further byte could belong to the head */
    bool reply; /* any refusal is a 502 */
    struct gate_refusal *no;
};
/* Over the front of `bytes`, no further than a head may reach. */
struct scan scan_of(struct view bytes, bool reply, struct gate_refusal *no);
/* Where it stops: at the first byte outside of the class, or at the end. */
static inline void scan_skip(struct scan *s, unsigned classes)
{
    while (s->p < s->end && gate_is(*s->p, classes))
        s->p++;
}
/* Over printable text and, in replies, obs-text; eight bytes at a time where it is ASCII. */
void scan_text(struct scan *s);
/* CRLF and nothing else; GATE_OK: it stands behind it. */
enum gate_result scan_newline(struct scan *s);
/* False: there is surely no whole head in what follows. A look at the line ends only, for callers that come again with every byte. */
bool scan_may_end(const struct scan *s);
/* The verdict of a whole head out of what its parts said: a head that does not end within its bound is refused. */
enum gate_result scan_end(const struct scan *s, enum gate_result r);
enum gate_result scan_refuse(const struct scan *s, unsigned status, const char *reason);

/* Value of a hex digit; the byte must be one. */
static inline unsigned gate_hex(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u;
}
/* Decimal digits only, no surplus zero in front (which C's strtol would read as octal), at most 2^63 - 1. `*over`: digits, but too large. */
bool gate_number(struct view v, uint64_t *out, bool *over);
/* ASCII without case; `lower` is lower-case. */
bool gate_same(struct view v, struct view lower);

#endif
