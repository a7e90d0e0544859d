/*
 * Tokens: a chain of keyed BLAKE2b tags in which each tag is the key of the next, so that whoever
 * holds a token can append a caveat and nobody can take one away. Invariant: token_verify gives
 * caveats only when each was known, well-formed and covered by the tag; every other outcome is the
 * one error that tells nothing. The hot path allocates nothing but the room of `scratch`, which its
 * owner keeps from call to call; the time of base64 (libsodium's, and base/buf.h's) does not depend
 * on the characters.
 */
#include "crypto/token.h"

#include "base/auto.h"
#include "crypto/caveats.h"

#include <sodium.h>
#include <string.h>

enum {
    VERSION = 1,
    TAG = 32,
    CHECK = 6,
    MARKER = sizeof(TOKEN_MARKER) - 1,
    PREFIX_MAX = 32,
    NAME_MAX_BYTES = 64,
    HEAD = 1 + TOKEN_LEASE_ID + 1,
    HEAD_TEXT = HEAD / 3 * 4,
    BIND_MAX = 8 + TOKEN_LEASE_ID + 3 * (1 + NAME_MAX_BYTES) + 32
};
_Static_assert(HEAD % 3 == 0, "the head of a token is whole base64 groups");
static const char tag_label[8] = "cbr1 tok";

struct text { /* a token's text in parts; views into it */
    struct view prefix, body;
};
struct token { /* a decoded body; views into the scratch buffer */
    struct view lease, caveats, tag;
    unsigned n;
};

/* ---- the text form: prefix, marker, body, "_", check */

static bool prefix_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.';
}

/* A prefix that held the marker would make the marker's place ambiguous. */
static bool prefix_valid(struct view prefix)
{
    for (size_t i = 0; i < prefix.n; i++)
        if (!prefix_char(prefix.p[i]))
            return false;
    return prefix.n <= PREFIX_MAX &&
           (prefix.n == 0 || !memmem(prefix.p, prefix.n, TOKEN_MARKER, MARKER));
}

static void check_of(struct view text, uint8_t out[CHECK])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof(digest), text.p, text.n, NULL, 0);
    for (unsigned i = 0; i < CHECK; i++)
        out[i] = (uint8_t)alphabet[digest[i] & 63];
}

static bool split(struct view text, struct text *out)
{
    uint8_t check[CHECK];
    if (text.n < MARKER + HEAD_TEXT + 1 + CHECK || text.n > TOKEN_MAX_TEXT)
        return false;
    struct view signed_part = VIEW(text.p, text.n - CHECK - 1);
    const uint8_t *marker = memmem(signed_part.p, signed_part.n, TOKEN_MARKER, MARKER);
    if (!marker || text.p[signed_part.n] != '_')
        return false;
    out->prefix = VIEW(text.p, (size_t)(marker - text.p));
    out->body = VIEW(marker + MARKER, signed_part.n - out->prefix.n - MARKER);
    check_of(signed_part, check);
    return out->body.n >= HEAD_TEXT && prefix_valid(out->prefix) &&
           equal_ct(check, text.p + signed_part.n + 1, CHECK);
}

static bool unbase64(struct view text, uint8_t *out, size_t cap, size_t *n)
{
    return sodium_base642bin(out, cap, (const char *)text.p, text.n, NULL, n, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

static bool skip_caveats(struct cursor *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)get_u8(c);
        if (get_str16(c).n > TOKEN_MAX_CAVEAT)
            return false;
    }
    return !c->bad;
}

/* Structure only: the values of caveats are looked at where they are applied. */
static bool decode(struct view body, struct buf *scratch, struct token *t)
{
    size_t n = 0;
    buf_reset(scratch);
    if (!buf_reserve(scratch, body.n) || !unbase64(body, scratch->p, scratch->cap, &n))
        return false;
    scratch->len = n;
    struct cursor c = cursor_of(buf_view(scratch));
    bool version = get_u8(&c) == VERSION;
    t->lease = get_bytes(&c, TOKEN_LEASE_ID);
    t->n = get_u8(&c);
    const uint8_t *first = c.p;
    if (!version || t->n > TOKEN_MAX_CAVEATS || !skip_caveats(&c, t->n))
        return false;
    t->caveats = VIEW(first, (size_t)(c.p - first));
    t->tag = get_bytes(&c, TAG);
    return cursor_done(&c);
}

/* Appends the text of a body, or nothing. */
static err_t emit(struct view prefix, const struct buf *body, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf text = {.max = TOKEN_MAX_TEXT};
    uint8_t check[CHECK];
    size_t room = (body->len * 4 + 2) / 3 + 1 + CHECK;
    buf_add_view(&text, prefix);
    buf_add_str(&text, TOKEN_MARKER);
    if (!buf_reserve(&text, room))
        return fail(why, ERR_LIMIT, "a token has at most %d characters", TOKEN_MAX_TEXT);
    base64url_encode(buf_view(body), &text);
    check_of(buf_view(&text), check);
    buf_put_u8(&text, '_');
    buf_add(&text, check, CHECK);
    TRY(buf_ok(&text, why));
    buf_add_view(out, buf_view(&text));
    return buf_ok(out, why);
}

/* ---- the tags */

