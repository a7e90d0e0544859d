/*
 * One credential on its way in: foreign bytes, the trees and buffers that its fields look into
 * while it is read, and the last steps all providers share. Not for the vault, which only sees what
 * comes out.
 */
#ifndef PROVIDER_INTAKE_H
#define PROVIDER_INTAKE_H

#include "base/json.h"
#include <broker/provider.h>

struct intake {
    const struct provider *provider;
    struct view input;
    const struct provider_options *options; /* may be NULL */
    struct cred cred;                       /* views into what stands below, or into input */
    json_t *root, *access_claims, *id_claims;
    struct buf scopes, rest;
    char expires_at[24], refresh_expires[24];
};
void intake_free(struct intake *in);

/* Reads with `read`, whose sentence says what it found; adds the options; validates; encodes into
 * `out`. */
MUST err_t intake_run(struct intake *in, err_t (*read)(struct intake *in, struct why *why),
                      struct buf *out, struct why *why);

/* A member that is a string and becomes a field. null counts as missing, and so does "" where it is
 * not required. */
struct intake_member {
    const char *key;
    enum cred_field field;
    bool required;
};
MUST err_t intake_members(struct intake *in, const json_t *obj, const struct intake_member *rows,
                          size_t n, struct why *why);
/* A time in ms into CF_EXPIRES_AT or CF_REFRESH_EXPIRES. */
MUST err_t intake_time(struct intake *in, enum cred_field field, int64_t ms, struct why *why);
/* What is left of the file when `inner` has lost the members `inner_used` and the top the members
 * `top_used`: into CF_REST. */
struct intake_used {
    const char *inner;
    const char *const *inner_used, *const *top_used; /* end with NULL */
};
MUST err_t intake_rest(struct intake *in, const struct intake_used *used, struct why *why);

#endif
