/* A configuration from its text, as far as building it goes. */
#ifndef TESTS_CONFIG_RIG_H
#define TESTS_CONFIG_RIG_H

#include "check.h"

#include "base/auto.h"
#include "base/config_yaml.h"

static struct why why;

static inline void auto_root(struct yaml_root **y)
{
    yaml_free_root(*y);
}

static inline err_t load(const char *yaml, struct config **out)
{
    AUTO(auto_root) struct yaml_root *y = NULL;
    struct build b = {.text = view_str(yaml), .label = "broker.yaml", .why = &why};
    struct config *c = calloc(1, sizeof(*c));
    err_t e = yaml_read_root(view_str(yaml), "broker.yaml", &y, &why);
    if (e == ERR_OK)
        e = build_config(&b, y, c);
    if (e == ERR_OK && out)
        *out = c;
    else
        config_free(c);
    return e;
}

#endif
