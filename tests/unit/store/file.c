#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "store/generation.h"
#include "store/stores.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const struct store_ops *const ops = &store_file;

static struct store *open_store(const struct scratch *dir)
{
    struct store *s = NULL;
    struct why why = {0};
    CHECK_OK(ops->open(&s, dir->path, true, &why), why);
    return s;
}

static void auto_store(struct store **s)
{
    ops->close(*s);
}

struct list {
    const char *const *at;
};

static bool next_of(void *ctx, struct view *entry)
{
    struct list *l = ctx;
    if (!*l->at)
        return false;
    *entry = view_str(*l->at++);
    return true;
}

static void replace(struct store *s, uint64_t generation, const char *text)
{
    struct why why = {0};
    struct list l = {(const char *const[]){text, NULL}};
    CHECK_OK(ops->manifest_replace(s, generation, next_of, &l, &why), why);
}

static err_t keep_last(void *ctx, struct view entry)
{
    return view_copy(entry, ctx, 64) ? ERR_OK : ERR_INTERNAL;
}

static void check_last(struct store *s, uint64_t generation, const char *text, bool torn)
{
    struct why why = {0};
    char last[64] = "";
    uint64_t g = 99;
    bool t = !torn;
    CHECK_OK(ops->manifest_read(s, keep_last, last, &g, &t, &why), why);
    CHECK_STR(last, text);
    CHECK_INT(g, generation);
    CHECK_INT(t, torn);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    CHECK(lstat(path, &st) == 0);
    return st.st_mode & 07777;
}

TEST(directories_are_0700_and_files_0600_whatever_the_umask)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct scratch inner;
    struct why why = {0};
    mode_t old = umask(0);
    CHECK(view_copy(view_str(scratch_path(&dir, "state")), inner.path, sizeof(inner.path)));
    AUTO(auto_store) struct store *s = open_store(&inner);
    CHECK_OK(ops->header_write(s, view_str("h"), &why), why);
    CHECK_OK(ops->record_write(s, "r", view_str("x"), &why), why);
    replace(s, 1, "a");
    umask(old);
    CHECK_INT(mode_of(inner.path), 0700);
    CHECK_INT(mode_of(scratch_path(&inner, "records")), 0700);
    CHECK_INT(mode_of(scratch_path(&inner, "keys")), 0600);
    CHECK_INT(mode_of(scratch_path(&inner, "lock")), 0600);
    CHECK_INT(mode_of(scratch_path(&inner, "manifest-00000000000000000001")), 0600);
}

TEST(unsafe_modes_are_refused_with_the_chmod_that_mends_them)
{
    static const char *const names[] = {"", "keys", "records", "manifest-00000000000000000001"};
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct why why = {0};
    struct store *s = open_store(&dir);
    CHECK_OK(ops->header_write(s, view_str("h"), &why), why);
    replace(s, 1, "a");
    ops->close(s);
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = scratch_path(&dir, names[i]);
        mode_t was = mode_of(path);
        CHECK(chmod(path, was | 0040) == 0);
        CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_PERMISSION);
        CHECK(strstr(why.text, "chmod 0"));
        CHECK(chmod(path, was) == 0);
    }
    s = open_store(&dir);
    ops->close(s);
}

TEST(a_foreign_owner_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root to give a file away");
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    CHECK_OK(ops->header_write(s, view_str("h"), &why), why);
    ops->close(s);
    CHECK(chown(scratch_path(&dir, "keys"), 12345, 12345) == 0);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_PERMISSION);
    CHECK(strstr(why.text, "chown 0 "));
}

TEST(a_symlink_is_no_key_header)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    ops->close(s);
    CHECK(symlink("/etc/hostname", scratch_path(&dir, "keys")) == 0);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_PERMISSION);
}

TEST(nothing_is_made_unless_asked)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = NULL;
    struct why why = {0};
    CHECK_INT(ops->open(&s, scratch_path(&dir, "none"), false, &why), ERR_NOT_FOUND);
    CHECK(access(scratch_path(&dir, "none"), F_OK) != 0);
}

TEST(the_lock_names_its_holder_and_dies_with_it)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct why why = {0};
    struct store *s = NULL;
    char pid[32];
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)open_store(&dir);
        _exit(write(ready[1], "x", 1) == 1 ? pause() : 1);
    }
    CHECK(read(ready[0], pid, 1) == 1);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_CONFLICT);
    (void)snprintf(pid, sizeof(pid), "(pid %d)", child);
    CHECK(strstr(why.text, pid));
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    s = open_store(&dir);
    ops->close(s);
    close(ready[0]), close(ready[1]);
}

TEST(a_newer_store_is_refused)
{
    static const char newer[] = "CBRKMANI\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0";
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    ops->close(s);
    scratch_write(scratch_path(&dir, "manifest-00000000000000000001"), newer, sizeof(newer), 0600);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_VERSION);
    CHECK(strstr(why.text, "newer brokerd"));
}

