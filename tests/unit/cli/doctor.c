/* doctor: each check, good and bad, as root and as an ordinary user. */
#include "unit/cli/operator.h"

#include <sys/resource.h>

static struct scratch home;

struct picture {
    const char *state, *reason, *version, *health, *memory, *keys, *consumers, *workers, *proxy, *logins;
    const char *dir; /* of state and run */
};
static const struct picture good = {.state = "ready",
                                    .reason = "null",
                                    .version = BROKER_VERSION,
                                    .health = "ok",
                                    .memory = "memfd_secret",
                                    .keys = "{\"slot\":0},{\"slot\":1}",
                                    .consumers = "",
                                    .workers = "{\"role\":\"api\",\"restarts\":0}",
                                    .proxy = "{\"workers\":0,\"ready\":0}",
                                    .logins = ""};

static void begin(struct picture p)
{
    static char text[4000];
    home = scratch_new();
    setenv("HOME", home.path, 1);
    static const char *const names[] = {
        "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY",
        "CODEX_API_KEY",     "GEMINI_API_KEY",       "GOOGLE_API_KEY"};
    for (size_t i = 0; i < COUNT(names); i++)
        unsetenv(names[i]);
    const char *dir = p.dir ? p.dir : home.path;
    snprintf(text, sizeof(text),
             "{\"state\":\"%s\",\"reason\":%s,\"version\":\"%s\",\"state_dir\":\"%s\",\"run_dir\":"
             "\"%s\",\"keys\":[%s],\"consumers\":[%s],"
             "\"audit\":{\"health\":\"%s\"},\"memory_lock\":\"%s\",\"sandbox\":\"seccomp\","
             "\"workers\":[%s],\"proxy\":%s,\"logins\":[%s]}",
             p.state, p.reason, p.version, dir, dir, p.keys, p.consumers, p.health, p.memory,
             p.workers, p.proxy, p.logins);
    BEGIN(call_on("GET /v1/status ", 200, text));
}
static void end(void)
{
    fake_stop(&fake);
    scratch_free(&home);
}

/* One picture; its finding and its remedy are told, and the exit status is right. */
static void finds(struct picture p, const char *line, const char *remedy, int status)
{
    begin(p);
    CHECK_INT(OP(verb_doctor, "doctor"), status);
    SAYS(line);
    SAYS(remedy);
    CHECK_STR(call_err, "");
    end();
}

TEST(a_healthy_broker)
{
    begin(good);
    CHECK_INT(OP(verb_doctor, "doctor"), 0);
    SAYS("ok     broker           it answers, and its store is open\n");
    SAYS("ok     audit log        it can be written\n");
    SAYS("ok     key slots        more than one key opens the store\n");
    SAYS("ok     state directory  /tmp/broker-test-");
    SAYS("ok     run directory    /tmp/broker-test-");
    SAYS("ok     memory locking   memfd_secret\n");
    SAYS("ok     sandbox          seccomp\n");
    SAYS("ok     clock            it is later than this program\n");
    SAYS("ok     environment      no conflicting variables\n");
    SAYS("ok     leftover logins  none in your home\n");
    SAYS(" 0 wrong\n");
    CHECK(!strstr(call_out, "wrong  ") && !strstr(call_out, "version"));
    end();
}

TEST(json_is_a_list_of_findings)
{
    struct picture p = good;
    p.keys = "{\"slot\":0}";
    begin(p);
    CHECK_INT(OP(verb_doctor, "doctor", "--json"), 0);
    CHECK(strncmp(call_out,
                  "[{\"check\":\"broker\",\"result\":\"ok\",\"detail\":\"it answers, and its store "
                  "is open\",\"remedy\":null},",
                  90) == 0);
    SAYS("{\"check\":\"key slots\",\"result\":\"note\",\"detail\":\"only one key opens the store: "
         "if it is lost, all is\","
         "\"remedy\":\"broker-cli key add passphrase\"}");
    CHECK_STR(call_out + strlen(call_out) - 3, "}]\n");
    end();
}

TEST(no_broker)
{
    begin(good);
    CHECK(kill(fake.pid, SIGKILL) == 0 && waitpid(fake.pid, NULL, 0) == fake.pid);
    fake.pid = 0;
    CHECK_INT(OP(verb_doctor, "doctor"), 1);
    CHECK(strncmp(call_out, "wrong  broker           ", 24) == 0);
    SAYS("mend it with: brokerd &   (or: systemctl start credential-broker)");
    CHECK(!strstr(call_out, "audit log") && !strstr(call_out, "sandbox") &&
          !strstr(call_out, "directory  "));
    SAYS("leftover logins"); /* what needs no broker is looked at all the same */
    CHECK_INT(OP(verb_doctor, "doctor", "--json"), 1);
    CHECK_STR(call_err, "");
    end();
}

