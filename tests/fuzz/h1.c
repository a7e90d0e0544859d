/*
 * Heads of requests: the bytes are a stream. However they drip, the head ends where it does when
 * they come at once; what is taken has its parts inside the head, in order, without a control
 * character.
 */
#include "api/h1.h"
#include "base/auto.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct view part, struct view head)
{
    if (part.n == 0)
        return;
    if (part.p < head.p || part.p + part.n > head.p + head.n)
        abort();
    for (size_t i = 0; i < part.n; i++)
        if ((part.p[i] < ' ' && part.p[i] != '\t') || part.p[i] == 0x7f)
            abort();
}

/* A copy of exactly its size, so that a read past the end is seen. */
static void read_exact(const uint8_t *p, size_t n)
{
    AUTO(auto_free) uint8_t *copy = malloc(n);
    struct why why;
    struct h1_request rq;
    if (!copy)
        abort();
    memcpy(copy, p, n);
    struct view head = VIEW(copy, n);
    if (h1_read(head, &rq, &why) != ERR_OK)
        return;
    inside(rq.target, head);
    inside(rq.head.type, head);
    inside(rq.head.authorization, head);
    if (rq.target.n == 0 || !rq.method[0] || memmem(copy, n, "\r\n ", 3))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0, drip = 0;
    if (size == 0)
        return 0;
    enum h1_state whole = h1_find_end(VIEW(data, size), &at), s = H1_MORE;
    for (size_t n = 1; n <= size && s == H1_MORE; n++)
        s = h1_find_end(VIEW(data, n), &drip);
    if (whole != s || (whole == H1_WHOLE && at != drip))
        abort();
    if (whole == H1_WHOLE)
        read_exact(data, at);
    return 0;
}
