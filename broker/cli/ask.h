/*
 * What a person is asked on the terminal.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "base/buf.h"

/* Asks on the terminal; without one ERR_USAGE that names `--yes`. ERR_OK: yes; ERR_DENIED: no. */
MUST err_t ask_yes(bool yes, const char *question, struct why *why);
enum { PASSPHRASE_MAX = 1024 };
/* A passphrase: the first line of `file` ("-": standard input) when given, else typed without echo
 * (`twice`: and again). ERR_USAGE: empty, or no terminal to ask on. ERR_TOO_LARGE: over
 * PASSPHRASE_MAX bytes. */
MUST err_t ask_passphrase(const char *file, bool twice, struct buf *out, struct why *why);

#endif
