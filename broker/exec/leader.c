/*
 * Waits for the end of a process: a pidfd costs nothing while it waits and cannot mean another
 * process; without one, pid and start time are looked at five times a second.
 */
#include "exec/leader.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

struct leader {
    struct leader_id id;
    struct loop_fd *watch;
    struct loop_timer *timer;
    loop_timer_fn *gone;
    void *ctx;
};

/* /proc/PID/stat: the state, and the start time (fields 3 and 22; the name before them may hold anything). */
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
    char path[40], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    AUTO(auto_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || !p[2])
        return false;
    *state = p[2];
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    *start = p ? strtoull(p + 1, NULL, 10) : 0;
    return p != NULL;
}

void leader_here(struct leader_id *out)
{
    char state;
    uint64_t start = 0;
    pid_t pid = getpid();
    *out = (struct leader_id){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    if (read_stat(pid, &state, &start))
        out->start = start;
}

bool leader_lives(const struct leader_id *id)
{
    char state;
    uint64_t start;
    if (kill(id->pid, 0) < 0 && errno == ESRCH)
        return false;
    if (id->start == 0 || !read_stat(id->pid, &state, &start))
        return true;
    return start == id->start && state != 'Z' && state != 'X';
}

static void on_pidfd(void *ctx, int fd, uint32_t events)
{
    struct leader *w = ctx;
    (void)fd, (void)events;
    loop_unwatch(w->watch); /* it stays readable */
    w->watch = NULL;
    w->gone(w->ctx);
}

static void on_look(void *ctx)
{
    struct leader *w = ctx;
    if (!leader_lives(&w->id) ||
        loop_timer_set(w->timer, clock_boot_ms() + LEADER_LOOK_MS) != ERR_OK)
        w->gone(w->ctx);
}

static void auto_leader(struct leader **w)
{
    leader_free(*w);
}

err_t leader_watch(struct loop *l, const struct leader_id *id, loop_timer_fn *gone, void *ctx,
                   struct leader **out, struct why *why)
{
    AUTO(auto_leader) struct leader *w = calloc(1, sizeof(*w));
    if (!w)
        return fail(why, ERR_INTERNAL, "out of memory");
    *w = (struct leader){.id = *id, .gone = gone, .ctx = ctx};
    if (id->pidfd >= 0) {
        TRY(loop_watch(l, &(struct loop_source){id->pidfd, EPOLLIN, on_pidfd, w}, &w->watch, why));
    } else if (loop_timer_new(l, on_look, w, &w->timer) != ERR_OK ||
               loop_timer_set(w->timer, clock_boot_ms() + LEADER_LOOK_MS) != ERR_OK) {
        return fail(why, ERR_INTERNAL, "out of memory");
    }
    *out = TAKE(w);
    return ERR_OK;
}

void leader_free(struct leader *w)
{
    if (!w)
        return;
    loop_unwatch(w->watch);
    loop_timer_free(w->timer);
    free(w);
}
