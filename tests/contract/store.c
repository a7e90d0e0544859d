/* Every store keeps the contract of broker/store.h. What is asked here is asked of each row of the
 * table. */
#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/buf.h"
#include <broker/store.h>

struct given { /* a store just made */
    const struct store_ops *ops;
    struct store *s;
    struct scratch dir;
    struct why why;
};

static void given_open(struct given *g, bool create)
{
    CHECK_OK(g->ops->open(&g->s, g->dir.path, create, &g->why), g->why);
}

static void given_reopen(struct given *g)
{
    g->ops->close(g->s);
    g->s = NULL;
    given_open(g, false);
}

#define EACH(test)                                                                                 \
    static void test##_of(struct given *g);                                                        \
    TEST(test)                                                                                     \
    {                                                                                              \
        for (const struct store_ops *const *row = stores; *row; row++) {                           \
            struct given g = {.ops = *row, .dir = scratch_new()};                                  \
            given_open(&g, true);                                                                  \
            test##_of(&g);                                                                         \
            g.ops->close(g.s);                                                                     \
            scratch_free(&g.dir);                                                                  \
        }                                                                                          \
        CHECK(stores[0]);                                                                          \
    }                                                                                              \
    static void test##_of(struct given *g)

#define V(text) view_str(text)

struct entries { /* what a reading of the manifest gave */
    unsigned n;
    char text[8][32];
    err_t stop; /* returned by the second call */
    uint64_t *generation, seen;
};

static err_t take_entry(void *ctx, struct view entry)
{
    struct entries *e = ctx;
    if (e->generation)
        e->seen = *e->generation;
    if (e->n == 1 && e->stop != ERR_OK)
        return e->stop;
    if (e->n < 8 && !view_copy(entry, e->text[e->n], sizeof(e->text[0])))
        return ERR_INTERNAL;
    e->n++;
    return ERR_OK;
}

struct list {
    const char *const *at;
};

static bool next_of(void *ctx, struct view *entry)
{
    struct list *l = ctx;
    if (!*l->at)
        return false;
    *entry = V(*l->at++);
    return true;
}

static void replace(struct given *g, uint64_t generation, const char *const *list)
{
    CHECK_OK(g->ops->manifest_replace(g->s, generation, next_of, &(struct list){list}, &g->why),
             g->why);
}

static struct entries read_manifest(struct given *g, uint64_t *generation)
{
    struct entries e = {.generation = generation};
    bool torn = true;
    CHECK_OK(g->ops->manifest_read(g->s, take_entry, &e, generation, &torn, &g->why), g->why);
    CHECK(!torn);
    return e;
}

EACH(a_new_store_has_no_header_and_no_manifest)
{
    AUTO(buf_free) struct buf b = {0};
    uint64_t generation = 7;
    CHECK_INT(g->ops->header_read(g->s, &b, &g->why), ERR_NOT_FOUND);
    CHECK_INT(b.len, 0);
    struct entries e = read_manifest(g, &generation);
    CHECK_INT(e.n, 0);
    CHECK_INT(generation, 0);
    CHECK(g->ops->manifest_append(g->s, V("x"), &g->why) != ERR_OK);
}

EACH(a_second_opener_is_refused)
{
    struct store *second = NULL;
    CHECK_INT(g->ops->open(&second, g->dir.path, true, &g->why), ERR_CONFLICT);
    CHECK(!second);
    CHECK(strstr(g->why.text, "another brokerd"));
    given_reopen(g);
}

EACH(the_header_is_replaced_whole)
{
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(g->ops->header_write(g->s, V("first, and longer"), &g->why), g->why);
    CHECK_OK(g->ops->header_write(g->s, V("second"), &g->why), g->why);
    given_reopen(g);
    CHECK_OK(g->ops->header_read(g->s, &b, &g->why), g->why);
    CHECK(view_is(buf_view(&b), "second"));
}

