/* base/config_build.c: numbers, times, names and lists at their edges; lines of errors. */
#include "check.h"

#include "base/auto.h"
#include "base/config_yaml.h"
#include <broker/provider.h>

static struct why why;
static char x[] = "x";

static err_t build(struct yaml_consumer *y, struct config_consumer *out)
{
    struct build b = {.label = "f", .why = &why};
    return build_consumer(&b, "", y, out);
}

/* One grant with these texts. */
static err_t build_one(struct yaml_grant g, struct config_grant *kept)
{
    struct config_consumer c = {0};
    struct yaml_consumer y = {.name = x, .grants = &g, .grants_count = 1};
    g.credential = x;
    g.deliver = g.deliver ? g.deliver : 1u << DELIVER_FILE;
    err_t e = build(&y, &c);
    if (e == ERR_OK && kept)
        *kept = c.grants[0];
    if (e == ERR_OK && kept) /* numbers only are looked at afterwards */
        kept->credential = kept->budget = NULL;
    config_consumer_clear(&c);
    return e;
}

TEST(uses_are_plain_decimal)
{
    static const struct {
        const char *text;
        err_t expected;
        uint64_t uses;
    } rows[] = {{"0", ERR_OK, 0}, {"1", ERR_OK, 1}, {"007", ERR_OK, 7}, {"9223372036854775807", ERR_OK, INT64_MAX},
                {"9223372036854775808", ERR_INVALID, 0}, {"18446744073709551616", ERR_INVALID, 0}, {"", ERR_INVALID, 0},
                {"-0", ERR_INVALID, 0}, {"+1", ERR_INVALID, 0}, {"1 ", ERR_INVALID, 0}, {"1k", ERR_INVALID, 0}, {"1K", ERR_INVALID, 0},
                {"0x1", ERR_INVALID, 0}, {"1.0", ERR_INVALID, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_grant g = {0};
        CHECK_INT(build_one((struct yaml_grant){.uses = (char *)(uintptr_t)rows[i].text}, &g), rows[i].expected);
        CHECK(g.uses == rows[i].uses);
    }
}

TEST(times_have_defaults_and_bounds)
{
    static const struct {
        const char *ttl, *max;
        err_t expected;
        int64_t ttl_ms, max_ms;
    } rows[] = {{NULL, NULL, ERR_OK, 900000, 86400000}, {"1s", NULL, ERR_OK, 1000, 86400000}, {"24h", NULL, ERR_OK, 86400000, 86400000},
                {"48h", NULL, ERR_OK, 172800000, 172800000}, {"1h", "1h", ERR_OK, 3600000, 3600000}, {NULL, "15m", ERR_OK, 900000, 900000},
                {NULL, "899999ms", ERR_INVALID, 0, 0}, {"1h", "59m", ERR_INVALID, 0, 0}, {"999ms", NULL, ERR_INVALID, 0, 0},
                {"0", NULL, ERR_INVALID, 0, 0}, {"3650d", NULL, ERR_OK, 315360000000, 315360000000}, {"3651d", NULL, ERR_INVALID, 0, 0},
                {"-1s", NULL, ERR_INVALID, 0, 0}, {"1w", NULL, ERR_INVALID, 0, 0}, {"", NULL, ERR_INVALID, 0, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_grant g = {0};
        struct yaml_grant y = {.ttl = (char *)(uintptr_t)rows[i].ttl, .max_ttl = (char *)(uintptr_t)rows[i].max};
        CHECK_INT(build_one(y, &g), rows[i].expected);
        CHECK(g.ttl_ms == rows[i].ttl_ms && g.max_ttl_ms == rows[i].max_ms);
    }
}

TEST(rules_of_the_proxy_have_a_form)
{
    static const struct {
        const char *text;
        err_t expected;
    } rows[] = {{"POST /v1/messages", ERR_OK}, {"GET /", ERR_OK}, {"GET", ERR_INVALID}, {"GET ", ERR_INVALID}, {"get /", ERR_INVALID},
                {" /", ERR_INVALID}, {"GET  /", ERR_INVALID}, {"GET v1", ERR_INVALID}, {"GET /a b", ERR_INVALID}, {"GET /a?b", ERR_INVALID},
                {"GET /a#b", ERR_INVALID}, {"GET /%2f", ERR_INVALID}, {"GET /a\\b", ERR_INVALID}, {"", ERR_INVALID}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *list[] = {(char *)(uintptr_t)rows[i].text};
        CHECK_INT(build_one((struct yaml_grant){.allow = list, .allow_count = 1}, NULL), rows[i].expected);
    }
}

TEST(lists_stop_at_the_first_bad_item_and_leak_nothing)
{
    char good[] = "claude-*", bad[] = "a b", *list[] = {good, good, bad, good};
    CHECK_INT(build_one((struct yaml_grant){.models = list, .models_count = 4}, NULL), ERR_INVALID);
    CHECK_STR(why.text, "f:1: models: expected a model or a pattern, not \"a b\"");
    CHECK_OK(build_one((struct yaml_grant){.models = list, .models_count = 2}, NULL), why);
}

TEST(max_leases_and_note_have_bounds)
{
    char note[300];
    struct config_consumer c = {0};
    struct yaml_consumer y = {.name = x, .note = note};
    memset(note, 'n', sizeof(note));
    note[256] = '\0';
    CHECK_OK(build(&y, &c), why);
    CHECK_INT(c.max_leases, 1024);
    config_consumer_clear(&c);
    note[256] = 'n';
    note[257] = '\0';
    CHECK_INT(build(&y, &c), ERR_INVALID);
    config_consumer_clear(&c);
    note[0] = '\0';
    CHECK_INT(build(&y, &c), ERR_INVALID);
    config_consumer_clear(&c);
}

TEST(audit_sizes_know_their_suffixes)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } rows[] = {{NULL, 64 << 20}, {"1048576", 1 << 20}, {"1024K", 1 << 20}, {"1M", 1 << 20}, {"1G", 1 << 30}, {"1024G", (uint64_t)1 << 40},
                {"1025G", 0}, {"1048575", 0}, {"1T", 0}, {"1MB", 0}, {"M", 0}, {"1m", 0}, {"17179869184G", 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct yaml_audit audit = {.max_bytes = (char *)(uintptr_t)rows[i].text};
        struct yaml_root y = {.audit = &audit};
        struct config *c = calloc(1, sizeof(*c));
        struct build b = {.label = "f", .why = &why};
        CHECK_INT(build_config(&b, &y, c), rows[i].bytes ? ERR_OK : ERR_INVALID);
        CHECK(!rows[i].bytes || c->audit_max_bytes == rows[i].bytes);
        config_free(c);
    }
}

TEST(errors_fall_back_to_the_line_of_the_mapping)
{
    struct build b = {.text = view_str("a:\n  b:\n    c: 1\n"), .label = "f", .why = &why};
    CHECK_INT(build_fail(&b, "a.b", "c", "no %d", 5), ERR_INVALID);
    CHECK_STR(why.text, "f:3: c: no 5");
    CHECK_INT(build_fail(&b, "a.b", "missing", "no"), ERR_INVALID);
    CHECK_STR(why.text, "f:2: missing: no");
    CHECK_INT(build_fail(&b, "", "a", "no"), ERR_INVALID);
    CHECK_STR(why.text, "f:1: a: no");
    CHECK_INT(build_fail(&b, "nowhere", "z", "no"), ERR_INVALID);
    CHECK_STR(why.text, "f:1: z: no");
}
