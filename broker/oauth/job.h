/*
 * One job of the oauth helper, on its socket to the vault:
 *     OAUTH_JOB  OP "ask": FLAGS, URL, PAIRS, PROVIDER, TTL_MS, PATH (a CA file)      OP "parse": PROVIDER, HTTP_STATUS, RAW, AT_MS
 *     OAUTH_RAW     the answer as it came, or why there is none (after "ask")
 *     OAUTH_KEPT    from the vault: it is durable, or need not be; AT_MS is the time it came
 *     OAUTH_RESULT  what it means
 * The order is the point: nothing parses an answer that the vault has not kept, for the answer may hold the only good refresh token.
 */
#ifndef OAUTH_JOB_H
#define OAUTH_JOB_H

#include "base/buf.h"

enum { JOB_WAIT_MS = 10000, JOB_KEPT_MS = 60000, JOB_TTL_MAX_MS = 120000 };

/* Serves one job and returns. An error: the vault broke the protocol or is gone. */
MUST err_t job_serve(int sock, struct why *why);

#endif
