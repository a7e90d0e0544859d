/*
 * One direction between an ACP client and its adapter: lines on their way from one descriptor to
 * another, as they are, but for the few that somebody wants to see whole; and lines of our own
 * between two of them.
 */
#ifndef EXEC_ACP_STREAM_H
#define EXEC_ACP_STREAM_H

#include "base/loop.h"
#include "exec/acp_scan.h"
#include "exec/acp_text.h"

enum {
    ACP_CHUNK = 64 * 1024,
    ACP_HEAD_MAX = 64 * 1024 /* a line that has not told by then what it is passes */
};
enum acp_take {
    ACP_PASS,  /* goes on as it comes, whatever its size */
    ACP_WHOLE, /* is wanted whole; one over ACP_TEXT_MAX passes after all */
    ACP_KEEP /* the same, and never goes on by itself; of one over ACP_TEXT_MAX only the beginning is kept */
};
struct acp_stream;
struct acp_stream_options {
    int from, to; /* the caller's; `to_closes` is closed at the end */
    bool to_closes;
    /* What to do with a line, once its head has told what it is; `scan` is ACP_OTHER where it tells nothing. */
    enum acp_take (*judge)(void *ctx, const struct acp_scan *scan);
    /* A whole line, with its newline: what of it goes on is put with acp_stream_put. */
    void (*whole)(void *ctx, const struct acp_scan *scan, const char *line, size_t n);
    /* The source has ended and all is written (lost: false), or the sink takes nothing more (lost: true). Once. */
    void (*over)(void *ctx, bool lost);
    void *ctx;
};
MUST err_t acp_stream_new(struct loop *l, const struct acp_stream_options *o,
                          struct acp_stream **out, struct why *why);
/* From `whole` only: in the place of the line. */
void acp_stream_put(struct acp_stream *s, const char *p, size_t n);
/* A line of our own: goes out between two lines, in the order of these calls. */
void acp_stream_inject(struct acp_stream *s, const struct acp_text *line);
/* While it is held, nothing that the source says goes on after the present line; what is injected does. */
void acp_stream_hold(struct acp_stream *s, bool held);
/* Takes what the source has now and ends: there will be nothing more. */
void acp_stream_finish(struct acp_stream *s);
/* Bytes that went out so far: does the sink take any? */
uint64_t acp_stream_written(const struct acp_stream *s);
void acp_stream_free(struct acp_stream *s); /* takes NULL; wipes */

#endif
