/*
 * The login file itself: found as its program finds it, locked as its program locks it, read, and replaced in one step.
 */
#ifndef CLI_HOME_FILE_H
#define CLI_HOME_FILE_H

#include "cli/home.h"

#include <limits.h>
#include <sys/types.h>

enum { HOME_LOCKS = 3, HOME_LOCK_WAIT_MS = 10000 };
struct home_mark {
    uint64_t inode, born;
};
struct home_file {
    const struct home_form *form;
    char dir[PATH_MAX - 300], path[PATH_MAX];
    const char *name;
    uid_t owner; /* of the directory */
    gid_t group;
    int dirfd;              /* -1: not open */
    int flocks[HOME_LOCKS]; /* the first is our own, against another broker-cli; -1: none */
    char made[HOME_LOCKS][PATH_MAX];   /* lock directories that are ours; "" none */
    struct home_mark mark[HOME_LOCKS]; /* which directories are ours, or were a killed run's */
};
/* Everything below is done with the rights of the directory's owner, also by root. `home` NULL: the program's own variable, else $HOME. ERR_NOT_FOUND: the directory is not there; ERR_CONFLICT: the file is a link, which its
 * program would replace. */
MUST err_t home_file_open(const struct home_form *form, const char *home, struct home_file *out,
                          struct why *why);
/* The consumer that keeps it fresh, where none is `given`: one for each user. */
enum { HOME_CONSUMER_ROOM = 24 };
const char *home_file_consumer(const struct home_file *h, const char *given,
                               char room[HOME_CONSUMER_ROOM]);
void home_file_close(struct home_file *h); /* unlocks; takes a zeroed one */
/* Keeps the program from renewing or writing its login. ERR_CONFLICT: it is at it, and was for HOME_LOCK_WAIT_MS. What an earlier change of ours
 * that was killed left beside the file goes. */
MUST err_t home_file_lock(struct home_file *h, struct why *why);
/* Puts away the locks that a killed run of ours left there, if one did. */
void home_file_tidy(const struct home_form *form, const char *home);
/* Its text, appended; nothing where there is no file. */
MUST err_t home_file_read(const struct home_file *h, struct buf *out, struct why *why);
/* Durable, 0600, in one step. */
MUST err_t home_file_write(const struct home_file *h, struct view text, struct why *why);

#endif
