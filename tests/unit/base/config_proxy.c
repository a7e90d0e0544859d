/* base/config_proxy.c: upstreams, prices, the number of workers; every error with its line and key. */
#include "config_rig.h"
#include <broker/provider.h>

TEST(all_members_are_read)
{
    struct config *c = NULL;
    CHECK_OK(load("upstreams:\n"
                  "  - provider: claude\n    origin: https://gateway.example:8443\n    ca: /etc/ssl/own.pem\n"
                  "  - { provider: openai, origin: \"http://127.0.0.1:9000\", private: true }\n"
                  "  - { provider: generic, origin: \"https://a.example\", ca: /a.pem }\n"
                  "  - { provider: generic, origin: \"https://b.example\", private: yes }\n"
                  "prices:\n"
                  "  - { model: \"claude-opus-*\", input: 15, output: 75, cache_read: 1.5, cache_write: 18.75 }\n"
                  "  - { model: \"*\", input: 0.25, output: 1 }\n"
                  "proxy: { workers: 3 }\n",
                  &c),
             why);
    CHECK_INT(c->n_upstreams, 4);
    CHECK_STR(c->upstreams[0].provider, "claude");
    CHECK_STR(c->upstreams[0].origin, "https://gateway.example:8443");
    CHECK_STR(c->upstreams[0].ca, "/etc/ssl/own.pem");
    CHECK(!c->upstreams[0].private && c->upstreams[1].private && c->upstreams[3].private && !c->upstreams[1].ca);
    CHECK_INT(c->n_prices, 2);
    CHECK_INT(c->proxies, 3);
    const struct config_price *p = config_price_of(c, view_str("claude-opus-4-5"));
    CHECK(p && p->input == 15000000 && p->output == 75000000 && p->cache_read == 1500000 && p->cache_write == 18750000);
    p = config_price_of(c, view_str("gpt-5"));
    CHECK(p && p->input == 250000 && p->output == 1000000 && p->cache_read == 250000 && p->cache_write == 250000);
    CHECK(config_same_upstreams(c, c));
    struct config *d = NULL;
    CHECK_OK(load("upstreams:\n  - { provider: claude, origin: \"https://gateway.example:8443\" }\n", &d), why);
    CHECK(!config_same_upstreams(c, d) && !config_same_upstreams(d, c));
    CHECK_INT(d->proxies, 1);
    CHECK(!config_price_of(d, view_str("x")));
    config_free(c);
    config_free(d);
}

TEST(each_difference_of_an_upstream_counts)
{
    static const char *const other[] = {
        "upstreams:\n  - { provider: codex, origin: \"https://a.example\", ca: /a, private: true }\n",
        "upstreams:\n  - { provider: claude, origin: \"https://b.example\", ca: /a, private: true }\n",
        "upstreams:\n  - { provider: claude, origin: \"https://a.example\", ca: /b, private: true }\n",
        "upstreams:\n  - { provider: claude, origin: \"https://a.example\", private: true }\n",
        "upstreams:\n  - { provider: claude, origin: \"https://a.example\", ca: /a }\n"};
    struct config *a = NULL, *b = NULL;
    CHECK_OK(load("upstreams:\n  - { provider: claude, origin: \"https://a.example\", ca: /a, private: true }\n", &a), why);
    for (size_t i = 0; i < COUNT(other); i++) {
        CHECK_OK(load(other[i], &b), why);
        CHECK(!config_same_upstreams(a, b));
        config_free(b);
    }
    config_free(a);
}

