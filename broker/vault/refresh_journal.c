/*
 * Two sealed records in a file of fixed size: INTENT at its beginning, RAW at a block boundary behind it. RAW names the hash of its INTENT,
 * so an answer cannot be taken for that of another refresh. Invariant: when intent() has returned, the file's room, its INTENT and its name
 * are on the disk; what follows only writes over bytes that are there.
 */
#include "vault/refresh_journal.h"

#include "base/auto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    RAW_AT = 4096,
    PLAIN_VERSION = 1,
    FILE_BYTES = RAW_AT + 4 + SEAL_PLAIN_MAX + 4096,
    NAME_ROOM = 2 * SEAL_ID + 16
};
static const char kind_intent[] = "refresh-intent", kind_raw[] = "refresh-raw",
                  suffix[] = ".refresh";

void refresh_entry_clear(struct refresh_entry *e)
{
    secret_free(e->body);
    *e = (struct refresh_entry){0};
}

static void file_name(const uint8_t id[SEAL_ID], char out[NAME_ROOM])
{
    hex_encode(id, SEAL_ID, out);
    memcpy(out + 2 * SEAL_ID, suffix, sizeof(suffix));
}

/* ---- writing */

static void meta_of(const struct refresh_journal *j, const struct credential *c, const char *kind,
                    struct seal_meta *out)
{
    *out = (struct seal_meta){.version = c->version, .epoch = 1};
    memcpy(out->store_id, j->store_id, SEAL_ID);
    memcpy(out->cred_id, c->id, SEAL_ID);
    (void)view_copy(view_str(c->name), out->name, sizeof(out->name));
    (void)view_copy(view_str(kind), out->kind, sizeof(out->kind));
}

/* u32 length, the record */
static err_t seal_block(const struct refresh_journal *j, const struct seal_meta *meta,
                        struct view plain, struct buf *out, struct why *why)
{
    AUTO(buf_free) struct buf record = {0};
    TRY(seal_record(j->key, meta, plain, &record, why));
    buf_put_str32(out, buf_view(&record));
    return buf_ok(out, why);
}

static err_t write_at(int fd, const struct buf *b, off_t at, struct why *why)
{
    ssize_t n = pwrite(fd, b->p, b->len, at);
    if (n < 0)
        return fail_errno(why, errno, "the refresh journal cannot be written");
    return (size_t)n == b->len ? ERR_OK
                               : fail(why, ERR_IO, "the refresh journal was written in part");
}

static err_t sync_fd(int fd, struct why *why)
{
    return fsync(fd) == 0 ? ERR_OK
                          : fail_errno(why, errno, "the refresh journal is not on the disk");
}

static err_t write_intent(const struct refresh_journal *j, int fd, const struct buf *block,
                          struct why *why)
{
    int no = posix_fallocate(fd, 0, FILE_BYTES);
    if (no != 0)
        return fail_errno(why, no, "no room for the answer to a refresh");
    TRY(write_at(fd, block, 0, why));
    TRY(sync_fd(fd, why));
    return sync_fd(j->dirfd, why);
}

err_t refresh_journal_intent(const struct refresh_journal *j, const struct credential *c,
                             int64_t at_ms, struct why *why)
{
    AUTO(buf_free) struct buf plain = {0}, block = {.max = RAW_AT};
    struct seal_meta meta;
    char name[NAME_ROOM];
    file_name(c->id, name);
    meta_of(j, c, kind_intent, &meta);
    meta.created_ms = at_ms;
    buf_put_u8(&plain, PLAIN_VERSION);
    TRY(seal_block(j, &meta, buf_view(&plain), &block, why));
    AUTO(auto_close)
    int fd = openat(j->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(why, errno, "the refresh journal cannot be made");
    err_t e = write_intent(j, fd, &block, why);
    if (e != ERR_OK)
        (void)unlinkat(j->dirfd, name, 0);
    return e;
}

static err_t intent_hash(int fd, uint8_t hash[SEAL_HASH], struct why *why)
{
    uint8_t bytes[RAW_AT];
    ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
    struct cursor c = cursor_of(VIEW(bytes, n > 0 ? (size_t)n : 0));
    struct view record = get_str32(&c);
    if (c.bad || record.n == 0)
        return fail(why, ERR_CORRUPT, "the refresh journal has no beginning");
    seal_hash(record, hash);
    return ERR_OK;
}

err_t refresh_journal_raw(const struct refresh_journal *j, const struct credential *c,
                          const struct refresh_raw *raw, struct why *why)
{
    AUTO(buf_free) struct buf plain = {0}, block = {0};
    struct seal_meta meta;
    char name[NAME_ROOM];
    file_name(c->id, name);
    AUTO(auto_close) int fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_errno(why, errno, "the refresh journal is gone");
    meta_of(j, c, kind_raw, &meta);
    meta.created_ms = raw->at_ms;
    TRY(intent_hash(fd, meta.prev_hash, why));
    buf_put_u8(&plain, PLAIN_VERSION);
    buf_put_u16(&plain, (uint16_t)raw->status);
    buf_add_view(&plain, raw->body);
    TRY(buf_ok(&plain, why));
    TRY(seal_block(j, &meta, buf_view(&plain), &block, why));
    TRY(write_at(fd, &block, RAW_AT, why));
    return sync_fd(fd, why);
}

void refresh_journal_end(const struct refresh_journal *j, const uint8_t id[SEAL_ID])
{
    char name[NAME_ROOM];
    file_name(id, name);
    (void)unlinkat(j->dirfd, name, 0);
}

/* ---- reading */

/* The record of a block, opened: `expect` says kind, credential and store; the rest is taken as the record has it, authenticated. */
static err_t open_block(const struct refresh_journal *j, struct view record,
                        const struct seal_meta *expect, struct secret **plain,
                        struct seal_meta *out, struct why *why)
{
    struct seal_meta own, want = *expect;
    TRY(seal_peek(record, &own, why));
    memcpy(want.name, own.name, sizeof(want.name));
    want.created_ms = own.created_ms;
    want.version = own.version;
    TRY(seal_open(j->key, record, &want, plain, why));
    *out = own;
    return ERR_OK;
}

static err_t read_intent(const struct refresh_journal *j, struct view record,
                         struct refresh_entry *e, struct why *why)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct seal_meta expect = {.epoch = 1}, own;
    memcpy(expect.store_id, j->store_id, SEAL_ID);
    memcpy(expect.cred_id, e->id, SEAL_ID);
    (void)view_copy(view_str(kind_intent), expect.kind, sizeof(expect.kind));
    TRY(open_block(j, record, &expect, &plain, &own, why));
    memcpy(e->name, own.name, sizeof(e->name));
    e->version = own.version;
    e->at_ms = own.created_ms;
    return ERR_OK;
}

