/*
 * Reading the segments of the audit log: which there are, lines of one, the first line at or behind a number. Nothing is verified
 * here.
 */
#ifndef VAULT_AUDIT_LOG_H
#define VAULT_AUDIT_LOG_H

#include "vault/audit_line.h"

enum { AUDIT_NAME = 24, AUDIT_SEGMENTS_MAX = 999999 };

struct audit_segments { /* numbers, ascending */
    uint32_t *number;
    size_t n, cap;
};
MUST err_t audit_segments_list(int dirfd, struct audit_segments *out, struct why *why);
void audit_segments_free(struct audit_segments *s);
void audit_segment_name(uint32_t number, char out[AUDIT_NAME]);

struct audit_reader {
    int fd;
    uint8_t *chunk;
    size_t have, used; /* in chunk */
    uint64_t at;       /* file offset of the next line */
    bool torn;         /* the file ends in a piece of a line, which begins `at` */
    bool failed;       /* it could not be read */
};
MUST err_t audit_reader_open(int dirfd, uint32_t number, struct audit_reader *out, struct why *why);
void audit_reader_close(struct audit_reader *r);
/* The next line, without its newline (a view into the reader, until the next call); false at the end, see torn and failed. A line of over
 * AUDIT_LINE_MAX bytes is given in pieces, which no parser takes for lines. */
bool audit_reader_next(struct audit_reader *r, struct view *line);
void audit_reader_seek(struct audit_reader *r, uint64_t offset);
/* To the first line whose number is at least `seq`, by halving; true unless all are smaller. */
bool audit_reader_find(struct audit_reader *r, uint64_t seq);
/* The last segment that begins with a line of at most this number: index in `s`, 0 when none does. */
size_t audit_segments_find(int dirfd, const struct audit_segments *s, uint64_t seq);
/* audit_read of audit.h: lines with numbers in (after, newest]. */
struct audit_range {
    uint64_t after, newest;
    unsigned limit;
};
MUST err_t audit_log_read(int dirfd, const struct audit_range *range, struct buf *out,
                          struct why *why);

#endif
