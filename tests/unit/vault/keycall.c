/* vault/keycall.c: calls to key sources, here and in helpers; each ends exactly once. */
#include "vault_rig.h"

struct outcome {
    unsigned calls;
    err_t e;
    char params[64], why[256];
    uint8_t key[32];
    bool has_key;
};

static void on_done(void *ctx, err_t e, struct view params, struct secret *key, const struct why *why)
{
    struct outcome *o = ctx;
    o->calls++;
    o->e = e;
    CHECK(view_copy(params, o->params, sizeof(o->params)));
    (void)view_copy(view_str(why->text), o->why, sizeof(o->why));
    o->has_key = key != NULL;
    if (key)
        memcpy(o->key, secret_bytes(key), 32);
    secret_free(key);
}

static struct keycall call_of(const char *source, enum keycall_op op, struct outcome *o)
{
    *o = (struct outcome){0};
    return (struct keycall){.source = keysource_by_name(view_str(source)), .op = op, .done = on_done, .ctx = o};
}

static const uint8_t key32[32] = {1, 2, 3};
#define KEY VIEW(key32, 32)
#define NONE VIEW(NULL, 0)

TEST(a_harmless_source_answers_at_once)
{
    struct rig r;
    struct outcome o;
    char path[160];
    rig_make(&r, NULL, RIG_CONFIG);
    struct keycall c = call_of("keyfile", KEYCALL_CREATE, &o);
    keycall_start(r.v, &c);
    CHECK_INT(o.calls, 1);
    CHECK_OK(o.e, r.why);
    (void)snprintf(path, sizeof(path), "%s/master.key", r.dir); /* beside broker.yaml */
    CHECK_STR(o.params, path);
    CHECK(o.has_key && rig_exists(&r, "master.key"));
    struct outcome again;
    c = call_of("keyfile", KEYCALL_CREATE, &again);
    keycall_start(r.v, &c);
    CHECK(again.calls == 1 && again.e == ERR_EXISTS && !again.has_key);
    struct outcome opened;
    c = call_of("keyfile", KEYCALL_OPEN, &opened);
    c.params = view_str(path);
    keycall_start(r.v, &c);
    CHECK(opened.calls == 1 && opened.e == ERR_OK && memcmp(opened.key, o.key, 32) == 0);
    keycall_forget(r.v, "keyfile", view_str(path));
    CHECK(!rig_exists(&r, "master.key"));
    keycall_forget(r.v, "nosuch", view_str(path));
    keycall_forget(r.v, "keyfile", view_str("not absolute"));
    CHECK(strstr(rig_log, "key.leftover"));
    CHECK(!r.v->helpers);
    rig_end(&r);
}

TEST(a_helper_is_asked_for_and_gets_the_question)
{
    struct rig r;
    struct outcome o;
    uint8_t id[16] = {0xab, 0xcd};
    rig_make(&r, NULL, RIG_CONFIG);
    struct keycall c = call_of("passphrase", KEYCALL_CREATE, &o);
    c.passphrase = view_str("horse battery");
    c.path = view_str("/label");
    c.store_id = id;
    keycall_start(r.v, &c);
    CHECK_INT(o.calls, 0);
    struct rig_helper h = rig_helper(&r, "kdf");
    CHECK(view_is(msg_view(&h.ask, F_OP), "create") && view_is(msg_view(&h.ask, F_SOURCE), "passphrase"));
    CHECK(view_is(msg_view(&h.ask, F_PASSPHRASE), "horse battery") && view_is(msg_view(&h.ask, F_PATH), "/label"));
    CHECK(view_is(msg_view(&h.ask, F_NOTE), "abcd0000000000000000000000000000")); /* the store that is to be */
    rig_answer(&r, &h, ERR_OK, view_str("salt"), KEY);
    CHECK(o.calls == 1 && o.e == ERR_OK && o.has_key && memcmp(o.key, key32, 32) == 0);
    CHECK_STR(o.params, "salt");
    CHECK(!r.v->helpers);
    rig_helper_end(&h);
    rig_end(&r);
}

TEST(the_present_stores_id_is_the_default)
{
    struct rig r;
    struct outcome o;
    char id[33];
    (void)rig_begin(&r);
    hex_encode(r.v->keys.header.store_id, 16, id);
    CHECK(strcmp(id, "00000000000000000000000000000000") != 0);
    struct keycall c = call_of("keyring", KEYCALL_OPEN, &o);
    c.params = view_str("p");
    keycall_start(r.v, &c);
    struct rig_helper h = rig_helper(&r, "keyring");
    CHECK(view_is(msg_view(&h.ask, F_NOTE), id) && view_is(msg_view(&h.ask, F_PARAMS), "p"));
    rig_helper_end(&h);
    rig_turns(&r, 20);
    CHECK(o.calls == 1 && o.e == ERR_UNAVAILABLE); /* it ended without an answer */
    rig_end(&r);
}

