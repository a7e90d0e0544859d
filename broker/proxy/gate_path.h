/*
 * The two halves of a request target, for the gate.
 */
#ifndef PROXY_GATE_PATH_H
#define PROXY_GATE_PATH_H

#include "base/buf.h"

/* NULL: acceptable; else the reason it is not. */
const char *gate_path_fault(struct view path);
const char *gate_query_fault(struct view query);

#endif
