/* Where the socket is looked for, and how a failure to connect is told. */
#include "check.h"
#include "unit/client/fake.h"

#include "client/socket.h"

#include <poll.h>

static struct why why;
static char found[BROKER_SOCKET_ROOM];

static void clear_env(void)
{
    unsetenv("CREDENTIAL_BROKER_SOCKET");
    unsetenv("CREDENTIAL_BROKER_RUN");
    unsetenv("CREDENTIAL_BROKER_CONSUMER");
    unsetenv("XDG_RUNTIME_DIR");
}

TEST(the_nearest_word_counts)
{
    clear_env();
    CHECK_OK(broker_socket_find(NULL, NULL, found, &why), why);
    CHECK_STR(found, "/run/credential-broker/broker.sock");
    setenv("CREDENTIAL_BROKER_CONSUMER", "marie", 1);
    CHECK_OK(broker_socket_find(NULL, NULL, found, &why), why);
    CHECK_STR(found, "/run/credential-broker/marie/broker.sock");
    setenv("CREDENTIAL_BROKER_RUN", "/somewhere/", 1);
    CHECK_OK(broker_socket_find(NULL, NULL, found, &why), why);
    CHECK_STR(found, "/somewhere/marie/broker.sock");
    CHECK_OK(broker_socket_find(NULL, "admin", found, &why), why);
    CHECK_STR(found, "/somewhere/admin/broker.sock");
    setenv("CREDENTIAL_BROKER_SOCKET", "/a/b.sock", 1);
    CHECK_OK(broker_socket_find(NULL, NULL, found, &why), why);
    CHECK_STR(found, "/a/b.sock");
    CHECK_OK(broker_socket_find(NULL, "admin", found, &why),
             why); /* a consumer's socket is never the operator's */
    CHECK_STR(found, "/somewhere/admin/broker.sock");
    CHECK_OK(broker_socket_find("/c", NULL, found, &why), why);
    CHECK_STR(found, "/c");
    setenv("CREDENTIAL_BROKER_SOCKET", "", 1); /* blank is unset */
    CHECK_OK(broker_socket_find("", NULL, found, &why), why);
    CHECK_STR(found, "/somewhere/marie/broker.sock");
    clear_env();
}

TEST(a_directory_stands_for_the_socket_in_it)
{
    struct fake f;
    char want[200], with_slash[80];
    fake_dir(&f);
    snprintf(want, sizeof(want), "%s/broker.sock", f.dir);
    snprintf(with_slash, sizeof(with_slash), "%s//", f.dir);
    CHECK_OK(broker_socket_find(f.dir, NULL, found, &why), why);
    CHECK_STR(found, want);
    CHECK_OK(broker_socket_find(with_slash, NULL, found, &why), why);
    CHECK_STR(found, want);
    fake_stop(&f);
}

TEST(a_users_own_broker_is_found_where_there_is_no_system_broker)
{
    struct fake f;
    char dir[100], want[200];
    if (access("/run/credential-broker/me/broker.sock", F_OK) == 0)
        SKIP("a broker of this name runs on this host");
    clear_env();
    fake_dir(&f);
    setenv("XDG_RUNTIME_DIR", f.dir, 1);
    CHECK_OK(broker_socket_find(NULL, "me", found, &why), why);
    CHECK_STR(found, "/run/credential-broker/me/broker.sock");
    snprintf(dir, sizeof(dir), "%s/credential-broker", f.dir);
    CHECK(mkdir(dir, 0700) == 0);
    snprintf(want, sizeof(want), "%s/me/broker.sock", dir);
    CHECK_OK(broker_socket_find(NULL, "me", found, &why), why);
    CHECK_STR(found, want);
    clear_env();
    fake_stop(&f);
}

TEST(a_path_over_the_room_is_said_before_connecting)
{
    char path[BROKER_SOCKET_ROOM + 2];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[BROKER_SOCKET_ROOM] = '\0';
    CHECK_INT(broker_socket_find(path, NULL, found, &why), ERR_USAGE);
    path[BROKER_SOCKET_ROOM - 1] = '\0';
    CHECK_OK(broker_socket_find(path, NULL, found, &why), why);
    CHECK_STR(found, path);
}

TEST(failures_say_which_path_and_what_mends_it)
{
    struct fake f;
    int fd = -1;
    fake_dir(&f);
    CHECK_INT(socket_connect(f.path, socket_now_ms() + 500, &fd, &why), ERR_NO_BROKER);
    CHECK(strstr(why.text, f.path) && strstr(why.text, "start brokerd"));
    close(fake_listen(f.path)); /* a socket that nobody listens on */
    CHECK_INT(socket_connect(f.path, socket_now_ms() + 500, &fd, &why), ERR_NO_BROKER);
    CHECK(strstr(why.text, f.path) && strstr(why.text, "nobody listens"));
    CHECK_INT(fd, -1);
    fake_stop(&f);
}

TEST(a_socket_of_another_uid_is_told_apart)
{
    struct fake f;
    int fd = -1;
    if (geteuid() != 0)
        SKIP("needs root to become another user");
    fake_dir(&f);
    close(fake_listen(f.path));
    CHECK(chmod(f.dir, 0700) == 0);
    CHECK(seteuid(65534) == 0);
    err_t e = socket_connect(f.path, socket_now_ms() + 500, &fd, &why);
    CHECK(seteuid(0) == 0);
    CHECK_INT(e, ERR_NO_BROKER);
    CHECK(strstr(why.text, "uid 65534") != NULL);
    fake_stop(&f);
}

TEST(a_full_queue_does_not_block_for_ever)
{
    struct fake f;
    int l, fd = -1, n = 0, held[64];
    int64_t before = socket_now_ms();
    fake_dir(&f);
    l = fake_listen(f.path);
    CHECK(listen(l, 0) == 0);
    err_t e = ERR_OK;
    while (e == ERR_OK && n < 64)
        if ((e = socket_connect(f.path, socket_now_ms() + 200, &fd, &why)) == ERR_OK)
            held[n++] = fd;
    CHECK_INT(e, ERR_NO_BROKER);
    CHECK(socket_now_ms() - before < 5000);
    while (n > 0)
        close(held[--n]);
    close(l);
    fake_stop(&f);
}

TEST(the_descriptor_is_never_a_standard_one)
{
    struct fake f;
    int fd = -1, l;
    fake_dir(&f);
    l = fake_listen(f.path);
    pid_t pid = fork();
    if (pid == 0) {
        close(0);
        close(2);
        err_t e = socket_connect(f.path, socket_now_ms() + 1000, &fd, &why);
        _exit(e == ERR_OK && fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    close(l);
    fake_stop(&f);
}

TEST(waiting_ends)
{
    int p[2];
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    CHECK_INT(socket_wait(p[0], POLLIN, socket_now_ms() + 30, &why), ERR_TIMEOUT);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK_OK(socket_wait(p[0], POLLIN, socket_now_ms() + 1000, &why), why);
    close(p[0]);
    close(p[1]);
}
