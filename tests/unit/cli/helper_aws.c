/* aws credential_process. */
#include "unit/cli/call.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static struct fake fake;

static void begin(const char *username, const char *more)
{
    char lease[500];
    snprintf(
        lease, sizeof(lease),
        "{\"id\":\"" ID
        "\",\"credential\":\"aws\",\"deliver\":\"helper\",\"secret\":\"k/e+y\",\"username\":%s,"
        "%s\"expires_at_ms\":1793491717000}",
        username, more);
    struct fake_reply r[] = {call_on("POST", 201, lease)};
    fake_start(&fake, r, 1);
}
#define AWS(...) CALL(verb_helper, "", "helper", "aws", "--socket", fake.path, __VA_ARGS__)

TEST(one_document_of_version_one)
{
    begin("\"AKIAEXAMPLE\"", "");
    CHECK_INT(AWS("aws"), 0);
    CHECK_STR(call_out,
              "{\"Version\":1,\"AccessKeyId\":\"AKIAEXAMPLE\",\"SecretAccessKey\":\"k/e+y\","
              "\"Expiration\":\"2026-11-01T00:08:37.000Z\"}\n");
    CHECK_STR(call_err, "");
    fake_stop(&fake);
}

TEST(the_keys_own_end_counts_where_it_is_sooner)
{
    begin("\"AKIAEXAMPLE\"", "\"secret_expires_at_ms\":1000,");
    CHECK_INT(AWS("aws"), 0);
    CHECK(strstr(call_out, "\"Expiration\":\"1970-01-01T00:00:01.000Z\"") != NULL);
    fake_stop(&fake);
}

TEST(a_key_without_its_id_is_no_answer)
{
    begin("null", "");
    CHECK_INT(AWS("aws"), err_exit(ERR_INVALID));
    CHECK_STR(call_out, "");
    CHECK(strstr(call_err, "--username") && !strstr(call_err, "k/e+y"));
    fake_stop(&fake);
}
