#include "base/auto.h"
#include "check.h"
#include "proxy/usage.h"

static struct usage feed(enum route_dialect d, bool stream, struct view in, size_t step)
{
    struct usage_reader r;
    struct usage before;
    usage_begin(&r, d, stream);
    CHECK(!r.total.seen && r.total.input == 0 && r.total.model[0] == '\0');
    for (size_t at = 0; at < in.n; at += step) {
        before = r.total;
        bool changed = usage_feed(&r, VIEW(in.p + at, in.n - at < step ? in.n - at : step));
        bool same = before.seen == r.total.seen && before.input == r.total.input &&
                    before.output == r.total.output && before.cache_read == r.total.cache_read &&
                    before.cache_write == r.total.cache_write &&
                    strcmp(before.model, r.total.model) == 0;
        CHECK_INT(changed, !same);
    }
    return r.total;
}

/* "model input output cache_read cache_write", or "" when none was seen */
static const char *text_of(const struct usage *u, char out[200])
{
    if (!u->seen)
        (void)snprintf(out, 200, "%s", u->model);
    else
        (void)snprintf(out, 200, "%s %llu %llu %llu %llu", u->model, (unsigned long long)u->input,
                       (unsigned long long)u->output, (unsigned long long)u->cache_read,
                       (unsigned long long)u->cache_write);
    return out;
}

static void check(enum route_dialect d, bool stream, const char *in, const char *expected)
{
    char text[200];
    for (size_t step = 1; step <= strlen(in) + 1; step += step < 20 ? 1 : step / 4) {
        struct usage u = feed(d, stream, view_str(in), step);
        CHECK_STR(text_of(&u, text), expected);
    }
}
static void json(enum route_dialect d, const char *in, const char *expected)
{
    check(d, false, in, expected);
}
static void sse(enum route_dialect d, const char *in, const char *expected)
{
    check(d, true, in, expected);
}

/* ---- Anthropic */

#define A_START                                                                                  \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","   \
    "\"role\":\"assistant\",\"model\":\"claude-sonnet-4\",\"content\":[],\"stop_reason\":null,\"usage\":{"          \
    "\"input_tokens\":25,\"cache_creation_input_tokens\":7,\"cache_read_input_tokens\":300,"                        \
    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":999},\"output_tokens\":1}}}\n\n"
#define A_TEXT                                                                                   \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"          \
    "\"text_delta\",\"text\":\"\\\"usage\\\":{\\\"output_tokens\\\":77}\"},\"usage\":{\"output_tokens\":78}}\n\n"
#define A_DELTA(n)                                                                               \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"             \
    "\"usage\":{\"output_tokens\":" n "}}\n\n"

TEST(anthropic_json)
{
    json(ROUTE_ANTHROPIC,
         "{\"id\":\"msg\",\"type\":\"message\",\"model\":\"claude-3\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],"
         "\"usage\":{\"input_tokens\":10,\"output_tokens\":20,\"cache_read_input_tokens\":3,"
         "\"cache_creation_input_tokens\":4,\"server_tool_use\":{\"input_tokens\":9}}}",
         "claude-3 10 20 3 4");
}

TEST(anthropic_stream)
{
    sse(ROUTE_ANTHROPIC, A_START, "claude-sonnet-4 25 1 300 7");
    sse(ROUTE_ANTHROPIC, A_START A_TEXT A_TEXT, "claude-sonnet-4 25 1 300 7");
    sse(ROUTE_ANTHROPIC,
        A_START "event: ping\ndata: {\"type\": \"ping\"}\n\n" A_TEXT A_DELTA("40") A_TEXT A_DELTA("55")
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "claude-sonnet-4 25 55 300 7"); /* totals so far: not added */
}

