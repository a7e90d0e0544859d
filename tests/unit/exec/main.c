/* The whole of broker-exec against a fake broker: the program's environment, its exit status, and
 * the silence on standard output. */
#include "check.h"

#include <signal.h>
#include "unit/client/fake.h"

#define main broker_exec_main
#include "exec/main.c"
#undef main

#define ID_A   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CANARY "sk-ant-oat01-CANARY-of-a-test"
#define CLAUDE_GRANT(deliver)                                                                      \
    "{\"grants\":[{\"credential\":\"claude\",\"provider\":\"claude\",\"kind\":\"login\","          \
    "\"deliver\":[\"" deliver "\"],"                                                               \
    "\"available\":true}]}"
#define CLAUDE_LEASE(rest)                                                                         \
    "{\"id\":\"" ID_A "\",\"token\":\"t\",\"credential\":\"claude\",\"provider\":\"claude\","      \
    "\"kind\":\"login\"," rest ",\"expires_at_ms\":9}"

static struct fake fake;
static char out_text[200000], err_text_[20000];
static size_t out_len;

static struct fake_reply on(const char *match, int status, const char *json)
{
    return (struct fake_reply){.match = match, .bytes = fake_ok(status, json), .often = true};
}

static void begin_token(void)
{
    static struct fake_reply r[3];
    r[0] = on("GET", 200, CLAUDE_GRANT("access_token"));
    r[1] = on("POST", 201,
              CLAUDE_LEASE("\"deliver\":\"access_token\",\"secret\":\"" CANARY
                           "\",\"env\":\"CLAUDE_CODE_OAUTH_TOKEN\""));
    r[2] = on("DELETE", 200, "{\"ended\":1}");
    fake_start(&fake, r, 3);
}

static void begin_file(void)
{
    static struct fake_reply r[3];
    char path[200];
    fake_dir(&fake);
    r[0] = on("GET", 200, CLAUDE_GRANT("file"));
    r[1] =
        on("POST", 201,
           CLAUDE_LEASE(
               "\"deliver\":\"file\",\"secret\":null,\"file\":\"files/claude/.credentials.json\","
               "\"file_name\":\".credentials.json\""));
    r[2] = on("DELETE", 200, "{\"ended\":1}");
    snprintf(path, sizeof(path), "%s/files", fake.dir);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/files/claude", fake.dir);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/files/claude/.credentials.json", fake.dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "{}", 2) == 2);
    close(fd);
    fake_run(&fake, r, 3, 0);
}

static size_t read_back(int fd, char *text, size_t room)
{
    size_t n = 0;
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    for (ssize_t r; n < room - 1 && (r = read(fd, text + n, room - 1 - n)) > 0;)
        n += (size_t)r;
    text[n] = '\0';
    close(fd);
    return n;
}

static int scratch(void)
{
    char name[] = "/tmp/exec-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    CHECK(fd >= 0 && unlink(name) == 0);
    return fd;
}

/* Runs broker-exec with these words and this environment; the wait status. */
static int run(const char *const *words, const char *const *env)
{
    static char *argv[40], *envp[40];
    size_t n = 0, m = 0;
    int out = scratch(), err = scratch(), status = -1;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    for (; env[m]; m++)
        envp[m] = (char *)(uintptr_t)env[m];
    argv[n] = NULL;
    envp[m] = NULL;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        environ = envp;
        if (dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
            close_range(3, ~0U, 0) < 0) /* what our own caller left open */
            _exit(99);
        _exit(broker_exec_main((int)n, argv));
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    out_len = read_back(out, out_text, sizeof(out_text));
    read_back(err, err_text_, sizeof(err_text_));
    return status;
}
#define RUN(env, ...)                                                                              \
    run((const char *const[]){"broker-exec", "--socket", fake.path, __VA_ARGS__, NULL}, env)
#define ENV(...) ((const char *const[]){"PATH=/usr/bin:/bin", __VA_ARGS__, NULL})

/* Of the output of `env -0`: how often a variable is set; *value of the last. */
static size_t variable(const char *name, const char **value)
{
    size_t n = strlen(name), found = 0;
    for (const char *p = out_text; p < out_text + out_len; p += strlen(p) + 1)
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            *value = p + n + 1;
            found++;
        }
    return found;
}

