/*
 * Questions to a person. A passphrase is read byte by byte, so that nothing behind its line is
 * taken from a pipe and no copy stays in a stdio buffer. While it is typed, signals that end or
 * stop us wait until the terminal echoes again.
 */
#include "cli/ask.h"

#include "base/auto.h"
#include <broker/secret.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

err_t ask_yes(bool yes, const char *question, struct why *why)
{
    char answer[8] = "";
    if (yes)
        return ERR_OK;
    AUTO(auto_fclose) FILE *tty = isatty(STDIN_FILENO) ? fopen("/dev/tty", "r+e") : NULL;
    if (!tty)
        return fail(why, ERR_USAGE, "%s There is no terminal to ask on: say --yes", question);
    (void)fprintf(tty, "%s [y/N] ", question);
    (void)fflush(tty);
    if (!fgets(answer, sizeof(answer), tty) || (answer[0] != 'y' && answer[0] != 'Y'))
        return fail(why, ERR_DENIED, "not done");
    return ERR_OK;
}

/* ---- one line */

/* Waits for input; false when a signal came instead. Without `signals` (-1) it is not waited for.
 * */
static bool wait_input(int fd, int signals)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return p[1].revents == 0;
}

static err_t read_line(int fd, int signals, const char *name, struct buf *out, struct why *why)
{
    uint8_t c = 0;
    for (;;) {
        if (!wait_input(fd, signals))
            return fail(why, ERR_DENIED, "not done");
        ssize_t n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "%s", name);
        if (n == 0 || c == '\n')
            break;
        if (out->len == PASSPHRASE_MAX)
            return fail(why, ERR_TOO_LARGE, "a passphrase has at most %d bytes", PASSPHRASE_MAX);
        buf_put_u8(out, c);
    }
    wipe(&c, 1);
    if (out->len && out->p[out->len - 1] == '\r')
        out->len--;
    return out->len ? buf_ok(out, why) : fail(why, ERR_USAGE, "the passphrase is empty");
}

static err_t from_file(const char *file, struct buf *out, struct why *why)
{
    bool standard = strcmp(file, "-") == 0;
    AUTO(auto_close)
    int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(why, errno, "%s", file);
    return read_line(fd, -1, standard ? "standard input" : file, out, why);
}

/* ---- the terminal */

static err_t type_once(FILE *tty, const char *prompt, struct buf *out, struct why *why)
{
    static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    sigset_t stop, before;
    struct termios was, quiet;
    if (tcgetattr(fileno(tty), &was) != 0)
        return fail_errno(why, errno, "the terminal");
    (void)sigemptyset(&stop);
    for (size_t i = 0; i < COUNT(held); i++)
        (void)sigaddset(&stop, held[i]);
    (void)sigprocmask(SIG_BLOCK, &stop, &before);
    AUTO(auto_close) int signals = signalfd(-1, &stop, SFD_CLOEXEC);
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    (void)fprintf(tty, "%s: ", prompt);
    (void)fflush(tty);
    err_t e = read_line(fileno(tty), signals, "the terminal", out, why);
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &was);
    (void)fputc('\n', tty);
    (void)fflush(tty);
    (void)sigprocmask(SIG_SETMASK, &before, NULL); /* what was held comes now */
    return e;
}

err_t ask_passphrase(const char *file, bool twice, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf again = {.max = 2048};
    out->max = 2048;
    if (file)
        return from_file(file, out, why);
    AUTO(auto_fclose) FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty)
        return fail(why, ERR_USAGE,
                    "a passphrase is needed and there is no terminal: give --passphrase-file FILE "
                    "(or - for standard input)");
    TRY(type_once(tty, "Passphrase", out, why));
    if (!twice)
        return ERR_OK;
    TRY(type_once(tty, "Again", &again, why));
    if (again.len != out->len || !equal_ct(again.p, out->p, out->len))
        return fail(why, ERR_INVALID, "the two passphrases differ");
    return ERR_OK;
}
