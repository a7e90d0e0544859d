#include "credential_rig.h"

TEST(enroll_open_replace_remove)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    const struct credential *c = rig_put(&r, "claude", "sk-ant-api03-one");
    CHECK_INT(c->version, 1);
    CHECK_INT(c->created_ms, 1700000000000);
    CHECK_INT(c->replaced_ms, 0);
    CHECK_STR(c->kind, "api_key");
    CHECK_STR(c->provider->name, "anthropic");
    CHECK_STR(c->prefix, "sk-ant-api03-");
    CHECK_INT(c->ceiling, c->provider->deliveries);
    CHECK_STR(c->account, "");
    rig_holds(&r, "claude", "sk-ant-api03-one");
    CHECK(rig_put(&r, "claude", "sk-ant-api03-two") == c);
    CHECK_INT(c->version, 2);
    CHECK_INT(c->created_ms, 1700000000000);
    CHECK_INT(c->replaced_ms, 1700000000005);
    rig_holds(&r, "claude", "sk-ant-api03-two");
    rig_reopen(&r);
    rig_holds(&r, "claude", "sk-ant-api03-two");
    CHECK_INT(rig_records(&r), 1);
    CHECK_OK(credential_remove(r.cs, view_str("claude"), &r.why), r.why);
    CHECK(!credential_find(r.cs, view_str("claude")));
    rig_reopen(&r);
    CHECK_INT(credentials_count(r.cs), 0);
    CHECK_INT(rig_records(&r), 0);
}

TEST(wrong_puts_write_nothing)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf good = {0};
    const struct credential *out = NULL;
    uint64_t before = 0, after = 0;
    uint8_t tag[16];
    rig_new(&r);
    (void)rig_put(&r, "there", "sk-ant-api03-x");
    credentials_head(r.cs, &before, tag);
    CHECK_INT(rig_try_put(&r, "there", "x", false), ERR_EXISTS);
    CHECK_INT(rig_try_put(&r, "absent", "x", true), ERR_NOT_FOUND);
    CHECK_INT(rig_try_put(&r, "admin", "x", false), ERR_INVALID);
    CHECK_INT(rig_try_put(&r, "../x", "x", false), ERR_INVALID);
    rig_canonical("sk-ant-api03-y", &good);
    struct credential_put put = {
        .name = view_str("new"), .provider = view_str("nosuch"), .canonical = buf_view(&good)};
    CHECK_INT(credential_put(r.cs, &put, &out, &r.why), ERR_INVALID);
    put.provider = view_str("");
    CHECK_INT(credential_put(r.cs, &put, &out, &r.why), ERR_INVALID);
    put.provider = view_str("anthropic");
    put.canonical.n--;
    CHECK_INT(credential_put(r.cs, &put, &out, &r.why), ERR_INVALID);
    put.canonical.n++;
    put.ceiling = 1u << DELIVER_FILE; /* an API key has no file */
    CHECK_INT(credential_put(r.cs, &put, &out, &r.why), ERR_INVALID);
    put.name = view_str("there");
    put.ceiling = 0;
    put.replace = true;
    put.provider = view_str("openai");
    CHECK_INT(credential_put(r.cs, &put, &out, &r.why), ERR_CONFLICT);
    CHECK_INT(credential_remove(r.cs, view_str("absent"), &r.why), ERR_NOT_FOUND);
    credentials_head(r.cs, &after, tag);
    CHECK(!out && before == after);
    CHECK_INT(rig_records(&r), 1);
}

TEST(a_replacement_keeps_ceiling_and_provider_unless_told)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf b = {0};
    const struct credential *c = NULL;
    rig_new(&r);
    rig_canonical("sk-ant-api03-y", &b);
    struct credential_put put = {.name = view_str("k"),
                                 .provider = view_str("anthropic"),
                                 .canonical = buf_view(&b),
                                 .ceiling = 1u << DELIVER_PROXY};
    CHECK_OK(credential_put(r.cs, &put, &c, &r.why), r.why);
    put.replace = true;
    put.ceiling = 0;
    put.provider = (struct view){0};
    CHECK_OK(credential_put(r.cs, &put, &c, &r.why), r.why);
    CHECK_INT(c->ceiling, 1u << DELIVER_PROXY);
    CHECK_STR(c->provider->name, "anthropic");
    put.ceiling = 1u << DELIVER_SECRET;
    CHECK_OK(credential_put(r.cs, &put, &c, &r.why), r.why);
    rig_reopen(&r);
    CHECK_INT(credential_find(r.cs, view_str("k"))->ceiling, 1u << DELIVER_SECRET);
    rig_holds(&r, "k", "sk-ant-api03-y");
}

