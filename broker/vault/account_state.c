/*
 * Keeps accounts. Fail closed: where a file does not verify, whoever it may have been about is taken to have spent everything, until each
 * window renews by itself; that is recorded by the caller. What lies on the disk is authenticated and sealed; that a whole older file
 * was put back is not seen, as little as that the host's root changes the clock.
 */
#include "vault/account_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/name.h"
#include "crypto/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { FORMAT = 1, FILE_MAX = 8192 };
static const char context[] = "budget";
#define TIME_MAX ((uint64_t)1 << 61) /* sums of two fit */

/* ---- one part */

static void put_account(const struct account *a, struct buf *out)
{
    unsigned n = 0;
    for (unsigned k = 0; k < BUDGET_KINDS; k++)
        n += a->window[k].period_ms > 0;
    buf_put_str16(out, view_str(a->consumer));
    buf_put_str16(out, view_str(a->credential));
    buf_put_u8(out, (uint8_t)n);
    for (unsigned k = 0; k < BUDGET_KINDS; k++) {
        const struct account_window *w = &a->window[k];
        if (w->period_ms == 0)
            continue;
        buf_put_u8(out, (uint8_t)k);
        buf_put_u64(out, (uint64_t)w->start_ms);
        buf_put_u64(out, (uint64_t)w->period_ms);
        buf_put_u64(out, w->used);
    }
}

void account_part_encode(const struct accounts *as, unsigned part, struct buf *out)
{
    unsigned from = part * ACCOUNTS_PER_PART, n = 0;
    for (unsigned i = from; i < from + ACCOUNTS_PER_PART && i < as->n_slots; i++)
        n += as->slot[i] != NULL;
    buf_put_u8(out, FORMAT);
    buf_put_u8(out, (uint8_t)n);
    for (unsigned i = from; i < from + ACCOUNTS_PER_PART && i < as->n_slots; i++)
        if (as->slot[i])
            put_account(as->slot[i], out);
}

static bool get_window(struct cursor *c, struct account_window window[BUDGET_KINDS])
{
    unsigned kind = get_u8(c);
    uint64_t start = get_u64(c), period = get_u64(c), used = get_u64(c);
    if (c->bad || kind >= BUDGET_KINDS || window[kind].period_ms != 0 || start > TIME_MAX ||
        period == 0 || period > TIME_MAX || used > BUDGET_AMOUNT_MAX)
        return false;
    window[kind] = (struct account_window){(int64_t)start, (int64_t)period, used};
    return true;
}

static bool get_account(struct cursor *c, struct account *out)
{
    struct view consumer = get_str16(c), credential = get_str16(c);
    unsigned n = get_u8(c);
    if (c->bad || name_check(consumer, "consumer", NULL) != ERR_OK ||
        name_check(credential, "credential", NULL) != ERR_OK ||
        !view_copy(consumer, out->consumer, sizeof(out->consumer)) ||
        !view_copy(credential, out->credential, sizeof(out->credential)))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!get_window(c, out->window))
            return false;
    return true;
}

err_t account_part_decode(struct accounts *as, unsigned part, struct view plain, struct why *why)
{
    struct account got[ACCOUNTS_PER_PART] = {0};
    struct cursor c = cursor_of(plain);
    unsigned format = get_u8(&c), n = get_u8(&c);
    bool good = format == FORMAT && n <= ACCOUNTS_PER_PART;
    for (unsigned i = 0; good && i < n; i++)
        good = get_account(&c, &got[i]);
    if (!good || !cursor_done(&c))
        return fail(why, ERR_CORRUPT, "this is no file of budgets");
    for (unsigned i = 0; i < n; i++) {
        struct account *a =
            account_place(as, part * ACCOUNTS_PER_PART + i, got[i].consumer, got[i].credential);
        if (!a)
            return fail(why, ERR_CORRUPT, "two files have the budget of %s", got[i].consumer);
        memcpy(a->window, got[i].window, sizeof(a->window));
    }
    return ERR_OK;
}