static bool put_name(uint8_t **at, const char *name, size_t max)
{
    size_t n = name ? strnlen(name, max + 1) : 0;
    if (n > max)
        return false;
    *(*at)++ = (uint8_t)n;
    if (n)
        memcpy(*at, name, n);
    *at += n;
    return true;
}

/* BLAKE2b-256(key: token key, label || lease || consumer || credential || prefix || limits), names
 * with a length byte */
static bool first_tag(const struct secret *key, const uint8_t *lease, const struct token_bind *bind,
                      uint8_t tag[TAG])
{
    uint8_t in[BIND_MAX], *at = in;
    memcpy(at, tag_label, sizeof(tag_label));
    memcpy(at + sizeof(tag_label), lease, TOKEN_LEASE_ID);
    at += sizeof(tag_label) + TOKEN_LEASE_ID;
    if (!put_name(&at, bind->consumer, NAME_MAX_BYTES) ||
        !put_name(&at, bind->credential, NAME_MAX_BYTES) ||
        !put_name(&at, bind->prefix, PREFIX_MAX) || secret_len(key) != TAG)
        return false;
    memcpy(at, bind->limits, sizeof(bind->limits));
    at += sizeof(bind->limits);
    crypto_generichash(tag, TAG, in, (size_t)(at - in), secret_bytes(key), TAG);
    return true;
}

static void next_tag(uint8_t tag[TAG], struct view caveat)
{
    uint8_t next[TAG];
    crypto_generichash(next, TAG, caveat.p, caveat.n, tag, TAG);
    memcpy(tag, next, TAG);
    wipe(next, TAG);
}

static bool apply_all(const struct token *t, uint8_t tag[TAG], struct token_caveats *all)
{
    struct cursor c = cursor_of(t->caveats);
    for (unsigned i = 0; i < t->n; i++) {
        const uint8_t *begin = c.p;
        uint8_t type = get_u8(&c);
        if (!caveat_apply(type, get_str16(&c), all))
            return false;
        next_tag(tag, VIEW(begin, (size_t)(c.p - begin)));
    }
    return true;
}

/* ---- the four verbs */

err_t token_mint(const struct secret *key, const uint8_t lease[TOKEN_LEASE_ID],
                 const struct token_bind *bind, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf body = {0};
    uint8_t tag[TAG];
    struct view prefix = view_str(bind->prefix);
    if (!prefix_valid(prefix) || !first_tag(key, lease, bind, tag))
        return fail(why, ERR_INVALID, "a name or prefix is not fit for a token");
    buf_put_u8(&body, VERSION);
    buf_add(&body, lease, TOKEN_LEASE_ID);
    buf_put_u8(&body, 0);
    buf_add(&body, tag, TAG);
    wipe(tag, TAG);
    TRY(buf_ok(&body, why));
    return emit(prefix, &body, out, why);
}

err_t token_peek(struct view text, uint8_t lease[TOKEN_LEASE_ID])
{
    struct text parts;
    uint8_t head[HEAD];
    size_t n = 0;
    if (!split(text, &parts) || !unbase64(VIEW(parts.body.p, HEAD_TEXT), head, sizeof(head), &n) ||
        n != HEAD || head[0] != VERSION)
        return ERR_AUTH;
    memcpy(lease, head + 1, TOKEN_LEASE_ID);
    return ERR_OK;
}

err_t token_verify(const struct secret *key, struct view text, const struct token_bind *bind,
                   struct buf *scratch, struct token_caveats *caveats)
{
    struct text parts;
    struct token t;
    struct token_caveats all = {0};
    uint8_t tag[TAG] = {0};
    bool good = split(text, &parts) && view_eq(parts.prefix, view_str(bind->prefix)) &&
                decode(parts.body, scratch, &t) && first_tag(key, t.lease.p, bind, tag) &&
                apply_all(&t, tag, &all) && equal_ct(tag, t.tag.p, TAG);
    wipe(tag, TAG);
    if (!good) {
        buf_reset(scratch);
        return ERR_AUTH;
    }
    *caveats = all;
    return ERR_OK;
}

err_t token_attenuate(struct view text, enum token_caveat type, struct view value, struct buf *out,
                      struct why *why)
{
    AUTO(buf_free) struct buf scratch = {0}, body = {0};
    struct text parts;
    struct token t;
    uint8_t tag[TAG];
    if (!split(text, &parts) || !decode(parts.body, &scratch, &t))
        return fail(why, ERR_INVALID, "this is no token of a credential broker");
    if (!caveat_valid(type, value))
        return fail(why, ERR_INVALID, "the value of a caveat of type %d is not valid", (int)type);
    if (t.n == TOKEN_MAX_CAVEATS)
        return fail(why, ERR_LIMIT, "a token has at most %d caveats", TOKEN_MAX_CAVEATS);
    buf_put_u8(&body, VERSION);
    buf_add_view(&body, t.lease);
    buf_put_u8(&body, (uint8_t)(t.n + 1));
    buf_add_view(&body, t.caveats);
    size_t caveat = body.len;
    buf_put_u8(&body, (uint8_t)type);
    buf_put_str16(&body, value);
    TRY(buf_ok(&body, why));
    memcpy(tag, t.tag.p, TAG);
    next_tag(tag, VIEW(body.p + caveat, body.len - caveat));
    buf_add(&body, tag, TAG);
    wipe(tag, TAG);
    TRY(buf_ok(&body, why));
    return emit(parts.prefix, &body, out, why);
}
