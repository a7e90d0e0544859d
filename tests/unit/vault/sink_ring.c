/* The ring: entries against a model over many turns around it, and everything that a hostile other side could write there. */
#include "vault/sink_ring.h"

#include "base/auto.h"
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t step(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)step(&seed);
}

static struct ring made(void)
{
    struct ring r;
    struct why why = {0};
    CHECK_OK(ring_create(&r, &why), why);
    return r;
}

TEST(sizes_are_padded_to_the_header)
{
    CHECK_INT(ring_size(0), 8);
    CHECK_INT(ring_size(1), 16);
    CHECK_INT(ring_size(8), 16);
    CHECK_INT(ring_size(9), 24);
    CHECK_INT(ring_size(SINK_RECORD_MAX), 8 + SINK_RECORD_MAX);
}

/* Model: the n-th entry has a length and bytes that follow from n. 40 times around the ring. */
TEST(entries_come_out_as_they_went_in_over_the_edge)
{
    struct ring r = made();
    uint8_t bytes[SINK_RECORD_MAX];
    uint64_t head = 0, tail = 0;
    uint32_t in = 0, out = 0, choice = 42;
    while (head < 40ull * SINK_RING_BYTES) {
        uint32_t seed = in, n = step(&seed) % (in % 7 == 0 ? SINK_RECORD_MAX + 1 : 500);
        if (step(&choice) % 3 && head - tail + ring_size(n) <= SINK_RING_BYTES) {
            fill(bytes, n, in);
            size_t cut = n ? step(&choice) % n : 0;
            head = ring_put(&r, head, 1 + in % 5, VIEW(bytes, cut), VIEW(bytes + cut, n - cut));
            in++;
        } else if (tail < head) {
            struct ring_entry e;
            uint32_t want_seed = out, want = step(&want_seed) % (out % 7 == 0 ? SINK_RECORD_MAX + 1 : 500);
            CHECK(ring_get(&r, tail, head, &e));
            CHECK_INT(e.stream, 1 + out % 5);
            CHECK_INT(e.bytes.n, want);
            fill(bytes, want, out);
            CHECK(want == 0 || memcmp(e.bytes.p, bytes, want) == 0);
            tail = e.next;
            out++;
        }
    }
    CHECK(in > 50000);
    ring_close(&r);
}

TEST(what_makes_no_sense_is_no_entry)
{
    struct ring r = made();
    struct ring_entry e;
    uint64_t head = ring_put(&r, 0, SINK_AUDIT, VIEW(NULL, 0), VIEW("0123456789", 10));
    CHECK(ring_get(&r, 0, head, &e));
    CHECK(!ring_get(&r, head, head, &e));            /* nothing there */
    CHECK(!ring_get(&r, 0, 7, &e));                  /* no header */
    CHECK(!ring_get(&r, 0, head - 8, &e));           /* longer than what was published */
    CHECK(!ring_get(&r, 4, head, &e));               /* between */
    CHECK(!ring_get(&r, head, 0, &e));               /* backwards */
    CHECK(!ring_get(&r, 0, (uint64_t)SINK_RING_BYTES + 8, &e)); /* more than there can be */
    const uint32_t over = SINK_RECORD_MAX + 1;
    memcpy(r.data, &over, sizeof(over));
    CHECK(!ring_get(&r, 0, SINK_RING_BYTES, &e));
    const uint32_t wrap = UINT32_MAX;
    memcpy(r.data, &wrap, sizeof(wrap));
    CHECK(!ring_get(&r, 0, SINK_RING_BYTES, &e));
    const uint32_t ten = 10;
    memcpy(r.data, &ten, sizeof(ten));
    for (size_t i = 5; i < 8; i++) { /* flags and zero */
        r.data[i] = 1;
        CHECK(!ring_get(&r, 0, head, &e));
        r.data[i] = 0;
    }
    CHECK(ring_get(&r, 0, head, &e));
    ring_close(&r);
}

TEST(the_other_side_maps_the_same_bytes)
{
    struct ring a = made(), b;
    struct why why = {0};
    struct ring_entry e;
    int fd = dup(a.fd);
    CHECK_OK(ring_attach(fd, &b, &why), why);
    uint64_t pos = SINK_RING_BYTES - 16; /* over the edge */
    uint64_t head = ring_put(&a, pos, SINK_JOURNAL, VIEW(NULL, 0), VIEW("across the edge of it", 21));
    CHECK(ring_get(&b, pos, head, &e));
    CHECK(e.bytes.n == 21 && memcmp(e.bytes.p, "across the edge of it", 21) == 0);
    CHECK(memcmp(b.data, e.bytes.p + 8, 13) == 0);
    ring_close(&a);
    ring_close(&b);
}

TEST(only_a_sealed_ring_is_attached)
{
    struct ring r;
    struct why why = {0};
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0);
    CHECK_INT(ring_attach(fd, &r, &why), ERR_INVALID); /* empty */
    CHECK_INT(ftruncate(fd, RING_PAGE + SINK_RING_BYTES), 0);
    CHECK_INT(ring_attach(fd, &r, &why), ERR_INVALID); /* could be cut under us */
    CHECK_INT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    CHECK_INT(ring_attach(fd, &r, &why), ERR_INVALID); /* no magic */
    close(fd);
    struct ring own = made();
    CHECK_INT(ftruncate(own.fd, 0), -1);
    ring_close(&own);
    ring_close(&own); /* twice is nothing */
}
