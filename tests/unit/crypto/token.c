/* Tokens: bound, attenuable, never widened. */
#include "unit/crypto/help.h"

#include "crypto/token.h"

#include <sodium.h>

static const uint8_t lease_id[TOKEN_LEASE_ID] = {0xa0, 1, 2,  3,  4,  5,  6,  7,
                                                 8,    9, 10, 11, 12, 13, 14, 0xaf};

static struct token_bind bind_of(void)
{
    struct token_bind b = {
        .consumer = "gateway", .credential = "claude", .prefix = "sk-ant-oat01-"};
    memset(b.limits, 0x66, sizeof(b.limits));
    return b;
}

static void mint(const struct secret *key, struct buf *out)
{
    struct token_bind b = bind_of();
    struct why w = {0};
    CHECK_OK(token_mint(key, lease_id, &b, out, &w), w);
}

static void attenuate(struct buf *text, enum token_caveat type, const void *value, size_t n)
{
    AUTO(buf_free) struct buf next = {0};
    struct why w = {0};
    CHECK_OK(token_attenuate(buf_view(text), type, VIEW(value, n), &next, &w), w);
    buf_reset(text);
    buf_add_view(text, buf_view(&next));
}

static err_t verify(const struct secret *key, struct view text, struct token_caveats *c)
{
    static struct buf scratch;
    struct token_bind b = bind_of();
    err_t e = token_verify(key, text, &b, &scratch, c);
    CHECK(e == ERR_OK || (e == ERR_AUTH && scratch.len == 0));
    return e;
}

static bool verifies(struct view text, void *key)
{
    struct token_caveats c;
    return verify(key, text, &c) == ERR_OK;
}

static bool peeks(struct view text, void *ctx)
{
    uint8_t id[TOKEN_LEASE_ID];
    (void)ctx;
    return token_peek(text, id) == ERR_OK;
}

TEST(a_fresh_token_verifies_and_names_its_lease)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0};
    struct token_caveats c, none = {0};
    uint8_t id[TOKEN_LEASE_ID] = {0};
    mint(key, &text);
    CHECK_INT(text.len, 13 + 6 + 67 + 1 + 6);
    CHECK(memcmp(text.p, "sk-ant-oat01-cbrk1_AaABAgME", 27) == 0);
    CHECK_INT(token_peek(buf_view(&text), id), ERR_OK);
    CHECK(memcmp(id, lease_id, sizeof(id)) == 0);
    CHECK_INT(verify(key, buf_view(&text), &c), ERR_OK);
    CHECK(memcmp(&c, &none, sizeof(c)) == 0);
}

TEST(every_flip_and_cut_of_a_token_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0};
    mint(key, &text);
    for (int round = 0; round < 2; round++) {
        CHECK(verifies(buf_view(&text), key));
        CHECK_INT(flips_accepted(buf_view(&text), verifies, key), 0);
        CHECK_INT(cuts_accepted(buf_view(&text), verifies, key), 0);
        CHECK_INT(flips_accepted(buf_view(&text), peeks, NULL), 0);
        CHECK_INT(cuts_accepted(buf_view(&text), peeks, NULL), 0);
        attenuate(&text, CAVEAT_MODEL, "claude-*", 8);
    }
}

/* A flip is refused by the check alone: here the check is made right again after each change, so
 * that only the tag stands guard. */
static void with_check(const struct buf *prefixed, const uint8_t *body, size_t n, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t digest[16];
    buf_reset(out);
    buf_add_view(out, buf_view(prefixed));
    base64url_encode(VIEW(body, n), out);
    crypto_generichash(digest, sizeof(digest), out->p, out->len, NULL, 0);
    buf_put_u8(out, '_');
    for (int i = 0; i < 6; i++)
        buf_put_u8(out, (uint8_t)alphabet[digest[i] & 63]);
}

static void take_body(const struct buf *text, struct buf *prefix, struct buf *body)
{
    struct why w = {0};
    size_t skip = 13 + 6;
    buf_add(prefix, text->p, skip);
    CHECK_OK(base64url_decode(VIEW(text->p + skip, text->len - skip - 7), body, &w), w);
}

