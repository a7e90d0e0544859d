/*
 * The browser is a stranger here: it gets the URL (which holds a challenge and a state, no secret), no descriptor of ours and no terminal.
 * It is started by a grandchild, so that nothing is left to wait for.
 */
#include "cli/browser.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has(const char *name)
{
    const char *v = getenv(name);
    return v && v[0];
}

bool browser_is_here(void)
{
    return geteuid() != 0 && !has("SSH_CONNECTION") && !has("SSH_TTY") &&
           (has("DISPLAY") || has("WAYLAND_DISPLAY"));
}

static void __attribute__((noreturn)) become(const char *url)
{
    const char *own = getenv("BROWSER"), *program = own && own[0] ? own : "xdg-open";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    if (null >= 0)
        for (int fd = 0; fd < 3; fd++)
            (void)dup2(null, fd);
    (void)execlp(program, program, url, (char *)NULL);
    _exit(127);
}

bool browser_open(const char *url)
{
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        pid_t own = fork();
        if (own == 0)
            become(url);
        _exit(own < 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}
