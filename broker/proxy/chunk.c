/*
 * Chunked transfer coding. Between the pieces of payload each byte goes through the function of its state, which names the next state or
 * BAD; payload is handed out as views, never copied. A request's reader has no states for extensions and trailers to fall into; a
 * reply's skips them within a bound, and still refuses a control, a bare LF or a folded line in them.
 */
#include "proxy/chunk.h"

#include "proxy/gate_scan.h"

enum { DIGITS_MAX = 16, SKIPPED_MAX = 16 * 1024 };
enum state {
    SIZE, /* zero: a reader begins here */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* the first byte of a line behind the last chunk */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
    BAD
};

typedef enum state step_fn(struct chunk_reader *r, uint8_t c);

static bool skip(struct chunk_reader *r)
{
    return r->lenient && r->skipped++ < SKIPPED_MAX;
}

/* `line` counts the digits */
static enum state on_size(struct chunk_reader *r, uint8_t c)
{
    if (gate_is(c, GATE_HEX) && r->line < DIGITS_MAX) {
        r->line++;
        r->left = r->left << 4 | gate_hex(c);
        return r->left > INT64_MAX ? BAD : SIZE;
    }
    if (r->line == 0)
        return BAD;
    if (c == '\r')
        return SIZE_LF;
    return c == ';' && skip(r) ? EXTENSION : BAD;
}

static enum state on_extension(struct chunk_reader *r, uint8_t c)
{
    if (c == '\r')
        return SIZE_LF;
    return gate_is(c, GATE_OBS) && skip(r) ? EXTENSION : BAD;
}

static enum state on_size_lf(struct chunk_reader *r, uint8_t c)
{
    if (c != '\n')
        return BAD;
    return r->left ? DATA : TRAILER;
}

static enum state on_data_cr(struct chunk_reader *r, uint8_t c)
{
    (void)r;
    return c == '\r' ? DATA_LF : BAD;
}

static enum state on_data_lf(struct chunk_reader *r, uint8_t c)
{
    r->line = 0;
    return c == '\n' ? SIZE : BAD;
}

static enum state on_trailer(struct chunk_reader *r, uint8_t c)
{
    if (c == '\r')
        return END_LF;
    return gate_is(c, GATE_TOKEN) && skip(r) ? TRAILER_NAME : BAD;
}

static enum state on_trailer_name(struct chunk_reader *r, uint8_t c)
{
    if (!skip(r))
        return BAD;
    if (c == ':')
        return TRAILER_VALUE;
    return gate_is(c, GATE_TOKEN) ? TRAILER_NAME : BAD;
}

static enum state on_trailer_value(struct chunk_reader *r, uint8_t c)
{
    if (c == '\r')
        return TRAILER_LF;
    return gate_is(c, GATE_OBS) && skip(r) ? TRAILER_VALUE : BAD;
}

static enum state on_trailer_lf(struct chunk_reader *r, uint8_t c)
{
    (void)r;
    return c == '\n' ? TRAILER : BAD;
}

static enum state on_end_lf(struct chunk_reader *r, uint8_t c)
{
    (void)r;
    return c == '\n' ? END : BAD;
}

static step_fn *const steps[] = {
    [SIZE] = on_size,
    [EXTENSION] = on_extension,
    [SIZE_LF] = on_size_lf,
    [DATA_CR] = on_data_cr,
    [DATA_LF] = on_data_lf,
    [TRAILER] = on_trailer,
    [TRAILER_NAME] = on_trailer_name,
    [TRAILER_VALUE] = on_trailer_value,
    [TRAILER_LF] = on_trailer_lf,
    [END_LF] = on_end_lf,
};

static enum chunk_result take_data(struct chunk_reader *r, struct view *in, struct view *data)
{
    size_t n = r->left < in->n ? (size_t)r->left : in->n;
    *data = VIEW(in->p, n);
    *in = VIEW(in->p + n, in->n - n);
    r->left -= n;
    if (r->left == 0)
        r->state = DATA_CR;
    return CHUNK_DATA;
}

enum chunk_result chunk_next(struct chunk_reader *r, struct view *in, struct view *data)
{
    while (in->n && r->state != END && r->state != BAD) {
        if (r->state == DATA)
            return take_data(r, in, data);
        r->state = (uint8_t)steps[r->state](r, in->p[0]);
        *in = VIEW(in->p + 1, in->n - 1);
    }
    if (r->state == BAD)
        return CHUNK_BAD;
    return r->state == END ? CHUNK_END : CHUNK_MORE;
}

size_t chunk_head(uint64_t n, char out[CHUNK_HEAD_ROOM])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    while (len < DIGITS_MAX && n >> (4 * len))
        len++;
    for (size_t i = len; i-- > 0; n >>= 4)
        out[i] = digits[n & 15];
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
