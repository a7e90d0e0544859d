/* crypto/pkce.c: RFC 7636, with the vector of its appendix B. */
#include "check.h"

#include "base/auto.h"
#include "crypto/pkce.h"

#include <string.h>

TEST(appendix_b)
{
    char challenge[PKCE_TEXT + 1];
    CHECK_INT(pkce_challenge(view_str("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), challenge), ERR_OK);
    CHECK_STR(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(texts_are_of_256_bits_and_no_two_alike)
{
    char text[64][PKCE_TEXT + 1];
    for (unsigned i = 0; i < COUNT(text); i++) {
        CHECK_INT(pkce_random(text[i]), ERR_OK);
        CHECK_INT(strlen(text[i]), PKCE_TEXT); /* section 4.1: 43 to 128 */
        CHECK_INT(strspn(text[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), PKCE_TEXT);
        for (unsigned k = 0; k < i; k++)
            CHECK(strcmp(text[i], text[k]) != 0);
    }
}
