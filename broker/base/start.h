/*
 * What the worker programs do alike when they are started: the descriptor they were given, room for theirs, and the sandbox of those that
 * speak to the outside.
 */
#ifndef BASE_START_H
#define BASE_START_H

#include "base/sandbox.h"

/* The N of --fd=N. False: no number from 3 to 1024. */
bool start_fd(const char *text, int *fd);
/* Raises the soft limit of descriptors to `want`, as far as the hard one lets. */
void start_descriptors(unsigned want);
/* sandbox_enter() with what resolving names and verifying certificates read: /etc, the system's certificates, the resolver's files,
 * SSL_CERT_FILE and SSL_CERT_DIR, and the directory of broker.yaml (`config`, NULL: none), where CA files may lie. No store, no log and no
 * socket directory is among it. */
MUST err_t start_outwards(enum sandbox_role role, const char *config, char report[64],
                          struct why *why);

#endif
