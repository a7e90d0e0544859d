/* Redaction ids. */
#include "unit/crypto/help.h"

#include "crypto/chain.h"

TEST(an_id_is_short_hex_and_stable)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    char a[REDACT_LEN + 1], b[REDACT_LEN + 1];
    redact_id(key, view_str("account@example.org"), a);
    redact_id(key, view_str("account@example.org"), b);
    CHECK_STR(a, b);
    CHECK_INT(strlen(a), REDACT_LEN);
    CHECK(strncmp(a, "r:", 2) == 0);
    CHECK_INT(strspn(a + 2, "0123456789abcdef"), 16);
}

TEST(an_id_depends_on_key_and_value)
{
    AUTO(auto_secret) struct secret *key = key_of(1), *other = key_of(2);
    char a[REDACT_LEN + 1], b[REDACT_LEN + 1], c[REDACT_LEN + 1], none[REDACT_LEN + 1];
    redact_id(key, view_str("value"), a);
    redact_id(other, view_str("value"), b);
    redact_id(key, view_str("valuf"), c);
    redact_id(key, VIEW(NULL, 0), none);
    CHECK(strcmp(a, b) != 0 && strcmp(a, c) != 0 && strcmp(a, none) != 0);
}