static err_t take_raw(struct refresh_entry *e, const struct secret *plain, int64_t at_ms,
                      struct why *why)
{
    struct cursor c = cursor_of(VIEW(secret_bytes(plain), secret_len(plain)));
    uint8_t version = get_u8(&c);
    unsigned status = get_u16(&c);
    struct view body = get_bytes(&c, cursor_left(&c));
    if (c.bad || version != PLAIN_VERSION)
        return fail(why, ERR_VERSION, "the refresh journal is of another version");
    e->body = body.n ? secret_from(body.p, body.n) : NULL;
    if (body.n && !e->body)
        return fail(why, ERR_UNAVAILABLE, "no secret memory left");
    e->status = status;
    e->raw_at_ms = at_ms;
    e->has_raw = true;
    return ERR_OK;
}

static err_t read_raw(const struct refresh_journal *j, struct view record, struct view intent,
                      struct refresh_entry *e, struct why *why)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct seal_meta expect = {.epoch = 1}, own;
    memcpy(expect.store_id, j->store_id, SEAL_ID);
    memcpy(expect.cred_id, e->id, SEAL_ID);
    (void)view_copy(view_str(kind_raw), expect.kind, sizeof(expect.kind));
    seal_hash(intent, expect.prev_hash);
    TRY(open_block(j, record, &expect, &plain, &own, why));
    if (own.version != e->version)
        return fail(why, ERR_CORRUPT, "an answer to the refresh of another version");
    return take_raw(e, plain, own.created_ms, why);
}

static err_t read_file(const struct refresh_journal *j, const char *name, struct buf *out,
                       struct why *why)
{
    AUTO(auto_close) int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail_errno(why, errno, "%s", name);
    if (!buf_reserve(out, FILE_BYTES))
        return fail(why, ERR_INTERNAL, "out of memory");
    ssize_t n = pread(fd, out->p, FILE_BYTES, 0);
    if (n < 0)
        return fail_errno(why, errno, "%s", name);
    out->len = (size_t)n;
    return ERR_OK;
}

err_t refresh_journal_read(const struct refresh_journal *j, const uint8_t id[SEAL_ID],
                           struct refresh_entry *out, struct why *why)
{
    AUTO(buf_free) struct buf bytes = {0};
    struct refresh_entry e = {0};
    char name[NAME_ROOM];
    file_name(id, name);
    memcpy(e.id, id, SEAL_ID);
    TRY(read_file(j, name, &bytes, why));
    struct cursor c = cursor_of(VIEW(bytes.p, bytes.len < RAW_AT ? bytes.len : RAW_AT));
    struct view intent = get_str32(&c);
    if (c.bad || intent.n == 0)
        return fail(why, ERR_CORRUPT, "%s has no beginning", name);
    TRY(read_intent(j, intent, &e, why));
    if (bytes.len > RAW_AT) {
        struct cursor r = cursor_of(VIEW(bytes.p + RAW_AT, bytes.len - RAW_AT));
        struct view raw = get_str32(&r);
        if (!r.bad && raw.n > 0 && read_raw(j, raw, intent, &e, why) == ERR_UNAVAILABLE)
            return ERR_UNAVAILABLE;
    }
    *out = e;
    return ERR_OK;
}

err_t refresh_journal_each(const struct refresh_journal *j, refresh_journal_fn *fn, void *ctx,
                           struct why *why)
{
    AUTO(auto_close) int fd = openat(j->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return fail_errno(why, errno, "the refresh journal cannot be listed");
    (void)TAKE_FD(fd);
    for (const struct dirent *d; (d = readdir(dir));) {
        uint8_t id[SEAL_ID];
        size_t n = strlen(d->d_name);
        if (n == 2 * SEAL_ID + sizeof(suffix) - 1 && strcmp(d->d_name + 2 * SEAL_ID, suffix) == 0 &&
            hex_decode(VIEW(d->d_name, 2 * SEAL_ID), id, SEAL_ID))
            fn(ctx, id);
    }
    (void)closedir(dir);
    return ERR_OK;
}
