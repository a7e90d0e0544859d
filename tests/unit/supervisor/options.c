/* The command line, the environment and the defaults, in this order; places that could not work are refused early. */
#include "supervisor/options.h"
#include "base/auto.h"
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static struct options o;
static struct why w;

static void clean_environment(void)
{
    static const char *const vars[] = {"CREDENTIAL_BROKER_STATE", "CREDENTIAL_BROKER_RUN", "CREDENTIAL_BROKER_CONFIG",
                                       "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < COUNT(vars); i++)
        CHECK_INT(unsetenv(vars[i]), 0);
    CHECK_INT(setenv("HOME", "/home/marie", 1), 0);
    memset(&o, 0, sizeof(o));
}

enum { ROOT = 0, MARIE = 12345 };
#define READ(uid, ...) options_read((int)COUNT(((char *[]){"brokerd", __VA_ARGS__})), (char *[]){"brokerd", __VA_ARGS__, NULL}, (uid), &o, &w)

TEST(root_gets_the_system_places)
{
    clean_environment();
    CHECK_OK(options_read(1, (char *[]){"brokerd", NULL}, ROOT, &o, &w), w);
    CHECK_STR(o.state, "/var/lib/credential-broker");
    CHECK_STR(o.run, "/run/credential-broker");
    CHECK_STR(o.config, "/etc/credential-broker/broker.yaml");
    CHECK_STR(o.user, "credential-broker");
    CHECK(o.system && o.fd == -1 && !*o.role && o.log_level == LOG_LVL_INFO);
}

TEST(user_gets_xdg_places)
{
    clean_environment();
    CHECK_OK(READ(MARIE, "--run", "/r"), w);
    CHECK_STR(o.state, "/home/marie/.local/state/credential-broker");
    CHECK_STR(o.config, "/home/marie/.config/credential-broker/broker.yaml");
    CHECK(!o.system);
    CHECK(setenv("XDG_STATE_HOME", "/s", 1) == 0 && setenv("XDG_CONFIG_HOME", "/c/", 1) == 0 &&
          setenv("XDG_RUNTIME_DIR", "/run/user/12345", 1) == 0);
    CHECK_OK(options_read(1, (char *[]){"brokerd", NULL}, MARIE, &o, &w), w);
    CHECK_STR(o.state, "/s/credential-broker");
    CHECK_STR(o.run, "/run/user/12345/credential-broker");
    CHECK(setenv("XDG_STATE_HOME", "relative", 1) == 0); /* must be ignored */
    CHECK_OK(options_read(1, (char *[]){"brokerd", NULL}, MARIE, &o, &w), w);
    CHECK_STR(o.state, "/home/marie/.local/state/credential-broker");
}

TEST(without_runtime_dir_or_home_the_option_is_named)
{
    clean_environment();
    CHECK_INT(options_read(1, (char *[]){"brokerd", NULL}, MARIE, &o, &w), ERR_NOT_FOUND);
    CHECK(strstr(w.text, "--run") && strstr(w.text, "/run/user/12345"));
    CHECK_INT(unsetenv("HOME"), 0);
    CHECK_INT(READ(MARIE, "--run", "/r"), ERR_NOT_FOUND);
    CHECK(strstr(w.text, "--state"));
    CHECK_INT(READ(MARIE, "--run", "/r", "--state", "/s"), ERR_NOT_FOUND);
    CHECK(strstr(w.text, "--config"));
    CHECK_OK(READ(MARIE, "--run", "/r", "--state", "/s", "--config", "/c/broker.yaml"), w);
}

TEST(option_beats_environment_beats_default)
{
    clean_environment();
    CHECK(setenv("CREDENTIAL_BROKER_STATE", "/env/state", 1) == 0 && setenv("CREDENTIAL_BROKER_RUN", "/env/run", 1) == 0 &&
          setenv("CREDENTIAL_BROKER_CONFIG", "", 1) == 0); /* empty is unset */
    CHECK_OK(READ(ROOT, "--run=/opt/run"), w);
    CHECK_STR(o.state, "/env/state");
    CHECK_STR(o.run, "/opt/run");
    CHECK_STR(o.config, "/etc/credential-broker/broker.yaml");
}

TEST(both_spellings_of_a_value_and_the_last_one_counts)
{
    clean_environment();
    CHECK_OK(READ(ROOT, "--state", "/a", "--state=/b", "--foreground", "--log-level", "debug", "--user=_x"), w);
    CHECK_STR(o.state, "/b");
    CHECK_STR(o.user, "_x");
    CHECK_INT(o.log_level, LOG_LVL_DEBUG);
}

TEST(paths_become_absolute_and_lose_trailing_slashes)
{
    char here[4096];
    clean_environment();
    CHECK_INT(chdir("/tmp"), 0);
    CHECK(getcwd(here, sizeof(here)) != NULL);
    CHECK_OK(READ(ROOT, "--state", "st//", "--run", "/", "--config", "b.yaml"), w);
    char expect[4200];
    (void)snprintf(expect, sizeof(expect), "%s/st", here);
    CHECK_STR(o.state, expect);
    CHECK_STR(o.run, "/");
    (void)snprintf(expect, sizeof(expect), "%s/b.yaml", here);
    CHECK_STR(o.config, expect);
}

TEST(what_is_not_usable_is_refused_and_changes_nothing)
{
    static char *const bad[][3] = {
        {"--stat", NULL}, {"--state", NULL}, {"--state", "", NULL}, {"state", NULL}, {"", NULL}, {"--", NULL},
        {"--version=1", NULL}, {"--foreground=yes", NULL}, {"--log-level", "loud", NULL}, {"--user", "", NULL},
        {"--user=123456789012345678901234567890123", NULL}, {"--fd", "2", NULL}, {"--fd", "x", NULL},
        {"--fd=3x", NULL}, {"--fd=", NULL}, {"--fd=99999", NULL}, {"--role=", NULL}, {"-h", NULL},
    };
    clean_environment();
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *argv[4] = {"brokerd", bad[i][0], bad[i][0] && bad[i][1] ? bad[i][1] : NULL, NULL};
        err_t e = options_read(argv[2] ? 3 : 2, argv, ROOT, &o, &w);
        CHECK(e == ERR_USAGE || e == ERR_INVALID);
        CHECK(w.text[0] && !*o.state && !*o.run);
    }
}

