/*
 * The rows of the table of stores; each is defined at the end of its own file.
 */
#ifndef STORE_STORES_H
#define STORE_STORES_H

#include <broker/store.h>

extern const struct store_ops store_file;

#endif
