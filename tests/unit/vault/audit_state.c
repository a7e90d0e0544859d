/* The sealed state: it comes back as it was, and any byte of it changed, cut or added makes it worthless. */
#include "audit_rig.h"

TEST(the_state_comes_back_as_it_was)
{
    struct log l;
    uint8_t hash[16] = {5, 6};
    log_begin(&l);
    struct audit_record r = {.event = AUDIT_STORE_COMMIT, .manifest_seq = 77, .manifest_hash = hash, .key_serial = 9};
    CHECK_OK(audit_append(l.a, &r, &l.r.pos, &l.why), l.why);
    l.a->suspect = true;
    AUTO(buf_free) struct buf sealed = {0}, one = {0}, two = {0};
    CHECK_OK(audit_state_seal(l.a, &sealed, &l.why), l.why);
    CHECK(!memmem(sealed.p, sealed.len, secret_bytes(l.a->sign), 32));
    CHECK_OK(file_write_atomic_at(l.r.dirfd, "audit.state", buf_view(&sealed), 0600, &l.why), l.why);
    struct audit_env env = log_env(&l);
    AUTO(auto_audit) struct audit *b = audit_new(&env);
    CHECK_OK(audit_state_load(b, &l.why), l.why);
    CHECK(b->suspect);
    CHECK_INT(b->anchor_seq, 77);
    CHECK_INT(b->key_serial, 9);
    CHECK(memcmp(b->anchor_hash, hash, 16) == 0);
    CHECK(memcmp(b->pk, l.a->pk, CHAIN_PK) == 0);
    CHECK(secret_equal(b->sign, l.a->sign));
    chain_save(&l.a->chain, &one);
    chain_save(&b->chain, &two);
    CHECK(view_eq(buf_view(&one), buf_view(&two)));
    log_end(&l);
}

TEST(a_changed_state_does_not_open)
{
    struct log l;
    log_begin(&l);
    log_lines(&l, 3);
    log_close(&l);
    AUTO(buf_free) struct buf s = rig_read(&l.r, "audit.state");
    struct audit_env env = log_env(&l);
    for (size_t at = 0; at < s.len; at += 3) {
        AUTO(auto_audit) struct audit *b = audit_new(&env);
        s.p[at] ^= 0x10;
        CHECK_OK(file_write_atomic_at(l.r.dirfd, "audit.state", buf_view(&s), 0600, &l.why), l.why);
        err_t e = audit_state_load(b, &l.why);
        CHECK(e == ERR_CORRUPT || e == ERR_VERSION); /* a later version's magic is told apart, and changes nothing */
        CHECK(!b->sign && !b->chain.key);
        s.p[at] ^= 0x10;
    }
    for (size_t n = 0; n < s.len; n += 31) {
        AUTO(auto_audit) struct audit *b = audit_new(&env);
        CHECK_OK(file_write_atomic_at(l.r.dirfd, "audit.state", VIEW(s.p, n), 0600, &l.why), l.why);
        CHECK_INT(audit_state_load(b, &l.why), ERR_CORRUPT);
    }
    AUTO(auto_audit) struct audit *b = audit_new(&env);
    CHECK_INT(unlinkat(l.r.dirfd, "audit.state", 0), 0);
    CHECK_INT(audit_state_load(b, &l.why), ERR_NOT_FOUND);
    log_end(&l);
}

TEST(new_keys_are_new_and_in_the_auditors_files)
{
    struct log l;
    log_begin(&l);
    uint8_t before[CHAIN_PK], pk[CHAIN_PK];
    memcpy(before, l.a->pk, CHAIN_PK);
    CHECK_OK(audit_new_keys(l.a, "-99", &l.why), l.why);
    CHECK(memcmp(before, l.a->pk, CHAIN_PK) != 0);
    CHECK_INT(l.a->chain.seq, 1);
    AUTO(buf_free) struct buf pub = rig_read(&l.r, "audit-99.pub"), key = rig_read(&l.r, "auditor-99.key");
    CHECK(hex_decode(VIEW(pub.p, 64), pk, CHAIN_PK) && memcmp(pk, l.a->pk, CHAIN_PK) == 0);
    CHECK(hex_decode(VIEW(key.p, 64), pk, CHAIN_PK) && memcmp(pk, secret_bytes(l.a->chain.key), CHAIN_PK) == 0);
    log_end(&l);
}