/* ---- files */

/* "budget-000012.state" → 12; -1: another file */
static int part_of(const char *name)
{
    unsigned part = 0;
    if (strncmp(name, "budget-", 7) != 0 || strspn(name + 7, "0123456789") != 6 ||
        strcmp(name + 13, ".state") != 0)
        return -1;
    for (const char *d = name + 7; d < name + 13; d++)
        part = part * 10 + (unsigned)(*d - '0');
    return part < ACCOUNTS_MAX / ACCOUNTS_PER_PART ? (int)part : -1;
}

static err_t read_part(struct accounts *as, int dirfd, const struct secret *key, const char *name,
                       struct why *why)
{
    AUTO(buf_free) struct buf file = {.max = FILE_MAX}, plain = {.max = FILE_MAX};
    unsigned part = (unsigned)part_of(name);
    struct entry_chain chain = {.generation = part};
    struct why own = {0};
    err_t e = file_read_at(dirfd, name, FILE_MAX, &file, &own);
    if (e == ERR_OK)
        e = entry_open(key, context, &chain, buf_view(&file), &plain, &own);
    if (e == ERR_OK)
        e = account_part_decode(as, part, buf_view(&plain), &own);
    return e == ERR_OK ? e : fail(why, e, "%s: %s", name, own.text);
}

static void auto_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static DIR *open_list(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    return d;
}

err_t account_state_load(struct accounts *as, int dirfd, const struct secret *key, unsigned *bad,
                         struct why *why)
{
    AUTO(auto_dir) DIR *dir = open_list(dirfd);
    unsigned n = 0;
    as->suspect = !dir;
    *bad = !dir;
    if (!dir)
        return fail_errno(why, errno, "the directory of budgets");
    for (const struct dirent *e; (e = readdir(dir));)
        if (part_of(e->d_name) >= 0)
            n += read_part(as, dirfd, key, e->d_name, why) != ERR_OK;
    as->suspect = n > 0;
    *bad = n;
    return ERR_OK;
}

err_t account_state_remove(int dirfd, struct why *why)
{
    AUTO(auto_dir) DIR *dir = open_list(dirfd);
    if (!dir)
        return fail_errno(why, errno, "the directory of budgets");
    for (const struct dirent *e; (e = readdir(dir));)
        if (part_of(e->d_name) >= 0)
            TRY(file_remove_at(dirfd, e->d_name, why));
    return ERR_OK;
}

static err_t keep_part(struct accounts *as, struct sink *sink, const struct secret *key,
                       unsigned part)
{
    AUTO(buf_free) struct buf plain = {.max = ENTRY_PLAIN_MAX}, sealed = {.max = FILE_MAX};
    struct entry_chain chain = {.generation = part};
    char name[ACCOUNT_FILE_NAME];
    (void)snprintf(name, sizeof(name), "budget-%06u.state", part);
    account_part_encode(as, part, &plain);
    TRY(buf_ok(&plain, NULL));
    TRY(entry_seal(key, context, &chain, buf_view(&plain), &sealed, NULL));
    return sink_replace(sink, name, buf_view(&sealed), NULL);
}

void account_state_keep(struct accounts *as, struct sink *sink, const struct secret *key,
                        bool force)
{
    int64_t now = clock_boot_ms();
    if (as->n_dirty == 0 || (!force && now - as->kept_boot_ms < ACCOUNT_KEEP_MS))
        return;
    as->kept_boot_ms = now;
    for (unsigned part = 0; as->n_dirty > 0 && part <= as->n_slots / ACCOUNTS_PER_PART; part++) {
        if (!as->dirty[part])
            continue;
        if (keep_part(as, sink, key, part) != ERR_OK)
            return;
        as->dirty[part] = 0;
        as->n_dirty--;
    }
}
