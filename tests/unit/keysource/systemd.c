#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "keysource/keysources.h"

static const struct keysource *const k = &keysource_systemd;
static const char bytes[] = "0123456789abcdef0123456789abcdef";

static struct scratch with_credential(const char *name, mode_t mode)
{
    struct scratch dir = scratch_new();
    scratch_pool();
    scratch_write(scratch_path(&dir, name), bytes, 32, mode);
    setenv("CREDENTIALS_DIRECTORY", dir.path, 1);
    return dir;
}

TEST(a_named_credential_is_adopted)
{
    AUTO(scratch_free) struct scratch dir = with_credential("my.key", 0400);
    AUTO(buf_free) struct buf params = {0};
    AUTO(auto_secret) struct secret *made = NULL, *opened = NULL;
    struct why why = {0};
    struct keysource_ask ask = {.path = view_str("my.key")};
    CHECK_OK(k->create(&ask, &params, &made, &why), why);
    CHECK(view_is(buf_view(&params), "my.key"));
    ask.params = buf_view(&params);
    CHECK_OK(k->open(&ask, &opened, &why), why);
    CHECK(secret_equal(made, opened));
    CHECK(!k->remove); /* it is the service manager's */
}

TEST(the_group_may_read_and_others_may_not)
{
    AUTO(scratch_free) struct scratch dir = with_credential("k", 0440);
    AUTO(auto_secret) struct secret *key = NULL;
    struct secret *none = NULL;
    struct why why = {0};
    struct keysource_ask ask = {.params = view_str("k")};
    CHECK_OK(k->open(&ask, &key, &why), why);
    CHECK(chmod(scratch_path(&dir, "k"), 0444) == 0);
    CHECK_INT(k->open(&ask, &none, &why), ERR_PERMISSION);
    CHECK(chmod(scratch_path(&dir, "k"), 0460) == 0);
    CHECK_INT(k->open(&ask, &none, &why), ERR_PERMISSION);
}

TEST(a_mounted_secret_may_be_a_symlink_inside)
{
    AUTO(scratch_free) struct scratch dir = with_credential("data", 0400);
    AUTO(auto_secret) struct secret *key = NULL;
    struct why why = {0};
    CHECK(symlink("data", scratch_path(&dir, "k")) == 0);
    CHECK_OK(k->open(&(struct keysource_ask){.params = view_str("k")}, &key, &why), why);
}

TEST(names_that_leave_the_directory_are_refused)
{
    static const char *const bad[] = {"../k", "a/b", "/etc/passwd", "..", ".hidden", "a b", "k\n"};
    AUTO(scratch_free) struct scratch dir = with_credential("k", 0400);
    struct secret *key = NULL;
    struct why why = {0};
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_INT(k->open(&(struct keysource_ask){.params = view_str(bad[i])}, &key, &why),
                  ERR_INVALID);
    CHECK_INT(k->open(&(struct keysource_ask){.params = view_str("absent")}, &key, &why),
              ERR_NOT_FOUND);
}

TEST(outside_a_service_it_says_what_to_do)
{
    AUTO(buf_free) struct buf params = {0};
    struct secret *key = NULL;
    struct why why = {0};
    scratch_pool();
    unsetenv("CREDENTIALS_DIRECTORY");
    CHECK_INT(k->create(&(struct keysource_ask){0}, &params, &key, &why), ERR_UNAVAILABLE);
    CHECK(strstr(why.text, "LoadCredentialEncrypted="));
    setenv("CREDENTIALS_DIRECTORY", "relative", 1);
    CHECK_INT(k->create(&(struct keysource_ask){0}, &params, &key, &why), ERR_UNAVAILABLE);
    unsetenv("CREDENTIALS_DIRECTORY");
}
