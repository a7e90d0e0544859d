/* broker-cli exec hands its line over to broker-exec. */
#include "unit/cli/call.h"

/* A broker-exec that only shows how it was called, on a PATH of its own. */
static void install(struct fake *f)
{
    char path[200];
    fake_dir(f);
    snprintf(path, sizeof(path), "%s/broker-exec", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    static const char script[] = "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 7\n";
    CHECK(fd >= 0 && write(fd, script, sizeof(script) - 1) == (ssize_t)sizeof(script) - 1);
    close(fd);
    setenv("PATH", f->dir, 1);
}

TEST(the_line_is_passed_as_it_is)
{
    struct fake f;
    install(&f);
    CHECK_INT(CALL(verb_exec, "", "exec", "--profile", "env", "--", "a b", "--help"), 7);
    CHECK_STR(call_out, "--profile|env|--|a b|--help|");
    fake_stop(&f);
}

TEST(without_it_nothing_runs)
{
    setenv("PATH", "/nonexistent", 1);
    CHECK_INT(CALL(verb_exec, "", "exec", "--", "true"), 126);
    CHECK(strstr(call_err, "cannot run broker-exec") != NULL);
    CHECK_STR(call_out, "");
}
