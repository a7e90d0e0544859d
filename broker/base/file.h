/*
 * Files, safely: bounded reads, atomic durable writes, owner and mode checks. Every path is opened relative to
 * a directory descriptor where one exists; symlinks are not followed in the last component.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include <sys/types.h>

/* Reads a whole regular file of at most `max` bytes; `dirfd` may be AT_FDCWD. ERR_NOT_FOUND, ERR_TOO_LARGE,
 * ERR_INVALID (not a regular file), ERR_IO. `out` is appended to. */
MUST err_t file_read_at(int dirfd, const char *name, size_t max, struct buf *out, struct why *why);

/* How a file comes to be: temporary name → write → fsync → rename → fsync of the directory. A failed fsync
 * abandons the temporary file and is never retried. On failure the old file is as it was. */
MUST err_t file_write_atomic_at(int dirfd, const char *name, struct view data, mode_t mode,
                                struct why *why);
/* The same, readable by the rule's uids from the first instant its name is there; where the file system has no ACLs, by everybody who can pass
 * the directory. */
struct acl_rule;
MUST err_t file_write_atomic_for(int dirfd, const char *name, struct view data,
                                 const struct acl_rule *readers, struct why *why);
/* unlink + fsync of the directory; a missing file is no error */
MUST err_t file_remove_at(int dirfd, const char *name, struct why *why);

/* How file_open_dir() opens. `forbidden`: mode bits that must not be set, for example 0077. */
struct file_dir {
    bool create; /* make it, and missing parents (0755), where there is none */
    mode_t mode, forbidden;
};
/* Opens a directory. Refuses (ERR_PERMISSION, with the chmod/chown that mends it) one that is a symlink, not owned by the
 * effective uid (or root), or that has any of the forbidden bits. */
MUST err_t file_open_dir(const char *path, const struct file_dir *how, int *out_fd,
                         struct why *why);
MUST err_t file_open_dir_at(int dirfd, const char *name, const struct file_dir *how, int *out_fd,
                            struct why *why);
/* Writes all of it, retrying short writes and EINTR. */
MUST err_t file_write_all(int fd, const void *p, size_t n, struct why *why);
/* true when fd lies on tmpfs or ramfs */
bool file_is_memory_fs(int fd);

#endif
