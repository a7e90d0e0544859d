#include "base/auto.h"
#include "check.h"
#include "proxy/guard_trie.h"

static void make(struct trie *t, const char *const *string, unsigned n)
{
    struct why why = {0};
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += strlen(string[i]);
    CHECK_OK(trie_new(t, bytes, n, &why), why);
    for (unsigned i = 0; i < n; i++)
        trie_add(t, view_str(string[i]));
    CHECK_OK(trie_link(t, &why), why);
    CHECK(t->n_nodes <= bytes + 1);
}

static bool ends_with(struct view v, const char *s, size_t n)
{
    return v.n >= n && memcmp(v.p + v.n - n, s, n) == 0;
}

/* By definition: the longest suffix of `text` that is a front part of a string. */
static struct view longest(struct view text, const char *const *string, unsigned n)
{
    for (size_t from = 0; from < text.n; from++)
        for (unsigned i = 0; i < n; i++)
            if (strlen(string[i]) >= text.n - from &&
                memcmp(string[i], text.p + from, text.n - from) == 0)
                return VIEW(text.p + from, text.n - from);
    return VIEW(NULL, 0);
}

static bool any_ends(struct view text, const char *const *string, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ends_with(text, string[i], strlen(string[i])))
            return true;
    return false;
}

static void agree(const char *const *string, unsigned n, const char *letters, unsigned seed)
{
    AUTO(trie_free) struct trie t;
    char text[300];
    uint32_t node = 0;
    make(&t, string, n);
    for (size_t i = 0; i < sizeof(text); i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = letters[(seed >> 16) % strlen(letters)];
        node = trie_next(&t, node, (uint8_t)text[i]);
        struct view so_far = VIEW(text, i + 1);
        CHECK(view_eq(trie_path(&t, node), longest(so_far, string, n)));
        CHECK(trie_hit(&t, node) == any_ends(so_far, string, n));
    }
}

TEST(it_stands_at_the_longest_suffix_that_is_a_front_part)
{
    static const char *const classic[] = {"he", "she", "his", "hers"};
    static const char *const self[] = {"aabaabaaab", "abaabaa", "baabaab", "aaaa"};
    static const char *const nested[] = {"abcdefgh", "cdef", "abcabd", "abc", "abcdefghabcd"};
    static const char *const forked[] = {"abca", "abcb", "abcc", "abba", "aaaa", "bbbb", "cabc"};
    static const char *const same[] = {"abab", "abab"};
    for (unsigned seed = 0; seed < 200; seed++) {
        agree(classic, COUNT(classic), "hers i", seed);
        agree(self, COUNT(self), "ab", seed);
        agree(nested, COUNT(nested), "abcdefgh", seed);
        agree(nested, COUNT(nested), "abcd", seed);
        agree(forked, COUNT(forked), "abc", seed);
        agree(same, COUNT(same), "abc", seed);
    }
}

TEST(random_strings)
{
    for (unsigned seed = 1; seed < 300; seed++) {
        char room[12][24];
        const char *string[12];
        unsigned x = seed, n = 1 + seed % 12;
        for (unsigned i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            size_t len = 1 + (x >> 20) % 20;
            for (size_t k = 0; k < len; k++) {
                x = x * 1664525 + 1013904223;
                room[i][k] = "ab"[(x >> 24) % 2];
            }
            room[i][len] = '\0';
            string[i] = room[i];
        }
        agree(string, n, "ab", x);
    }
}

TEST(none_finds_nothing)
{
    AUTO(trie_free) struct trie t;
    make(&t, NULL, 0);
    for (unsigned b = 0; b < 256; b++)
        CHECK_INT(trie_next(&t, 0, (uint8_t)b), 0);
    CHECK(!trie_hit(&t, 0));
    CHECK_INT(trie_path(&t, 0).n, 0);
}

TEST(a_node_is_eight_bytes)
{
    CHECK_INT(sizeof(struct trie_node), 8);
}
