#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "keysource/keysources.h"

static err_t open_at(const char *path, mode_t forbidden, struct secret **key, struct why *why)
{
    const struct material m = {.path = path, .flags = O_NOFOLLOW, .forbidden = forbidden};
    return material_open(&m, key, why);
}

TEST(the_size_of_key_material_is_limited)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    static const struct {
        size_t n;
        err_t e;
    } rows[] = {
        {0, ERR_INVALID}, {31, ERR_INVALID}, {32, ERR_OK}, {4096, ERR_OK}, {4097, ERR_INVALID}};
    char bytes[5000];
    struct why why = {0};
    memset(bytes, 'k', sizeof(bytes));
    scratch_pool();
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(auto_secret) struct secret *key = NULL;
        scratch_write(scratch_path(&dir, "k"), bytes, rows[i].n, 0600);
        CHECK_INT(open_at(scratch_path(&dir, "k"), 0077, &key, &why), rows[i].e);
        CHECK_INT(key != NULL, rows[i].e == ERR_OK);
    }
}

TEST(other_bytes_give_another_key)
{
    AUTO(auto_secret) struct secret *a = NULL, *b = NULL, *c = NULL;
    struct why why = {0};
    scratch_pool();
    CHECK_OK(material_key(view_str("0123456789abcdef0123456789abcdef"), &a, &why), why);
    CHECK_OK(material_key(view_str("0123456789abcdef0123456789abcdef\n"), &b, &why), why);
    CHECK_OK(material_key(view_str("0123456789abcdef0123456789abcdef"), &c, &why), why);
    CHECK(secret_equal(a, c) && !secret_equal(a, b));
    CHECK(!equal_ct(secret_bytes(a), "0123456789abcdef0123456789abcdef",
                    32)); /* hashed, not copied */
}

TEST(what_others_can_read_is_refused_with_the_chmod)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    static const mode_t bad[] = {0640, 0604, 0620, 0601, 0777};
    const char *path = scratch_path(&dir, "k");
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    for (size_t i = 0; i < COUNT(bad); i++) {
        scratch_write(path, "0123456789abcdef0123456789abcdef", 32, 0600);
        CHECK(chmod(path, bad[i]) == 0);
        CHECK_INT(open_at(path, 0077, &key, &why), ERR_PERMISSION);
        CHECK(strstr(why.text, "chmod 0") && strstr(why.text, path));
        CHECK(unlink(path) == 0);
    }
}

TEST(what_is_no_file_is_refused_without_waiting)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    CHECK_INT(open_at(scratch_path(&dir, "none"), 0077, &key, &why), ERR_NOT_FOUND);
    CHECK_INT(open_at(dir.path, 0077, &key, &why), ERR_INVALID);
    CHECK(mkfifo(scratch_path(&dir, "fifo"), 0600) == 0);
    CHECK_INT(open_at(scratch_path(&dir, "fifo"), 0077, &key, &why), ERR_INVALID);
    scratch_write(scratch_path(&dir, "k"), "0123456789abcdef0123456789abcdef", 32, 0600);
    CHECK(symlink(scratch_path(&dir, "k"), scratch_path(&dir, "link")) == 0);
    CHECK(open_at(scratch_path(&dir, "link"), 0077, &key, &why) != ERR_OK);
    CHECK(!key);
}

TEST(a_foreign_owner_is_refused)
{
    if (geteuid() != 0)
        SKIP("needs root to give a file away");
    AUTO(scratch_free) struct scratch dir = scratch_new();
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    scratch_write(scratch_path(&dir, "k"), "0123456789abcdef0123456789abcdef", 32, 0600);
    CHECK(chown(scratch_path(&dir, "k"), 12345, 12345) == 0);
    CHECK_INT(open_at(scratch_path(&dir, "k"), 0077, &key, &why), ERR_PERMISSION);
    CHECK(strstr(why.text, "chown 0 "));
}
