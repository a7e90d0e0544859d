/*
 * broker-cli exec is broker-exec: the program beside this one, or else the one on PATH, takes over
 * with the same line.
 */
#include "base/auto.h"
#include "cli/verbs.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_CANNOT_RUN = 126 };

/* "broker-exec" in the directory of this program; false when that does not fit. */
static bool beside(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash || (size_t)(slash - out) + sizeof("/broker-exec") > PATH_MAX)
        return false;
    memcpy(slash, "/broker-exec", sizeof("/broker-exec"));
    return true;
}

int verb_exec(int argc, char **argv)
{
    char path[PATH_MAX], name[] = "broker-exec";
    (void)argc;
    argv[0] = name;
    if (beside(path))
        (void)execv(path, argv);
    (void)execvp(name, argv);
    (void)fprintf(stderr, "broker-cli exec: cannot run broker-exec: %s\n", strerror(errno));
    return EXIT_CANNOT_RUN;
}