TEST(run_directory_without_room_for_a_socket_is_refused_early)
{
    char run[80];
    clean_environment();
    memset(run, 'r', sizeof(run));
    run[0] = '/';
    run[62] = '\0';
    CHECK_OK(READ(ROOT, "--run", run), w); /* + "/" + 32 bytes of name + "/broker.sock" + NUL is 108 */
    run[62] = 'r';
    run[63] = '\0';
    CHECK_INT(READ(ROOT, "--run", run), ERR_INVALID);
    CHECK(strstr(w.text, "at most 62"));
}

TEST(help_and_version_need_no_places)
{
    clean_environment();
    CHECK_INT(unsetenv("HOME"), 0);
    CHECK_OK(READ(MARIE, "--help"), w);
    CHECK(o.help && !o.version);
    CHECK_OK(READ(MARIE, "--version"), w);
    CHECK(o.version);
}

TEST(help_names_every_option_for_people_and_no_other)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    CHECK(out != NULL);
    options_help(out);
    CHECK_INT(fclose(out), 0);
    static const char *const shown[] = {"--state", "--run", "--config", "--user", "--log-level", "--foreground", "--version", "--help"};
    for (size_t i = 0; i < COUNT(shown); i++)
        CHECK(strstr(text, shown[i]));
    CHECK(!strstr(text, "--fd") && !strstr(text, "--role"));
}

TEST(roles_are_told_who_they_are)
{
    clean_environment();
    CHECK_OK(READ(MARIE, "--role=audit", "--fd=3", "--state=/s", "--run=/r", "--config=/c/b.yaml", "--system"), w);
    CHECK_STR(o.role, "audit");
    CHECK(o.fd == 3 && o.system);
    CHECK_INT(unsetenv("HOME"), 0); /* its environment is trimmed: no default is looked for */
    CHECK_OK(READ(MARIE, "--role=kdf", "--fd=3"), w);
    CHECK(!*o.state && !*o.run && !*o.config);
}
