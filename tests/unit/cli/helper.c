/* What the helpers share: which credential is chosen, and that none goes to a server it is not for.
 */
#include "unit/cli/call.h"

#include "cli/helper.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LEASE(origin)                                                                              \
    "{\"id\":\"" ID "\",\"credential\":\"gh\",\"deliver\":\"helper\",\"secret\":\"s3cret\","       \
    "\"username\":\"me\",\"origin\":" origin ",\"expires_at_ms\":900000}"
#define GRANT(name, origin, deliver)                                                               \
    "{\"credential\":\"" name                                                                      \
    "\",\"provider\":\"generic\",\"kind\":\"generic\",\"deliver\":[\"" deliver                     \
    "\"],\"origin\":" origin ",\"available\":true}"

static struct fake fake;
static const char question[] = "protocol=https\nhost=github.com\n\n";

static void begin(const char *grants, const char *lease)
{
    struct fake_reply r[] = {call_on("GET", 200, grants), call_on("POST", 201, lease),
                             call_on("DELETE", 200, "{\"ended\":1}")};
    fake_start(&fake, r, 3);
}
#define HELPER(input, ...) CALL(verb_helper, input, "helper", "--socket", fake.path, __VA_ARGS__)

TEST(the_named_credential_for_this_server)
{
    begin("{\"grants\":[]}", LEASE("\"https://github.com\""));
    CHECK_INT(HELPER(question, "git", "gh", "get"), 0);
    CHECK_STR(call_out, "username=me\npassword=s3cret\npassword_expiry_utc=900\n");
    CHECK_STR(call_err, "");
    CHECK(strstr(fake_seen(&fake), "\"deliver\":\"helper\"") &&
          !strstr(fake_seen(&fake), "DELETE"));
    fake_stop(&fake);
}

TEST(a_secret_for_another_server_is_given_back_unseen)
{
    static const char *const others[] = {"\"https://github.com.evil.example\"",
                                         "\"http://github.com\"",
                                         "\"https://github.com:8443\"",
                                         "\"not an origin\"",
                                         "\"\"",
                                         "null"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char lease[400];
        snprintf(lease, sizeof(lease), LEASE("%s"), others[i]);
        begin("{\"grants\":[]}", lease);
        CHECK_INT(HELPER(question, "git", "gh", "get"), 0); /* git then asks its next helper */
        CHECK_STR(call_out, "");
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID) != NULL);
        fake_stop(&fake);
    }
}

TEST(the_operator_may_say_the_origin)
{
    begin("{\"grants\":[]}", LEASE("null"));
    CHECK_INT(HELPER(question, "git", "--origin", "https://github.com", "gh", "get"), 0);
    CHECK(strstr(call_out, "password=s3cret\n") != NULL);
    fake_stop(&fake);
    begin("{\"grants\":[]}", LEASE("null"));
    CHECK_INT(HELPER(question, "git", "--origin", "https://gitlab.com", "gh", "get"), 0);
    CHECK_STR(call_out, "");
    CHECK_STR(fake_seen(&fake), ""); /* nothing was released to find out */
    fake_stop(&fake);
}

TEST(without_names_only_what_is_known_to_be_for_this_server)
{
    begin(
        "{\"grants\":[" GRANT("a", "null", "helper") "," GRANT(
            "b", "\"https://gitlab.com\"",
            "helper") "," GRANT("c", "\"https://github.com\"",
                                "secret") "," GRANT("gh", "\"https://github.com\"", "helper") "]}",
        LEASE("\"https://github.com\""));
    CHECK_INT(HELPER(question, "git", "get"), 0);
    CHECK(strstr(call_out, "password=s3cret\n") != NULL);
    CHECK(strstr(fake_seen(&fake), "\"credential\":\"gh\"") &&
          !strstr(fake_seen(&fake), "\"credential\":\"a\""));
    fake_stop(&fake);
    begin("{\"grants\":[" GRANT("a", "null", "helper") "]}", LEASE("\"https://github.com\""));
    CHECK_INT(HELPER(question, "git", "get"), 0);
    CHECK_STR(call_out, "");
    CHECK(!strstr(fake_seen(&fake), "POST"));
    fake_stop(&fake);
}

TEST(an_empty_value_is_no_answer)
{
    begin("{\"grants\":[]}",
          "{\"id\":\"" ID "\",\"credential\":\"gh\",\"deliver\":\"helper\",\"secret\":\"\","
          "\"origin\":\"https://github.com\",\"expires_at_ms\":9}");
    CHECK_INT(HELPER(question, "git", "gh", "get"), err_exit(ERR_INVALID));
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(slips_are_said_on_standard_error)
{
    static const struct {
        const char *words[6], *says;
    } rows[] = {
        {{"helper"}, "which protocol"},
        {{"helper", "svn"}, "git|docker|aws"},
        {{"helper", "git"}, "get, store or erase"},
        {{"helper", "git", "--origin", "github.com", "get"}, "--origin wants"},
        {{"helper", "git", "--origin", "https://a", "get"}, "name one"},
        {{"helper", "aws"}, "which credential"},
        {{"helper", "aws", "a", "b"}, "which credential"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_INT(call_with(verb_helper, rows[i].words, "", 0), 2);
        CHECK(strstr(call_err, rows[i].says) || !printf("    %s\n", call_err));
        CHECK_STR(call_out, "");
    }
}

TEST(input_is_bounded_and_has_no_nul)
{
    static char large[HELPER_INPUT_MAX + 2];
    static const char *const words[] = {"helper", "git", "gh", "get", NULL};
    memset(large, 'a', sizeof(large));
    CHECK_INT(call_with(verb_helper, words, large, sizeof(large)), err_exit(ERR_TOO_LARGE));
    CHECK_INT(call_with(verb_helper, words, "host=a\0b\n", 9), err_exit(ERR_INVALID));
    CHECK_STR(call_out, "");
}
