/*
 * broker-cli keep: after a transfer, keeps a program's own login file fresh. It holds a lease of delivery `file`, and whenever the broker projects
 * a new one, or the program writes its own, takes the tokens of the first over into the second, under the program's locks; the rest of the file is
 * the program's. A login of its own that appears in the file is never overwritten: then this ends and says so.
 * A regular file that is merged, not a link to the projected one: the programs replace a link when they write (Claude Code keeps other logins in
 * the same file), and what they would write through it is not ours to lose. The broker itself does not do it, because the vault parses no JSON and
 * writes into no home.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/home_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { LOOK_MS = 30000, RETRY_MS = 1000, RETRY_MOST_MS = 30000 };

struct keep_options {
    struct verb_common common;
    const char *home, *consumer, *program;
    bool once;
};
static const struct option_row rows[] = {
    {"program", OPTION_TEXT, offsetof(struct keep_options, program), "PROGRAM",
     "claude or codex; the login's own when not given"},
    {"home", OPTION_TEXT, offsetof(struct keep_options, home), "DIR",
     "the home that the program's directory is in"},
    {"consumer", OPTION_TEXT, offsetof(struct keep_options, consumer), "NAME",
     "whose socket; home-UID when not given"},
    {"once", OPTION_FLAG, offsetof(struct keep_options, once), NULL,
     "bring it up to date, and end"},
    VERB_ROWS(struct keep_options)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

struct keep {
    const struct keep_options *o;
    const char *name;
    struct broker_client *client;
    struct broker_lease lease;
    char projected[PATH_MAX]; /* "" without a lease */
    const struct home_form *form;
    int watch;
    bool begun; /* the file was once as it should be */
};

static void let_go(struct keep *k)
{
    struct why unheard = {0};
    if (k->client && k->lease.id[0])
        (void)!broker_lease_end(k->client, k->lease.id, &unheard);
    broker_lease_free(&k->lease);
    broker_close(k->client);
    k->client = NULL;
    k->lease = (struct broker_lease){0};
    k->projected[0] = '\0';
}

static void keep_free(struct keep *k)
{
    let_go(k);
    if (k->watch >= 0)
        close(k->watch);
}

/* ---- the lease */

static MUST err_t connect_to(struct keep *k, char socket[BROKER_SOCKET_ROOM], struct why *why)
{
    const struct home_file own = {.owner = geteuid()};
    char room[HOME_CONSUMER_ROOM];
    const char *consumer = home_file_consumer(&own, k->o->consumer, room);
    TRY(broker_socket_find(k->o->common.socket, consumer, socket, why));
    return broker_connect(socket, 0, &k->client, why);
}

static MUST err_t take_lease(struct keep *k, struct why *why)
{
    const struct broker_lease_ask ask = {
        .credential = k->name, .delivery = "file", .owner_process = true};
    char socket[BROKER_SOCKET_ROOM];
    TRY(connect_to(k, socket, why));
    TRY(broker_lease(k->client, &ask, &k->lease, why));
    const char *slash = strrchr(socket, '/');
    const char *program = k->o->program ? k->o->program : k->lease.provider;
    k->form = home_form(program ? program : "");
    if (!k->form)
        return fail(why, ERR_USAGE, "\"%s\" is no login of claude or codex", k->name);
    int n =
        snprintf(k->projected, sizeof(k->projected), "%.*s/%s", slash ? (int)(slash - socket) : 1,
                 slash ? socket : ".", k->lease.file ? k->lease.file : "");
    if (n < 0 || (size_t)n >= sizeof(k->projected) || !k->lease.file)
        return fail(why, ERR_INVALID, "the broker names no file for %s", k->name);
    return ERR_OK;
}

/* ---- the two files */

static MUST err_t own_login(const struct home_file *h, struct why *why)
{
    return fail(why, ERR_EXISTS,
                "a login of its own is in %.150s, which is not overwritten: to take it over: "
                "broker-cli enroll --from-home %s --replace",
                h->path, h->form->name);
}

static MUST err_t check_state(const struct keep *k, const struct home_file *h, struct view text,
                              struct why *why)
{
    switch (home_state(h->form, text)) {
    case HOME_LOGIN:
        return own_login(h, why);
    case HOME_FOREIGN:
        return fail(why, ERR_INVALID, "%.180s cannot be read as a login of %s", h->path,
                    h->form->name);
    case HOME_NOTHING:
        return k->begun ? fail(why, ERR_DENIED,
                               "%s was logged out; to log it in again: broker-cli keep %s",
                               h->form->name, k->name)
                        : ERR_OK;
    case HOME_PROJECTED:
        break;
    }
    return ERR_OK;
}

