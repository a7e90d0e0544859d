/* vault/op_policy.c: consumers and grants as an operator manages them, and a reload with all that follows it. */
#include "vault_rig.h"

static uint64_t live(struct rig *r, const char *consumer)
{
    return leases_live_of(r->v->leases, consumer);
}

static err_t grant(struct rig *r, uint64_t admin, const char *consumer, const char *credential, const char *deliver)
{
    return ASK(r, MSG_GRANT_ADD, admin, S(F_CONSUMER, consumer), S(F_CREDENTIAL, credential), S(F_DELIVER, deliver));
}

/* ---- consumers */

TEST(a_consumer_is_added_granted_and_removed)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    char uids[32];
    rig_enroll(&r, admin);
    (void)snprintf(uids, sizeof(uids), "%u", getuid());
    CHECK_OK(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new"), S(F_UIDS, uids), S(F_NOTE, "of the night")), r.why);
    CHECK_HAS(&r, "{\"name\":\"new\",\"socket\":\"");
    CHECK_HAS(&r, "\"managed\":true");
    CHECK_HAS(&r, "\"grants\":[],\"leases\":0,\"note\":\"of the night\"}");
    CHECK(rig_exists(&r, "state/consumers/new.yaml") && rig_exists(&r, "run/new/broker.sock"));
    uint64_t fresh = rig_conn(&r, "new"); /* the worker was given the socket, it serves at once */
    CHECK_INT(rig_issue(&r, fresh, "key", "secret"), ERR_DENIED);
    CHECK_OK(grant(&r, admin, "new", "key", "secret,helper"), r.why);
    CHECK_HAS(&r, "{\"credential\":\"key\",\"deliver\":[\"helper\",\"secret\"],\"ttl_ms\":900000,\"max_ttl_ms\":86400000,\"uses\":0,"
                  "\"owner\":\"none\",\"allow\":[],\"models\":[],\"budget\":null}");
    CHECK_OK(rig_issue(&r, fresh, "key", "secret"), r.why);
    /* the same credential again: the grant is replaced, and the lease that it no longer covers ends */
    CHECK_OK(grant(&r, admin, "new", "key", "helper"), r.why);
    CHECK_INT(live(&r, "new"), 0);
    CHECK_OK(rig_issue(&r, fresh, "key", "helper"), r.why);
    CHECK_OK(ASK(&r, MSG_GRANT_REMOVE, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "key")), r.why);
    CHECK_INT(live(&r, "new"), 0);
    CHECK_INT(ASK(&r, MSG_GRANT_REMOVE, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "key")), ERR_NOT_FOUND);
    CHECK_OK(ASK(&r, MSG_CONSUMER_REMOVE, admin, S(F_CONSUMER, "new")), r.why);
    CHECK_STR(rig_body(&r), "{\"consumers\":2}");
    CHECK(!rig_exists(&r, "state/consumers/new.yaml") && !rig_exists(&r, "run/new"));
    CHECK_INT(ASK(&r, MSG_CONSUMER_SHOW, admin, S(F_CONSUMER, "new")), ERR_NOT_FOUND);
    static const char *const event[] = {EVENT("consumer.add"), EVENT("consumer.remove"), EVENT("grant.add"), EVENT("grant.remove")};
    for (size_t i = 0; i < COUNT(event); i++)
        CHECK(rig_logged(&r, event[i], OUTCOME("ok"), "\"consumer\":\"new\"") >= 1);
    rig_end(&r);
}

TEST(refusals_of_consumers)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "admin")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "../x")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "gw")), ERR_EXISTS);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "x"), S(F_UIDS, "1,two")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "x"), S(F_GIDS, "-1")), ERR_INVALID);
    CHECK_INT(ASK(&r, MSG_CONSUMER_REMOVE, admin, S(F_CONSUMER, "nobody")), ERR_NOT_FOUND);
    CHECK_INT(ASK(&r, MSG_CONSUMER_REMOVE, admin), ERR_INVALID);
    /* what stands in broker.yaml is not ours to change */
    CHECK_INT(ASK(&r, MSG_CONSUMER_REMOVE, admin, S(F_CONSUMER, "gw")), ERR_CONFLICT);
    CHECK_WHY(&r, "broker-cli reload");
    CHECK_INT(grant(&r, admin, "gw", "key", "secret"), ERR_CONFLICT);
    CHECK_INT(ASK(&r, MSG_GRANT_REMOVE, admin, S(F_CONSUMER, "gw"), S(F_CREDENTIAL, "key")), ERR_CONFLICT);
    CHECK_INT(r.v->config->n_consumers, 2);
    CHECK_INT(scratch_count(r.state, "consumers"), 0); /* nothing was written at all */
    CHECK_INT(rig_logged(&r, EVENT("consumer.add"), "\"consumer\":\"gw\"", "exists"), 1);
    rig_end(&r);
}

