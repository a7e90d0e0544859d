/* A loop, a sink, an audit writer in a child process and a temporary directory: what the tests of sink and audit stand on. */
#ifndef TESTS_SINK_RIG_H
#define TESTS_SINK_RIG_H

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "check.h"
#include "vault/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct rig {
    char dir[64];
    int dirfd;
    struct loop *loop;
    struct sink *sink;
    pid_t writer;
    int progress;
    struct loop_timer *tick;
    bool (*until)(struct rig *);
    int64_t give_up;
    uint64_t pos;
    uint64_t fsize;   /* soft RLIMIT_FSIZE of the writer; 0: none */
    struct why why;
};

static inline void rig_on_progress(void *ctx)
{
    struct rig *r = ctx;
    r->progress++;
    if (r->until && r->until(r))
        loop_stop(r->loop, 0);
}

static inline void rig_on_tick(void *ctx)
{
    struct rig *r = ctx;
    if (r->until(r))
        loop_stop(r->loop, 0);
    else if (clock_boot_ms() > r->give_up)
        loop_stop(r->loop, 1);
    else
        (void)!loop_timer_set(r->tick, clock_boot_ms() + 5);
}

/* Runs the loop until the condition holds; false after `ms`. */
static inline bool rig_until(struct rig *r, bool (*until)(struct rig *), int ms)
{
    if (until(r))
        return true;
    r->until = until;
    r->give_up = clock_boot_ms() + ms;
    CHECK_INT(loop_timer_set(r->tick, clock_boot_ms() + 1), ERR_OK);
    int code = loop_run(r->loop);
    loop_timer_cancel(r->tick);
    r->until = NULL;
    return code == 0;
}

static inline bool rig_is_durable(struct rig *r)
{
    return sink_durable(r->sink) >= r->pos;
}
static inline bool rig_is_written(struct rig *r)
{
    return sink_written(r->sink) >= r->pos;
}
static inline bool rig_is_sick(struct rig *r)
{
    return sink_health(r->sink, &r->why) != ERR_OK;
}
static inline bool rig_is_well(struct rig *r)
{
    return sink_health(r->sink, &r->why) == ERR_OK;
}

static inline pid_t rig_fork_writer(struct rig *r, int sock, int other)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(other);
        if (r->fsize)
            (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){r->fsize, RLIM_INFINITY});
        for (int fd = 3; fd < 256; fd++) /* as after an exec: nothing of the vault's is open here */
            if (fd != sock && fd != r->dirfd)
                close(fd);
        _exit(sink_writer_main(sock, r->dirfd));
    }
    return pid;
}

/* Starts the sink's first writer, or the next one. */
static inline void rig_start_writer(struct rig *r)
{
    int pair[2];
    CHECK_OK(ipc_pair(pair, &r->why), r->why);
    r->writer = rig_fork_writer(r, pair[1], pair[0]);
    CHECK(r->writer > 0);
    close(pair[1]);
    if (r->sink)
        CHECK_OK(sink_reattach(r->sink, pair[0], &r->why), r->why);
    else
        CHECK_OK(sink_new(r->loop, pair[0], rig_on_progress, r, &r->sink, &r->why), r->why);
}

static inline void rig_begin(struct rig *r, const char *dir)
{
    *r = (struct rig){.dirfd = -1};
    if (dir) {
        (void)snprintf(r->dir, sizeof(r->dir), "%s", dir);
    } else {
        (void)snprintf(r->dir, sizeof(r->dir), "/tmp/sink-test-XXXXXX");
        CHECK(mkdtemp(r->dir));
    }
    r->dirfd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(r->dirfd >= 0);
    CHECK_OK(loop_new(&r->loop, &r->why), r->why);
    CHECK_INT(loop_timer_new(r->loop, rig_on_tick, r, &r->tick), ERR_OK);
}

/* The vault ends; the exit code of its writer. */
static inline int rig_end_vault(struct rig *r)
{
    int status = -1;
    sink_free(TAKE(r->sink));
    if (r->writer > 0)
        (void)waitpid(r->writer, &status, 0);
    r->writer = 0;
    return status;
}

static inline void rig_kill_writer(struct rig *r)
{
    (void)kill(r->writer, SIGKILL);
    (void)waitpid(r->writer, NULL, 0);
    r->writer = 0;
}

static inline void rig_remove(const char *dir)
{
    CHECK(strncmp(dir, "/tmp/sink-test-", 15) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

static inline void rig_end(struct rig *r)
{
    (void)rig_end_vault(r);
    loop_timer_free(r->tick);
    loop_free(r->loop);
    close(r->dirfd);
    rig_remove(r->dir);
}

static inline void rig_append(struct rig *r, enum sink_stream stream, const char *text)
{
    CHECK_OK(sink_append(r->sink, stream, view_str(text), &r->pos, &r->why), r->why);
}

/* The whole of one file; caller frees. */
static inline struct buf rig_read(struct rig *r, const char *name)
{
    struct buf b = {.max = 64 << 20};
    CHECK_OK(file_read_at(r->dirfd, name, 64 << 20, &b, &r->why), r->why);
    return b;
}

static inline void rig_check_file(struct rig *r, const char *name, const char *text)
{
    AUTO(buf_free) struct buf b = rig_read(r, name);
    CHECK_STR(buf_text(&b), text);
}

#endif
