/*
 * The keyring row with its functions: the one place that knows libsecret and glib.
 */
#ifndef KEYRING_KEYRING_H
#define KEYRING_KEYRING_H

#include <broker/keysource.h>

extern const struct keysource keyring_source;

#endif
