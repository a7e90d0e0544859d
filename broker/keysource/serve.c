/*
 * The helper's side of a key source: one question, one answer, and the process ends. What comes in
 * and goes out is a secret: every buffer here is wiped by its scope. The vault asks, and yet the
 * question is checked like any other.
 * - KEY_ASK: OP (create, open, remove), SOURCE, PARAMS, PASSPHRASE, PATH, NOTE (store id in hex)
 * - KEY_ANSWER: STATUS, REASON when it failed, PARAMS after create, KEY after create and open
 */
#include "keysource/keysources.h"

#include "base/auto.h"
#include "base/ipc.h"
#include "base/msg.h"

#include <stdlib.h>

enum { ASK_WAIT_MS = 10000 };

struct answer {
    struct buf params;
    struct secret *key;
};

static void answer_free(struct answer *a)
{
    buf_free(&a->params);
    secret_free(a->key);
}

/* ---- the operations */

static err_t op_create(const struct keysource *k, const struct keysource_ask *ask,
                       struct answer *out, struct why *why)
{
    if (!k->create)
        return fail(why, ERR_INVALID, "a %s slot cannot be made", k->name);
    return k->create(ask, &out->params, &out->key, why);
}

static err_t op_open(const struct keysource *k, const struct keysource_ask *ask, struct answer *out,
                     struct why *why)
{
    if (!k->open)
        return fail(why, ERR_INVALID, "a %s slot cannot be opened here", k->name);
    return k->open(ask, &out->key, why);
}

static err_t op_remove(const struct keysource *k, const struct keysource_ask *ask,
                       struct answer *out, struct why *why)
{
    (void)out;
    return k->remove ? k->remove(ask, why) : ERR_OK;
}

static const struct op {
    const char *name;
    err_t (*run)(const struct keysource *k, const struct keysource_ask *ask, struct answer *out,
                 struct why *why);
} ops[] = {{"create", op_create}, {"open", op_open}, {"remove", op_remove}};

/* ---- one question, one answer */

static const struct keysource *row_of(const struct keysource *const table[], struct view name)
{
    for (; *table; table++)
        if (view_is(name, (*table)->name))
            return *table;
    return NULL;
}

static err_t run(const struct msg *m, const struct keysource *const table[], struct answer *out,
                 struct why *why)
{
    struct keysource_ask ask = {
        .params = msg_view(m, F_PARAMS),
        .passphrase = msg_view(m, F_PASSPHRASE),
        .path = msg_view(m, F_PATH),
    };
    const struct keysource *k = row_of(table, msg_view(m, F_SOURCE));
    if (!k)
        return fail(why, ERR_INVALID, "this helper does not serve such a key source");
    if (!hex_decode(msg_view(m, F_NOTE), ask.store_id, sizeof(ask.store_id)))
        return fail(why, ERR_INVALID, "the question names no store");
    for (size_t i = 0; i < COUNT(ops); i++)
        if (view_is(msg_view(m, F_OP), ops[i].name))
            return ops[i].run(k, &ask, out, why);
    return fail(why, ERR_INVALID, "no such operation on a key source");
}

static void put_answer(struct buf *out, uint64_t id, err_t e, const struct answer *a,
                       const struct why *why)
{
    msg_begin(out, MSG_KEY_ANSWER, id, 0);
    msg_put_u64(out, F_STATUS, (uint64_t)e);
    if (e != ERR_OK) {
        msg_put_str(out, F_REASON, why->text);
        return;
    }
    if (a->params.len)
        msg_put(out, F_PARAMS, buf_view(&a->params));
    if (a->key)
        msg_put(out, F_KEY, VIEW(secret_bytes(a->key), secret_len(a->key)));
}

static err_t serve_one(int sock, const struct keysource *const table[], struct why *why)
{
    AUTO(buf_free) struct buf in = {0}, reply = {0};
    AUTO(answer_free) struct answer answer = {.params = {.max = KEYSOURCE_PARAMS_MAX}};
    struct msg m;
    int fd = -1;
    TRY(ipc_wait(sock, ASK_WAIT_MS, why));
    err_t e = ipc_recv(sock, &in, &fd, why);
    auto_close(&fd); /* a question carries none */
    TRY(e);
    TRY(msg_parse(buf_view(&in), FROM_VAULT, &m, why));
    if (m.type != MSG_KEY_ASK)
        return fail(why, ERR_INVALID, "not a question to a key source");
    struct why reason = {0};
    e = run(&m, table, &answer, &reason);
    put_answer(&reply, m.id, e, &answer, &reason);
    TRY(buf_ok(&reply, why));
    return ipc_send(sock, buf_view(&reply), -1, why);
}

int keysource_serve(int sock, const struct keysource *const table[])
{
    struct why why = {0};
    return serve_one(sock, table, &why) == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
