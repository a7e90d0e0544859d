/*
 * What a start costs. Prints one line of ms.
 *     start_bench lease SOCKET BODY -- COMMAND...     from exec to the first answer to POST /v1/leases with BODY; the command is then
 *                                                     asked to end (SIGTERM) and waited for
 *     start_bench pair N -- COMMAND... -- OTHER...    medians of N runs each from vfork to the end, in turn, their output thrown away,
 *                                                     and the median of the differences
 */
#include <broker/client.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
enum { MAX_RUNS = 1000, GIVE_UP_MS = 20000, TRY_EVERY_US = 200 };

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static pid_t start(char **command, bool quiet)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    if (quiet)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if ((errno = posix_spawnp(&pid, command[0], &actions, NULL, command, environ)) != 0) {
        fprintf(stderr, "start_bench: %s: %s\n", command[0], strerror(errno));
        exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* ---- to the first lease */

static bool leased(const char *sock, const char *body, struct why *why)
{
    struct broker_client *c = NULL;
    const struct broker_request rq = {
        .method = "POST", .path = "/v1/leases", .body = body, .body_len = strlen(body)};
    const char *reply;
    size_t n;
    err_t e = broker_connect(sock, 1000, &c, why);
    if (e == ERR_OK)
        e = broker_call_ok(c, &rq, &reply, &n, why);
    broker_close(c);
    return e == ERR_OK;
}

static int first_lease(const char *sock, const char *body, char **command)
{
    struct why why = {0};
    bool good = false;
    int status;
    double began = now_ms(), took = 0;
    pid_t pid = start(command, true);
    while (!(good = leased(sock, body, &why)) && (took = now_ms() - began) < GIVE_UP_MS &&
           waitpid(pid, &status, WNOHANG) == 0)
        usleep(TRY_EVERY_US);
    took = now_ms() - began;
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, &status, 0);
    if (!good) {
        fprintf(stderr, "start_bench: no lease: %s\n", why.text);
        return 1;
    }
    printf("first_lease ms=%.2f\n", took);
    return 0;
}

/* ---- two programs in turn */

static double once(char **command)
{
    int status;
    double began = now_ms();
    pid_t pid = start(command, true);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "start_bench: %s ended with status %d\n", command[0], status);
        exit(1);
    }
    return now_ms() - began;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
    return v[n / 2];
}

static int in_turn(int n, char **one, char **other)
{
    static double a[MAX_RUNS], b[MAX_RUNS], d[MAX_RUNS];
    (void)once(one);
    (void)once(other);
    for (int i = 0; i < n; i++) {
        a[i] = once(one);
        b[i] = once(other);
        d[i] = b[i] - a[i];
    }
    double one_ms = median(a, n), other_ms = median(b, n), difference = median(d, n);
    printf("pair one_ms=%.3f other_ms=%.3f difference_ms=%.3f\n", one_ms, other_ms, difference);
    return 0;
}

/* The arguments after the next "--"; that becomes the end of those before it. */
static char **after_dashes(char **argv)
{
    while (*argv && strcmp(*argv, "--") != 0)
        argv++;
    if (!*argv)
        return NULL;
    *argv = NULL;
    return argv + 1;
}

int main(int argc, char **argv)
{
    char **one = argc > 1 ? after_dashes(argv + 1) : NULL, **other = one ? after_dashes(one) : NULL;
    if (one && *one && !other && strcmp(argv[1], "lease") == 0 && argv[2] && argv[3])
        return first_lease(argv[2], argv[3], one);
    int n = other && *one && *other && argv[2] ? atoi(argv[2]) : 0;
    if (n >= 1 && n <= MAX_RUNS && strcmp(argv[1], "pair") == 0)
        return in_turn(n, one, other);
    fprintf(
        stderr,
        "usage: start_bench lease SOCKET BODY -- COMMAND... | pair N -- COMMAND... -- OTHER...\n");
    return 2;
}