static const char *value_of(const char *name)
{
    const char *value = NULL;
    return variable(name, &value) == 1 ? value : NULL;
}

TEST(the_program_gets_its_token_and_nothing_that_conflicts)
{
    const char *value = NULL;
    static const char *const gone[] = {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN",
                                       "CLAUDE_CODE_CREDENTIALS_PATH", "ANTHROPIC_UNIX_SOCKET",
                                       "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"};
    begin_token();
    int status =
        RUN(ENV("ANTHROPIC_API_KEY=theirs", "ANTHROPIC_AUTH_TOKEN=", "CLAUDE_CODE_OAUTH_TOKEN=old",
                "CLAUDE_CODE_OAUTH_TOKEN=older", "CLAUDE_CODE_CREDENTIALS_PATH=/x",
                "ANTHROPIC_UNIX_SOCKET=/y", "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR=3",
                "OPENAI_API_KEY=kept", "DISABLE_TELEMETRY=0", "EMPTY="),
            "--profile", "claude-code", "--", "env", "-0");
    CHECK_INT(status, 0);
    CHECK_STR(err_text_, "");
    CHECK_STR(value_of("CLAUDE_CODE_OAUTH_TOKEN"), CANARY);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        CHECK_INT(variable(gone[i], &value), 0); /* unset, not blank */
    CHECK_STR(value_of("OPENAI_API_KEY"), "kept");
    CHECK_STR(value_of("EMPTY"), "");
    CHECK_STR(value_of("DISABLE_TELEMETRY"), "0"); /* what the user set stays */
    CHECK_STR(value_of("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1");
    fake_stop(&fake);
}

TEST(the_secret_is_in_no_command_line_and_on_no_output)
{
    begin_token();
    CHECK_INT(RUN(ENV("A=1"), "--profile", "claude-code", "--", "cat", "/proc/self/cmdline"), 0);
    CHECK_INT(out_len, strlen("cat") + 1 + strlen("/proc/self/cmdline") + 1);
    CHECK_STR(out_text, "cat");
    CHECK_STR(err_text_, "");
    fake_stop(&fake);
}

TEST(it_is_the_same_process)
{
    begin_token();
    int status =
        RUN(ENV("A=1"), "--profile", "claude-code", "--", "sh", "-c", "echo $$; kill -TERM $$");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(atol(out_text) > 0);
    CHECK(strstr(fake_seen(&fake), "\"owner\":\"process\"") != NULL);
    CHECK_INT(
        RUN(ENV("A=1"), "--profile", "claude-code", "--owner", "none", "--", "sh", "-c", "exit 42"),
        42 << 8);
    fake_stop(&fake);
}

TEST(the_program_inherits_no_descriptor_and_no_signal_setting)
{
    begin_token();
    for (int s = 1; s < 32; s++)
        (void)signal(s, SIG_DFL); /* a shell's background job begins with some ignored, and they would be passed on */
    CHECK_INT(RUN(ENV("A=1"), "--profile", "claude-code", "--", "sh", "-c",
                  "ls /proc/self/fd | wc -l; grep -E 'Sig(Ign|Blk)' /proc/self/status"),
              0);
    CHECK_INT(atol(out_text), 4); /* 0, 1, 2 and that of ls itself */
    const char *ignored = strstr(out_text, "SigIgn:\t");
    CHECK(strstr(out_text, "SigBlk:\t0000000000000000") && ignored);
    /* 32 and 33 are the C library's own: no program can set them, and some parents leave them ignored */
    CHECK_INT(strtoull(ignored + 8, NULL, 16) & 0x7fffffff, 0);
    fake_stop(&fake);
}

TEST(a_file_is_linked_where_the_program_looks)
{
    char home[200], link[300], target[300] = "", want[300];
    begin_file();
    snprintf(home, sizeof(home), "HOME=%s", fake.dir);
    snprintf(link, sizeof(link), "%s/.claude/.credentials.json", fake.dir);
    snprintf(want, sizeof(want), "%s/files/claude/.credentials.json", fake.dir);
    CHECK_INT(RUN(ENV(home, "CLAUDE_CODE_OAUTH_TOKEN=old"), "--profile", "claude-code", "--", "env",
                  "-0"),
              0);
    CHECK(readlink(link, target, sizeof(target) - 1) > 0);
    CHECK_STR(target, want);
    CHECK(!value_of("CLAUDE_CODE_OAUTH_TOKEN"));
    CHECK_INT(RUN(ENV(home), "--profile", "codehornets", "--", "true"), 0); /* once more is well */
    CHECK(unlink(link) == 0);
    int fd = open(link, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    CHECK_INT(RUN(ENV(home), "--profile", "claude-code", "--", "env", "-0"), 125 << 8);
    CHECK_INT(out_len, 0);
    CHECK(strstr(err_text_, ".credentials.json is a login of its own") &&
          strstr(err_text_, "[exists]"));
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL); /* given back */
    fake_stop(&fake);
}

TEST(the_programs_own_directory_variable_counts)
{
    char dir[200], link[300];
    struct stat st;
    begin_file();
    snprintf(dir, sizeof(dir), "CLAUDE_CONFIG_DIR=%s/config", fake.dir);
    snprintf(link, sizeof(link), "%s/config/.credentials.json", fake.dir);
    CHECK_INT(RUN(ENV("HOME=/nonexistent", dir), "--profile", "claude-acp", "--", "true"), 0);
    CHECK(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK_INT(RUN(ENV("A=1"), "--profile", "claude-code", "--", "true"), 125 << 8); /* neither */
    CHECK(strstr(err_text_, "neither CLAUDE_CONFIG_DIR nor HOME") != NULL);
    fake_stop(&fake);
}

TEST(a_gateway_gets_the_path_itself)
{
    char want[300];
    begin_file();
    snprintf(want, sizeof(want), "%s/files/claude/.credentials.json", fake.dir);
    CHECK_INT(RUN(ENV("HOME=/nonexistent", "ANTHROPIC_API_KEY=x", "OPENAI_API_KEY=kept",
                      "ANTHROPIC_BASE_URL=kept"),
                  "--profile", "deerflow-gateway", "--", "env", "-0"),
              0);
    CHECK_STR(value_of("CLAUDE_CODE_CREDENTIALS_PATH"), want);
    CHECK(!value_of("ANTHROPIC_API_KEY"));
    CHECK_STR(value_of("OPENAI_API_KEY"), "kept");
    CHECK_STR(value_of("ANTHROPIC_BASE_URL"), "kept");
    fake_stop(&fake);
}

TEST(env_uses_the_credentials_own_name_and_clears_its_family)
{
    struct fake_reply r[] = {
        on("GET", 200,
           "{\"grants\":[{\"credential\":\"k\",\"provider\":\"anthropic\",\"kind\":\"api_key\","
           "\"deliver\":[\"secret\"],"
           "\"available\":true}]}"),
        on("POST", 201,
           "{\"id\":\"" ID_A "\",\"credential\":\"k\",\"deliver\":\"secret\",\"secret\":\"" CANARY
           "\","
           "\"env\":\"ANTHROPIC_API_KEY\",\"expires_at_ms\":1}"),
    };
    fake_start(&fake, r, 2);
    CHECK_INT(RUN(ENV("ANTHROPIC_AUTH_TOKEN=theirs", "GEMINI_API_KEY=kept"), "--credential",
                  "k=secret", "--", "env", "-0"),
              0);
    CHECK_STR(value_of("ANTHROPIC_API_KEY"), CANARY);
    CHECK(!value_of("ANTHROPIC_AUTH_TOKEN"));
    CHECK_STR(value_of("GEMINI_API_KEY"), "kept");
    fake_stop(&fake);
}

TEST(two_credentials_in_one_variable_start_nothing)
{
    struct fake_reply r[] = {
        on("GET", 200,
           "{\"grants\":[{\"credential\":\"a\",\"provider\":\"generic\",\"kind\":\"generic\","
           "\"deliver\":[\"secret\"]},"
           "{\"credential\":\"b\",\"provider\":\"generic\",\"kind\":\"generic\",\"deliver\":["
           "\"secret\"]}]}"),
        on("POST", 201,
           "{\"id\":\"" ID_A "\",\"credential\":\"a\",\"deliver\":\"secret\",\"secret\":\"" CANARY
           "\","
           "\"env\":\"SAME\",\"expires_at_ms\":1}"),
        on("DELETE", 200, "{\"ended\":1}"),
    };
    fake_start(&fake, r, 3);
    CHECK_INT(RUN(ENV("A=1"), "--profile", "env", "--", "env", "-0"), 125 << 8);
    CHECK(strstr(err_text_, "SAME") && !strstr(err_text_, CANARY));
    CHECK_INT(out_len, 0);
    fake_stop(&fake);
}

TEST(each_failure_has_its_status_and_one_line)
{
    struct fake_reply r[] = {
        on("GET", 503, "{\"error\":\"locked\",\"message\":\"the store is locked:\\nunlock it\"}")};
    fake_start(&fake, r, 1);
    const struct {
        const char *words[7];
        int status;
        const char *says;
    } rows[] = {
        {{"x", "--socket", fake.path, "--", "true"},
         125,
         "the store is locked:?unlock it [locked]"},
        {{"x", "--socket", "/nonexistent/broker.sock", "--", "true"}, 125, "[no_broker]"},
        {{"x", "--socket", fake.path, "--", "no-such-program"}, 127, "no such command [not_found]"},
        {{"x", "--socket", fake.path, "--", "/etc/passwd"}, 126, "cannot be run"},
        {{"x", "--socket", fake.path, "--", "/"}, 126, "cannot be run"},
        {{"x", "--sockt", fake.path, "--", "true"}, 124, "did you mean --socket? [usage]"},
        {{"x"}, 124, "which program"},
        {{"x", "--profile", "nobody", "--", "true"}, 124, "there is no profile nobody"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_INT(run(rows[i].words, ENV("A=1")), rows[i].status << 8);
        CHECK(strstr(err_text_, rows[i].says) || !printf("    %s\n", err_text_));
        CHECK(strncmp(err_text_, "broker-exec: ", 13) == 0);
        CHECK(strchr(err_text_, '\n') == err_text_ + strlen(err_text_) - 1);
        CHECK_INT(out_len, 0);
    }
    fake_stop(&fake);
}

TEST(a_script_without_its_first_line_is_said_and_the_lease_given_back)
{
    char script[200];
    begin_token();
    snprintf(script, sizeof(script), "%s/script", fake.dir);
    int fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    CHECK(fd >= 0 && write(fd, "no interpreter line\n", 20) == 20);
    close(fd);
    CHECK_INT(RUN(ENV("A=1"), "--profile", "claude-code", "--", script), 126 << 8);
    CHECK(strstr(err_text_, "#! line") && !strstr(err_text_, CANARY));
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
    fake_stop(&fake);
}

TEST(a_reader_of_errors_that_is_gone_does_not_change_the_status)
{
    int p[2], status = -1;
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    close(p[0]);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)"broker-exec", NULL};
        dup2(p[1], 2);
        _exit(broker_exec_main(1, argv));
    }
    close(p[1]);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 124 << 8);
}

