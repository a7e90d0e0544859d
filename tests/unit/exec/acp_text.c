/* The messages of the protocol that are read, changed and written here. */
#include "check.h"

#include "exec/acp_text.h"

static struct acp_text out;

static const char *text(void)
{
    acp_text_add(&out, "", 1);
    CHECK(!out.failed);
    return out.p;
}
static void begin(void)
{
    acp_text_free(&out);
}

#define OFFER(line, want, was_asked)                                                               \
    do {                                                                                           \
        bool asked_ = !(was_asked);                                                                \
        begin();                                                                                   \
        CHECK(acp_offer_gateway(line, strlen(line), &out, &asked_));                               \
        CHECK_STR(text(), want);                                                                   \
        CHECK(asked_ == (was_asked));                                                              \
    } while (0)
#define NO_OFFER(line)                                                                             \
    do {                                                                                           \
        bool asked_;                                                                               \
        begin();                                                                                   \
        CHECK(!acp_offer_gateway(line, strlen(line), &out, &asked_));                              \
    } while (0)

TEST(the_client_says_that_it_has_gateways)
{
    OFFER("{\"id\":1,\"params\":{}}\n",
          "{\"id\":1,\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}\n", false);
    OFFER("{\"params\":{ \"clientCapabilities\" : { \"fs\":{} } } } \r\n",
          "{\"params\":{ \"clientCapabilities\" : {\"auth\":{\"_meta\":{\"gateway\":true}}, \"fs\":{} } } } \r\n",
          false);
    OFFER("{\"params\":{\"clientCapabilities\":null}}",
          "{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}", false);
    OFFER("{\"params\":{\"clientCapabilities\":{\"auth\":{\"terminal\":true}}}}",
          "{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true},\"terminal\":true}}}}", false);
    OFFER("{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"x\":1}}}}}",
          "{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true,\"x\":1}}}}}", false);
    OFFER("{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":false}}}}}",
          "{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}", false);
    OFFER("{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}",
          "{\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}", true);
    OFFER("{\"params\":{\"protocolVersion\":2,\"capabilities\":{}}}",
          "{\"params\":{\"protocolVersion\":2,\"capabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}", false);
}

TEST(what_cannot_be_added_to_is_left_alone)
{
    NO_OFFER("");
    NO_OFFER("{}");
    NO_OFFER("{\"params\":[]}");
    NO_OFFER("{\"params\":{\"clientCapabilities\":[]}}");
    NO_OFFER("{\"params\":{\"clientCapabilities\":\"x\"}}");
    NO_OFFER("{\"params\":{\"clientCapabilities\":{\"auth\":5}}}");
    NO_OFFER("{\"params\":{}");
    NO_OFFER("{\"params\":{},\"params\":{}}");
    NO_OFFER("[{\"params\":{}}]");
}

#define METHODS                                                                                    \
    "[{\"id\":\"own\"}, {\"id\":\"gateway-bedrock\",\"_meta\":{\"gateway\":{\"protocol\":\"bedrock\"}}} ,"            \
    "{\"id\":\"gateway\",\"_meta\":{\"gateway\":{\"protocol\":\"openai\"}}},{\"id\":\"last\",\"_meta\":{}}]"

TEST(what_the_adapter_offers)
{
    static const char line[] = "{\"id\":1,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":"
                               "{\"providers\":{}},\"authMethods\":" METHODS "}}\n",
                      v2[] = "{\"result\":{\"protocolVersion\":2,\"capabilities\":{\"providers\":null},\"authMethods\":"
                             "[{\"methodId\":\"g\",\"_meta\":{\"gateway\":{\"protocol\":\"openai\"}}}]}}",
                      bare[] = "{\"result\":{}}", error[] = "{\"error\":{\"code\":1}}";
    struct acp_offer o;
    CHECK(acp_read_offer(line, strlen(line), "openai", &o));
    CHECK(o.version == ACP_V1 && o.providers);
    CHECK_STR(o.gateway, "gateway");
    CHECK(acp_read_offer(line, strlen(line), "anthropic", &o));
    CHECK_STR(o.gateway, "");
    CHECK(acp_read_offer(v2, strlen(v2), "openai", &o));
    CHECK(o.version == ACP_V2 && !o.providers);
    CHECK_STR(o.gateway, "g");
    CHECK(acp_read_offer(bare, strlen(bare), "openai", &o));
    CHECK(o.version == ACP_V1 && !o.providers && !o.gateway[0]);
    CHECK(!acp_read_offer(error, strlen(error), "openai", &o));
    CHECK(!acp_read_offer(line, strlen(line) - 3, "openai", &o));
}

