/* vault/refresh_journal.c: what is durable before a refresh goes out and before its answer is read; every cut, flip and exchange. */
#include "check.h"
#include "scratch.h"

#include "base/auto.h"
#include "base/file.h"
#include "vault/refresh_journal.h"

#include <fcntl.h>
#include <sys/stat.h>

struct rig {
    struct scratch scratch;
    const char *dir;
    struct refresh_journal j;
    struct secret *key;
    uint8_t store[16];
    struct credential c;
    struct why why;
};

static void rig_begin(struct rig *r)
{
    *r = (struct rig){0};
    scratch_pool();
    r->scratch = scratch_new();
    r->dir = r->scratch.path;
    r->key = secret_from("0123456789abcdef0123456789abcdef", 32);
    memset(r->store, 7, 16);
    memset(r->c.id, 0xab, 16);
    (void)snprintf(r->c.name, sizeof(r->c.name), "claude");
    r->c.version = 5;
    r->j = (struct refresh_journal){.dirfd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .key = r->key, .store_id = r->store};
    CHECK(r->key && r->j.dirfd >= 0);
}

static void rig_end(struct rig *r)
{
    close(r->j.dirfd);
    secret_free(r->key);
    scratch_free(&r->scratch);
}

static void scratch_read(const char *path, struct buf *out)
{
    struct why why = {0};
    buf_reset(out);
    CHECK_OK(file_read_at(AT_FDCWD, path, 1 << 20, out, &why), why);
}

static void path_of(const struct rig *r, char out[160])
{
    char id[33];
    hex_encode(r->c.id, 16, id);
    (void)snprintf(out, 160, "%s/%s.refresh", r->dir, id);
}

static err_t keep(struct rig *r, unsigned status, const char *body)
{
    return refresh_journal_raw(&r->j, &r->c, &(struct refresh_raw){status, 1234, view_str(body)}, &r->why);
}

TEST(intent_then_raw_then_nothing)
{
    struct rig r;
    struct refresh_entry e = {0};
    struct stat before, after;
    char path[160];
    rig_begin(&r);
    path_of(&r, path);
    CHECK_INT(refresh_journal_read(&r.j, r.c.id, &e, &r.why), ERR_NOT_FOUND);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 999, &r.why), r.why);
    CHECK(stat(path, &before) == 0 && before.st_size > 65536 && before.st_blocks * 512 >= before.st_size && (before.st_mode & 0777) == 0600);
    CHECK_OK(refresh_journal_read(&r.j, r.c.id, &e, &r.why), r.why);
    CHECK(e.version == 5 && e.at_ms == 999 && !e.has_raw && !e.body);
    CHECK_STR(e.name, "claude");
    refresh_entry_clear(&e);
    CHECK_OK(keep(&r, 200, "{\"access_token\":\"planted\"}"), r.why);
    CHECK(stat(path, &after) == 0 && after.st_size == before.st_size && after.st_blocks == before.st_blocks); /* no room was asked for */
    CHECK_OK(refresh_journal_read(&r.j, r.c.id, &e, &r.why), r.why);
    CHECK(e.has_raw && e.status == 200 && e.raw_at_ms == 1234);
    CHECK(view_is(VIEW(secret_bytes(e.body), secret_len(e.body)), "{\"access_token\":\"planted\"}"));
    refresh_entry_clear(&e);
    AUTO(buf_free) struct buf bytes = {0};
    scratch_read(path, &bytes);
    CHECK(!memmem(bytes.p, bytes.len, "planted", 7)); /* sealed */
    refresh_journal_end(&r.j, r.c.id);
    CHECK_INT(refresh_journal_read(&r.j, r.c.id, &e, &r.why), ERR_NOT_FOUND);
    rig_end(&r);
}

TEST(an_empty_answer_and_the_largest)
{
    struct rig r;
    struct refresh_entry e = {0};
    AUTO(buf_free) struct buf big = {0};
    rig_begin(&r);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 1, &r.why), r.why);
    CHECK_OK(keep(&r, 503, ""), r.why);
    CHECK_OK(refresh_journal_read(&r.j, r.c.id, &e, &r.why), r.why);
    CHECK(e.has_raw && e.status == 503 && !e.body);
    refresh_entry_clear(&e);
    for (int i = 0; i < 61440; i++)
        buf_put_u8(&big, 'x');
    CHECK_OK(refresh_journal_raw(&r.j, &r.c, &(struct refresh_raw){200, 2, buf_view(&big)}, &r.why), r.why);
    CHECK_OK(refresh_journal_read(&r.j, r.c.id, &e, &r.why), r.why);
    CHECK(e.body && secret_len(e.body) == 61440);
    refresh_entry_clear(&e);
    rig_end(&r);
}