TEST(closed_standard_descriptors_do_no_harm)
{
    int status = -1;
    begin_token();
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {
            (char *)"broker-exec", (char *)"--socket", fake.path,      (char *)"--profile",
            (char *)"claude-code", (char *)"--",       (char *)"true", NULL};
        close(0);
        close(1);
        close(2);
        _exit(broker_exec_main(7, argv));
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    fake_stop(&fake);
}

TEST(the_environments_names_of_the_socket_count)
{
    char socket[200];
    begin_token();
    snprintf(socket, sizeof(socket), "CREDENTIAL_BROKER_SOCKET=%s", fake.dir); /* the directory */
    CHECK_INT(run((const char *const[]){"broker-exec", "--profile", "claude-code", "--", "env",
                                        "-0", NULL},
                  ENV(socket)),
              0);
    CHECK_STR(value_of("CLAUDE_CODE_OAUTH_TOKEN"), CANARY);
    fake_stop(&fake);
}

/* ---- through the proxy */

#define PROXIED_GRANT(provider, kind)                                                              \
    "{\"grants\":[{\"credential\":\"c\",\"provider\":\"" provider "\",\"kind\":\"" kind             \
    "\",\"deliver\":[\"proxy\"],\"available\":true}]}"
#define TOKEN "CANARY-token-of-a-lease"

