/*
 * brokerd-proxy --role=proxy --fd=N: one worker of the data plane, started by the supervisor with its end of the line to the vault on
 * descriptor N. Gives up what it does not need before it reads its first byte; opens no file after that but the ones that
 * resolving and verifying need.
 */
#include "base/auto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/start.h"
#include "proxy/proxy.h"
#include <broker/secret.h>

#include <signal.h>
#include <string.h>

enum { FDS_BESIDES = 256, ROLE_MAX = 16 };

struct options {
    const char *role;
    const char *config; /* path of broker.yaml: CA files may lie beside it; NULL: none do */
    int fd;
};

static MUST err_t read_options(int argc, char **argv, struct options *o, struct why *why)
{
    bool good = true;
    for (int i = 1; good && i < argc; i++) {
        if (strncmp(argv[i], "--role=proxy", 12) == 0 && strlen(argv[i]) < ROLE_MAX)
            o->role = argv[i] + 7;
        else if (strncmp(argv[i], "--config=/", 10) == 0)
            o->config = argv[i] + 9;
        else
            good = strncmp(argv[i], "--fd=", 5) == 0 && start_fd(argv[i] + 5, &o->fd);
    }
    if (!good || !o->role || o->fd < 0)
        return fail(
            why, ERR_USAGE,
            "usage: brokerd-proxy --role=proxy --fd=N [--config=PATH] (started by brokerd, not "
            "by hand)");
    return ERR_OK;
}

static MUST err_t serve(const struct options *o, struct why *why)
{
    char report[64] = "";
    struct proxy *p = NULL;
    TRY(sandbox_process(why));
    (void)signal(SIGPIPE, SIG_IGN);
    start_descriptors(2 * PROXY_CONNS +
                      FDS_BESIDES); /* of a connection: the client's and the upstream's */
    TRY(secret_pool_open(PROXY_SECRETS, why));
    TRY(proxy_new(o->fd, NULL, &p, why));
    err_t e = start_outwards(SANDBOX_PROXY, o->config, report, why);
    if (e == ERR_OK && proxy_run(p, report) != 0)
        e = fail(why, ERR_INTERNAL, "the worker gave up");
    proxy_free(p);
    secret_pool_close();
    return e;
}

int main(int argc, char **argv)
{
    struct options o = {.fd = -1};
    struct why why = {0};
    err_t e = read_options(argc, argv, &o, &why);
    log_open(o.role ? o.role : "proxy", LOG_LVL_INFO);
    if (e == ERR_OK)
        e = serve(&o, &why);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "worker.failed", "error", err_wire(e), "reason", why.text, NULL);
    return err_exit(e);
}
