/*
 * The rules every kind of credential keeps, driven by its row: which fields it has, what a release
 * hands out, in which deliveries, and that nothing about to end is handed out. Runs in the vault:
 * no JSON, no allocation but the output's.
 */
#include "provider/kind.h"

#include "base/auto.h"
#include "provider/text.h"
#include <stdio.h>

const struct provider_kind *kind_of(const struct provider *p, const struct cred *c)
{
    for (const struct provider_kind *k = p->kinds; k->name; k++)
        if (view_is(c->f[CF_KIND], k->name))
            return k;
    return NULL;
}

static err_t check_fields(const struct provider *p, const struct provider_kind *k,
                          const struct cred *c, struct why *why)
{
    uint32_t known = k->required | k->optional | CF_BIT(KIND);
    for (unsigned f = 1; f < CF__COUNT; f++) {
        bool has = cred_has(c, f);
        if (!has && (k->required & (1u << f)))
            return fail(why, ERR_INVALID, "%s of kind %s without %s", p->title, k->name,
                        cred_field_name(f));
        if (has && !(known & (1u << f)))
            return fail(why, ERR_INVALID, "%s of kind %s has no use for %s", p->title, k->name,
                        cred_field_name(f));
    }
    return ERR_OK;
}

/* A token with a line break in it would end the header it is put in. */
static err_t check_tokens(const struct provider_kind *k, const struct cred *c, struct why *why)
{
    static const enum cred_field tokens[] = {CF_SECRET, CF_ACCESS_TOKEN, CF_REFRESH_TOKEN,
                                             CF_ID_TOKEN, CF_ACCOUNT};
    for (size_t i = k->free_text ? 1 : 0; i < COUNT(tokens); i++)
        if (cred_has(c, tokens[i]) && !text_visible(c->f[tokens[i]]))
            return fail(why, ERR_INVALID, "%s holds white space or bytes outside ASCII",
                        cred_field_name(tokens[i]));
    return ERR_OK;
}

err_t kind_validate(const struct provider *p, const struct cred *c, struct why *why)
{
    const struct provider_kind *k = kind_of(p, c);
    if (!k)
        return fail(why, ERR_INVALID, "provider %s has no credentials of this kind", p->name);
    TRY(check_fields(p, k, c, why));
    TRY(check_tokens(k, c, why));
    if (cred_has(c, CF_ENV) && !text_env_name(c->f[CF_ENV]))
        return fail(why, ERR_INVALID, "env must be a name of A-Z, 0-9 and _, such as MY_API_KEY");
    return ERR_OK;
}

err_t kind_fresh(const struct provider *p, const struct cred *c, int64_t now_ms, struct why *why)
{
    int64_t ends = cred_ms(c, CF_EXPIRES_AT);
    if (!cred_has(c, CF_EXPIRES_AT) || now_ms <= ends - RELEASE_MIN_LEFT_MS)
        return ERR_OK;
    return fail(why, ERR_NEEDS_LOGIN,
                "%s: its access token %s; log in with the program again and enroll the new login",
                p->title, now_ms < ends ? "ends in less than 60 s" : "has expired");
}

static void list_deliveries(unsigned mask, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned d = 0; d < DELIVER__COUNT && n < room; d++)
        if (mask & (1u << d))
            n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "", delivery_name(d));
}

err_t kind_serves(const struct provider *p, const struct cred *c, enum delivery d, struct why *why)
{
    const struct provider_kind *k = kind_of(p, c);
    if (!k)
        return fail(why, ERR_INVALID, "provider %s has no credentials of this kind", p->name);
    if ((unsigned)d < DELIVER__COUNT && (k->deliveries & (1u << d)))
        return ERR_OK;
    char served[96];
    list_deliveries(k->deliveries, served, sizeof served);
    return fail(why, ERR_CONFLICT, "a %s of provider %s is not delivered as %s; it serves: %s",
                k->name, p->name, delivery_name(d), served);
}

err_t kind_release(const struct provider *p, const struct cred *c, struct kind_release how,
                   struct buf *out, struct why *why)
{
    TRY(kind_serves(p, c, how.delivery, why));
    if (how.delivery == DELIVER_PROXY || how.delivery == DELIVER_FILE)
        return fail(why, ERR_CONFLICT, "the delivery %s hands out no bare value",
                    delivery_name(how.delivery));
    TRY(kind_fresh(p, c, how.now_ms, why));
    const struct provider_kind *k = kind_of(p, c);
    struct view value = k ? c->f[k->value] : VIEW(NULL, 0);
    if (value.n == 0)
        return fail(why, ERR_CONFLICT, "the credential has no value to hand out");
    buf_add_view(out, value);
    return buf_ok(out, why);
}

const char *kind_token_prefix(const struct provider *p, const struct cred *c)
{
    const struct provider_kind *k = kind_of(p, c);
    return k ? k->token_prefix : "";
}
