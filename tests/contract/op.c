/* Contract of THE table of operations (vault/ops.c) with the message table: over every row of both. */
#include "unit/vault/proxy_rig.h"

static const struct op *row_of(enum msg_type type)
{
    const struct op *found = NULL;
    for (const struct op *op = ops; op->type != MSG_NONE; op++)
        if (op->type == type) {
            CHECK(!found);
            found = op;
        }
    return found;
}

TEST(each_message_of_a_consumer_or_an_operator_has_exactly_one_row)
{
    for (unsigned type = 1; type < MSG__COUNT; type++) {
        const struct msg_rule *rule = msg_rule(type);
        bool asks = (rule->from & (FROM_API | FROM_ADMIN | FROM_PROXY)) && (rule->flags & M_CONN);
        CHECK_INT(row_of((enum msg_type)type) != NULL, asks);
    }
}

TEST(each_row_is_whole)
{
    for (const struct op *op = ops; op->type != MSG_NONE; op++) {
        const struct msg_rule *rule = msg_rule(op->type);
        CHECK(rule && op->decide);
        CHECK(rule->from == FROM_API || rule->from == FROM_ADMIN || rule->from == FROM_PROXY); /* one role, never two */
        CHECK((rule->flags & M_FD) || op->type == MSG_PROXY_AGAIN); /* any other request may be a connection's first */
        CHECK(!op->undo || op->finish);                            /* what is undone is what waited */
        CHECK_INT(op->event != AUDIT__COUNT, (rule->flags & M_AUDITED) != 0);
    }
}

/* What a consumer can ask about secrets or leases needs the open store; what an operator needs to open it does not. */
TEST(only_these_work_with_a_closed_store)
{
    static const enum msg_type any[] = {MSG_WHOAMI, MSG_STATUS,       MSG_METRICS,       MSG_INIT,          MSG_UNLOCK, MSG_LOCK,
                                        MSG_KEY_LIST, MSG_ACCEPT_STORE, MSG_CONSUMER_LIST, MSG_CONSUMER_SHOW, MSG_RELOAD};
    for (const struct op *op = ops; op->type != MSG_NONE; op++) {
        bool listed = false;
        for (size_t i = 0; i < COUNT(any); i++)
            listed = listed || any[i] == op->type;
        CHECK_INT(op->needs_ready, !listed);
    }
}

static void check_refused(struct rig *r, const uint64_t *conn, err_t code, const char *part)
{
    for (const struct op *op = ops; op->type != MSG_NONE; op++) {
        if (!op->needs_ready)
            continue;
        CHECK_INT(rig_ask(r, op->type, conn[rig_side(op->type)], -1, FIELDS()), code);
        CHECK_WHY(r, part);
        CHECK_STR(r->why.text, r->v->state_why);
    }
}

TEST(rows_that_need_the_open_store_are_refused_with_the_states_reason)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t conn[WORKER__COUNT] = {rig_conn(&r, "gw"), rig_conn(&r, "admin")};
    conn[WORKER_PROXY] = rig_proxy_conn(&r, "gw");
    check_refused(&r, conn, ERR_UNINIT, "broker-cli init");
    CHECK_OK(ASK(&r, MSG_INIT, conn[1], S(F_SOURCE, "keyfile")), r.why);
    CHECK_OK(ASK(&r, MSG_LOCK, conn[1]), r.why);
    check_refused(&r, conn, ERR_LOCKED, "broker-cli unlock");
    CHECK_OK(ASK(&r, MSG_UNLOCK, conn[1]), r.why);
    unlock_state(r.v, VAULT_ROLLBACK, "older than its log; broker-cli store accept");
    unsigned before = rig_logged(&r, "\"reason\":\"rollback\"", NULL, NULL);
    check_refused(&r, conn, ERR_ROLLBACK, "store accept");
    unsigned audited = 0;
    for (const struct op *op = ops; op->type != MSG_NONE; op++)
        audited += op->needs_ready && op->event != AUDIT__COUNT;
    CHECK_INT(rig_logged(&r, "\"reason\":\"rollback\"", NULL, NULL) - before, audited);
    rig_end(&r);
}

/* Each is asked without any field, which every row that has an event must survive; each refusal stands in the log under that event. */
TEST(the_refusal_of_each_row_with_an_event_is_recorded)
{
    struct rig r;
    uint64_t conn[WORKER__COUNT] = {0};
    rig_make(&r, NULL, PROXY_CONFIG);
    conn[WORKER_ADMIN] = rig_init(&r);
    conn[WORKER_API] = rig_conn(&r, "gw");
    conn[WORKER_PROXY] = rig_proxy_conn(&r, "gw");
    for (const struct op *op = ops; op->type != MSG_NONE; op++) {
        char event[64];
        if (op->event == AUDIT__COUNT)
            continue;
        (void)snprintf(event, sizeof(event), "\"event\":\"%s\"", audit_event_name(op->event));
        bool audit = r.v->audit != NULL;
        unsigned before = audit ? rig_logged(&r, event, NULL, NULL) : 0;
        err_t e = rig_ask(&r, op->type, conn[rig_side(op->type)], -1, FIELDS());
        if (op->type == MSG_LOCK) /* has nothing to refuse in an open store */
            CHECK_OK(ASK(&r, MSG_UNLOCK, conn[1]), r.why);
        if (audit)
            CHECK(rig_logged(&r, event, NULL, NULL) > before);
        if (e != ERR_OK)
            CHECK(rig_logged(&r, event, "\"reason\":", NULL) > 0);
    }
    CHECK_INT(r.v->state, VAULT_READY);
    rig_end(&r);
}

/* A row never gets a message that its parser would refuse, and every handler survives the bare message in each state. */
TEST(every_row_answers_the_bare_message_in_each_state)
{
    struct rig r;
    rig_make(&r, NULL, PROXY_CONFIG);
    uint64_t conn[WORKER__COUNT] = {rig_conn(&r, "gw"), rig_conn(&r, "admin")};
    conn[WORKER_PROXY] = rig_proxy_conn(&r, "gw");
    for (unsigned state = 0; state < 3; state++) {
        for (const struct op *op = ops; op->type != MSG_NONE; op++)
            if (op->type != MSG_LOCK && op->type != MSG_UNLOCK)
                (void)rig_ask(&r, op->type, conn[rig_side(op->type)], -1, FIELDS());
        if (state == 0)
            CHECK_OK(ASK(&r, MSG_INIT, conn[1], S(F_SOURCE, "keyfile")), r.why);
        if (state == 1)
            CHECK_OK(ASK(&r, MSG_LOCK, conn[1]), r.why);
    }
    CHECK_INT(r.v->state, VAULT_LOCKED);
    rig_end(&r);
}