TEST(a_broken_answer_is_a_finding)
{
    home = scratch_new();
    setenv("HOME", home.path, 1);
    BEGIN(call_on(NULL, 200, "[]"));
    CHECK_INT(OP(verb_doctor, "doctor"), 1);
    SAYS("wrong  broker           the broker's answer is a list, not an object");
    end();
}

TEST(states_of_the_store)
{
    static const struct {
        const char *state, *remedy;
    } rows[] = {{"uninitialised", "mend it with: broker-cli init\n"},
                {"locked", "mend it with: broker-cli unlock\n"},
                {"rollback", "mend it with: broker-cli store accept\n"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct picture p = good;
        p.state = rows[i].state;
        p.reason = "\"said so\"";
        finds(p, "wrong  store            said so\n", rows[i].remedy, 1);
    }
}

TEST(audit_that_cannot_be_written)
{
    struct picture p = good;
    p.health = "no space left on /var";
    finds(p, "wrong  audit log        no space left on /var\n",
          "mend it with: df -h /tmp/broker-test-", 1);
}

TEST(only_one_key)
{
    struct picture p = good;
    p.keys = "{\"slot\":4}";
    finds(p, "note   key slots        only one key",
          "mend it with: broker-cli key add passphrase\n", 0);
}

TEST(another_version)
{
    struct picture p = good;
    p.version = "9.9.9";
    finds(p, "note   version          the broker is 9.9.9, this program " BROKER_VERSION "\n",
          "mend it with: restart brokerd", 0);
}

TEST(workers_that_were_restarted)
{
    struct picture p = good;
    p.workers = "{\"role\":\"api\",\"restarts\":3},{\"role\":\"admin\",\"restarts\":0}";
    finds(p, "note   workers          the worker api was restarted 3 times\n",
          "mend it with: journalctl", 0);
}

TEST(logins_that_work_fail_or_are_dead)
{
    struct picture p = good;
    p.logins = "{\"name\":\"claude\",\"state\":\"ok\",\"refresh\":{\"error\":null},\"remedy\":null}";
    finds(p, "ok     logins           each works, as far as the broker knows\n", " 0 wrong\n", 0);
    p.logins = "{\"name\":\"claude\",\"state\":\"ok\",\"refresh\":{\"error\":\"it answered 503\"},\"remedy\":\"broker-cli refresh claude\"}";
    finds(p, "note   login            claude: it answered 503\n", "mend it with: broker-cli refresh claude\n", 0);
    p.logins = "{\"name\":\"claude\",\"state\":\"needs_login\",\"refresh\":{\"error\":null},\"remedy\":\"broker-cli replace claude\"}";
    finds(p, "wrong  login            claude: its provider ended it\n", "mend it with: broker-cli replace claude\n", 1);
}

TEST(proxy_workers_that_are_missing)
{
    struct picture p = good;
    p.proxy = "{\"workers\":2,\"ready\":1}";
    finds(p, "wrong  proxy            1 of 2 workers are up\n",
          "mend it with: install brokerd-proxy beside brokerd", 1);
    p.proxy = "{\"workers\":2,\"ready\":2}";
    finds(p, "ok     proxy            2 of 2 workers are up\n", "", 0);
}

TEST(memory_that_the_kernel_can_read)
{
    struct picture p = good;
    p.memory = "mlock";
    finds(p, "note   memory locking   mlock\n", "mend it with: boot with secretmem.enable=1", 0);
}

TEST(a_small_memlock_limit_matters_where_no_broker_runs_yet)
{
    struct rlimit was, small = {65536, 65536};
    CHECK(getrlimit(RLIMIT_MEMLOCK, &was) == 0);
    small.rlim_max = was.rlim_max;
    if (was.rlim_max != RLIM_INFINITY && was.rlim_max < 65536)
        SKIP("the limit is smaller still");
    begin(good);
    CHECK(kill(fake.pid, SIGKILL) == 0 && waitpid(fake.pid, NULL, 0) == fake.pid);
    fake.pid = 0;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &small) == 0);
    int code = OP(verb_doctor, "doctor");
    CHECK(setrlimit(RLIMIT_MEMLOCK, &was) == 0);
    CHECK_INT(code, 1);
    bool told = strstr(call_out, "wrong  memory locking   RLIMIT_MEMLOCK is 64 KiB here") &&
                strstr(call_out, "ulimit -l 8192");
    CHECK(told == (geteuid() != 0)); /* root may lock what it wants */
    end();
}

TEST(directories_that_others_get_into)
{
    struct scratch dir = scratch_new();
    struct picture p = good;
    p.dir = dir.path;
    CHECK(chmod(dir.path, 0755) == 0);
    finds(p, "wrong  state directory  /tmp/broker-test-",
          "has mode 0755: others than its owner get in\n", 1);
    SAYS("mend it with: chmod 0700 /tmp/broker-test-");
    SAYS("ok     run directory    "); /* everybody may look into that one */
    CHECK(chmod(dir.path, 0777) == 0);
    finds(p, "wrong  run directory    ", "mend it with: chmod 0755 /tmp/broker-test-", 1);
    p.dir = "/nowhere/at/all";
    finds(p, "wrong  state directory  /nowhere/at/all: No such file or directory\n",
          "mend it with: restart brokerd: it makes it", 1);
    scratch_free(&dir);
}

