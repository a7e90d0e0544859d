/* One direction of lines: they flow, are gathered, are kept; ours come between them. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/acp_stream.h"

static struct why why;
static struct loop *loop;
static struct acp_stream *stream;
static int in[2], out[2];
static char seen[8 << 20]; /* of the sink */
static size_t seen_n;
static char whole[4096]; /* what was seen whole, one behind the other */
static size_t whole_n;
static int overs;
static bool was_lost;

static enum acp_take judge(void *ctx, const struct acp_scan *scan)
{
    (void)ctx;
    if (scan->kind == ACP_CALL && strcmp(scan->method, "look") == 0)
        return ACP_WHOLE;
    return scan->kind == ACP_RESULT && strcmp(scan->id, "\"ours\"") == 0 ? ACP_KEEP : ACP_PASS;
}
static void on_whole(void *ctx, const struct acp_scan *scan, const char *line, size_t n)
{
    (void)ctx;
    if (n < sizeof(whole) - whole_n) {
        memcpy(whole + whole_n, line, n);
        whole_n += n;
    }
    if (scan->kind == ACP_CALL)
        acp_stream_put(stream, "<looked>\n", 9);
}
static void on_over(void *ctx, bool lost)
{
    (void)ctx;
    overs++;
    was_lost = lost;
}
static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}

