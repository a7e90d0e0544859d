/* One direction of bytes between two sockets. */
#include "check.h"

#include "exec/flow.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* in[0] → in[1] = from, to = out[0] → out[1] */
static int in[2], out[2];
static uint8_t scratch[FLOW_HELD], got[FLOW_HELD * 8];
static struct flow f;

static void begin(void)
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, in) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out) == 0);
    f = (struct flow){.n = 0};
}
static void end(void)
{
    flow_drop(&f);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
}
static enum flow_step run(void)
{
    return flow_run(&f, in[1], out[0], scratch);
}

TEST(bytes_and_the_end_pass)
{
    begin();
    CHECK_INT(run(), FLOW_DRY);
    CHECK(write(in[0], "hello", 5) == 5);
    CHECK_INT(run(), FLOW_DRY);
    CHECK(read(out[1], got, sizeof(got)) == 5 && memcmp(got, "hello", 5) == 0);
    CHECK(!f.held && !f.closed);
    CHECK(write(in[0], "end", 3) == 3 && shutdown(in[0], SHUT_WR) == 0);
    CHECK_INT(run(), FLOW_DRY);
    CHECK(flow_done(&f) && f.closed);
    CHECK(read(out[1], got, sizeof(got)) == 3 && read(out[1], got, 1) == 0);
    CHECK(write(out[1], "x", 1) == 1); /* the other direction is open */
    end();
}

TEST(what_the_sink_does_not_take_is_held_and_bounded)
{
    static uint8_t much[FLOW_HELD];
    size_t sent = 0, taken = 0, want;
    begin();
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (uint8_t)(i * 7 + i / 251);
    enum flow_step s = FLOW_DRY;
    for (int i = 0; i < 2000 && s != FLOW_BLOCKED; i++) {
        ssize_t n = write(in[0], much + sent % sizeof(much), sizeof(much) - sent % sizeof(much));
        sent += n > 0 ? (size_t)n : 0;
        s = run();
    }
    CHECK_INT(s, FLOW_BLOCKED);
    CHECK(f.held && f.n <= FLOW_HELD);
    CHECK_INT(run(), FLOW_BLOCKED); /* and nothing more is read */
    for (ssize_t n; (n = write(in[0], much + sent % sizeof(much), sizeof(much) - sent % sizeof(much))) > 0;)
        sent += (size_t)n;
    CHECK_INT(run(), FLOW_BLOCKED);
    shutdown(in[0], SHUT_WR);
    want = sent;
    for (int i = 0; i < 100000 && taken < want; i++) {
        ssize_t n = read(out[1], got, 50000);
        for (ssize_t k = 0; k < n; k++)
            CHECK(got[k] == much[(taken + (size_t)k) % sizeof(much)]);
        taken += n > 0 ? (size_t)n : 0;
        (void)run();
    }
    CHECK_INT(taken, want);
    CHECK(flow_done(&f) && read(out[1], got, 1) == 0);
    end();
}

TEST(a_run_has_an_end)
{
    begin();
    f.sunk = true;
    int big = 8 << 20;
    (void)setsockopt(in[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
    size_t sent = 0;
    for (ssize_t n; sent < sizeof(got) * 2 && (n = write(in[0], got, 4096)) > 0;)
        sent += (size_t)n;
    if (sent < sizeof(got) * 2) {
        end();
        SKIP("the socket's buffer cannot be made large");
    }
    int runs = 1;
    while (run() == FLOW_MORE)
        runs++;
    CHECK(runs > 1);
    end();
}

TEST(a_sink_that_is_gone)
{
    begin();
    close(out[1]);
    out[1] = dup(0);
    CHECK(write(in[0], "x", 1) == 1);
    CHECK_INT(run(), FLOW_SINK_LOST);
    f.sunk = true; /* from now on what comes is dropped */
    CHECK(write(in[0], "yz", 2) == 2 && shutdown(in[0], SHUT_WR) == 0);
    CHECK_INT(run(), FLOW_DRY);
    CHECK(flow_done(&f));
    end();
}

TEST(a_source_that_is_lost)
{
    begin();
    CHECK(write(in[1], "unread", 6) == 6);
    close(in[0]); /* with bytes unread: a reset */
    in[0] = dup(0);
    CHECK_INT(run(), FLOW_SOURCE_LOST);
    end();
}

TEST(words_of_ones_own_go_first)
{
    begin();
    CHECK(flow_hold(&f, "said", 4));
    f.ended = true;
    CHECK_INT(flow_run(&f, -1, out[0], scratch), FLOW_DRY);
    CHECK(read(out[1], got, sizeof(got)) == 4 && memcmp(got, "said", 4) == 0);
    CHECK(read(out[1], got, 1) == 0);
    end();
}
