/*
 * brokerd-oauth: one request to an identity provider, or one answer of such a one to be read, and it ends. A program of its own,
 * because libcurl and the parsing of a foreign answer have no place in the process that holds keys; short-lived, so that what they
 * keep on the heap goes with it. It is given one refresh token or code and sees no other.
 */
#include "base/auto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/start.h"
#include "oauth/job.h"
#include "oauth/memory.h"

#include <curl/curl.h>
#include <string.h>

enum { SOCKET_FD = 3 };

/* The path of broker.yaml, as the supervisor told; NULL. */
static const char *config_of(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--config=/", 10) == 0)
            return argv[i] + 9;
    return NULL;
}

static MUST err_t run(int argc, char **argv, struct why *why)
{
    TRY(sandbox_process(why));
    json_wiping_allocators();
    TRY(memory_curl_init(why));
    TRY(start_outwards(SANDBOX_OAUTH, config_of(argc, argv), NULL, why));
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
