/*
 * What an identity provider's answer means: the verdict, and its parts as strict fields. Total: any bytes are one of the verdicts.
 */
#ifndef OAUTH_REPLY_H
#define OAUTH_REPLY_H

#include "base/msg.h"
#include <broker/provider.h>

struct reply_ask {
    const struct provider *provider;
    unsigned status; /* of HTTP */
    struct view body;
    int64_t at_ms; /* wall clock when it came: `expires_in` counts from there */
    bool device;   /* of the device authorization endpoint (RFC 8628, section 3.2) */
    bool poll;     /* of the question whether the person has agreed, where the answer is a code */
};
struct reply {
    enum oauth_verdict verdict;
    char code[65]; /* the error's, if it had one that is a word; else "" */
    struct buf
        login; /* granted: the fields of a credential that the answer brought, in canonical form (without KIND) */
    struct buf device_code;
    struct buf code_granted, verifier; /* of a poll: an authorization code, and its verifier */
    char user_code[65], verify_uri[513], verify_full[1025];
    int64_t interval_ms, expires_ms; /* of a device code; expires: wall clock */
};
void reply_parse(const struct reply_ask *ask, struct reply *out);
void reply_free(struct reply *r); /* wipes */

#endif
