#include "proxy/names.h"

#include "base/auto.h"
#include "check.h"

TEST(each_name_is_what_it_is_however_it_is_written)
{
    static const struct {
        const char *name;
        unsigned class;
    } table[] = {{"Connection", NAME_HOP},
                 {"TE", NAME_HOP},
                 {"Proxy-Connection", NAME_HOP},
                 {"Content_Length", NAME_HOP},
                 {"HOST", NAME_OURS},
                 {"X-Forwarded-For", NAME_OURS},
                 {"X_Forwarded_Host", NAME_OURS},
                 {"Authorization", NAME_CREDENTIAL | NAME_PARAMETER},
                 {"x_api_key", NAME_CREDENTIAL | NAME_PARAMETER},
                 {"Proxy-Authorization", NAME_CREDENTIAL | NAME_HOP},
                 {"Cookie", NAME_CREDENTIAL},
                 {"chatgpt-account-id", NAME_CREDENTIAL},
                 {"Set-Cookie", NAME_SESSION},
                 {"key", NAME_PARAMETER},
                 {"key[]", NAME_PARAMETER},
                 {"access_token[a]", NAME_PARAMETER},
                 {"Accept", 0},
                 {"keys", 0},
                 {"hos", 0},
                 {"x-forwarded-", 0},
                 {"", 0},
                 {"[", 0},
                 {"authorization-of-a-name-that-is-longer-than-any-row", 0}};
    for (size_t i = 0; i < COUNT(table); i++)
        CHECK_INT(name_class(view_str(table[i].name)), table[i].class);
}
