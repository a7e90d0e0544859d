/*
 * broker-cli doctor: what is wrong on this machine, each with the command that mends it. A list of
 * checks; each says good, note or wrong. Works without a broker too: then that is the first thing
 * it finds. What this user may not look at is never called wrong.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/home.h"
#include <broker/provider.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum finding { GOOD, NOTE, WRONG };
struct doctor {
    struct verb_common common;
    json_t *status; /* NULL: no broker answers */
    err_t answer;   /* to the question for it */
    struct why no_broker;
    struct jsonw *w; /* with --json */
    unsigned count[3];
};

/* `remedy` NULL: nothing is to be done. */
static void say(struct doctor *d, enum finding f, const char *what, const char *detail,
                const char *remedy)
{
    static const char *const word[] = {"ok", "note", "wrong"};
    static const enum shade colour[] = {SHADE_GOOD, SHADE_NOTE, SHADE_BAD};
    d->count[f]++;
    if (d->w) {
        jsonw_open(d->w, NULL, '{');
        jsonw_str(d->w, "check", what);
        jsonw_str(d->w, "result", word[f]);
        jsonw_str(d->w, "detail", detail);
        jsonw_str(d->w, "remedy", remedy);
        jsonw_close(d->w, '}');
        return;
    }
    (void)printf("%s%-5s%s  %-17s%s\n", shade(colour[f]), word[f], shade(SHADE_NONE), what, detail);
    if (remedy)
        (void)printf("%-24smend it with: %s\n", "", remedy);
}

/* ---- the broker */

static void check_broker(struct doctor *d)
{
    static const struct {
        const char *state, *remedy;
    } row[] = {{"uninitialised", "broker-cli init"},
               {"locked", "broker-cli unlock"},
               {"rollback", "broker-cli store accept"}};
    if (!d->status) {
        say(d, WRONG, "broker", d->no_broker.text,
            d->answer == ERR_DENIED ? "sudo broker-cli doctor"
                                    : "brokerd &   (or: systemctl start credential-broker)");
        return;
    }
    for (size_t i = 0; i < COUNT(row); i++)
        if (text_is(d->status, "state", row[i].state)) {
            const char *reason = text_of(d->status, "reason");
            say(d, WRONG, "store", reason[0] ? reason : row[i].state, row[i].remedy);
            return;
        }
    say(d, GOOD, "broker", "it answers, and its store is open", NULL);
}

static void check_version(struct doctor *d)
{
    char text[128];
    const char *theirs = text_of(d->status, "version");
    if (!d->status || text_is(d->status, "version", BROKER_VERSION))
        return;
    (void)snprintf(text, sizeof(text), "the broker is %.32s, this program " BROKER_VERSION,
                   theirs[0] ? theirs : "older");
    say(d, NOTE, "version", text, "restart brokerd, or install both from one package");
}

static void check_audit(struct doctor *d)
{
    const char *health = text_of(json_object_get(d->status, "audit"), "health");
    char remedy[320];
    if (!d->status)
        return;
    (void)snprintf(remedy, sizeof(remedy),
                   "df -h %.200s   (service comes back by itself once there is room)",
                   text_of(d->status, "state_dir"));
    if (strcmp(health, "ok") == 0)
        say(d, GOOD, "audit log", "it can be written", NULL);
    else
        say(d, WRONG, "audit log", health[0] ? health : "the broker does not say", remedy);
}

static void check_keys(struct doctor *d)
{
    size_t n = json_array_size(json_object_get(d->status, "keys"));
    if (n > 1)
        say(d, GOOD, "key slots", "more than one key opens the store", NULL);
    else if (n == 1)
        say(d, NOTE, "key slots", "only one key opens the store: if it is lost, all is",
            "broker-cli key add passphrase");
}

static void check_workers(struct doctor *d)
{
    const json_t *list = json_object_get(d->status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        char text[128];
        if (int_of(w, "restarts") == 0)
            continue;
        (void)snprintf(text, sizeof(text), "the worker %.32s was restarted %" PRId64 " times",
                       text_of(w, "role"), int_of(w, "restarts"));
        say(d, NOTE, "workers", text,
            "journalctl -u credential-broker   (or what brokerd wrote to standard error) says why");
    }
}

static void check_proxy(struct doctor *d)
{
    const json_t *p = json_object_get(d->status, "proxy");
    int64_t wanted = int_of(p, "workers"), ready = int_of(p, "ready");
    char text[128];
    if (wanted == 0)
        return;
    (void)snprintf(text, sizeof(text), "%" PRId64 " of %" PRId64 " workers are up", ready, wanted);
    say(d, ready == wanted ? GOOD : WRONG, "proxy", text,
        ready == wanted ? NULL
                        : "install brokerd-proxy beside brokerd, or look at what brokerd wrote to "
                          "standard error");
}

