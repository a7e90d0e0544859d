#include "fake/logins.h"
#include "provider/jwt.h"

/* header {"alg":"none"}, claims {"exp":5} */
#define H "eyJhbGciOiJub25lIn0"
#define C "eyJleHAiOjV9"

static err_t claims(const char *token, json_t **out, struct why *why)
{
    return jwt_claims(view_str(token), "\"t\"", out, why);
}

TEST(claims_are_read)
{
    AUTO(auto_json) json_t *c = NULL;
    struct why why = {0};
    int64_t exp = 0;
    CHECK_OK(claims(H "." C ".c2ln", &c, &why), why);
    CHECK_OK(json_get_int(c, "exp", 0, 9, &exp, &why), why);
    CHECK_INT(exp, 5);
}

TEST(what_is_no_jwt_is_refused)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "...",
        H,
        H "." C,
        H "." C ".",
        "." C ".c2ln",
        H "..c2ln",
        H "." C ".c2ln.c2ln",
        H "." C ".c2ln.",
        H "=." C ".c2ln", /* padded */
        H "." C ".c2l\n",
        H "." C ".a", /* no length of base64 */
        H "." C "+.c2ln",
        "bm9qc29u." C ".c2ln",        /* not JSON */
        H ".WzFd.c2ln",               /* a list */
        H ".eyJhIjoxLCJhIjoyfQ.c2ln", /* a key twice */
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *c = NULL;
        struct why why = {0};
        if (claims(bad[i], &c, &why) == ERR_OK)
            printf("    taken: %s\n", bad[i]);
        CHECK(c == NULL);
        CHECK(strstr(why.text, "\"t\" is not a JWT"));
    }
}

TEST(each_truncation_of_the_sample_is_refused_or_decodes)
{
    AUTO(login_free) struct login l = {0};
    login_load(&l, "codex", "codex.json");
    struct view whole = l.cred.f[CF_ACCESS_TOKEN];
    size_t taken = 0;
    for (size_t n = 0; n < whole.n; n++) {
        AUTO(auto_json) json_t *c = NULL;
        taken += jwt_claims(VIEW(whole.p, n), "t", &c, NULL) == ERR_OK;
    }
    CHECK(taken < 341); /* only cuts inside the signature can pass */
}
