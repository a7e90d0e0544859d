/* base/line.c: order, owners that are gone, a vault that does not read, one that dies, messages that are not for this role. */
#include "base/line.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "check.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { KEYS = 64 };
static struct scene {
    struct loop *loop;
    struct line *line;
    int vault;
    bool gone[KEYS];
    int shows[KEYS]; /* descriptor + 1 */
    unsigned went[KEYS], n_went;
    unsigned closes, listens;
    int kept;
    bool fail;
} s;
static struct why why;

static bool wanted(void *ctx, uint64_t key, int *fd)
{
    CHECK(ctx == &s && key && key < KEYS && *fd == -1);
    if (s.shows[key])
        *fd = s.shows[key] - 1;
    return !s.gone[key];
}

static void went(void *ctx, uint64_t key)
{
    CHECK(ctx == &s && key && key < KEYS);
    s.went[key]++;
    s.n_went++;
}

static err_t on_close(void *ctx, const struct msg *m, int *fd, struct why *w)
{
    CHECK(ctx == &s && m->type == MSG_CLOSE && *fd == -1);
    s.closes++;
    return s.fail ? fail(w, ERR_INVALID, "not now") : ERR_OK;
}

static err_t on_listen(void *ctx, const struct msg *m, int *fd, struct why *w)
{
    (void)w;
    CHECK(ctx == &s && m->type == MSG_LISTEN && *fd >= 0);
    if (s.listens++ == 0)
        s.kept = TAKE_FD(*fd);
    return ERR_OK;
}

static const struct line_handler handlers[] = {{MSG_CLOSE, on_close}, {MSG_LISTEN, on_listen}, {MSG_NONE, NULL}};
static const struct line_ops ops = {handlers, wanted, went};

static void open_scene(void)
{
    int pair[2];
    s = (struct scene){.kept = -1};
    CHECK_OK(loop_new(&s.loop, &why), why);
    CHECK_OK(ipc_pair(pair, &why), why);
    s.vault = pair[0];
    CHECK_OK(line_new(s.loop, pair[1], &ops, &s, &s.line, &why), why);
}

static void close_scene(void)
{
    line_free(s.line);
    loop_free(s.loop);
    auto_close(&s.vault);
    auto_close(&s.kept);
}

static void on_stop(void *ctx)
{
    loop_stop(ctx, 7);
}

/* Turns until `ms` have passed (7), or the line stopped the loop. */
static int turns(int ms)
{
    struct loop_timer *t;
    CHECK_INT(loop_timer_new(s.loop, on_stop, s.loop, &t), ERR_OK);
    CHECK_INT(loop_timer_set(t, loop_now(s.loop) + ms), ERR_OK);
    int code = loop_run(s.loop);
    loop_timer_free(t);
    return code;
}

static struct view packet(struct buf *b, enum msg_type type, uint64_t id)
{
    msg_begin(b, type, id, 1);
    CHECK(!b->bad);
    return buf_view(b);
}

static void add(uint64_t key, uint64_t id)
{
    AUTO(buf_free) struct buf b = {0};
    CHECK(line_add(s.line, key, packet(&b, MSG_WHOAMI, id)));
}

/* The id of the next packet at the vault; 0: none. *showed: a descriptor came along. */
static uint64_t next_id(bool *showed)
{
    AUTO(buf_free) struct buf b = {0};
    AUTO(auto_close) int fd = -1;
    struct msg m;
    if (ipc_recv(s.vault, &b, &fd, &why) != ERR_OK)
        return 0;
    CHECK_OK(msg_parse(buf_view(&b), FROM_API, &m, &why), why);
    *showed = fd >= 0;
    return m.id;
}

static void from_vault(enum msg_type type, int fd)
{
    AUTO(buf_free) struct buf b = {0};
    msg_begin(&b, type, 0, 9);
    if (type == MSG_LISTEN)
        msg_put_str(&b, F_CONSUMER, "gw");
    CHECK_OK(ipc_send(s.vault, buf_view(&b), fd, &why), why);
}

