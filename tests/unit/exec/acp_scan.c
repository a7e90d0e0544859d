/* What a JSON-RPC message is, told from its first bytes. */
#include "check.h"

#include "exec/acp_scan.h"

static struct acp_scan scan(const char *text)
{
    struct acp_scan s = {0};
    acp_scan_feed(&s, text, strlen(text));
    return s;
}
#define CALL(text, want)                                                                           \
    do {                                                                                           \
        struct acp_scan s_ = scan(text);                                                           \
        CHECK_INT(s_.kind, ACP_CALL);                                                              \
        CHECK_STR(s_.method, want);                                                                \
    } while (0)
#define ANSWER(text, want, want_id)                                                                \
    do {                                                                                           \
        struct acp_scan s_ = scan(text);                                                           \
        CHECK_INT(s_.kind, want);                                                                  \
        CHECK_STR(s_.id, want_id);                                                                 \
    } while (0)

TEST(a_method_makes_a_call)
{
    CALL("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"", "initialize");
    CALL(" { \"method\" : \"session/new\" , \"params\" : {}}", "session/new");
    CALL("{\"params\":{\"method\":\"no\",\"x\":[\"}\",\"\\\"\",{\"]\":1}]},\"method\":\"yes\"", "yes");
    CALL("{\"a\":[[[]]],\"b\":\"\\\\\",\"c\":-1.5e9,\"d\":null,\"method\":\"m\"", "m");
    CALL("{\"method\":\"providers\\/set\"", "providers/set");
}

TEST(it_is_told_at_once)
{
    struct acp_scan s = scan("{\"method\":\"x");
    CHECK_INT(s.kind, ACP_UNKNOWN);
    acp_scan_feed(&s, "\"", 1);
    CHECK_INT(s.kind, ACP_CALL);
    acp_scan_feed(&s, ",\"id\":5,\"result\":1}", 19); /* nothing more is read */
    CHECK_STR(s.method, "x");
    CHECK_STR(s.id, "");
    ANSWER("{\"id\":5,\"result\":{", ACP_RESULT, "5");
    ANSWER("{\"result\":{\"id\":4},\"id\":\"a\\\"b\"", ACP_RESULT, "\"a\\\"b\"");
    ANSWER("{\"error\":{},\"id\":17}", ACP_ERROR, "17");
    ANSWER("{\"id\":null,\"error\":1", ACP_ERROR, "null");
    CHECK_INT(scan("{\"result\":{}").kind, ACP_UNKNOWN); /* whose is it? */
    CHECK_INT(scan("{\"id\":5").kind, ACP_UNKNOWN);
}

TEST(in_any_pieces_it_is_the_same)
{
    static const char text[] = "{\"x\":{\"a\":[1,\"}\\\"\"]},\"id\":\"\\u0041\\\\\",\"result\":1}";
    for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
        struct acp_scan s = {0};
        acp_scan_feed(&s, text, cut);
        acp_scan_feed(&s, text + cut, sizeof(text) - 1 - cut);
        CHECK_INT(s.kind, ACP_RESULT);
        CHECK_STR(s.id, "\"\\u0041\\\\\"");
    }
}

TEST(what_is_no_message_is_another_thing)
{
    static const char *const other[] = {"x",         "[",         "\"{",      "{]",         "{\"a\" 1",
                                        "{\"a\":1 2", "{\"a\":1]", "{} \"",    "{\"method\":1", "{\"method\":{",
                                        "{\"a\":{}x", "{1",        "{\"a\"}", "\xef\xbb\xbf{", "{,"};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        CHECK_INT(scan(other[i]).kind, ACP_OTHER);
    CHECK_INT(scan("{}").kind, ACP_OTHER); /* and it says nothing */
    CHECK_INT(scan("").kind, ACP_UNKNOWN);
    CHECK_INT(scan("  ").kind, ACP_UNKNOWN);
}

TEST(names_and_ids_that_are_too_long_are_nobodys)
{
    char text[600] = "{\"id\":\"", tail[] = "\",\"result\":1}";
    memset(text + 7, 'i', 300);
    memcpy(text + 307, tail, sizeof(tail));
    ANSWER(text, ACP_RESULT, "");
    ANSWER("{\"id\":{\"a\":1},\"result\":1}", ACP_RESULT, "");
    ANSWER("{\"id\":[],\"error\":1}", ACP_ERROR, "");
    CALL("{\"method\":\"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\"", "");
    CALL("{\"method\":\"init\\u0069alize\"", "");
    CALL("{\"methodology\":\"a\",\"metho\\u0064\":\"b\",\"method\":\"c\"", "c");
}
