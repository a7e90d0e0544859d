/*
 * broker-cli doctor: what is wrong on this machine, each with the command that mends it. A list of checks; each says good, warning or
 * wrong. Works without a broker too: then that is the first thing it finds.
 */
#include "cli/admin.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum finding { GOOD, NOTE, WRONG };
struct doctor {
    struct verb_common common;
    json_t *status;         /* NULL: no broker answers */
    struct why no_broker;
    struct jsonw *w;        /* with --json */
    bool colour;
    unsigned count[3];
};

static void say(struct doctor *d, enum finding f, const char *what, const char *detail, const char *remedy)
{
    static const char *const word[] = {"ok", "note", "wrong"}, *const shade[] = {"\033[32m", "\033[33m", "\033[31m"};
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
    (void)printf("%s%-5s%s %-18s %s\n", d->colour ? shade[f] : "", word[f], d->colour ? "\033[0m" : "", what, detail);
    if (remedy)
        (void)printf("      %-18s mend it with: %s\n", "", remedy);
}

static void check_broker(struct doctor *d)
{
    const char *state = d->status ? text_of(d->status, "state") : "";
    if (!d->status) {
        say(d, WRONG, "broker", d->no_broker.text, "brokerd &   (or: systemctl start credential-broker)");
        return;
    }
    static const struct {
        const char *state, *remedy;
    } row[] = {{"uninitialised", "broker-cli init"}, {"locked", "broker-cli unlock"}, {"rollback", "broker-cli store accept"}};
    for (size_t i = 0; i < COUNT(row); i++)
        if (strcmp(state, row[i].state) == 0) {
            say(d, WRONG, "store", text_of(d->status, "reason"), row[i].remedy);
            return;
        }
    say(d, GOOD, "broker", "it answers, and its store is open", NULL);
}

static void check_audit(struct doctor *d)
{
    const char *health = d->status ? text_of(json_object_get(d->status, "audit"), "health") : "ok";
    if (d->status && strcmp(health, "ok") == 0)
        say(d, GOOD, "audit log", "it can be written", NULL);
    else if (d->status)
        say(d, WRONG, "audit log", health, "df -h the state directory, and make room; service comes back by itself");
}

static void check_memory(struct doctor *d)
{
    struct rlimit rl = {0};
    char text[128];
    const char *kind = d->status ? text_of(d->status, "memory_lock") : "";
    if (d->status)
        say(d, strcmp(kind, "memfd_secret") == 0 ? GOOD : NOTE, "memory locking", kind,
            strcmp(kind, "memfd_secret") == 0 ? NULL : "boot with secretmem.enable=1 to keep secrets from the kernel's own mappings too");
    (void)getrlimit(RLIMIT_MEMLOCK, &rl);
    if (rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur >= (4u << 20) || geteuid() == 0)
        return;
    (void)snprintf(text, sizeof(text), "RLIMIT_MEMLOCK is %llu KiB here; a broker started from this shell wants 4096",
                   (unsigned long long)rl.rlim_cur >> 10);
    say(d, WRONG, "memory locking", text, "ulimit -l 8192   (LimitMEMLOCK=8M in the unit)");
}

static void check_kernel(struct doctor *d)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    char text[96];
    (void)snprintf(text, sizeof(text), abi > 0 ? "Landlock ABI %ld" : "no Landlock: files are guarded by seccomp and modes only", abi);
    say(d, abi > 0 ? GOOD : NOTE, "kernel", text, abi > 0 ? NULL : "boot with lsm=landlock,… (Linux 5.13 and later)");
    if (d->status)
        say(d, GOOD, "sandbox", text_of(d->status, "sandbox"), NULL);
}

static void check_clock(struct doctor *d)
{
    int64_t built = 1763700000000; /* November 2025: before this code was written */
    bool good = clock_wall_ms() > built;
    say(d, good ? GOOD : WRONG, "clock", good ? "it is later than this program" : "the wall clock is in the past: every login looks valid",
        good ? NULL : "timedatectl set-ntp true");
}

static void check_environment(struct doctor *d)
{
    static const char *const names[] = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY",
                                        "CODEX_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"};
    unsigned found = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[128], remedy[96];
        if (!getenv(names[i]))
            continue;
        found++;
        (void)snprintf(text, sizeof(text), "%s is set here; it beats what the broker injects, except under broker-exec", names[i]);
        (void)snprintf(remedy, sizeof(remedy), "unset %s   (and take it out of your shell's start-up file)", names[i]);
        say(d, NOTE, "environment", text, remedy);
    }
    if (!found)
        say(d, GOOD, "environment", "no conflicting variables", NULL);
}

