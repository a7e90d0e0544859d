/*
 * Reads a command line by its table. Values that were given are echoed in errors only where they
 * cannot be a secret (times, numbers and names of options). Each kind of value is one function in
 * one table, so a new kind is a row too.
 */
#include "base/options.h"

#include "base/auto.h"

#include <limits.h>
#include <string.h>

/* ---- values */

static MUST err_t set_text(const struct option_row *row, const char *value, void *slot,
                           struct why *why)
{
    if (!value[0])
        return fail(why, ERR_USAGE, "--%s wants %s, and nothing was given", row->name, row->value);
    *(const char **)slot = value;
    return ERR_OK;
}

static MUST err_t set_number(const struct option_row *row, const char *value, void *slot,
                             struct why *why)
{
    uint64_t n = 0;
    size_t digits = strspn(value, "0123456789");
    bool good = digits > 0 && value[digits] == '\0';
    for (const char *p = value; good && *p; p++)
        good = !__builtin_mul_overflow(n, 10u, &n) &&
               !__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    if (!good)
        return fail(why, ERR_USAGE, "--%s wants a whole number, not \"%.40s\"", row->name, value);
    *(uint64_t *)slot = n;
    return ERR_OK;
}

err_t options_time(const char *text, int64_t *ms, struct why *why)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t most = INT64_C(3650) * 86400000;
    size_t digits = strspn(text, "0123456789");
    int64_t n = 0;
    if (digits > 0 && digits <= 12)
        for (size_t i = 0; i < digits; i++)
            n = n * 10 + (text[i] - '0');
    for (size_t i = 0; digits > 0 && digits <= 12 && i < COUNT(units); i++)
        if (strcmp(text + digits, units[i].name) == 0 && n <= most / units[i].ms) {
            *ms = n * units[i].ms;
            return ERR_OK;
        }
    return fail(why, ERR_USAGE, "a time like 250ms, 90s, 15m, 8h or 7d was expected, not \"%.40s\"",
                text);
}

static MUST err_t set_time(const struct option_row *row, const char *value, void *slot,
                           struct why *why)
{
    struct why detail = {0};
    if (options_time(value, slot, &detail) == ERR_OK)
        return ERR_OK;
    return fail(why, ERR_USAGE, "--%s: %s", row->name, detail.text);
}

static MUST err_t set_list(const struct option_row *row, const char *value, void *slot,
                           struct why *why)
{
    struct option_list *list = slot;
    if (list->n == OPTION_LIST_MAX)
        return fail(why, ERR_USAGE, "--%s can be given %d times at most", row->name,
                    OPTION_LIST_MAX);
    TRY(set_text(row, value, &list->item[list->n], why));
    list->n++;
    return ERR_OK;
}

static err_t (*const set_value[])(const struct option_row *row, const char *value, void *slot,
                                  struct why *why) = {
    [OPTION_TEXT] = set_text,
    [OPTION_NUMBER] = set_number,
    [OPTION_TIME] = set_time,
    [OPTION_LIST] = set_list,
};

/* ---- "did you mean" */

enum { NEAR_ROOM = 32, NEAR_SLIPS = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance (Wagner and Fischer), one row at a time; both are shorter than NEAR_ROOM. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_ROOM + 1], lb = strlen(b);
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(swap, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[lb];
}

bool options_near(const char *word, const char *name)
{
    size_t n = strlen(word), most = n > 4 ? NEAR_SLIPS : 1;
    if (n < 2 || n >= NEAR_ROOM || strlen(name) >= NEAR_ROOM)
        return false;
    return distance(word, name) <= most;
}

/* ---- the line */

struct parse {
    const struct options *o;
    void *into;
    char **argv;
    size_t at;               /* next argument to read */
    uint64_t seen;           /* bit per row */
    bool ended;              /* only operands from here on */
    struct operands operand; /* so far; they never outrun `at` */
};

static MUST err_t unknown(const struct options *o, const char *name, size_t n, struct why *why)
{
    char word[NEAR_ROOM];
    (void)snprintf(word, sizeof(word), "%.*s", (int)least(n, sizeof(word)), name);
    for (size_t i = 0; i < o->n; i++)
        if (options_near(word, o->rows[i].name))
            return fail(why, ERR_USAGE, "there is no option --%s here: did you mean --%s?", word,
                        o->rows[i].name);
    return fail(why, ERR_USAGE, "there is no option --%s here: --help lists them", word);
}

static MUST err_t find(const struct options *o, const char *name, size_t n, size_t *row,
                       struct why *why)
{
    for (size_t i = 0; i < o->n; i++)
        if (strlen(o->rows[i].name) == n && memcmp(o->rows[i].name, name, n) == 0) {
            *row = i;
            return ERR_OK;
        }
    return unknown(o, name, n, why);
}

/* One option, `text` without its dashes; takes the next argument as its value where it needs one.
 */
static MUST err_t take_option(struct parse *p, const char *text, struct why *why)
{
    size_t n = strcspn(text, "="), i = 0;
    const char *value = text[n] == '=' ? text + n + 1 : NULL;
    TRY(find(p->o, text, n, &i, why));
    const struct option_row *row = &p->o->rows[i];
    void *slot = (char *)p->into + row->at;
    if (row->kind != OPTION_LIST && p->seen & UINT64_C(1) << i)
        return fail(why, ERR_USAGE, "--%s is given twice", row->name);
    p->seen |= UINT64_C(1) << i;
    if (row->kind == OPTION_FLAG) {
        if (value)
            return fail(why, ERR_USAGE, "--%s takes no value", row->name);
        *(bool *)slot = true;
        return ERR_OK;
    }
    if (!value && p->argv[p->at])
        value = p->argv[p->at++];
    if (!value)
        return fail(why, ERR_USAGE, "--%s wants %s after it", row->name, row->value);
    return set_value[row->kind](row, value, slot, why);
}

static MUST err_t take_dashes(struct parse *p, const char *arg, struct why *why)
{
    if (strcmp(arg, "-h") == 0)
        return take_option(p, "help", why);
    if (arg[1] != '-')
        return fail(why, ERR_USAGE, "options are long here, and %.20s is not: --help lists them",
                    arg);
    return take_option(p, arg + 2, why);
}

static MUST err_t take_argument(struct parse *p, char *arg, struct why *why)
{
    bool is_option = !p->ended && arg[0] == '-' && arg[1] != '\0';
    if (is_option && strcmp(arg, "--") != 0)
        return take_dashes(p, arg, why);
    p->ended = p->ended || is_option || p->o->operand_ends;
    if (!is_option)
        p->operand.at[p->operand.n++] = arg;
    return ERR_OK;
}

err_t options_parse(const struct options *o, char **argv, void *into, struct operands *rest,
                    struct why *why)
{
    struct parse p = {.o = o, .into = into, .argv = argv, .at = argv[0] ? 1 : 0};
    p.operand.at = argv + p.at;
    while (argv[p.at])
        TRY(take_argument(&p, argv[p.at++], why));
    p.operand.at[p.operand.n] = NULL;
    *rest = p.operand;
    return ERR_OK;
}

void options_help(const struct options *o, FILE *out)
{
    for (size_t i = 0; i < o->n; i++) {
        char left[40];
        const struct option_row *row = &o->rows[i];
        (void)snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value ? " " : "",
                       row->value ? row->value : "");
        (void)fprintf(out, "  %-26s %s\n", left, row->help);
    }
}