static int proxy = -1;

static void begin_proxied(const char *grant)
{
    static struct fake_reply r[3];
    char path[108];
    fake_dir(&fake);
    r[0] = on("GET", 200, grant);
    r[1] = on("POST", 201,
              "{\"id\":\"" ID_A "\",\"token\":\"" TOKEN "\",\"credential\":\"c\",\"deliver\":\"proxy\","
              "\"secret\":null,\"proxy_socket\":\"proxy.sock\",\"env\":\"C_KEY\",\"expires_at_ms\":9}");
    r[2] = on("DELETE", 200, "{\"ended\":1}");
    snprintf(path, sizeof(path), "%.90s/proxy.sock", fake.dir);
    proxy = fake_listen(path);
    fake_run(&fake, r, 3, 0);
}
static void end_proxied(void)
{
    close(proxy);
    fake_stop(&fake);
}
static const char *base_of(const char *value, const char *rest)
{
    static char base[64];
    size_t n = value ? strspn(value + strcspn(value, "1"), "0123456789.:") : 0;
    snprintf(base, sizeof(base), "%.*s", (int)(7 + n), value ? value : "");
    return value && strncmp(value, "http://127.0.0.1:", 17) == 0 && strcmp(value + strlen(base), rest) == 0
               ? base
               : NULL;
}

