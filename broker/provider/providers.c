/*
 * All providers, and look-ups in them. Adding one: its file with one const table, and a row in
 * providers.h.
 */
#include "provider/providers.h"

const struct provider *const providers[] = {
#define ROW(id) &provider_##id,
    BROKER_PROVIDERS(ROW)
#undef ROW
        NULL,
};

const struct provider *provider_by_name(struct view name)
{
    for (const struct provider *const *p = providers; *p; p++)
        if (view_is(name, (*p)->name))
            return *p;
    return NULL;
}

const struct provider_upstream *provider_upstream(const struct provider *p, struct view kind)
{
    for (const struct provider_kind *k = p->kinds; k->name; k++)
        if (view_is(kind, k->name))
            return k->upstream;
    return NULL;
}

unsigned provider_deliveries(const struct provider *p, struct view kind)
{
    for (const struct provider_kind *k = p->kinds; k->name; k++)
        if (view_is(kind, k->name))
            return k->deliveries;
    return 0;
}
