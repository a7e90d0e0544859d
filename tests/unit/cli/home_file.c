/* cli/home_file.c: found, locked as the programs lock, read, and replaced in one step. */
#include "cli/home_file.h"

#include "base/auto.h"
#include "check.h"
#include "scratch.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

static struct why why;

static const struct home_form *claude(const struct scratch *s)
{
    (void)unsetenv("CLAUDE_CONFIG_DIR");
    (void)unsetenv("CODEX_HOME");
    CHECK(mkdir(scratch_path(s, ".claude"), 0700) == 0);
    return home_form("claude");
}

TEST(it_is_found_as_its_program_finds_it)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    AUTO(home_file_close) struct home_file h = {0}, own = {0}, given = {0};
    const struct home_form *f = claude(&s);
    (void)setenv("HOME", s.path, 1);
    CHECK_OK(home_file_open(f, NULL, &h, &why), why);
    CHECK_STR(h.path, scratch_path(&s, ".claude/.credentials.json"));
    CHECK_INT(h.owner, geteuid());
    CHECK(mkdir(scratch_path(&s, "own"), 0700) == 0);
    (void)setenv("CLAUDE_CONFIG_DIR", scratch_path(&s, "own"), 1);
    CHECK_OK(home_file_open(f, NULL, &own, &why), why);
    CHECK_STR(own.path, scratch_path(&s, "own/.credentials.json"));
    CHECK_OK(home_file_open(f, s.path, &given, &why), why); /* a home that is named is meant */
    CHECK_STR(given.path, h.path);
    CHECK_INT(home_file_open(f, "/nonexistent", &h, &why), ERR_NOT_FOUND);
    /* by sudo, root's own home is not what is meant */
    struct home_file none = {0};
    (void)unsetenv("CLAUDE_CONFIG_DIR");
    (void)setenv("SUDO_UID", "1000", 1);
    CHECK_INT(home_file_open(f, NULL, &none, &why), geteuid() == 0 ? ERR_USAGE : ERR_OK);
    home_file_close(&none);
    (void)unsetenv("SUDO_UID");
}

TEST(a_link_is_refused)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    AUTO(home_file_close) struct home_file h = {0};
    const struct home_form *f = claude(&s);
    CHECK(symlink("/dev/null", scratch_path(&s, ".claude/.credentials.json")) == 0);
    CHECK_INT(home_file_open(f, s.path, &h, &why), ERR_CONFLICT);
    CHECK(h.form == NULL);
}

TEST(claudes_locks_are_made_and_go)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    const struct home_form *f = claude(&s);
    static const char *const locks[] = {".claude/.oauth_refresh.lock", ".claude.lock", ".claude/.storage-write.lock"};
    struct home_file h = {0};
    struct stat st;
    CHECK_OK(home_file_open(f, s.path, &h, &why), why);
    CHECK_OK(home_file_lock(&h, &why), why);
    for (size_t i = 0; i < COUNT(locks); i++)
        CHECK(stat(scratch_path(&s, locks[i]), &st) == 0 && S_ISDIR(st.st_mode));
    home_file_close(&h);
    for (size_t i = 0; i < COUNT(locks); i++)
        CHECK(stat(scratch_path(&s, locks[i]), &st) < 0 && errno == ENOENT);
}

TEST(a_lock_that_is_held_is_waited_for_and_an_abandoned_one_taken)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    const struct home_form *f = claude(&s);
    AUTO(auto_free) char *lock = strdup(scratch_path(&s, ".claude/.oauth_refresh.lock"));
    struct home_file h = {0};
    CHECK(mkdir(lock, 0700) == 0);
    pid_t pid = fork(); /* its holder lets go after a while */
    if (pid == 0) {
        struct timespec t = {.tv_nsec = 300000000};
        (void)nanosleep(&t, NULL);
        _exit(rmdir(lock));
    }
    CHECK_OK(home_file_open(f, s.path, &h, &why), why);
    CHECK_OK(home_file_lock(&h, &why), why);
    CHECK(waitpid(pid, NULL, 0) == pid);
    home_file_close(&h);
    CHECK(mkdir(lock, 0700) == 0);
    struct timespec old[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    CHECK(utimensat(AT_FDCWD, lock, old, 0) == 0);
    CHECK_OK(home_file_open(f, s.path, &h, &why), why);
    CHECK_OK(home_file_lock(&h, &why), why);
    home_file_close(&h);
}

