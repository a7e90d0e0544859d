/* vault/op_budget.c: what an operator sees of budgets and of the proxy. */
#include "proxy_rig.h"

#include <sys/resource.h>

TEST(budgets_of_all_and_of_one)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG "  - name: spender\n    grants:\n      - { credential: key, deliver: [proxy], budget: \"tokens: 10/d, cost: 1.5/h\" }\n");
    uint64_t admin = rig_init(&r);
    CHECK_OK(ASK(&r, MSG_BUDGETS, admin), r.why);
    CHECK_HAS(&r, "{\"consumer\":\"gw\",\"credential\":\"key\",\"budget\":null,\"running\":0,\"concurrent\":null,\"limits\":[]}");
    CHECK_HAS(&r, "\"consumer\":\"gw\",\"credential\":\"claude\"");
    CHECK_HAS(&r, "\"of\":\"tokens\",\"limit\":10,\"used\":0,\"left\":10,\"period_ms\":86400000,\"renews_at_ms\":");
    CHECK_HAS(&r, "\"of\":\"cost\",\"limit\":1500000,\"used\":0,\"left\":1500000,\"period_ms\":3600000");
    CHECK_HAS(&r, "],\"next\":null}");
    CHECK(!strstr(rig_body(&r), "\"consumer\":\"plain\"")); /* no proxy there */
    CHECK_OK(ASK(&r, MSG_BUDGETS, admin, S(F_CONSUMER, "spender")), r.why);
    CHECK(strncmp(rig_body(&r), "{\"budgets\":[{\"consumer\":\"spender\"", 33) == 0 && !strstr(rig_body(&r), "\"gw\""));
    CHECK_OK(ASK(&r, MSG_BUDGETS, admin, S(F_CONSUMER, "plain")), r.why);
    CHECK_STR(rig_body(&r), "{\"budgets\":[],\"next\":null}");
    CHECK_INT(ASK(&r, MSG_BUDGETS, admin, S(F_CONSUMER, "nobody")), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_BUDGETS, admin, S(F_AFTER, "other")), r.why);
    CHECK(!strstr(rig_body(&r), "\"gw\"") && strstr(rig_body(&r), "\"spender\""));
    rig_end(&r);
}

TEST(very_many_come_in_pages)
{
    struct rig r;
    struct rlimit files; /* two sockets a consumer; the supervisor raises it as this does */
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    if (files.rlim_max < 2048 || setrlimit(RLIMIT_NOFILE, &files) != 0)
        SKIP("fewer descriptors than 2048");
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n");
    for (unsigned i = 0; i < 400; i++)
        buf_add_fmt(&yaml, "  - name: c%03u\n    grants:\n      - { credential: key, deliver: [proxy], budget: \"requests: 5/h, tokens: 7/h\" }\n", i);
    rig_make(&r, NULL, buf_text(&yaml));
    uint64_t admin = rig_init(&r);
    char after[65] = "";
    unsigned pages = 0, seen = 0;
    do {
        CHECK_OK(ASK(&r, MSG_BUDGETS, admin, S(F_AFTER, after)), r.why);
        for (const char *at = rig_body(&r); (at = strstr(at, "\"consumer\":\"c")) != NULL; at++)
            seen++;
        pages++;
        if (strstr(rig_body(&r), "\"next\":null"))
            break;
        rig_text(&r, "next", after, sizeof(after));
    } while (pages < 20);
    CHECK(pages > 1 && pages < 20);
    CHECK_INT(seen, 400);
    rig_end(&r);
}

TEST(figures)
{
    struct rig r;
    char token[512];
    struct proxied_request a;
    rig_make(&r, NULL, "prices:\n  - { model: \"*\", input: 2, output: 4 }\n" PROXY_CONFIG);
    uint64_t admin = rig_init(&r);
    rig_enroll(&r, admin);
    uint64_t api = rig_conn(&r, "gw");
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"proxy\":{\"workers\":1,\"ready\":0,\"running\":0,\"begun\":0,\"denied\":0}");
    uint64_t conn = rig_proxy_conn(&r, "gw");
    proxy_lease(&r, api, "key", token, NULL);
    CHECK_OK(proxy_begin(&r, conn, token, "POST", "/v1/messages", NULL, &a), r.why);
    CHECK_OK(ASK(&r, MSG_STATUS, admin), r.why);
    CHECK_HAS(&r, "\"proxy\":{\"workers\":1,\"ready\":1,\"running\":1,\"begun\":1,\"denied\":1}");
    CHECK_HAS(&r, "{\"role\":\"proxy\",");
    CHECK(!strstr(rig_body(&r), "proxy2"));
    proxy_end(&r, WORKER_PROXY, a.serial, ERR_OK, &(struct used){.in = 7, .out = 9, .input = 100, .output = 10, .cache_read = 1, .cache_write = 2, .model = "m"});
    CHECK_OK(ASK(&r, MSG_METRICS, admin), r.why);
    static const char *const line[] = {"credential_broker_proxy_requests_total{outcome=\"ok\"} 1\n", "credential_broker_proxy_requests_total{outcome=\"denied\"} 1\n",
                                       "credential_broker_proxy_requests_total{outcome=\"error\"} 0\n", "credential_broker_proxy_running 0\n",
                                       "credential_broker_proxy_in_bytes_total 7\n", "credential_broker_proxy_out_bytes_total 9\n",
                                       "credential_broker_proxy_tokens_total{kind=\"input\"} 100\n", "credential_broker_proxy_tokens_total{kind=\"cache_write\"} 2\n",
                                       "credential_broker_proxy_cost_microusd_total 246\n"};
    for (size_t i = 0; i < COUNT(line); i++)
        CHECK_HAS(&r, line[i]);
    rig_end(&r);
}