static void check_logins(struct doctor *d)
{
    const json_t *list = json_object_get(d->status, "logins");
    bool well = json_array_size(list) > 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        const char *error = text_of(json_object_get(c, "refresh"), "error");
        bool dead = text_is(c, "state", "needs_login");
        char text[512];
        if ((!dead && !error[0]) || text_is(c, "state", "released"))
            continue;
        well = false;
        (void)snprintf(text, sizeof(text), "%.64s: %.400s", text_of(c, "name"),
                       error[0] ? error : "its provider ended it");
        say(d, dead ? WRONG : NOTE, "login", text, text_of(c, "remedy"));
    }
    if (well)
        say(d, GOOD, "logins", "each works, as far as the broker knows", NULL);
}

/* ---- places */

static void check_directory(struct doctor *d, const char *what, const char *path, mode_t forbidden)
{
    struct stat st;
    char text[640], remedy[640];
    if (stat(path, &st) != 0) {
        bool hidden = errno == EACCES;
        (void)snprintf(text, sizeof(text), "%.500s: %s", path, strerror(errno));
        say(d, hidden ? NOTE : WRONG, what, text,
            hidden ? "sudo broker-cli doctor   (this user may not look at it)"
                   : "restart brokerd: it makes it");
        return;
    }
    if ((st.st_mode & forbidden) == 0) {
        say(d, GOOD, what, path, NULL);
        return;
    }
    (void)snprintf(text, sizeof(text), "%.500s has mode %04o: others than its owner get in", path,
                   st.st_mode & 07777);
    (void)snprintf(remedy, sizeof(remedy), "chmod %04o %.500s", st.st_mode & 07777 & ~forbidden,
                   path);
    say(d, WRONG, what, text, remedy);
}

static void check_sockets(struct doctor *d)
{
    const json_t *list = json_object_get(d->status, "consumers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *path = text_of(json_array_get(list, i), "socket");
        char text[320];
        struct stat st;
        if (stat(path, &st) == 0 || errno == EACCES)
            continue;
        (void)snprintf(text, sizeof(text), "%.256s: %s", path, strerror(errno));
        say(d, WRONG, "socket", text, "broker-cli reload");
    }
}

static void check_places(struct doctor *d)
{
    if (!d->status)
        return;
    check_directory(d, "state directory", text_of(d->status, "state_dir"), 0077);
    check_directory(d, "run directory", text_of(d->status, "run_dir"), 0022);
    AUTO(auto_close)
    int run = open(text_of(d->status, "run_dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run >= 0 && !file_is_memory_fs(run))
        say(d, NOTE, "run directory", "it is not on tmpfs: file delivery is refused there",
            "brokerd --run DIR on tmpfs, or files_on_disk: true in broker.yaml");
    check_sockets(d);
}

/* ---- the machine */

/* What the broker got; where none runs, what one started from here would get. */
static void check_memory(struct doctor *d)
{
    struct rlimit rl = {0};
    char text[128];
    if (d->status) {
        bool best = text_is(d->status, "memory_lock", "memfd_secret");
        say(d, best ? GOOD : NOTE, "memory locking", text_of(d->status, "memory_lock"),
            best
                ? NULL
                : "boot with secretmem.enable=1: then secrets leave the kernel's own mappings too");
        return;
    }
    (void)getrlimit(RLIMIT_MEMLOCK, &rl);
    if (rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur >= (4u << 20) || geteuid() == 0)
        return;
    (void)snprintf(text, sizeof(text),
                   "RLIMIT_MEMLOCK is %" PRIu64
                   " KiB here; a broker started from this shell wants 4096",
                   (uint64_t)rl.rlim_cur >> 10);
    say(d, WRONG, "memory locking", text, "ulimit -l 8192   (LimitMEMLOCK=8M in the unit)");
}

static void check_kernel(struct doctor *d)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    char text[96];
    if (abi > 0)
        (void)snprintf(text, sizeof(text), "Landlock ABI %ld", abi);
    say(d, abi > 0 ? GOOD : NOTE, "kernel",
        abi > 0 ? text : "no Landlock: files are guarded by seccomp and modes only",
        abi > 0 ? NULL : "boot with lsm=landlock,… (Linux 5.13 and later)");
    if (d->status)
        say(d, GOOD, "sandbox", text_of(d->status, "sandbox"), NULL);
}

static void check_clock(struct doctor *d)
{
    const int64_t written_ms = INT64_C(1763700000000); /* November 2025: before this program was */
    bool good = clock_wall_ms() > written_ms;
    say(d, good ? GOOD : WRONG, "clock",
        good ? "it is later than this program" : "it is in the past: every login looks valid",
        good ? NULL : "timedatectl set-ntp true");
}

/* ---- this user */

static void check_environment(struct doctor *d)
{
    static const char *const names[] = {
        "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY",
        "CODEX_API_KEY",     "GEMINI_API_KEY",       "GOOGLE_API_KEY"};
    unsigned found = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[128], remedy[96];
        if (!getenv(names[i]))
            continue;
        found++;
        (void)snprintf(text, sizeof(text),
                       "%s is set here; it beats what the broker gives, except under broker-exec",
                       names[i]);
        (void)snprintf(remedy, sizeof(remedy),
                       "unset %s   (and take it out of your shell's start-up file)", names[i]);
        say(d, NOTE, "environment", text, remedy);
    }
    if (!found)
        say(d, GOOD, "environment", "no conflicting variables", NULL);
}

