/*
 * The Unix socket under the client: connecting and waiting, each with a deadline.
 */
#ifndef CLIENT_SOCKET_H
#define CLIENT_SOCKET_H

#include <broker/client.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t socket_now_ms(void);
/* A connected, non-blocking, close-on-exec descriptor over 2. ERR_NO_BROKER. */
MUST err_t socket_connect(const char *path, int64_t deadline_ms, int *out, struct why *why);
/* Waits for POLLIN or POLLOUT. ERR_TIMEOUT. */
MUST err_t socket_wait(int fd, short events, int64_t deadline_ms, struct why *why);

#endif