TEST(bad_answers)
{
    static const struct {
        enum keycall_op op;
        uint64_t status;
        size_t key; /* bytes */
        err_t e;
    } row[] = {
        {KEYCALL_OPEN, ERR_OK, 32, ERR_OK},
        {KEYCALL_OPEN, ERR_OK, 0, ERR_INTERNAL}, /* success without a key */
        {KEYCALL_CREATE, ERR_OK, 0, ERR_INTERNAL},
        {KEYCALL_OPEN, ERR_OK, 31, ERR_INTERNAL},
        {KEYCALL_OPEN, ERR_AUTH, 0, ERR_AUTH},
        {KEYCALL_OPEN, ERR_AUTH, 32, ERR_AUTH}, /* a key beside a failure is not taken */
        {KEYCALL_OPEN, ERR__COUNT, 0, ERR_INTERNAL},
        {KEYCALL_OPEN, (uint64_t)1 << 32, 32, ERR_INTERNAL}, /* not "ok" in 32 bits */
        {KEYCALL_REMOVE, ERR_OK, 0, ERR_OK},
        {KEYCALL_REMOVE, ERR_OK, 32, ERR_OK}, /* nobody wants that key */
    };
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct outcome o;
        AUTO(buf_free) struct buf b = {.max = MSG_MAX};
        struct keycall c = call_of("passphrase", row[i].op, &o);
        keycall_start(r.v, &c);
        struct rig_helper h = rig_helper(&r, "kdf");
        msg_begin(&b, MSG_KEY_ANSWER, 0, 0);
        msg_put_u64(&b, F_STATUS, row[i].status);
        if (row[i].key)
            msg_put(&b, F_KEY, VIEW(key32, row[i].key));
        CHECK_OK(ipc_send(h.sock, buf_view(&b), -1, &r.why), r.why);
        rig_turns(&r, 5);
        CHECK_INT(o.calls, 1);
        CHECK_INT(o.e, row[i].e);
        CHECK_INT(o.has_key, row[i].e == ERR_OK && row[i].op != KEYCALL_REMOVE);
        rig_helper_end(&h);
    }
    /* what is no answer at all */
    struct outcome o;
    struct keycall c = call_of("passphrase", KEYCALL_OPEN, &o);
    keycall_start(r.v, &c);
    struct rig_helper h = rig_helper(&r, "kdf");
    CHECK_OK(ipc_send(h.sock, view_str("rubbish"), -1, &r.why), r.why);
    rig_turns(&r, 5);
    CHECK(o.calls == 1 && o.e == ERR_INVALID);
    rig_helper_end(&h);
    rig_end(&r);
}

TEST(a_helper_that_cannot_be_started_fails_its_call_at_once)
{
    struct rig r;
    struct outcome o;
    rig_make(&r, NULL, RIG_CONFIG);
    struct keycall c = call_of("passphrase", KEYCALL_OPEN, &o);
    keycall_start(r.v, &c);
    keycall_on_refused(r.v, "keyring", "another role");
    CHECK_INT(o.calls, 0);
    keycall_on_refused(r.v, "kdf", "not installed");
    CHECK(o.calls == 1 && o.e == ERR_UNAVAILABLE && strstr(o.why, "not installed"));
    keycall_on_refused(r.v, "kdf", "nobody waits");
    int pair[2];
    CHECK_OK(ipc_pair(pair, &r.why), r.why);
    keycall_on_spawned(r.v, "kdf", pair[0]); /* comes too late: it is closed */
    struct buf b = {.max = MSG_MAX};
    int fd = -1;
    CHECK_INT(ipc_recv(pair[1], &b, &fd, &r.why), ERR_NO_BROKER);
    buf_free(&b);
    close(pair[1]);
    rig_end(&r);
}

TEST(only_so_many_wait_at_once)
{
    struct rig r;
    struct outcome o[KEYCALL_MAX + 1];
    rig_make(&r, NULL, RIG_CONFIG);
    for (unsigned i = 0; i <= KEYCALL_MAX; i++) {
        struct keycall c = call_of("passphrase", KEYCALL_OPEN, &o[i]);
        keycall_start(r.v, &c);
    }
    for (unsigned i = 0; i < KEYCALL_MAX; i++)
        CHECK_INT(o[i].calls, 0);
    CHECK(o[KEYCALL_MAX].calls == 1 && o[KEYCALL_MAX].e == ERR_LIMIT);
    keycall_cancel_all(r.v);
    for (unsigned i = 0; i < KEYCALL_MAX; i++)
        CHECK(o[i].calls == 1 && o[i].e == ERR_UNAVAILABLE);
    CHECK(!r.v->helpers);
    rig_end(&r);
}

TEST(a_supervisor_that_is_gone_fails_the_call)
{
    struct rig r;
    struct outcome o;
    rig_make(&r, NULL, RIG_CONFIG);
    auto_close(&r.supervisor);
    r.supervisor = -1;
    struct keycall c = call_of("passphrase", KEYCALL_OPEN, &o);
    keycall_start(r.v, &c);
    CHECK(o.calls == 1 && o.e == ERR_NO_BROKER);
    CHECK(!r.v->helpers);
    rig_end(&r);
}
