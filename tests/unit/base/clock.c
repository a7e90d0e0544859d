#include "base/clock.h"

#include "check.h"

#include <time.h>

TEST(rfc3339_agrees_with_the_c_library)
{
    for (int64_t s = 0; s < 4102444800; s += 86400 * 13 + 3723) {
        char mine[25], theirs[64], all[80];
        time_t t = (time_t)s;
        struct tm tm;
        clock_rfc3339(s * 1000 + 45, mine);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S", gmtime_r(&t, &tm));
        snprintf(all, sizeof(all), "%s.045Z", theirs);
        CHECK_STR(mine, all);
    }
}

TEST(rfc3339_stays_in_its_room)
{
    char out[25];
    clock_rfc3339(INT64_MAX, out);
    CHECK_STR(out, "9999-12-31T23:59:59.999Z");
    clock_rfc3339(-1, out);
    CHECK_STR(out, "1970-01-01T00:00:00.000Z");
}

TEST(durations_parse)
{
    static const struct {
        const char *text;
        int64_t ms;
    } row[] = {{"90", 90000}, {"90s", 90000}, {"250ms", 250}, {"15m", 900000}, {"8h", 28800000}, {"7d", 604800000}, {"0", 0}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        int64_t ms = -1;
        struct why w = {0};
        CHECK_OK(clock_parse_duration(view_str(row[i].text), &ms, &w), w);
        CHECK_INT(ms, row[i].ms);
    }
}

TEST(bad_durations_are_refused)
{
    static const char *const bad[] = {"", "m", "-1s", "1.5h", "15 m", "15minutes", "4000d", "99999999999999999999", "1e3", "15m "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = 42;
        CHECK_INT(clock_parse_duration(view_str(bad[i]), &ms, NULL), ERR_INVALID);
        CHECK_INT(ms, 42);
    }
}

TEST(durations_format_exactly)
{
    static const char *const row[] = {"15m", "8h", "7d", "90s", "250ms", "0s", "61s", "25h"};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        int64_t ms = 0;
        char out[24];
        CHECK_INT(clock_parse_duration(view_str(row[i]), &ms, NULL), ERR_OK);
        clock_format_duration(ms, out);
        CHECK_STR(out, row[i]);
    }
}

TEST(the_clocks_run)
{
    uint8_t id[16], zero[16] = {0};
    int64_t a = clock_boot_ms();
    CHECK(a > 0 && clock_boot_ms() >= a);
    CHECK(clock_wall_ms() > 1700000000000);
    clock_boot_id(id);
    CHECK(memcmp(id, zero, 16) != 0);
}
