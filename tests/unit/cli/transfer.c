/* enroll --from-home: the order of the steps, and what is refused before any of them. */
#include "unit/cli/operator.h"

#include "cli/home.h"

#define LOGIN                                                                                      \
    "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"refreshToken\":\"sk-ant-ort01-FAKE-ref\",\"expiresAt\":4070908800000}}"
#define STRIPPED                                                                                   \
    "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-FAKE-acc\",\"refreshToken\":null,\"expiresAt\":4070908800000}}"
#define SHOWN(expires) "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"expires_at_ms\":" expires ",\"state\":\"ok\"}"
#define NONE           "{\"error\":\"not_found\",\"message\":\"nothing of that name\"}"

/* The consumer is named after the owner of the home: us. */
static const char *named(char out[80], const char *before, const char *after)
{
    (void)snprintf(out, 80, "%s/v1/consumers/home-%u%s ", before, (unsigned)geteuid(), after);
    return out;
}
#define NAMED(before, after) named((char[80]){0}, before, after)

static struct scratch home;

static void begin(const char *file)
{
    (void)unsetenv("CLAUDE_CONFIG_DIR");
    home = scratch_new();
    CHECK(mkdir(scratch_path(&home, ".claude"), 0700) == 0);
    scratch_write(scratch_path(&home, ".claude/.credentials.json"), file, strlen(file), 0600);
}
static const char *now_holds(void)
{
    static char text[1024];
    int fd = open(scratch_path(&home, ".claude/.credentials.json"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}
static void end(void)
{
    fake_stop(&fake);
    scratch_free(&home);
}
#define TAKE_OVER(...) OP(verb_enroll, "enroll", "--from-home", "claude", "--home", home.path, ##__VA_ARGS__)

TEST(sealed_first_and_only_then_stripped)
{
    begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")),
          call_on(NAMED("GET ", ""), 404, NONE), call_on("POST /v1/consumers ", 200, "{}"),
          call_on(NAMED("POST ", "/grants"), 200, "{}"),
          call_on("DELETE /v1/credentials/claude/release ", 200, "{\"resumed\":\"claude\"}"));
    CHECK_INT(TAKE_OVER("--yes"), 0);
    SAYS("claude: taken over, sealed.\n");
    SAYS("broker-cli keep claude");
    WARNS("is sealed by the broker as \"claude\"");
    WARNS("broker-cli release claude");
    CHECK(!strstr(call_err, "FAKE-") && !strstr(call_out, "FAKE-"));
    CHECK_STR(now_holds(), STRIPPED);
    CHECK(strstr(fake_seen(&fake), "\"hold\":true"));
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/credentials/claude/release ") > strstr(fake_seen(&fake), "/grants "));
    CHECK(strstr(fake_seen(&fake), "{\"credential\":\"claude\",\"deliver\":[\"file\"]}"));
    end();
}

TEST(a_broker_that_fails_leaves_the_file_alone)
{
    const char *const at[] = {"POST /v1/credentials ", "POST /v1/consumers ", NAMED("POST ", "/grants")};
    for (size_t i = 0; i < COUNT(at); i++) {
        begin(LOGIN);
        BEGIN(call_on(at[i], 503, "{\"error\":\"audit_unavailable\",\"message\":\"the log is full\"}"),
              call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")),
              call_on(NAMED("GET ", ""), 404, NONE), call_on("POST /v1/consumers ", 200, "{}"));
        CHECK_INT(TAKE_OVER("--yes"), 15);
        WARNS("the log is full");
        CHECK_STR(now_holds(), LOGIN);
        end();
    }
}

TEST(what_is_held_is_let_go_when_the_file_is_without_it)
{
    static const char held[] = "{\"name\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\",\"expires_at_ms\":4070908800000,\"state\":\"held\"}";
    for (int i = 0; i < 2; i++) { /* killed before the file was replaced; and behind it */
        begin(i ? STRIPPED : LOGIN);
        BEGIN(call_on("GET /v1/credentials/claude ", 200, held), call_on(NAMED("GET ", ""), 200, "{}"), call_on(NAMED("POST ", "/grants"), 200, "{}"),
              call_on("DELETE /v1/credentials/claude/release ", 200, "{\"resumed\":\"claude\"}"));
        CHECK_INT(TAKE_OVER("--yes"), 0);
        CHECK_STR(now_holds(), STRIPPED);
        CHECK(strstr(fake_seen(&fake), "DELETE /v1/credentials/claude/release "));
        end();
    }
}

TEST(the_same_login_goes_on_and_another_one_is_refused)
{
    begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, SHOWN("4070908800000")), call_on(NAMED("GET ", ""), 200, "{}"),
          call_on(NAMED("POST ", "/grants"), 200, "{}"));
    CHECK_INT(TAKE_OVER("--yes"), 0);
    CHECK(!strstr(fake_seen(&fake), "POST /v1/credentials "));
    CHECK_STR(now_holds(), STRIPPED);
    CHECK_INT(TAKE_OVER("--yes"), 0); /* done already */
    SAYS("taken over already");
    end();
    begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 200, SHOWN("4070908800001")));
    CHECK_INT(TAKE_OVER("--yes"), 7);
    WARNS("say --replace");
    CHECK_STR(now_holds(), LOGIN);
    end();
}

TEST(a_copy_warns_and_changes_nothing)
{
    begin(LOGIN);
    BEGIN(call_on("GET /v1/credentials/claude ", 404, NONE), call_on("POST /v1/credentials ", 200, SHOWN("4070908800000")));
    CHECK_INT(TAKE_OVER("--yes", "--copy"), 0);
    WARNS("two owners of one login log each other out");
    CHECK_STR(now_holds(), LOGIN);
    CHECK(!strstr(fake_seen(&fake), "/consumers"));
    CHECK_INT(TAKE_OVER("--copy"), 2);
    WARNS("say --yes");
    end();
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_enroll, {"enroll", "--from-home", "gemini"}, "claude or codex"},
        {verb_enroll, {"enroll", "a", "b", "--from-home", "claude"}, "takes no source"},
        {verb_enroll, {"enroll", "--from-home", "claude", "--file", "x"}, "takes no source"},
        {verb_enroll, {"enroll", "a", "--provider", "claude", "--copy"}, "go with --from-home"},
        {verb_replace, {"replace", "a", "--from-home", "claude"}, "from-home"},
    };
    SLIPS(rows);
}
