/*
 * The ring between the vault and the audit writer: one page of shared words, then SINK_RING_BYTES of entries, in a sealed memfd.
 * The data is mapped twice in a row, so an entry never wraps: one memcpy in, one iovec out.
 *
 * Who writes what: `head`, `want`, `waiting` the vault (the writer clears `waiting`); all else the writer (the vault clears
 * `asleep`). Neither trusts the other with its memory: positions are checked against what the reader itself knows.
 *
 * The marks are the writer's memory across its own death: everything before `pos` is durable, and each stream goes on in file
 * `name` at `offset`. A mark is filled beside the current one and made current by one store, so a new writer begins
 * exactly there and writes the same bytes to the same offsets again: nothing is lost, nothing doubled.
 */
#ifndef VAULT_SINK_RING_H
#define VAULT_SINK_RING_H

#include "vault/sink.h"

#include <stdatomic.h>

enum {
    RING_MAGIC = 0x534b5231,
    RING_PAGE = 4096,
    RING_ENTRY = 8,
    RING_STREAMS = 2,
    RING_NAME = 48
};
enum {
    RING_AWAKE,
    RING_DOZES,
    RING_SLEEPS
}; /* dozes: will look again at the sync deadline by itself */

struct ring_place {
    char name[RING_NAME]; /* "": the stream has no segment */
    uint64_t offset;
};
struct ring_mark {
    uint64_t pos;
    struct ring_place place[RING_STREAMS];
};
struct ring_shared {
    uint32_t magic, bytes;
    _Alignas(64) _Atomic uint64_t head; /* end of what was appended */
    _Atomic uint64_t want;              /* somebody waits until this is durable */
    _Atomic uint32_t waiting;           /* the vault wants to be woken by the next progress */
    _Alignas(64) _Atomic uint64_t written;
    _Atomic uint64_t durable;
    _Atomic uint32_t asleep;  /* RING_AWAKE, … */
    _Atomic uint32_t fault;   /* errno that keeps the writer from going on; 0: none */
    _Atomic uint32_t current; /* which mark */
    struct ring_mark mark[2];
};

struct ring {
    struct ring_shared *shared;
    uint8_t *data;
    int fd;
};
struct ring_entry {
    enum sink_stream stream;
    struct view bytes;
    uint64_t next; /* position behind it */
};

MUST err_t ring_create(struct ring *out, struct why *why);
/* Maps a ring that was received; takes `fd` on success. ERR_INVALID: its size or magic is not a ring's. */
MUST err_t ring_attach(int fd, struct ring *out, struct why *why);
void ring_close(struct ring *r);
/* Bytes that a record of n bytes takes. */
uint64_t ring_size(size_t n);
/* Writes an entry at `pos` (the caller knows that there is room) and returns the position behind it; does not publish it. */
uint64_t ring_put(struct ring *r, uint64_t pos, enum sink_stream stream, struct view head,
                  struct view bytes);
/* The entry at `pos` of those before `head`; false: there is none, or it makes no sense. */
bool ring_get(const struct ring *r, uint64_t pos, uint64_t head, struct ring_entry *out);

#endif
