/*
 * The table of verbs, and what they all do alike: reading their line, saying what failed, writing their answer.
 */
#include "cli/verbs.h"

#include "base/auto.h"
#include "base/jsonw.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

const struct verb verbs[] = {
    {"attenuate", "narrow a token offline", "attenuate [OPTIONS] <TOKEN-ON-STDIN", verb_attenuate},
    {"audit", "read, export or verify the record of releases", "audit tail|show|export|verify [OPTIONS]", verb_audit},
    {"consumer", "who may ask: one socket directory each", "consumer add|list|show|remove [NAME] [OPTIONS]", verb_consumer},
    {"doctor", "look for what is wrong, with the command that mends it", "doctor [OPTIONS]", verb_doctor},
    {"enroll", "take a login, an API key or any secret", "enroll NAME --provider PROVIDER [OPTIONS]", verb_enroll},
    {"exec", "become a program that has its credentials", "exec [OPTIONS] -- COMMAND [ARGUMENTS]", verb_exec},
    {"grant", "let a consumer use a credential", "grant CONSUMER CREDENTIAL --deliver DELIVERY [OPTIONS]", verb_grant},
    {"helper", "answer git, docker or aws in their own protocol", "helper git|docker|aws [OPTIONS] [NAME…] [OPERATION]", verb_helper},
    {"init", "make the store, with its first key", "init [--key SOURCE] [OPTIONS]", verb_init},
    {"key", "the keys that open the store", "key add|list|remove [OPTIONS]", verb_key},
    {"lease", "the live leases", "lease list|revoke [OPTIONS]", verb_lease},
    {"list", "the credentials, redacted", "list [OPTIONS]", verb_list},
    {"lock", "forget the keys until unlock", "lock [OPTIONS]", verb_lock},
    {"metrics", "figures for Prometheus", "metrics [OPTIONS]", verb_metrics},
    {"rekey", "seal everything anew under a fresh master key", "rekey [--yes] [OPTIONS]", verb_rekey},
    {"reload", "read the configuration anew", "reload [OPTIONS]", verb_reload},
    {"remove", "remove a credential for good", "remove NAME [--yes] [OPTIONS]", verb_remove},
    {"replace", "put a new login in the place of an old one", "replace NAME [OPTIONS]", verb_replace},
    {"revoke", "end leases at once", "revoke LEASE | --consumer NAME | --credential NAME | --all", verb_revoke},
    {"revoke-grant", "take a grant back; its leases end", "revoke-grant CONSUMER CREDENTIAL [OPTIONS]", verb_revoke_grant},
    {"show", "one credential, redacted", "show NAME [OPTIONS]", verb_show},
    {"status", "one look at everything", "status [OPTIONS]", verb_status},
    {"store", "accept a store that is older than its log", "store accept [--yes] [OPTIONS]", verb_store},
    {"token", "print the short-lived value of a credential", "token NAME [OPTIONS]", verb_token},
    {"unlock", "open the store", "unlock [--key SOURCE] [OPTIONS]", verb_unlock},
    {.name = NULL},
};

const struct verb *verb_find(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

const struct verb *verb_meant(const char *name)
{
    size_t n = strlen(name);
    for (const struct verb *v = verbs; v->name; v++)
        if (options_near(name, v->name) || (n > 1 && strncmp(v->name, name, n) == 0))
            return v;
    return NULL;
}

static void print_help(const struct verb *v, const struct options *o)
{
    (void)printf("Usage: broker-cli %s\n\n%s.\n\n", v->usage, v->summary);
    options_help(o, stdout);
}

int verb_begin(const struct options *o, char **argv, void *into, const struct verb_common *common,
               struct operands *rest)
{
    struct why why = {0};
    const struct verb *v = verb_find(argv[0]);
    err_t e = options_parse(o, argv, into, rest, &why);
    if (e != ERR_OK)
        return verb_end(argv[0], common, e, &why);
    if (!common->help || !v)
        return VERB_GO_ON;
    print_help(v, o);
    return fflush(stdout) == 0 ? 0 : err_exit(ERR_IO);
}

int verb_end(const char *name, const struct verb_common *common, err_t e, const struct why *why)
{
    const char *text = why->text[0] ? why->text : err_text(e);
    AUTO(buf_free) struct buf out = {0};
    struct jsonw w = jsonw_to(&out);
    if (e == ERR_OK)
        return 0;
    (void)fprintf(stderr, "broker-cli %s: %s\n", name, text);
    if (!common->json)
        return err_exit(e);
    jsonw_open(&w, NULL, '{');
    jsonw_str(&w, "error", err_wire(e));
    jsonw_str(&w, "message", text);
    jsonw_close(&w, '}');
    if (buf_text(&out))
        (void)puts(buf_text(&out));
    return err_exit(e);
}

err_t verb_write(const struct buf *out, struct why *why)
{
    TRY(buf_ok(out, why));
    for (size_t at = 0; at < out->len;) {
        ssize_t n = write(STDOUT_FILENO, out->p + at, out->len - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return fail_errno(why, n == 0 ? EIO : errno, "cannot write the answer");
    }
    return ERR_OK;
}
