/*
 * The shared steps of parsing. Fields are views into the tree until the encoding copies them once,
 * into the caller's buffer; the tree and all scratch is wiped with the intake. What a provider does
 * not know of a file is kept, as REST: the owner gets back on release what was taken, also what
 * newer versions of a program add.
 */
#include "provider/intake.h"

#include "base/auto.h"
#include "provider/text.h"
#include <inttypes.h>
#include <stdio.h>

void intake_free(struct intake *in)
{
    json_decref(in->root);
    json_decref(in->access_claims);
    json_decref(in->id_claims);
    buf_free(&in->scopes);
    buf_free(&in->rest);
    *in = (struct intake){0};
}

static err_t add_options(struct intake *in, struct why *why)
{
    const struct provider_options *o = in->options;
    if (!o)
        return ERR_OK;
    const struct provider_upstream *up = provider_upstream(in->provider, in->cred.f[CF_KIND]);
    bool for_own = o->origin.n || o->header.n || o->username.n;
    if (for_own && (!up || up->origin))
        return fail(why, ERR_INVALID,
                    "origin, header and username are for providers generic and oauth2; %s knows "
                    "its own",
                    in->provider->name);
    const struct view given[CF__COUNT] = {[CF_ORIGIN] = o->origin,
                                          [CF_HEADER] = o->header,
                                          [CF_ENV] = o->env,
                                          [CF_USERNAME] = o->username};
    for (unsigned f = 1; f < CF__COUNT; f++)
        if (given[f].n)
            in->cred.f[f] = given[f];
    return ERR_OK;
}

err_t intake_run(struct intake *in, err_t (*read)(struct intake *in, struct why *why),
                 struct buf *out, struct why *why)
{
    struct why found = {0};
    err_t e = read(in, &found);
    if (e != ERR_OK)
        return fail(why, e, "%s; expected %s", found.text, in->provider->expects);
    TRY(add_options(in, why));
    TRY(in->provider->validate(&in->cred, why));
    return cred_encode(&in->cred, out, why);
}

err_t intake_members(struct intake *in, const json_t *obj, const struct intake_member *rows,
                     size_t n, struct why *why)
{
    for (size_t i = 0; i < n; i++) {
        struct view v;
        TRY(json_get_str(obj, rows[i].key, CRED_MAX, rows[i].required, &v, why));
        if (rows[i].required && v.n == 0)
            return fail(why, ERR_INVALID, "\"%s\" is empty: the program is logged out",
                        rows[i].key);
        in->cred.f[rows[i].field] = v;
    }
    return ERR_OK;
}

err_t intake_time(struct intake *in, enum cred_field field, int64_t ms, struct why *why)
{
    char *text = field == CF_EXPIRES_AT ? in->expires_at : in->refresh_expires;
    if (ms < 0 || ms > TEXT_MILLIS_MAX)
        return fail(why, ERR_INVALID, "%s is out of range", cred_field_name(field));
    int n = snprintf(text, sizeof in->expires_at, "%" PRId64, ms);
    in->cred.f[field] = VIEW(text, (size_t)n);
    return ERR_OK;
}

static int append(const char *p, size_t n, void *out)
{
    buf_add(out, p, n);
    return ((struct buf *)out)->bad ? -1 : 0;
}

static void drop(json_t *obj, const char *const *used)
{
    for (; *used; used++)
        (void)json_object_del(obj, *used);
}

err_t intake_rest(struct intake *in, const struct intake_used *used, struct why *why)
{
    AUTO(auto_json) json_t *left = json_deep_copy(in->root);
    if (!left)
        return fail(why, ERR_INTERNAL, "out of memory");
    json_t *inner = json_object_get(left, used->inner);
    drop(left, used->top_used);
    drop(inner, used->inner_used);
    if (json_object_size(inner) == 0)
        (void)json_object_del(left, used->inner);
    if (json_object_size(left) == 0)
        return ERR_OK;
    if (json_dump_callback(left, append, &in->rest, JSON_COMPACT) != 0)
        return fail(why, ERR_INTERNAL, "the rest of the file cannot be kept");
    in->cred.f[CF_REST] = buf_view(&in->rest);
    return ERR_OK;
}
