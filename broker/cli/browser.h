/*
 * Opening a page in the person's browser, where there is one.
 */
#ifndef CLI_BROWSER_H
#define CLI_BROWSER_H

#include <stdbool.h>

/* A display, not over ssh, not as root: nobody's browser runs as that. */
bool browser_is_here(void);
/* Starts $BROWSER, or xdg-open, with the URL, and does not wait. False: that was not possible. */
bool browser_open(const char *url);

#endif