TEST(a_program_that_speaks_to_the_socket_gets_no_relay)
{
    char want[200];
    begin_proxied(PROXIED_GRANT("claude", "login"));
    snprintf(want, sizeof(want), "%s/proxy.sock", fake.dir);
    CHECK_INT(RUN(ENV("ANTHROPIC_BASE_URL=https://theirs.example", "ANTHROPIC_API_KEY=theirs"), "--profile",
                  "claude-code", "--", "env", "-0"),
              0);
    CHECK_STR(err_text_, "");
    CHECK_STR(value_of("CLAUDE_CODE_OAUTH_TOKEN"), TOKEN);
    CHECK_STR(value_of("ANTHROPIC_UNIX_SOCKET"), want);
    CHECK_STR(value_of("ANTHROPIC_BASE_URL"), "http://localhost");
    CHECK(!value_of("ANTHROPIC_API_KEY"));
    CHECK_INT(RUN(ENV("A=1"), "--profile", "claude-code", "--", "sh", "-c", "ls /proc/*/exe >/dev/null 2>&1; wait"), 0);
    end_proxied();
}

TEST(one_that_does_not_gets_one)
{
    begin_proxied(PROXIED_GRANT("openai", "api_key"));
    CHECK_INT(RUN(ENV("HTTP_PROXY=http://proxy.example", "OPENAI_BASE_URL=https://theirs.example"), "--profile",
                  "openai-sdk", "--", "env", "-0"),
              0);
    CHECK_STR(err_text_, "");
    CHECK_STR(value_of("OPENAI_API_KEY"), TOKEN);
    CHECK(base_of(value_of("OPENAI_BASE_URL"), "/v1") != NULL);
    CHECK_STR(value_of("OPENAI_API_BASE"), value_of("OPENAI_BASE_URL"));
    CHECK_STR(value_of("NO_PROXY"), "127.0.0.1,localhost");
    end_proxied();
}

TEST(a_program_that_renews_gets_a_login_file_without_a_login)
{
    char home[200], file[300], text[2048] = "";
    begin_proxied(PROXIED_GRANT("codex", "login"));
    snprintf(home, sizeof(home), "HOME=%s", fake.dir);
    snprintf(file, sizeof(file), "%s/.codex/auth.json", fake.dir);
    CHECK_INT(RUN(ENV(home, "CODEX_API_KEY=theirs"), "--profile", "codex-long", "--", "env", "-0"), 125 << 8); /* env takes no arguments of codex */
    CHECK(access(file, F_OK) < 0);
    char program[200];
    snprintf(program, sizeof(program), "%s/codex", fake.dir);
    CHECK(symlink("/usr/bin/printf", program) == 0);
    CHECK_INT(RUN(ENV(home), "--profile", "codex-long", "--", program), 0);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    CHECK(strstr(text, "\"refresh_token\":\"" TOKEN "\"") && strstr(text, "\"id_token\":\"eyJ"));
    end_proxied();
}

