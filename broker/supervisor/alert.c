/*
 * Runs the operator's command. All that the child needs is put together before the fork, so between fork and exec only system calls happen.
 * The child has rights no others than ours: the supervisor's sandbox is inherited.
 */
#include "supervisor/alert.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS = 5, WORD = 72, CANNOT_EXEC = 127 };

struct command {
    char path[PATH_MAX], word[ARGS - 1][WORD];
    char *argv[ARGS + 1];
};

static err_t take(const struct msg *m, struct command *c, struct why *why)
{
    static const enum msg_field fields[ARGS - 1] = {F_OP, F_CREDENTIAL, F_PROVIDER, F_CODE};
    if (!view_copy(msg_view(m, F_PATH), c->path, sizeof(c->path)) || c->path[0] != '/')
        return fail(why, ERR_INVALID, "the command to notify has no absolute path");
    c->argv[0] = c->path;
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!view_copy(msg_view(m, fields[i]), c->word[i], WORD))
            return fail(why, ERR_INVALID, "an argument of the command to notify is too long");
        c->argv[i + 1] = c->word[i];
    }
    return ERR_OK;
}

static void become(const struct command *c)
{
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    sigset_t none;
    (void)setsid();
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        close_range(STDERR_FILENO + 1, ~0u, 0) < 0 || sigemptyset(&none) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(CANNOT_EXEC);
    (void)execve(c->path, c->argv, (char *const *)(uintptr_t)env);
    _exit(CANNOT_EXEC);
}

err_t alert_run(struct alerts *a, const struct msg *m, struct why *why)
{
    struct command c = {0};
    size_t i = 0;
    TRY(take(m, &c, why));
    while (i < ALERTS_RUNNING && a->one[i].pid)
        i++;
    if (i == ALERTS_RUNNING)
        return fail(why, ERR_LIMIT, "%d commands to notify run already", ALERTS_RUNNING);
    if (access(c.path, X_OK) < 0)
        return fail_errno(why, errno, "%s", c.path);
    pid_t pid = fork();
    if (pid == 0)
        become(&c);
    if (pid < 0)
        return fail(why, ERR_LIMIT, "cannot fork for %s: %s", c.path, strerror(errno));
    a->one[i].pid = pid;
    a->one[i].until_ms = clock_boot_ms() + ALERT_MS;
    return ERR_OK;
}

bool alert_reaped(struct alerts *a, pid_t pid, int status)
{
    char code[16];
    size_t i = 0;
    while (i < ALERTS_RUNNING && a->one[i].pid != pid)
        i++;
    if (i == ALERTS_RUNNING)
        return false;
    a->one[i].pid = 0;
    (void)snprintf(code, sizeof(code), "%d",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    if (status != 0)
        log_event(LOG_LVL_WARN, "notify.failed", WIFEXITED(status) ? "code" : "signal", code, NULL);
    return true;
}

int64_t alert_expire(struct alerts *a, int64_t now_ms)
{
    int64_t next = 0;
    for (size_t i = 0; i < ALERTS_RUNNING; i++) {
        if (!a->one[i].pid)
            continue;
        if (a->one[i].until_ms <= now_ms)
            (void)kill(-a->one[i].pid, SIGKILL); /* its session: what it started goes too */
        else if (!next || a->one[i].until_ms < next)
            next = a->one[i].until_ms;
    }
    return next;
}

/* ---- for the supervisor */

static void on_time(void *ctx)
{
    struct alerts *a = ctx;
    int64_t next = alert_expire(a, clock_boot_ms());
    if (next && loop_timer_set(a->timer, next) != ERR_OK)
        log_event(LOG_LVL_ERROR, "timer.failed", NULL);
}

err_t alerts_open(struct alerts *a, struct loop *loop)
{
    return loop_timer_new(loop, on_time, a, &a->timer);
}

void alerts_close(struct alerts *a)
{
    loop_timer_free(a->timer);
    a->timer = NULL;
    (void)alert_expire(a, INT64_MAX);
}

void alert_take(struct alerts *a, const struct msg *m)
{
    struct why why = {0};
    if (alert_run(a, m, &why) != ERR_OK)
        log_event(LOG_LVL_ERROR, "notify.failed", "why", why.text, NULL);
    on_time(a);
}
