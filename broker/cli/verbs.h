/*
 * The verbs of broker-cli. Adding one: its file with `int verb_NAME(int argc, char **argv)`, a line
 * in the list below and a row in verbs.c.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "base/buf.h"
#include "base/options.h"

#include <broker/client.h>

struct verb {
    const char *name;                  /* one word, or two: "key add" */
    const char *summary;               /* for the list of verbs: one line, no full stop */
    const char *usage;                 /* behind "broker-cli ": "token NAME [OPTIONS]" */
    const char *example;               /* a line or two of what is typed */
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit status */
    const struct verb
        *words; /* of a verb of verbs: its second words, ends with a NULL name; else NULL */
};
extern const struct verb verbs[]; /* sorted by name, ends with a NULL name */
extern const struct verb audit_words[], consumer_words[], key_words[], lease_words[];
const struct verb *verb_find(const char *name);  /* "key", "key add" */
const struct verb *verb_meant(const char *name); /* what a slip may stand for; NULL */

int verb_attenuate(int argc, char **argv);
int verb_audit(int argc, char **argv);
int verb_budget(int argc, char **argv);
int verb_consumer(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_enroll(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_grant(int argc, char **argv);
int verb_helper(int argc, char **argv);
int verb_init(int argc, char **argv);
int verb_keep(int argc, char **argv);
int verb_key(int argc, char **argv);
int verb_lease(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_lock(int argc, char **argv);
int verb_login(int argc, char **argv);
int verb_metrics(int argc, char **argv);
int verb_refresh(int argc, char **argv);
int verb_rekey(int argc, char **argv);
int verb_release(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_remove(int argc, char **argv);
int verb_replace(int argc, char **argv);
int verb_revoke(int argc, char **argv);
int verb_revoke_grant(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_store(int argc, char **argv);
int verb_token(int argc, char **argv);
int verb_unlock(int argc, char **argv);

/* What every verb understands. It is a member `common` of the verb's own structure of options. */
struct verb_common {
    const char *socket;
    bool json, help;
};
#define VERB_ROWS_PLAIN(type)                                                                      \
    {"socket", OPTION_TEXT, offsetof(type, common.socket), "PATH",                                 \
     "the broker's socket, or its directory"},                                                     \
    {                                                                                              \
        "help", OPTION_FLAG, offsetof(type, common.help), NULL, "show this"                        \
    }
#define VERB_ROWS(type)                                                                            \
    VERB_ROWS_PLAIN(type),                                                                         \
    {                                                                                              \
        "json", OPTION_FLAG, offsetof(type, common.json), NULL, "print JSON"                       \
    }

enum { VERB_GO_ON = -1 };
/* Reads the line of a verb (argv[0] is its name). VERB_GO_ON; else the exit status, when help was
 * asked for and printed, or the line is not usable and that was said. */
int verb_begin(const struct options *o, char **argv, void *into, const struct verb_common *common,
               struct operands *rest);
/* Says what failed on standard error ("broker-cli NAME: sentence"), with --json also as
 * {"error","message"} on standard output; the exit status. ERR_OK gives 0 and says nothing. */
int verb_end(const char *name, const struct verb_common *common, err_t e, const struct why *why);
/* Writes all of it to standard output, past stdio: nothing of a secret stays in a buffer there. */
MUST err_t verb_write(const struct buf *out, struct why *why);

#endif
