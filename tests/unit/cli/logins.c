/* cli/logins.c: without logins nothing is said; the rest is seen through the verb (tests/unit/cli/status.c). */
#include "check.h"

#include "base/auto.h"
#include "cli/logins.h"

TEST(no_logins_no_table)
{
    struct why why = {0};
    AUTO(auto_json) json_t *none = json_array();
    CHECK_OK(logins_print(none, &why), why);
    CHECK_OK(logins_print(NULL, &why), why);
}

TEST(a_login_without_any_member_is_shown_all_the_same)
{
    struct why why = {0};
    AUTO(auto_json) json_t *list = json_pack("[{}]");
    CHECK(list);
    CHECK_OK(logins_print(list, &why), why);
}