TEST(a_name_whose_socket_path_would_not_fit_is_refused)
{
    struct rig r;
    char name[65], sentence[8] = "sun_pat";
    uint64_t admin = rig_begin(&r);
    memset(name, 'n', 64);
    name[64] = '\0';
    if (strlen(r.run) + 64 + strlen("//broker.sock") < 108) { /* make it too long by a longer run directory */
        static char longer[100];
        (void)snprintf(longer, sizeof(longer), "%.48s/%030u", r.run, 0);
        r.dirs.run = longer;
    }
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, name)), ERR_INVALID);
    CHECK_WHY(&r, sentence);
    r.dirs.run = r.run;
    rig_end(&r);
}

TEST(refusals_of_grants)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new")), r.why);
    CHECK_INT(grant(&r, admin, "nobody", "key", "secret"), ERR_NOT_FOUND);
    CHECK_INT(grant(&r, admin, "new", "a/b", "secret"), ERR_INVALID);
    CHECK_INT(grant(&r, admin, "new", "key", NULL), ERR_INVALID);
    CHECK_INT(grant(&r, admin, "new", "key", "secret,"), ERR_INVALID);
    CHECK_INT(grant(&r, admin, "new", "key", "voodoo"), ERR_INVALID);
    static const struct {
        uint64_t ttl, max;
        err_t e;
    } row[] = {
        {999, 0, ERR_INVALID},
        {1000, 1000, ERR_OK},
        {2000, 1999, ERR_INVALID},
        {(uint64_t)3650 * 86400000, (uint64_t)3650 * 86400000, ERR_OK},
        {(uint64_t)3650 * 86400000 + 1, (uint64_t)3650 * 86400000 + 1, ERR_INVALID},
        {60000, UINT64_MAX, ERR_INVALID},
        {UINT64_MAX, UINT64_MAX, ERR_INVALID},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        CHECK_INT(ASK(&r, MSG_GRANT_ADD, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "key"), S(F_DELIVER, "secret"), N(F_TTL_MS, row[i].ttl),
                      N(F_MAX_TTL_MS, row[i].max ? row[i].max : row[i].ttl)),
                  row[i].e);
    AUTO(buf_free) struct buf list = {0};
    for (unsigned i = 0; i <= CONFIG_MAX_LIST; i++)
        list_put(&list, view_str("GET /v1"));
    CHECK_INT(ASK(&r, MSG_GRANT_ADD, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "key"), S(F_DELIVER, "proxy"), V(F_ALLOW, buf_view(&list))), ERR_LIMIT);
    buf_reset(&list);
    list_put(&list, view_str("POST /v1/messages"));
    CHECK_OK(ASK(&r, MSG_GRANT_ADD, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "key"), S(F_DELIVER, "proxy"), N(F_USES, 7), S(F_OWNER, "process"),
                 V(F_ALLOW, buf_view(&list))),
             r.why);
    CHECK_HAS(&r, "\"uses\":7,\"owner\":\"process\",\"allow\":[\"POST /v1/messages\"]");
    rig_end(&r);
}

