/*
 * A directory of a test's own, mode 0700, and its removal; and a pool of secrets opened once.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <broker/secret.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[64];
};

static inline struct scratch scratch_new(void)
{
    struct scratch s = {"/tmp/broker-test-XXXXXX"};
    if (!mkdtemp(s.path))
        abort();
    return s;
}

static inline int scratch_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* for AUTO(scratch_free); a test that failed leaves its directory behind */
static inline void scratch_free(struct scratch *s)
{
    (void)nftw(s->path, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<scratch>/<rel>", valid until the fourth call after */
static inline const char *scratch_path(const struct scratch *s, const char *rel)
{
    static char room[4][PATH_MAX];
    static unsigned turn;
    char *out = room[turn++ % 4];
    (void)snprintf(out, PATH_MAX, "%s/%s", s->path, rel);
    return out;
}

static inline void scratch_write(const char *path, const void *p, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n || fchmod(fd, mode) != 0 || close(fd) != 0)
        abort();
}

/* How many names in a directory contain `part`. */
static inline unsigned scratch_count(const char *dir, const char *part)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    if (!d)
        return 0;
    for (struct dirent *e = NULL; (e = readdir(d));)
        n += e->d_name[0] != '.' && strstr(e->d_name, part);
    closedir(d);
    return n;
}

static inline void scratch_pool(void)
{
    struct why why = {0};
    if (strcmp(secret_pool_kind(), "none") == 0 && secret_pool_open(1 << 20, &why) != ERR_OK) {
        printf("%s\n", why.text);
        abort();
    }
}

#endif
