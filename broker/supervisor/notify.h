/*
 * Tells the service manager how we are (sd_notify(3)), without libsystemd.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include "base/buf.h"

/* Sends one line to the socket named by NOTIFY_SOCKET ("/path" or "@abstract"); NULL: there is no
 * service manager, ERR_OK. `line` is READY=1, RELOADING=1 (MONOTONIC_USEC is added), STOPPING=1 or
 * STATUS=…; else ERR_INVALID, nothing is sent. */
MUST err_t notify_send(const char *socket_name, struct view line, struct why *why);

#endif