TEST(the_tag_alone_refuses_every_flip_and_cut_of_the_body)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, forged = {0};
    mint(key, &text);
    attenuate(&text, CAVEAT_PEER_UID, "\0\0\0\0", 4);
    take_body(&text, &prefix, &body);
    with_check(&prefix, body.p, body.len, &forged);
    CHECK(view_eq(buf_view(&forged), buf_view(&text)));
    for (size_t bit = 0; bit < 8 * body.len; bit++) {
        body.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        with_check(&prefix, body.p, body.len, &forged);
        CHECK(!verifies(buf_view(&forged), key));
        body.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < body.len; n++) {
        with_check(&prefix, body.p, n, &forged);
        CHECK(!verifies(buf_view(&forged), key));
    }
    buf_put_u8(&body, 0);
    with_check(&prefix, body.p, body.len, &forged);
    CHECK(!verifies(buf_view(&forged), key));
}

/* taking a caveat away, with or without its tag; the tag of the child is no use to the parent */
TEST(a_caveat_cannot_be_taken_away)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, forged = {0}, cut = {0};
    mint(key, &text);
    attenuate(&text, CAVEAT_PEER_UID, "\0\0\0\7", 4);
    attenuate(&text, CAVEAT_DELIVER, "\0\0\0\1", 4);
    take_body(&text, &prefix, &body);
    CHECK_INT(body.len, 18 + 7 + 7 + 32);
    for (int first = 0; first < 2; first++) {
        buf_reset(&cut);
        buf_add(&cut, body.p, 18);
        cut.p[17] = 1;
        buf_add(&cut, body.p + 18 + (first ? 7 : 0), 7);
        buf_add(&cut, body.p + 32, 32);
        with_check(&prefix, cut.p, cut.len, &forged);
        CHECK(!verifies(buf_view(&forged), key));
    }
    buf_reset(&cut); /* both, and the two in another order */
    buf_add(&cut, body.p, 18);
    buf_add(&cut, body.p + 25, 7);
    buf_add(&cut, body.p + 18, 7);
    buf_add(&cut, body.p + 32, 32);
    with_check(&prefix, cut.p, cut.len, &forged);
    CHECK(!verifies(buf_view(&forged), key));
}

TEST(another_key_or_bind_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1), *other = key_of(2), *shorter = secret_new(31);
    AUTO(buf_free) struct buf text = {0}, scratch = {0};
    struct token_caveats c;
    struct token_bind bad[8];
    mint(key, &text);
    CHECK_INT(verify(other, buf_view(&text), &c), ERR_AUTH);
    CHECK_INT(verify(shorter, buf_view(&text), &c), ERR_AUTH);
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = bind_of();
    bad[0].consumer = "gateway2", bad[1].credential = "codex", bad[2].prefix = "sk-ant-oat02-";
    bad[3].limits[31] ^= 1, bad[4].consumer = "gatewaycla", bad[4].credential = "ude";
    bad[5].prefix = NULL, bad[6].consumer = NULL, bad[7].limits[0] ^= 128;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(token_verify(key, buf_view(&text), &bad[i], &scratch, &c), ERR_AUTH);
}

/* the prefix is part of the tag: with a prefix and a check changed to fit each other it is still
 * refused */
TEST(the_prefix_is_authenticated)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, forged = {0}, scratch = {0};
    struct token_bind b = bind_of();
    struct token_caveats c;
    mint(key, &text);
    take_body(&text, &prefix, &body);
    prefix.p[0] = 'S';
    b.prefix = "Sk-ant-oat01-";
    with_check(&prefix, body.p, body.len, &forged);
    CHECK_INT(token_verify(key, buf_view(&forged), &b, &scratch, &c), ERR_AUTH);
    b.prefix = "sk-ant-oat01-"; /* nor is the right one taken under another's clothes */
    CHECK_INT(token_verify(key, buf_view(&forged), &b, &scratch, &c), ERR_AUTH);
    CHECK_INT(token_verify(key, buf_view(&text), &b, &scratch, &c), ERR_OK);
}

