#include "credential_rig.h"

static void path_of(const struct rig *r, char out[128])
{
    (void)snprintf(out, 128, "%s/manifest-%020llu", r->dir.path,
                   (unsigned long long)r->cs->manifest.chain.generation);
}

static struct credential sample(void)
{
    struct credential c = {.name = "k",
                           .kind = "api_key",
                           .prefix = "p-",
                           .ceiling = 5,
                           .version = 3,
                           .epoch = 2,
                           .created_ms = 11,
                           .replaced_ms = 22,
                           .expires_ms = 33,
                           .account = "r:0123456789abcdef",
                           .needs_login = true,
                           .provider = provider_by_name(view_str("openai"))};
    memset(c.id, 7, sizeof(c.id));
    memset(c.hash, 9, sizeof(c.hash));
    return c;
}

TEST(a_row_survives_its_plaintext)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct credential in = sample(), out = {0};
    CHECK_OK(manifest_encode_row(&in, &b, &why), why);
    struct cursor c = cursor_of(buf_view(&b));
    CHECK_INT(get_u8(&c), 2);
    CHECK_OK(manifest_decode_row(&c, &out, &why), why);
    CHECK(memcmp(in.id, out.id, 16) == 0 && memcmp(in.hash, out.hash, 32) == 0);
    CHECK_STR(out.name, "k");
    CHECK_STR(out.kind, "api_key");
    CHECK_STR(out.prefix, "p-");
    CHECK_STR(out.account, "r:0123456789abcdef");
    CHECK(out.provider == in.provider && out.needs_login);
    CHECK_INT(out.ceiling, 5);
    CHECK_INT(out.version, 3);
    CHECK_INT(out.epoch, 2);
    CHECK_INT(out.created_ms + out.replaced_ms + out.expires_ms, 66);
}

TEST(every_truncation_of_a_row_is_refused)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct credential in = sample(), out = {0};
    CHECK_OK(manifest_encode_row(&in, &b, &why), why);
    for (size_t n = 0; n + 1 < b.len; n++) {
        struct cursor c = cursor_of(VIEW(b.p + 1, n));
        CHECK_INT(manifest_decode_row(&c, &out, &why), ERR_CORRUPT);
    }
    buf_put_u8(&b, 0);
    struct cursor c = cursor_of(VIEW(b.p + 1, b.len - 1));
    CHECK_INT(manifest_decode_row(&c, &out, &why), ERR_CORRUPT);
    CHECK_INT(out.version, 0);
}

TEST(a_provider_of_the_future_is_named_as_such)
{
    AUTO(buf_free) struct buf b = {0};
    struct why why = {0};
    struct provider future = {.name = "future"};
    struct credential in = sample(), out;
    in.provider = &future;
    CHECK_OK(manifest_encode_row(&in, &b, &why), why);
    struct cursor c = cursor_of(VIEW(b.p + 1, b.len - 1));
    CHECK_INT(manifest_decode_row(&c, &out, &why), ERR_VERSION);
    CHECK(strstr(why.text, "newer brokerd"));
}

/* Any flipped bit of the file is noticed at opening: none makes an acknowledged entry look like one
 * that was cut short. */
TEST(every_flipped_byte_is_refused)
{
    AUTO(rig_free) struct rig r;
    AUTO(buf_free) struct buf file = {0};
    char path[128];
    rig_new(&r);
    (void)rig_put(&r, "one", "sk-ant-api03-1");
    (void)rig_put(&r, "two", "sk-ant-api03-2");
    (void)rig_put(&r, "three", "sk-ant-api03-3");
    path_of(&r, path);
    rig_close(&r);
    AUTO(auto_close) int fd = open(path, O_RDWR);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && buf_reserve(&file, (size_t)st.st_size));
    CHECK(pread(fd, file.p, (size_t)st.st_size, 0) == st.st_size);
    for (off_t i = 0; i < st.st_size; i++) {
        uint8_t was = file.p[i], flipped = was ^ 0x01;
        CHECK(pwrite(fd, &flipped, 1, i) == 1);
        struct credentials_env env = rig_env(&r);
        err_t e = r.ops.open(&r.store, r.dir.path, true, &r.why);
        if (e == ERR_OK) {
            env.store = r.store;
            e = credentials_open(&env, &r.cs, &r.why);
        }
        CHECK(e == ERR_CORRUPT || e == ERR_VERSION);
        rig_close(&r);
        CHECK(pwrite(fd, &was, 1, i) == 1);
    }
    CHECK_OK(rig_try_open(&r), r.why);
    CHECK_INT(credentials_count(r.cs), 3);
}

