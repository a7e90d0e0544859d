/*
 * The operator's verbs in a test: against a fake broker, without a terminal (a session of their
 * own), or on one (a pseudo-terminal on which steps are typed).
 */
#ifndef TESTS_CLI_OPERATOR_H
#define TESTS_CLI_OPERATOR_H

#include "base/auto.h"
#include "base/buf.h"
#include "scratch.h"
#include "unit/cli/call.h"

#include <poll.h>
#include <time.h>

static struct fake fake;
static int (*op_verb)(int argc, char **argv);

static inline int op_alone(int argc, char **argv)
{
    (void)setsid(); /* no /dev/tty, even where a person runs the tests */
    return op_verb(argc, argv);
}
static inline int op_call(int (*verb)(int, char **), const char *const *words, const char *input)
{
    op_verb = verb;
    return call_with(op_alone, words, input, strlen(input));
}
/* OP_IN(verb_init, "standard input", "init", "--key", …) against `fake` */
#define OP_IN(verb, input, name, ...)                                                              \
    op_call(verb, (const char *const[]){name, "--socket", fake.path, ##__VA_ARGS__, NULL}, input)
#define OP(verb, name, ...) OP_IN(verb, "", name, ##__VA_ARGS__)
/* of a verb of verbs: OP2(verb_key, "key", "add", …) */
#define OP2(verb, name, word, ...)                                                                 \
    op_call(verb, (const char *const[]){name, word, "--socket", fake.path, ##__VA_ARGS__, NULL}, "")

#define BEGIN(...)                                                                                 \
    do {                                                                                           \
        struct fake_reply begin_[] = {__VA_ARGS__};                                                \
        fake_start(&fake, begin_, sizeof(begin_) / sizeof(begin_[0]));                             \
    } while (0)
#define SAYS(part)  CHECK(strstr(call_out, part) || !printf("    out: %s\n", call_out))
#define WARNS(part) CHECK(strstr(call_err, part) || !printf("    err: %s\n", call_err))

/* How often this was asked ("GET /v1/keys"), with this body (NULL: any). */
static inline unsigned op_asked(const char *what, const char *body)
{
    char line[400];
    unsigned n = 0;
    snprintf(line, sizeof(line), "%s HTTP/1.1\r\n", what);
    for (const char *at = fake_seen(&fake); (at = strstr(at, line)) != NULL; at++) {
        const char *begin = strstr(at, "\r\n\r\n");
        size_t len = begin ? strcspn(begin + 4, "\n") : 0;
        n += begin && (!body || (strlen(body) == len && memcmp(begin + 4, body, len) == 0));
    }
    return n;
}
#define ASKED(what, body)                                                                          \
    CHECK(op_asked(what, body) == 1 || !printf("    asked: %s\n", fake_seen(&fake)))

struct op_slip { /* a line that is not usable */
    int (*verb)(int, char **);
    const char *words[8], *says;
};
/* Each ends with 2 and its sentence, and nothing is asked of a broker. */
static inline void op_slips(const struct op_slip *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(op_call(rows[i].verb, rows[i].words, ""), 2);
        CHECK(strstr(call_err, rows[i].says) || !printf("    %s\n", call_err));
        CHECK_STR(call_out, "");
    }
}
#define SLIPS(rows) op_slips(rows, sizeof(rows) / sizeof((rows)[0]))

/* Each reply that is none is a failure with a sentence, not a crash. */
static inline void op_broken(int (*verb)(int, char **), const char *const *words)
{
    static const char *const replies[] = {
        "", "[]", "null", "\"x\"", "{\"a\":", "{}}", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        const char *line[12];
        size_t n = 0;
        BEGIN(call_on(NULL, 200, replies[i]));
        for (; words[n]; n++)
            line[n] = words[n];
        line[n++] = "--socket";
        line[n++] = fake.path;
        line[n] = NULL;
        CHECK(op_call(verb, line, "") == err_exit(ERR_INVALID) ||
              !printf("    reply: %s\n", replies[i]));
        CHECK(strlen(call_err) > 20);
        fake_stop(&fake);
    }
}
#define BROKEN(verb, ...) op_broken(verb, (const char *const[]){__VA_ARGS__, NULL})

/* ---- on a terminal */

struct op_step {
    const char *wait, *type; /* typed when this was shown */
};

static inline void op_tty_child(int master, int (*verb)(int, char **), char **argv)
{
    char name[64];
    (void)setsid();
    if (ptsname_r(master, name, sizeof(name)) != 0)
        _exit(98);
    int tty = open(name, O_RDWR); /* becomes the controlling terminal */
    close(master);
    if (tty < 0 || dup2(tty, 0) < 0 || dup2(tty, 1) < 0 || dup2(tty, 2) < 0)
        _exit(97);
    int argc = 0;
    while (argv[argc])
        argc++;
    int code = verb(argc, argv);
    fflush(stdout);
    _exit(code);
}

/* The wait status; all that was shown is in call_out. */
static inline int op_tty(int (*verb)(int, char **), const char *const *words,
                         const struct op_step *steps)
{
    static char *argv[16];
    int status = -1, master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    size_t n = 0, from = 0;
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    for (size_t i = 0; i == 0 || words[i - 1]; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        op_tty_child(master, verb, argv);
    for (struct pollfd p = {.fd = master, .events = POLLIN}; poll(&p, 1, 20000) == 1;) {
        ssize_t r = read(master, call_out + n, sizeof(call_out) - 1 - n);
        if (r <= 0)
            break; /* EIO: the child is gone */
        n += (size_t)r;
        call_out[n] = '\0';
        if (steps->wait && strstr(call_out + from, steps->wait)) {
            CHECK(write(master, steps->type, strlen(steps->type)) > 0);
            from = n;
            steps++;
        }
    }
    close(master);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(!steps->wait || !printf("    never shown: %s\n", steps->wait));
    return status;
}
#define TTY(verb, steps, name, ...)                                                                \
    op_tty(verb, (const char *const[]){name, "--socket", fake.path, ##__VA_ARGS__, NULL}, steps)

#endif