TEST(gateways_are_hidden_and_nothing_else)
{
    static const char line[] = " {\"result\" : {\"authMethods\" : " METHODS " , \"x\":1}}\n",
                      want[] = " {\"result\" : {\"authMethods\" : [{\"id\":\"own\"},{\"id\":\"last\",\"_meta\":{}}] , \"x\":1}}\n",
                      all[] = "{\"result\":{\"authMethods\":[{\"_meta\":{\"gateway\":{}}}]}}",
                      none[] = "{\"result\":{\"authMethods\":[{\"id\":\"own\"}]}}";
    begin();
    CHECK(acp_hide_gateway(line, strlen(line), &out));
    CHECK_STR(text(), want);
    begin();
    CHECK(acp_hide_gateway(all, strlen(all), &out));
    CHECK_STR(text(), "{\"result\":{\"authMethods\":[]}}");
    begin();
    CHECK(!acp_hide_gateway(none, strlen(none), &out));
    CHECK(!acp_hide_gateway("{}", 2, &out));
}

TEST(the_provider_that_speaks_it)
{
    static const char line[] =
        "{\"result\":{\"providers\":[{\"providerId\":\"a\",\"supported\":[\"bedrock\"]},{\"providerId\":5,\"supported\":[\"openai\"]},"
        "{\"providerId\":\"b\",\"supported\":[\"x\",\"openai\"]},{\"providerId\":\"c\",\"supported\":[\"openai\"]}]}}";
    char id[ACP_NAME_ROOM];
    CHECK(acp_read_provider(line, strlen(line), "openai", id));
    CHECK_STR(id, "b");
    CHECK(!acp_read_provider(line, strlen(line), "anthropic", id));
    CHECK(!acp_read_provider("{\"error\":{}}", 12, "openai", id));
}

TEST(requests_of_ours)
{
    struct acp_route route = {"openai", "http://127.0.0.1:1/v1", "x-api-key", "to\"ken"};
    struct acp_offer offer = {.version = ACP_V1, .gateway = "gateway"};
    begin();
    acp_write_list(&out, "i-1");
    CHECK_STR(text(), "{\"jsonrpc\":\"2.0\",\"id\":\"i-1\",\"method\":\"providers/list\",\"params\":{}}\n");
    begin();
    acp_write_set(&out, "i-2", "main", &route);
    CHECK_STR(text(), "{\"jsonrpc\":\"2.0\",\"id\":\"i-2\",\"method\":\"providers/set\",\"params\":{\"providerId\":\"main\","
                      "\"apiType\":\"openai\",\"baseUrl\":\"http://127.0.0.1:1/v1\",\"headers\":{\"x-api-key\":\"to\\\"ken\"}}}\n");
    begin();
    acp_write_gateway(&out, "i-3", &offer, &route);
    CHECK_STR(text(), "{\"jsonrpc\":\"2.0\",\"id\":\"i-3\",\"method\":\"authenticate\",\"params\":{\"methodId\":\"gateway\",\"_meta\":"
                      "{\"gateway\":{\"baseUrl\":\"http://127.0.0.1:1/v1\",\"headers\":{\"x-api-key\":\"to\\\"ken\"}}}}}\n");
    offer.version = ACP_V2;
    begin();
    acp_write_gateway(&out, "i-4", &offer, &route);
    CHECK(strstr(text(), "\"method\":\"auth/login\"") != NULL);
}

TEST(answers_of_ours)
{
    static const char line[] = "{\"method\":\"authenticate\",\"id\": \"a\\\"b\" ,\"params\":{}}\n";
    char said[20];
    begin();
    CHECK(acp_answer_done(line, strlen(line), &out));
    CHECK_STR(text(), "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\",\"result\":{}}\n");
    begin();
    CHECK(acp_answer_refused(line, strlen(line), "no", &out));
    CHECK_STR(text(), "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\",\"error\":{\"code\":-32600,\"message\":\"no\"}}\n");
    acp_read_error(out.p, out.n - 1, said, sizeof(said));
    CHECK_STR(said, "no");
    acp_read_error(line, strlen(line), said, sizeof(said));
    CHECK_STR(said, "");
    CHECK(!acp_answer_done("{\"method\":\"authenticate\"}", 25, &out));
    CHECK(!acp_answer_done("nonsense", 8, &out));
    begin();
}

TEST(ids_are_the_same_however_they_are_written)
{
    CHECK(acp_same_id("1", "1") && acp_same_id("1", "1.0") && acp_same_id("1e2", "100"));
    CHECK(acp_same_id("\"a\"", "\"\\u0061\"") && acp_same_id("\"\xc3\xa9\"", "\"\\u00e9\"") && acp_same_id("null", "null"));
    CHECK(!acp_same_id("1", "2") && !acp_same_id("1", "\"1\"") && !acp_same_id("\"1\"", "1"));
    CHECK(!acp_same_id("", "") && !acp_same_id("", "1") && !acp_same_id("null", "0") && !acp_same_id("{", "1"));
}

TEST(a_text_grows_up_to_its_bound)
{
    char chunk[4096];
    memset(chunk, 'x', sizeof(chunk));
    begin();
    while (!out.failed)
        acp_text_add(&out, chunk, sizeof(chunk));
    CHECK_INT(out.n, 2 * ACP_TEXT_MAX);
    CHECK(out.p[0] == 'x' && out.p[out.n - 1] == 'x');
    begin();
    CHECK(!out.p && out.n == 0 && !out.failed);
}
