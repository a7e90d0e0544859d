/* cli/browser.c: where a browser is, and that it gets the URL and nothing else. */
#include "check.h"
#include "scratch.h"

#include "cli/browser.h"

#include <stdlib.h>
#include <time.h>

static void set(const char *display, const char *ssh)
{
    (void)unsetenv("WAYLAND_DISPLAY");
    (void)unsetenv("SSH_TTY");
    (void)(display ? setenv("DISPLAY", display, 1) : unsetenv("DISPLAY"));
    (void)(ssh ? setenv("SSH_CONNECTION", ssh, 1) : unsetenv("SSH_CONNECTION"));
}

TEST(not_without_a_display_nor_over_ssh_nor_as_root)
{
    set(NULL, NULL);
    CHECK(!browser_is_here());
    set(":0", "10.0.0.1 1 10.0.0.2 22");
    CHECK(!browser_is_here());
    set(":0", NULL);
    CHECK_INT(browser_is_here(), geteuid() != 0);
}

TEST(it_gets_the_url)
{
    struct scratch s = scratch_new();
    char script[256], text[128] = "";
    int n = snprintf(script, sizeof(script), "#!/bin/sh\necho \"$#:$1\" >%s.new && mv %s.new %s\n", scratch_path(&s, "got"), scratch_path(&s, "got"), scratch_path(&s, "got"));
    scratch_write(scratch_path(&s, "browser"), script, (size_t)n, 0700);
    (void)setenv("BROWSER", scratch_path(&s, "browser"), 1);
    CHECK(browser_open("https://idp.example/?a=b&c=$(d)"));
    for (int i = 0; i < 500 && access(scratch_path(&s, "got"), R_OK) != 0; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    FILE *f = fopen(scratch_path(&s, "got"), "re");
    CHECK(f && fgets(text, sizeof(text), f));
    fclose(f);
    CHECK_STR(text, "1:https://idp.example/?a=b&c=$(d)\n");
    scratch_free(&s);
}
