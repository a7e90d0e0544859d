/*
 * The command line as a table: one row per option says its name, what it takes, where that goes and
 * what it is for; the parser, the error sentences and the help text all come from the rows. Long
 * options only (`--ttl 15m`, `--ttl=15m`; -h is --help); `--` ends them. Needs libc only:
 * broker-exec uses it too.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <broker/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char *: not empty */
    OPTION_NUMBER, /* uint64_t */
    OPTION_TIME, /* int64_t milliseconds: "250ms" "90s" "15m" "8h" "7d", or a bare number of seconds
                  */
    OPTION_LIST  /* struct option_list: may be given again */
};
enum { OPTION_LIST_MAX = 32, OPTION_ROWS_MAX = 64 };
struct option_list {
    const char *item[OPTION_LIST_MAX];
    size_t n;
};

struct option_row {
    const char *name; /* without the dashes */
    enum option_kind kind;
    size_t at;         /* offsetof into the structure that options_parse fills */
    const char *value; /* what it takes, in capitals: "TIME"; NULL for a flag */
    const char *help;
};
struct options {
    const struct option_row *rows;
    size_t n;
    bool operand_ends; /* the first operand ends the options: what follows belongs to another
                          program */
};
struct operands {
    char **at; /* n of them, then NULL */
    size_t n;
};

/* Reads argv[1..] (NULL-terminated) into `into`, which an error leaves half filled. Operands are
 * moved together inside argv. ERR_USAGE says what was expected. */
MUST err_t options_parse(const struct options *o, char **argv, void *into, struct operands *rest,
                         struct why *why);
/* One line per row. */
void options_help(const struct options *o, FILE *out);

/* ERR_USAGE when it is no time, or over 3650 days. */
MUST err_t options_time(const char *text, int64_t *ms, struct why *why);
/* Does `word` read like a slip of `name`? For "did you mean". */
bool options_near(const char *word, const char *name);

#endif
