#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/msg.h"
#include "keysource/keysources.h"

static const char store[] = "000102030405060708090a0b0c0d0e0f";

/* ---- a source that does what its path says */

static err_t fake_create(const struct keysource_ask *ask, struct buf *params, struct secret **key,
                         struct why *why)
{
    if (view_is(ask->path, "fail"))
        return fail(why, ERR_UNAVAILABLE, "nobody is at home");
    *key = secret_from("0123456789abcdef0123456789abcdef", 32);
    buf_add_view(params, ask->path);
    return ERR_OK;
}

static err_t fake_open(const struct keysource_ask *ask, struct secret **key, struct why *why)
{
    if (!view_is(ask->passphrase, "sesame") || ask->store_id[15] != 15)
        return fail(why, ERR_AUTH, "wrong");
    *key = secret_from(ask->params.p, 32);
    return ERR_OK;
}

static const struct keysource fake = {
    .name = "fake", .title = "t", .create = fake_create, .open = fake_open};
static const struct keysource *const table[] = {&fake, NULL};

/* ---- one conversation */

struct talk {
    int fds[2];
    struct buf reply;
    struct msg m;
    int code;
};

static void talk_free(struct talk *t)
{
    auto_close(&t->fds[0]);
    auto_close(&t->fds[1]);
    buf_free(&t->reply);
}

static void ask_raw(struct talk *t, struct view packet)
{
    struct why why = {0};
    scratch_pool();
    CHECK_OK(ipc_pair(t->fds, &why), why);
    CHECK_OK(ipc_send(t->fds[0], packet, -1, &why), why);
    t->code = keysource_serve(t->fds[1], table);
}

struct question {
    const char *op, *source, *note, *params, *passphrase, *path;
};

static void ask(struct talk *t, const struct question *q)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    int fd = -1;
    msg_begin(&b, MSG_KEY_ASK, 77, 0);
    if (q->passphrase)
        msg_put(&b, F_PASSPHRASE, view_str(q->passphrase));
    msg_put_str(&b, F_SOURCE, q->source);
    msg_put_str(&b, F_PATH, q->path);
    if (q->params)
        msg_put(&b, F_PARAMS, view_str(q->params));
    msg_put_str(&b, F_OP, q->op);
    msg_put_str(&b, F_NOTE, q->note);
    CHECK(!b.bad);
    ask_raw(t, buf_view(&b));
    CHECK_INT(t->code, 0);
    CHECK_OK(ipc_recv(t->fds[0], &t->reply, &fd, &why), why);
    CHECK_OK(msg_parse(buf_view(&t->reply), FROM_HELPER, &t->m, &why), why);
    CHECK_INT(t->m.type, MSG_KEY_ANSWER);
    CHECK_INT(t->m.id, 77);
}

TEST(create_answers_params_and_key)
{
    AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
    ask(&t, &(struct question){.op = "create", .source = "fake", .note = store, .path = "here"});
    CHECK_INT(msg_u64(&t.m, F_STATUS, 99), ERR_OK);
    CHECK(view_is(msg_view(&t.m, F_PARAMS), "here"));
    CHECK(view_is(msg_view(&t.m, F_KEY), "0123456789abcdef0123456789abcdef"));
    CHECK(!t.m.has[F_REASON]);
}

TEST(open_is_given_params_passphrase_and_store)
{
    AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
    ask(&t, &(struct question){.op = "open",
                               .source = "fake",
                               .note = store,
                               .passphrase = "sesame",
                               .params = "abcdefghijklmnopqrstuvwxyz012345"});
    CHECK_INT(msg_u64(&t.m, F_STATUS, 99), ERR_OK);
    CHECK(view_is(msg_view(&t.m, F_KEY), "abcdefghijklmnopqrstuvwxyz012345"));
    CHECK(!t.m.has[F_PARAMS]);
}

TEST(a_failure_answers_the_reason_and_nothing_else)
{
    AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
    ask(&t, &(struct question){.op = "create", .source = "fake", .note = store, .path = "fail"});
    CHECK_INT(msg_u64(&t.m, F_STATUS, 99), ERR_UNAVAILABLE);
    CHECK(view_is(msg_view(&t.m, F_REASON), "nobody is at home"));
    CHECK(!t.m.has[F_KEY] && !t.m.has[F_PARAMS]);
}

TEST(remove_of_a_source_that_keeps_nothing_is_fine)
{
    AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
    ask(&t, &(struct question){.op = "remove", .source = "fake", .note = store});
    CHECK_INT(msg_u64(&t.m, F_STATUS, 99), ERR_OK);
    CHECK(!t.m.has[F_KEY]);
}

TEST(what_it_does_not_serve_is_refused)
{
    static const struct question bad[] = {
        {.op = "open", .source = "keyfile", .note = store},
        {.op = "steal", .source = "fake", .note = store},
        {.op = "open", .source = "fake", .note = "00"},
        {.op = "open", .source = "fake"},
        {.source = "fake", .note = store},
        {.op = "open", .note = store},
        {.op = "open", .source = "fake", .note = "000102030405060708090A0B0C0D0E0F"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
        ask(&t, &bad[i]);
        CHECK_INT(msg_u64(&t.m, F_STATUS, 99), ERR_INVALID);
        CHECK(!t.m.has[F_KEY]);
    }
}

TEST(noise_or_another_message_gets_no_answer)
{
    AUTO(buf_free) struct buf b = {0};
    AUTO(talk_free) struct talk noise = {.fds = {-1, -1}}, other = {.fds = {-1, -1}};
    ask_raw(&noise, view_str("noise"));
    CHECK(noise.code != 0);
    msg_begin(&b, MSG_STOP, 1, 0);
    ask_raw(&other, buf_view(&b));
    CHECK(other.code != 0);
}

TEST(a_vanished_vault_ends_it)
{
    AUTO(talk_free) struct talk t = {.fds = {-1, -1}};
    struct why why = {0};
    scratch_pool();
    CHECK_OK(ipc_pair(t.fds, &why), why);
    auto_close(&t.fds[0]);
    t.fds[0] = -1;
    CHECK(keysource_serve(t.fds[1], table) != 0);
}
