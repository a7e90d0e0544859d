/* The login file without a login: written, written anew, and never over somebody's. */
#include "check.h"
#include "unit/client/fake.h"

#include "exec/phantom.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct why why;
static struct fake box;
static char dir[100], path[200], text[256];

static void begin(void)
{
    fake_dir(&box);
    snprintf(dir, sizeof(dir), "%s/.codex", box.dir);
    snprintf(path, sizeof(path), "%s/auth.json", dir);
}

static void put(const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
}

static const char *got(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static unsigned entries(void)
{
    char command[300];
    snprintf(command, sizeof(command), "test $(ls -A %s | wc -l) = 1", dir);
    return system(command) == 0 ? 1 : 0;
}

TEST(writes_the_file_for_its_owner_alone_and_anew_over_its_own)
{
    struct stat st;
    begin();
    CHECK_OK(phantom_place(dir, "auth.json", "{\"a\":\"cbat-cbrk1_x\"}", &why), why);
    CHECK_STR(got(), "{\"a\":\"cbat-cbrk1_x\"}");
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK(stat(dir, &st) == 0 && (st.st_mode & 0777) == 0700);
    CHECK_OK(phantom_place(dir, "auth.json", "{\"b\":\"cbat-cbrk1_y\"}", &why), why);
    CHECK_STR(got(), "{\"b\":\"cbat-cbrk1_y\"}");
    CHECK_INT(entries(), 1);
    fake_stop(&box);
}

TEST(a_login_of_its_own_is_never_touched)
{
    begin();
    CHECK(mkdir(dir, 0700) == 0);
    put("{\"tokens\":{\"refresh_token\":\"rt_real\"}}");
    CHECK_INT(phantom_place(dir, "auth.json", "cbrk1_", &why), ERR_EXISTS);
    CHECK(strstr(why.text, "enroll it and move it away"));
    CHECK_STR(got(), "{\"tokens\":{\"refresh_token\":\"rt_real\"}}");
    put("");
    CHECK_INT(phantom_place(dir, "auth.json", "cbrk1_", &why), ERR_EXISTS);
    CHECK(unlink(path) == 0 && symlink("/nonexistent/cbrk1_", path) == 0);
    CHECK_INT(phantom_place(dir, "auth.json", "cbrk1_", &why), ERR_EXISTS);
    CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
    CHECK_INT(phantom_place(dir, "auth.json", "cbrk1_", &why), ERR_EXISTS);
    CHECK_INT(entries(), 1); /* and nothing is left behind */
    fake_stop(&box);
}

TEST(what_cannot_be_written_is_said)
{
    begin();
    CHECK(phantom_place("/nonexistent/a", "auth.json", "cbrk1_", &why) != ERR_OK);
    CHECK(why.text[0]);
    char longest[5000];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_INT(phantom_place(longest, "auth.json", "cbrk1_", &why), ERR_USAGE);
    fake_stop(&box);
}
