/* Clocks, RFC 3339 and durations. All arithmetic is checked: a duration is at most ten years. */
#include "base/clock.h"

#include "base/auto.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

/* "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" → 16 bytes */
void clock_boot_id(uint8_t out[16])
{
    char text[37] = "", hex[33];
    size_t n = 0;
    memset(out, 0, 16);
    AUTO(auto_close) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, 36) != 36)
        return;
    for (size_t i = 0; i < 36 && n < 32; i++)
        if (text[i] != '-')
            hex[n++] = text[i];
    if (!hex_decode(VIEW(hex, n), out, 16))
        memset(out, 0, 16);
}

void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1])
{
    /* days → civil date (proleptic Gregorian); gmtime_r would do, but takes the time zone lock */
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > 253402300799999 ? 253402300799999 : wall_ms;
    int64_t day = ms / 86400000, rest = ms % 86400000;
    int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    const int64_t part[] = {year,
                            month,
                            doy - (153 * mp + 2) / 5 + 1,
                            rest / 3600000,
                            rest / 60000 % 60,
                            rest / 1000 % 60,
                            rest % 1000};
    static const char form[] = "yyyy-mm-ddThh:nn:ss.mmmZ";
    static const uint8_t end[] = {4, 7, 10, 13, 16, 19, 23}, width[] = {4, 2, 2, 2, 2, 2, 3};
    memcpy(out, form, sizeof(form));
    for (size_t i = 0; i < COUNT(part); i++) {
        int64_t v = part[i];
        for (unsigned k = 0; k < width[i]; k++, v /= 10)
            out[end[i] - 1 - k] = (char)('0' + v % 10);
    }
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { MAX_DAYS = 3650 };

err_t clock_parse_duration(struct view text, int64_t *ms, struct why *why)
{
    int64_t value = 0, unit = 0;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && i < 15; i++)
        value = value * 10 + (text.p[i] - '0');
    struct view rest = VIEW(text.p + i, text.n - i);
    for (size_t k = 0; k < COUNT(units); k++)
        if (view_is(rest, units[k].name))
            unit = units[k].ms;
    if (rest.n == 0)
        unit = 1000;
    if (i == 0 || unit == 0)
        return fail(why, ERR_INVALID, "not a duration: expected for example 90s, 15m, 8h or 7d");
    if (value > (int64_t)MAX_DAYS * 86400000 / unit)
        return fail(why, ERR_INVALID, "a duration of over %dd", MAX_DAYS);
    *ms = value * unit;
    return ERR_OK;
}

void clock_format_duration(int64_t ms, char out[24])
{
    const struct unit *u = units;
    while (ms % u->ms != 0)
        u++;
    (void)snprintf(out, 24, "%" PRId64 "%s", ms / u->ms, ms == 0 ? "s" : u->name);
}
