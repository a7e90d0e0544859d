/*
 * One poll() over all that can happen. What is typed is not echoed: a code is a secret for as long as it is good. A code of another login is
 * said and the next one waited for; the broker counts them. The broker is looked at when something happened, and else at leisure.
 */
#include "cli/login_wait.h"

#include "base/auto.h"
#include "base/clock.h"

#include <broker/secret.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { BUSY_MS = 100, IDLE_MS = 2000, TYPED_MAX = 8192 };

struct wait {
    const struct login_wait *w;
    struct buf path, typed;
    int signals;
    bool open;  /* standard input may have more */
    bool quiet; /* the terminal does not echo, and did */
    struct termios was;
    sigset_t before;
    json_t *now; /* as the broker showed it last */
};

/* ---- the terminal */

static void hush(struct wait *s)
{
    struct termios quiet;
    if (!s->open || tcgetattr(STDIN_FILENO, &s->was) != 0)
        return;
    quiet = s->was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    s->quiet = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

static err_t begin(struct wait *s, struct why *why)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t stop, held;
    (void)sigemptyset(&stop);
    for (size_t i = 0; i < COUNT(ends); i++)
        (void)sigaddset(&stop, ends[i]);
    held = stop;
    (void)sigaddset(&held, SIGTSTP); /* a shell wants its terminal to echo */
    (void)sigprocmask(SIG_BLOCK, &held, &s->before);
    s->signals = signalfd(-1, &stop, SFD_CLOEXEC);
    hush(s);
    if (s->w->prompt[0])
        (void)fprintf(stderr, "%s\n", s->w->prompt);
    return s->signals < 0 ? fail_errno(why, errno, "signalfd") : ERR_OK;
}

static void end(struct wait *s)
{
    if (s->quiet)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &s->was);
    auto_close(&s->signals);
    (void)sigprocmask(SIG_SETMASK, &s->before,
                      NULL); /* what was held comes now, and ends or stops us */
    buf_free(&s->typed);
    buf_free(&s->path);
    json_decref(s->now);
}

/* ---- the broker */

static err_t look(struct wait *s, struct why *why)
{
    json_t *now = NULL;
    TRY(admin_get(s->w->common, buf_text(&s->path), &now, why));
    json_decref(s->now);
    s->now = now;
    return ERR_OK;
}

static void give_up(struct wait *s)
{
    AUTO(buf_free) struct buf text = {0};
    (void)!admin_call(s->w->common, "DELETE", buf_text(&s->path), NULL, &text, NULL);
}

/* ERR_AUTH and ERR_INVALID: not this one; another may come. */
static err_t hand_over(struct wait *s, const struct brought *b, struct why *why)
{
    AUTO(buf_free) struct buf body = {.max = 2 * TYPED_MAX}, path = {0}, text = {0};
    struct jsonw w = jsonw_to(&body);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, b->error[0] ? "error" : "code", b->error[0] ? b->error : b->code);
    jsonw_str(&w, "state", b->state);
    jsonw_close(&w, '}');
    buf_add_view(&path, buf_view(&s->path));
    buf_add_str(&path, "/code");
    return admin_call(s->w->common, "POST", buf_text(&path), &body, &text, why);
}

static err_t bring(struct wait *s, struct brought *b, struct why *why)
{
    struct why own = {0};
    err_t e = hand_over(s, b, &own);
    brought_wipe(b);
    if (e == ERR_AUTH || e == ERR_INVALID) {
        (void)fprintf(stderr, "%s\n", own.text);
        e = ERR_OK;
    }
    return e == ERR_OK ? look(s, why) : fail(why, e, "%s", own.text);
}

/* ---- what is typed */

static err_t take_line(struct wait *s, struct view line, struct why *why)
{
    struct brought b;
    struct why own = {0};
    bool blank = true;
    for (size_t i = 0; i < line.n; i++)
        blank = blank && line.p[i] <= ' ';
    if (blank)
        return ERR_OK;
    if (brought_by_paste(line, &b, &own) == ERR_OK)
        return bring(s, &b, why);
    (void)fprintf(stderr, "%s\n", own.text);
    return ERR_OK;
}

