/*
 * The header fields of a request or a reply, and what they say about its framing.
 */
#ifndef PROXY_GATE_FIELDS_H
#define PROXY_GATE_FIELDS_H

#include "proxy/gate_scan.h"

struct fields {
    struct gate_header *header; /* room for GATE_HEADERS_MAX; to be set by the caller */
    unsigned n;
    struct view host;
    uint64_t length;
    bool has_host, has_length, chunked;
    bool close, keep_alive; /* members of Connection */
    bool expect_continue, upgrade;
};
/* Reads up to the empty line and over it. GATE_OK: each field by itself is good. */
enum gate_result gate_fields(struct scan *s, struct fields *f);

#endif
