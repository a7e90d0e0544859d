/*
 * brokerd-oauth: one request to an identity provider, or one answer of such a one to be read, and it ends. A program of its own,
 * because libcurl and the parsing of a foreign answer have no place in the process that holds keys; short-lived, so that what they
 * keep on the heap goes with it. It is given one refresh token or code and sees no other.
 */
#include "base/auto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "oauth/job.h"
#include "oauth/memory.h"

#include <curl/curl.h>
#include <limits.h>
#include <string.h>

enum { SOCKET_FD = 3 };

/* The directory of broker.yaml: CA files may lie beside it. */
static void beside(int argc, char **argv, char out[PATH_MAX])
{
    for (int i = 1; i < argc; i++) {
        const char *path = strncmp(argv[i], "--config=/", 10) == 0 ? argv[i] + 9 : NULL;
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (slash && slash > path)
            (void)view_copy(VIEW(path, (size_t)(slash - path)), out, PATH_MAX);
    }
}

/* What resolving and verifying read: no store, no log, no socket directory is among it. */
static MUST err_t confine(const char *dir, struct why *why)
{
    const char *file = getenv("SSL_CERT_FILE"), *certs = getenv("SSL_CERT_DIR");
    const struct sandbox_path paths[] = {{"/etc", false},
                                         {"/usr/lib/ssl", false},
                                         {"/usr/share/ca-certificates", false},
                                         {"/usr/local/share/ca-certificates", false},
                                         {"/run/systemd/resolve", false},
                                         {"/run/resolvconf", false},
                                         {"/run/NetworkManager", false},
                                         {"/dev/urandom", false},
                                         {"/dev/null", false},
                                         {dir[0] ? dir : "/etc", false},
                                         {file && file[0] == '/' ? file : "/etc", false},
                                         {certs && certs[0] == '/' ? certs : "/etc", false},
                                         {NULL, false}};
    return sandbox_enter(SANDBOX_OAUTH, paths, NULL, why);
}

static MUST err_t run(int argc, char **argv, struct why *why)
{
    char dir[PATH_MAX] = "";
    TRY(sandbox_process(why));
    json_wiping_allocators();
    TRY(memory_curl_init(why));
    beside(argc, argv, dir);
    TRY(confine(dir, why));
    err_t e = job_serve(SOCKET_FD, why);
    curl_global_cleanup();
    return e;
}

int main(int argc, char **argv)
{
    struct why why = {0};
    log_open("oauth", LOG_LVL_INFO);
    err_t e = run(argc, argv, &why);
    if (e != ERR_OK)
        log_event(LOG_LVL_ERROR, "oauth.failed", "error", err_wire(e), "why", why.text, NULL);
    return err_exit(e);
}