static void check_home(struct doctor *d)
{
    static const struct {
        const char *file, *provider;
    } row[] = {{".claude/.credentials.json", "claude"}, {".codex/auth.json", "codex"}, {".gemini/oauth_creds.json", "gemini"}};
    const char *home = getenv("HOME");
    unsigned found = 0;
    for (size_t i = 0; home && i < COUNT(row); i++) {
        char path[512], text[640], remedy[640];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", home, row[i].file);
        if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        found++;
        (void)snprintf(text, sizeof(text), "%s is a login in the clear%s", path, st.st_mode & 077 ? ", and others can read it" : "");
        (void)snprintf(remedy, sizeof(remedy), "broker-cli enroll %s --provider %s --file %s, then remove the file", row[i].provider,
                       row[i].provider, path);
        say(d, st.st_mode & 077 ? WRONG : NOTE, "leftover login", text, remedy);
    }
    if (!found)
        say(d, GOOD, "leftover logins", "none in your home", NULL);
}

static void check_directory(struct doctor *d, const char *what, const char *path, mode_t forbidden)
{
    struct stat st;
    char text[640], remedy[640];
    if (stat(path, &st) != 0) {
        if (errno != EACCES) {
            (void)snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
            say(d, WRONG, what, text, "restart the broker: it makes it");
        }
        return;
    }
    if (st.st_mode & forbidden) {
        (void)snprintf(text, sizeof(text), "%s has mode %04o", path, st.st_mode & 07777);
        (void)snprintf(remedy, sizeof(remedy), "chmod %04o %s", st.st_mode & 07777 & ~forbidden, path);
        say(d, WRONG, what, text, remedy);
        return;
    }
    say(d, GOOD, what, path, NULL);
}

static void check_places(struct doctor *d)
{
    const json_t *c;
    size_t i;
    if (!d->status)
        return;
    check_directory(d, "state directory", text_of(d->status, "state_dir"), 0077);
    check_directory(d, "run directory", text_of(d->status, "run_dir"), 0022);
    AUTO(auto_close) int run = open(text_of(d->status, "run_dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run >= 0 && !file_is_memory_fs(run))
        say(d, NOTE, "run directory", "it is not on tmpfs: file delivery is refused there", "brokerd --run /run/… on tmpfs, or files_on_disk: true");
    json_array_foreach(json_object_get(d->status, "consumers"), i, c) {
        struct stat st;
        if (stat(text_of(c, "socket"), &st) != 0 && errno != EACCES)
            say(d, WRONG, "socket", text_of(c, "socket"), "broker-cli reload");
    }
}

static void check_keys(struct doctor *d)
{
    size_t n = json_array_size(json_object_get(d->status, "keys"));
    if (!d->status || n == 0)
        return;
    say(d, n > 1 ? GOOD : NOTE, "key slots", n > 1 ? "more than one key opens the store" : "only one key opens the store: if it is lost, all is",
        n > 1 ? NULL : "broker-cli key add passphrase");
}

static const struct option_row rows[] = {VERB_ROWS(struct doctor)};
static const struct options options = {.rows = rows, .n = COUNT(rows)};

int verb_doctor(int argc, char **argv)
{
    static void (*const checks[])(struct doctor *) = {check_broker, check_audit, check_keys, check_places, check_memory,
                                                      check_kernel, check_clock, check_environment, check_home};
    AUTO(buf_free) struct buf text = {0}, out = {0};
    struct doctor d = {.colour = colour_wanted()};
    struct operands rest = {0};
    struct jsonw w = jsonw_to(&out);
    (void)argc;
    int done = verb_begin(&options, argv, &d, &d.common, &rest);
    if (done != VERB_GO_ON)
        return done;
    if (d.common.json) {
        d.w = &w;
        jsonw_open(&w, NULL, '[');
    }
    if (admin_call(&d.common, "GET", "/v1/status", NULL, &text, &d.no_broker) == ERR_OK &&
        json_parse(buf_view(&text), &d.status, &d.no_broker) != ERR_OK)
        d.status = NULL;
    for (size_t i = 0; i < COUNT(checks); i++)
        checks[i](&d);
    json_decref(d.status);
    if (d.w) {
        jsonw_close(&w, ']');
        (void)puts(buf_text(&out));
    } else {
        (void)printf("%u good, %u to note, %u wrong\n", d.count[GOOD], d.count[NOTE], d.count[WRONG]);
    }
    return d.count[WRONG] ? 1 : 0;
}
