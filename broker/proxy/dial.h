/*
 * One TCP connection to whichever of several addresses answers first (happy eyeballs, RFC 8305 section 5): the next address is tried
 * when the one before failed, or after DIAL_STAGGER_MS without an answer; the losers are closed.
 */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

#include "base/loop.h"
#include "proxy/resolve.h"

enum { DIAL_STAGGER_MS = 250 };
struct dial;
/* `fd`: connected, non-blocking, now the callee's; or -1 with the errno of the last failure in `no`. */
typedef void dial_fn(void *ctx, int fd, int no);
/* Calls `fn` once, from the loop or before it returns; *out is set before and dangles from then on. It has no deadline of its own. */
MUST err_t dial_start(struct loop *l, const struct resolved *to, dial_fn *fn, void *ctx,
                      struct dial **out);
void dial_cancel(struct dial *d); /* fn is not called any more; takes NULL */

#endif
