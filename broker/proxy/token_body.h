/*
 * The body of a request that renews a token (RFC 6749 sections 4.1.3 and 6, RFC 7523): one flat object of JSON, or a form. Total, bounded,
 * no allocation. What two readers could take differently is refused: a member twice, a member inside a member, a value with an escape.
 */
#ifndef PROXY_TOKEN_BODY_H
#define PROXY_TOKEN_BODY_H

#include "base/buf.h"

enum { TOKEN_BODY_MAX = 8192, TOKEN_BODY_MEMBERS = 32, TOKEN_BODY_TOKEN = 2048 };
enum token_body_type { TOKEN_BODY_OTHER, TOKEN_BODY_JSON, TOKEN_BODY_FORM };

struct token_body { /* holds a token: the caller wipes it */
    char grant_type[64];
    uint8_t token[TOKEN_BODY_TOKEN];
    size_t token_len;
};
/* What a Content-Type says, its parameters aside. */
enum token_body_type token_body_type(struct view content_type);
/* Reads grant_type and the member called `member` ("refresh_token"), both of visible ASCII and neither empty. ERR_INVALID: malformed, one
 * lacks, comes twice, or does not fit. The reason quotes nothing of the body. */
MUST err_t token_body_read(enum token_body_type type, struct view body, const char *member,
                           struct token_body *out, struct why *why);

#endif
