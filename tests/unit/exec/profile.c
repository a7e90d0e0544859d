/* Choosing credentials for a profile's slots. */
#include "check.h"

#include "exec/profile.h"

static struct why why;

static const struct profile *named(const char *name)
{
    const struct profile *p = NULL;
    CHECK_OK(profile_find(name, &p, &why), why);
    return p;
}

#define GRANT(n, p, k, d)                                                                          \
    {                                                                                              \
        .credential = n, .provider = p, .kind = k, .deliver = d, .available = true                 \
    }
#define AWAY(n, p, k, d)                                                                           \
    {                                                                                              \
        .credential = n, .provider = p, .kind = k, .deliver = d                                    \
    }
#define GRANTS(a) ((struct profile_grants){a, sizeof(a) / sizeof((a)[0])})

/* "credential delivery, …" of a plan */
static const char *shape(const struct profile_plan *plan)
{
    static char text[400];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < plan->n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s", i ? ", " : "",
                              plan->use[i].credential, plan->use[i].way->delivery);
    return text;
}

TEST(the_first_way_that_a_grant_fits)
{
    static const struct {
        const char *profile;
        struct broker_grant g;
        const char *want;
    } rows[] = {
        {"claude-code", GRANT("c", "claude", "login", "access_token,file"), "c file"},
        {"claude-code", GRANT("c", "claude", "login", "access_token"), "c access_token"},
        {"claude-code", GRANT("c", "claude", "setup_token", "file,secret"), "c secret"},
        {"claude-acp", GRANT("c", "anthropic", "api_key", "secret"), "c secret"},
        {"codehornets", GRANT("c", "claude", "login", "file"), "c file"},
        {"codex", GRANT("x", "codex", "login", "file"), "x file"},
        {"codex", GRANT("x", "codex", "api_key", "secret"), "x secret"},
        {"codex-acp", GRANT("x", "openai", "api_key", "secret"), "x secret"},
        {"gemini", GRANT("g", "gemini", "api_key", "secret"), "g secret"},
        {"deepeye", GRANT("jwt", "generic", "generic", "secret"), "jwt secret"},
        {"env", GRANT("e", "claude", "login", "access_token,secret"), "e access_token"},
        {"claude-code", GRANT("c", "claude", "login", "proxy,access_token,file"), "c proxy"},
        {"claude-acp", GRANT("c", "anthropic", "api_key", "proxy,secret"), "c proxy"},
        {"codehornets", GRANT("c", "claude", "setup_token", "proxy,secret"), "c proxy"},
        {"claude-tcp", GRANT("c", "claude", "login", "proxy,file"), "c proxy"},
        {"codex", GRANT("x", "codex", "login", "proxy,file"), "x proxy"},
        {"codex-long", GRANT("x", "codex", "login", "proxy,file"), "x proxy"},
        {"claude-long", GRANT("c", "claude", "setup_token", "proxy,secret"), "c proxy"},
        {"codex-acp", GRANT("x", "openai", "api_key", "proxy,secret"), "x proxy"},
        {"gemini", GRANT("g", "gemini", "api_key", "proxy,secret"), "g proxy"},
        {"opencode", GRANT("o", "anthropic", "api_key", "proxy,secret"), "o proxy"},
        {"opencode", GRANT("o", "gemini", "api_key", "secret"), "o secret"},
        {"anthropic-sdk", GRANT("o", "anthropic", "api_key", "proxy"), "o proxy"},
        {"openai-sdk", GRANT("o", "openai", "api_key", "proxy,secret"), "o proxy"},
        {"deepeye", GRANT("o", "openai", "api_key", "proxy,secret"), "o proxy"},
        {"env", GRANT("o", "openai", "api_key", "proxy,secret"), "o proxy"},
        {"env", GRANT("g", "generic", "generic", "proxy,secret"), "g secret"},
        {"env", GRANT("g", "generic", "generic", "proxy"), "g proxy"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct profile_plan plan = {.n = 0};
        CHECK_OK(profile_choose(named(rows[i].profile), (struct profile_grants){&rows[i].g, 1},
                                &plan, &why),
                 why);
        CHECK_STR(shape(&plan), rows[i].want);
    }
}

TEST(a_subscription_is_for_its_own_programs)
{
    struct broker_grant g = GRANT("c", "claude", "login", "proxy,file,access_token");
    struct profile_plan plan = {.n = 0};
    CHECK_INT(profile_choose(named("anthropic-sdk"), (struct profile_grants){&g, 1}, &plan, &why),
              ERR_DENIED);
    CHECK_INT(profile_choose(named("opencode"), (struct profile_grants){&g, 1}, &plan, &why),
              ERR_DENIED);
}

TEST(arguments_are_for_the_program_itself)
{
    const struct profile *codex = named("codex"), *acp = named("codex-acp");
    CHECK(profile_takes_args(codex, "codex") && profile_takes_args(codex, "/opt/bin/codex"));
    CHECK(profile_takes_args(codex, "codex-x86_64-unknown-linux-musl"));
    CHECK(!profile_takes_args(codex, "node") && !profile_takes_args(codex, "/codex/npx"));
    CHECK(profile_takes_args(acp, "codex-acp-linux-x64") && !profile_takes_args(acp, "codex"));
    CHECK(!profile_takes_args(named("env"), "codex"));
}

TEST(a_placeholder_is_found_in_any_value)
{
    const struct profile_way *way = named("codex")->slot->way;
    CHECK(profile_way_names(way, "{base}") && profile_way_names(way, "{token}"));
    CHECK(!profile_way_names(way, "{proxy_socket}"));
    way = named("claude-code")->slot->way;
    CHECK(!profile_way_names(way, "{base}") && profile_way_names(way, "{proxy_socket}"));
}

TEST(one_login_is_enough_and_the_better_way_wins)
{
    struct broker_grant g[] = {GRANT("key", "anthropic", "api_key", "secret"),
                               GRANT("login", "claude", "login", "access_token"),
                               GRANT("other", "codex", "login", "file")};
    struct profile_plan plan = {.n = 0};
    CHECK_OK(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "login access_token");
}

TEST(a_gateway_takes_one_of_each)
{
    struct broker_grant g[] = {GRANT("x", "codex", "login", "file"),
                               GRANT("c", "claude", "login", "file"),
                               GRANT("o", "openai", "api_key", "secret")};
    struct profile_plan plan = {.n = 0};
    CHECK_OK(profile_choose(named("deerflow-gateway"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "c file, x file, o secret");
    struct broker_grant proxied[] = {GRANT("x", "codex", "login", "proxy"), GRANT("c", "claude", "login", "proxy")};
    CHECK_OK(profile_choose(named("deerflow-gateway"), GRANTS(proxied), &plan, &why), why);
    CHECK_STR(shape(&plan), "c proxy, x proxy");
}

TEST(two_alike_are_named_and_none_is_taken)
{
    struct broker_grant g[] = {GRANT("work", "claude", "login", "file"),
                               GRANT("home", "claude", "login", "file")};
    struct profile_plan plan = {.n = 7};
    CHECK_INT(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), ERR_CONFLICT);
    CHECK(strstr(why.text, "work, home") && strstr(why.text, "--credential"));
    CHECK_INT(plan.n, 7);
    g[0].available = false; /* one that cannot be used now is no choice */
    CHECK_OK(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "home file");
    g[0].available = true, g[1].available = false;
    CHECK_OK(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "work file");
    g[0].available = false; /* and two of those are two again */
    CHECK_INT(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), ERR_CONFLICT);
}

TEST(one_that_cannot_be_used_is_still_asked_for)
{
    struct broker_grant g[] = {AWAY("c", "claude", "login", "file")}; /* the broker then says why */
    struct profile_plan plan = {.n = 0};
    CHECK_OK(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "c file");
}

TEST(nothing_that_fits_is_said_with_what_there_is)
{
    struct broker_grant g[] = {GRANT("x", "codex", "login", "file"), AWAY("new", "", "", "file")};
    struct profile_plan plan = {.n = 7};
    CHECK_INT(profile_choose(named("claude-code"), GRANTS(g), &plan, &why), ERR_DENIED);
    CHECK(strstr(why.text, "claude by file") && strstr(why.text, "x file") &&
          strstr(why.text, "new (not enrolled)"));
    CHECK_INT(profile_choose(named("claude-code"), (struct profile_grants){NULL, 0}, &plan, &why),
              ERR_DENIED);
    CHECK(strstr(why.text, "nothing") != NULL);
    CHECK_INT(plan.n, 7);
}

TEST(env_takes_every_secret_or_fails)
{
    struct broker_grant g[] = {GRANT("a", "generic", "generic", "helper,secret"),
                               GRANT("b", "openai", "api_key", "secret"),
                               GRANT("c", "generic", "generic", "helper")};
    struct profile_plan plan = {.n = 0};
    CHECK_OK(profile_choose(named("env"), GRANTS(g), &plan, &why), why);
    CHECK_STR(shape(&plan), "a secret, b secret");
    g[1].provider[0] = '\0';
    CHECK_INT(profile_choose(named("env"), GRANTS(g), &plan, &why), ERR_NEEDS_LOGIN);
    CHECK(strstr(why.text, "b") && strstr(why.text, "not enrolled"));
}

TEST(wishes_are_met_as_they_are)
{
    struct broker_grant g[] = {GRANT("work", "claude", "login", "access_token,file"),
                               GRANT("home", "claude", "login", "file"),
                               GRANT("key", "anthropic", "api_key", "secret")};
    static const struct {
        const char *wish[3], *want;
    } rows[] = {
        {{"home", NULL}, "home file"},
        {{"work=access_token", NULL}, "work access_token"},
        {{"key", NULL}, "key secret"},
        {{NULL}, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct profile_plan plan = {.n = 0};
        CHECK_OK(profile_choose_named(named("claude-code"), GRANTS(g), rows[i].wish, &plan, &why),
                 why);
        CHECK_STR(shape(&plan), rows[i].want);
    }
}

TEST(wishes_that_cannot_be_met_are_refused)
{
    struct broker_grant g[] = {GRANT("work", "claude", "login", "access_token,file"),
                               GRANT("key", "anthropic", "api_key", "secret"),
                               GRANT("x", "codex", "login", "file"), AWAY("new", "", "", "file")};
    static const struct {
        const char *wish[3];
        err_t e;
        const char *says;
    } rows[] = {
        {{"nobody", NULL}, ERR_DENIED, "nobody"},
        {{"wor", NULL}, ERR_DENIED, "no grant"},
        {{"work=secret", NULL}, ERR_CONFLICT, "no use for work"},
        {{"work=helper", NULL}, ERR_CONFLICT, "by helper"},
        {{"x", NULL}, ERR_CONFLICT, "no use for x"},
        {{"new", NULL}, ERR_NEEDS_LOGIN, "not enrolled"},
        {{"work", "key", NULL}, ERR_CONFLICT, "work and key"},
        {{"work", "work", NULL}, ERR_CONFLICT, "one credential"},
        {{"=file", NULL}, ERR_USAGE, "NAME=DELIVERY"},
        {{"work=", NULL}, ERR_USAGE, "NAME=DELIVERY"},
        {{"", NULL}, ERR_USAGE, "NAME=DELIVERY"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct profile_plan plan = {.n = 7};
        CHECK_INT(profile_choose_named(named("claude-code"), GRANTS(g), rows[i].wish, &plan, &why),
                  rows[i].e);
        CHECK(strstr(why.text, rows[i].says) || !printf("    %s\n", why.text));
        CHECK_INT(plan.n, 7);
    }
}

TEST(a_plan_has_an_end)
{
    static struct broker_grant g[PROFILE_USES + 1];
    struct profile_plan plan = {.n = 0};
    for (size_t i = 0; i <= PROFILE_USES; i++) {
        g[i] = (struct broker_grant)GRANT("", "generic", "generic", "secret");
        snprintf(g[i].credential, sizeof(g[i].credential), "s%zu", i);
    }
    CHECK_OK(profile_choose(named("env"), (struct profile_grants){g, PROFILE_USES}, &plan, &why),
             why);
    CHECK_INT(plan.n, PROFILE_USES);
    CHECK_INT(
        profile_choose(named("env"), (struct profile_grants){g, PROFILE_USES + 1}, &plan, &why),
        ERR_LIMIT);
}

TEST(slips_in_a_profiles_name)
{
    const struct profile *p = NULL;
    CHECK_INT(profile_find("claude-cod", &p, &why), ERR_USAGE);
    CHECK(strstr(why.text, "did you mean claude-code?") != NULL);
    CHECK_INT(profile_find("something else", &p, &why), ERR_USAGE);
    CHECK(strstr(why.text, "codehornets") && strstr(why.text, "env"));
    CHECK(!p);
}

TEST(a_program_has_its_profile)
{
    CHECK_STR(profile_for_command("claude")->name, "claude-code");
    CHECK_STR(profile_for_command("/usr/local/bin/claude")->name, "claude-code");
    CHECK_STR(profile_for_command("claude-agent-acp")->name, "claude-acp");
    CHECK_STR(profile_for_command("./codex")->name, "codex");
    CHECK_STR(profile_for_command("codex-acp")->name, "codex-acp");
    CHECK_STR(profile_for_command("gemini")->name, "gemini");
    CHECK_STR(profile_for_command("uvicorn")->name, "env");
    CHECK_STR(profile_for_command("claudette")->name, "env");
    CHECK_STR(profile_for_command("")->name, "env");
}
