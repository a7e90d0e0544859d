/*
 * The table. A name is folded once and compared with the rows of its length only: each header of each request passes here.
 */
#include "proxy/names.h"

#include "base/auto.h"

#include <string.h>

enum { NAME_ROOM = 32 };

#define ROW(text, class)                                                                           \
    {                                                                                              \
        sizeof(text) - 1, (class), text                                                            \
    }
static const struct row {
    uint8_t n, class;
    char name[NAME_ROOM];
} rows[] = {
    ROW("connection", NAME_HOP),
    ROW("keep-alive", NAME_HOP),
    ROW("te", NAME_HOP),
    ROW("trailer", NAME_HOP),
    ROW("upgrade", NAME_HOP),
    ROW("transfer-encoding", NAME_HOP),
    ROW("content-length", NAME_HOP),
    ROW("host", NAME_OURS),
    ROW("expect", NAME_OURS),
    ROW("accept-encoding", NAME_OURS),
    ROW("origin", NAME_OURS),
    ROW("forwarded", NAME_OURS),
    ROW("x-real-ip", NAME_OURS),
    ROW("via", NAME_OURS),
    ROW("authorization", NAME_CREDENTIAL | NAME_PARAMETER),
    ROW("x-api-key", NAME_CREDENTIAL | NAME_PARAMETER),
    ROW("x-goog-api-key", NAME_CREDENTIAL | NAME_PARAMETER),
    ROW("api-key", NAME_CREDENTIAL | NAME_PARAMETER),
    ROW("apikey", NAME_CREDENTIAL | NAME_PARAMETER),
    ROW("cookie", NAME_CREDENTIAL),
    ROW("cookie2", NAME_CREDENTIAL),
    ROW("proxy-authorization", NAME_CREDENTIAL),
    ROW("x-authorization", NAME_CREDENTIAL),
    ROW("x-auth-token", NAME_CREDENTIAL),
    ROW("x-access-token", NAME_CREDENTIAL),
    ROW("x-amz-security-token", NAME_CREDENTIAL),
    ROW("chatgpt-account-id", NAME_CREDENTIAL),
    ROW("key", NAME_PARAMETER),
    ROW("token", NAME_PARAMETER),
    ROW("auth", NAME_PARAMETER),
    ROW("access-token", NAME_PARAMETER),
    ROW("oauth-token", NAME_PARAMETER),
    ROW("id-token", NAME_PARAMETER),
    ROW("set-cookie", NAME_SESSION),
    ROW("set-cookie2", NAME_SESSION),
    ROW("alt-svc", NAME_SESSION),
    ROW("strict-transport-security", NAME_SESSION),
    ROW("www-authenticate", NAME_SESSION),
};
/* Whatever follows these. */
static const struct row beginnings[] = {
    ROW("proxy-", NAME_HOP),
    ROW("x-forwarded-", NAME_OURS),
};

static size_t fold(struct view name, char out[NAME_ROOM])
{
    size_t n = 0;
    for (; n < name.n && n < NAME_ROOM && name.p[n] != '['; n++) {
        uint8_t c = name.p[n];
        out[n] = (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return n;
}

unsigned name_class(struct view name)
{
    char folded[NAME_ROOM] = {0};
    unsigned class = 0;
    size_t n = fold(name, folded);
    for (size_t i = 0; i < COUNT(rows) && n < NAME_ROOM; i++)
        if (rows[i].n == n && rows[i].name[0] == folded[0] && memcmp(rows[i].name, folded, n) == 0)
            class |= rows[i].class;
    for (size_t i = 0; i < COUNT(beginnings); i++)
        if (n > beginnings[i].n && memcmp(beginnings[i].name, folded, beginnings[i].n) == 0)
            class |= beginnings[i].class;
    return class;
}
