#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "keysource/keysources.h"

static const struct keysource *const k = &keysource_keyfile;

TEST(the_default_is_master_key_in_the_configuration_and_0600)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *key = NULL;
    struct why why = {0};
    struct stat st;
    scratch_pool();
    struct keysource_ask ask = {.config_dir = scratch_path(&dir, "config")};
    mode_t old = umask(0);
    CHECK_OK(k->create(&ask, &params, &key, &why), why);
    umask(old);
    CHECK(view_is(buf_view(&params), scratch_path(&dir, "config/master.key")));
    CHECK(stat(scratch_path(&dir, "config/master.key"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_INT(st.st_size, 32);
    CHECK(stat(scratch_path(&dir, "config"), &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0700);
}

TEST(an_existing_key_is_never_overwritten)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    char back[32];
    const char *path = scratch_path(&dir, "k");
    struct keysource_ask ask = {.path = view_str(path)};
    scratch_pool();
    scratch_write(path, "somebody's key, do not touch it.", 32, 0600);
    CHECK_INT(k->create(&ask, &params, &key, &why), ERR_EXISTS);
    CHECK(!key && params.len == 0);
    AUTO(auto_close) int fd = open(path, O_RDONLY);
    CHECK(read(fd, back, 32) == 32);
    CHECK(strncmp(back, "somebody's key, do not touch it.", 32) == 0);
}

TEST(a_symlink_is_not_written_through)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    CHECK(symlink(scratch_path(&dir, "target"), scratch_path(&dir, "k")) == 0);
    struct keysource_ask ask = {.path = view_str(scratch_path(&dir, "k"))};
    CHECK_INT(k->create(&ask, &params, &key, &why), ERR_EXISTS);
    CHECK(access(scratch_path(&dir, "target"), F_OK) != 0);
}

TEST(a_relative_path_or_none_is_refused)
{
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    CHECK_INT(k->create(&(struct keysource_ask){.path = view_str("k")}, &params, &key, &why),
              ERR_INVALID);
    CHECK_INT(k->create(&(struct keysource_ask){.path = view_str("")}, &params, &key, &why),
              ERR_INVALID);
    CHECK_INT(k->open(&(struct keysource_ask){.params = view_str("k")}, &key, &why), ERR_INVALID);
    CHECK_INT(k->remove(&(struct keysource_ask){.params = view_str("../k")}, &why), ERR_INVALID);
}

TEST(a_directory_that_others_may_write_is_refused)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    struct keysource_ask ask = {.path = view_str(scratch_path(&dir, "k"))};
    scratch_pool();
    CHECK(chmod(dir.path, 0777) == 0);
    CHECK_INT(k->create(&ask, &params, &key, &why), ERR_PERMISSION);
    CHECK_INT(scratch_count(dir.path, "k"), 0);
}

TEST(remove_takes_the_file_away_and_open_then_finds_nothing)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *key = NULL;
    struct secret *again = NULL;
    struct why why = {0};
    struct keysource_ask ask = {.path = view_str(scratch_path(&dir, "k"))};
    scratch_pool();
    CHECK_OK(k->create(&ask, &params, &key, &why), why);
    ask.params = buf_view(&params);
    CHECK_OK(k->remove(&ask, &why), why);
    CHECK_INT(k->open(&ask, &again, &why), ERR_NOT_FOUND);
    CHECK_OK(k->remove(&ask, &why), why);
}

TEST(two_keys_differ)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *a = NULL, *b = NULL;
    struct why why = {0};
    scratch_pool();
    CHECK_OK(k->create(&(struct keysource_ask){.path = view_str(scratch_path(&dir, "a"))}, &params,
                       &a, &why),
             why);
    CHECK_OK(k->create(&(struct keysource_ask){.path = view_str(scratch_path(&dir, "b"))}, &params,
                       &b, &why),
             why);
    CHECK(!secret_equal(a, b));
}