TEST(errors_name_line_and_key)
{
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {"store: file\nupstreams:\n  - provider: claude\n    origin: http://127.0.0.1\n", "broker.yaml:4: origin: plain http would show"},
        {"upstreams:\n  - provider: claude\n    origin: https://Host\n", "broker.yaml:3: origin: expected https://host[:port]"},
        {"upstreams:\n  - provider: claude\n", "origin: is required here"},
        {"upstreams:\n  - provider: \"a b\"\n    origin: https://x\n", "broker.yaml:2: provider: expected the name"},
        {"upstreams:\n  - provider: claude\n    origin: https://x\n    ca: own.pem\n", "broker.yaml:4: ca: expected the absolute path"},
        {"upstreams:\n  - provider: claude\n    origin: https://x\n  - provider: claude\n    origin: https://y\n",
         "broker.yaml:4: provider: there is an upstream for it already"},
        {"upstreams:\n  - provider: generic\n    origin: https://x\n  - provider: generic\n    origin: https://x\n",
         "broker.yaml:4: provider: there is an upstream for it already"},
        {"upstreams:\n  - provider: claude\n    origin: https://x\n    private: maybe\n", "private: expected one of false, true, no, yes"},
        {"upstreams:\n  - provider: claude\n    origin: https://x\n    path: /x\n", "broker.yaml:4: path: unknown key; known here: provider, origin, ca, private"},
        {"prices:\n  - model: x\n    input: 1\n", "broker.yaml:2: output: is required here"},
        {"prices:\n  - model: x\n    output: 1\n", "broker.yaml:2: input: is required here"},
        {"prices:\n  - model: x\n    input: 1\n    output: cheap\n", "broker.yaml:4: output: expected US dollars"},
        {"prices:\n  - model: \"a b\"\n    input: 1\n    output: 1\n", "broker.yaml:2: model: expected a model or a pattern"},
        {"proxy: { workers: 0 }\n", "broker.yaml:1: workers: expected a whole number from 1 to 4"},
        {"proxy: { workers: 5 }\n", "workers: expected"}, {"proxy: { workers: 11 }\n", "workers: expected"},
        {"proxy: { workers: \"\" }\n", "workers: expected"}, {"proxy: { threads: 2 }\n", "threads: unknown key; known here: workers"},
        {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [proxy]\n        budget: 600/h\n",
         "broker.yaml:6: budget: expected items like"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        why.text[0] = '\0';
        CHECK_INT(load(rows[i].yaml, NULL), ERR_INVALID);
        if (!strstr(why.text, rows[i].says))
            printf("    \"%s\"\n    not \"%s\"\n", why.text, rows[i].says);
        CHECK(strstr(why.text, rows[i].says));
    }
}

TEST(origins_are_scheme_host_and_port)
{
    static const char *const bad[] = {"", "https://", "http://", "https://:1", "https://a:", "https://a:0", "https://a:01", "https://a:65536",
                                      "https://a:1x", "https://a/", "https://a?b", "https://u@a", "https://a..b", "https://-a", "https://a-",
                                      "https://.a", "https://a.", "ftp://a", "HTTPS://a", "https//a", "https://a b", "https://A", "https://[::1",
                                      "https://::1", "https://[::g]", "https://[]", "https://a:1:2", "a.example"};
    struct origin o;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (origin_parse(view_str(bad[i]), &o))
            printf("    taken: %s\n", bad[i]);
        CHECK(!origin_parse(view_str(bad[i]), &o));
    }
    CHECK(origin_parse(view_str("https://api.example"), &o) && o.tls && o.port == 443 && view_is(o.host, "api.example"));
    CHECK(origin_parse(view_str("http://127.0.0.1:8080"), &o) && !o.tls && o.port == 8080 && view_is(o.host, "127.0.0.1"));
    CHECK(origin_parse(view_str("http://h"), &o) && !o.tls && o.port == 80);
    CHECK(origin_parse(view_str("https://[fe80::1]:65535"), &o) && o.port == 65535 && view_is(o.host, "[fe80::1]"));
    CHECK(origin_parse(view_str("https://[::1]"), &o) && o.port == 443 && view_is(o.host, "[::1]"));
}

TEST(deliveries_of_a_consumer)
{
    struct config_grant g[] = {{.deliver = 1u << DELIVER_FILE}, {.deliver = 1u << DELIVER_PROXY | 1u << DELIVER_SECRET}};
    CHECK(config_delivers(&(struct config_consumer){.grants = g, .n_grants = 2}, DELIVER_PROXY));
    CHECK(!config_delivers(&(struct config_consumer){.grants = g, .n_grants = 1}, DELIVER_PROXY));
    CHECK(!config_delivers(&(struct config_consumer){0}, DELIVER_PROXY));
}