TEST(names_are_walked_in_order)
{
    static const char *const names[] = {"delta", "alpha", "echo", "bravo", "charlie"};
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    CHECK(!credential_next(r.cs, ""));
    for (size_t i = 0; i < COUNT(names); i++)
        (void)rig_put(&r, names[i], "sk-ant-api03-x");
    char seen[8] = "";
    for (const struct credential *c = NULL; (c = credential_next(r.cs, c ? c->name : ""));)
        seen[strlen(seen)] = c->name[0];
    CHECK_STR(seen, "abcde");
    CHECK_STR(credential_next(r.cs, "b")->name, "bravo");
    CHECK_STR(credential_next(r.cs, "bravo")->name, "charlie");
    CHECK(!credential_next(r.cs, "zulu"));
}

TEST(a_changed_record_is_corrupt)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf record = {0};
    struct secret *plain = NULL;
    char name[STORE_NAME_MAX + 1];
    rig_new(&r);
    const struct credential *c = rig_put(&r, "k", "sk-ant-api03-x");
    credential_record_name(c, name);
    CHECK_OK(r.ops.record_read(r.store, name, &record, &r.why), r.why);
    for (size_t i = 0; i < record.len; i += 7) {
        record.p[i] ^= 0x10;
        CHECK_OK(r.ops.record_remove(r.store, name, &r.why), r.why);
        CHECK_OK(r.ops.record_write(r.store, name, buf_view(&record), &r.why), r.why);
        CHECK_INT(credential_open(r.cs, c, &plain, &r.why), ERR_CORRUPT);
        record.p[i] ^= 0x10;
    }
    CHECK(!plain);
    CHECK_OK(r.ops.record_remove(r.store, name, &r.why), r.why);
    CHECK_INT(credential_open(r.cs, c, &plain, &r.why), ERR_CORRUPT);
    CHECK(strstr(r.why.text, "backup"));
}

TEST(an_older_record_put_in_place_is_corrupt)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf old = {0};
    struct secret *plain = NULL;
    char name[STORE_NAME_MAX + 1];
    rig_new(&r);
    const struct credential *c = rig_put(&r, "k", "sk-ant-api03-old");
    credential_record_name(c, name);
    CHECK_OK(r.ops.record_read(r.store, name, &old, &r.why), r.why);
    c = rig_put(&r, "k", "sk-ant-api03-new");
    credential_record_name(c, name);
    CHECK_OK(r.ops.record_remove(r.store, name, &r.why), r.why);
    CHECK_OK(r.ops.record_write(r.store, name, buf_view(&old), &r.why), r.why);
    CHECK_INT(credential_open(r.cs, c, &plain, &r.why), ERR_CORRUPT);
}

TEST(what_was_opened_once_is_cached_sealed)
{
    AUTO(rig_free) struct rig r;
    char name[STORE_NAME_MAX + 1];
    rig_new(&r);
    const struct credential *c = rig_put(&r, "k", "sk-ant-api03-x");
    rig_holds(&r, "k", "sk-ant-api03-x");
    credential_record_name(c, name);
    CHECK_OK(r.ops.record_remove(r.store, name, &r.why), r.why);
    rig_holds(&r, "k", "sk-ant-api03-x");
    for (size_t i = 0; i < COUNT(r.cs->cache); i++)
        if (r.cs->cache[i].bytes.len)
            CHECK(!memmem(r.cs->cache[i].bytes.p, r.cs->cache[i].bytes.len, "sk-ant-api03-x", 14));
}

