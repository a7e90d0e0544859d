/*
 * docker's credential helper (docker/docker-credential-helpers): `get` reads a server's address and
 * answers in JSON; errors too are read from standard output, and the sentence below is the one that
 * docker takes for "ask for none". `store` and `erase` are refused: what the broker holds is
 * managed with the broker.
 */
#include "base/auto.h"
#include "base/jsonw.h"
#include "cli/helper.h"

#include <string.h>

enum { DOCKER_GRANTS = 256, DOCKER_SERVER_MAX = 600 };
static const char not_found[] = "credentials not found in native keychain";

/* The address without white space around it: "https://index.docker.io/v1/", "ghcr.io",
 * "registry.example:5000". */
static MUST err_t read_server(char out[DOCKER_SERVER_MAX], struct origin *origin, struct why *why)
{
    AUTO(buf_free) struct buf input = {0};
    TRY(helper_input(false, &input, why));
    const char *text = buf_text(&input);
    if (!text)
        return buf_ok(&input, why);
    text += strspn(text, " \t\r\n");
    size_t n = strcspn(text, " \t\r\n");
    if (n == 0 || n >= DOCKER_SERVER_MAX || text[n + strspn(text + n, " \t\r\n")] != '\0')
        return fail(why, ERR_INVALID, "docker names no server");
    memcpy(out, text, n);
    out[n] = '\0';
    if (!origin_read(strstr(out, "://") ? NULL : "https", out, origin))
        return fail(why, ERR_INVALID, "docker's server is no address");
    return ERR_OK;
}

static MUST err_t get(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    AUTO(broker_lease_free) struct broker_lease lease = {0};
    char server[DOCKER_SERVER_MAX];
    struct origin origin;
    struct jsonw w = jsonw_to(out);
    TRY(read_server(server, &origin, why));
    TRY(helper_lease(ask, &origin, &lease, why));
    if (!lease.username)
        return fail(why, ERR_INVALID,
                    "docker wants a user name with %.64s: enroll it with --username",
                    lease.credential);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "ServerURL", server);
    jsonw_str(&w, "Username", lease.username);
    jsonw_str(&w, "Secret", lease.secret);
    jsonw_close(&w, '}');
    return ERR_OK;
}

static bool is_named(const struct helper_ask *ask, const char *credential)
{
    for (size_t i = 0; i < ask->n_names; i++)
        if (strcmp(ask->name[i], credential) == 0)
            return true;
    return ask->n_names == 0;
}

/* An origin, and as it is a JSON key too. */
static bool is_key(const char *origin)
{
    struct origin ignored;
    for (const char *p = origin; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\\')
            return false;
    return origin_read(NULL, origin, &ignored);
}

static void print_grants(const struct helper_ask *ask, const struct broker_grant *grant, size_t n,
                         struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    jsonw_open(&w, NULL, '{');
    for (size_t i = 0; i < n && i < DOCKER_GRANTS; i++)
        if (is_key(grant[i].origin) && is_named(ask, grant[i].credential) &&
            broker_grant_delivers(&grant[i], "helper"))
            jsonw_str(&w, grant[i].origin, grant[i].username);
    jsonw_close(&w, '}');
}

/* Servers that the grants say they are for. Nothing is released. */
static MUST err_t list(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    struct broker_client *c;
    size_t n = 0;
    TRY(broker_connect(ask->options->common.socket, 0, &c, why));
    struct broker_grant *grant = calloc(DOCKER_GRANTS, sizeof(*grant));
    err_t e = fail(why, ERR_INTERNAL, "out of memory");
    if (grant)
        e = broker_grants(c, grant, DOCKER_GRANTS, &n, why);
    if (e == ERR_OK)
        print_grants(ask, grant, n, out);
    free(grant);
    broker_close(c);
    return e;
}

static MUST err_t refuse(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf input = {0};
    (void)out;
    TRY(helper_input(false, &input, why));
    return fail(why, ERR_CONFLICT,
                "docker cannot %s here: what the broker holds is changed with broker-cli",
                ask->operation);
}

static const struct {
    const char *name;
    helper_run *run;
} operations[] = {{"get", get}, {"list", list}, {"store", refuse}, {"erase", refuse}};

err_t helper_docker(const struct helper_ask *ask, struct buf *out, struct why *why)
{
    err_t e =
        fail(why, ERR_USAGE, "docker's operations are get, list, store and erase, not \"%.40s\"",
             ask->operation);
    for (size_t i = 0; i < COUNT(operations); i++)
        if (strcmp(operations[i].name, ask->operation) == 0)
            e = operations[i].run(ask, out, why);
    if (e != ERR_OK) {
        buf_reset(out);
        buf_add_str(out, e == ERR_NOT_FOUND ? not_found : why->text);
        buf_add_str(out, "\n");
    }
    return e;
}