TEST(a_change_of_a_consumer_that_is_being_changed_is_refused)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new")), r.why);
    rig_hang_disk(&r);
    uint64_t first = POST(&r, MSG_GRANT_ADD, admin, S(F_CONSUMER, "new"), S(F_CREDENTIAL, "a"), S(F_DELIVER, "secret"));
    rig_turns(&r, 10);
    CHECK_INT(grant(&r, admin, "new", "b", "secret"), ERR_CONFLICT); /* else it would be written over the first */
    CHECK_INT(ASK(&r, MSG_CONSUMER_REMOVE, admin, S(F_CONSUMER, "new")), ERR_CONFLICT);
    uint64_t elsewhere = POST(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "another"));
    rig_turns(&r, 10);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "another")), ERR_CONFLICT);
    rig_free_disk(&r);
    CHECK_OK(REPLY(&r, MSG_GRANT_ADD, first), r.why);
    CHECK_OK(REPLY(&r, MSG_CONSUMER_ADD, elsewhere), r.why);
    CHECK_OK(grant(&r, admin, "new", "b", "secret"), r.why);
    CHECK_HAS(&r, "\"credential\":\"a\"");
    CHECK_HAS(&r, "\"credential\":\"b\"");
    rig_end(&r);
}

TEST(a_change_that_cannot_come_into_force_is_taken_back)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    CHECK_OK(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new")), r.why);
    AUTO(buf_free) struct buf before = {0}, after = {0};
    CHECK(rig_file(&r, "state/consumers/new.yaml", &before));
    rig_write_config(&r, "consumers: nonsense\n"); /* an operator was editing */
    CHECK(grant(&r, admin, "new", "key", "secret") != ERR_OK);
    CHECK(rig_file(&r, "state/consumers/new.yaml", &after));
    CHECK(view_eq(buf_view(&before), buf_view(&after)));
    CHECK(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "more")) != ERR_OK);
    CHECK(!rig_exists(&r, "state/consumers/more.yaml") && !rig_exists(&r, "run/more"));
    CHECK(ASK(&r, MSG_CONSUMER_REMOVE, admin, S(F_CONSUMER, "new")) != ERR_OK);
    CHECK(rig_exists(&r, "state/consumers/new.yaml"));
    CHECK_INT(rig_logged(&r, EVENT("grant.add"), "\"reason\":", NULL), 1);
    CHECK_INT(rig_logged(&r, EVENT("consumer.add"), "\"reason\":", NULL), 1);
    rig_write_config(&r, RIG_CONFIG);
    CHECK_OK(grant(&r, admin, "new", "key", "secret"), r.why);
    rig_end(&r);
}

TEST(what_cannot_be_recorded_is_not_changed)
{
    struct rig r;
    uint64_t admin = rig_begin(&r);
    rig_hang_disk(&r);
    CHECK_INT(ASK(&r, MSG_CONSUMER_ADD, admin, S(F_CONSUMER, "new")), ERR_AUDIT);
    CHECK(!rig_exists(&r, "state/consumers/new.yaml") && !rig_exists(&r, "run/new"));
    CHECK_INT(r.v->config->n_consumers, 2);
    rig_end(&r);
}

/* ---- reload */

TEST(leases_of_taken_back_grants_end_and_listeners_follow)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_OK(rig_issue(&r, gw, "key", "helper"), r.why);
    CHECK_OK(rig_issue(&r, gw, "claude", "file"), r.why);
    CHECK_OK(rig_issue(&r, other, "key", "secret"), r.why);
    CHECK(rig_exists(&r, "run/gw/files/claude/.credentials.json"));
    /* gw loses `secret` of key and all of claude; other goes; third comes */
    rig_write_config(&r, "consumers:\n  - name: gw\n    grants:\n      - credential: key\n        deliver: [helper]\n        ttl: 15m\n  - name: third\n" RIG_GRANTS);
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_STR(rig_body(&r), "{\"consumers\":2}");
    CHECK_INT(live(&r, "gw"), 1); /* the helper's: still granted */
    CHECK_INT(live(&r, "other"), 0);
    CHECK(!rig_exists(&r, "run/gw/files") && !rig_exists(&r, "run/other") && rig_exists(&r, "run/third/broker.sock"));
    (void)rig_conn(&r, "third");
    CHECK_INT(rig_logged(&r, EVENT("lease.end"), OUTCOME("ok"), NULL), 3);
    CHECK_INT(rig_logged(&r, EVENT("config.reload"), OUTCOME("ok"), "\"uid\":"), 1);
    rig_end(&r);
}