static void begin(void)
{
    seen_n = whole_n = 0;
    overs = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(fcntl(out[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_OK(loop_new(&loop, &why), why);
    struct acp_stream_options o = {.from = in[0],
                                   .to = out[1],
                                   .to_closes = true,
                                   .judge = judge,
                                   .whole = on_whole,
                                   .over = on_over};
    CHECK_OK(acp_stream_new(loop, &o, &stream, &why), why);
}
static void end(void)
{
    acp_stream_free(stream);
    loop_free(loop);
    close(in[0]);
    if (in[1] >= 0)
        close(in[1]);
    if (out[0] >= 0)
        close(out[0]);
}
static void run(void) /* for a moment */
{
    struct loop_timer *t = NULL;
    CHECK(loop_timer_new(loop, on_stop, loop, &t) == ERR_OK);
    CHECK(loop_timer_set(t, clock_boot_ms() + 5) == ERR_OK);
    (void)loop_run(loop);
    loop_timer_free(t);
}
static void drain(void)
{
    ssize_t n;
    while ((n = read(out[0], seen + seen_n, sizeof(seen) - 1 - seen_n)) > 0)
        seen_n += (size_t)n;
    seen[seen_n] = '\0';
}
static void settle(void) /* until nothing more comes */
{
    size_t before;
    do {
        before = seen_n;
        run();
        drain();
    } while (seen_n > before);
}
static void say(const char *text)
{
    CHECK(write(in[1], text, strlen(text)) == (ssize_t)strlen(text));
    settle();
}
static void inject(const char *text)
{
    struct acp_text line = {0};
    acp_text_add(&line, text, strlen(text));
    acp_stream_inject(stream, &line);
    acp_text_free(&line);
    run();
    drain();
}

TEST(lines_pass_as_soon_as_they_tell)
{
    begin();
    say("{\"met");
    CHECK_STR(seen, ""); /* nobody knows yet */
    say("hod\":\"other\",\"par");
    CHECK_STR(seen, "{\"method\":\"other\",\"par");
    say("ams\":{}}\nno json\n\n{\"id\":1");
    CHECK_STR(seen, "{\"method\":\"other\",\"params\":{}}\nno json\n\n");
    close(in[1]);
    in[1] = -1;
    run();
    drain();
    CHECK_STR(seen, "{\"method\":\"other\",\"params\":{}}\nno json\n\n{\"id\":1");
    CHECK(overs == 1 && !was_lost);
    CHECK_INT(read(out[0], whole, 1), 0); /* closed */
    end();
}

TEST(some_are_gathered_and_replaced)
{
    begin();
    say("a\n{\"method\":\"look\",");
    CHECK_STR(seen, "a\n");
    say("\"x\":1}\nb\n");
    CHECK_STR(seen, "a\n<looked>\nb\n");
    CHECK(whole_n == 24 && memcmp(whole, "{\"method\":\"look\",\"x\":1}\n", 24) == 0);
    whole_n = 0;
    say("{\"id\":\"ours\",\"result\":{}}\nc\n");
    CHECK_STR(seen, "a\n<looked>\nb\nc\n");
    CHECK_INT(whole_n, 26);
    end();
}

TEST(ours_come_between_two_lines)
{
    begin();
    inject("<1>\n");
    CHECK_STR(seen, "<1>\n");
    say("{\"method\":\"long\",");
    inject("<2>\n");
    inject("<3>\n");
    CHECK_STR(seen, "<1>\n{\"method\":\"long\",");
    say("\"x\":1}\n");
    CHECK_STR(seen, "<1>\n{\"method\":\"long\",\"x\":1}\n<2>\n<3>\n");
    say("{\"id\":"); /* nothing of it has gone out yet */
    inject("<4>\n");
    say("7}\n");
    CHECK_STR(seen, "<1>\n{\"method\":\"long\",\"x\":1}\n<2>\n<3>\n<4>\n{\"id\":7}\n");
    end();
}

TEST(held_at_the_end_of_a_line)
{
    begin();
    say("{\"method\":\"a\",");
    acp_stream_hold(stream, true);
    say("\"x\":1}\nsecond\nthird\n");
    CHECK_STR(seen, "{\"method\":\"a\",\"x\":1}\n");
    inject("<ours>\n");
    CHECK_STR(seen, "{\"method\":\"a\",\"x\":1}\n<ours>\n");
    acp_stream_hold(stream, false);
    run();
    drain();
    CHECK_STR(seen, "{\"method\":\"a\",\"x\":1}\n<ours>\nsecond\nthird\n");
    end();
}

static void fill(size_t n) /* n bytes of a line, as the sink takes them */
{
    static char block[4096];
    memset(block, 'x', sizeof(block));
    for (size_t at = 0; at < n; at += sizeof(block)) {
        CHECK(write(in[1], block, sizeof(block)) == (ssize_t)sizeof(block));
        if (at % (8 * sizeof(block)) == 0) {
            run();
            drain();
        }
    }
    run();
    drain();
}

TEST(a_line_too_large_to_be_gathered_passes)
{
    begin();
    say("{\"method\":\"look\",\"x\":\"");
    CHECK_INT(seen_n, 0);
    fill(ACP_TEXT_MAX + 65536);
    say("\"}\nb\n");
    CHECK(seen_n > ACP_TEXT_MAX + 65536 && whole_n == 0);
    CHECK_STR(seen + seen_n - 6, "x\"}\nb\n");
    end();
}

TEST(one_that_is_kept_never_passes)
{
    begin();
    say("{\"id\":\"ours\",\"result\":\"");
    fill(ACP_TEXT_MAX + 65536);
    say("\"}\nb\n");
    CHECK_STR(seen, "b\n");
    end();
}

TEST(a_head_that_tells_nothing_passes)
{
    begin();
    say("{\"params\":\"");
    fill(ACP_HEAD_MAX + 65536);
    CHECK(seen_n >= ACP_HEAD_MAX);
    say("\",\"method\":\"look\"}\n");
    CHECK_INT(whole_n, 0);
    end();
}

TEST(a_sink_that_is_full_stops_the_source)
{
    static char block[65536];
    size_t n = 0;
    begin();
    memset(block, 'y', sizeof(block));
    CHECK(fcntl(in[1], F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < 40; i++) {
        ssize_t w = write(in[1], block, sizeof(block));
        n += w > 0 ? (size_t)w : 0;
        run();
    }
    CHECK(n < 8 * sizeof(block)); /* two pipes and two buffers */
    for (int i = 0; i < 40 && seen_n < n; i++) {
        drain();
        run();
    }
    CHECK_INT(seen_n, n);
    CHECK_INT(acp_stream_written(stream), n);
    end();
}

TEST(a_sink_that_is_gone_is_told_once)
{
    begin();
    close(out[0]);
    out[0] = -1;
    CHECK(write(in[1], "a\nb\n", 4) == 4);
    run();
    CHECK(overs == 1 && was_lost);
    inject("<ours>\n");
    CHECK_INT(overs, 1);
    end();
}

TEST(finished_with_what_is_there)
{
    begin();
    CHECK(write(in[1], "a\n{\"id\"", 7) == 7);
    acp_stream_finish(stream);
    run();
    drain();
    CHECK_STR(seen, "a\n{\"id\"");
    CHECK(overs == 1 && !was_lost);
    end();
}

TEST(nothing_of_ours_behind_a_line_that_was_cut_off)
{
    begin();
    say("a\n{\"method\":\"long\"");
    inject("<ours>\n");
    close(in[1]);
    in[1] = -1;
    settle();
    CHECK_STR(seen, "a\n{\"method\":\"long\"");
    CHECK_INT(overs, 1);
    end();
}

TEST(files_pass_too)
{
    char name[] = "/tmp/acp-stream-XXXXXX";
    int file = mkostemp(name, O_CLOEXEC);
    CHECK(file >= 0 && unlink(name) == 0);
    CHECK(write(file, "one\ntwo\n", 8) == 8 && lseek(file, 0, SEEK_SET) == 0);
    begin();
    acp_stream_free(stream);
    CHECK(pipe2(out, O_CLOEXEC) == 0 && fcntl(out[0], F_SETFL, O_NONBLOCK) == 0);
    struct acp_stream_options o = {.from = file,
                                   .to = out[1],
                                   .to_closes = true,
                                   .judge = judge,
                                   .whole = on_whole,
                                   .over = on_over};
    CHECK_OK(acp_stream_new(loop, &o, &stream, &why), why);
    run();
    drain();
    CHECK_STR(seen, "one\ntwo\n");
    CHECK_INT(overs, 1);
    end();
    close(file);
}
