/* Time and number: deadlines of each phase, two hundred clients at once, ten thousand one after
 * another. */
#include "rig.h"

#include <dirent.h>

static struct answer a;
static const struct conn_limits quick = {.ms = {300, 150, 200, 300}};

static int64_t since(int64_t start)
{
    return clock_boot_ms() - start;
}

TEST(idle_connections_are_closed)
{
    struct rig r;
    rig_open(&r, FROM_API, &quick, 0);
    int64_t start = clock_boot_ms();
    int fd = http_connect(&r);
    CHECK(http_closed(fd));
    CHECK(since(start) >= 290 && since(start) < 2000);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

/* A byte now and then does not help, before the request line, in the head or in the body. */
TEST(slow_clients_are_closed_however_they_drip)
{
    static const char *const start_with[] = {"GET /v1/who", "GET /v1/whoami HTTP/1.1\r\nX: ",
                                             "POST /v1/leases HTTP/1.1\r\nContent-Type: "
                                             "application/json\r\nContent-Length: 4000\r\n\r\n{"};
    struct rig r;
    rig_open(&r, FROM_API, &quick, 0);
    for (size_t i = 0; i < COUNT(start_with); i++) {
        int64_t start = clock_boot_ms();
        int fd = http_connect(&r);
        char c;
        http_send(fd, start_with[i]);
        while (http_some(fd, &c, 1, 40) < 0 && since(start) < 2000)
            (void)!send(fd, "a", 1, MSG_NOSIGNAL);
        CHECK(since(start) < 1000);
        close(fd);
    }
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_vault_that_does_not_answer_gives_504_and_its_late_answer_goes_nowhere)
{
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, &quick, 0);
    int fd = http_connect(&r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    rig_expect(&r, MSG_WHOAMI, &m);
    uint64_t late = m.id;
    http_read(fd, &a);
    CHECK_INT(a.status, 504);
    CHECK(strstr(a.body, "\"error\":\"timeout\""));
    http_request(fd, "GET", "/v1/grants", NULL, NULL);
    rig_expect(&r, MSG_GRANTS, &m);
    uint64_t id = m.id;
    rig_reply(&r, late, ERR_OK, "{\"wrong\":1}");
    rig_reply(&r, id, ERR_OK, "{\"right\":1}");
    http_read(fd, &a);
    CHECK_STR(a.body, "{\"right\":1}");
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(a_client_that_does_not_read_is_cut)
{
    static char big[MSG_MAX - 4096];
    struct rig r;
    struct msg m;
    int small = 4096;
    rig_open(&r, FROM_ADMIN, &quick, 0);
    memset(big, 'x', sizeof(big) - 1);
    int fd = http_connect(&r);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
    for (int i = 0; i < 16; i++) {
        (void)!send(fd, "GET /v1/status HTTP/1.1\r\n\r\n", 27, MSG_NOSIGNAL);
        if (!rig_poll(&r, &m, 300) || m.type != MSG_STATUS)
            break;
        rig_reply(&r, m.id, ERR_OK, big);
    }
    CHECK(m.type == MSG_CLOSED || (rig_poll(&r, &m, 2000) && m.type == MSG_CLOSED));
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}

TEST(two_hundred_clients_at_once)
{
    enum { N = 200, EACH = 5 };
    static int fd[N];
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_API, NULL, N);
    for (int i = 0; i < N; i++)
        fd[i] = http_connect(&r);
    for (int k = 0; k < EACH; k++) {
        for (int i = 0; i < N; i++)
            http_request(fd[i], "POST", "/v1/leases", NULL, "{\"credential\":\"claude\"}");
        for (int i = 0; i < N; i++) {
            rig_expect(&r, MSG_LEASE_ISSUE, &m);
            rig_reply(&r, m.id, ERR_OK, "{}");
        }
        for (int i = 0; i < N; i++) {
            http_read(fd[i], &a);
            CHECK_INT(a.status, 200);
        }
    }
    for (int i = 0; i < N; i++)
        close(fd[i]);
    for (int i = 0; i < N; i++)
        rig_expect(&r, MSG_CLOSED, &m);
    CHECK_INT(rig_close(&r), 0);
}

static int count_fds(pid_t pid)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    CHECK(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static long resident_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    CHECK(f);
    while (fgets(line, sizeof(line), f))
        (void)!sscanf(line, "VmRSS: %ld", &kb);
    fclose(f);
    return kb;
}

/* Connections of which the vault was not told the end: by CLOSED, or by the next in their slot. */
static uint64_t living[CONN_MAX];
static int n_living;

static void lives(uint64_t id)
{
    uint64_t *at = &living[(uint32_t)id % CONN_MAX];
    n_living += *at == 0;
    *at = id;
}

static void ended(uint64_t id)
{
    uint64_t *at = &living[(uint32_t)id % CONN_MAX];
    CHECK(*at == id); /* told once, and not of one that a later one has replaced */
    *at = 0;
    n_living--;
}

static void one_round(struct rig *r)
{
    struct msg m = {0};
    int fd = http_connect(r);
    http_request(fd, "GET", "/v1/whoami", NULL, NULL);
    CHECK(rig_poll(r, &m, 5000));
    while (m.type == MSG_CLOSED) {
        ended(m.conn);
        CHECK(rig_poll(r, &m, 5000));
    }
    CHECK_INT(m.type, MSG_WHOAMI);
    CHECK(r->fd >= 0);
    lives(m.conn);
    rig_reply(r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    close(fd);
}

/* Until the worker has told all ends: by then it has closed all descriptors. */
static void all_end(struct rig *r)
{
    for (struct msg m; n_living > 0; ended(m.conn))
        rig_expect(r, MSG_CLOSED, &m);
}

TEST(ten_thousand_clients_one_after_another_leave_nothing_behind)
{
    struct rig r;
    rig_open(&r, FROM_API, NULL, 0);
    for (int i = 0; i < 1000; i++)
        one_round(&r);
    all_end(&r);
    int fds = count_fds(r.pid);
    long kb = resident_kb(r.pid);
    for (int i = 0; i < 9000; i++)
        one_round(&r);
    all_end(&r);
    CHECK_INT(count_fds(r.pid), fds);
#ifndef __SANITIZE_ADDRESS__
    CHECK(resident_kb(r.pid) <= kb + 64);
#else
    (void)kb;
#endif
    CHECK_INT(rig_close(&r), 0);
}