/* A new INTENT voids the answer of the one before. */
TEST(an_answer_belongs_to_its_intent)
{
    struct rig r;
    struct refresh_entry e = {0};
    char path[160];
    AUTO(buf_free) struct buf old = {0}, fresh = {0};
    rig_begin(&r);
    path_of(&r, path);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 1, &r.why), r.why);
    CHECK_OK(keep(&r, 200, "old"), r.why);
    scratch_read(path, &old);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 1, &r.why), r.why);
    scratch_read(path, &fresh);
    memcpy(fresh.p + 4096, old.p + 4096, fresh.len - 4096);
    scratch_write(path, (const char *)fresh.p, fresh.len, 0600);
    CHECK_OK(refresh_journal_read(&r.j, r.c.id, &e, &r.why), r.why);
    CHECK(!e.has_raw && !e.body);
    rig_end(&r);
}

TEST(another_key_store_credential_or_name_of_the_file_is_refused)
{
    struct rig r;
    struct refresh_entry e = {0};
    rig_begin(&r);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 1, &r.why), r.why);
    r.store[0] ^= 1;
    CHECK_INT(refresh_journal_read(&r.j, r.c.id, &e, &r.why), ERR_CORRUPT);
    r.store[0] ^= 1;
    char from[160], to[160];
    uint8_t other[16] = {1};
    path_of(&r, from);
    memcpy(r.c.id, other, 16);
    path_of(&r, to);
    CHECK_INT(rename(from, to), 0);
    CHECK_INT(refresh_journal_read(&r.j, other, &e, &r.why), ERR_CORRUPT);
    rig_end(&r);
}

/* Whatever a crash or a hand does to the bytes: what is read was written, or is refused, or (behind INTENT) counts as no answer. */
TEST(cuts_and_flips)
{
    struct rig r;
    char path[160];
    AUTO(buf_free) struct buf good = {0};
    rig_begin(&r);
    path_of(&r, path);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 42, &r.why), r.why);
    CHECK_OK(keep(&r, 200, "the answer"), r.why);
    scratch_read(path, &good);
    for (size_t at = 0; at < good.len; at += at < 400 || (at >= 4096 && at < 4500) ? 1 : 997) {
        struct refresh_entry e = {0};
        good.p[at] ^= 0x10;
        scratch_write(path, (const char *)good.p, good.len, 0600);
        err_t n = refresh_journal_read(&r.j, r.c.id, &e, &r.why);
        CHECK(n == ERR_OK || n == ERR_CORRUPT || n == ERR_VERSION);
        CHECK(n != ERR_OK || (e.version == 5 && e.at_ms == 42));
        CHECK(!e.has_raw || (e.status == 200 && view_is(VIEW(secret_bytes(e.body), secret_len(e.body)), "the answer")));
        refresh_entry_clear(&e);
        good.p[at] ^= 0x10;
    }
    for (size_t n = 0; n < 5000; n += n < 400 ? 1 : 53) {
        struct refresh_entry e = {0};
        scratch_write(path, (const char *)good.p, n, 0600);
        err_t got = refresh_journal_read(&r.j, r.c.id, &e, &r.why);
        CHECK(got == ERR_OK || got == ERR_CORRUPT || got == ERR_VERSION);
        CHECK(n > 64 || got != ERR_OK);
        refresh_entry_clear(&e);
    }
    rig_end(&r);
}

static void count(void *ctx, const uint8_t id[SEAL_ID])
{
    unsigned *n = ctx;
    CHECK_INT(id[0], 0xab);
    (*n)++;
}

TEST(only_journals_are_listed)
{
    struct rig r;
    unsigned n = 0;
    char other[160];
    rig_begin(&r);
    CHECK_OK(refresh_journal_intent(&r.j, &r.c, 1, &r.why), r.why);
    (void)snprintf(other, sizeof(other), "%s/readme.refresh", r.dir);
    scratch_write(other, "x", 1, 0600);
    CHECK_OK(refresh_journal_each(&r.j, count, &n, &r.why), r.why);
    CHECK_INT(n, 1);
    rig_end(&r);
}

TEST(without_room_nothing_is_begun)
{
    struct rig r;
    char path[160];
    rig_begin(&r);
    path_of(&r, path);
    close(r.j.dirfd);
    r.j.dirfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* where nothing can be made */
    CHECK(refresh_journal_intent(&r.j, &r.c, 1, &r.why) != ERR_OK);
    CHECK(keep(&r, 200, "x") != ERR_OK);
    rig_end(&r);
}
