/*
 * Health of logins. Following asks for the status once a second and shows what is different from before: the broker pushes nothing, so a
 * follower costs it one small answer a second and holds nothing open.
 */
#include "cli/logins.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

enum { PAUSE_MS = 1000, LINE = 512 };

static const char *state_of(const json_t *login)
{
    const json_t *r = json_object_get(login, "refresh");
    if (!text_is(login, "state", "ok") && !text_is(login, "state", "expired"))
        return text_of(login, "state");
    if (json_is_true(json_object_get(r, "running")))
        return "renewing";
    return int_of(r, "failures") ? "failing" : text_of(login, "state");
}

static enum shade shade_of(const char *state)
{
    if (strcmp(state, "ok") == 0 || strcmp(state, "renewing") == 0)
        return SHADE_GOOD;
    return strcmp(state, "failing") == 0 ? SHADE_NOTE : SHADE_BAD;
}

/* "in 7h 12m", "40s ago", "-" */
static const char *span_to(int64_t at_ms, char out[SPAN_ROOM + 8])
{
    char span[SPAN_ROOM];
    int64_t left = at_ms - clock_wall_ms();
    if (at_ms == 0)
        return "-";
    (void)snprintf(out, SPAN_ROOM + 8, left > 0 ? "in %s" : "%s ago",
                   span_of(left > 0 ? left : -left, span));
    return out;
}

static void print_trouble(const json_t *login)
{
    const json_t *r = json_object_get(login, "refresh");
    const char *remedy = text_of(login, "remedy"), *error = text_of(r, "error");
    if (!remedy[0] && !error[0])
        return;
    (void)printf("  %s%s%s: %s%s%s\n", shade(shade_of(state_of(login))), text_of(login, "name"),
                 shade(SHADE_NONE), error[0] ? error : state_of(login), remedy[0] ? "; " : "",
                 remedy);
}

err_t logins_print(const json_t *logins, struct why *why)
{
    static const char *const head[] = {"LOGIN",   "PROVIDER", "STATE",    "ENDS",
                                       "RENEWED", "NEXT",     "CONSUMERS"};
    AUTO(table_free) struct table t = table_of(COUNT(head));
    if (json_array_size(logins) == 0)
        return ERR_OK;
    table_row(&t, head);
    for (size_t i = 0; i < json_array_size(logins); i++) {
        const json_t *c = json_array_get(logins, i), *r = json_object_get(c, "refresh");
        char ends[SPAN_ROOM + 8], last[SPAN_ROOM + 8], next[SPAN_ROOM + 8], who[128];
        table_row(&t, (const char *const[]){text_of(c, "name"), text_of(c, "provider"), state_of(c),
                                            span_to(int_of(c, "expires_at_ms"), ends),
                                            span_to(int_of(r, "last_at_ms"), last),
                                            span_to(int_of(r, "next_at_ms"), next),
                                            list_of(c, "consumers", who, sizeof(who))});
    }
    TRY(table_print(&t, "  ", stdout, why));
    for (size_t i = 0; i < json_array_size(logins); i++)
        print_trouble(json_array_get(logins, i));
    return ERR_OK;
}

/* ---- following */

/* What makes a login look different from before. */
static void signature(const json_t *c, char out[LINE])
{
    const json_t *r = json_object_get(c, "refresh");
    (void)snprintf(out, LINE, "%s %s %" PRId64 " %" PRId64 " %s", text_of(c, "name"), state_of(c),
                   int_of(c, "version"), int_of(r, "failures"), text_of(r, "error"));
}

static const json_t *same_name(const json_t *list, const json_t *login)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (text_is(json_array_get(list, i), "name", text_of(login, "name")))
            return json_array_get(list, i);
    return NULL;
}

static bool differs(const json_t *before, const json_t *now)
{
    char a[LINE], b[LINE];
    if (!before)
        return true;
    signature(before, a);
    signature(now, b);
    return strcmp(a, b) != 0;
}

static void print_change(const struct verb_common *common, const json_t *c)
{
    char now[CLOCK_RFC3339_LEN + 1], ends[SPAN_ROOM + 8];
    const char *remedy = text_of(c, "remedy");
    if (common->json) {
        (void)json_dumpf(c, stdout, JSON_COMPACT);
        (void)putchar('\n');
        return;
    }
    clock_rfc3339(clock_wall_ms(), now);
    (void)printf("%s  %-16s %s%s%s, version %" PRId64 ", ends %s", now, text_of(c, "name"),
                 shade(shade_of(state_of(c))), state_of(c), shade(SHADE_NONE), int_of(c, "version"),
                 span_to(int_of(c, "expires_at_ms"), ends));
    const char *error = text_of(json_object_get(c, "refresh"), "error");
    (void)printf("%s%s%s%s\n", error[0] ? ": " : "", error, remedy[0] ? "; " : "", remedy);
}

static err_t step(const struct verb_common *common, json_t **seen, struct why *why)
{
    AUTO(auto_json) json_t *reply = NULL;
    TRY(admin_get(common, "/v1/status", &reply, why));
    json_t *now = json_object_get(reply, "logins");
    for (size_t i = 0; i < json_array_size(now); i++)
        if (differs(same_name(*seen, json_array_get(now, i)), json_array_get(now, i)))
            print_change(common, json_array_get(now, i));
    json_decref(*seen);
    *seen = json_incref(now);
    return ERR_OK;
}

err_t logins_follow(const struct verb_common *common, struct why *why)
{
    AUTO(auto_json) json_t *seen = NULL;
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGINT);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    AUTO(auto_close) int signals = signalfd(-1, &stop, SFD_CLOEXEC);
    if (signals < 0)
        return fail_errno(why, errno, "signalfd");
    for (;;) {
        struct pollfd p[] = {{.fd = signals, .events = POLLIN}, {.fd = STDOUT_FILENO}};
        TRY(step(common, &seen, why));
        bool unread = fflush(stdout) != 0 && errno == EPIPE;
        (void)poll(p, COUNT(p), unread ? 0 : PAUSE_MS);
        if (p[0].revents)
            return ERR_OK;
        if (unread || p[1].revents)
            return freopen("/dev/null", "we", stdout) ? ERR_OK
                                                      : fail_errno(why, errno, "/dev/null");
    }
}
