/*
 * One socket directory per consumer: $RUN/<consumer>/broker.sock, and $RUN/admin/broker.sock. The directory is the identity, so it is made
 * before the socket is bound, is 0700 to the broker's user, and is opened by an ACL to exactly the uids the consumer's `peer` names.
 */
#ifndef VAULT_LISTEN_H
#define VAULT_LISTEN_H

#include "vault/vault.h"

/* Binds what the configuration has and is not bound yet, opens each to exactly the uids it has now, closes what is no longer there;
 * tells the workers. One failing consumer is logged and does not keep the others from being served; `why` is the last failure. */
MUST err_t listen_sync(struct vault *v, struct why *why);
/* Closes all and unlinks the sockets. */
void listen_close(struct vault *v);
/* Would the path of this consumer's socket fit? */
MUST err_t listen_check_name(const struct vault *v, const char *consumer, struct why *why);
/* The descriptor of a consumer's directory, or -1. */
int listen_dir(const struct vault *v, const char *consumer);

#endif
