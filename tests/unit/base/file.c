#include "base/file.h"

#include "base/auto.h"
#include "check.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

static char dir[64];
static int open_temp(void)
{
    snprintf(dir, sizeof(dir), "/tmp/file-test-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}
static void done(int fd)
{
    char cmd[128];
    close(fd);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    CHECK_INT(system(cmd), 0);
}
static int entries(void)
{
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "exit $(ls -A %s | wc -l)", dir);
    return system(cmd) >> 8;
}

TEST(what_is_written_is_read)
{
    int d = open_temp();
    struct why w = {0};
    struct buf b = {0};
    struct stat st;
    CHECK_OK(file_write_atomic_at(d, "x", view_str("one"), 0600, &w), w);
    CHECK_OK(file_write_atomic_at(d, "x", view_str("two!"), 0640, &w), w);
    CHECK_OK(file_read_at(d, "x", 4, &b, &w), w);
    CHECK(view_is(buf_view(&b), "two!"));
    CHECK_INT(fstatat(d, "x", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0640);
    CHECK_INT(entries(), 1);
    buf_free(&b);
    done(d);
}

TEST(reading_is_bounded_and_careful)
{
    int d = open_temp();
    struct why w = {0};
    struct buf b = {0};
    buf_add_str(&b, "kept");
    CHECK_OK(file_write_atomic_at(d, "x", view_str("12345"), 0600, &w), w);
    CHECK_INT(file_read_at(d, "x", 4, &b, &w), ERR_TOO_LARGE);
    CHECK_INT(file_read_at(d, "none", 4, &b, &w), ERR_NOT_FOUND);
    CHECK_INT(mkfifoat(d, "fifo", 0600), 0);
    CHECK_INT(file_read_at(d, "fifo", 4, &b, &w), ERR_INVALID);
    CHECK_INT(mkdirat(d, "sub", 0700), 0);
    CHECK_INT(file_read_at(d, "sub", 4, &b, &w), ERR_INVALID);
    CHECK_INT(symlinkat("x", d, "link"), 0);
    CHECK(file_read_at(d, "link", 100, &b, &w) != ERR_OK);
    CHECK(view_is(buf_view(&b), "kept"));
    buf_free(&b);
    done(d);
}

TEST(a_file_fits_a_buffer_of_just_its_size)
{
    int d = open_temp();
    struct why w = {0};
    struct buf b = {.max = 5};
    CHECK_OK(file_write_atomic_at(d, "x", view_str("12345"), 0600, &w), w);
    CHECK_OK(file_read_at(d, "x", 100, &b, &w), w);
    CHECK(view_is(buf_view(&b), "12345"));
    CHECK_INT(file_read_at(d, "x", 100, &b, &w), ERR_TOO_LARGE);
    CHECK(!b.bad);
    buf_free(&b);
    b.max = 4;
    CHECK_INT(file_read_at(d, "x", 100, &b, &w), ERR_TOO_LARGE);
    CHECK_INT(b.len, 0);
    CHECK(!b.bad);
    buf_free(&b);
    b.max = 0;
    CHECK_OK(file_read_at(d, "x", 5, &b, &w), w);
    CHECK_INT(file_read_at(AT_FDCWD, "/proc/self/status", 100, &b, &w), ERR_TOO_LARGE);
    CHECK(view_is(buf_view(&b), "12345"));
    CHECK_OK(file_write_atomic_at(d, "empty", view_str(""), 0600, &w), w);
    CHECK_OK(file_read_at(d, "empty", 0, &b, &w), w);
    CHECK_INT(b.len, 5);
    buf_free(&b);
    done(d);
}

TEST(a_proc_file_of_unknown_size_is_read)
{
    struct why w = {0};
    struct buf b = {0};
    CHECK_OK(file_read_at(AT_FDCWD, "/proc/self/status", 65536, &b, &w), w);
    CHECK(b.len > 100);
    buf_free(&b);
}

TEST(a_path_is_synced_where_it_lies)
{
    int d = open_temp();
    char path[100];
    struct why w = {0};
    (void)snprintf(path, sizeof(path), "%s/x", dir);
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), gone = open_temp();
    char left[64];
    memcpy(left, dir, sizeof(left));
    CHECK_INT(fchdir(gone), 0);
    CHECK_INT(chmod(left, 0), 0); /* where we are cannot even be opened, as behind Landlock */
    err_t wrote = file_write_atomic_at(AT_FDCWD, path, view_str("1"), 0600, &w);
    err_t removed = file_remove_at(AT_FDCWD, path, &w);
    CHECK_INT(fchdir(here), 0);
    CHECK_INT(chmod(left, 0700), 0);
    done(gone);
    close(here);
    close(d);
    *strrchr(path, '/') = '\0';
    CHECK_INT(rmdir(path), 0);
    CHECK_OK(wrote, w);
    CHECK_OK(removed, w);
}

TEST(a_failed_write_leaves_the_old_file_and_no_litter)
{
    int d = open_temp();
    struct why w = {0};
    struct buf b = {0};
    static uint8_t big[8192];
    CHECK_OK(file_write_atomic_at(d, "x", view_str("old"), 0600, &w), w);
    struct rlimit was, small = {4096, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    err_t e = file_write_atomic_at(d, "x", VIEW(big, sizeof(big)), 0600, &w);
    setrlimit(RLIMIT_FSIZE, &was);
    CHECK_INT(e, ERR_NO_SPACE);
    CHECK_OK(file_read_at(d, "x", 10, &b, &w), w);
    CHECK(view_is(buf_view(&b), "old"));
    CHECK_INT(entries(), 1);
    buf_free(&b);
    done(d);
}

TEST(removing_twice_is_fine)
{
    int d = open_temp();
    struct why w = {0};
    CHECK_OK(file_write_atomic_at(d, "x", view_str("1"), 0600, &w), w);
    CHECK_OK(file_remove_at(d, "x", &w), w);
    CHECK_OK(file_remove_at(d, "x", &w), w);
    done(d);
}

TEST(directories_are_made_and_checked)
{
    int d = open_temp(), fd = -1;
    struct why w = {0};
    char path[128];
    const struct file_dir make = {.create = true, .mode = 0700, .forbidden = 0077}, look = {.forbidden = 0077};
    snprintf(path, sizeof(path), "%s/a/b/c", dir);
    CHECK_OK(file_open_dir(path, &make, &fd, &w), w);
    close(fd);
    CHECK_OK(file_open_dir(path, &make, &fd, &w), w);
    close(fd);
    fd = -1;
    CHECK_INT(chmod(path, 0755), 0);
    CHECK_INT(file_open_dir(path, &look, &fd, &w), ERR_PERMISSION);
    CHECK(strstr(w.text, "chmod 0700"));
    CHECK_INT(fd, -1);
    snprintf(path, sizeof(path), "%s/none", dir);
    CHECK_INT(file_open_dir(path, &look, &fd, &w), ERR_NOT_FOUND);
    CHECK_INT(symlinkat("a", d, "link"), 0);
    CHECK(file_open_dir_at(d, "link", &look, &fd, &w) != ERR_OK);
    CHECK_OK(file_write_atomic_at(d, "plain", view_str("1"), 0600, &w), w);
    CHECK(file_open_dir_at(d, "plain", &look, &fd, &w) != ERR_OK);
    done(d);
}

TEST(another_owner_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root");
    int d = open_temp(), fd = -1;
    struct why w = {0};
    const struct file_dir look = {.forbidden = 0077};
    CHECK_INT(mkdirat(d, "his", 0700), 0);
    CHECK_INT(fchownat(d, "his", 12345, 12345, 0), 0);
    CHECK_INT(file_open_dir_at(d, "his", &look, &fd, &w), ERR_PERMISSION);
    CHECK(strstr(w.text, "chown"));
    done(d);
}

TEST(memory_file_systems_are_told_apart)
{
    AUTO(auto_close) int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(auto_close) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shm < 0)
        SKIP("no /dev/shm");
    CHECK(file_is_memory_fs(shm));
    CHECK(!file_is_memory_fs(proc));
}