/* What `enroll --from-home` leaves there: an access token alone, kept fresh by the broker. */
static bool is_taken_over(const char *path, const char *provider)
{
    const struct home_form *form = home_form(provider);
    AUTO(buf_free) struct buf text = {.max = HOME_FILE_MAX};
    struct why why = {0};
    return form && file_read_at(AT_FDCWD, path, HOME_FILE_MAX, &text, &why) == ERR_OK &&
           home_state(form, buf_view(&text)) == HOME_PROJECTED;
}

static bool check_login(struct doctor *d, const char *path, const char *provider)
{
    char text[640], remedy[640];
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    bool open_to_all = st.st_mode & 077;
    if (!open_to_all && is_taken_over(path, provider)) {
        (void)snprintf(text, sizeof(text), "%.500s holds a short-lived token alone", path);
        say(d, GOOD, "login file", text, NULL);
        return false;
    }
    (void)snprintf(text, sizeof(text), "%.500s is a login in the clear%s", path,
                   open_to_all ? ", and others can read it" : "");
    if (home_form(provider))
        (void)snprintf(remedy, sizeof(remedy), "broker-cli enroll --from-home %s", provider);
    else
        (void)snprintf(remedy, sizeof(remedy),
                       "broker-cli enroll %s --provider %s --file %.400s, then remove the file",
                       provider, provider, path);
    say(d, open_to_all ? WRONG : NOTE, "leftover login", text, remedy);
    return true;
}

/* Providers say themselves where a program keeps its login. */
static void check_home(struct doctor *d)
{
    const char *home = getenv("HOME");
    bool found = false;
    for (const struct provider *const *p = providers; home && *p; p++) {
        char path[512];
        if (!(*p)->home_file)
            continue;
        (void)snprintf(path, sizeof(path), "%.300s/%s", home, (*p)->home_file);
        found |= check_login(d, path, (*p)->name);
    }
    if (!found)
        say(d, GOOD, "leftover logins", "none in your home", NULL);
}

/* ---- the verb */

static void check_all(struct doctor *d)
{
    static void (*const checks[])(struct doctor *) = {
        check_broker,  check_version,     check_audit,  check_logins, check_keys,
        check_workers, check_proxy,       check_places, check_memory, check_kernel,
        check_clock,   check_environment, check_home};
    d->answer = admin_get(&d->common, "/v1/status", &d->status, &d->no_broker);
    for (size_t i = 0; i < COUNT(checks); i++)
        checks[i](d);
    json_decref(d->status);
}

static const struct option_row rows[] = {VERB_ROWS(struct doctor)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

int verb_doctor(int argc, char **argv)
{
    AUTO(buf_free) struct buf out = {0};
    struct doctor d = {.status = NULL};
    struct operands rest = {0};
    struct why why = {0};
    struct jsonw w = jsonw_to(&out);
    (void)argc;
    int done = verb_begin(&options, argv, &d, &d.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    err_t e = no_operands(&rest, &why);
    if (e != ERR_OK)
        return verb_end(argv[0], &d.common, e, &why);
    if (d.common.json) {
        d.w = &w;
        jsonw_open(&w, NULL, '[');
    }
    check_all(&d);
    if (d.w) {
        jsonw_close(&w, ']');
        buf_add_str(&out, "\n");
        e = verb_write(&out, &why);
    } else {
        (void)printf("%u good, %u to note, %u wrong\n", d.count[GOOD], d.count[NOTE],
                     d.count[WRONG]);
    }
    return e != ERR_OK ? verb_end(argv[0], &d.common, e, &why) : d.count[WRONG] ? 1 : 0;
}
