/*
 * The outcome table's look-ups, and the one way to fail: a code and a sentence. The sentence is cleaned of
 * control characters here, so no caller can put a line break of a peer's making into a log or a terminal.
 */
#include <broker/err.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
    int http, exit;
    const char *wire, *text;
};
static const struct row rows[ERR__COUNT] = {
#define ROW(n, h, e, w, s) [ERR_##n] = {h, e, w, s},
    BROKER_ERRORS(ROW)
#undef ROW
};

static const struct row *row_of(err_t e)
{
    return (unsigned)e < ERR__COUNT ? &rows[e] : &rows[ERR_INTERNAL];
}

const char *err_wire(err_t e)
{
    return row_of(e)->wire;
}

const char *err_text(err_t e)
{
    return row_of(e)->text;
}

int err_http(err_t e)
{
    return row_of(e)->http;
}

int err_exit(err_t e)
{
    return row_of(e)->exit;
}

err_t err_from_wire(const char *wire, size_t n)
{
    for (unsigned i = 0; i < ERR__COUNT; i++)
        if (strlen(rows[i].wire) == n && memcmp(rows[i].wire, wire, n) == 0)
            return (err_t)i;
    return ERR_INTERNAL;
}

static void clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

err_t fail(struct why *why, err_t e, const char *fmt, ...)
{
    if (!why)
        return e;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
    va_end(ap);
    clean(why->text);
    return e;
}

static err_t code_of_errno(int no)
{
    switch (no) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_PERMISSION;
    case ENOENT:
        return ERR_NOT_FOUND;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

err_t fail_errno(struct why *why, int no, const char *fmt, ...)
{
    if (why) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
        va_end(ap);
        size_t n = strlen(why->text);
        (void)snprintf(why->text + n, sizeof(why->text) - n, ": %s", strerror(no));
        clean(why->text);
    }
    return code_of_errno(no);
}
