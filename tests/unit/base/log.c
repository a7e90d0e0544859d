#include "base/log.h"

#include "check.h"

#include <fcntl.h>
#include <unistd.h>

/* what log_event writes to stderr */
static void capture(char *out, size_t room, const char *value, enum log_level level)
{
    int pipes[2], saved = dup(2);
    CHECK(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
    dup2(pipes[1], 2);
    log_event(level, "test.event", "key", value, "second", "2", NULL);
    dup2(saved, 2);
    ssize_t n = read(pipes[0], out, room - 1);
    out[n > 0 ? n : 0] = 0;
    close(saved);
    close(pipes[0]);
    close(pipes[1]);
}

TEST(an_event_is_one_line_of_pairs)
{
    char line[512];
    log_open("vault", LOG_LVL_INFO);
    capture(line, sizeof(line), "plain", LOG_LVL_WARN);
    CHECK(strstr(line, " warn vault test.event key=plain second=2\n"));
}

TEST(a_value_cannot_break_the_line)
{
    char line[512];
    capture(line, sizeof(line), "a b\"c\\d\ne\x1b", LOG_LVL_ERROR);
    CHECK(strstr(line, "key=\"a b\\\"c\\\\d?e?\" second=2\n"));
    CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    capture(line, sizeof(line), "", LOG_LVL_ERROR);
    CHECK(strstr(line, "key=\"\" second"));
    capture(line, sizeof(line), "x=y", LOG_LVL_ERROR);
    CHECK(strstr(line, "key=\"x=y\""));
}

TEST(levels_over_the_maximum_are_silent)
{
    char line[512];
    log_open("vault", LOG_LVL_WARN);
    capture(line, sizeof(line), "x", LOG_LVL_INFO);
    CHECK_STR(line, "");
    log_open("vault", LOG_LVL_INFO);
}