TEST(caveats_arrive_as_their_conjunction)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0};
    struct token_caveats c;
    mint(key, &text);
    attenuate(&text, CAVEAT_EXPIRES, "\0\0\0\0\0\0\1\0", 8);
    attenuate(&text, CAVEAT_EXPIRES, "\0\0\0\0\0\0\2\0", 8);
    attenuate(&text, CAVEAT_DELIVER, "\0\0\0\3", 4);
    attenuate(&text, CAVEAT_METHOD_PATH, "POST /v1/messages", 17);
    attenuate(&text, CAVEAT_MODEL, "claude-*", 8);
    attenuate(&text, CAVEAT_MODEL, "*-haiku", 7);
    attenuate(&text, CAVEAT_PEER_UID, "\0\0\3\xe8", 4);
    CHECK_INT(verify(key, buf_view(&text), &c), ERR_OK);
    CHECK(c.expires_ms == 256 && c.has_deliver && c.deliver == 3 && c.has_uid && c.uid == 1000 &&
          !c.never);
    CHECK(c.n_paths == 1 && view_is(c.path[0], "POST /v1/messages"));
    CHECK(c.n_models == 2 && view_is(c.model[0], "claude-*") && view_is(c.model[1], "*-haiku"));
    attenuate(&text, CAVEAT_PEER_UID, "\0\0\3\xe9", 4);
    CHECK_INT(verify(key, buf_view(&text), &c), ERR_OK);
    CHECK(c.never);
}

TEST(attenuate_refuses_what_would_not_narrow)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, out = {0};
    struct why w = {0};
    mint(key, &text);
    CHECK_INT(token_attenuate(buf_view(&text), (enum token_caveat)9, view_str("x"), &out, &w),
              ERR_INVALID);
    CHECK_INT(
        token_attenuate(buf_view(&text), CAVEAT_EXPIRES, VIEW("\0\0\0\0\0\0\0\0", 8), &out, &w),
        ERR_INVALID);
    CHECK_INT(token_attenuate(buf_view(&text), CAVEAT_MODEL, VIEW(NULL, 0), &out, &w), ERR_INVALID);
    CHECK_INT(token_attenuate(view_str("no token"), CAVEAT_MODEL, view_str("x"), &out, &w),
              ERR_INVALID);
    CHECK_INT(out.len, 0);
}

/* what a holder makes by hand, tag chained rightly: a malformed or unknown caveat refuses the token
 */
TEST(a_caveat_unknown_to_us_refuses_the_token)
{
    static const struct {
        uint8_t type, n;
        const char *value;
    } bad[] = {{0, 1, "x"},
               {6, 1, "x"},
               {200, 0, ""},
               {CAVEAT_EXPIRES, 8, "\0\0\0\0\0\0\0\0"},
               {CAVEAT_DELIVER, 3, "\0\0\1"},
               {CAVEAT_METHOD_PATH, 3, "GET"}};
    AUTO(auto_secret) struct secret *key = key_of(1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, child = {0}, forged = {0};
        uint8_t tag[32];
        mint(key, &text);
        take_body(&text, &prefix, &body);
        buf_add(&child, body.p, 18);
        child.p[17] = 1;
        buf_put_u8(&child, bad[i].type);
        buf_put_str16(&child, VIEW(bad[i].value, bad[i].n));
        crypto_generichash(tag, 32, child.p + 18, child.len - 18, body.p + 18, 32);
        buf_add(&child, tag, 32);
        with_check(&prefix, child.p, child.len, &forged);
        CHECK(!verifies(buf_view(&forged), key));
    }
}

TEST(at_most_16_caveats_and_2048_characters)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, out = {0}, many = {0};
    struct token_caveats c;
    char model[255];
    memset(model, 'm', sizeof(model));
    mint(key, &text);
    buf_add_view(&many, buf_view(&text));
    for (int i = 0; i < TOKEN_MAX_CAVEATS; i++)
        attenuate(&many, CAVEAT_PEER_UID, "\0\0\0\0", 4);
    CHECK(verifies(buf_view(&many), key));
    CHECK_INT(token_attenuate(buf_view(&many), CAVEAT_PEER_UID, VIEW("\0\0\0\0", 4), &out, NULL),
              ERR_LIMIT);
    for (int i = 0; i < 5; i++)
        attenuate(&text, CAVEAT_MODEL, model, sizeof(model));
    CHECK_INT(verify(key, buf_view(&text), &c), ERR_OK);
    CHECK(c.n_models == 5 && c.model[4].n == 255);
    CHECK_INT(token_attenuate(buf_view(&text), CAVEAT_MODEL, VIEW(model, 255), &out, NULL),
              ERR_LIMIT);
    CHECK_INT(out.len, 0);
}