TEST(the_newest_complete_generation_wins)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    replace(s, 3, "three");
    ops->close(s);
    scratch_write(scratch_path(&dir, "manifest-00000000000000000004"), "CBRKMANI", 8, 0600);
    scratch_write(scratch_path(&dir, "manifest-00000000000000000005"), "", 0, 0600);
    s = open_store(&dir);
    check_last(s, 3, "three", false);
    CHECK_INT(scratch_count(dir.path, "manifest-"), 1);
    replace(s, 4, "four");
    ops->close(s);
    s = open_store(&dir);
    check_last(s, 4, "four", false);
    ops->close(s);
}

TEST(a_lone_manifest_cut_short_is_no_empty_store)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    ops->close(s);
    scratch_write(scratch_path(&dir, "manifest-00000000000000000004"), "CBRKMANI", 8, 0600);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_CORRUPT);
    CHECK_INT(scratch_count(dir.path, "manifest-"), 1); /* nothing is tidied away */
}

TEST(a_generation_under_another_name_is_corrupt)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    replace(s, 3, "three");
    ops->close(s);
    CHECK(rename(scratch_path(&dir, "manifest-00000000000000000003"),
                 scratch_path(&dir, "manifest-00000000000000000007")) == 0);
    CHECK_INT(ops->open(&s, dir.path, true, &why), ERR_CORRUPT);
}

TEST(what_interrupted_writes_left_is_removed)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    CHECK_OK(ops->record_write(s, "r", view_str("x"), &why), why);
    replace(s, 1, "a");
    ops->close(s);
    scratch_write(scratch_path(&dir, "keys.tmp-0123456789abcdef"), "half", 4, 0600);
    scratch_write(scratch_path(&dir, "manifest-00000000000000000002.tmp-0123456789abcdef"), "half",
                  4, 0600);
    scratch_write(scratch_path(&dir, "somebody.tmp-elses"), "keep", 4, 0600);
    s = open_store(&dir);
    check_last(s, 1, "a", false);
    ops->close(s);
    CHECK_INT(scratch_count(dir.path, ".tmp-0"), 0);
    CHECK_INT(scratch_count(dir.path, ".tmp-elses"), 1);
}

TEST(after_a_torn_append_only_a_new_generation_goes_on)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    replace(s, 1, "a");
    CHECK_OK(ops->manifest_append(s, view_str("bb"), &why), why);
    ops->close(s);
    const char *path = scratch_path(&dir, "manifest-00000000000000000001");
    CHECK(truncate(path, GENERATION_HEADER + 5 + 5) == 0);
    s = open_store(&dir);
    check_last(s, 1, "a", true);
    CHECK_INT(ops->manifest_append(s, view_str("c"), &why), ERR_IO);
    replace(s, 2, "a");
    CHECK_OK(ops->manifest_append(s, view_str("c"), &why), why);
    check_last(s, 2, "c", false);
    ops->close(s);
}

/* The file cannot grow: part of an entry, or none of it, is written. */
TEST(a_short_append_damages_until_a_new_generation)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(auto_store) struct store *s = open_store(&dir);
    struct why why = {0};
    struct rlimit was, tight = {GENERATION_HEADER + 5 + 6, RLIM_INFINITY};
    replace(s, 1, "a");
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &was) == 0);
    tight.rlim_max = was.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    err_t first = ops->manifest_append(s, view_str("an entry that is too long"), &why);
    CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
    CHECK_INT(first, ERR_NO_SPACE);
    CHECK_INT(ops->manifest_append(s, view_str("b"), &why), ERR_IO);
    CHECK(strstr(why.text, "damaged"));
    check_last(s, 1, "a", true);
    replace(s, 2, "a");
    CHECK_OK(ops->manifest_append(s, view_str("b"), &why), why);
    check_last(s, 2, "b", false);
}

TEST(a_failed_replacement_leaves_the_old_one_to_be_read)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct store *s = open_store(&dir);
    struct why why = {0};
    struct rlimit was, tight;
    struct list l = {(const char *const[]){"a", "b", NULL}};
    replace(s, 1, "a");
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &was) == 0);
    tight = (struct rlimit){10, was.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    err_t e = ops->manifest_replace(s, 2, next_of, &l, &why);
    CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
    CHECK_INT(e, ERR_NO_SPACE);
    CHECK_INT(scratch_count(dir.path, ".tmp-"), 0);
    check_last(s, 1, "a", true);
    ops->close(s);
    s = open_store(&dir);
    check_last(s, 1, "a", false);
    ops->close(s);
}

static void count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

TEST(listing_leaves_out_and_removes_temporary_files)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(auto_store) struct store *s = open_store(&dir);
    struct why why = {0};
    unsigned n = 0;
    char shard[PATH_MAX] = "";
    CHECK_OK(ops->record_write(s, "r", view_str("x"), &why), why);
    for (unsigned i = 0; i < 256 && access(shard, F_OK) != 0; i++)
        (void)snprintf(shard, sizeof(shard), "%s/records/%02x", dir.path, i);
    (void)snprintf(shard + strlen(shard), 32, "/r.tmp-00112233");
    scratch_write(shard, "half", 4, 0600);
    CHECK_OK(ops->record_each(s, count_name, &n, &why), why);
    CHECK_INT(n, 1);
    CHECK(access(shard, F_OK) != 0);
}