TEST(a_view_is_opened_once_until_it_is_forgotten)
{
    AUTO(rig_free) struct rig r;
    const struct cred *a = NULL, *b = NULL;
    rig_new(&r);
    const struct credential *k = rig_put(&r, "k", "sk-ant-api03-x"), *l = rig_put(&r, "l", "sk-ant-api03-y");
    CHECK_OK(credential_view(r.cs, k, &a, &r.why), r.why);
    CHECK(view_is(a->f[CF_SECRET], "sk-ant-api03-x"));
    const struct secret *plain = r.cs->view.plain;
    CHECK_OK(credential_view(r.cs, k, &b, &r.why), r.why);
    CHECK(a == b && r.cs->view.plain == plain);
    CHECK_OK(credential_view(r.cs, l, &b, &r.why), r.why);
    CHECK(view_is(b->f[CF_SECRET], "sk-ant-api03-y"));
    l = rig_put(&r, "l", "sk-ant-api03-z"); /* replaced: what was opened before is not given */
    CHECK_OK(credential_view(r.cs, l, &b, &r.why), r.why);
    CHECK(view_is(b->f[CF_SECRET], "sk-ant-api03-z"));
    const uint8_t *at = b->f[CF_SECRET].p;
    credentials_forget(r.cs);
    CHECK(!r.cs->view.plain && r.cs->view.cred.f[CF_SECRET].n == 0 && at[0] == 0); /* wiped in its place */
    credentials_forget(r.cs);
    CHECK_OK(credential_view(r.cs, k, &b, &r.why), r.why);
    CHECK(view_is(b->f[CF_SECRET], "sk-ant-api03-x"));
}

TEST(the_cache_keeps_the_latest_used)
{
    AUTO(rig_free) struct rig r;
    char name[16];
    rig_new(&r);
    for (unsigned i = 0; i < CREDENTIAL_CACHE + 8; i++) {
        (void)snprintf(name, sizeof(name), "k%u", i);
        (void)rig_put(&r, name, name);
        rig_holds(&r, name, name);
        rig_holds(&r, "k0", "k0");
    }
    unsigned full = 0;
    for (size_t i = 0; i < COUNT(r.cs->cache); i++)
        full += r.cs->cache[i].bytes.len > 0;
    CHECK_INT(full, CREDENTIAL_CACHE);
    CHECK(credential_cached(r.cs, credential_find(r.cs, view_str("k0"))->hash)->bytes.len > 0);
    CHECK(credential_cached(r.cs, credential_find(r.cs, view_str("k1"))->hash)->bytes.len == 0);
}

/* ---- failures of the store */

TEST(a_record_that_cannot_be_written_leaves_the_old_in_force)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    (void)rig_put(&r, "k", "sk-ant-api03-old");
    r.ops.record_write = rig_no_write;
    CHECK_INT(rig_try_put(&r, "k", "sk-ant-api03-new", true), ERR_NO_SPACE);
    CHECK_INT(rig_try_put(&r, "l", "sk-ant-api03-new", false), ERR_NO_SPACE);
    rig_holds(&r, "k", "sk-ant-api03-old");
    CHECK_INT(credentials_count(r.cs), 1);
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-old");
}

TEST(a_failed_commit_keeps_both_records_until_it_is_settled)
{
    AUTO(rig_free) struct rig r;
    unsigned removed = 0;
    rig_new(&r);
    const struct store_ops *good = store_by_name(view_str("file"));
    (void)rig_put(&r, "k", "sk-ant-api03-old");
    r.ops.manifest_append = rig_no_append;
    r.ops.manifest_replace = rig_no_replace;
    CHECK_INT(rig_try_put(&r, "k", "sk-ant-api03-new", true), ERR_IO);
    CHECK_INT(rig_records(&r), 2);
    rig_holds(&r, "k", "sk-ant-api03-old");
    CHECK_INT(credentials_settle(r.cs, &r.why), ERR_NO_SPACE);
    CHECK_INT(rig_try_put(&r, "k", "sk-ant-api03-new", true), ERR_NO_SPACE);
    CHECK_INT(credentials_sweep(r.cs, 8, &removed, &r.why), ERR_NO_SPACE);
    CHECK_INT(rig_records(&r), 2);
    r.ops.manifest_append = good->manifest_append;
    r.ops.manifest_replace = good->manifest_replace;
    CHECK_OK(rig_try_put(&r, "k", "sk-ant-api03-newer", true),
             r.why); /* over the orphan of the same name */
    CHECK_INT(rig_records(&r), 1);
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-newer");
    CHECK_INT(credential_find(r.cs, view_str("k"))->version, 2);
}

/* It is on the disk, but the answer was an error. */
static err_t append_and_fail(struct store *s, struct view entry, struct why *why)
{
    TRY(store_by_name(view_str("file"))->manifest_append(s, entry, why));
    return fail(why, ERR_IO, "the sync failed");
}

