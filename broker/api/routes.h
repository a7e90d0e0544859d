/*
 * THE list of endpoints of both sockets. One row: method, path, the message it becomes, how large
 * its body may be, and for every value where it comes from and which field it fills. The conversion
 * is generic (api/request.h); a row cannot forget a limit or a check. A role's worker knows only
 * its own rows.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "base/msg.h"

enum route_from { IN_PATH, IN_QUERY, IN_BODY, IN_BEARER, IN_ROW };
enum route_kind {
    K_TEXT,    /* string → the field's bytes */
    K_NUMBER,  /* integer from 0 */
    K_BOOL,    /* true → 1, false → not given */
    K_NAMES,   /* array of strings → "a,b" */
    K_NUMBERS, /* array of integers → "0,1000" */
    K_LIST,    /* array of strings → an L field */
};
enum { NOT_SENT = F__COUNT }; /* field of a member that api/enroll.c consumes */

struct route_field {
    const char *name; /* JSON member, query key or path parameter */
    unsigned field;   /* enum msg_field, or NOT_SENT */
    enum route_from from;
    enum route_kind kind;
    bool required;
    uint64_t value; /* IN_ROW: the constant that is sent */
    uint32_t max;   /* bytes; 0: the field's own maximum */
};

enum route_reply { REPLY_JSON, REPLY_PROMETHEUS, REPLY_JSONL };

/* NEEDS_ANY: at least one member must be given. ENROLLS: the body becomes a credential in canonical
 * form (api/enroll.h). */
enum { ROUTE_NEEDS_ANY = 1, ROUTE_ENROLLS = 2 };
enum { ROUTE_MAX_FIELDS = 16, ROUTE_MAX_PATH = 320, ROUTE_ENROLL_BODY = 256 * 1024 };

struct route {
    uint32_t role;             /* FROM_API or FROM_ADMIN */
    const char *method, *path; /* "{name}" stands for one segment */
    enum msg_type type;
    uint32_t body_max;                /* 0: no body */
    const struct route_field *fields; /* in ascending order of field: the order of the message */
    unsigned n_fields, flags;
    enum route_reply reply;
};

/* Row i of the table; NULL after the last. */
const struct route *route_at(size_t i);

enum { ROUTE_MAX_PARAMS = 2, ROUTE_ALLOW_MAX = 64 };
struct route_match {
    const struct route *route;
    struct view param[ROUTE_MAX_PARAMS]; /* values of the {parameters}, in order, into the path */
    char allow[ROUTE_ALLOW_MAX];         /* with ERR_METHOD: the methods there are, "GET, POST" */
};
/* Finds the row of `role` for a raw path (no query). ERR_NOT_FOUND; ERR_METHOD: only `allow` is
 * set. */
MUST err_t route_find(uint32_t role, const char *method, struct view path, struct route_match *out,
                      struct why *why);

/* Bytes the field's value may have: its own `max`, else the message table's. */
uint32_t route_field_max(const struct route_field *f);

#endif