TEST(what_this_user_may_not_look_at_is_not_wrong)
{
    AUTO(scratch_free) struct scratch dir = scratch_new();
    if (geteuid() == 0)
        SKIP("root may look at everything");
    struct picture p = good;
    char inner[100], consumers[200];
    snprintf(inner, sizeof(inner), "%s/state", dir.path);
    snprintf(consumers, sizeof(consumers), "{\"name\":\"a\",\"socket\":\"%s/a/broker.sock\"}",
             inner);
    p.dir = inner;
    p.consumers = consumers;
    CHECK(mkdir(inner, 0700) == 0 && chmod(dir.path, 0) == 0);
    finds(p, "note   state directory  ", "mend it with: sudo broker-cli doctor", 0);
    CHECK(!strstr(call_out, "socket  "));
    CHECK(chmod(dir.path, 0700) == 0);
}

TEST(sockets_that_are_gone)
{
    struct picture p = good;
    p.consumers = "{\"name\":\"a\",\"socket\":\"/nowhere/a/"
                  "broker.sock\"},{\"name\":\"b\",\"socket\":\"/dev/null\"}";
    finds(p, "wrong  socket           /nowhere/a/broker.sock: No such file or directory\n",
          "mend it with: broker-cli reload\n", 1);
    CHECK(!strstr(call_out, "/dev/null"));
}

TEST(a_run_directory_on_a_disk)
{
    struct picture p = good;
    p.dir = "/proc/self"; /* no tmpfs, wherever the tests run */
    begin(p);
    (void)OP(verb_doctor, "doctor");
    SAYS("note   run directory    it is not on tmpfs: file delivery is refused there\n");
    SAYS("files_on_disk: true");
    end();
}

TEST(variables_that_beat_the_broker)
{
    begin(good);
    setenv("ANTHROPIC_API_KEY", "hunter2", 1);
    setenv("OPENAI_API_KEY", "", 1);
    CHECK_INT(OP(verb_doctor, "doctor"), 0);
    SAYS("note   environment      ANTHROPIC_API_KEY is set here");
    SAYS("mend it with: unset ANTHROPIC_API_KEY ");
    SAYS("OPENAI_API_KEY is set here"); /* empty is set: some clients break on it */
    CHECK(!strstr(call_out, "hunter2") && !strstr(call_out, "no conflicting"));
    unsetenv("ANTHROPIC_API_KEY");
    unsetenv("OPENAI_API_KEY");
    end();
}

TEST(logins_in_the_clear)
{
    begin(good);
    CHECK(mkdir(scratch_path(&home, ".claude"), 0700) == 0 &&
          mkdir(scratch_path(&home, ".codex"), 0700) == 0);
    scratch_write(scratch_path(&home, ".claude/.credentials.json"), "hunter2", 7, 0600);
    CHECK(symlink("/dev/null", scratch_path(&home, ".codex/auth.json")) ==
          0); /* no file of its own */
    CHECK_INT(OP(verb_doctor, "doctor"), 0);
    SAYS("note   leftover login   ");
    SAYS("/.claude/.credentials.json is a login in the clear\n");
    SAYS("mend it with: broker-cli enroll --from-home claude\n");
    CHECK(!strstr(call_out, "auth.json") && !strstr(call_out, "hunter2"));
    CHECK(chmod(scratch_path(&home, ".claude/.credentials.json"), 0644) == 0);
    CHECK_INT(OP(verb_doctor, "doctor"), 1);
    SAYS("wrong  leftover login   ");
    SAYS("is a login in the clear, and others can read it\n");
    /* what a transfer leaves there is none */
    static const char left[] = "{\"claudeAiOauth\":{\"accessToken\":\"sk-ant-oat01-x\",\"refreshToken\":\"\",\"expiresAt\":4070908800000,"
                               "\"scopes\":[\"user:inference\"]}}";
    CHECK(unlink(scratch_path(&home, ".claude/.credentials.json")) == 0);
    scratch_write(scratch_path(&home, ".claude/.credentials.json"), left, sizeof(left) - 1, 0600);
    CHECK_INT(OP(verb_doctor, "doctor"), 0);
    SAYS("ok     login file       ");
    SAYS("/.claude/.credentials.json holds a short-lived token alone\n");
    SAYS("ok     leftover logins  none in your home\n");
    end();
}

TEST(without_a_home)
{
    begin(good);
    unsetenv("HOME");
    CHECK_INT(OP(verb_doctor, "doctor"), 0);
    SAYS("none in your home");
    end();
}

TEST(slips)
{
    static const struct op_slip rows[] = {{verb_doctor, {"doctor", "x"}, "not expected"},
                                          {verb_doctor, {"doctor", "--fix"}, "no option --fix"}};
    SLIPS(rows);
}