TEST(any_program_is_told_where)
{
    begin_proxied(PROXIED_GRANT("generic", "generic"));
    CHECK_INT(RUN(ENV("A=1"), "--", "env", "-0"), 0);
    CHECK_STR(value_of("C_KEY"), TOKEN);
    CHECK(base_of(value_of("CREDENTIAL_BROKER_BASE_URL"), "") != NULL);
    end_proxied();
}

/* A program of this name that shows its arguments. */
static void put_program(char path[200], const char *name)
{
    snprintf(path, 200, "%s/%s", fake.dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    static const char script[] = "#!/bin/sh\nfor a; do echo \"$a\"; done; echo \"T=$CREDENTIAL_BROKER_TOKEN\"\n";
    CHECK(fd >= 0 && write(fd, script, sizeof(script) - 1) == sizeof(script) - 1);
    close(fd);
}

TEST(arguments_stand_before_the_programs_own)
{
    char path[200];
    begin_proxied(PROXIED_GRANT("codex", "login"));
    put_program(path, "codex");
    CHECK_INT(RUN(ENV("A=1"), "--", path, "exec", "hello there"), 0);
    CHECK(strncmp(out_text, "-c\nmodel_provider=\"broker\"\n-c\n", 30) == 0);
    CHECK(strstr(out_text, "base_url=\"http://127.0.0.1:") && strstr(out_text, "/v1\"\n"));
    CHECK(strstr(out_text, "wire_api=\"responses\"\nexec\nhello there\nT=" TOKEN "\n") != NULL);
    end_proxied();
}

TEST(what_starts_the_program_does_not_take_them)
{
    char path[200];
    begin_proxied(PROXIED_GRANT("codex", "login"));
    put_program(path, "npx");
    CHECK_INT(RUN(ENV("A=1"), "--profile", "codex", "--", path, "codex"), 125 << 8);
    CHECK(strstr(err_text_, "name it as the command") && out_len == 0);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
    CHECK_INT(RUN(ENV("A=1"), "--profile", "codex-acp", "--", path, "codex-acp"), 0);
    CHECK_STR(out_text, "codex-acp\nT=" TOKEN "\n");
    CHECK_INT(RUN(ENV("A=1"), "--profile", "codex-acp", "--", "env", "-0"), 0);
    CHECK(value_of("CODEX_CONFIG") && strstr(value_of("CODEX_CONFIG"), "\"base_url\":\"http://127.0.0.1:"));
    end_proxied();
}

TEST(without_a_proxy_nothing_is_started)
{
    char path[200];
    begin_proxied(PROXIED_GRANT("openai", "api_key"));
    snprintf(path, sizeof(path), "%s/proxy.sock", fake.dir);
    CHECK(unlink(path) == 0);
    CHECK_INT(RUN(ENV("A=1"), "--profile", "openai-sdk", "--", "env", "-0"), 125 << 8);
    CHECK(strstr(err_text_, "cannot use the broker's proxy") && out_len == 0);
    CHECK(strstr(fake_seen(&fake), "DELETE /v1/leases/" ID_A) != NULL);
    end_proxied();
}

TEST(it_shows_what_it_is_asked_to_show)
{
    static const struct {
        const char *words[4];
        int status;
        const char *says;
    } rows[] = {
        {{"x", "--help"}, 0, "Usage: broker-exec"},
        {{"x", "--version"}, 0, "broker-exec " BROKER_VERSION},
        {{"x", "--list-profiles"}, 0, "deerflow-gateway"},
        {{"x", "--print-profile", "codex"}, 0, "auth.json"},
        {{"x", "--print-profile", "codx"}, 124, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_INT(run(rows[i].words, ENV("A=1")), rows[i].status << 8);
        CHECK(strstr(out_text, rows[i].says) != NULL);
    }
}
