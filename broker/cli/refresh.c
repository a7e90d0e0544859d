/*
 * broker-cli refresh: renews a login now. Only for who cannot wait: the broker renews each by itself in time.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>

struct refresh_options {
    struct verb_common common;
};
static const struct option_row rows[] = {VERB_ROWS(struct refresh_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

static err_t refresh(const struct refresh_options *o, const struct operands *rest, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    AUTO(buf_free) struct buf path = {0}, body = {0};
    char left[SPAN_ROOM];
    if (rest->n != 1)
        return fail(why, ERR_USAGE, "which login? broker-cli refresh NAME");
    buf_add_str(&path, "/v1/credentials/");
    TRY(path_add(&path, rest->at[0], "credential name", why));
    buf_add_str(&path, "/refresh");
    buf_add_str(&body, "{}");
    TRY(admin_ask(&o->common, "POST", buf_text(&path), &body, &reply, why));
    if (!reply)
        return ERR_OK;
    int64_t ends = int_of(reply, "expires_at_ms");
    (void)printf("%s: renewed, version %" PRId64 "%s%s.\n", text_of(reply, "name"),
                 int_of(reply, "version"), ends ? "; good for " : "",
                 ends ? span_of(ends - clock_wall_ms(), left) : "");
    return ERR_OK;
}

int verb_refresh(int argc, char **argv)
{
    struct refresh_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = refresh(&o, &rest, &why);
    return verb_end(argv[0], &o.common, e, &why);
}
