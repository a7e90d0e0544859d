/*
 * Tokens: short strings that prove a lease. A keyed-BLAKE2b chain in the manner of macaroons (Birgisson et al., NDSS 2014):
 *     tag0 = BLAKE2b-256(key: token key, lease id || bind)      bind: consumer, credential, prefix, limits
 *     tagN = BLAKE2b-256(key: tagN-1, caveat N)
 * The holder may append caveats offline (attenuate) and nobody can take one away. Text form:
 *     <provider prefix> "cbrk1_" base64url( version u8, lease id 16, n u8, caveats: type u8 len u16 bytes …, tag 32 ) "_" check
 * `cbrk1_` is the fixed marker for secret scanners; `check` is 6 base64url characters of an unkeyed BLAKE2b over all before it, so that
 * a scanner can tell a token from noise. The prefix is authenticated too (it is part of `bind`): at most 32 bytes of [A-Za-z0-9._-],
 * without the marker. FORMAT.md, "Token".
 */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include "base/buf.h"
#include <broker/secret.h>

enum { TOKEN_LEASE_ID = 16, TOKEN_MAX_TEXT = 2048, TOKEN_MAX_CAVEATS = 16, TOKEN_MAX_CAVEAT = 255 };
#define TOKEN_MARKER "cbrk1_"

/* A caveat only ever narrows. An unknown type refuses the token. Stored in tokens: append only. */
enum token_caveat {
    CAVEAT_EXPIRES = 1, /* u64 big-endian, wall clock ms */
    CAVEAT_DELIVER = 2, /* u32 mask of deliveries still allowed */
    CAVEAT_METHOD_PATH =
        3, /* text "POST /v1/messages": exact method, path prefix at a segment border (proxy) */
    CAVEAT_MODEL = 4,   /* glob with `*` (proxy) */
    CAVEAT_PEER_UID = 5 /* u32: only a peer of this uid */
};

struct token_bind { /* what a lease binds its token to */
    const char *consumer, *credential, *prefix;
    uint8_t limits[32]; /* of the lease, as FORMAT.md lays them out */
};
struct
    token_caveats { /* the conjunction of all caveats of a verified token; zero-initialised = no restriction */
    int64_t expires_ms; /* 0: none; else the smallest */
    bool has_deliver;
    uint32_t deliver;
    bool has_uid;
    uint32_t uid; /* two different uids refuse everything: `never` */
    bool never;
    unsigned n_paths, n_models; /* each entry must hold (and-ed) */
    struct view path[TOKEN_MAX_CAVEATS],
        model[TOKEN_MAX_CAVEATS]; /* views into the decode buffer */
};

/* Mints the text of a fresh token (no caveats), appended and NUL-free. */
MUST err_t token_mint(const struct secret *key, const uint8_t lease[TOKEN_LEASE_ID],
                      const struct token_bind *bind, struct buf *out, struct why *why);
/* Finds the lease id without a key and without any check of the tag, to look the lease up. Total on any bytes: ERR_AUTH when it is no token. */
MUST err_t token_peek(struct view text, uint8_t lease[TOKEN_LEASE_ID]);
/* Verifies text against the lease's bind: constant time in the tag. `scratch` (reset) holds the decoded bytes that `caveats` views
 * into; keep it from call to call, its room is the only allocation. ERR_AUTH on any difference, never saying which. What the caveats
 * say is for the caller to enforce. */
MUST err_t token_verify(const struct secret *key, struct view text, const struct token_bind *bind,
                        struct buf *scratch, struct token_caveats *caveats);
/* Appends one caveat, offline, without any key. ERR_INVALID: not a token, bad value; ERR_LIMIT: too many. */
MUST err_t token_attenuate(struct view text, enum token_caveat type, struct view value,
                           struct buf *out, struct why *why);

#endif
