/* Questions: with and without a terminal, and what becomes of the terminal. */
#include "unit/cli/operator.h"

#include "cli/ask.h"

#include <termios.h>

static int passphrase(int argc, char **argv)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    err_t e = ask_passphrase(argc > 1 ? argv[1] : NULL, argc > 2, &out, &why);
    printf("%s|%s|%.*s", err_wire(e), why.text, (int)out.len, (const char *)out.p);
    return 0;
}
static int passphrase_typed(int argc, char **argv)
{
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    struct termios t;
    (void)argv;
    err_t e = ask_passphrase(NULL, argc > 1, &out, &why);
    if (tcgetattr(0, &t) != 0 || !(t.c_lflag & ECHO))
        return 50; /* the terminal was left quiet */
    printf("got %zu %s\n", out.len, e == ERR_OK ? "ok" : why.text);
    return err_exit(e);
}
static int yes(int argc, char **argv)
{
    struct why why = {0};
    (void)argv;
    err_t e = ask_yes(argc > 1, "Do it?", &why);
    printf("%s|%s", err_wire(e), why.text);
    return 0;
}

TEST(the_first_line_of_a_file_or_of_standard_input)
{
    static const struct {
        const char *text, *want;
    } rows[] = {{"correct horse\n", "ok||correct horse"},
                {"no line end", "ok||no line end"},
                {"windows\r\n", "ok||windows"},
                {" spaces stay \nmore\n", "ok|| spaces stay "},
                {"pass w\xc3\xb6rd\n", "ok||pass w\xc3\xb6rd"},
                {"", "usage|the passphrase is empty|"},
                {"\nsecond", "usage|the passphrase is empty|"},
                {"\r\n", "usage|the passphrase is empty|"}};
    AUTO(scratch_free) struct scratch s = scratch_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_INT(op_call(passphrase, (const char *const[]){"x", "-", NULL}, rows[i].text), 0);
        CHECK_STR(call_out, rows[i].want);
        const char *file = scratch_path(&s, "p");
        scratch_write(file, rows[i].text, strlen(rows[i].text), 0600);
        CHECK_INT(op_call(passphrase, (const char *const[]){"x", file, NULL}, "not this"), 0);
        CHECK_STR(call_out, rows[i].want);
    }
}

TEST(nothing_behind_the_line_is_taken_from_a_pipe)
{
    int p[2];
    char rest[16] = "";
    AUTO(buf_free) struct buf out = {0};
    struct why why = {0};
    CHECK(pipe(p) == 0);
    CHECK(write(p[1], "secret\nrest", 11) == 11);
    close(p[1]);
    int was = dup(0);
    dup2(p[0], 0);
    err_t e = ask_passphrase("-", true, &out, &why); /* a file is not asked twice */
    ssize_t n = read(0, rest, sizeof(rest) - 1);
    dup2(was, 0);
    close(was);
    close(p[0]);
    CHECK_OK(e, why);
    CHECK(out.len == 6 && n == 4);
    CHECK_STR(rest, "rest");
}

TEST(too_long_or_not_there)
{
    static char large[PASSPHRASE_MAX + 2];
    memset(large, 'a', PASSPHRASE_MAX);
    CHECK_INT(op_call(passphrase, (const char *const[]){"x", "-", NULL}, large), 0);
    CHECK(strncmp(call_out, "ok||aaaa", 8) == 0);
    large[PASSPHRASE_MAX] = 'a';
    CHECK_INT(op_call(passphrase, (const char *const[]){"x", "-", NULL}, large), 0);
    CHECK(strncmp(call_out, "too_large|a passphrase has at most 1024 bytes|", 40) == 0);
    CHECK_INT(op_call(passphrase, (const char *const[]){"x", "/nowhere/at/all", NULL}, ""), 0);
    CHECK_STR(call_out, "not_found|/nowhere/at/all: No such file or directory|");
}

TEST(without_a_terminal_the_remedy_is_named)
{
    CHECK_INT(op_call(passphrase, (const char *const[]){"x", NULL}, "typed?\n"), 0);
    CHECK(strncmp(call_out, "usage|", 6) == 0);
    SAYS("--passphrase-file FILE");
    CHECK_INT(op_call(yes, (const char *const[]){"x", NULL}, "y\n"), 0);
    CHECK_STR(call_out, "usage|Do it? There is no terminal to ask on: say --yes");
    CHECK_INT(op_call(yes, (const char *const[]){"x", "--yes", NULL}, ""), 0);
    CHECK_STR(call_out, "ok|");
}

TEST(on_a_terminal_yes_is_yes_and_all_else_is_no)
{
    static const struct {
        const char *type, *want;
    } rows[] = {{"y\n", "ok|"},
                {"Yes\n", "ok|"},
                {"\n", "denied|not done"},
                {"n\n", "denied|not done"},
                {"\x04", "denied|not done"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct op_step steps[] = {{"Do it? [y/N] ", rows[i].type}, {0}};
        CHECK_INT(op_tty(yes, (const char *const[]){"x", NULL}, steps), 0);
        SAYS(rows[i].want);
    }
}

TEST(a_typed_passphrase_is_not_shown)
{
    const struct op_step once[] = {{"Passphrase: ", "hunter22\n"}, {0}};
    CHECK_INT(op_tty(passphrase_typed, (const char *const[]){"x", NULL}, once), 0);
    SAYS("got 8 ok");
    CHECK(!strstr(call_out, "hunter22"));
    const struct op_step twice[] = {{"Passphrase: ", "hunter22\n"}, {"Again: ", "hunter22\n"}, {0}};
    CHECK_INT(op_tty(passphrase_typed, (const char *const[]){"x", "twice", NULL}, twice), 0);
    SAYS("got 8 ok");
    const struct op_step slip[] = {{"Passphrase: ", "hunter22\n"}, {"Again: ", "hunter23\n"}, {0}};
    int status = op_tty(passphrase_typed, (const char *const[]){"x", "twice", NULL}, slip);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == err_exit(ERR_INVALID));
    SAYS("the two passphrases differ");
    CHECK(!strstr(call_out, "hunter"));
}

TEST(an_interrupt_ends_it_with_the_echo_back_on)
{
    const struct op_step steps[] = {{"Passphrase: ", "hun\x03"}, {0}};
    int status = op_tty(passphrase_typed, (const char *const[]){"x", NULL}, steps);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    CHECK(!strstr(call_out, "hun") && !strstr(call_out, "got"));
}