TEST(a_torn_end_is_cut_off_and_the_rest_stands)
{
    AUTO(rig_free) struct rig r;
    char path[128];
    struct stat st;
    rig_new(&r);
    (void)rig_put(&r, "one", "sk-ant-api03-1");
    path_of(&r, path);
    CHECK(stat(path, &st) == 0);
    (void)rig_put(&r, "two", "sk-ant-api03-2");
    rig_close(&r);
    CHECK(truncate(path, st.st_size + 50) == 0);
    rig_reopen(&r);
    CHECK_INT(credentials_count(r.cs), 1);
    rig_holds(&r, "one", "sk-ant-api03-1");
    CHECK(access(path, F_OK) != 0); /* a new generation took its place */
    (void)rig_put(&r, "two", "sk-ant-api03-2b");
    rig_reopen(&r);
    rig_holds(&r, "two", "sk-ant-api03-2b");
}

TEST(a_truncation_into_the_counted_rows_is_corrupt)
{
    AUTO(rig_free) struct rig r;
    char path[128];
    struct stat st;
    rig_new(&r);
    for (unsigned i = 0; i < 100; i++) /* compacts, so that the row is counted by the head */
        (void)rig_put(&r, "k", "sk-ant-api03-1");
    r.cs->manifest.broken = true;
    CHECK_OK(manifest_mend(&r.cs->manifest, &r.cs->index, &r.why), r.why);
    path_of(&r, path);
    rig_close(&r);
    CHECK(stat(path, &st) == 0 && truncate(path, st.st_size - 1) == 0);
    CHECK_INT(rig_try_open(&r), ERR_CORRUPT);
}

TEST(a_lost_manifest_with_records_is_not_an_empty_store)
{
    AUTO(rig_free) struct rig r;
    char path[128];
    rig_new(&r);
    (void)rig_put(&r, "k", "sk-ant-api03-1");
    path_of(&r, path);
    rig_close(&r);
    CHECK(unlink(path) == 0);
    CHECK_INT(rig_try_open(&r), ERR_CORRUPT);
    CHECK(strstr(r.why.text, "backup"));
}

TEST(another_stores_manifest_is_refused)
{
    AUTO(rig_free) struct rig a, b;
    char from[128], to[128];
    rig_new(&a);
    rig_new(&b);
    (void)rig_put(&a, "k", "sk-ant-api03-1");
    (void)rig_put(&b, "k", "sk-ant-api03-2");
    path_of(&a, from);
    path_of(&b, to);
    rig_close(&a);
    rig_close(&b);
    CHECK(rename(from, to) == 0);
    CHECK_INT(rig_try_open(&b), ERR_CORRUPT);
}

TEST(voided_entries_are_compacted_away)
{
    AUTO(rig_free) struct rig r;
    struct stat st;
    char path[128];
    rig_new(&r);
    for (unsigned i = 0; i < 500; i++)
        (void)rig_put(&r, "k", "sk-ant-api03-1");
    path_of(&r, path);
    CHECK(stat(path, &st) == 0);
    CHECK(st.st_size < 80 * 300);
    CHECK_INT(scratch_count(r.dir.path, "manifest-"), 1);
    rig_reopen(&r);
    CHECK_INT(credential_find(r.cs, view_str("k"))->version, 500);
}

TEST(a_failed_compaction_fails_nothing)
{
    AUTO(rig_free) struct rig r;
    rig_new(&r);
    const struct store_ops *good = store_by_name(view_str("file"));
    for (unsigned i = 0; i < 66; i++)
        (void)rig_put(&r, "k", "sk-ant-api03-1");
    r.ops.manifest_replace = rig_no_replace;
    (void)rig_put(&r, "k", "sk-ant-api03-2"); /* the 67th makes 66 void entries to one row */
    CHECK(r.cs->manifest.broken);
    CHECK_INT(rig_try_put(&r, "k", "sk-ant-api03-3", true), ERR_NO_SPACE);
    rig_holds(&r, "k", "sk-ant-api03-2");
    r.ops.manifest_replace = good->manifest_replace;
    (void)rig_put(&r, "k", "sk-ant-api03-4");
    rig_reopen(&r);
    rig_holds(&r, "k", "sk-ant-api03-4");
}
