/*
 * What a login's browser brings back: a code and a state, or an error, in the query of an address (RFC 6749, sections 4.1.2 and 4.1.2.1) or as
 * a person pastes it. Total on any bytes.
 */
#ifndef CLI_BROUGHT_H
#define CLI_BROUGHT_H

#include "base/buf.h"

enum { BROUGHT_MAX = 8192, BROUGHT_CODE = 4096, BROUGHT_STATE = 128, BROUGHT_ERROR = 64 };
struct brought {
    char code[BROUGHT_CODE + 1], state[BROUGHT_STATE + 1]; /* "" where it was not there */
    char error[BROUGHT_ERROR + 1];                         /* a word; "" */
};
void brought_wipe(struct brought *b);

/* `query`: a=b&c=d, percent-encoded. False, and `out` empty: one of ours is there twice, is too long, is badly encoded or has other than
 * visible ASCII; or there is neither a code nor an error. What is not ours is left alone. */
bool brought_by_query(struct view query, struct brought *out);
/* Pasted: "code#state", or an address with both in its query. ERR_INVALID says what is expected. */
MUST err_t brought_by_paste(struct view text, struct brought *out, struct why *why);

#endif
