/* Every key source keeps the contract of broker/keysource.h; rows that work in the vault's own
 * process are exercised whole. */
#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/buf.h"
#include <broker/keysource.h>

#include <ctype.h>

static const char pass[] = "correct horse battery staple";

struct given {
    const struct keysource *k;
    struct scratch dir;
    struct keysource_ask ask;
    struct buf params;
    struct why why;
};

static void given_free(struct given *g)
{
    buf_free(&g->params);
    scratch_free(&g->dir);
}

/* A place where each source can make a key. */
static struct given given_new(const struct keysource *k)
{
    struct given g = {.k = k, .dir = scratch_new()};
    scratch_pool();
    scratch_write(scratch_path(&g.dir, "credential-broker-key"), "0123456789abcdef0123456789abcdef",
                  32, 0600);
    setenv("CREDENTIALS_DIRECTORY", g.dir.path, 1);
    g.ask.passphrase = k->interactive ? view_str(pass) : (struct view){0};
    return g;
}

#define EACH_WORKING(test)                                                                         \
    static void test##_of(struct given *g);                                                        \
    TEST(test)                                                                                     \
    {                                                                                              \
        unsigned n = 0;                                                                            \
        for (const struct keysource *const *row = keysources; *row; row++) {                       \
            if (!(*row)->create)                                                                   \
                continue;                                                                          \
            AUTO(given_free) struct given g = given_new(*row);                                     \
            g.ask.config_dir = g.dir.path;                                                         \
            test##_of(&g);                                                                         \
            n++;                                                                                   \
        }                                                                                          \
        CHECK(n >= 3);                                                                             \
    }                                                                                              \
    static void test##_of(struct given *g)

EACH_WORKING(what_create_gives_open_gives_again)
{
    AUTO(auto_secret) struct secret *made = NULL, *opened = NULL;
    CHECK_OK(g->k->create(&g->ask, &g->params, &made, &g->why), g->why);
    CHECK_INT(secret_len(made), KEYSOURCE_KEY_BYTES);
    CHECK(g->params.len > 0 && g->params.len <= KEYSOURCE_PARAMS_MAX);
    g->ask.params = buf_view(&g->params);
    CHECK_OK(g->k->open(&g->ask, &opened, &g->why), g->why);
    CHECK(secret_equal(made, opened));
}

EACH_WORKING(params_that_were_cut_or_are_empty_open_nothing)
{
    AUTO(auto_secret) struct secret *made = NULL, *opened = NULL;
    CHECK_OK(g->k->create(&g->ask, &g->params, &made, &g->why), g->why);
    for (size_t n = 0; n<g->params.len; n += g->params.len> 8 ? g->params.len / 8 : 1) {
        g->ask.params = VIEW(g->params.p, n);
        CHECK(g->k->open(&g->ask, &opened, &g->why) != ERR_OK);
        CHECK(!opened);
    }
}

EACH_WORKING(a_failed_create_leaves_the_outputs_alone)
{
    struct secret *made = NULL;
    struct buf full = {.max = 2};
    CHECK(g->k->create(&g->ask, &full, &made, &g->why) != ERR_OK);
    CHECK(!made);
    CHECK_INT(full.len, 0);
    CHECK_INT(scratch_count(g->dir.path, "master.key"), 0);
    buf_free(&full);
}

TEST(every_row_is_named_and_complete)
{
    for (const struct keysource *const *row = keysources; *row; row++) {
        const struct keysource *k = *row;
        CHECK(k->name && *k->name && strlen(k->name) <= 32 && k->title && k->describe);
        CHECK(keysource_by_name(view_str(k->name)) == k);
        CHECK(!k->create == !k->open);
        CHECK(k->create || k->helper); /* a row without functions has a helper that has them */
        for (const char *c = k->name; *c; c++)
            CHECK(islower((unsigned char)*c));
    }
    CHECK(!keysource_by_name(view_str("nosuch")));
}

TEST(describe_is_total_and_one_line)
{
    uint8_t bytes[KEYSOURCE_PARAMS_MAX];
    for (const struct keysource *const *row = keysources; *row; row++) {
        for (size_t n = 0; n <= sizeof(bytes); n += 31) {
            char out[160];
            for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(i * 7 + n);
            memset(out, 'x', sizeof(out));
            (*row)->describe(VIEW(bytes, n), out);
            CHECK(memchr(out, 0, sizeof(out)));
            CHECK(!strpbrk(out, "\n\r\t\033"));
        }
    }
}