TEST(what_a_killed_run_of_ours_left_is_put_away_at_once)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    const struct home_form *f = claude(&s);
    struct stat st;
    pid_t pid = fork();
    if (pid == 0) {
        struct home_file h = {0};
        bool ok = home_file_open(f, s.path, &h, &why) == ERR_OK && home_file_lock(&h, &why) == ERR_OK;
        _exit(ok ? 0 : 1); /* without a word of farewell */
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    scratch_write(scratch_path(&s, ".claude/.credentials.json.tmp-0123456789abcdef"), "secret", 6, 0600);
    scratch_write(scratch_path(&s, ".claude/.credentials.json.tmp-mine"), "theirs", 6, 0600);
    CHECK(stat(scratch_path(&s, ".claude.lock"), &st) == 0);
    home_file_tidy(f, s.path);
    CHECK(stat(scratch_path(&s, ".claude.lock"), &st) < 0);
    CHECK(stat(scratch_path(&s, ".claude/.credentials.json.tmp-0123456789abcdef"), &st) < 0);
    CHECK(stat(scratch_path(&s, ".claude/.credentials.json.tmp-mine"), &st) == 0);
}

TEST(a_lock_that_somebody_else_made_since_is_not_ours_to_take)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    const struct home_form *f = claude(&s);
    const char *const locks[] = {".claude/.oauth_refresh.lock", ".claude.lock", ".claude/.storage-write.lock"};
    struct stat st;
    pid_t pid = fork();
    if (pid == 0) {
        struct home_file h = {0};
        _exit(home_file_open(f, s.path, &h, &why) == ERR_OK && home_file_lock(&h, &why) == ERR_OK ? 0 : 1);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    /* the program took what we left for abandoned, and holds locks of its own, maybe with the same inodes */
    for (size_t i = 0; i < COUNT(locks); i++)
        CHECK(rmdir(scratch_path(&s, locks[i])) == 0 && mkdir(scratch_path(&s, locks[i]), 0700) == 0);
    pid = fork();
    if (pid == 0) {
        (void)alarm(1); /* it would wait for ten seconds */
        home_file_tidy(f, s.path);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    for (size_t i = 0; i < COUNT(locks); i++)
        CHECK(stat(scratch_path(&s, locks[i]), &st) == 0);
}

TEST(codex_locks_by_flock)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    struct home_file h = {0};
    (void)claude(&s);
    CHECK(mkdir(scratch_path(&s, ".codex"), 0700) == 0);
    CHECK_OK(home_file_open(home_form("codex"), s.path, &h, &why), why);
    CHECK_OK(home_file_lock(&h, &why), why);
    static const char *const locks[] = {".codex/auth.lock", ".codex/auth.json.lock"};
    for (size_t i = 0; i < COUNT(locks); i++) {
        AUTO(auto_close) int fd = open(scratch_path(&s, locks[i]), O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    }
    home_file_close(&h);
    AUTO(auto_close) int fd = open(scratch_path(&s, locks[0]), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
}

TEST(reading_and_writing)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    AUTO(buf_free) struct buf text = {0};
    AUTO(home_file_close) struct home_file h = {0};
    struct stat st;
    CHECK_OK(home_file_open(claude(&s), s.path, &h, &why), why);
    CHECK_OK(home_file_read(&h, &text, &why), why); /* none: nothing */
    CHECK_INT(text.len, 0);
    CHECK_OK(home_file_write(&h, view_str("{\"a\":1}"), &why), why);
    CHECK(stat(h.path, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK_OK(home_file_read(&h, &text, &why), why);
    CHECK_STR(buf_text(&text), "{\"a\":1}");
}
