/*
 * brokerd: picks the role, nothing else. Without --role it is the supervisor, which starts this
 * same program for the vault, the audit writer and the key derivation helper. Each role gives up
 * its rights before it reads its first byte of input.
 */
#include "base/auto.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "keysource/keysources.h"
#include "supervisor/supervisor.h"
#include "vault/sink.h"
#include "vault/vault.h"

#include <string.h>

enum { KDF_POOL = 64 * 1024 };

static int give_up(err_t e, const struct why *why)
{
    log_event(LOG_LVL_ERROR, "start.failed", "why", why->text[0] ? why->text : err_text(e), NULL);
    return err_exit(e);
}

static int run_supervisor(const struct options *o)
{
    return supervisor_main(o, spawn_roles);
}

static int run_vault(const struct options *o)
{
    const struct vault_dirs dirs = {
        .state = o->state, .run = o->run, .config = o->config, .system = o->system};
    return vault_main(o->fd, &dirs);
}

static MUST err_t enter_audit(const struct options *o, int *dirfd, struct why *why)
{
    char log[OPTIONS_PATH + 8];
    const struct file_dir own = {.forbidden = 0077};
    (void)snprintf(log, sizeof(log), "%s/log", o->state);
    const struct sandbox_path paths[] = {{log, true}, {NULL, false}};
    TRY(sandbox_process(why));
    TRY(file_open_dir(log, &own, dirfd, why));
    return sandbox_enter(SANDBOX_AUDIT, paths, NULL, why);
}

static int run_audit(const struct options *o)
{
    AUTO(auto_close) int dirfd = -1;
    struct why why = {0};
    err_t e = enter_audit(o, &dirfd, &why);
    return e == ERR_OK ? sink_writer_main(o->fd, dirfd) : give_up(e, &why);
}

static MUST err_t enter_kdf(struct why *why)
{
    static const struct sandbox_path no_files[] = {{NULL, false}};
    TRY(sandbox_process(why));
    TRY(secret_pool_open(KDF_POOL, why));
    return sandbox_enter(SANDBOX_KDF, no_files, NULL, why);
}

static int run_kdf(const struct options *o)
{
    static const struct keysource *const table[] = {&keysource_passphrase, NULL};
    struct why why = {0};
    err_t e = enter_kdf(&why);
    int code = e == ERR_OK ? keysource_serve(o->fd, table) : give_up(e, &why);
    secret_pool_close();
    return code;
}

static const struct {
    const char *name;
    int (*run)(const struct options *o);
    bool socket; /* started by the supervisor, with a socket to its peer */
} roles[] = {
    {"", run_supervisor, false},
    {"vault", run_vault, true},
    {"audit", run_audit, true},
    {"kdf", run_kdf, true},
};

static int run_role(const struct options *o)
{
    log_open(*o->role ? o->role : "supervisor", o->log_level);
    for (size_t i = 0; i < COUNT(roles); i++)
        if (strcmp(roles[i].name, o->role) == 0 && roles[i].socket == (o->fd >= 0))
            return roles[i].run(o);
    (void)fprintf(stderr, "brokerd: --role and --fd are for brokerd's own use\n");
    return err_exit(ERR_USAGE);
}

int main(int argc, char **argv)
{
    struct options o;
    struct why why = {0};
    err_t e = options_read(argc, argv, geteuid(), &o, &why);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "brokerd: %s\n", why.text);
        return err_exit(e);
    }
    if (o.help)
        options_help(stdout);
    if (o.version)
        (void)printf("brokerd %s\n", BROKER_VERSION);
    return o.help || o.version ? 0 : run_role(&o);
}
