/*
 * The kernel reads the command line and the environment of a process from its memory, so they are
 * changed by writing there. What was borrowed from the environment is gone afterwards.
 */
#include "exec/looks.h"

#include "base/auto.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

/* Where the kernel reads the command line and the environment that others are shown (proc(5), stat: fields 48 to 51).
 * 0: not told. */
static bool find_shown(uintptr_t at[4])
{
    char text[2048];
    AUTO(auto_close) int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 48; field++)
        p = strchr(p + 1, ' ');
    for (int i = 0; i < 4; i++) {
        char *end = NULL;
        at[i] = p ? strtoul(p, &end, 10) : 0;
        p = end;
    }
    return at[0] != 0 && at[1] > at[0] && at[2] != 0 && at[3] >= at[2];
}

static void show_name(char *line, size_t room, const char *name)
{
    size_t n = strlen(name) + 1;
    explicit_bzero(line, room);
    memcpy(line, name, n <= room ? n : room - 1);
}

void looks_change(const char *name)
{
    uintptr_t at[4];
    (void)clearenv();
    if (name)
        (void)prctl(PR_SET_NAME, name);
    if (!find_shown(at))
        return;
    /* NOLINTBEGIN(performance-no-int-to-ptr): the kernel tells them as numbers */
    char *line = (char *)at[0];
    size_t room = at[1] - at[0];
    explicit_bzero((char *)at[2], at[3] - at[2]);
    /* NOLINTEND(performance-no-int-to-ptr) */
    if (at[2] == at[1]) /* a longer name goes on in the environment, as after setproctitle(3) */
        room += at[3] - at[2];
    if (name)
        show_name(line, room, name);
}
