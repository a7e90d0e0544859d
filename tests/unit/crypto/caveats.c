/* Caveats: what is well-formed, and that each only narrows. */
#include "unit/crypto/help.h"

#include "crypto/caveats.h"

#define V(s) VIEW(s, sizeof(s) - 1)

TEST(values_that_are_well_formed)
{
    CHECK(caveat_valid(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\1")));
    CHECK(caveat_valid(CAVEAT_EXPIRES, V("\x7f\xff\xff\xff\xff\xff\xff\xff")));
    CHECK(caveat_valid(CAVEAT_DELIVER, V("\0\0\0\0")));
    CHECK(caveat_valid(CAVEAT_PEER_UID, V("\xff\xff\xff\xff")));
    CHECK(caveat_valid(CAVEAT_METHOD_PATH, V("POST /v1/messages")));
    CHECK(caveat_valid(CAVEAT_METHOD_PATH, V("GET /")));
    CHECK(caveat_valid(CAVEAT_MODEL, V("claude-*")));
}

TEST(values_that_are_not)
{
    static const struct {
        unsigned type;
        struct view value;
    } bad[] = {
        {0, {(const uint8_t *)"x", 1}},
        {6, {(const uint8_t *)"x", 1}},
        {255, {(const uint8_t *)"x", 1}},
        {CAVEAT_EXPIRES, {NULL, 0}},
        {CAVEAT_EXPIRES, {(const uint8_t *)"\0\0\0\0\0\0\0", 7}},
        {CAVEAT_EXPIRES, {(const uint8_t *)"\0\0\0\0\0\0\0\0", 8}}, /* 0 is "no end" */
        {CAVEAT_EXPIRES, {(const uint8_t *)"\x80\0\0\0\0\0\0\0", 8}},
        {CAVEAT_EXPIRES, {(const uint8_t *)"\0\0\0\0\0\0\0\1\0", 9}},
        {CAVEAT_DELIVER, {(const uint8_t *)"\0\0\1", 3}},
        {CAVEAT_DELIVER, {(const uint8_t *)"\0\0\0\0\1", 5}},
        {CAVEAT_PEER_UID, {NULL, 0}},
        {CAVEAT_METHOD_PATH, {NULL, 0}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"POST", 4}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"POST ", 5}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"post /v1", 8}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)" /v1", 4}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"GET  /v1", 8}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"GET /v1 x", 9}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"GET /v\0", 7}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"GET v1", 6}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"GET /\n", 6}},
        {CAVEAT_METHOD_PATH, {(const uint8_t *)"ABCDEFGHIJKLMNOPQ /", 19}},
        {CAVEAT_MODEL, {NULL, 0}},
        {CAVEAT_MODEL, {(const uint8_t *)"a b", 3}},
        {CAVEAT_MODEL, {(const uint8_t *)"a\x7f", 2}},
        {CAVEAT_MODEL, {(const uint8_t *)"a\xc3\xa4", 3}},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct token_caveats all = {0}, none = {0};
        CHECK(!caveat_valid(bad[i].type, bad[i].value));
        CHECK(!caveat_apply(bad[i].type, bad[i].value, &all));
        CHECK(memcmp(&all, &none, sizeof(all)) == 0);
    }
}

TEST(a_text_has_at_most_255_bytes)
{
    char text[257];
    memset(text, 'a', sizeof(text));
    CHECK(caveat_valid(CAVEAT_MODEL, VIEW(text, 255)));
    CHECK(!caveat_valid(CAVEAT_MODEL, VIEW(text, 256)));
    memcpy(text, "GET /", 5);
    CHECK(caveat_valid(CAVEAT_METHOD_PATH, VIEW(text, 255)));
    CHECK(!caveat_valid(CAVEAT_METHOD_PATH, VIEW(text, 256)));
}

TEST(the_smallest_end_counts_in_any_order)
{
    struct token_caveats a = {0}, b = {0};
    CHECK(caveat_apply(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\5"), &a) && a.expires_ms == 5);
    CHECK(caveat_apply(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\3"), &a) && a.expires_ms == 3);
    CHECK(caveat_apply(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\5"), &a) && a.expires_ms == 3);
    CHECK(caveat_apply(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\3"), &b) &&
          caveat_apply(CAVEAT_EXPIRES, V("\0\0\0\0\0\0\0\5"), &b));
    CHECK_INT(b.expires_ms, 3);
}

TEST(the_common_deliveries_remain)
{
    struct token_caveats a = {0};
    CHECK(caveat_apply(CAVEAT_DELIVER, V("\0\0\0\7"), &a) && a.has_deliver && a.deliver == 7);
    CHECK(caveat_apply(CAVEAT_DELIVER, V("\0\0\0\x1a"), &a) && a.deliver == 2);
    CHECK(caveat_apply(CAVEAT_DELIVER, V("\0\0\0\1"), &a) && a.has_deliver && a.deliver == 0);
    CHECK(caveat_apply(CAVEAT_DELIVER, V("\xff\xff\xff\xff"), &a) && a.deliver == 0);
}

TEST(two_uids_allow_nobody_and_that_stays)
{
    struct token_caveats a = {0};
    CHECK(caveat_apply(CAVEAT_PEER_UID, V("\0\0\0\0"), &a) && a.has_uid && a.uid == 0 && !a.never);
    CHECK(caveat_apply(CAVEAT_PEER_UID, V("\0\0\0\0"), &a) && !a.never);
    CHECK(caveat_apply(CAVEAT_PEER_UID, V("\0\0\3\xe8"), &a) && a.never && a.uid == 0);
    CHECK(caveat_apply(CAVEAT_PEER_UID, V("\0\0\0\0"), &a) && a.never);
}

TEST(paths_and_models_add_up_and_have_a_limit)
{
    struct token_caveats a = {0};
    for (int i = 0; i < TOKEN_MAX_CAVEATS; i++) {
        CHECK(caveat_apply(CAVEAT_METHOD_PATH, V("GET /v1"), &a));
        CHECK(caveat_apply(CAVEAT_MODEL, V("m*"), &a));
    }
    CHECK(a.n_paths == TOKEN_MAX_CAVEATS && a.n_models == TOKEN_MAX_CAVEATS);
    CHECK(view_is(a.path[15], "GET /v1") && view_is(a.model[0], "m*"));
    CHECK(!caveat_apply(CAVEAT_METHOD_PATH, V("GET /v1"), &a));
    CHECK(!caveat_apply(CAVEAT_MODEL, V("m*"), &a));
    CHECK(a.n_paths == TOKEN_MAX_CAVEATS && a.n_models == TOKEN_MAX_CAVEATS);
}
