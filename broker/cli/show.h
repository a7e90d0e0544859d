/*
 * What people see: the values of an answer as text, columns, and the redacted picture of a
 * credential.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>

/* Takes what a terminal obeys out of JSON text that came from elsewhere: control characters,
 * escaped or not, become '?'. In place, before it is parsed. Total on any bytes. */
void show_clean(struct buf *json);

/* Members of an answer, forgiving: "" and 0 when absent. */
const char *text_of(const json_t *obj, const char *key);
int64_t int_of(const json_t *obj, const char *key);
/* The member is this text. */
bool text_is(const json_t *obj, const char *key, const char *want);
/* "2026-11-21 22:08" in local time, or "-" for 0; `out` has room for 32. */
const char *when_of(const json_t *obj, const char *key, char out[32]);
/* "access_token,file" from an array of strings or numbers; cut at a whole item where the room ends.
 * */
const char *list_of(const json_t *obj, const char *key, char *out, size_t room);
/* "7h 12m", "2d", "40s": the two largest units; "0s" for what is past. */
enum { SPAN_ROOM = 48 };
const char *span_of(int64_t ms, char out[SPAN_ROOM]);

/* Terminal colours; "" where standard output is no terminal that wants them (NO_COLOR is honoured,
 * https://no-color.org). */
enum shade { SHADE_NONE, SHADE_BOLD, SHADE_GOOD, SHADE_NOTE, SHADE_BAD };
const char *shade(enum shade s);

/* Columns, each as wide as its widest cell. Zero is no table: table_of. */
enum { TABLE_COLUMNS = 8 };
struct table {
    unsigned columns;
    size_t width[TABLE_COLUMNS];
    struct buf cells; /* NUL-terminated, row after row */
};
struct table table_of(unsigned columns);
void table_free(struct table *t);
/* `cell`: one text per column; "" and NULL show as "-". The first row is the head. */
void table_row(struct table *t, const char *const cell[]);
MUST err_t table_print(const struct table *t, const char *indent, FILE *out, struct why *why);

/* The picture that cred_describe() draws, in lines: "  expires       2026-11-22 10:00 (in 7h 12m)".
 * */
void show_picture(json_t *picture, FILE *out);

#endif
