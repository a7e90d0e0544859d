/*
 * brokerd-keyring: answers one question about the desktop keyring on descriptor 3 and ends. A
 * program of its own, because libsecret and glib have no place in the processes that hold keys;
 * short-lived, so that what they keep on the heap goes with it.
 */
#include "base/sandbox.h"
#include "keyring/keyring.h"

#include <stdio.h>
#include <stdlib.h>

enum { SOCKET_FD = 3, POOL_BYTES = 64 * 1024 };

static int give_up(const struct why *why)
{
    (void)fprintf(stderr, "brokerd-keyring: %s\n", why->text);
    return EXIT_FAILURE;
}

int main(void)
{
    static const struct keysource *const table[] = {&keyring_source, NULL};
    struct why why = {0};
    if (sandbox_process(&why) != ERR_OK || secret_pool_open(POOL_BYTES, &why) != ERR_OK ||
        sandbox_enter(SANDBOX_KEYRING, NULL, NULL, &why) != ERR_OK)
        return give_up(&why);
    int code = keysource_serve(SOCKET_FD, table);
    secret_pool_close();
    return code;
}
