/*
 * The table of stores. A new one adds a file and a row.
 */
#include "store/stores.h"

#include <stddef.h>

const struct store_ops *const stores[] = {&store_file, NULL};

const struct store_ops *store_by_name(struct view name)
{
    for (const struct store_ops *const *s = stores; *s; s++)
        if (view_is(name, (*s)->name))
            return *s;
    return NULL;
}