static MUST err_t merged(const struct home_file *h, struct view projected, struct buf *text,
                         bool *differs, struct why *why)
{
    AUTO(buf_free) struct buf before = {.max = text->max};
    buf_add_view(&before, buf_view(text));
    TRY(home_merge(h->form, text, projected, why));
    *differs = !view_eq(buf_view(&before), buf_view(text));
    return buf_ok(&before, why);
}

/* ERR_NOT_FOUND: the lease has ended. */
static MUST err_t bring_up_to_date(struct keep *k, struct why *why)
{
    AUTO(home_file_close) struct home_file h = {0};
    AUTO(buf_free) struct buf projected = {.max = HOME_FILE_MAX};
    AUTO(buf_free) struct buf text = {.max = 2 * HOME_FILE_MAX}, again = {.max = 2 * HOME_FILE_MAX};
    bool differs = false;
    TRY(file_read_at(AT_FDCWD, k->projected, HOME_FILE_MAX, &projected, why));
    if (home_state(k->form, buf_view(&projected)) != HOME_PROJECTED)
        return ERR_OK; /* the broker has nothing that is of use just now, and the program's own may be */
    TRY(home_file_open(k->form, k->o->home, &h, why));
    TRY(home_file_read(&h, &text, why));
    TRY(check_state(k, &h, buf_view(&text), why));
    TRY(merged(&h, buf_view(&projected), &text, &differs, why));
    if (differs) {
        TRY(home_file_lock(&h, why));
        TRY(home_file_read(&h, &again, why));
        TRY(check_state(k, &h, buf_view(&again), why));
        TRY(merged(&h, buf_view(&projected), &again, &differs, why));
        TRY(home_file_write(&h, buf_view(&again), why));
    }
    k->begun = true;
    return ERR_OK;
}

/* ---- waiting */

static void watch_dir_of(struct keep *k, const char *file)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (!slash || k->watch < 0)
        return;
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - file), file);
    (void)inotify_add_watch(k->watch, dir,
                            IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_DELETE_SELF);
}

static void wait_for_news(struct keep *k)
{
    AUTO(home_file_close) struct home_file h = {0};
    struct why unheard = {0};
    char events[4096];
    watch_dir_of(k, k->projected);
    if (home_file_open(k->form, k->o->home, &h, &unheard) == ERR_OK)
        watch_dir_of(k, h.path);
    struct pollfd p = {.fd = k->watch, .events = POLLIN};
    if (poll(&p, 1, LOOK_MS) > 0)
        while (read(k->watch, events, sizeof(events)) > 0)
            ;
}

static bool may_pass(err_t e)
{
    static const err_t passing[] = {ERR_NO_BROKER, ERR_LOCKED,      ERR_UNINIT,
                                    ERR_AUDIT,     ERR_TIMEOUT,     ERR_UNAVAILABLE,
                                    ERR_LIMIT,     ERR_NEEDS_LOGIN, ERR_CONFLICT};
    for (size_t i = 0; i < COUNT(passing); i++)
        if (passing[i] == e)
            return true;
    return false;
}

static MUST err_t keep_on(struct keep *k, struct why *why)
{
    int pause = RETRY_MS;
    for (;;) {
        err_t e = k->projected[0] ? ERR_OK : take_lease(k, why);
        bool leased = e == ERR_OK;
        if (e == ERR_OK)
            e = bring_up_to_date(k, why);
        if (k->o->once && e != ERR_NOT_FOUND)
            return e;
        if (e == ERR_OK) {
            pause = RETRY_MS;
            wait_for_news(k);
            continue;
        }
        if (!(leased && e == ERR_NOT_FOUND) && !may_pass(e))
            return e;
        let_go(k);
        (void)poll(NULL, 0, pause);
        pause = pause < RETRY_MOST_MS ? 2 * pause : pause;
    }
}

int verb_keep(int argc, char **argv)
{
    struct keep_options o = {0};
    struct operands rest = {0};
    struct why why = {0};
    (void)argc;
    int done = verb_begin(&options, argv, &o, &o.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    AUTO(keep_free)
    struct keep k = {.o = &o, .name = rest.at[0], .watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    err_t e = rest.n == 1 ? keep_on(&k, &why)
                          : fail(&why, ERR_USAGE, "which login? broker-cli keep NAME");
    return verb_end("keep", &o.common, e, &why);
}