EACH(a_record_is_written_once_and_read_back)
{
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(g->ops->record_write(g->s, "abc-1", V("one"), &g->why), g->why);
    CHECK_INT(g->ops->record_write(g->s, "abc-1", V("two"), &g->why), ERR_EXISTS);
    given_reopen(g);
    CHECK_OK(g->ops->record_read(g->s, "abc-1", &b, &g->why), g->why);
    CHECK(view_is(buf_view(&b), "one"));
}

EACH(a_missing_record_is_not_found_and_its_removal_is_no_error)
{
    AUTO(buf_free) struct buf b = {0};
    CHECK_INT(g->ops->record_read(g->s, "nothing", &b, &g->why), ERR_NOT_FOUND);
    CHECK_OK(g->ops->record_remove(g->s, "nothing", &g->why), g->why);
    CHECK_OK(g->ops->record_write(g->s, "thing", V("x"), &g->why), g->why);
    CHECK_OK(g->ops->record_remove(g->s, "thing", &g->why), g->why);
    CHECK_INT(g->ops->record_read(g->s, "thing", &b, &g->why), ERR_NOT_FOUND);
}

EACH(a_record_may_be_written_again_after_its_removal)
{
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(g->ops->record_write(g->s, "r", V("old"), &g->why), g->why);
    CHECK_OK(g->ops->record_remove(g->s, "r", &g->why), g->why);
    CHECK_OK(g->ops->record_write(g->s, "r", V("new"), &g->why), g->why);
    CHECK_OK(g->ops->record_read(g->s, "r", &b, &g->why), g->why);
    CHECK(view_is(buf_view(&b), "new"));
}

EACH(names_outside_the_alphabet_are_refused)
{
    static const char *const bad[] = {
        "",
        "A",
        "a/b",
        "..",
        ".",
        "a.b",
        "a b",
        "a_b",
        "\xc3\xa9",
        "../keys",
        "01234567890123456789012345678901234567890123456789012345678901234"};
    AUTO(buf_free) struct buf b = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_INT(g->ops->record_write(g->s, bad[i], V("x"), &g->why), ERR_INVALID);
        CHECK_INT(g->ops->record_read(g->s, bad[i], &b, &g->why), ERR_INVALID);
        CHECK_INT(g->ops->record_remove(g->s, bad[i], &g->why), ERR_INVALID);
    }
    CHECK_OK(g->ops->record_write(g->s, bad[COUNT(bad) - 1] + 1, V("64 bytes"), &g->why), g->why);
}

EACH(sizes_are_limited)
{
    static uint8_t big[STORE_RECORD_MAX + 1];
    memset(big, 'x', sizeof(big));
    AUTO(buf_free) struct buf b = {0};
    CHECK_OK(g->ops->record_write(g->s, "max", VIEW(big, STORE_RECORD_MAX), &g->why), g->why);
    CHECK_OK(g->ops->record_read(g->s, "max", &b, &g->why), g->why);
    CHECK_INT(b.len, STORE_RECORD_MAX);
    CHECK_INT(g->ops->record_write(g->s, "over", VIEW(big, sizeof(big)), &g->why), ERR_TOO_LARGE);
    CHECK(g->ops->record_write(g->s, "none", VIEW(big, 0), &g->why) != ERR_OK);
    CHECK_INT(g->ops->header_write(g->s, VIEW(big, STORE_HEADER_MAX + 1), &g->why), ERR_TOO_LARGE);
    replace(g, 1, (const char *const[]){NULL});
    CHECK_INT(g->ops->manifest_append(g->s, VIEW(big, STORE_ENTRY_MAX + 1), &g->why), ERR_INVALID);
    CHECK_INT(g->ops->manifest_append(g->s, VIEW(big, 0), &g->why), ERR_INVALID);
    CHECK_OK(g->ops->manifest_append(g->s, VIEW(big, STORE_ENTRY_MAX), &g->why), g->why);
}

