/* Finding the program, as execvp would. */
#include "check.h"
#include "unit/client/fake.h"

#include "exec/command.h"

#include <limits.h>

static struct why why;
static char out[PATH_MAX];

static void make(const char *dir, const char *name, mode_t mode)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && fchmod(fd, mode) == 0);
    close(fd);
}

TEST(the_first_on_the_path_that_can_be_run)
{
    struct fake a, b;
    char search[300], want[200];
    fake_dir(&a);
    fake_dir(&b);
    make(a.dir, "plain", 0644);
    make(b.dir, "plain", 0755);
    make(b.dir, "tool", 0755);
    snprintf(search, sizeof(search), "/nonexistent:%s:%s", a.dir, b.dir);
    snprintf(want, sizeof(want), "%s/tool", b.dir);
    CHECK_OK(command_find("tool", search, out, &why), why);
    CHECK_STR(out, want);
    snprintf(want, sizeof(want), "%s/plain", b.dir); /* one that cannot be run is passed over */
    CHECK_OK(command_find("plain", search, out, &why), why);
    CHECK_STR(out, want);
    CHECK_OK(command_find(want, "/nonexistent", out, &why), why); /* a slash: no search */
    CHECK_STR(out, want);
    CHECK_INT(command_find("plain", a.dir, out, &why), ERR_PERMISSION);
    CHECK_STR(out, want);
    fake_stop(&a);
    fake_stop(&b);
}

TEST(missing_and_unusable_are_told_apart)
{
    struct fake f;
    char path[200];
    fake_dir(&f);
    make(f.dir, "plain", 0644);
    snprintf(path, sizeof(path), "%s/plain", f.dir);
    CHECK_INT(command_find(path, NULL, out, &why), ERR_PERMISSION);
    CHECK_INT(command_find(f.dir, NULL, out, &why), ERR_PERMISSION); /* a directory */
    CHECK_INT(command_find("no-such-command", NULL, out, &why), ERR_NOT_FOUND);
    CHECK_INT(command_find("/no/such/command", NULL, out, &why), ERR_NOT_FOUND);
    CHECK_INT(command_find("", NULL, out, &why), ERR_NOT_FOUND);
    CHECK_INT(command_find("x", "", out, &why),
              ERR_NOT_FOUND); /* an empty PATH is the present directory */
    CHECK_OK(command_find("sh", NULL, out, &why), why);
    fake_stop(&f);
}

TEST(names_over_the_room_are_missing)
{
    static char name[PATH_MAX + 100];
    memset(name, 'a', sizeof(name) - 1);
    CHECK_INT(command_find(name, "/bin:/usr/bin", out, &why), ERR_NOT_FOUND);
    name[0] = '/';
    CHECK_INT(command_find(name, NULL, out, &why), ERR_NOT_FOUND);
}
