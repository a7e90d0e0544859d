/*
 * Tokens from anybody. Odd first byte: the rest is a text. Even: the rest is a body, put in text
 * form with a right check, so that the fuzzer gets past it. Holds: nothing verifies but what was
 * minted here or attenuated from it, and a child never has less caveats.
 */
#include "fuzz_crypto.h"

#include "crypto/token.h"

#include <sodium.h>

static const char prefix[] = "sk-ant-oat01-";

static struct token_bind bind_of(void)
{
    struct token_bind b = {.consumer = "gateway", .credential = "claude", .prefix = prefix};
    memset(b.limits, 0x66, sizeof(b.limits));
    return b;
}

static void text_of(struct view body, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t digest[16];
    buf_add_str(out, prefix);
    buf_add_str(out, TOKEN_MARKER);
    base64url_encode(body, out);
    crypto_generichash(digest, sizeof(digest), out->p, out->len, NULL, 0);
    buf_put_u8(out, '_');
    for (int i = 0; i < 6; i++)
        buf_put_u8(out, (uint8_t)alphabet[digest[i] & 63]);
}

static unsigned caveats_in(const struct token_caveats *c)
{
    return (c->expires_ms != 0) + c->has_deliver + c->has_uid + c->never + c->n_paths + c->n_models;
}

/* a child of any text: as good as its parent, for the same lease, and no wider */
static void attenuate(struct view text, struct view value, unsigned type)
{
    AUTO(buf_free) struct buf child = {0}, s1 = {0}, s2 = {0};
    struct token_bind b = bind_of();
    struct token_caveats before = {0}, after = {0};
    uint8_t id[2][TOKEN_LEASE_ID] = {{0}, {0}};
    bool parent = token_verify(fuzz_key(0xe5), text, &b, &s1, &before) == ERR_OK;
    if (token_attenuate(text, (enum token_caveat)type, value, &child, NULL) != ERR_OK) {
        HOLDS(child.len == 0);
        return;
    }
    HOLDS(token_peek(text, id[0]) == ERR_OK && token_peek(buf_view(&child), id[1]) == ERR_OK);
    HOLDS(memcmp(id[0], id[1], TOKEN_LEASE_ID) == 0);
    HOLDS((token_verify(fuzz_key(0xe5), buf_view(&child), &b, &s2, &after) == ERR_OK) == parent);
    HOLDS(caveats_in(&after) >= caveats_in(&before));
    HOLDS(!before.expires_ms || (after.expires_ms && after.expires_ms <= before.expires_ms));
    HOLDS(!before.has_deliver || (after.deliver & ~before.deliver) == 0);
    HOLDS(!before.never || after.never);
    HOLDS(!before.has_uid || after.uid == before.uid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf made = {0}, scratch = {0}, minted = {0};
    struct token_bind b = bind_of();
    struct token_caveats c;
    uint8_t id[TOKEN_LEASE_ID];
    if (size < 2 || size > 4096)
        return 0;
    struct view rest = VIEW(data + 2, size - 2), text = rest;
    const struct secret *key = fuzz_key(0xe5);
    if (data[0] % 2 == 0) {
        text_of(rest, &made);
        text = buf_view(&made);
    }
    err_t peek = token_peek(text, id), verify = token_verify(key, text, &b, &scratch, &c);
    HOLDS(peek == ERR_OK || verify != ERR_OK);
    attenuate(text, VIEW(data, size < 9 ? size : 9), data[1]);
    attenuate(text, rest, data[1]);
    HOLDS(token_mint(key, data[0] % 2 && peek == ERR_OK ? id : (const uint8_t *)"0123456789abcdef",
                     &b, &minted, NULL) == ERR_OK);
    attenuate(buf_view(&minted), rest, data[1]);
    return 0;
}