TEST(leases_of_uids_that_lost_their_place_end)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw"), other = rig_conn(&r, "other");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_OK(rig_issue(&r, other, "key", "secret"), r.why);
    CHECK_OK(rig_issue(&r, other, "claude", "access_token"), r.why);
    rig_write_config(&r, "consumers:\n  - name: gw\n    peer: { uid: [4000000] }\n" RIG_GRANTS "  - name: other\n    grants:\n"
                         "      - credential: key\n        deliver: [secret]\n        peer: { uid: [4000000] }\n"
                         "      - credential: claude\n        deliver: [access_token]\n");
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_INT(live(&r, "gw"), 0);
    CHECK_INT(live(&r, "other"), 1);
    rig_end(&r);
}

TEST(a_bad_configuration_changes_nothing)
{
    struct rig r;
    uint64_t admin = rig_begin(&r), gw = rig_conn(&r, "gw");
    rig_enroll(&r, admin);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    const struct config *before = r.v->config;
    rig_write_config(&r, "consumers:\n  - name: gw\n    grantz: []\n");
    CHECK_INT(ASK(&r, MSG_RELOAD, admin), ERR_INVALID);
    CHECK_WHY(&r, "broker.yaml");
    CHECK_INT(policy_reload(r.v, &r.why), ERR_INVALID);
    CHECK(r.v->config == before && live(&r, "gw") == 1);
    CHECK_OK(rig_issue(&r, gw, "key", "secret"), r.why);
    CHECK_INT(rig_logged(&r, EVENT("config.reload"), "\"reason\":\"invalid\"", NULL), 1);
    rig_end(&r);
}

TEST(a_closed_store_can_be_reloaded)
{
    struct rig r;
    rig_make(&r, NULL, RIG_CONFIG);
    uint64_t admin = rig_conn(&r, "admin");
    rig_write_config(&r, "consumers:\n  - name: gw\n");
    CHECK_OK(ASK(&r, MSG_RELOAD, admin), r.why);
    CHECK_INT(r.v->config->n_consumers, 1);
    CHECK(!rig_listener(&r, "other"));
    rig_end(&r);
}

/* ---- reading */

TEST(consumers_are_listed_by_pages)
{
    struct rig r;
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n");
    for (unsigned i = 0; i < 120; i++)
        buf_add_fmt(&yaml, "  - name: c%03u\n", i);
    rig_make(&r, NULL, buf_text(&yaml));
    uint64_t admin = rig_conn(&r, "admin");
    char after[65] = "";
    unsigned seen = 0, pages = 0;
    do {
        CHECK_OK(ASK(&r, MSG_CONSUMER_LIST, admin, S(F_AFTER, after)), r.why);
        for (const char *at = rig_body(&r); (at = strstr(at, "{\"name\"")); at++)
            seen++;
        pages++;
        if (strstr(rig_body(&r), "\"next\":null"))
            break;
        rig_text(&r, "next", after, sizeof(after));
    } while (pages < 10);
    CHECK(seen == 120 && pages == 3);
    CHECK_OK(ASK(&r, MSG_CONSUMER_LIST, admin, S(F_AFTER, "zz")), r.why);
    CHECK_STR(rig_body(&r), "{\"consumers\":[],\"next\":null}");
    CHECK_OK(ASK(&r, MSG_CONSUMER_SHOW, admin, S(F_CONSUMER, "c007")), r.why);
    CHECK_HAS(&r, "\"managed\":false");
    CHECK_INT(ASK(&r, MSG_CONSUMER_SHOW, admin), ERR_NOT_FOUND);
    rig_end(&r);
}

TEST(long_lists_of_grants_still_fit_a_page)
{
    struct rig r;
    AUTO(buf_free) struct buf yaml = {0};
    buf_add_str(&yaml, "consumers:\n");
    for (unsigned i = 0; i < 40; i++) {
        buf_add_fmt(&yaml, "  - name: c%03u\n    grants:\n", i);
        for (unsigned g = 0; g < 40; g++)
            buf_add_fmt(&yaml, "      - credential: credential-%02u\n        deliver: [secret]\n", g);
    }
    rig_make(&r, NULL, buf_text(&yaml));
    uint64_t admin = rig_conn(&r, "admin");
    CHECK_OK(ASK(&r, MSG_CONSUMER_LIST, admin), r.why);
    CHECK(!strstr(rig_body(&r), "\"next\":null"));
    rig_end(&r);
}
