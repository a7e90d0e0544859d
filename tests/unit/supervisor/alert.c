/* supervisor/alert.c: the operator's command gets names as arguments and nothing else; it cannot hang for ever or pile up. */
#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "supervisor/alert.h"

#include <signal.h>
#include <sys/wait.h>

static struct why why;
static struct buf packet;

static void message(struct msg *m, const char *path, const char *credential)
{
    buf_reset(&packet);
    msg_begin(&packet, MSG_ALERT, 0, 0);
    msg_put_str(&packet, F_CREDENTIAL, credential);
    msg_put_str(&packet, F_PROVIDER, "claude");
    msg_put_str(&packet, F_PATH, path);
    msg_put_str(&packet, F_OP, "needs_login");
    msg_put_str(&packet, F_CODE, "rotated");
    CHECK_OK(msg_parse(buf_view(&packet), FROM_VAULT, m, &why), why);
}

static pid_t reap(struct alerts *a)
{
    int status;
    pid_t pid = wait(&status);
    CHECK(pid > 0 && alert_reaped(a, pid, status) && !alert_reaped(a, pid, status));
    return status;
}

TEST(it_gets_names_and_no_more)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    AUTO(buf_free) struct buf out = {0};
    struct alerts a = {0};
    struct msg m;
    char script[512];
    int leak = dup(0); /* a descriptor without close-on-exec */
    (void)snprintf(script, sizeof(script), "#!/bin/sh\nexec >%s/out\necho \"$# $1 $2 $3 $4\"\nenv | sort\nls /proc/self/fd | tr '\\n' ' '\n", s.path);
    scratch_write(scratch_path(&s, "tell"), script, strlen(script), 0755);
    CHECK(setenv("ALERT_TEST_SECRET", "hidden", 1) == 0);
    message(&m, scratch_path(&s, "tell"), "claude");
    CHECK_OK(alert_run(&a, &m, &why), why);
    CHECK_INT(reap(&a), 0);
    CHECK_OK(file_read_at(AT_FDCWD, scratch_path(&s, "out"), 65536, &out, &why), why);
    const char *text = buf_text(&out);
    CHECK(strncmp(text, "4 needs_login claude claude rotated\n", 36) == 0);
    CHECK(!strstr(text, "hidden") && strstr(text, "PATH=/usr/local/bin:/usr/bin:/bin\n"));
    CHECK(strstr(text, "0 1 2 3 ") && !strstr(text, "4 5")); /* 3: what ls itself opened */
    close(leak);
}

TEST(what_cannot_be_run_is_said)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    struct alerts a = {0};
    struct msg m;
    scratch_write(scratch_path(&s, "text"), "x", 1, 0600);
    message(&m, "/nonexistent/tell", "claude");
    CHECK_INT(alert_run(&a, &m, &why), ERR_NOT_FOUND);
    message(&m, "tell", "claude");
    CHECK_INT(alert_run(&a, &m, &why), ERR_INVALID);
    message(&m, scratch_path(&s, "text"), "claude");
    CHECK(alert_run(&a, &m, &why) != ERR_OK);
    CHECK_INT(alert_expire(&a, clock_boot_ms()), 0);
}

TEST(they_do_not_pile_up_and_end)
{
    AUTO(scratch_free) struct scratch s = scratch_new();
    struct alerts a = {0};
    struct msg m;
    static const char script[] = "#!/bin/sh\nexec sleep 100\n";
    scratch_write(scratch_path(&s, "hang"), script, sizeof(script) - 1, 0755);
    message(&m, scratch_path(&s, "hang"), "claude");
    for (int i = 0; i < ALERTS_RUNNING; i++)
        CHECK_OK(alert_run(&a, &m, &why), why);
    CHECK_INT(alert_run(&a, &m, &why), ERR_LIMIT);
    int64_t next = alert_expire(&a, clock_boot_ms());
    CHECK(next > clock_boot_ms() + ALERT_MS - 5000);
    CHECK(!alert_reaped(&a, 1, 0));
    usleep(50000); /* until each has a session of its own */
    CHECK_INT(alert_expire(&a, INT64_MAX), 0);
    for (int i = 0; i < ALERTS_RUNNING; i++)
        CHECK(WIFSIGNALED(reap(&a)));
    buf_free(&packet);
}
