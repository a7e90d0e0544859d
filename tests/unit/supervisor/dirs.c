/* Directories: made with the right modes whatever the umask, never changed when they exist, refused when others can write. */
#include "supervisor/dirs.h"
#include "base/auto.h"
#include "check.h"

#include <ftw.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

static struct options o;
static struct why w;
static char top[32];

static void set_up(void)
{
    (void)snprintf(top, sizeof(top), "/tmp/dirs-XXXXXX");
    CHECK(mkdtemp(top) != NULL);
    memset(&o, 0, sizeof(o));
    (void)snprintf(o.state, sizeof(o.state), "%s/a/state", top);
    (void)snprintf(o.run, sizeof(o.run), "%s/b/run", top);
    (void)snprintf(o.config, sizeof(o.config), "%s/c/broker.yaml", top);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void tear_down(void)
{
    (void)nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static unsigned mode_of(const char *rest)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", top, rest);
    CHECK_INT(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

TEST(missing_directories_are_made_with_their_modes_under_any_umask)
{
    static const mode_t masks[] = {0, 022, 077};
    for (size_t i = 0; i < COUNT(masks); i++) {
        set_up();
        mode_t before = umask(masks[i]);
        CHECK_OK(dirs_make(&o, &w), w);
        CHECK_INT(umask(before), masks[i]); /* and the umask is as it was */
        CHECK_INT(mode_of("a"), 0755);
        CHECK_INT(mode_of("a/state"), 0700);
        CHECK_INT(mode_of("b/run"), 0755);
        CHECK_INT(mode_of("c"), 0755);
        CHECK_OK(dirs_check(&o, &w), w);
        CHECK_OK(dirs_make(&o, &w), w); /* again is no error */
        tear_down();
    }
}

TEST(existing_directories_are_not_changed)
{
    set_up();
    CHECK_OK(dirs_make(&o, &w), w);
    CHECK_INT(chmod(o.run, 0711), 0);
    CHECK_OK(dirs_make(&o, &w), w);
    CHECK_INT(mode_of("b/run"), 0711);
    CHECK_OK(dirs_check(&o, &w), w);
    tear_down();
}

TEST(directories_others_can_write_are_refused_with_the_remedy)
{
    static const mode_t state_bad[] = {0750, 0705, 0770, 0777}, run_bad[] = {0775, 0757, 0777};
    set_up();
    CHECK_OK(dirs_make(&o, &w), w);
    for (size_t i = 0; i < COUNT(state_bad); i++) {
        CHECK_INT(chmod(o.state, state_bad[i]), 0);
        CHECK_INT(dirs_check(&o, &w), ERR_PERMISSION);
        CHECK(strstr(w.text, "chmod") && strstr(w.text, o.state));
    }
    CHECK_INT(chmod(o.state, 0700), 0);
    for (size_t i = 0; i < COUNT(run_bad); i++) {
        CHECK_INT(chmod(o.run, run_bad[i]), 0);
        CHECK_INT(dirs_check(&o, &w), ERR_PERMISSION);
        CHECK(strstr(w.text, "chmod") && strstr(w.text, o.run));
    }
    CHECK_INT(chmod(o.run, 0755), 0);
    *strrchr(o.config, '/') = '\0';
    CHECK_INT(chmod(o.config, 0777), 0);
    (void)strncat(o.config, "/broker.yaml", sizeof(o.config) - strlen(o.config) - 1);
    CHECK_INT(dirs_check(&o, &w), ERR_PERMISSION);
    tear_down();
}

TEST(symlink_or_file_in_the_place_of_a_directory_is_refused)
{
    char target[64], parent[64];
    set_up();
    (void)snprintf(parent, sizeof(parent), "%s/a", top);
    (void)snprintf(target, sizeof(target), "%s/elsewhere", top);
    CHECK(mkdir(parent, 0700) == 0 && mkdir(target, 0700) == 0 && symlink(target, o.state) == 0);
    CHECK_OK(dirs_make(&o, &w), w); /* it exists */
    CHECK(dirs_check(&o, &w) != ERR_OK);
    CHECK_INT(unlink(o.state), 0);
    FILE *f = fopen(o.state, "w");
    CHECK(f && fclose(f) == 0);
    CHECK(dirs_check(&o, &w) != ERR_OK);
    tear_down();
}

TEST(configuration_directory_is_a_wish_the_others_are_a_must)
{
    set_up();
    (void)snprintf(o.config, sizeof(o.config), "/proc/no/broker.yaml");
    CHECK_OK(dirs_make(&o, &w), w);
    CHECK_OK(dirs_check(&o, &w), w);
    (void)snprintf(o.run, sizeof(o.run), "/proc/no/run");
    CHECK(dirs_make(&o, &w) != ERR_OK);
    CHECK(strstr(w.text, "/proc/no/run"));
    tear_down();
}

TEST(root_gives_them_to_the_user)
{
    struct stat st;
    const struct passwd *pw = getpwnam("nobody");
    if (geteuid() != 0 || !pw)
        SKIP("needs root and a user nobody");
    set_up();
    o.system = true;
    (void)snprintf(o.user, sizeof(o.user), "nobody");
    CHECK_OK(dirs_make(&o, &w), w);
    CHECK(lstat(o.state, &st) == 0 && st.st_uid == pw->pw_uid && st.st_gid == pw->pw_gid);
    CHECK(lstat(o.run, &st) == 0 && st.st_uid == pw->pw_uid);
    *strrchr(o.state, '/') = '\0';
    CHECK(lstat(o.state, &st) == 0 && st.st_uid == 0); /* parents stay root's */
    tear_down();
}
