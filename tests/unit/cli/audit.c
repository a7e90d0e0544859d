/* audit tail, show, export: pages, filters, what a peer may not do to a terminal, and how following
 * ends. (verify: verdict.c) */
#include "unit/cli/operator.h"

#include <signal.h>

#define LINE(seq, event, consumer)                                                                 \
    "{\"seq\":" seq ",\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"" event                    \
    "\",\"outcome\":\"ok\",\"consumer\":\"" consumer "\",\"uid\":7,\"mac\":\"00\"}\n"
#define SHOWN(seq, event, consumer)                                                                \
    "     " seq "  2026-01-01T00:00:00.000Z  " event "  ok consumer=" consumer " uid=7\n"
#define L1                  LINE("1", "lease.issue", "a")
#define L2                  LINE("2", "lease.issue", "b")
#define L3                  LINE("3", "lease.end", "a")
#define S1                  SHOWN("1", "lease.issue     ", "a")
#define S2                  SHOWN("2", "lease.issue     ", "b")
#define S3                  SHOWN("3", "lease.end       ", "a")
#define AUDIT(after, limit) "GET /v1/audit?after=" after "&limit=" limit " "

static void begin(void)
{
    BEGIN(call_on("GET /v1/status ", 200, "{\"audit\":{\"seq\":3}}"),
          call_on(AUDIT("0", "200"), 200, L1 L2), call_on(AUDIT("0", "3"), 200, L1 L2 L3),
          call_on(AUDIT("1", "200"), 200, L2 L3), call_on(AUDIT("2", "200"), 200, L3),
          call_on(AUDIT("3", "200"), 200, ""));
}

TEST(everything_over_all_pages)
{
    begin();
    CHECK_INT(OP2(verb_audit, "audit", "show"), 0);
    CHECK_STR(call_out, S1 S2 S3);
    CHECK_STR(call_err, "");
    CHECK_INT(OP2(verb_audit, "audit", "show", "--after", "2"), 0);
    CHECK_STR(call_out, S3);
    CHECK_INT(OP2(verb_audit, "audit", "export"), 0);
    CHECK_STR(call_out, L1 L2 L3); /* byte for byte */
    CHECK_INT(OP2(verb_audit, "audit", "show", "--json", "--after", "1"), 0);
    CHECK_STR(call_out, L2 L3);
    fake_stop(&fake);
}

