/* A home with Claude Code's login file, beside the fake broker, for the verbs that change such a file. */
#ifndef TESTS_HOME_RIG_H
#define TESTS_HOME_RIG_H

#include "unit/cli/operator.h"

/* The consumer is named after the owner of the home: us. */
static inline const char *named(char out[80], const char *before, const char *after)
{
    (void)snprintf(out, 80, "%s/v1/consumers/home-%u%s ", before, (unsigned)geteuid(), after);
    return out;
}
#define NAMED(before, after) named((char[80]){0}, before, after)

static struct scratch home;

static inline void home_begin(const char *file)
{
    (void)unsetenv("CLAUDE_CONFIG_DIR");
    home = scratch_new();
    CHECK(mkdir(scratch_path(&home, ".claude"), 0700) == 0);
    scratch_write(scratch_path(&home, ".claude/.credentials.json"), file, strlen(file), 0600);
}

static inline const char *now_holds(void)
{
    static char text[1024];
    int fd = open(scratch_path(&home, ".claude/.credentials.json"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static inline void home_end(void)
{
    fake_stop(&fake);
    scratch_free(&home);
}

#endif