static void count_name(void *ctx, const char *name)
{
    unsigned *seen = ctx;
    unsigned i = (unsigned)strtoul(name + 2, NULL, 10);
    if (strncmp(name, "r-", 2) == 0 && i < 300)
        seen[i]++;
}

EACH(every_record_is_listed_once)
{
    unsigned seen[300] = {0};
    for (unsigned i = 0; i < COUNT(seen); i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "r-%u", i);
        CHECK_OK(g->ops->record_write(g->s, name, V("x"), &g->why), g->why);
    }
    given_reopen(g);
    CHECK_OK(g->ops->record_each(g->s, count_name, seen, &g->why), g->why);
    for (unsigned i = 0; i < COUNT(seen); i++)
        CHECK_INT(seen[i], 1);
}

EACH(entries_come_back_in_order)
{
    uint64_t generation = 0;
    replace(g, 1, (const char *const[]){"a", "b", NULL});
    CHECK_OK(g->ops->manifest_append(g->s, V("c"), &g->why), g->why);
    given_reopen(g);
    CHECK_OK(g->ops->manifest_append(g->s, V("d"), &g->why), g->why);
    struct entries e = read_manifest(g, &generation);
    CHECK_INT(generation, 1);
    CHECK_INT(e.seen, 1); /* known before the first entry */
    CHECK_INT(e.n, 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK_INT(e.text[i][0], 'a' + i);
}

EACH(a_new_generation_replaces_all)
{
    uint64_t generation = 0;
    replace(g, 1, (const char *const[]){"a", "b", NULL});
    replace(g, 9, (const char *const[]){"z", NULL});
    CHECK_OK(g->ops->manifest_append(g->s, V("y"), &g->why), g->why);
    given_reopen(g);
    struct entries e = read_manifest(g, &generation);
    CHECK_INT(generation, 9);
    CHECK_INT(e.n, 2);
    CHECK_STR(e.text[0], "z");
    CHECK_STR(e.text[1], "y");
}

EACH(an_older_or_equal_generation_is_refused)
{
    uint64_t generation = 0;
    struct list none = {(const char *const[]){NULL}};
    replace(g, 5, (const char *const[]){"five", NULL});
    CHECK_INT(g->ops->manifest_replace(g->s, 5, next_of, &none, &g->why), ERR_INVALID);
    CHECK_INT(g->ops->manifest_replace(g->s, 4, next_of, &none, &g->why), ERR_INVALID);
    CHECK_INT(read_manifest(g, &generation).n, 1);
    CHECK_INT(generation, 5);
}

EACH(a_replacement_given_up_half_way_changes_nothing)
{
    uint64_t generation = 0;
    replace(g, 1, (const char *const[]){"a", NULL});
    struct list gives_up = {(const char *const[]){"b", "", "c", NULL}};
    CHECK_INT(g->ops->manifest_replace(g->s, 2, next_of, &gives_up, &g->why), ERR_INVALID);
    CHECK_OK(g->ops->manifest_append(g->s, V("b"), &g->why), g->why);
    given_reopen(g);
    CHECK_INT(read_manifest(g, &generation).n, 2);
    CHECK_INT(generation, 1);
}

EACH(the_reader_may_stop)
{
    struct entries e = {.stop = ERR_CORRUPT};
    uint64_t generation = 0;
    bool torn = false;
    replace(g, 1, (const char *const[]){"a", "b", "c", NULL});
    CHECK_INT(g->ops->manifest_read(g->s, take_entry, &e, &generation, &torn, &g->why),
              ERR_CORRUPT);
    CHECK_INT(e.n, 1);
}

TEST(stores_are_found_by_name)
{
    for (const struct store_ops *const *row = stores; *row; row++)
        CHECK(store_by_name(view_str((*row)->name)) == *row);
    CHECK(!store_by_name(view_str("nosuch")));
    CHECK(!store_by_name(view_str("")));
}
