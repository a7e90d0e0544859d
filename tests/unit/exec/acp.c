/* Between a client and an adapter: what passes, what is given, how it ends. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include "unit/client/fake.h"

#include "base/clock.h"
#include "exec/acp.h"

extern char **environ;

static const struct profile_acp over_acp = {"anthropic", "/x", "x-api-key"};
static struct fake fake;
static int proxy = -1;
static pid_t pid;
static int to, from; /* the client's ends */
static char text[65536];

static struct profile_way way = {.delivery = "proxy"};

/* broker-exec, from where it has its leases. */
static _Noreturn void be_exec(const char *script, bool login)
{
    struct exec_leases leases = {.n = login};
    struct exec_lease *l = &leases.item[0];
    struct acp_ask ask = {.owner_process = false};
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL}, socket[108];
    struct acp_program program = {"/bin/sh", argv, environ};
    struct acp *a = NULL;
    struct why why = {0};
    way.acp = &over_acp;
    memset(l->lease.id, 'a', 32);
    l->lease.token = strdup("the-token");
    l->lease.credential = strdup("key");
    l->lease.expires_at_ms = clock_wall_ms() + 60000;
    snprintf(socket, sizeof(socket), "%s/proxy.sock", fake.dir);
    l->proxy_socket = strdup(socket);
    l->way = &way;
    if (broker_connect(fake.path, 1000, &leases.client, &why) != ERR_OK || acp_new(&ask, &leases, &a, &why) != ERR_OK ||
        (acp_port(a) != 0) != login || acp_start(a, &program, &leases, &why) != ERR_OK) {
        (void)dprintf(2, "    %s\n", why.text);
        _exit(99);
    }
    int status = acp_serve(a);
    acp_free(a);
    acp_child_mirror(status);
}

static void begin(const char *script, bool login)
{
    static struct fake_reply r[2];
    char path[108];
    int up[2], down[2];
    r[0] = (struct fake_reply){.match = "DELETE", .bytes = fake_ok(200, "{\"ended\":1}"), .often = true};
    fake_start(&fake, r, 1);
    snprintf(path, sizeof(path), "%s/proxy.sock", fake.dir);
    proxy = fake_listen(path);
    CHECK(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
    pid = fork();
    if (pid == 0) {
        if (dup2(up[0], 0) < 0 || dup2(down[1], 1) < 0)
            _exit(98);
        close(up[0]);
        close(up[1]);
        close(down[0]);
        close(down[1]);
        be_exec(script, login);
    }
    close(up[0]);
    close(down[1]);
    to = up[1];
    from = down[0];
}
static void say(const char *line)
{
    CHECK(write(to, line, strlen(line)) == (ssize_t)strlen(line));
}
/* Up to the end of a line, or of everything. */
static const char *hear(bool all)
{
    struct pollfd p = {.fd = from, .events = POLLIN};
    size_t n = 0;
    while (poll(&p, 1, 5000) > 0 && read(from, text + n, 1) == 1)
        if (text[n++] == '\n' && !all)
            break;
    text[n] = '\0';
    return text;
}
static int end(void)
{
    int status = -1;
    close(to);
    CHECK(waitpid(pid, &status, 0) == pid);
    close(from);
    close(proxy);
    fake_stop(&fake);
    return status;
}

TEST(without_a_login_everything_passes)
{
    begin("cat", false);
    say("{\"id\":1,\"method\":\"initialize\",\"params\":{}}\n");
    CHECK_STR(hear(false), "{\"id\":1,\"method\":\"initialize\",\"params\":{}}\n");
    CHECK_INT(end(), 0);
}

TEST(the_login_is_given_on_the_way)
{
    begin("read a; echo \"$a\"; echo '{\"id\":1,\"result\":{\"authMethods\":[{\"id\":\"g\",\"_meta\":{\"gateway\":{\"protocol\":\"anthropic\"}}}]}}'; "
          "read b; echo \"$b\"; echo \"$b\" | sed 's/.*\"id\":\\(\"[^\"]*\"\\).*/{\"id\":\\1,\"result\":{}}/'; cat; exit 12",
          true);
    say("{\"id\":1,\"method\":\"initialize\",\"params\":{}}\n{\"id\":2,\"method\":\"session/new\"}\n");
    CHECK_STR(hear(false), "{\"id\":1,\"method\":\"initialize\",\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}\n");
    CHECK_STR(hear(false), "{\"id\":1,\"result\":{\"authMethods\":[]}}\n");
    hear(false);
    CHECK(strstr(text, "\"methodId\":\"g\"") && strstr(text, "\"x-api-key\":\"the-token\"") && strstr(text, "/x\",\"headers\""));
    CHECK_STR(hear(false), "{\"id\":2,\"method\":\"session/new\"}\n");
    int status = end();
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 12);
}

TEST(its_lease_is_given_back)
{
    begin("exit 0", true);
    CHECK_STR(hear(true), "");
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") != NULL);
    close(to);
    close(from);
    close(proxy);
    fake_stop(&fake);
}

TEST(it_dies_as_the_adapter_does_and_says_all)
{
    begin("head -c 300000 /dev/zero | tr '\\0' y; kill -TERM $$", false);
    size_t n = 0;
    for (ssize_t r; (r = read(from, text, sizeof(text))) > 0;)
        n += (size_t)r;
    CHECK_INT(n, 300000);
    int status = end();
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