TEST(an_event_counts_by_its_type_wherever_that_stands)
{
    sse(ROUTE_ANTHROPIC, "data: {\"usage\":{\"output_tokens\":5},\"type\":\"message_delta\"}\n\n", " 0 5 0 0");
    sse(ROUTE_ANTHROPIC, "data: {\"usage\":{\"output_tokens\":5},\"type\":\"content_block_delta\"}\n\n", "");
    sse(ROUTE_ANTHROPIC, "data: {\"usage\":{\"output_tokens\":5}}\n\n", "");
    sse(ROUTE_ANTHROPIC, "data: {\"type\":7,\"usage\":{\"output_tokens\":5}}\n\n", "");
    sse(ROUTE_ANTHROPIC,
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5},\"type\":\"ping\"}\n\n", "");
    sse(ROUTE_ANTHROPIC,
        "data: {\"type\":\"ping\",\"usage\":{\"output_tokens\":5},\"type\":\"message_delta\"}\n\n", "");
}

/* ---- OpenAI */

TEST(openai_chat_json)
{
    json(ROUTE_OPENAI,
         "{\n  \"id\": \"chatcmpl-1\",\n  \"object\": \"chat.completion\",\n  \"model\": \"gpt-5\",\n  \"choices\": "
         "[{\"index\": 0, \"message\": {\"content\": \"x\", \"usage\": {\"prompt_tokens\": 1}}}],\n  \"usage\": {"
         "\"prompt_tokens\": 100, \"completion_tokens\": 12, \"total_tokens\": 112, \"prompt_tokens_details\": "
         "{\"cached_tokens\": 60, \"audio_tokens\": 0}, \"completion_tokens_details\": {\"reasoning_tokens\": 5, "
         "\"cached_tokens\": 9}}\n}\n",
         "gpt-5 40 12 60 0");
}

TEST(openai_chat_stream)
{
    sse(ROUTE_OPENAI,
        "data: {\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5\",\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
        "\"usage\":null}\n\n"
        "data: {\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,"
        "\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\ndata: [DONE]\n\n",
        "gpt-5 5 9 3 0");
}

TEST(openai_responses_json)
{
    json(ROUTE_OPENAI,
         "{\"id\":\"resp_1\",\"object\":\"response\",\"model\":\"gpt-5-codex\",\"output\":[{\"model\":\"no\"}],\"usage\":{"
         "\"input_tokens\":50,\"input_tokens_details\":{\"cached_tokens\":20},\"output_tokens\":6,"
         "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":56}}",
         "gpt-5-codex 30 6 20 0");
}

#define R_EVENT(type, rest)                                                                      \
    "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":9,\"response\":{\"id\":\"r\",\"model\":"     \
    "\"gpt-5\"" rest "}}\n\n"
#define R_USAGE ",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":2}"

TEST(openai_responses_stream)
{
    sse(ROUTE_OPENAI, R_EVENT("response.created", ",\"usage\":null"), "gpt-5");
    sse(ROUTE_OPENAI,
        R_EVENT("response.created", "")
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\",\"usage\":{\"input_tokens\":1}}\n\n" R_EVENT(
                "response.completed", R_USAGE),
        "gpt-5 5 2 4 0");
    sse(ROUTE_OPENAI, R_EVENT("response.incomplete", R_USAGE), "gpt-5 5 2 4 0");
    sse(ROUTE_OPENAI, R_EVENT("response.failed", R_USAGE), "gpt-5 5 2 4 0");
    sse(ROUTE_OPENAI, R_EVENT("response.other", R_USAGE), "");
}

TEST(usage_behind_half_a_megabyte_of_text)
{
    AUTO(buf_free) struct buf in = {.max = 4 << 20};
    char text[200];
    buf_add_str(&in, "data: {\"type\":\"response.completed\",\"response\":{\"instructions\":\"");
    while (in.len < 300000)
        buf_add_str(&in, "\\\"usage\\\":{\\\"input_tokens\\\":7} ");
    buf_add_str(&in, "\",\"tools\":[");
    while (in.len < 600000)
        buf_add_str(&in, "{\"usage\":{\"input_tokens\":8},\"a\":[1,2,{\"b\":\"}\"}]},");
    buf_add_str(&in, "0]" R_USAGE ",\"model\":\"m\"}}\n\n");
    for (size_t step = 1000; step < 1020; step++) {
        struct usage u = feed(ROUTE_OPENAI, true, buf_view(&in), step);
        CHECK_STR(text_of(&u, text), "m 5 2 4 0");
    }
}

/* ---- Gemini */

