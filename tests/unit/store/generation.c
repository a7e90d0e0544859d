#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "store/generation.h"

struct walk {
    unsigned n;
    size_t bytes;
};

static err_t count_entry(void *ctx, struct view entry)
{
    struct walk *w = ctx;
    w->n++;
    w->bytes += entry.n;
    return ERR_OK;
}

/* A file of these bytes, walked. */
static err_t walk(struct view bytes, struct walk *w, bool *torn)
{
    char path[] = "/tmp/broker-generation-XXXXXX";
    struct why why = {0};
    AUTO(auto_close) int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0);
    CHECK(write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    *w = (struct walk){0};
    *torn = false;
    return generation_walk(fd, count_entry, w, torn, &why);
}

static void put(struct buf *b, const char *text)
{
    struct why why = {0};
    CHECK_OK(generation_put(b, view_str(text), &why), why);
}

TEST(names_are_parsed_as_written)
{
    char name[GENERATION_NAME + 1];
    uint64_t g = 0;
    generation_name(42, name);
    CHECK_STR(name, "manifest-00000000000000000042");
    CHECK(generation_parse(name, &g) && g == 42);
    generation_name(UINT64_MAX, name);
    CHECK(generation_parse(name, &g) && g == UINT64_MAX);
}

TEST(other_names_are_not_generations)
{
    static const char *const bad[] = {"manifest-",
                                      "manifest-42",
                                      "manifest-00000000000000000000",
                                      "keys",
                                      "manifest-0000000000000000004x",
                                      "manifest-000000000000000000042",
                                      "manifest-+0000000000000000042",
                                      "manifest-99999999999999999999",
                                      "Manifest-00000000000000000042",
                                      "manifest-00000000000000000042.tmp-1"};
    uint64_t g = 7;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(!generation_parse(bad[i], &g));
    CHECK_INT(g, 7);
}

/* Each truncation gives the whole entries before the cut, and says torn unless the cut falls
 * between two. */
TEST(every_truncation_is_torn_or_between_entries)
{
    AUTO(buf_free) struct buf b = {0};
    generation_header(&b, 1);
    put(&b, "first");
    put(&b, "second entry");
    for (size_t n = GENERATION_HEADER; n <= b.len; n++) {
        size_t one = GENERATION_HEADER + 4 + 5;
        struct walk w;
        bool torn = false;
        CHECK_INT(walk(VIEW(b.p, n), &w, &torn), ERR_OK);
        CHECK_INT(w.n, n == b.len ? 2 : n >= one ? 1 : 0);
        CHECK_INT(torn, n != b.len && n != one && n != GENERATION_HEADER);
    }
}

TEST(zeros_at_the_end_are_a_torn_entry)
{
    AUTO(buf_free) struct buf b = {0};
    static const uint8_t zeros[600000];
    struct walk w;
    bool torn = false;
    generation_header(&b, 1);
    put(&b, "first");
    buf_add(&b, zeros, sizeof(zeros)); /* over one window */
    CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_OK);
    CHECK_INT(w.n, 1);
    CHECK(torn);
}

TEST(a_last_entry_whose_end_never_arrived_is_torn)
{
    AUTO(buf_free) struct buf b = {0};
    struct walk w;
    bool torn = false;
    generation_header(&b, 1);
    put(&b, "0123456789abcdef-and-the-tag-is-here");
    wipe(b.p + b.len - 16, 16);
    CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_OK);
    CHECK_INT(w.n, 0);
    CHECK(torn);
    put(&b, "another"); /* then it is no last one: the reader above decides */
    CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_OK);
    CHECK_INT(w.n, 2);
    CHECK(!torn);
}

TEST(an_impossible_length_is_corrupt)
{
    static const uint8_t lengths[][4] = {{0xff, 0xff, 0, 0}, {0x10, 1, 0xef, 0xfe}, {0, 0, 0, 0},
                                         {0, 0, 0xff, 0xff}, {0, 5, 0xff, 0xfb},    {0, 15, 0, 15}};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        AUTO(buf_free) struct buf b = {0};
        struct walk w;
        bool torn = false;
        generation_header(&b, 1);
        put(&b, "first");
        buf_add(&b, lengths[i], 4);
        buf_add_str(&b, "something after");
        CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_CORRUPT);
    }
}

/* Were a length believed alone, one flipped bit would cut off everything after it as torn. */
TEST(a_flipped_bit_in_a_length_is_corrupt)
{
    AUTO(buf_free) struct buf b = {0};
    struct walk w;
    bool torn = false;
    generation_header(&b, 1);
    put(&b, "first");
    for (unsigned bit = 0; bit < 32; bit++) {
        uint8_t *at = b.p + GENERATION_HEADER + bit / 8;
        *at ^= (uint8_t)(1U << bit % 8);
        CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_CORRUPT);
        *at ^= (uint8_t)(1U << bit % 8);
    }
}

TEST(many_entries_cross_the_window)
{
    AUTO(buf_free) struct buf b = {.max = 64 << 20};
    struct walk w;
    bool torn = false;
    size_t total = 0;
    static uint8_t body[STORE_ENTRY_MAX];
    memset(body, 7, sizeof(body));
    generation_header(&b, 1);
    for (size_t i = 0; i < 3000; i++) {
        size_t n = 1 + i * 31 % STORE_ENTRY_MAX;
        struct why why = {0};
        CHECK_OK(generation_put(&b, VIEW(body, n), &why), why);
        total += n;
    }
    CHECK_INT(walk(buf_view(&b), &w, &torn), ERR_OK);
    CHECK_INT(w.n, 3000);
    CHECK_INT(w.bytes, total);
    CHECK(!torn);
}

static err_t check_bytes(struct view bytes, uint64_t generation, bool *whole)
{
    char path[] = "/tmp/broker-generation-XXXXXX";
    AUTO(auto_close) int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    return generation_check(fd, generation, whole, NULL);
}

TEST(every_byte_of_the_header_counts)
{
    AUTO(buf_free) struct buf b = {0};
    bool whole = false;
    generation_header(&b, 258);
    CHECK_INT(b.len, GENERATION_HEADER);
    CHECK_INT(check_bytes(buf_view(&b), 258, &whole), ERR_OK);
    CHECK(whole);
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] ^= 1;
        CHECK_INT(check_bytes(buf_view(&b), 258, &whole),
                  i >= 8 && i < 12 ? ERR_VERSION : ERR_CORRUPT);
        b.p[i] ^= 1;
    }
    CHECK_INT(check_bytes(VIEW(b.p, b.len - 1), 258, &whole), ERR_OK);
    CHECK(!whole);
}