/* the seventeenth by hand, tag chained rightly */
TEST(a_token_of_17_caveats_is_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, forged = {0};
    static const uint8_t caveat[7] = {CAVEAT_PEER_UID, 0, 4, 0, 0, 0, 0};
    mint(key, &text);
    for (int i = 0; i < TOKEN_MAX_CAVEATS; i++)
        attenuate(&text, CAVEAT_PEER_UID, "\0\0\0\0", 4);
    take_body(&text, &prefix, &body);
    uint8_t tag[32];
    body.p[17]++;
    body.len -= 32;
    crypto_generichash(tag, 32, caveat, sizeof(caveat), body.p + body.len, 32);
    buf_add(&body, caveat, sizeof(caveat));
    buf_add(&body, tag, sizeof(tag));
    with_check(&prefix, body.p, body.len, &forged);
    CHECK(!verifies(buf_view(&forged), key));
}

TEST(mint_refuses_names_that_do_not_fit)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf out = {0};
    char longer[66];
    struct token_bind bad[6];
    memset(longer, 'a', sizeof(longer));
    longer[65] = '\0';
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = bind_of();
    bad[0].consumer = longer, bad[1].credential = longer, bad[2].prefix = longer,
    bad[3].prefix = "a b";
    bad[4].prefix = "x" TOKEN_MARKER, bad[5].prefix = "\xc3\xa4";
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(token_mint(key, lease_id, &bad[i], &out, NULL), ERR_INVALID);
    CHECK_INT(out.len, 0);
}

TEST(a_token_without_prefix_and_one_at_the_limits)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf out = {0}, scratch = {0};
    char name[65], prefix[33];
    memset(name, 'a', 64), name[64] = '\0';
    memset(prefix, 'c', 32), prefix[32] = '\0'; /* begins like the marker, again and again */
    struct token_bind b[2] = {{.consumer = "c", .credential = "d", .prefix = ""},
                              {.consumer = name, .credential = name, .prefix = prefix}};
    struct token_caveats c;
    for (size_t i = 0; i < 2; i++) {
        buf_reset(&out);
        CHECK_INT(token_mint(key, lease_id, &b[i], &out, NULL), ERR_OK);
        CHECK_INT(token_verify(key, buf_view(&out), &b[i], &scratch, &c), ERR_OK);
    }
}

TEST(peek_is_total)
{
    uint8_t id[TOKEN_LEASE_ID], noise[200];
    CHECK_INT(token_peek(VIEW(NULL, 0), id), ERR_AUTH);
    CHECK_INT(token_peek(view_str("cbrk1_"), id), ERR_AUTH);
    static uint8_t longer[TOKEN_MAX_TEXT + 1];
    memset(longer, 'A', sizeof(longer));
    CHECK_INT(token_peek(VIEW(longer, sizeof(longer)), id), ERR_AUTH);
    for (int i = 0; i < 1000; i++) {
        randombytes_buf(noise, sizeof(noise));
        memcpy(noise + i % 30, TOKEN_MARKER, 6);
        CHECK_INT(token_peek(VIEW(noise, sizeof(noise)), id), ERR_AUTH);
    }
}

/* 20,000 mutants of tokens with a right check: none is accepted unless it is the token itself */
TEST(mutated_tokens_are_refused)
{
    AUTO(auto_secret) struct secret *key = key_of(1);
    AUTO(buf_free) struct buf text = {0}, prefix = {0}, body = {0}, forged = {0};
    mint(key, &text);
    attenuate(&text, CAVEAT_METHOD_PATH, "POST /v1/messages", 17);
    take_body(&text, &prefix, &body);
    for (int i = 0; i < 20000; i++) {
        uint8_t copy[128];
        size_t n = body.len;
        memcpy(copy, body.p, n);
        for (uint32_t k = 1 + randombytes_uniform(3); k; k--)
            copy[randombytes_uniform((uint32_t)n)] = (uint8_t)randombytes_uniform(256);
        if (randombytes_uniform(4) == 0)
            n = randombytes_uniform((uint32_t)n + 1);
        with_check(&prefix, copy, n, &forged);
        CHECK(view_eq(buf_view(&forged), buf_view(&text)) == verifies(buf_view(&forged), key));
    }
}