TEST(filters)
{
    begin();
    CHECK_INT(OP2(verb_audit, "audit", "show", "--consumer", "a"), 0);
    CHECK_STR(call_out, S1 S3);
    CHECK_INT(OP2(verb_audit, "audit", "show", "--event", "lease.issue", "--consumer", "b"), 0);
    CHECK_STR(call_out, S2);
    CHECK_INT(OP2(verb_audit, "audit", "export", "--credential", "x"), 0);
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(the_last_lines)
{
    begin();
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--lines", "1"), 0);
    CHECK_STR(call_out, S3);
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--lines", "2", "--json"), 0);
    CHECK_STR(call_out, L2 L3);
    CHECK_INT(OP2(verb_audit, "audit", "tail"), 0);
    CHECK_STR(call_out, S1 S2 S3);
    fake_stop(&fake);
}

TEST(the_last_lines_that_match_are_looked_for_further_back)
{
    begin();
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--lines", "1", "--consumer", "b"), 0);
    CHECK_STR(call_out, S2);
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--lines", "1", "--consumer", "a"), 0);
    CHECK_STR(call_out, S3); /* not both */
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--consumer", "nobody"), 0);
    CHECK_STR(call_out, "");
    fake_stop(&fake);
}

TEST(looking_back_goes_a_page_at_a_time)
{
    BEGIN(call_on("GET /v1/status ", 200, "{\"audit\":{\"seq\":350}}"),
          call_on(AUDIT("150", "200"), 200, LINE("350", "lease.end", "a")),
          call_on(AUDIT("0", "150"), 200,
                  LINE("100", "lease.issue", "b") LINE("150", "lease.issue", "b")),
          call_on(AUDIT("0", "200"), 200,
                  LINE("100", "lease.issue", "b") LINE("150", "lease.issue", "b")
                      LINE("350", "lease.end", "a")),
          call_on(AUDIT("350", "200"), 200, ""));
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--lines", "1", "--consumer", "b"), 0);
    CHECK(strncmp(call_out, "   150  ", 8) == 0 &&
          strchr(call_out, '\n') == call_out + strlen(call_out) - 1);
    fake_stop(&fake);
}

TEST(what_a_peer_chose_does_not_reach_the_terminal)
{
#define EVIL                                                                                       \
    "{\"seq\":4,\"time\":\"t\",\"event\":\"x\",\"outcome\":\"denied\",\"exe\":\"/tmp/"             \
    "\\u001b]0;owned\\u0007\\n\\u009b1m\",\"n\":null,\"mac\":\"00\"}\n"
    BEGIN(call_on(AUDIT("3", "200"), 200, EVIL), call_on(AUDIT("4", "200"), 200, ""));
    CHECK_INT(OP2(verb_audit, "audit", "show", "--after", "3"), 0);
    CHECK_STR(call_out, "     4  t  x                 denied exe=/tmp/?]0;owned????1m\n");
    CHECK_INT(OP2(verb_audit, "audit", "export", "--after", "3"), 0);
    CHECK_STR(call_out, EVIL); /* escaped as it is, it does no harm */
    fake_stop(&fake);
}

TEST(a_refusal_is_red_on_a_terminal)
{
    static const struct op_step none[] = {{0}};
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    BEGIN(call_on(AUDIT("0", "200"), 200, EVIL), call_on(AUDIT("4", "200"), 200, ""));
    CHECK_INT(op_tty(verb_audit,
                     (const char *const[]){"audit", "show", "--socket", fake.path, NULL}, none),
              0);
    SAYS("\033[31mdenied\033[0m");
    SAYS("\033[1mx               \033[0m");
    fake_stop(&fake);
}

TEST(answers_that_are_no_log)
{
    static const char *const bad[] = {
        "x",   "[]\n", "{}\n",     "{\"seq\":0}\n", "{\"seq\":\"1\"}\n",
        L2 L2, L2 L1,  L1 "\n" L2, L1 "{\"seq\":2"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        BEGIN(call_on("GET /v1/status ", 200, "{\"audit\":{\"seq\":3}}"),
              call_on("GET /v1/audit", 200, bad[i]));
        CHECK(OP2(verb_audit, "audit", "export") == err_exit(ERR_INVALID) ||
              !printf("    %s\n", bad[i]));
        WARNS("the broker's answer ");
        CHECK_INT(OP2(verb_audit, "audit", "tail"), err_exit(ERR_INVALID));
        fake_stop(&fake);
    }
    BROKEN(verb_audit, "audit", "tail");
}

TEST(refusals)
{
    BEGIN(call_on(NULL, 503,
                  "{\"error\":\"locked\",\"message\":\"open it with: broker-cli unlock\"}"));
    CHECK_INT(OP2(verb_audit, "audit", "show"), err_exit(ERR_LOCKED));
    CHECK_STR(call_err, "broker-cli audit show: open it with: broker-cli unlock\n");
    CHECK_INT(OP2(verb_audit, "audit", "tail", "--follow"), err_exit(ERR_LOCKED));
    fake_stop(&fake);
}

/* ---- following */

struct follower {
    pid_t pid;
    int out;
};

static struct follower follow(void)
{
    int p[2];
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    fflush(stdout);
    struct follower f = {.pid = fork(), .out = p[0]};
    if (f.pid == 0) {
        char *argv[] = {(char *)"audit", (char *)"tail",     (char *)"--follow", (char *)"--lines",
                        (char *)"1",     (char *)"--socket", fake.path,          NULL};
        dup2(p[1], 1);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
        close(p[0]); /* nobody reads when the parent does not */
        _exit(verb_audit(7, argv));
    }
    close(p[1]);
    return f;
}

static int status_of(struct follower f)
{
    int status = -1;
    CHECK(waitpid(f.pid, &status, 0) == f.pid);
    return status;
}

static void read_exactly(struct follower f, const char *want)
{
    static char text[4000];
    size_t n = 0;
    for (ssize_t r; n < strlen(want) && (r = read(f.out, text + n, strlen(want) - n)) > 0;)
        n += (size_t)r;
    text[n] = '\0';
    CHECK_STR(text, want);
}

static void begin_follow(void)
{
    BEGIN(call_on("GET /v1/status ", 200, "{\"audit\":{\"seq\":2}}"),
          {.match = AUDIT("1", "200"), .bytes = fake_ok(200, L2)},
          {.match = AUDIT("2", "200"), .bytes = fake_ok(200, "")},
          {.match = AUDIT("2", "200"), .bytes = fake_ok(200, "")},
          {.match = AUDIT("2", "200"), .bytes = fake_ok(200, L3)},
          call_on(AUDIT("3", "200"), 200, ""));
}

TEST(following_shows_what_comes_and_ends_well_when_interrupted)
{
    static const int ends[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < COUNT(ends); i++) {
        begin_follow();
        struct follower f = follow();
        read_exactly(f, S2);
        read_exactly(f, S3);
        usleep(100000); /* it waits now */
        CHECK(kill(f.pid, ends[i]) == 0);
        CHECK_INT(status_of(f), 0);
        close(f.out);
        fake_stop(&fake);
    }
}

TEST(following_ends_well_when_nobody_reads_any_more)
{
    begin_follow();
    struct follower f = follow();
    read_exactly(f, S2);
    close(f.out);
    CHECK_INT(status_of(f), 0);
    fake_stop(&fake);
}

TEST(following_ends_with_the_broker)
{
    begin_follow();
    struct follower f = follow();
    read_exactly(f, S2);
    CHECK(kill(fake.pid, SIGKILL) == 0 && waitpid(fake.pid, NULL, 0) == fake.pid);
    fake.pid = 0;
    int status = status_of(f); /* cut off in the middle of a question, or between two */
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == err_exit(ERR_UNAVAILABLE) ||
                                WEXITSTATUS(status) == err_exit(ERR_NO_BROKER)));
    close(f.out);
    fake_stop(&fake);
}

TEST(slips)
{
    static const struct op_slip rows[] = {
        {verb_audit, {"audit", "tail", "x"}, "not expected"},
        {verb_audit, {"audit", "tail", "--lines", "many"}, "wants a whole number"},
        {verb_audit, {"audit", "show", "x"}, "not expected"},
        {verb_audit, {"audit", "export", "x"}, "not expected"},
        {verb_audit, {"audit", "export", "--after", "-1"}, "wants a whole number"},
    };
    SLIPS(rows);
}
