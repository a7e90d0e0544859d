/* libmicrohttpd, driven by our loop: connections in, requests to the vault, replies out. */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "api/worker.h"

MUST err_t http_new(struct worker *w, struct http **out, struct why *why);
/* Every connection must have been freed or killed before. Takes NULL. */
void http_free(struct http *h);

/* Hands an accepted, non-blocking connection over; it is closed in any case. */
void http_adopt(struct http *h, int fd, struct listener *from);
/* Answers the request a CONN_WAITING connection waits for. */
void http_answer(struct http *h, struct conn *c, const struct msg *reply);
void http_answer_error(struct http *h, struct conn *c, err_t e, const char *sentence);
/* Closes a connection in any phase. */
void http_kill(struct http *h, struct conn *c);
/* Runs libmicrohttpd until nothing is ready; true when it stopped before that and must be run again
 * soon. */
bool http_run(struct http *h);

#endif
