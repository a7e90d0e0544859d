/* attenuate, with real tokens: what it prints verifies, and says what was asked for. */
#include "unit/cli/operator.h"

#include "base/clock.h"
#include "crypto/token.h"
#include <broker/provider.h>

static const struct token_bind bind_ = {"gateway", "claude", "sk-ant-oat01-", {1, 2, 3}};
static struct secret *key;
static struct buf token, scratch;

static void begin(void)
{
    static const uint8_t lease[TOKEN_LEASE_ID] = {7};
    struct why why = {0};
    scratch_pool();
    if (key)
        return;
    key = secret_from("0123456789abcdef0123456789abcdef", 32);
    CHECK(key);
    CHECK_OK(token_mint(key, lease, &bind_, &token, &why), why);
}
#define NARROW(input, ...)                                                                         \
    op_call(verb_attenuate, (const char *const[]){"attenuate", ##__VA_ARGS__, NULL}, input)

/* The caveats of the token that was printed. */
static struct token_caveats printed(void)
{
    struct token_caveats c = {0};
    size_t n = strlen(call_out);
    CHECK(n > 1 && call_out[n - 1] == '\n');
    CHECK_INT(token_verify(key, VIEW(call_out, n - 1), &bind_, &scratch, &c), ERR_OK);
    return c;
}

TEST(an_end)
{
    begin();
    int64_t before = clock_wall_ms();
    CHECK_INT(NARROW(buf_text(&token), "--ttl", "5m"), 0);
    CHECK_STR(call_err, "");
    struct token_caveats c = printed();
    CHECK(c.expires_ms >= before + 300000 && c.expires_ms <= clock_wall_ms() + 300000);
    CHECK(!c.has_deliver && !c.has_uid && !c.never && c.n_paths == 0 && c.n_models == 0);
}

TEST(everything_at_once)
{
    begin();
    CHECK_INT(NARROW(buf_text(&token), "--deliver", "proxy,helper", "--deliver", "file", "--allow",
                     "POST /v1/messages", "--allow", "GET /x", "--model", "claude-*", "--uid",
                     "4294967295"),
              0);
    struct token_caveats c = printed();
    CHECK(c.has_deliver &&
          c.deliver == (1u << DELIVER_PROXY | 1u << DELIVER_HELPER | 1u << DELIVER_FILE));
    CHECK(c.has_uid && c.uid == 4294967295 && !c.never && c.expires_ms == 0);
    CHECK(c.n_paths == 2 && view_is(c.path[0], "POST /v1/messages") &&
          view_is(c.path[1], "GET /x"));
    CHECK(c.n_models == 1 && view_is(c.model[0], "claude-*"));
}

TEST(narrower_again_never_wider)
{
    begin();
    static char once[sizeof(call_out)];
    CHECK_INT(NARROW(buf_text(&token), "--deliver", "file", "--uid", "7"), 0);
    snprintf(once, sizeof(once), "%s", call_out);
    CHECK_INT(NARROW(once, "--deliver", "file,secret", "--uid", "8"), 0);
    struct token_caveats c = printed();
    CHECK(c.deliver == 1u << DELIVER_FILE);
    CHECK(c.never); /* two uids are none */
}

TEST(json)
{
    begin();
    CHECK_INT(NARROW(buf_text(&token), "--uid", "7", "--json"), 0);
    CHECK(strncmp(call_out, "{\"token\":\"sk-ant-oat01-cbrk1_", 29) == 0);
    CHECK_STR(call_out + strlen(call_out) - 3, "\"}\n");
    struct token_caveats c = {0};
    CHECK_INT(token_verify(key, VIEW(call_out + 10, strlen(call_out) - 13), &bind_, &scratch, &c),
              ERR_OK);
    CHECK_INT(c.uid, 7);
}

TEST(the_first_line_is_the_token)
{
    begin();
    char text[TOKEN_MAX_TEXT + 40];
    snprintf(text, sizeof(text), "%s\r\nmore", buf_text(&token));
    CHECK_INT(NARROW(text, "--uid", "7"), 0);
    CHECK_INT(printed().uid, 7);
}

TEST(what_is_no_token_is_refused_and_not_repeated)
{
    static char large[TOKEN_MAX_TEXT + 100];
    begin();
    memset(large, 'a', sizeof(large) - 1);
    const char *const bad[] = {"hunter2", "sk-ant-oat01-cbrk1_xxxx_yyyyyy", large};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(NARROW(bad[i], "--uid", "7"), err_exit(ERR_INVALID));
        CHECK_STR(call_out, "");
        CHECK(strlen(call_err) > 25 && !strstr(call_err, "hunter2") && !strstr(call_err, "xxxx") &&
              !strstr(call_err, "aaaa"));
    }
    char changed[TOKEN_MAX_TEXT];
    snprintf(changed, sizeof(changed), "%s", buf_text(&token));
    changed[strlen(changed) / 2] ^= 1; /* its check does not fit */
    CHECK_INT(NARROW(changed, "--uid", "7"), err_exit(ERR_INVALID));
}

TEST(there_is_a_limit_to_caveats)
{
    begin();
    static char text[sizeof(call_out)];
    snprintf(text, sizeof(text), "%s", buf_text(&token));
    for (int i = 0; i < TOKEN_MAX_CAVEATS; i++) {
        CHECK_INT(NARROW(text, "--uid", "7"), 0);
        snprintf(text, sizeof(text), "%s", call_out);
    }
    CHECK_INT(NARROW(text, "--uid", "7"), err_exit(ERR_LIMIT));
    CHECK_STR(call_out, "");
}

TEST(slips)
{
    begin();
    static const struct op_slip rows[] = {
        {verb_attenuate, {"attenuate"}, "say how to narrow it: --ttl"},
        {verb_attenuate, {"attenuate", "a-token", "--ttl", "5m"}, "never from the command line"},
        {verb_attenuate, {"attenuate", "--ttl", "5m"}, "nothing came"},
        {verb_attenuate, {"attenuate", "--deliver", "fiel"}, "not \"fiel\""},
        {verb_attenuate, {"attenuate", "--uid", "root"}, "--uid wants a number"},
        {verb_attenuate, {"attenuate", "--uid", "4294967296"}, "--uid wants a number"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_INT(op_call(verb_attenuate, rows[i].words, i == 2 ? "" : buf_text(&token)), 2);
        CHECK(strstr(call_err, rows[i].says) || !printf("    %s\n", call_err));
        CHECK_STR(call_out, "");
        CHECK(!strstr(call_err, "a-token"));
    }
}
