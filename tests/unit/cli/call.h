/*
 * Runs a verb in a child with its own standard input, output and error, against a fake broker.
 */
#ifndef TESTS_CLI_CALL_H
#define TESTS_CLI_CALL_H

#include "check.h"
#include "unit/client/fake.h"

#include "cli/verbs.h"

static char call_out[200000], call_err[20000];

static inline int call_scratch(const char *text, size_t n)
{
    char name[] = "/tmp/call-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    CHECK(fd >= 0 && unlink(name) == 0);
    CHECK(write(fd, text, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline void call_read(int fd, char *text, size_t room)
{
    size_t n = 0;
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    for (ssize_t r; n < room - 1 && (r = read(fd, text + n, room - 1 - n)) > 0;)
        n += (size_t)r;
    text[n] = '\0';
    close(fd);
}

/* The exit status; what was written is in call_out and call_err. */
static inline int call_with(int (*run)(int, char **), const char *const *words, const char *input,
                            size_t n)
{
    static char *argv[40];
    int argc = 0, status = -1;
    int in = call_scratch(input, n), out = call_scratch("", 0), err = call_scratch("", 0);
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
            _exit(99);
        int code = run(argc, argv);
        fflush(stdout);
        _exit(code);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    close(in);
    call_read(out, call_out, sizeof(call_out));
    call_read(err, call_err, sizeof(call_err));
    return WEXITSTATUS(status);
}
#define CALL(run, input, ...)                                                                      \
    call_with(run, (const char *const[]){__VA_ARGS__, NULL}, input, strlen(input))

static inline struct fake_reply call_on(const char *match, int status, const char *json)
{
    return (struct fake_reply){.match = match, .bytes = fake_ok(status, json), .often = true};
}

#endif
