/* One request or reply from a string, and what became of it. */
#ifndef TESTS_GATE_RIG_H
#define TESTS_GATE_RIG_H

#include "proxy/gate.h"

#include "base/auto.h"
#include "check.h"

static struct gate_request req;
static struct gate_response rep;
static struct gate_refusal no;
static size_t used;

/* Status of the refusal; 0: it is whole and good; -1: more is wanted. */
static inline int asked_bytes(struct view v)
{
    switch (gate_request(v, &req, &used, &no)) {
    case GATE_OK:
        return 0;
    case GATE_MORE:
        return -1;
    default:
        CHECK(no.reason && no.reason[0]);
        return (int)no.status;
    }
}
static inline int asked(const char *text)
{
    return asked_bytes(view_str(text));
}
/* with this line among the fields */
static inline int with(const char *line)
{
    static char text[4096];
    (void)snprintf(text, sizeof(text), "POST /v1 HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", line);
    return asked(text);
}
static inline int target(const char *t)
{
    static char text[4096];
    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", t);
    return asked(text);
}
static inline int answered_to(const char *text, bool to_head)
{
    switch (gate_response(view_str(text), to_head, &rep, &used, &no)) {
    case GATE_OK:
        return 0;
    case GATE_MORE:
        return -1;
    default:
        CHECK(no.reason && no.reason[0]);
        return (int)no.status;
    }
}
static inline int answered(const char *text)
{
    return answered_to(text, false);
}
/* all rows must come out the same */
static inline void all(const char *const *rows, size_t n, int (*fn)(const char *), int want)
{
    for (size_t i = 0; i < n; i++) {
        int got = fn(rows[i]);
        if (got != want)
            printf("    row \"%s\" gives %d, not %d\n", rows[i], got, want);
        CHECK_INT(got, want);
    }
}
#define ALL(rows, fn, want) all(rows, COUNT(rows), fn, want)

#endif
