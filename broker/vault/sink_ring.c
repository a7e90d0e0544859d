/*
 * The ring's memory and its entries. Invariant: no length or position read from shared memory is used before it was checked against
 * the ring's size, and the memfd is sealed against shrinking, so neither side can make the other fault.
 */
#include "vault/sink_ring.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MAP_BYTES = RING_PAGE + 2 * SINK_RING_BYTES, FILE_BYTES = RING_PAGE + SINK_RING_BYTES };
_Static_assert(sizeof(struct ring_shared) <= RING_PAGE, "the shared words fit their page");
_Static_assert((SINK_RING_BYTES & (SINK_RING_BYTES - 1)) == 0, "positions wrap by a mask");

struct header { /* of an entry, as sink.h says */
    uint32_t length;
    uint8_t stream, flags;
    uint16_t zero;
};
_Static_assert(sizeof(struct header) == RING_ENTRY, "entries are padded to their header's size");

/* page | data | data again */
static err_t map(int fd, struct ring *out, struct why *why)
{
    uint8_t *p = mmap(NULL, MAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return fail_errno(why, errno, "no memory for the audit ring");
    const int rw = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_FIXED;
    if (mmap(p, FILE_BYTES, rw, how, fd, 0) == MAP_FAILED ||
        mmap(p + FILE_BYTES, SINK_RING_BYTES, rw, how, fd, RING_PAGE) == MAP_FAILED) {
        int no = errno;
        (void)munmap(p, MAP_BYTES);
        return fail_errno(why, no, "cannot map the audit ring");
    }
    *out =
        (struct ring){.shared = (struct ring_shared *)(void *)p, .data = p + RING_PAGE, .fd = fd};
    return ERR_OK;
}

err_t ring_create(struct ring *out, struct why *why)
{
    AUTO(auto_close) int fd = memfd_create("audit-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, FILE_BYTES) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail_errno(why, errno, "cannot make the audit ring");
    TRY(map(fd, out, why));
    (void)TAKE_FD(fd);
    out->shared->magic = RING_MAGIC;
    out->shared->bytes = SINK_RING_BYTES;
    return ERR_OK;
}

err_t ring_attach(int fd, struct ring *out, struct why *why)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) != 0 || st.st_size != FILE_BYTES || seals < 0 || !(seals & F_SEAL_SHRINK))
        return fail(why, ERR_INVALID, "the descriptor is not an audit ring");
    struct ring r;
    TRY(map(fd, &r, why));
    if (r.shared->magic != RING_MAGIC || r.shared->bytes != SINK_RING_BYTES) {
        (void)munmap(r.shared, MAP_BYTES);
        return fail(why, ERR_INVALID, "the audit ring is of another version");
    }
    *out = r;
    return ERR_OK;
}

void ring_close(struct ring *r)
{
    if (!r->shared)
        return;
    (void)munmap(r->shared, MAP_BYTES);
    close(r->fd);
    *r = (struct ring){.fd = -1};
}

uint64_t ring_size(size_t n)
{
    return RING_ENTRY + (((uint64_t)n + RING_ENTRY - 1) & ~(uint64_t)(RING_ENTRY - 1));
}

static uint8_t *at(const struct ring *r, uint64_t pos)
{
    return r->data + (pos & (SINK_RING_BYTES - 1));
}

uint64_t ring_put(struct ring *r, uint64_t pos, enum sink_stream stream, struct view head,
                  struct view bytes)
{
    struct header h = {.length = (uint32_t)(head.n + bytes.n), .stream = (uint8_t)stream};
    uint8_t *p = at(r, pos);
    memcpy(p, &h, sizeof(h));
    if (head.n)
        memcpy(p + sizeof(h), head.p, head.n);
    if (bytes.n)
        memcpy(p + sizeof(h) + head.n, bytes.p, bytes.n);
    return pos + ring_size(h.length);
}

bool ring_get(const struct ring *r, uint64_t pos, uint64_t head, struct ring_entry *out)
{
    struct header h;
    uint64_t left = head - pos;
    if (pos % RING_ENTRY != 0 || head < pos || left < sizeof(h) || left > SINK_RING_BYTES)
        return false;
    memcpy(&h, at(r, pos), sizeof(h));
    if (h.length > SINK_RECORD_MAX || ring_size(h.length) > left || h.flags != 0 || h.zero != 0)
        return false;
    *out = (struct ring_entry){.stream = (enum sink_stream)h.stream,
                               .bytes = VIEW(at(r, pos) + sizeof(h), h.length),
                               .next = pos + ring_size(h.length)};
    return true;
}