#define G_TEXT "\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"hi\"}]}, \"tokenCount\": 5}]"

TEST(gemini_json)
{
    json(ROUTE_GEMINI,
         "{" G_TEXT ", \"usageMetadata\": {\"promptTokenCount\": 50, \"candidatesTokenCount\": 7, \"thoughtsTokenCount\": "
         "11, \"cachedContentTokenCount\": 30, \"toolUsePromptTokenCount\": 2, \"totalTokenCount\": 70, "
         "\"promptTokensDetails\": [{\"modality\": \"TEXT\", \"promptTokenCount\": 50}]}, \"modelVersion\": "
         "\"gemini-2.5-pro\"}",
         "gemini-2.5-pro 22 18 30 0");
}

#define G_CHUNK(out)                                                                             \
    "{" G_TEXT ", \"usageMetadata\": {\"promptTokenCount\": 4, \"candidatesTokenCount\": " out "}, \"modelVersion\": \"g\"}"

TEST(gemini_stream)
{
    sse(ROUTE_GEMINI, "data: " G_CHUNK("3") "\r\n\r\ndata: " G_CHUNK("8") "\r\n\r\n", "g 4 8 0 0");
    json(ROUTE_GEMINI, "[" G_CHUNK("3") "\n,\r\n" G_CHUNK("8") "]\n", "g 4 8 0 0");
    json(ROUTE_GEMINI, "[" G_CHUNK("3") "\n,\r\n" G_CHUNK("8"), "g 4 8 0 0"); /* as far as it came */
    json(ROUTE_GEMINI, "[[" G_CHUNK("3") "]," G_CHUNK("9") "]", "g 4 9 0 0");
    json(ROUTE_ANTHROPIC, "[{\"usage\":{\"input_tokens\":1}}]", ""); /* it sends no lists */
    sse(ROUTE_GEMINI, "data: [" G_CHUNK("3") "]\n\n", "");
}

/* ---- what does not count */

TEST(only_the_documented_places_count)
{
    static const char *const none[] = {
        "{\"a\":{\"usage\":{\"input_tokens\":1}}}",
        "{\"content\":[{\"usage\":{\"input_tokens\":1}}]}",
        "{\"message\":{\"usage\":{\"input_tokens\":1}}}", /* of an event only */
        "{\"usage\":[{\"input_tokens\":1}]}",
        "{\"usage\":{\"a\":{\"input_tokens\":1}}}",
        "{\"usage\":\"input_tokens\",\"a\":{\"input_tokens\":1}}",
        "{\"usage\":null,\"a\":{\"input_tokens\":1}}",
        "{\"usage\":1,\"a\":{\"input_tokens\":1}}",
        "{\"input_tokens\":1}",
        "{\"text\":\"{\\\"usage\\\":{\\\"input_tokens\\\":1}}\"}",
        "{\"Usage\":{\"input_tokens\":1}}",
        "{\"usag\\u2065\":{\"input_tokens\":1}}",
        "{\"usage\":{\"input_tokens\\u0000\":1}}",
        "{\"usage\":{}}",
        "\"usage\"",
        "{\"usage\":{\"input_tokens\":1}",           /* cut short */
        "{\"usage\":{\"input_tokens\":1},}",         /* broken */
    };
    for (size_t i = 0; i < COUNT(none); i++)
        json(ROUTE_ANTHROPIC, none[i], "");
    json(ROUTE_ANTHROPIC, "{\"us\\u0061ge\":{\"input_tokens\":1}} {\"usage\":{\"input_tokens\":2}}", " 1 0 0 0");
}

