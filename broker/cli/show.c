/*
 * Answers as people read them. Nothing here keeps a state, and nothing that came from elsewhere
 * reaches a terminal with a control character in it: answers are cleaned as text (show_clean)
 * before they are parsed, which no member can escape.
 */
#include "cli/show.h"

#include "base/auto.h"
#include "base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- cleaning */

static unsigned hex_digit(uint8_t c)
{
    uint8_t low = c | 0x20;
    if (c >= '0' && c <= '9')
        return c - '0';
    return low >= 'a' && low <= 'f' ? low - 'a' + 10u : 16u;
}

/* \uXXXX of a control character (C0, DEL, C1)? `p` is behind the "\u", four bytes are there. */
static bool is_control(const uint8_t *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++)
        v = v * 16 + hex_digit(p[i]);
    return v < 0x20 || (v >= 0x7f && v < 0xa0);
}

/* One escape, `p` at the backslash with `n` bytes from there on; how many bytes it has. */
static size_t clean_escape(uint8_t *p, size_t n)
{
    if (n < 2)
        return 1;
    if (p[1] && strchr("bfnrt", p[1]))
        memset(p, '?', 2);
    if (p[1] != 'u' || n < 6)
        return 2;
    if (is_control(p + 2)) { /* \u003f */
        p[2] = p[3] = '0';
        p[4] = '3';
        p[5] = 'f';
    }
    return 6;
}

void show_clean(struct buf *json)
{
    bool inside = false; /* a string: line ends between members are harmless */
    for (size_t i = 0; i < json->len;) {
        uint8_t *p = json->p + i;
        size_t left = json->len - i;
        inside ^= *p == '"';
        if (*p == '\\') {
            i += clean_escape(p, left);
            continue;
        }
        if (*p == 0x7f || (inside && *p < 0x20))
            *p = '?';
        else if (*p == 0xc2 && left > 1 && p[1] >= 0x80 && p[1] < 0xa0)
            memset(p, '?', 2);
        i++;
    }
}

/* ---- members */

const char *text_of(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : "";
}

int64_t int_of(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

bool text_is(const json_t *obj, const char *key, const char *want)
{
    return strcmp(text_of(obj, key), want) == 0;
}

const char *when_of(const json_t *obj, const char *key, char out[32])
{
    time_t t = (time_t)(int_of(obj, key) / 1000);
    struct tm tm;
    if (t == 0 || !localtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
        return "-";
    return out;
}

const char *list_of(const json_t *obj, const char *key, char *out, size_t room)
{
    const json_t *list = json_object_get(obj, key);
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *s = json_string_value(item), *comma = at ? "," : "";
        int n = s ? snprintf(out + at, room - at, "%s%s", comma, s)
                  : snprintf(out + at, room - at, "%s%" JSON_INTEGER_FORMAT, comma,
                             json_integer_value(item));
        if (n < 0 || (size_t)n >= room - at) {
            out[at] = '\0';
            break;
        }
        at += (size_t)n;
    }
    return out;
}

const char *span_of(int64_t ms, char out[SPAN_ROOM])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } unit[] = {{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
    int64_t s = ms > 0 ? ms / 1000 : 0;
    size_t i = 0;
    while (i + 1 < COUNT(unit) && s < unit[i].seconds)
        i++;
    int64_t rest = i + 1 < COUNT(unit) ? s % unit[i].seconds / unit[i + 1].seconds : 0;
    int n = snprintf(out, SPAN_ROOM, "%" PRId64 "%s", s / unit[i].seconds, unit[i].name);
    if (rest > 0 && n > 0)
        (void)snprintf(out + n, SPAN_ROOM - (size_t)n, " %" PRId64 "%s", rest, unit[i + 1].name);
    return out;
}

const char *shade(enum shade s)
{
    static const char *const code[] = {"\033[0m", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool wanted = isatty(STDOUT_FILENO) && (!no || !no[0]) && (!term || strcmp(term, "dumb") != 0);
    return wanted ? code[s] : "";
}

/* ---- columns */

struct table table_of(unsigned columns)
{
    return (struct table){.columns = columns, .cells.max = 64 << 20};
}

void table_free(struct table *t)
{
    buf_free(&t->cells);
}

/* In characters: bytes that do not continue one (RFC 3629). */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void table_row(struct table *t, const char *const cell[])
{
    for (unsigned i = 0; i < t->columns; i++) {
        const char *s = cell[i] && cell[i][0] ? cell[i] : "-";
        size_t w = width_of(s);
        if (w > t->width[i])
            t->width[i] = w;
        buf_add(&t->cells, s, strlen(s) + 1);
    }
}

err_t table_print(const struct table *t, const char *indent, FILE *out, struct why *why)
{
    TRY(buf_ok(&t->cells, why));
    const char *s = (const char *)t->cells.p, *end = s + t->cells.len;
    for (unsigned i = 0; s < end; i = (i + 1) % t->columns, s += strlen(s) + 1) {
        bool last = i + 1 == t->columns;
        int pad = last ? 0 : (int)(t->width[i] - width_of(s)) + 2;
        (void)fprintf(out, "%s%s%*s%s", i ? "" : indent, s, pad, "", last ? "\n" : "");
    }
    return ERR_OK;
}

/* ---- the picture of a credential */

/* "expires_at_ms" → "expires" */
static void label_of(const char *key, char out[32])
{
    size_t n = strlen(key), tail = strlen("_at_ms");
    if (n > tail && strcmp(key + n - tail, "_at_ms") == 0)
        n -= tail;
    (void)snprintf(out, 32, "%.*s", (int)(n < 31 ? n : 31), key);
    for (char *p = out; *p; p++)
        *p = *p == '_' ? ' ' : *p;
}

static void print_time(const json_t *picture, const char *key, FILE *out)
{
    char when[32], span[SPAN_ROOM];
    int64_t left = int_of(picture, key) - clock_wall_ms();
    if (left > 0)
        (void)fprintf(out, "%s (in %s)", when_of(picture, key, when), span_of(left, span));
    else
        (void)fprintf(out, "%s (%s ago)", when_of(picture, key, when), span_of(-left, span));
}

static void print_words(const json_t *list, FILE *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        (void)fprintf(out, "%s%s", i ? " " : "", s ? s : "?");
    }
}

static void print_hidden(const json_t *what, FILE *out)
{
    (void)fprintf(out, "%" PRId64 " bytes", int_of(what, "bytes"));
    if (text_of(what, "last4")[0])
        (void)fprintf(out, ", ending …%s", text_of(what, "last4"));
}

void show_picture(json_t *picture, FILE *out)
{
    const char *key;
    json_t *value;
    json_object_foreach (picture, key, value) {
        char label[32];
        if (strcmp(key, "provider") == 0)
            continue; /* stands above */
        label_of(key, label);
        (void)fprintf(out, "  %-16s", label);
        if (json_is_string(value))
            (void)fputs(json_string_value(value), out);
        else if (json_is_integer(value))
            print_time(picture, key, out);
        else if (json_is_array(value))
            print_words(value, out);
        else
            print_hidden(value, out);
        (void)fputc('\n', out);
    }
}
