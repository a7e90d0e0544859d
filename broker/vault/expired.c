/* One line for many expired leases. Nothing is lost by it: a lease is in the log with its id, consumer and credential. */
#include "vault/expired.h"

#include "base/auto.h"
#include "vault/server.h"

#include <string.h>

static bool fits(const struct expired *x, const struct lease *l)
{
    return x->n < EXPIRED_MAX && x->delivery == l->delivery &&
           strcmp(x->consumer, l->consumer) == 0 && strcmp(x->credential, l->credential) == 0;
}

void expired_add(struct vault *v, const struct lease *l)
{
    struct expired *x = &v->expired;
    if (x->n && !fits(x, l))
        expired_tell(v);
    if (x->n == 0) {
        (void)view_copy(view_str(l->consumer), x->consumer, sizeof(x->consumer));
        (void)view_copy(view_str(l->credential), x->credential, sizeof(x->credential));
        x->delivery = l->delivery;
    }
    char *id = x->ids + x->n * sizeof(l->id_hex);
    if (x->n)
        id[-1] = ' ';
    memcpy(id, l->id_hex, sizeof(l->id_hex));
    x->n++;
}

void expired_tell(struct vault *v)
{
    struct expired *x = &v->expired;
    if (x->n == 0)
        return;
    struct audit_record r = {.event = AUDIT_LEASE_EXPIRED,
                             .outcome = ERR_OK,
                             .consumer = x->consumer,
                             .credential = x->credential,
                             .delivery = delivery_name(x->delivery),
                             .lease = x->n == 1 ? x->ids : NULL,
                             .leases = x->n > 1 ? x->ids : NULL,
                             .count = x->n > 1 ? x->n : 0};
    server_note(v, &r);
    x->n = 0;
}
