/*
 * What the crash rigs kill: a fixed list of operations on a real store, each acknowledged on stdout
 * ("ack N") when it was done.
 * - store_ops init DIR: a store with keys, and a manifest about to be compacted
 * - store_ops run DIR: the operations; ends at the first that fails ("fail N")
 * - store_ops retry DIR: the same, but what failed is tried again, as an operator would
 * - store_ops check DIR ACKED: the state must be exactly that after ACKED operations or one more;
 *   then sweeps, changes and reopens
 * - store_ops forever DIR: replaces alpha by 1, 2, 3 … until it is killed
 * - store_ops least DIR ACKED: alpha holds ACKED or more; then sweeps, changes and reopens
 * Controls that the rigs must find out: -DCONTROL_IN_PLACE truncates files and writes them in
 * place, -DCONTROL_EARLY_REMOVE removes the old record before the new one is committed.
 */
#include "base/auto.h"
#include "base/file.h"
#include "crypto/keyslot.h"
#include "vault/credential.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { POOL = 1 << 20, NAMES = 4, REPLACED_BEFORE = 60, TRIES = 3 };
static const uint8_t slot_key[32] = "the crash rig's own slot secret";

/* ---- the operations, and what they leave */

enum kind { ENROLL, REPLACE, REMOVE, REKEY_BEGIN, REKEY_STEP, REKEY_END, SWEEP };
static const struct op {
    enum kind kind;
    const char *name, *secret;
} ops[] = {
    {ENROLL, "beta", "b1"},    {ENROLL, "gamma", "c1"},  {REPLACE, "alpha", "a2"},
    {REMOVE, "beta", NULL},    {REPLACE, "alpha", "a3"}, {REPLACE, "alpha", "a4"},
    {REPLACE, "alpha", "a5"},  {REPLACE, "gamma", "c2"}, {ENROLL, "beta", "b2"},
    {REKEY_BEGIN, NULL, NULL}, {REPLACE, "gamma", "c3"}, {REKEY_STEP, NULL, NULL},
    {REMOVE, "gamma", NULL},   {REKEY_STEP, NULL, NULL}, {REKEY_END, NULL, NULL},
    {SWEEP, NULL, NULL},       {ENROLL, "gamma", "c4"},  {REPLACE, "alpha", "a6"},
};

static const char *const names[NAMES] = {"alpha", "beta", "gamma", "after"};

/* The secret that `name` has after the first n operations; NULL: not there. */
static const char *expected(const char *name, unsigned n)
{
    const char *secret = strcmp(name, "alpha") == 0 ? "a1" : NULL;
    for (unsigned i = 0; i < n; i++)
        if (ops[i].name && strcmp(ops[i].name, name) == 0)
            secret = ops[i].secret;
    return secret;
}

/* ---- a store, opened as the vault does it */

struct rig {
    const struct store_ops *ops;
    struct store *store;
    struct keyheader header;
    struct secret *slot, *master, *previous;
    struct credentials *cs;
    struct why why;
};

static int die(const struct rig *r, const char *what)
{
    (void)fprintf(stderr, "store_ops: %s: %s\n", what, r->why.text);
    return 1;
}

#ifdef CONTROL_IN_PLACE
static char control_dir[256];