static err_t take_lines(struct wait *s, struct why *why)
{
    const uint8_t *nl;
    while (s->typed.len && (nl = memchr(s->typed.p, '\n', s->typed.len)) != NULL) {
        size_t n = (size_t)(nl - s->typed.p) + 1;
        TRY(take_line(s, VIEW(s->typed.p, n - 1), why));
        memmove(s->typed.p, s->typed.p + n, s->typed.len - n);
        wipe(s->typed.p + s->typed.len - n, n);
        s->typed.len -= n;
    }
    return ERR_OK;
}

static err_t read_typed(struct wait *s, struct why *why)
{
    if (!buf_reserve(&s->typed, 1024))
        return fail(why, ERR_TOO_LARGE, "what came on standard input is no code");
    ssize_t n = read(STDIN_FILENO, s->typed.p + s->typed.len, 1024);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? ERR_OK
                                                 : fail_errno(why, errno, "standard input");
    s->typed.len += (size_t)n;
    s->open = n > 0;
    TRY(take_lines(s, why));
    if (s->open)
        return ERR_OK;
    err_t e = take_line(s, buf_view(&s->typed), why); /* a last line without its end */
    buf_reset(&s->typed);
    return e;
}

/* ---- the loop */

static bool is_over(const struct wait *s)
{
    return text_is(s->now, "status", "done") || text_is(s->now, "status", "failed");
}

static bool waits(const struct wait *s)
{
    return text_is(s->now, "status", "waiting");
}

/* Is there still a way for a code to come? */
static err_t check_hope(const struct wait *s, struct why *why)
{
    bool by_code = strcmp(s->w->flow, "page") == 0 || strcmp(s->w->flow, "loopback") == 0;
    if (!by_code || !waits(s) || s->open || s->w->redirect)
        return ERR_OK;
    return fail(
        why, ERR_USAGE,
        "the code is expected on standard input, which has ended: paste it there, or log in "
        "with --device where the provider has that");
}

static err_t once(struct wait *s, struct why *why)
{
    struct pollfd p[REDIRECT_POLL + 2] = {
        {.fd = s->signals, .events = POLLIN},
        {.fd = s->open && waits(s) ? STDIN_FILENO : -1, .events = POLLIN}};
    struct brought b = {0};
    nfds_t n = 2;
    if (s->w->redirect)
        n += redirect_poll(s->w->redirect, p + 2);
    int ready = poll(p, n, waits(s) ? IDLE_MS : BUSY_MS);
    if (ready < 0 && errno != EINTR)
        return fail_errno(why, errno, "poll");
    if (ready <= 0)
        return look(s, why);
    if (p[0].revents)
        return fail(why, ERR_DENIED, "given up");
    if (s->w->redirect && redirect_step(s->w->redirect, p + 2, &b))
        return bring(s, &b, why);
    return p[1].revents ? read_typed(s, why) : ERR_OK;
}

static err_t outcome(struct wait *s, struct why *why)
{
    if (text_is(s->now, "status", "done"))
        return ERR_OK;
    const char *wire = text_of(s->now, "error");
    err_t e = err_from_wire(wire, strlen(wire));
    return fail(why, e == ERR_OK ? ERR_INTERNAL : e, "%s", text_of(s->now, "message"));
}

err_t login_wait(const struct login_wait *w, json_t **out, struct why *why)
{
    struct wait s = {.w = w, .typed = {.max = TYPED_MAX}, .signals = -1, .open = w->paste};
    buf_add_str(&s.path, "/v1/logins/");
    err_t e = path_add(&s.path, w->id, "login's id", why);
    if (e == ERR_OK)
        e = begin(&s, why);
    if (e == ERR_OK)
        e = look(&s, why);
    while (e == ERR_OK && !is_over(&s)) {
        e = check_hope(&s, why);
        if (e == ERR_OK)
            e = once(&s, why);
    }
    if (e != ERR_OK && buf_text(&s.path))
        give_up(&s);
    else if (e == ERR_OK)
        e = outcome(&s, why);
    if (e == ERR_OK)
        *out = TAKE(s.now);
    end(&s);
    return e;
}
