/* vault/lease_table.c: against a plain model, with many comings and goings. */
#include "check.h"

#include "vault/lease_table.h"

enum { N = 3000 };

static struct lease_node *make(uint32_t i, uint64_t serial)
{
    struct lease_node *n = calloc(1, sizeof(*n));
    uint32_t h = i * 2654435761u;
    memcpy(n->lease.id, &h, 4);
    memcpy(n->lease.id + 8, &i, 4);
    snprintf(n->lease.consumer, sizeof(n->lease.consumer), "c%u", i % 37);
    n->serial = serial;
    return n;
}

static void drop(struct lease_table *t, struct lease_node *n)
{
    table_remove(t, n);
    free(n);
}

static void clear(struct lease_table *t)
{
    for (struct lease_node *n; (n = table_after(t, 0));)
        drop(t, n);
    table_free(t);
}

TEST(an_empty_table_finds_nothing)
{
    struct lease_table t = {0};
    uint8_t id[16] = {0};
    CHECK(!table_find(&t, id) && !table_after(&t, 0) && table_live_of(&t, "c") == 0);
    table_sort(&t);
    table_free(&t);
}

TEST(the_table_agrees_with_a_model)
{
    static struct lease_node *model[N];
    struct lease_table t = {0};
    uint32_t seed = 1;
    uint64_t serial = 0;
    memset(model, 0, sizeof(model));
    for (int round = 0; round < 40000; round++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t i = (seed >> 8) % N;
        uint8_t id[16];
        struct lease_node *probe = make(i, 0);
        memcpy(id, probe->lease.id, 16);
        free(probe);
        CHECK(table_find(&t, id) == model[i]);
        if (model[i]) {
            drop(&t, model[i]);
            model[i] = NULL;
        } else {
            model[i] = make(i, ++serial);
            CHECK_INT(table_insert(&t, model[i]), ERR_OK);
        }
    }
    unsigned live = 0, of[37] = {0}, walked = 0;
    for (uint32_t i = 0; i < N; i++)
        if (model[i]) {
            live++;
            of[i % 37]++;
        }
    CHECK_INT(t.live, live);
    for (unsigned c = 0; c < 37; c++) {
        char name[8];
        snprintf(name, sizeof(name), "c%u", c);
        CHECK_INT(table_live_of(&t, name), of[c]);
    }
    uint64_t at = 0;
    for (struct lease_node *n; (n = table_after(&t, at)); walked++) {
        CHECK(n->serial > at && t.slot[n->slot].node == n);
        at = n->serial;
    }
    CHECK_INT(walked, live);
    CHECK(t.n_slots < 4 * N); /* holes are squeezed out */
    clear(&t);
}

TEST(after_a_replay_the_order_is_that_of_serials)
{
    struct lease_table t = {0};
    for (uint32_t i = 0; i < 500; i++)
        CHECK_INT(table_insert(&t, make(i, 1 + (i * 7919) % 500)), ERR_OK);
    for (uint32_t i = 0; i < 100; i++) {
        struct lease_node *probe = make(i, 0);
        drop(&t, table_find(&t, probe->lease.id));
        free(probe);
    }
    table_sort(&t);
    uint64_t at = 0;
    unsigned n = 0;
    for (struct lease_node *l; (l = table_after(&t, at)); n++) {
        CHECK(l->serial > at && t.slot[l->slot].node == l);
        at = l->serial;
    }
    CHECK_INT(n, 400);
    clear(&t);
}
