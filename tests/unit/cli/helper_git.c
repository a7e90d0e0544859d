/* git's protocol. */
#include "unit/cli/call.h"

#include "cli/helper.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static struct why why;
static struct fake fake;

static void begin(const char *secret, const char *username)
{
    char lease[500];
    snprintf(
        lease, sizeof(lease),
        "{\"id\":\"" ID
        "\",\"credential\":\"gh\",\"deliver\":\"helper\",\"secret\":%s,\"username\":%s,"
        "\"origin\":\"https://github.com\",\"secret_expires_at_ms\":5000,\"expires_at_ms\":900000}",
        secret, username);
    struct fake_reply r[] = {call_on("POST", 201, lease), call_on("DELETE", 200, "{\"ended\":1}")};
    fake_start(&fake, r, 2);
}
#define GIT(input, op) CALL(verb_helper, input, "helper", "git", "--socket", fake.path, "gh", op)

TEST(reads_what_git_writes)
{
    struct git_request q;
    const char *text = "capability[]=authtype\nprotocol=https\nhost=github.com:443\npath=a/"
                       "b.git\nwwwauth[]=Basic realm=\"x=y\"\nusername=me\n\nprotocol=no";
    CHECK_OK(git_request_read(text, strlen(text), &q, &why), why);
    CHECK_STR(q.protocol, "https");
    CHECK_STR(q.host, "github.com:443");
    CHECK_STR(q.username, "me");
    CHECK_OK(git_request_read("", 0, &q, &why), why);
    CHECK_STR(q.protocol, "");
    CHECK_OK(git_request_read("host=a\nhost=b", 13, &q, &why),
             why); /* the last counts, as in git */
    CHECK_STR(q.host, "b");
    CHECK_OK(git_request_read("host=\nusername=a=b\n", 19, &q, &why), why);
    CHECK_STR(q.username, "a=b");
}

TEST(refuses_what_git_would_never_write)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {{"host", 4}, {"=x", 2}, {"host=a\nx\n", 9}, {"host=a\0b", 8}};
    struct git_request q = {.host = "kept"};
    char large[400] = "host=";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_INT(git_request_read(rows[i].text, rows[i].n, &q, &why), ERR_INVALID);
    memset(large + 5, 'a', 394);
    CHECK_INT(git_request_read(large, 399, &q, &why), ERR_INVALID);
    CHECK_INT(git_request_read("protocol=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 46, &q, &why),
              ERR_INVALID);
    CHECK_STR(q.host, "kept");
}

TEST(the_sooner_end_is_told)
{
    begin("\"s3cret\"", "null");
    CHECK_INT(GIT("protocol=https\nhost=GitHub.com\n", "get"), 0);
    CHECK_STR(call_out, "username=x-access-token\npassword=s3cret\npassword_expiry_utc=5\n");
    fake_stop(&fake);
}

TEST(another_users_credential_is_not_for_this_one)
{
    begin("\"s3cret\"", "\"me\"");
    CHECK_INT(GIT("protocol=https\nhost=github.com\nusername=you\n", "get"), 0);
    CHECK_STR(call_out, "");
    CHECK_INT(GIT("protocol=https\nhost=github.com\nusername=me\n", "get"), 0);
    CHECK(strstr(call_out, "password=s3cret") != NULL);
    fake_stop(&fake);
    begin("\"s3cret\"", "null"); /* no user of its own: git's is as good */
    CHECK_INT(GIT("protocol=https\nhost=github.com\nusername=you\n", "get"), 0);
    CHECK(strncmp(call_out, "username=you\n", 13) == 0);
    fake_stop(&fake);
}

TEST(a_value_with_a_line_break_does_not_become_an_attribute)
{
    begin("\"a\\nhost=evil.example\"", "\"me\"");
    CHECK_INT(GIT("protocol=https\nhost=github.com\n", "get"), err_exit(ERR_INVALID));
    CHECK_STR(call_out, "");
    CHECK(!strstr(call_err, "evil"));
    fake_stop(&fake);
    begin("\"s3cret\"", "\"me\\nquit=1\"");
    CHECK_INT(GIT("protocol=https\nhost=github.com\n", "get"), err_exit(ERR_INVALID));
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(store_and_erase_change_nothing_and_say_nothing)
{
    begin("\"s3cret\"", "\"me\"");
    static const char *const ops[] = {"store", "erase", "later-one"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(GIT("protocol=https\nhost=github.com\nusername=me\npassword=x\n\n", ops[i]), 0);
        CHECK_STR(call_out, "");
        CHECK_STR(call_err, "");
    }
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}

TEST(a_question_without_a_server_has_no_answer)
{
    begin("\"s3cret\"", "\"me\"");
    static const char *const questions[] = {"", "\n", "protocol=https\n", "host=github.com\n",
                                            "protocol=https\nhost=a@github.com\n"};
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        CHECK_INT(GIT(questions[i], "get"), 0);
        CHECK_STR(call_out, "");
    }
    CHECK_STR(fake_seen(&fake), "");
    fake_stop(&fake);
}