static err_t in_place(const char *name, struct view v, struct why *why)
{
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/%s", control_dir, name);
    AUTO(auto_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(why, ERR_IO, "control");
    TRY(file_write_all(fd, v.p, v.n / 2, why));
    TRY(file_write_all(fd, v.p + v.n / 2, v.n - v.n / 2, why));
    return fsync(fd) == 0 ? ERR_OK : fail(why, ERR_IO, "control");
}

static err_t control_header_write(struct store *s, struct view v, struct why *why)
{
    (void)s;
    return in_place("keys", v, why);
}

static err_t note_generation(void *ctx, struct view entry)
{
    (void)ctx, (void)entry;
    return ERR_OK;
}

/* Appends as it should, and then writes the whole manifest once more, in place. */
static err_t control_append(struct store *s, struct view entry, struct why *why)
{
    AUTO(buf_free) struct buf all = {0};
    const struct store_ops *real = store_by_name(view_str("file"));
    uint64_t generation = 0;
    bool torn = false;
    char name[64];
    TRY(real->manifest_append(s, entry, why));
    TRY(real->manifest_read(s, note_generation, NULL, &generation, &torn, why));
    (void)snprintf(name, sizeof(name), "manifest-%020llu", (unsigned long long)generation);
    AUTO(auto_close) int dir = open(control_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TRY(file_read_at(dir, name, 1 << 20, &all, why));
    return in_place(name, buf_view(&all), why);
}

static const struct store_ops *store_row(const char *dir)
{
    static struct store_ops control;
    control = *store_by_name(view_str("file"));
    control.header_write = control_header_write;
    control.manifest_append = control_append;
    (void)snprintf(control_dir, sizeof(control_dir), "%s", dir);
    return &control;
}
#elif defined(CONTROL_EARLY_REMOVE)
struct sibling {
    const char *of;
    char name[STORE_NAME_MAX + 1];
};

static void find_sibling(void *ctx, const char *name)
{
    struct sibling *s = ctx;
    if (strncmp(name, s->of, 2 * SEAL_ID) == 0 && strcmp(name, s->of) != 0)
        (void)view_copy(view_str(name), s->name, sizeof(s->name));
}

static err_t control_record_write(struct store *s, const char *name, struct view v, struct why *why)
{
    const struct store_ops *real = store_by_name(view_str("file"));
    struct sibling old = {.of = name};
    TRY(real->record_each(s, find_sibling, &old, why));
    TRY(real->record_write(s, name, v, why));
    return old.name[0] ? real->record_remove(s, old.name, why) : ERR_OK;
}

static const struct store_ops *store_row(const char *dir)
{
    static struct store_ops control;
    (void)dir;
    control = *store_by_name(view_str("file"));
    control.record_write = control_record_write;
    return &control;
}
#else
static const struct store_ops *store_row(const char *dir)
{
    (void)dir;
    return store_by_name(view_str("file"));
}
#endif

static err_t write_header(struct rig *r, const struct keyheader *h)
{
    AUTO(buf_free) struct buf b = {0};
    keyheader_encode(h, &b);
    TRY(buf_ok(&b, &r->why));
    return r->ops->header_write(r->store, buf_view(&b), &r->why);
}

static err_t read_header(struct rig *r)
{
    AUTO(buf_free) struct buf b = {0};
    TRY(r->ops->header_read(r->store, &b, &r->why));
    TRY(keyheader_decode(buf_view(&b), &r->header, &r->why));
    return keyheader_open(&r->header, 0, r->slot, &r->master, &r->previous, &r->why);
}

static err_t open_credentials(struct rig *r)
{
    const struct credentials_env env = {r->ops, r->store, &r->header, r->master, r->previous, NULL};
    return credentials_open(&env, &r->cs, &r->why);
}

static void rig_close(struct rig *r)
{
    credentials_close(r->cs);
    r->cs = NULL;
    if (r->store)
        r->ops->close(r->store);
    r->store = NULL;
    secret_free(r->master);
    secret_free(r->previous);
    r->master = r->previous = NULL;
}

static err_t rig_open(struct rig *r, const char *dir)
{
    TRY(r->ops->open(&r->store, dir, false, &r->why));
    TRY(read_header(r));
    return open_credentials(r);
}

/* ---- doing */

static err_t put(struct rig *r, const char *name, const char *secret, bool replace)
{
    AUTO(buf_free) struct buf b = {0};
    struct cred c = {0};
    const struct credential *out = NULL;
    c.f[CF_KIND] = view_str("api_key");
    c.f[CF_SECRET] = view_str(secret);
    TRY(cred_encode(&c, &b, &r->why));
    const struct credential_put p = {.name = view_str(name),
                                     .provider = view_str("anthropic"),
                                     .canonical = buf_view(&b),
                                     .replace = replace,
                                     .now_ms = 1};
    return credential_put(r->cs, &p, &out, &r->why);
}

/* The header is changed on a copy, so that a failed write leaves the old one in force. */
static err_t rekey_begin(struct rig *r)
{
    struct keyheader next = r->header;
    AUTO(auto_secret) struct secret *fresh = NULL;
    if (!r->header.rekeying) {
        TRY(keyheader_rekey_begin(&next, r->master, &fresh, &r->why));
        TRY(write_header(r, &next));
        r->header = next;
        r->previous = TAKE(r->master);
        r->master = TAKE(fresh);
    }
    return credentials_set_keys(r->cs, r->master, r->previous, &r->why);
}

static err_t rekey_end(struct rig *r)
{
    struct keyheader next = r->header;
    unsigned left = 1;
    while (left)
        TRY(credentials_rekey_step(r->cs, 8, &left, &r->why));
    if (!r->header.rekeying)
        return ERR_OK;
    TRY(credentials_set_keys(r->cs, r->master, r->previous, &r->why));
    TRY(keyheader_rekey_end(&next, r->master, &r->why));
    TRY(write_header(r, &next));
    r->header = next;
    secret_free(r->previous);
    r->previous = NULL;
    return credentials_set_keys(r->cs, r->master, NULL, &r->why);
}

static err_t perform(struct rig *r, const struct op *op)
{
    unsigned ignored = 0;
    switch (op->kind) {
    case ENROLL:
    case REPLACE:
        return put(r, op->name, op->secret, op->kind == REPLACE);
    case REMOVE:
        return credential_remove(r->cs, view_str(op->name), &r->why);
    case REKEY_BEGIN:
        return rekey_begin(r);
    case REKEY_STEP:
        return credentials_rekey_step(r->cs, 1, &ignored, &r->why);
    case REKEY_END:
        return rekey_end(r);
    case SWEEP:
        return credentials_sweep(r->cs, 8, &ignored, &r->why);
    }
    return ERR_INTERNAL;
}

static void say(const char *word, unsigned n)
{
    char line[32];
    int len = snprintf(line, sizeof(line), "%s %u\n", word, n);
    if (write(STDOUT_FILENO, line, (size_t)len) < 0)
        return; /* nobody hears the acknowledgement: then it was none */
}

/* The rig counts system calls from here on. */
static int run(struct rig *r, const char *dir, unsigned tries)
{
    say("open", 0);
    if (rig_open(r, dir) != ERR_OK && (tries == 1 || (rig_close(r), rig_open(r, dir)) != ERR_OK)) {
        say("fail", 0);
        return tries == 1 ? 0 : die(r, "open");
    }
    for (unsigned i = 0; i < COUNT(ops); i++) {
        err_t e = ERR_INTERNAL;
        for (unsigned t = 0; e != ERR_OK && t < tries; t++)
            e = perform(r, &ops[i]);
        if (e != ERR_OK) {
            say("fail", i + 1);
            return tries == 1 ? 0 : die(r, "retry");
        }
        say("ack", i + 1);
    }
    rig_close(r);
    return 0;
}

static int init(struct rig *r, const char *dir)
{
    unsigned slot = 0;
    if (r->ops->open(&r->store, dir, true, &r->why) != ERR_OK ||
        keyheader_create(&r->header, &r->master, &r->why) != ERR_OK ||
        keyslot_add(&r->header, r->master, &(struct keyslot_new){"keyfile", view_str("/rig"), r->slot, 1}, &slot, &r->why) != ERR_OK ||
        write_header(r, &r->header) != ERR_OK || open_credentials(r) != ERR_OK ||
        put(r, "alpha", "a1", false) != ERR_OK)
        return die(r, "init");
    for (unsigned i = 0; i < REPLACED_BEFORE; i++)
        if (put(r, "alpha", "a1", true) != ERR_OK)
            return die(r, "init");
    rig_close(r);
    return 0;
}

/* ---- checking */

static bool holds(struct rig *r, const char *name, const char *secret)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct cred c;
    const struct credential *row = credential_find(r->cs, view_str(name));
    if (!row || !secret)
        return !row && !secret;
    return credential_open(r->cs, row, &plain, &r->why) == ERR_OK &&
           cred_decode(VIEW(secret_bytes(plain), secret_len(plain)), &c, &r->why) == ERR_OK &&
           view_is(c.f[CF_SECRET], secret);
}

static bool state_is(struct rig *r, unsigned n)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (!holds(r, names[i], expected(names[i], n)))
            return false;
    return true;
}

