/*
 * One line per event on stderr, written with one write(2) so that lines of several processes do not mix. The role and level are
 * the only state: set once at start, before anything is logged.
 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_role = "brokerd";
static enum log_level log_max = LOG_LVL_INFO;
static bool log_journal;

void log_open(const char *role, enum log_level max)
{
    log_role = role;
    log_max = max;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

static void add_value(struct buf *b, const char *v)
{
    bool quote = *v == '\0' || strpbrk(v, " \"=\\") != NULL;
    if (quote)
        buf_put_u8(b, '"');
    for (; *v; v++) {
        uint8_t c = (uint8_t)*v;
        if (quote && (c == '"' || c == '\\'))
            buf_put_u8(b, '\\');
        buf_put_u8(b, c < 0x20 || c == 0x7f ? '?' : c);
    }
    if (quote)
        buf_put_u8(b, '"');
}

void log_event(enum log_level level, const char *event, ...)
{
    static const char *const word[] = {"error", "warn", "info", "debug"};
    static const char *const prefix[] = {"<3>", "<4>", "<6>", "<7>"};
    if (level > log_max)
        return;
    struct buf b = {.max = 4096};
    char now[CLOCK_RFC3339_LEN + 1];
    clock_rfc3339(clock_wall_ms(), now);
    buf_add_fmt(&b, "%s%s %s %s %s", log_journal ? prefix[level] : "", now, word[level], log_role,
                event);
    va_list ap;
    va_start(ap, event);
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        const char *value = va_arg(ap, const char *);
        buf_add_fmt(&b, " %s=", key);
        add_value(&b, value ? value : "");
    }
    va_end(ap);
    buf_put_u8(&b, '\n');
    if (b.len && write(STDERR_FILENO, b.p, b.len) < 0) {
        /* stderr is gone or full: there is nobody left to tell */
    }
    buf_free(&b);
}
