#include <broker/err.h>

#include "check.h"

#include <errno.h>

TEST(every_row_round_trips_by_wire_code)
{
    for (unsigned i = 0; i < ERR__COUNT; i++) {
        const char *w = err_wire((err_t)i);
        CHECK_INT(err_from_wire(w, strlen(w)), i);
        CHECK(err_text((err_t)i)[0] != 0);
        CHECK(err_http((err_t)i) >= 200 && err_http((err_t)i) < 600);
    }
}

TEST(exit_codes_and_wire_codes_are_distinct)
{
    for (unsigned i = 0; i < ERR__COUNT; i++)
        for (unsigned k = 0; k < i; k++) {
            CHECK(err_exit((err_t)i) != err_exit((err_t)k));
            CHECK(strcmp(err_wire((err_t)i), err_wire((err_t)k)) != 0);
        }
}

TEST(out_of_range_is_internal)
{
    CHECK_STR(err_wire((err_t)9999), "internal");
    CHECK_INT(err_http((err_t)9999), 500);
    CHECK_INT(err_from_wire("nonsense", 8), ERR_INTERNAL);
    CHECK_INT(err_from_wire("denie", 5), ERR_INTERNAL);
}

TEST(fail_writes_a_clean_bounded_sentence)
{
    struct why w = {0};
    CHECK_INT(fail(&w, ERR_DENIED, "a\nb\x1b[31m %d", 7), ERR_DENIED);
    CHECK_STR(w.text, "a?b?[31m 7");
    char big[1000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    CHECK_INT(fail(&w, ERR_INVALID, "%s", big), ERR_INVALID);
    CHECK_INT(strlen(w.text), sizeof(w.text) - 1);
    CHECK_INT(fail(NULL, ERR_IO, "nobody listens"), ERR_IO);
}

TEST(errno_chooses_the_code)
{
    static const struct {
        int no;
        err_t e;
    } row[] = {{ENOSPC, ERR_NO_SPACE}, {EDQUOT, ERR_NO_SPACE}, {EFBIG, ERR_NO_SPACE}, {EACCES, ERR_PERMISSION},
               {EPERM, ERR_PERMISSION}, {EROFS, ERR_PERMISSION}, {ENOENT, ERR_NOT_FOUND}, {ETIMEDOUT, ERR_TIMEOUT},
               {EIO, ERR_IO}, {EBADF, ERR_IO}};
    struct why w = {0};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        CHECK_INT(fail_errno(&w, row[i].no, "open x"), row[i].e);
    CHECK_INT(fail_errno(&w, ENOSPC, "write %s", "f"), ERR_NO_SPACE);
    CHECK_STR(w.text, "write f: No space left on device");
}
