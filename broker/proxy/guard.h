/*
 * The reflection guard: the injected credential, in any of the forms an upstream could echo it in (raw, base64 at three offsets,
 * base64url, hex in both cases, percent-encoded, JSON-escaped), is never passed down, not even across borders of chunks and buffers.
 * A guard is made once per route and shared; a stream keeps only where in the automaton it stands: the bytes that are held back are
 * the beginning of a form, so they need not be stored.
 */
#ifndef PROXY_GUARD_H
#define PROXY_GUARD_H

#include "base/buf.h"

enum { GUARD_SECRET_MIN = 8 }; /* a shorter secret cannot be told from text: not guarded */
struct guard;
/* ERR_INTERNAL: out of memory. Keeps its forms in memory that is wiped when freed. */
MUST err_t guard_new(const struct view *secret, unsigned n, struct guard **out, struct why *why);
void guard_free(struct guard *g); /* wipes; takes NULL */

struct guard_state { /* zero: the beginning of a body */
    uint32_t node;
};
/* What may be passed on of `in`, in this order: `held` (bytes of earlier calls that turned out harmless; views into the guard), then
 * `pass` (a front part of `in`). What neither holds is kept back by the state. False: a form of the secret is complete; nothing more
 * may be passed and the stream must be cut (what came before in this call may be dropped too). */
bool guard_feed(const struct guard *g, struct guard_state *s, struct view in, struct view *held,
                struct view *pass);
/* The body has ended: what was kept back and is harmless now. */
struct view guard_end(const struct guard *g, struct guard_state *s);
/* One-shot, for headers: does it hold a form? */
bool guard_finds(const struct guard *g, struct view text);

#endif
