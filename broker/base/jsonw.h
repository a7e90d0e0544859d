/*
 * Writes JSON (RFC 8259) into a buf: no tree, no allocation but the buffer's. Commas are kept right by the
 * writer; strings are escaped and invalid UTF-8 becomes U+FFFD. Depth at most 16.
 * Printing is all the vault does with JSON: it never parses any.
 */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H

#include "base/buf.h"

struct jsonw {
    struct buf *out;
    uint8_t depth;
    bool need_comma;
};

struct jsonw jsonw_to(struct buf *out);
/* `key` is NULL inside arrays and at the top. Keys are our own constants and are written unescaped. */
void jsonw_open(struct jsonw *w, const char *key, char bracket); /* '{' or '[' */
void jsonw_close(struct jsonw *w, char bracket);                 /* '}' or ']' */
void jsonw_str(struct jsonw *w, const char *key, const char *s); /* null when s is NULL */
void jsonw_view(struct jsonw *w, const char *key, struct view v);
void jsonw_int(struct jsonw *w, const char *key, int64_t v);
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_null(struct jsonw *w, const char *key);
void jsonw_hex(struct jsonw *w, const char *key, const void *p, size_t n);
void jsonw_raw(struct jsonw *w, const char *key, struct view json); /* already JSON */

/* How many bytes at the beginning stand in a JSON string as they are: printable ASCII but for `"` and `\`. */
size_t jsonw_plain(struct view v);

#endif
