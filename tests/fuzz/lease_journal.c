/*
 * The journal of leases from any bytes. First byte even: the rest is two segments, split at the length in the second byte (times 16).
 * First byte odd: the rest is bodies, u8 length each, which are framed and chained with the right key, so that what
 * lies behind the MAC is reached too. Whatever comes, the table must be usable, and empty after a refusal.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "vault/lease_journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No sink: nothing is appended here. */
err_t sink_append(struct sink *s, enum sink_stream stream, struct view bytes, uint64_t *pos, struct why *why)
{
    (void)s, (void)stream, (void)bytes, (void)pos;
    return fail(why, ERR_AUDIT, "no sink");
}
err_t sink_remove(struct sink *s, const char *name, struct why *why)
{
    (void)s;
    (void)name;
    (void)why;
    return ERR_OK;
}

err_t sink_roll(struct sink *s, enum sink_stream stream, const char *name, struct why *why)
{
    (void)s, (void)stream, (void)name;
    return fail(why, ERR_AUDIT, "no sink");
}
err_t sink_close(struct sink *s, enum sink_stream stream, struct why *why)
{
    (void)s, (void)stream;
    return fail(why, ERR_AUDIT, "no sink");
}
err_t sink_settle(struct sink *s, int ms, struct why *why)
{
    (void)s, (void)ms;
    return fail(why, ERR_AUDIT, "no sink");
}
uint64_t sink_head(const struct sink *s)
{
    (void)s;
    return 0;
}
uint64_t sink_durable(const struct sink *s)
{
    (void)s;
    return 0;
}

static char dir[64];

static void remove_dir(void)
{
    (void)rmdir(dir);
}

static int dirfd_once(void)
{
    static int fd = -1;
    if (fd >= 0)
        return fd;
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-XXXXXX" : "/tmp/fuzz-XXXXXX");
    if (!mkdtemp(dir) || atexit(remove_dir) != 0)
        abort();
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    return fd;
}

static void put(int to, const char *name, const uint8_t *p, size_t n)
{
    int fd = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    close(fd);
}

/* Bodies → frames with right lengths, numbers and MACs; type and payload are the input's. */
static void chain_bodies(const struct secret *key, struct view in, struct buf *out)
{
    struct cursor c = cursor_of(in);
    struct chain chain = {0};
    uint64_t generation = 1, seq = 0;
    for (bool first = true; cursor_left(&c) > 1; first = false) {
        uint8_t mac[CHAIN_MAC], n = get_u8(&c), type = get_u8(&c);
        struct view payload = get_bytes(&c, n < cursor_left(&c) ? n : cursor_left(&c));
        AUTO(buf_free) struct buf body = {0};
        if (first || type == JOURNAL_HEAD) {
            chain_clear(&chain);
            if (chain_start(key, &chain) != ERR_OK)
                abort();
            generation += !first;
            seq = JOURNAL_FIRST;
        }
        buf_put_u8(&body, type);
        buf_put_u64(&body, generation);
        buf_put_u64(&body, seq++);
        buf_put_u64(&body, 1000);
        buf_add_view(&body, payload);
        chain_follow(&chain, buf_view(&body), mac);
        buf_put_u16(out, (uint16_t)(body.len + CHAIN_MAC));
        buf_put_u16(out, (uint16_t)~(body.len + CHAIN_MAC));
        buf_add_view(out, buf_view(&body));
        buf_add(out, mac, CHAIN_MAC);
    }
    chain_clear(&chain);
}

static void lay_out(int to, const struct secret *key, const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf text = {0};
    size_t split = (size_t)data[1] * 16 < size - 2 ? (size_t)data[1] * 16 : size - 2;
    if (data[0] & 1)
        chain_bodies(key, VIEW(data + 2, size - 2), &text);
    else
        buf_add(&text, data + 2, size - 2);
    split = split < text.len ? split : text.len;
    if (text.len == 0)
        return;
    put(to, "leases-000001.journal", text.p, split);
    put(to, "leases-000002.journal", text.p + split, text.len - split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret *key;
    static const char *const names[] = {"leases-000001.journal", "leases-000002.journal", "leases-000001.corrupt",
                                        "leases-000002.corrupt"};
    struct why why = {0};
    struct lease_table t = {0};
    uint8_t k[32] = {7};
    int at = dirfd_once();
    if (size < 3)
        return 0;
    if (!key && (secret_pool_open(1 << 16, &why) != ERR_OK || !(key = secret_from(k, 32))))
        abort();
    lay_out(at, key, data, size);
    struct leases_env env = {.dirfd = at, .journal_key = key};
    struct journal j;
    journal_init(&j, &env);
    err_t e = journal_replay(&j, &t, &why);
    if ((e != ERR_OK && (t.live > 0 || why.text[0] == '\0')) || (e != ERR_OK && e != ERR_CORRUPT))
        abort();
    for (struct lease_node *n; (n = table_after(&t, 0));) {
        if (table_find(&t, n->lease.id) != n || n->lease.delivery >= DELIVER__COUNT)
            abort();
        table_remove(&t, n);
        free(n);
    }
    if (t.live != 0)
        abort();
    table_free(&t);
    journal_clear(&j);
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unlinkat(at, names[i], 0);
    return 0;
}