TEST(packets_go_in_order_and_those_of_the_gone_do_not)
{
    bool showed;
    open_scene();
    s.gone[3] = s.gone[20] = true;
    s.shows[5] = s.vault + 1;
    for (uint64_t k = 1; k <= 40; k++)
        add(k % 10 == 0 ? 0 : k, 100 + k);
    add(20, 999);
    CHECK(line_waiting(s.line) > 0);
    CHECK(line_flush(s.line));
    CHECK_INT(line_waiting(s.line), 0);
    for (uint64_t k = 1; k <= 40; k++) {
        if (k == 3)
            continue;
        CHECK_INT(next_id(&showed), 100 + k);
        CHECK(showed == (k == 5));
        CHECK_INT(s.went[k], k % 10 != 0);
    }
    CHECK_INT(next_id(&showed), 0);
    CHECK_INT(s.n_went, 35);
    close_scene();
}

TEST(a_vault_that_does_not_read_gets_all_of_it_later)
{
    bool showed;
    uint64_t id = 0, added = 0;
    int small = 8192;
    open_scene();
    CHECK(setsockopt(s.vault, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
    do
        add(1, ++added);
    while (line_flush(s.line) && added < 1000000);
    CHECK(added < 1000000 && line_waiting(s.line) > 0);
    s.gone[2] = true;
    add(2, ++added); /* its owner goes while it waits */
    for (int round = 0; round < 100000 && id < added - 1; round++) {
        uint64_t got = next_id(&showed);
        CHECK(got == 0 || got == id + 1);
        id = got ? got : id;
        if (got == 0)
            (void)line_flush(s.line);
    }
    CHECK_INT(id, added - 1);
    CHECK(line_flush(s.line) && line_waiting(s.line) == 0);
    CHECK_INT(next_id(&showed), 0);
    CHECK_INT(s.went[2], 0);
    close_scene();
}

TEST(messages_reach_their_handler_with_their_descriptor)
{
    open_scene();
    from_vault(MSG_CLOSE, -1);
    from_vault(MSG_LISTEN, s.vault);
    from_vault(MSG_LISTEN, s.vault); /* is not taken: closed */
    int before = fcntl(s.vault, F_DUPFD_CLOEXEC, 0);
    close(before);
    CHECK_INT(turns(20), 7);
    CHECK(s.closes == 1 && s.listens == 2 && s.kept >= 0);
    int after = fcntl(s.vault, F_DUPFD_CLOEXEC, 0);
    close(after);
    CHECK_INT(after, before + 1); /* one is kept, the other is not there any more */
    close_scene();
}

TEST(what_a_handler_refuses_or_nobody_knows_is_passed_over)
{
    open_scene();
    s.fail = true;
    from_vault(MSG_CLOSE, -1);
    from_vault(MSG_ROUTE_END, -1);
    CHECK_OK(ipc_send(s.vault, view_str("junk"), -1, &why), why);
    from_vault(MSG_CLOSE, -1);
    CHECK_INT(turns(20), 7);
    CHECK_INT(s.closes, 2);
    close_scene();
}

TEST(many_messages_in_one_turn)
{
    open_scene();
    for (int i = 0; i < 50; i++)
        from_vault(MSG_CLOSE, -1);
    CHECK_INT(turns(30), 7);
    CHECK_INT(s.closes, 50);
    close_scene();
}

TEST(the_vaults_end_is_the_workers)
{
    open_scene();
    add(0, 1);
    close(s.vault);
    s.vault = -1;
    CHECK(!line_flush(s.line));
    CHECK_INT(turns(1000), 0);
    close_scene();
    open_scene();
    close(s.vault);
    s.vault = -1;
    CHECK_INT(turns(1000), 0);
    close_scene();
}