TEST(what_was_refused_is_not_there_after_a_restart_either)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    (void)rig_put(&r, "k", "sk-ant-api03-old");
    r.ops.manifest_append = append_and_fail;
    CHECK_INT(rig_try_put(&r, "k", "sk-ant-api03-new", true), ERR_IO);
    CHECK_INT(rig_try_put(&r, "l", "sk-ant-api03-new", false), ERR_IO);
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-old");
    CHECK_INT(credentials_count(r.cs), 1);
    r.ops.manifest_append = append_and_fail;
    CHECK_INT(credential_remove(r.cs, view_str("k"), &r.why), ERR_IO);
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-old");
    CHECK_OK(credentials_settle(r.cs, &r.why), r.why);
}

TEST(a_failed_removal_commit_leaves_it_there)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    (void)rig_put(&r, "k", "sk-ant-api03-old");
    r.ops.manifest_append = rig_no_append;
    CHECK_INT(credential_remove(r.cs, view_str("k"), &r.why), ERR_IO);
    rig_holds(&r, "k", "sk-ant-api03-old");
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-old");
}

TEST(the_account_is_kept_redacted_and_the_expiry_known)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf b = {0};
    struct cred c = {0};
    const struct credential *row = NULL;
    const struct provider *p = provider_by_name(view_str("codex"));
    CHECK(p);
    rig_new(&r);
    c.f[CF_KIND] = view_str("login");
    c.f[CF_ACCESS_TOKEN] = view_str("eyJhbGciOiJub25lIn0.eyJleHAiOjE5MDAwMDAwMDB9.c2ln");
    c.f[CF_REFRESH_TOKEN] = view_str("rt-abcdefghijklmnop");
    c.f[CF_ID_TOKEN] = c.f[CF_ACCESS_TOKEN];
    c.f[CF_EXPIRES_AT] = view_str("1900000000000");
    c.f[CF_ACCOUNT] = view_str("acct-1234");
    CHECK_OK(cred_encode(&c, &b, &r.why), r.why);
    struct credential_put put = {
        .name = view_str("codex"), .provider = view_str("codex"), .canonical = buf_view(&b)};
    CHECK_OK(credential_put(r.cs, &put, &row, &r.why), r.why);
    CHECK_INT(row->expires_ms, 1900000000000);
    CHECK(strncmp(row->account, "r:", 2) == 0 && strlen(row->account) == 18);
    rig_reopen(&r);
    row = credential_find(r.cs, view_str("codex"));
    CHECK_INT(row->expires_ms, 1900000000000);
    CHECK(strncmp(row->account, "r:", 2) == 0);
}

TEST(the_head_only_grows)
{
    AUTO(rig_free) struct rig r;
    uint64_t last = 0, now = 0;
    uint8_t tag[16], reopened[16];
    rig_new(&r);
    for (unsigned i = 0; i < 200; i++) { /* through a compaction */
        (void)rig_put(&r, "k", "sk-ant-api03-x");
        credentials_head(r.cs, &now, tag);
        CHECK(now > last);
        last = now;
    }
    CHECK(now >> 32 > 1);
    rig_reopen(&r);
    credentials_head(r.cs, &now, reopened);
    CHECK_INT(now, last);
    CHECK(memcmp(tag, reopened, 16) == 0);
}

TEST(held_and_let_go_outlive_the_process)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf text = {0};
    const struct credential *c = NULL;
    rig_new(&r);
    (void)rig_put(&r, "claude", "sk-ant-api03-one");
    for (int held = 1; held >= 0; held--) {
        CHECK_OK(credential_hold(r.cs, view_str("claude"), held == 1, &r.why), r.why);
        for (int i = 0; i < 2; i++) {
            c = credential_find(r.cs, view_str("claude"));
            CHECK(c && c->released == (held == 1) && (c->needs_login != 0) == (held == 1));
            CHECK_INT(c->version, 1);
            rig_holds(&r, "claude", "sk-ant-api03-one"); /* and its record is where it was */
            rig_reopen(&r);
        }
    }
    rig_canonical("sk-ant-api03-two", &text);
    struct credential_put put = {.name = view_str("claude"), .provider = view_str("anthropic"), .canonical = buf_view(&text), .replace = true, .hold = true, .now_ms = 1700000000009};
    CHECK_OK(credential_put(r.cs, &put, &c, &r.why), r.why);
    CHECK(c->released);
    rig_reopen(&r);
    CHECK(credential_find(r.cs, view_str("claude"))->released);
    CHECK(!rig_put(&r, "claude", "sk-ant-api03-three")->released); /* one that is put in its place is used */
    CHECK_INT(credential_hold(r.cs, view_str("none"), true, &r.why), ERR_NOT_FOUND);
}