TEST(hostile_numbers)
{
#define U(n) "{\"usage\":{\"output_tokens\":7,\"input_tokens\":" n "}}"
    static const char *const nothing[] = {U("-1"), U("1e999"), U("1.5"), U("\"5\""), U("null"), U("true"),
                                          U("[5]"), U("{\"input_tokens\":5}"), U("1-2"), U("-"), U("1E2")};
    for (size_t i = 0; i < COUNT(nothing); i++)
        json(ROUTE_ANTHROPIC, nothing[i], " 0 7 0 0");
    static const char *const most[] = {U("9007199254740991"), U("9007199254740992"), U("1180591620717411303424"),
                                       U("18446744073709551616"), U("18446744073709551615"),
                                       U("99999999999999999999999999999999999999999999999999999999999999999999999")};
    for (size_t i = 0; i < COUNT(most); i++)
        json(ROUTE_ANTHROPIC, most[i], " 9007199254740991 7 0 0");
    json(ROUTE_ANTHROPIC, U("9007199254740990"), " 9007199254740990 7 0 0");
    json(ROUTE_OPENAI, "{\"usage\":{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":5}}}", " 0 0 5 0");
    json(ROUTE_GEMINI,
         "{\"usageMetadata\":{\"promptTokenCount\":9007199254740991,\"toolUsePromptTokenCount\":9007199254740991,"
         "\"candidatesTokenCount\":9007199254740991,\"thoughtsTokenCount\":9007199254740991}}",
         " 9007199254740991 9007199254740991 0 0");
}

TEST(a_number_longer_than_any_is_nothing)
{
    AUTO(buf_free) struct buf in = {0};
    char text[200];
    buf_add_str(&in, "{\"usage\":{\"output_tokens\":7,\"input_tokens\":");
    for (unsigned i = 0; i < 1000; i++)
        buf_add_str(&in, "9");
    buf_add_str(&in, "}}");
    struct usage u = feed(ROUTE_ANTHROPIC, false, buf_view(&in), 77);
    CHECK_STR(text_of(&u, text), " 0 7 0 0");
}

TEST(a_second_usage_replaces_the_first)
{
    json(ROUTE_ANTHROPIC, "{\"usage\":{\"input_tokens\":1,\"output_tokens\":2},\"usage\":{\"input_tokens\":5}}", " 5 0 0 0");
}

TEST(a_broken_event_spoils_no_other)
{
    sse(ROUTE_ANTHROPIC,
        A_START "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":3}\n\n"
                "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4},]}\n\n"
                "data: \xff\xff\n\ndata: \"\n\n" A_DELTA("9"),
        "claude-sonnet-4 25 9 300 7");
    sse(ROUTE_ANTHROPIC, A_START "data: {\"type\":\"message_delta\",\ndata: \"usage\":\ndata: {\"output_tokens\":6}}\n\n",
        "claude-sonnet-4 25 6 300 7"); /* one event in three lines */
    sse(ROUTE_ANTHROPIC, A_START "data: {\"type\":\"message_delta\",\n\ndata: \"usage\":{\"output_tokens\":6}}\n\n",
        "claude-sonnet-4 25 1 300 7"); /* two halves are none */
}

TEST(model_names)
{
#define X16 "abcdefghijklmnop"
    json(ROUTE_OPENAI, "{\"model\":\"" X16 X16 X16 X16 "\"}", X16 X16 X16 X16);
    json(ROUTE_OPENAI, "{\"model\":\"" X16 X16 X16 X16 "q\"}", "");
    json(ROUTE_OPENAI, "{\"model\":\"a\\nb\"}", "");
    json(ROUTE_OPENAI, "{\"model\":\"a\\u0000b\"}", "");
    json(ROUTE_OPENAI, "{\"model\":\"caf\xc3\xa9\"}", "");
    json(ROUTE_OPENAI, "{\"model\":\"caf\\u00e9\"}", "");
    json(ROUTE_OPENAI, "{\"model\":7}", "");
    json(ROUTE_OPENAI, "{\"model\":[\"a\"]}", "");
    json(ROUTE_OPENAI, "{\"model\":\"ft:gpt-4o \\u0041\"}", "ft:gpt-4o A");
}

TEST(other_dialects_have_none)
{
    json(ROUTE_PLAIN, "{\"model\":\"a\",\"usage\":{\"input_tokens\":1}}", "");
    sse(ROUTE_PLAIN, A_START, "");
    json(ROUTE_DIALECTS, "{\"model\":\"a\",\"usage\":{\"input_tokens\":1}}", "");
    json(ROUTE_GEMINI, "{\"model\":\"a\",\"usage\":{\"input_tokens\":1}}", "");
}

TEST(it_is_small)
{
    CHECK(sizeof(struct usage_reader) <= 512);
}
