/* broker-exec's command line. */
#include "check.h"

#include "exec/options.h"

static struct why why;

static err_t read_line(const char *const *words, struct exec_options *o)
{
    static char *argv[32];
    size_t n = 0;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    return exec_options_read(argv, o, &why);
}
#define LINE(...) ((const char *const[]){"broker-exec", __VA_ARGS__, NULL})

TEST(options_before_the_program_only)
{
    struct exec_options o = {0};
    CHECK_OK(read_line(LINE("--socket", "/s", "--credential", "a=file", "--credential=b", "--wait",
                            "30s", "--ttl=15m", "--", "cmd", "--socket", "x", "--", "-h"),
                       &o),
             why);
    CHECK_STR(o.socket, "/s");
    CHECK_INT(o.credential.n, 2);
    CHECK_STR(o.credential.item[0], "a=file");
    CHECK_STR(o.credential.item[1], "b");
    CHECK_INT(o.wait_ms, 30000);
    CHECK_INT(o.ttl_ms, 900000);
    CHECK(o.owner_process && !o.help && !o.prints && !o.acp);
    CHECK_OK(read_line(LINE("--acp", "--", "adapter", "--acp"), &o), why);
    CHECK(o.acp && strcmp(o.command[1], "--acp") == 0);
    CHECK_OK(read_line(LINE("--socket", "/s", "--credential", "a=file", "--credential=b", "--wait",
                            "30s", "--ttl=15m", "--", "cmd", "--socket", "x", "--", "-h"),
                       &o),
             why);
    CHECK_STR(o.command[0], "cmd");
    CHECK_STR(o.command[1], "--socket");
    CHECK_STR(o.command[3], "--");
    CHECK_STR(o.command[4], "-h");
    CHECK(!o.command[5]);
}

TEST(the_two_dashes_may_be_left_out)
{
    struct exec_options o = {0};
    CHECK_OK(read_line(LINE("--owner", "none", "cmd", "-x", "--wait"), &o), why);
    CHECK(!o.owner_process);
    CHECK_STR(o.command[0], "cmd");
    CHECK_STR(o.command[2], "--wait");
}

TEST(a_program_that_looks_like_an_option_is_one_behind_two_dashes)
{
    struct exec_options o = {0};
    CHECK_OK(read_line(LINE("--", "--help"), &o), why);
    CHECK(!o.help);
    CHECK_STR(o.command[0], "--help");
}

TEST(slips_are_said)
{
    static const struct {
        const char *words[5];
        const char *says;
    } rows[] = {
        {{"x", NULL}, "which program"},
        {{"x", "--", NULL}, "which program"},
        {{"x", "--owner", "me", "cmd", NULL}, "process or none"},
        {{"x", "--wait", "soon", "cmd", NULL}, "--wait"},
        {{"x", "--wait", NULL}, "--wait wants TIME"},
        {{"x", "--credental", "a", "cmd", NULL}, "did you mean --credential?"},
        {{"x", "-p", "cmd", NULL}, "options are long"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct exec_options o = {.socket = "kept"};
        CHECK_INT(read_line(rows[i].words, &o), ERR_USAGE);
        CHECK(strstr(why.text, rows[i].says) || !printf("    %s\n", why.text));
        CHECK_STR(o.socket, "kept");
    }
}

TEST(what_prints_needs_no_program)
{
    struct exec_options o = {0};
    CHECK_OK(read_line(LINE("-h"), &o), why);
    CHECK(o.help && o.prints);
    CHECK_OK(read_line(LINE("--print-profile", "env"), &o), why);
    CHECK(o.prints && !o.help);
    CHECK_STR(o.print_profile, "env");
}

TEST(help_names_every_option_and_exit_status)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    CHECK(out != NULL);
    exec_options_help(out);
    fclose(out);
    static const char *const words[] = {"--credential",
                                        "--profile",
                                        "--socket",
                                        "--wait",
                                        "--ttl",
                                        "--owner",
                                        "--acp",
                                        "--print-profile",
                                        "--list-profiles",
                                        "--help",
                                        "--version",
                                        "124",
                                        "125",
                                        "126",
                                        "127"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        CHECK(strstr(text, words[i]) != NULL);
    free(text);
}
