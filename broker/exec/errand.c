/*
 * A child per errand. It holds nothing of its parent's but what it needs, so that an errand that
 * hangs keeps no pipe of a program open.
 */
#include "exec/errand.h"

#include "base/auto.h"
#include "exec/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

struct errand {
    struct errand_options o;
    int answer;
    struct loop_fd *watch;
};

static _Noreturn void be_child(const struct errand_options *o, int answer)
{
    struct why unheard = {0};
    int keep[] = {answer, o->keep};
    if (fds_keep(keep, 2, &unheard) == ERR_OK)
        o->run(o->ctx, keep[0], keep[1]);
    _exit(0);
}

void errand_forget(struct errand *e)
{
    if (!e)
        return;
    loop_unwatch(e->watch);
    auto_close(&e->answer);
    free(e);
}

static void on_answer(void *ctx, int fd, uint32_t events)
{
    struct errand *e = ctx;
    struct errand_options o = e->o;
    char answer[ERRAND_ANSWER_MAX];
    (void)events;
    ssize_t n = read(fd, answer, sizeof(answer));
    errand_forget(e);
    o.heard(o.ctx, answer, n > 0 ? (size_t)n : 0);
    explicit_bzero(answer, sizeof(answer));
}

static void auto_errand(struct errand **e)
{
    errand_forget(*e);
}

err_t errand_send(struct loop *l, const struct errand_options *o, struct errand **out,
                  struct why *why)
{
    AUTO(auto_errand) struct errand *e = calloc(1, sizeof(*e));
    int p[2];
    if (!e)
        return fail(why, ERR_INTERNAL, "out of memory");
    e->answer = -1;
    if (pipe2(p, O_CLOEXEC) < 0)
        return fail_errno(why, errno, "cannot start an errand");
    pid_t pid = fork();
    if (pid == 0)
        be_child(o, p[1]);
    close(p[1]);
    e->o = *o;
    e->answer = p[0];
    if (pid < 0)
        return fail_errno(why, errno, "cannot start an errand");
    TRY(loop_watch(l, &(struct loop_source){p[0], EPOLLIN, on_answer, e}, &e->watch, why));
    *out = TAKE(e);
    return ERR_OK;
}
