/* How vectors_make.c writes: fixed randomness, the lines of the file, and the changes that are made
 * to every field of a layout. */
#ifndef TESTS_VECTORS_MAKE_H
#define TESTS_VECTORS_MAKE_H

#include "unit/crypto/help.h"

#include <sodium.h>

/* ---- fixed randomness: each call gives the next block of a ChaCha20 stream */

static uint64_t random_calls;

static const char *fixed_name(void)
{
    return "fixed";
}

static void fixed_buf(void *const p, const size_t n)
{
    uint8_t seed[randombytes_SEEDBYTES] = {0};
    memcpy(seed, &random_calls, sizeof(random_calls));
    random_calls++;
    randombytes_buf_deterministic(p, n, seed);
}

static uint32_t fixed_random(void)
{
    uint32_t r;
    fixed_buf(&r, sizeof(r));
    return r;
}

static struct randombytes_implementation fixed = {
    .implementation_name = fixed_name, .random = fixed_random, .buf = fixed_buf};

__attribute__((constructor(101))) static void fix_randomness(void)
{
    randombytes_set_implementation(&fixed);
}

/* ---- writing */

static void put_hex(struct buf *out, const void *p, size_t n)
{
    char hex[3];
    for (size_t i = 0; i < n; i++) {
        hex_encode((const uint8_t *)p + i, 1, hex);
        buf_add(out, hex, 2);
    }
    if (n == 0)
        buf_add_str(out, "-");
}

static void let(struct buf *out, const char *name, struct view v)
{
    buf_add_fmt(out, "let %s ", name);
    put_hex(out, v.p, v.n);
    buf_add_str(out, "\n");
}

static void let_key(struct buf *out, const char *name, uint8_t fill)
{
    uint8_t key[32];
    memset(key, fill, sizeof(key));
    let(out, name, VIEW(key, sizeof(key)));
}

struct field { /* of a layout */
    const char *name;
    size_t at, n;
    const char *first, *last,
        *cut; /* outcome: first bit or last bit flipped; cut where it begins */
};
/* how one line of a kind looks around the edit */
struct kind {
    const char *kind, *base, *tail;
};

static void line(struct buf *out, const struct kind *k, const char *result, const char *edit,
                 const char *about)
{
    buf_add_fmt(out, "%s %s %s %s %s # %s\n", k->kind, result, k->base, edit, k->tail, about);
}

static void each_field(struct buf *out, const struct kind *k, const struct field *f, size_t n)
{
    char edit[64], about[96];
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(edit, sizeof(edit), "flip:%zu.7", f[i].at);
        (void)snprintf(about, sizeof(about), "%s, first bit", f[i].name);
        line(out, k, f[i].first, edit, about);
        (void)snprintf(edit, sizeof(edit), "flip:%zu.0", f[i].at + f[i].n - 1);
        (void)snprintf(about, sizeof(about), "%s, last bit", f[i].name);
        line(out, k, f[i].last, edit, about);
        (void)snprintf(edit, sizeof(edit), "cut:%zu", f[i].at);
        (void)snprintf(about, sizeof(about), "ends before %s", f[i].name);
        line(out, k, f[i].cut, edit, about);
    }
}

/* the preamble is the same for record, entry and key header */
static void each_preamble(struct buf *out, const struct kind *k, size_t total)
{
    static const char *const set[][3] = {
        {"set:4=00", "version", "version 0"},
        {"set:4=02", "version", "version 2"},
        {"set:4=ff", "version", "version 255"},
        {"set:5=00", "version", "suite 0"},
        {"set:5=02", "version", "suite 2"},
        {"set:5=ff", "version", "suite 255"},
        {"set:6=0002", "version", "unknown flag 2"},
        {"set:6=8000", "version", "unknown flag 8000"},
        {"set:6=ffff", "version", "all flags"},
        {"set:0=00000000", "corrupt", "no magic"},
        {"set:0=43425258", "corrupt", "magic CBRX"},
        {"cut:1", "corrupt", "one byte"},
        {"cut:7", "corrupt", "half a preamble"},
        {"drop:1", "corrupt", "first byte gone"},
        {"add:00", "corrupt", "a byte too many"},
        {"add:0000000000000000", "corrupt", "eight bytes too many"}};
    char edit[32];
    for (size_t i = 0; i < COUNT(set); i++)
        line(out, k, set[i][1], set[i][0], set[i][2]);
    (void)snprintf(edit, sizeof(edit), "cut:%zu", total - 1);
    line(out, k, "corrupt", edit, "last byte gone");
}

#define BAD   "corrupt", "corrupt", "corrupt"
#define NEWER "version", "version", "corrupt"

#endif
