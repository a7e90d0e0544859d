/* vault/lease_due.c: leases of one millisecond share a timer, and each is looked at exactly when it was last set. */
#include "lease_rig.h"
#include "vault/lease_due.h"

enum { NODES = 300 };
static struct lease_due due;
static struct lease_node node[NODES];
static unsigned looks[NODES];
static int64_t looked_ms[NODES], again_in;
static struct lease_node *other; /* taken out while another one is looked at */

static void look(struct lease_node *n)
{
    size_t i = (size_t)(n - node);
    CHECK(!n->due);
    looks[i]++;
    looked_ms[i] = loop_now(rig.loop);
    if (again_in && looks[i] == 1)
        CHECK_OK(due_set(&due, n, loop_now(rig.loop) + again_in), why);
    if (other)
        due_clear(TAKE(other));
}

static void begin(void)
{
    rig_up();
    memset(node, 0, sizeof(node));
    memset(looks, 0, sizeof(looks));
    other = NULL;
    again_in = 0;
    due = (struct lease_due){.loop = rig.loop, .look = look};
}

TEST(each_is_looked_at_once_and_not_before_its_time)
{
    begin();
    int64_t now = clock_boot_ms();
    for (int i = 0; i < NODES; i++) /* times share places, and groups */
        CHECK_OK(due_set(&due, &node[i], now + 100000 + i % 7 * DUE_RECENT + i % 3), why);
    pass_ms(99000);
    spin(1);
    for (int i = 0; i < NODES; i++)
        CHECK_INT(looks[i], 0);
    for (int step = 0; step < 24; step++) {
        pass_ms(DUE_RECENT);
        spin(1);
    }
    for (int i = 0; i < NODES; i++) {
        CHECK_INT(looks[i], 1);
        CHECK(looked_ms[i] >= now + 100000 + i % 7 * DUE_RECENT + i % 3);
    }
    rig_done();
}

TEST(the_last_time_that_was_set_counts)
{
    begin();
    int64_t now = clock_boot_ms();
    for (int i = 0; i < 3; i++)
        CHECK_OK(due_set(&due, &node[i], now + 1000), why);
    CHECK_OK(due_set(&due, &node[0], now + 5000), why);
    due_clear(&node[1]);
    due_clear(&node[1]);
    pass_ms(2000);
    spin(1);
    CHECK(looks[0] == 0 && looks[1] == 0 && looks[2] == 1);
    pass_ms(4000);
    spin(1);
    CHECK(looks[0] == 1 && looks[1] == 0 && looks[2] == 1);
    CHECK_OK(due_set(&due, &node[1], now + 1), why); /* in the past: at once */
    spin(1);
    CHECK_INT(looks[1], 1);
    rig_done();
}

TEST(a_look_may_set_again_and_take_others_out)
{
    begin();
    int64_t now = clock_boot_ms();
    again_in = 1000;
    for (int i = 0; i < 3; i++)
        CHECK_OK(due_set(&due, &node[i], now + 500), why);
    other = &node[1]; /* the group is worked off from the newest on */
    pass_ms(600);
    spin(1);
    CHECK(looks[0] == 1 && looks[1] == 0 && looks[2] == 1);
    pass_ms(1100);
    spin(1);
    CHECK(looks[0] == 2 && looks[1] == 0 && looks[2] == 2);
    rig_done();
}
