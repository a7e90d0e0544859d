/* The link where a program looks for its login: made, made anew, and never in place of somebody's
 * file. */
#include "check.h"
#include "unit/client/fake.h"

#include "exec/link.h"

#include <limits.h>

static struct why why;
static struct fake box;
static char dir[100], path[200], to[PATH_MAX];

static void begin(void)
{
    fake_dir(&box);
    snprintf(dir, sizeof(dir), "%s/.claude", box.dir);
    snprintf(path, sizeof(path), "%s/.credentials.json", dir);
}

static const char *target(void)
{
    ssize_t n = readlink(path, to, sizeof(to) - 1);
    if (n < 0)
        return NULL;
    to[n] = '\0';
    return to;
}

TEST(makes_the_directory_and_the_link)
{
    struct stat st;
    begin();
    CHECK_OK(link_place(dir, ".credentials.json", "/run/a/files/claude/.credentials.json", &why),
             why);
    CHECK_STR(target(), "/run/a/files/claude/.credentials.json");
    CHECK(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0700);
    CHECK_OK(link_place(dir, ".credentials.json", "/run/a/files/claude/.credentials.json", &why),
             why);
    fake_stop(&box);
}

TEST(a_link_of_an_earlier_start_is_replaced)
{
    begin();
    CHECK(mkdir(dir, 0755) == 0);
    CHECK(symlink("/old/files/other/.credentials.json", path) == 0);
    CHECK_OK(link_place(dir, ".credentials.json", "/run/a/files/claude/.credentials.json", &why),
             why);
    CHECK_STR(target(), "/run/a/files/claude/.credentials.json");
    fake_stop(&box);
}

TEST(a_file_of_its_own_is_never_touched)
{
    char text[8] = "";
    begin();
    CHECK(mkdir(dir, 0755) == 0);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "login", 5) == 5);
    CHECK_INT(link_place(dir, ".credentials.json", "/run/files/claude/.credentials.json", &why),
              ERR_EXISTS);
    CHECK(strstr(why.text, path) != NULL);
    CHECK(pread(fd, text, 5, 0) == 5);
    CHECK_STR(text, "login");
    CHECK(!target());
    close(fd);
    fake_stop(&box);
}

TEST(a_link_that_leads_elsewhere_is_never_touched)
{
    static const char *const others[] = {
        "/home/u/dotfiles/.credentials.json",
        "files/.credentials.json",
        "/files/.credentials.json",
        ".credentials.json",
        "/",
        "/run/files/claude/other.json",
        "/run/xfiles2/claude/.credentials.json",
        "/run/files/a/b/.credentials.json",
    };
    begin();
    CHECK(mkdir(dir, 0755) == 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK(symlink(others[i], path) == 0);
        CHECK_INT(link_place(dir, ".credentials.json", "/run/files/claude/.credentials.json", &why),
                  ERR_EXISTS);
        CHECK_STR(target(), others[i]);
        CHECK(unlink(path) == 0);
    }
    fake_stop(&box);
}

TEST(a_directory_that_cannot_be_made_is_said)
{
    begin();
    snprintf(dir, sizeof(dir), "%s/no/such", box.dir);
    CHECK_INT(link_place(dir, "auth.json", "/x/files/c/auth.json", &why), ERR_NOT_FOUND);
    CHECK(strstr(why.text, dir) != NULL);
    static char long_dir[PATH_MAX + 10];
    memset(long_dir, 'a', sizeof(long_dir) - 1);
    CHECK_INT(link_place(long_dir, "auth.json", "/x", &why), ERR_USAGE);
    fake_stop(&box);
}

TEST(a_place_that_may_not_be_written_is_said)
{
    begin();
    if (geteuid() == 0) {
        fake_stop(&box);
        SKIP("root may write everywhere");
    }
    CHECK(mkdir(dir, 0500) == 0);
    CHECK_INT(link_place(dir, "auth.json", "/x/files/c/auth.json", &why), ERR_PERMISSION);
    fake_stop(&box);
}
