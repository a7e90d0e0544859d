/*
 * What the operator's verbs share: the admin socket, JSON answers, lists in pages, and verbs of
 * verbs.
 */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "base/json.h"
#include "base/jsonw.h"
#include "cli/show.h"
#include "cli/verbs.h"

/* One exchange on a connection of its own: on `--socket`, else on the admin socket at its usual
 * place for this user; an answer of 400 and over is its error. ERR_NO_BROKER says how to start one,
 * ERR_DENIED how to be let in. `body` NULL: none. *text is the answer as it came (the caller
 * buf_free()s it: it may hold no secret, but is wiped all the same). */
MUST err_t admin_call(const struct verb_common *common, const char *method, const char *path,
                      const struct buf *body, struct buf *text, struct why *why);
/* As admin_call, and the answer as a tree the caller json_decref()s, cleaned for a terminal.
 * ERR_INVALID: it is no object. */
MUST err_t admin_get(const struct verb_common *common, const char *path, json_t **out,
                     struct why *why);
/* As admin_call, and the answer as such a tree; with --json it is printed as it came, and *out is
 * NULL. */
MUST err_t admin_ask(const struct verb_common *common, const char *method, const char *path,
                     const struct buf *body, json_t **out, struct why *why);

/* A list that comes in pages. */
struct admin_list {
    const char *path;   /* "/v1/leases?consumer=x" */
    const char *member; /* the array's: "leases" */
    const char *next;   /* where the next page begins, null at the end: "cursor" */
    const char *query;  /* what asks for it: "cursor" */
};
/* All pages as one array; with --json they are printed as one object, and *out is NULL. */
MUST err_t admin_pages(const struct verb_common *common, const struct admin_list *list,
                       json_t **out, struct why *why);

/* Appends the word to a path with everything but [A-Za-z0-9._-] refused: names go into URLs as they
 * are. */
MUST err_t path_add(struct buf *path, const char *word, const char *what, struct why *why);
/* The comma list of deliveries a user may have mistyped. ERR_USAGE names the known ones. */
MUST err_t check_deliveries(const struct option_list *given, struct why *why);
MUST err_t no_operands(const struct operands *rest, struct why *why);
/* Of a verb of verbs: runs the one that argv[1] names. */
int subverb_run(int argc, char **argv);

#endif
