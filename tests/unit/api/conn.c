/* The connection table: ids that never come back, request ids, phases and deadlines. */
#include "api/conn.h"
#include "base/auto.h"
#include "check.h"

static const struct conn_limits limits = {.ms = {30, 10, 15, 20}};
static struct why why;
static struct conn *hit[16];
static unsigned n_hit;

static void note(void *ctx, struct conn *c)
{
    (void)ctx;
    if (n_hit < COUNT(hit))
        hit[n_hit++] = c;
}

static struct conns *table(uint32_t max)
{
    struct conns *t = NULL;
    n_hit = 0;
    CHECK_OK(conns_new(max, &limits, &t, &why), why);
    return t;
}

TEST(slots_are_reused_ids_are_not)
{
    struct conns *t = table(4);
    struct conn *c = conn_new(t, 3, NULL, 0);
    uint64_t first = conn_id(c);
    CHECK(conn_find(t, first) == c);
    CHECK_INT(conns_open(t), 1);
    conn_free(t, c);
    CHECK(conn_find(t, first) == NULL);
    c = conn_new(t, 3, NULL, 0);
    CHECK_INT(c->slot, (uint32_t)first);
    CHECK(conn_id(c) != first && conn_find(t, first) == NULL && conn_find(t, conn_id(c)) == c);
    CHECK(conn_find(t, 0) == NULL && conn_find(t, UINT64_MAX) == NULL && conn_find(t, 1) == NULL);
    conns_free(t);
}

TEST(the_table_has_an_end)
{
    struct conns *t = table(3);
    struct conn *c[3];
    for (int i = 0; i < 3; i++)
        CHECK((c[i] = conn_new(t, i, NULL, 0)) != NULL);
    CHECK(conn_new(t, 9, NULL, 0) == NULL);
    CHECK_INT(conns_open(t), 3);
    conn_free(t, c[1]);
    conn_free(t, c[0]);
    CHECK_INT(conn_new(t, 9, NULL, 0)->slot, 0);
    CHECK_INT(conn_new(t, 9, NULL, 0)->slot, 1);
    CHECK(conn_new(t, 9, NULL, 0) == NULL);
    conns_free(t);
}

TEST(a_request_id_finds_its_connection_while_it_waits)
{
    struct conns *t = table(4);
    struct conn *a = conn_new(t, 1, NULL, 0), *b = conn_new(t, 2, NULL, 0);
    uint64_t ra = conn_wait(t, a, 0), rb = conn_wait(t, b, 0);
    CHECK(ra != rb && conn_find_waiting(t, ra) == a && conn_find_waiting(t, rb) == b);
    CHECK_INT(conns_waiting(t), 2);
    conn_enter(t, a, CONN_WRITING, 0);
    CHECK(conn_find_waiting(t, ra) == NULL);
    uint64_t again = conn_wait(t, a, 0);
    CHECK(again != ra && conn_find_waiting(t, ra) == NULL && conn_find_waiting(t, again) == a);
    conn_free(t, b);
    CHECK(conn_find_waiting(t, rb) == NULL);
    CHECK_INT(conns_waiting(t), 1);
    CHECK(conn_find_waiting(t, 0) == NULL && conn_find_waiting(t, UINT64_MAX) == NULL);
    conns_free(t);
}

TEST(walking_sees_each_once)
{
    struct conns *t = table(8);
    struct conn *c[5];
    for (int i = 0; i < 5; i++)
        c[i] = conn_new(t, i, NULL, 0);
    conn_free(t, c[2]);
    unsigned n = 0;
    for (struct conn *x = conn_next(t, 0); x; x = conn_next(t, x->slot + 1))
        n++;
    CHECK_INT(n, 4);
    conns_free(t);
}

TEST(deadlines_follow_the_phase)
{
    struct conns *t = table(4);
    CHECK(conns_next_deadline(t) == INT64_MAX);
    struct conn *a = conn_new(t, 1, NULL, 100), *b = conn_new(t, 2, NULL, 100);
    CHECK_INT(conns_next_deadline(t), 130);
    conn_enter(t, b, CONN_READING, 105);
    CHECK_INT(conns_next_deadline(t), 115);
    conns_expire(t, 114, note, NULL);
    CHECK_INT(n_hit, 0);
    conns_expire(t, 115, note, NULL);
    CHECK(n_hit == 1 && hit[0] == b);
    CHECK_INT(conns_next_deadline(t), 130);
    conns_expire(t, 130, note, NULL); /* b is not told twice */
    CHECK(n_hit == 2 && hit[1] == a);
    CHECK(conns_next_deadline(t) == INT64_MAX);
    (void)conn_wait(t, a, 200);
    CHECK_INT(conns_next_deadline(t), 215);
    conns_free(t);
}

static void free_it(void *ctx, struct conn *c)
{
    conn_free(ctx, c);
}

TEST(an_expired_connection_may_be_freed_at_once)
{
    struct conns *t = table(4);
    for (int i = 0; i < 4; i++)
        (void)conn_new(t, i, NULL, i);
    conns_expire(t, 31, free_it, t);
    CHECK_INT(conns_open(t), 2);
    CHECK_INT(conns_next_deadline(t), 32);
    conns_free(t);
}

TEST(a_cleared_request_leaves_nothing)
{
    struct conns *t = table(1);
    struct conn *c = conn_new(t, 1, NULL, 0);
    static const struct request none;
    c->rq.body.max = 100;
    buf_add_str(&c->rq.body, "secret");
    snprintf(c->rq.target, sizeof(c->rq.target), "/v1/x");
    c->rq.refused = ERR_DENIED;
    conn_request_clear(c);
    CHECK(memcmp(&c->rq, &none, sizeof(none)) == 0);
    conns_free(t);
}
