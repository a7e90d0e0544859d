/*
 * A request's steps, in order: the row is found, the body's length and type are held against it,
 * the token is taken, the body is read, parameters and query are added, all is checked, the message
 * is built. Whoever reads the socket (api/front.h), there is this one way to the vault.
 */
#include "api/exchange.h"
#include "api/enroll.h"
#include "base/auto.h"

err_t exchange_row(uint32_t role, const char *method, struct view target, const struct head *head,
                   struct exchange *x, struct why *why)
{
    struct view path;
    TRY(request_target(target, &path, &x->query, why));
    TRY(route_find(role, method, path, &x->match, why));
    const struct route *r = x->match.route;
    if (head->length > 0 && r->body_max == 0)
        return fail(why, ERR_INVALID, "%s %s takes no body", r->method, r->path);
    if (head->length > r->body_max)
        return fail(why, ERR_TOO_LARGE, "the body may have at most %u bytes", r->body_max);
    return head->length > 0 ? head_check_type(head, why) : ERR_OK;
}

err_t exchange_message(struct exchange *x, struct request_ids ids, struct buf *packet,
                       struct why *why)
{
    const struct route *r = x->match.route;
    AUTO(buf_free) struct buf credential = {0};
    struct values v = {0};
    TRY(request_bearer(r, x->authorization, &v, why));
    TRY(body_read(r, x->body, x->body_n, &v, why));
    TRY(request_params(&x->match, x->query, &v, why));
    TRY(request_check(r, &v, why));
    if (r->flags & ROUTE_ENROLLS)
        TRY(enroll_canonical(r, &v, &credential, why));
    v.credential = buf_view(&credential);
    return request_message(r, &v, ids, packet, why);
}
