#include "fake/logins.h"

TEST(providers_are_found_by_name)
{
    for (const struct provider *const *p = providers; *p; p++)
        CHECK(provider_by_name(view_str((*p)->name)) == *p);
    CHECK(!provider_by_name(view_str("Claude")));
    CHECK(!provider_by_name(view_str("claude ")));
    CHECK(!provider_by_name((struct view){0}));
}

TEST(providers_are_sorted)
{
    for (const struct provider *const *p = providers; p[0] && p[1]; p++)
        CHECK(strcmp(p[0]->name, p[1]->name) < 0);
}

TEST(deliveries_go_by_kind)
{
    const struct provider *claude = provider_by_name(view_str("claude"));
    unsigned login = provider_deliveries(claude, view_str("login"));
    unsigned setup = provider_deliveries(claude, view_str("setup_token"));
    CHECK(login & (1u << DELIVER_FILE));
    CHECK(!(login & (1u << DELIVER_SECRET)));
    CHECK(setup & (1u << DELIVER_SECRET));
    CHECK(!(setup & (1u << DELIVER_ACCESS_TOKEN)));
    CHECK_INT(provider_deliveries(claude, view_str("api_key")), 0);
    CHECK_INT(provider_deliveries(claude, (struct view){0}), 0);
}
