/*
 * brokerd-api --role=api|admin --fd=N: one worker, started by the supervisor with its end of the
 * line to the vault on descriptor N. Gives up what it does not need before it reads its first byte;
 * opens no file and no socket after that.
 */
#include "api/worker.h"
#include "base/auto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/start.h"

#include <signal.h>
#include <string.h>

enum { FDS_BESIDES = 64 };

struct options {
    const char *role;
    uint32_t from;
    int fd;
};

static const struct {
    const char *name;
    uint32_t from;
} roles[] = {{"api", FROM_API}, {"admin", FROM_ADMIN}};

static bool read_role(const char *text, struct options *o)
{
    for (size_t i = 0; i < COUNT(roles); i++)
        if (strcmp(text, roles[i].name) == 0) {
            o->role = roles[i].name;
            o->from = roles[i].from;
        }
    return o->role != NULL;
}

static MUST err_t read_options(int argc, char **argv, struct options *o, struct why *why)
{
    bool good = true;
    for (int i = 1; good && i < argc; i++) {
        if (strncmp(argv[i], "--role=", 7) == 0)
            good = read_role(argv[i] + 7, o);
        else
            good = strncmp(argv[i], "--fd=", 5) == 0 && start_fd(argv[i] + 5, &o->fd);
    }
    if (!good || !o->role || o->fd < 0)
        return fail(why, ERR_USAGE,
                    "usage: brokerd-api --role=api|admin --fd=N (started by brokerd, not by hand)");
    return ERR_OK;
}

static MUST err_t serve(const struct options *o, struct why *why)
{
    static const struct sandbox_path no_paths[] = {{NULL, false}};
    char report[64] = "";
    struct worker *w = NULL;
    TRY(sandbox_process(why));
    (void)signal(SIGPIPE, SIG_IGN);
    start_descriptors(
        CONN_MAX +
        FDS_BESIDES); /* one a connection: the soft limit is mostly far below the hard one */
    if (o->from == FROM_ADMIN)
        json_wiping_allocators(); /* the providers' parsers use jansson */
    TRY(worker_new(o->from, o->fd, NULL, &w, why));
    err_t e = sandbox_enter(SANDBOX_API, no_paths, report, why);
    if (e == ERR_OK && worker_run(w, report) != 0)
        e = fail(why, ERR_INTERNAL, "the worker gave up");
    worker_free(w);
    return e;
}

int main(int argc, char **argv)
{
    struct options o = {.fd = -1};
    struct why why = {0};
    err_t e = read_options(argc, argv, &o, &why);
    log_open(o.role ? o.role : "api", LOG_LVL_INFO);
    if (e == ERR_OK)
        e = serve(&o, &why);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "worker.failed", "error", err_wire(e), "reason", why.text, NULL);
    return err_exit(e);
}
