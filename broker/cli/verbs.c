/*
 * The table of verbs, and what they all do alike: reading their line, saying what failed, writing
 * their answer.
 */
#include "cli/verbs.h"

#include "base/auto.h"
#include "base/jsonw.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

const struct verb verbs[] = {
    {"attenuate", "narrow a token offline", "attenuate [OPTIONS] <TOKEN-ON-STDIN",
     "broker-cli attenuate --ttl 5m --deliver proxy <token >narrower", verb_attenuate, NULL},
    {"audit", "read, export or verify the record of releases",
     "audit tail|show|export|verify [OPTIONS]",
     "broker-cli audit tail --follow\n  broker-cli audit verify --dir log --key auditor.key",
     verb_audit, audit_words},
    {"budget", "what the grants of the proxy have spent and have left",
     "budget [CONSUMER] [OPTIONS]", "broker-cli budget\n  broker-cli budget gateway --json",
     verb_budget, NULL},
    {"consumer", "who may ask: one socket directory each",
     "consumer add|list|show|remove [NAME] [OPTIONS]",
     "broker-cli consumer add gateway --uid 0,1000", verb_consumer, consumer_words},
    {"doctor", "look for what is wrong, with the command that mends it", "doctor [OPTIONS]",
     "broker-cli doctor", verb_doctor, NULL},
    {"enroll", "take a login, an API key or any secret",
     "enroll NAME --provider PROVIDER | --from-home PROGRAM [NAME] [OPTIONS]",
     "broker-cli enroll claude --provider claude --file ~/.claude/.credentials.json\n  broker-cli "
     "enroll key --provider anthropic --from-env ANTHROPIC_API_KEY\n  broker-cli enroll "
     "--from-home "
     "claude",
     verb_enroll, NULL},
    {"exec", "become a program that has its credentials", "exec [OPTIONS] -- COMMAND [ARGUMENTS]",
     "broker-cli exec --profile claude-code -- claude", verb_exec, NULL},
    {"grant", "let a consumer use a credential",
     "grant CONSUMER CREDENTIAL --deliver DELIVERY [OPTIONS]",
     "broker-cli grant gateway claude --deliver access_token,file --ttl 15m", verb_grant, NULL},
    {"helper", "answer git, docker or aws in their own protocol",
     "helper git|docker|aws [OPTIONS] [NAME…] [OPERATION]",
     "git config credential.helper '!broker-cli helper git forge'", verb_helper, NULL},
    {"init", "make the store, with its first key", "init [--key SOURCE] [OPTIONS]",
     "broker-cli init\n  broker-cli init --key passphrase --passphrase-file - <passphrase",
     verb_init, NULL},
    {"keep", "keep a program's own login file fresh after a transfer",
     "keep NAME [--once] [OPTIONS]", "broker-cli keep claude", verb_keep, NULL},
    {"key", "the keys that open the store", "key add|list|remove [OPTIONS]",
     "broker-cli key add passphrase", verb_key, key_words},
    {"lease", "the live leases", "lease list|revoke [OPTIONS]",
     "broker-cli lease list --consumer gateway", verb_lease, lease_words},
    {"list", "the credentials, redacted", "list [OPTIONS]", "broker-cli list", verb_list, NULL},
    {"lock", "forget the keys until unlock", "lock [OPTIONS]", "broker-cli lock", verb_lock, NULL},
    {"login", "log in at a provider; nothing of it is ever on the disk in the clear",
     "login NAME [--provider PROVIDER] [--device | --paste | --client-credentials] [OPTIONS]",
     "broker-cli login claude --provider claude\n  broker-cli login codex --provider codex "
     "--device",
     verb_login, NULL},
    {"metrics", "figures for Prometheus", "metrics [OPTIONS]",
     "broker-cli metrics >/var/lib/node_exporter/credential-broker.prom", verb_metrics, NULL},
    {"refresh", "renew a login now", "refresh NAME [OPTIONS]", "broker-cli refresh claude",
     verb_refresh, NULL},
    {"rekey", "seal everything anew under a fresh master key", "rekey [--yes] [--wait] [OPTIONS]",
     "broker-cli rekey --wait", verb_rekey, NULL},
    {"release", "give a login back into its program's own file", "release NAME [--yes] [OPTIONS]",
     "broker-cli release claude", verb_release, NULL},
    {"reload", "read the configuration anew", "reload [OPTIONS]", "broker-cli reload", verb_reload,
     NULL},
    {"remove", "remove a credential for good", "remove NAME [--yes] [OPTIONS]",
     "broker-cli remove claude", verb_remove, NULL},
    {"replace", "put a new login in the place of an old one", "replace NAME [OPTIONS]",
     "broker-cli replace claude --file ~/.claude/.credentials.json", verb_replace, NULL},
    {"revoke", "end leases at once", "revoke LEASE | --consumer NAME | --credential NAME | --all",
     "broker-cli revoke --consumer gateway\n  broker-cli revoke --all --yes", verb_revoke, NULL},
    {"revoke-grant", "take a grant back; its leases end",
     "revoke-grant CONSUMER CREDENTIAL [OPTIONS]", "broker-cli revoke-grant gateway claude",
     verb_revoke_grant, NULL},
    {"show", "one credential, redacted", "show NAME [OPTIONS]", "broker-cli show claude", verb_show,
     NULL},
    {"status", "one look at everything", "status [OPTIONS]",
     "broker-cli status\n  broker-cli status --follow\n  broker-cli status --json | jq "
     ".audit.health",
     verb_status, NULL},
    {"store", "accept a store that is older than its log", "store accept [--yes] [OPTIONS]",
     "broker-cli store accept", verb_store, NULL},
    {"token", "print the short-lived value of a credential", "token NAME [OPTIONS]",
     "broker-cli token claude --deliver access_token", verb_token, NULL},
    {"unlock", "open the store", "unlock [--key SOURCE] [OPTIONS]",
     "broker-cli unlock\n  broker-cli unlock --passphrase-file - <passphrase", verb_unlock, NULL},
    {.name = NULL},
};

static const struct verb *find_in(const struct verb *table, const char *name, size_t n)
{
    for (const struct verb *v = table; v->name; v++)
        if (strlen(v->name) == n && memcmp(v->name, name, n) == 0)
            return v;
    return NULL;
}

const struct verb *verb_find(const char *name)
{
    size_t n = strcspn(name, " ");
    const struct verb *v = find_in(verbs, name, n);
    return !v || name[n] == '\0' ? v : v->words ? find_in(v->words, name, strlen(name)) : NULL;
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
    (void)printf("Usage: broker-cli %s\n\n%c%s.\n\n", v->usage,
                 toupper((unsigned char)v->summary[0]), v->summary + 1);
    options_help(o, stdout);
    (void)printf("\nExamples:\n  %s\n", v->example);
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
