/*
 * What the operator's verbs share: the admin socket, JSON answers, questions to a person, and columns.
 */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "base/json.h"
#include "base/jsonw.h"
#include "cli/verbs.h"

enum { ADMIN_PATH_MAX = 512 };
/* `--socket`, else the admin socket at its usual place for this user. ERR_NO_BROKER says how to start one. */
MUST err_t admin_connect(const struct verb_common *common, struct broker_client **out, struct why *why);
/* The directory that the usual sockets lie in. */
MUST err_t admin_run_dir(char out[ADMIN_PATH_MAX], struct why *why);

/* One exchange on a connection of its own; an answer of 400 and over is its error. `body` NULL: none. *text is the answer as it came
 * (the caller buf_free()s it: it may hold no secret, but is wiped all the same). */
MUST err_t admin_call(const struct verb_common *common, const char *method, const char *path,
                      const struct buf *body, struct buf *text, struct why *why);
/* As admin_call, and the answer as a tree the caller json_decref()s; with --json it is printed and *out is NULL. */
MUST err_t admin_ask(const struct verb_common *common, const char *method, const char *path,
                     const struct buf *body, json_t **out, struct why *why);

/* Members of an answer, forgiving: "" and 0 when absent. */
const char *text_of(const json_t *obj, const char *key);
int64_t int_of(const json_t *obj, const char *key);
/* "2026-11-21 22:08" in local time, or "-" for 0; `out` has room for 32. */
const char *when_of(const json_t *obj, const char *key, char out[32]);
/* "access_token,file" from an array of strings; `out` has room. */
const char *list_of(const json_t *obj, const char *key, char *out, size_t room);

/* Asks on the terminal; without one ERR_USAGE that names `--yes`. ERR_OK: yes; ERR_DENIED: no. */
MUST err_t ask_yes(bool yes, const char *question, struct why *why);
/* A passphrase: the first line of `file` ("-": standard input) when given, else typed without echo (`twice`: and again). */
MUST err_t ask_passphrase(const char *file, bool twice, struct buf *out, struct why *why);
/* Appends the word to a path with everything but [A-Za-z0-9._-] refused: names go into URLs as they are. */
MUST err_t path_add(struct buf *path, const char *word, const char *what, struct why *why);
/* Is standard output a terminal that wants colour? (NO_COLOR is honoured.) */
bool colour_wanted(void);

/* A verb of verbs: "key add". Picks by the first operand word, argv moved on by one. */
struct subverb {
    const char *name;
    int (*run)(int argc, char **argv);
};
int subverb_run(const struct subverb *table, const char *usage, int argc, char **argv);

#endif
