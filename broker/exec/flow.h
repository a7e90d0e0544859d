/*
 * Bytes on their way from one socket to another, in one direction.
 */
#ifndef EXEC_FLOW_H
#define EXEC_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_HELD = 64 * 1024 }; /* bytes that wait for a slow reader, at most */

struct flow { /* zero is a new one */
    uint8_t *held;
    size_t at, n;
    bool ended;  /* nothing more comes in */
    bool sunk;   /* nothing more goes out: what comes in is dropped */
    bool closed; /* the end was passed on */
};
enum flow_step {
    FLOW_DRY,         /* waits for the source */
    FLOW_BLOCKED,     /* waits for the sink */
    FLOW_MORE,        /* has used up its turns: call again */
    FLOW_SOURCE_LOST, /* reset, or out of memory */
    FLOW_SINK_LOST
};
/* Moves bytes between non-blocking sockets for a bounded number of turns, and passes the end on (shutdown) once. */
enum flow_step flow_run(struct flow *f, int from, int to, uint8_t scratch[FLOW_HELD]);
/* Puts bytes in front of an empty flow. False: out of memory. */
bool flow_hold(struct flow *f, const void *p, size_t n);
void flow_drop(struct flow *f);       /* wipes what is held */
bool flow_done(const struct flow *f); /* ended, and nothing held */

#endif
