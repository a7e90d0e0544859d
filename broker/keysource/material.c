/*
 * Key material that lies in a file. Its bytes, whatever their form (32 random ones, base64 text, a
 * mounted secret), are hashed into the slot secret; a final newline counts. A file others can read
 * is no secret, and is refused with the line that mends it.
 */
#include "keysource/keysources.h"

#include "base/auto.h"
#include "crypto/keyslot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static err_t check(int fd, const struct material *m, struct why *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(why, errno, "%s", m->path);
    if (!S_ISREG(st.st_mode))
        return fail(why, ERR_INVALID, "%s is not a regular file", m->path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return fail(why, ERR_PERMISSION, "%s belongs to uid %u; mend it with: chown %u %s", m->path,
                    st.st_uid, geteuid(), m->path);
    if (st.st_mode & m->forbidden)
        return fail(why, ERR_PERMISSION,
                    "%s has mode %04o, others could read the key; mend it with: chmod %04o %s",
                    m->path, st.st_mode & 07777, st.st_mode & 07777 & ~m->forbidden, m->path);
    return ERR_OK;
}

struct contents { /* wiped by its scope */
    uint8_t bytes[MATERIAL_MAX + 1];
    size_t n;
};

static void contents_wipe(struct contents *c)
{
    wipe(c, sizeof(*c));
}

static err_t read_all(int fd, const char *path, struct contents *c, struct why *why)
{
    while (c->n < sizeof(c->bytes)) {
        ssize_t n = read(fd, c->bytes + c->n, sizeof(c->bytes) - c->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "%s", path);
        if (n == 0)
            return ERR_OK;
        c->n += (size_t)n;
    }
    return ERR_OK; /* one byte over the maximum: material_key refuses it */
}

err_t material_key(struct view bytes, struct secret **key, struct why *why)
{
    if (bytes.n < MATERIAL_MIN || bytes.n > MATERIAL_MAX)
        return fail(why, ERR_INVALID,
                    "a key file holds %d to %d bytes, for example from: head -c 32 /dev/urandom",
                    MATERIAL_MIN, MATERIAL_MAX);
    err_t e = kdf_material(bytes, "keyfile", key);
    return e == ERR_OK ? ERR_OK : fail(why, e, "no secret memory left");
}

err_t material_open(const struct material *m, struct secret **key, struct why *why)
{
    AUTO(auto_close)
    int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | m->flags);
    if (fd < 0)
        return fail_errno(why, errno, "%s", m->path);
    AUTO(contents_wipe) struct contents c = {.n = 0};
    TRY(check(fd, m, why));
    TRY(read_all(fd, m->path, &c, why));
    return material_key(VIEW(c.bytes, c.n), key, why);
}
