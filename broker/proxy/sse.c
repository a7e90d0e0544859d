/*
 * One small machine per line: its beginning is held against `data:` byte by byte, then it is data or passed over up to its end. A CRLF that is
 * cut in two is one end: the LF after a CR is dropped whenever it comes.
 */
#include "proxy/sse.h"

#include "proxy/run.h"

enum { START, LINE, SPACE, DATA, SKIP }; /* START: of the stream, where a BOM may stand */

static const uint8_t bom[] = {0xef, 0xbb, 0xbf}, field[] = {'d', 'a', 't', 'a', ':'};

static void drop(struct view *in, size_t n)
{
    *in = VIEW(in->p + n, in->n - n);
}

static bool is_end(uint8_t c)
{
    return c == '\r' || c == '\n';
}

static enum sse_piece end_line(struct sse *s, struct view *in)
{
    bool empty = s->state <= LINE && s->matched == 0, event = empty && s->data;
    s->after_cr = *in->p == '\r';
    drop(in, 1);
    s->state = LINE;
    s->matched = 0;
    if (event)
        s->data = false;
    return event ? SSE_EVENT : SSE_MORE;
}

/* The beginning of the stream: a BOM, whole or not at all. */
static void in_start(struct sse *s, struct view *in)
{
    if (*in->p != bom[s->matched]) {
        s->state = s->matched ? SKIP : LINE;
        return;
    }
    drop(in, 1);
    if (++s->matched < sizeof(bom))
        return;
    s->state = LINE;
    s->matched = 0;
}

/* The beginning of a line. A second line of data in one event gives the LF between them. */
static enum sse_piece in_name(struct sse *s, struct view *in, struct view *data)
{
    if (*in->p != field[s->matched]) {
        s->state = SKIP;
        return SSE_MORE;
    }
    drop(in, 1);
    if (++s->matched < sizeof(field))
        return SSE_MORE;
    s->state = SPACE;
    *data = VIEW("\n", 1);
    bool second = s->data;
    s->data = true;
    return second ? SSE_DATA : SSE_MORE;
}

static enum sse_piece in_rest(struct sse *s, struct view *in, struct view *data)
{
    if (s->state == SPACE) {
        s->state = DATA;
        if (*in->p == ' ') {
            drop(in, 1);
            return SSE_MORE;
        }
    }
    size_t n = run_of_line(in->p, in->n);
    *data = VIEW(in->p, n);
    drop(in, n);
    return s->state == DATA ? SSE_DATA : SSE_MORE;
}

static enum sse_piece step(struct sse *s, struct view *in, struct view *data)
{
    if (s->after_cr) {
        s->after_cr = false;
        if (*in->p == '\n') {
            drop(in, 1);
            return SSE_MORE;
        }
    }
    if (is_end(*in->p))
        return end_line(s, in);
    if (s->state == START) {
        in_start(s, in);
        return SSE_MORE;
    }
    return s->state == LINE ? in_name(s, in, data) : in_rest(s, in, data);
}

enum sse_piece sse_next(struct sse *s, struct view *in, struct view *data)
{
    while (in->n) {
        enum sse_piece piece = step(s, in, data);
        if (piece != SSE_MORE)
            return piece;
    }
    return SSE_MORE;
}
