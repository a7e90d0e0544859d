/*
 * The decision, pure: no secret is open, nothing is changed. May this peer of this consumer have this credential in this delivery,
 * and with which limits?
 */
#ifndef VAULT_POLICY_H
#define VAULT_POLICY_H

#include "base/config.h"
#include "vault/peer.h"
#include <broker/provider.h>

struct policy_ask {
    struct view credential;
    bool has_delivery;
    enum delivery delivery;
    int64_t ttl_ms; /* 0: the grant's default */
    uint64_t uses;  /* 0: the grant's default */
    bool owner_process;
    unsigned
        provider_mask; /* deliveries that the credential's provider and its own ceiling allow */
};
struct policy_limits {
    enum delivery delivery; /* as asked, or the least exposed one allowed */
    int64_t ttl_ms, max_ttl_ms;
    uint64_t uses; /* 0: unlimited */
    bool owner_process;
};
/* ERR_DENIED (no such grant; a delivery not granted; more than the grant's ttl or uses asked: "a ttl of 2h is over the grant's 15m"),
 * ERR_INVALID (ttl under 1 s). A missing credential and a missing grant are refused alike: the answer never tells a consumer what
 * exists beyond its grants. */
MUST err_t policy_decide(const struct config_consumer *consumer, const struct peer *peer,
                         const struct policy_ask *ask, struct policy_limits *out, struct why *why);
/* The admin socket: root, the daemon's own uid, or a uid of the configuration's list. */
MUST err_t policy_admin(const struct config *c, const struct peer *peer, struct why *why);

#endif
