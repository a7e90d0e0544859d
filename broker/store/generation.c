/*
 * The bytes of one manifest generation. It comes into being whole (temp, fsync, rename) and then
 * only grows, so the one place where it can be wrong without malice is its last entry: an append
 * that power loss or a full disk cut short. That one was never acknowledged and is left out
 * (`torn`); anything else that does not read is corruption. A length carries its complement: a
 * flipped bit in it is not taken for a cut. Some file systems extend a file before its data
 * arrives, and the tail reads as zeros: since a sealed entry ends in a tag, a last entry that ends
 * in TAIL_ZEROS zero bytes is torn, too.
 */
#include "store/generation.h"

#include "base/auto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT_VERSION = 1, WINDOW = 256 * 1024, TAIL_ZEROS = 16 };
static const char magic[8] = {'C', 'B', 'R', 'K', 'M', 'A', 'N', 'I'};
static const char prefix[] = "manifest-";

void generation_name(uint64_t generation, char out[GENERATION_NAME + 1])
{
    (void)snprintf(out, GENERATION_NAME + 1, "%s%020" PRIu64, prefix, generation);
}

bool generation_parse(const char *name, uint64_t *generation)
{
    char again[GENERATION_NAME + 1];
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strlen(name) != GENERATION_NAME)
        return false;
    uint64_t g = strtoull(name + sizeof(prefix) - 1, NULL, 10);
    generation_name(g, again);
    if (strcmp(again, name) != 0 || g == 0)
        return false;
    *generation = g;
    return true;
}

void generation_header(struct buf *out, uint64_t generation)
{
    buf_add(out, magic, sizeof(magic));
    buf_put_u32(out, FORMAT_VERSION);
    buf_put_u64(out, generation);
    buf_put_u32(out, 0);
}

err_t generation_put(struct buf *out, struct view entry, struct why *why)
{
    if (entry.n == 0 || entry.n > STORE_ENTRY_MAX)
        return fail(why, ERR_INVALID, "a manifest entry of %zu bytes (1 to %d are possible)",
                    entry.n, STORE_ENTRY_MAX);
    buf_put_u16(out, (uint16_t)entry.n);
    buf_put_u16(out, (uint16_t)~entry.n);
    buf_add_view(out, entry);
    return buf_ok(out, why);
}

err_t generation_check(int fd, uint64_t generation, bool *whole, struct why *why)
{
    uint8_t head[GENERATION_HEADER];
    ssize_t n = pread(fd, head, sizeof(head), 0);
    if (n < 0)
        return fail_errno(why, errno, "reading the manifest");
    *whole = n == GENERATION_HEADER;
    if (!*whole)
        return ERR_OK;
    struct cursor c = cursor_of(VIEW(head, sizeof(head)));
    if (!view_eq(get_bytes(&c, sizeof(magic)), VIEW(magic, sizeof(magic))))
        return fail(why, ERR_CORRUPT, "manifest %" PRIu64 " does not begin like one", generation);
    uint32_t version = get_u32(&c);
    if (version != FORMAT_VERSION)
        return fail(why, ERR_VERSION,
                    "the store is of format %" PRIu32
                    ", this brokerd knows %d: use a newer brokerd",
                    version, FORMAT_VERSION);
    if (get_u64(&c) != generation || get_u32(&c) != 0)
        return fail(why, ERR_CORRUPT, "manifest %" PRIu64 " was made under another name",
                    generation);
    return ERR_OK;
}

/* A window that slides over the file: `at`..`have` is what was read and not yet used. */
struct window {
    int fd;
    uint8_t *p;
    size_t at, have;
    off_t next; /* of the file */
};

/* Has `want` bytes in the window, or all that are left. */
static err_t window_fill(struct window *w, size_t want, struct why *why)
{
    if (w->have - w->at >= want)
        return ERR_OK;
    memmove(w->p, w->p + w->at, w->have - w->at);
    w->have -= w->at;
    w->at = 0;
    while (w->have < want) {
        ssize_t n = pread(w->fd, w->p + w->have, WINDOW - w->have, w->next);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(why, errno, "reading the manifest");
        if (n == 0)
            break;
        w->have += (size_t)n;
        w->next += n;
    }
    return ERR_OK;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Are there only zeros from here to the end of the file? */
static err_t zeros_to_end(struct window *w, bool *zeros, struct why *why)
{
    for (*zeros = true; *zeros; w->at = w->have) {
        TRY(window_fill(w, 1, why));
        if (w->at == w->have)
            return ERR_OK;
        *zeros = all_zero(w->p + w->at, w->have - w->at);
    }
    return ERR_OK;
}

enum step { STEP_ENTRY, STEP_END, STEP_TORN };

/* A last entry that was never wholly written? `n`: its length as it says. */
static err_t last_is_torn(struct window *w, size_t n, bool *torn, struct why *why)
{
    TRY(window_fill(w, n + 1, why));
    size_t left = w->have - w->at;
    *torn = left < n ||
            (left == n && n >= TAIL_ZEROS && all_zero(w->p + w->at + n - TAIL_ZEROS, TAIL_ZEROS));
    return ERR_OK;
}

static err_t next_entry(struct window *w, uint64_t index, struct view *entry, enum step *step,
                        struct why *why)
{
    TRY(window_fill(w, 4, why));
    size_t left = w->have - w->at;
    *step = left == 0 ? STEP_END : STEP_TORN;
    if (left < 4)
        return ERR_OK;
    struct cursor c = cursor_of(VIEW(w->p + w->at, 4));
    uint16_t n = get_u16(&c), complement = get_u16(&c);
    bool torn = false;
    if (n == 0 && complement == 0)
        TRY(zeros_to_end(w, &torn, why));
    if (torn)
        return ERR_OK;
    if (n == 0 || n > STORE_ENTRY_MAX || (n ^ complement) != UINT16_MAX)
        return fail(why, ERR_CORRUPT, "manifest entry %" PRIu64 " has no possible length", index);
    w->at += 4;
    TRY(last_is_torn(w, n, &torn, why));
    if (torn)
        return ERR_OK;
    *entry = VIEW(w->p + w->at, n);
    w->at += n;
    *step = STEP_ENTRY;
    return ERR_OK;
}

err_t generation_walk(int fd, store_entry_fn *fn, void *ctx, bool *torn, struct why *why)
{
    AUTO(auto_free) uint8_t *room = malloc(WINDOW);
    if (!room)
        return fail(why, ERR_INTERNAL, "out of memory");
    struct window w = {.fd = fd, .p = room, .next = GENERATION_HEADER};
    for (uint64_t index = 0;; index++) {
        struct view entry = {0};
        enum step step = STEP_END;
        TRY(next_entry(&w, index, &entry, &step, why));
        if (step != STEP_ENTRY) {
            *torn = step == STEP_TORN;
            return ERR_OK;
        }
        TRY(fn(ctx, entry));
    }
}