static void count(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

/* Every record is one that a credential names. */
static bool swept(struct rig *r)
{
    unsigned removed = 0, records = 0;
    return credentials_sweep(r->cs, 64, &removed, &r->why) == ERR_OK &&
           r->ops->record_each(r->store, count, &records, &r->why) == ERR_OK &&
           records == credentials_count(r->cs);
}

/* Life goes on: an interrupted rekey is finished, and a change is made and read back. */
static bool goes_on(struct rig *r, const char *dir, unsigned n)
{
    if (r->header.rekeying && rekey_end(r) != ERR_OK)
        return false;
    if (!state_is(r, n) || put(r, "after", "z", false) != ERR_OK)
        return false;
    rig_close(r);
    return rig_open(r, dir) == ERR_OK && holds(r, "after", "z") &&
           credential_remove(r->cs, view_str("after"), &r->why) == ERR_OK && state_is(r, n) &&
           swept(r);
}

static int check(struct rig *r, const char *dir, unsigned acked)
{
    if (rig_open(r, dir) != ERR_OK)
        return die(r, "open after the kill");
    unsigned n = state_is(r, acked) ? acked : acked + 1;
    if (n > COUNT(ops) || !state_is(r, n))
        return die(r, "the state is neither the acknowledged one nor the next");
    if (!swept(r))
        return die(r, "orphans stay");
    if (!goes_on(r, dir, n))
        return die(r, "it does not go on");
    rig_close(r);
    return 0;
}

/* ---- power loss: a run without an end, and what must be left of it */

static int forever(struct rig *r, const char *dir)
{
    char number[16];
    if (rig_open(r, dir) != ERR_OK)
        return die(r, "open");
    for (unsigned i = 1;; i++) {
        (void)snprintf(number, sizeof(number), "%u", i);
        if (put(r, "alpha", number, true) != ERR_OK)
            return die(r, "replace");
        say("ack", i);
    }
}

static unsigned number_of(struct rig *r, const char *name)
{
    AUTO(auto_secret) struct secret *plain = NULL;
    struct cred c;
    char number[16];
    const struct credential *row = credential_find(r->cs, view_str(name));
    if (!row || credential_open(r->cs, row, &plain, &r->why) != ERR_OK ||
        cred_decode(VIEW(secret_bytes(plain), secret_len(plain)), &c, &r->why) != ERR_OK ||
        !view_copy(c.f[CF_SECRET], number, sizeof(number)))
        return 0;
    return (unsigned)strtoul(number, NULL, 10);
}

static int least(struct rig *r, const char *dir, unsigned acked)
{
    if (rig_open(r, dir) != ERR_OK)
        return die(r, "open after the cut");
    if (number_of(r, "alpha") < acked)
        return die(r, "an acknowledged write is lost");
    if (!swept(r) || put(r, "after", "1", false) != ERR_OK)
        return die(r, "it does not go on");
    rig_close(r);
    return rig_open(r, dir) == ERR_OK && number_of(r, "after") == 1 ? 0 : die(r, "it is not kept");
}

#ifdef CONTROL_NO_FSYNC
/* What fsync and fdatasync are called in this build. */
int control_no_sync(int fd);
int control_no_sync(int fd)
{
    return fd < 0;
}
#endif

int main(int argc, char **argv)
{
    struct rig r = {0};
    if (argc < 3)
        return 2;
    umask(077);
    if (secret_pool_open(POOL, &r.why) != ERR_OK ||
        !(r.slot = secret_from(slot_key, sizeof(slot_key))))
        return die(&r, "secrets");
    r.ops = store_row(argv[2]);
    if (strcmp(argv[1], "init") == 0)
        return init(&r, argv[2]);
    if (strcmp(argv[1], "run") == 0)
        return run(&r, argv[2], 1);
    if (strcmp(argv[1], "retry") == 0)
        return run(&r, argv[2], TRIES);
    if (strcmp(argv[1], "forever") == 0)
        return forever(&r, argv[2]);
    if (strcmp(argv[1], "least") == 0 && argc == 4)
        return least(&r, argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    if (strcmp(argv[1], "check") == 0 && argc == 4)
        return check(&r, argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    return 2;
}
