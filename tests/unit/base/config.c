/* base/config.c: whole files and drop-ins, defaults, order, duplicates, ids; the errors with their lines. */
#include "check.h"

#include "base/auto.h"
#include "base/config.h"
#include <broker/provider.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static struct why why;

/* ---- a directory for each test */

static char dir[64], file[128], drop[128];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    if (n != (ssize_t)strlen(text))
        abort();
}

static void setup(const char *yaml)
{
    strcpy(dir, "/tmp/broker-config-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    snprintf(file, sizeof(file), "%s/broker.yaml", dir);
    snprintf(drop, sizeof(drop), "%s/consumers.d", dir);
    mkdir(drop, 0700);
    if (yaml)
        put(file, yaml);
}

static void put_drop(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", drop, name);
    put(path, text);
}

static err_t load(struct config **c)
{
    err_t e = config_load(file, drop, c, &why);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return e;
}

/* ---- good ones */

static const char whole[] =
    "# comment\n"
    "store: file\n"
    "key: [keyfile, passphrase]\n"
    "audit: { sync: every, max_bytes: 8M }\n"
    "anchor: /var/lib/elsewhere/anchor\n"
    "admin: { uid: [1000, 0] }\n"
    "files_on_disk: true\n"
    "consumers:\n"
    "  - name: marie\n"
    "  - name: gateway\n"
    "    note: \"the gateway: of the house\"\n"
    "    once: yes\n"
    "    max_leases: 12\n"
    "    peer: { uid: [0, 1000], gid: [50], cgroup: /system.slice/gateway.service }\n"
    "    grants:\n"
    "      - credential: claude\n"
    "        deliver: [access_token, file]\n"
    "        ttl: 15m\n"
    "        max_ttl: 8h\n"
    "        uses: 3\n"
    "        owner: process\n"
    "        allow: [\"POST /v1/messages\", GET /v1/models]\n"
    "        models: [\"claude-*\"]\n"
    "        budget: requests=600/h\n"
    "        peer: { uid: [7] }\n"
    "      - credential: openai\n"
    "        deliver: [secret]\n";

TEST(config_reads_every_member)
{
    struct config *c = NULL;
    setup(whole);
    CHECK_OK(load(&c), why);
    CHECK_STR(c->store, "file");
    CHECK_STR(c->key[0], "keyfile");
    CHECK_STR(c->key[1], "passphrase");
    CHECK(!c->key[2]);
    CHECK_INT(c->sync, AUDIT_SYNC_EVERY);
    CHECK_INT(c->audit_max_bytes, 8 << 20);
    CHECK_STR(c->anchor, "/var/lib/elsewhere/anchor");
    CHECK_INT(c->admin_uid.n, 2);
    CHECK_INT(c->admin_uid.id[0], 1000);
    CHECK(c->files_on_disk);
    CHECK_INT(c->n_consumers, 2);
    const struct config_consumer *g = config_consumer(c, view_str("gateway"));
    CHECK(g == &c->consumers[0]); /* sorted */
    CHECK(g->once && !g->managed);
    CHECK_INT(g->max_leases, 12);
    CHECK_STR(g->note, "the gateway: of the house");
    CHECK_INT(g->peer.uid.n, 2);
    CHECK_INT(g->peer.gid.id[0], 50);
    CHECK_STR(g->peer.cgroup, "/system.slice/gateway.service");
    CHECK_INT(g->n_grants, 2);
    const struct config_grant *a = &g->grants[0], *b = &g->grants[1];
    CHECK_INT(a->deliver, 1 << DELIVER_ACCESS_TOKEN | 1 << DELIVER_FILE);
    CHECK_INT(a->ttl_ms, 900000);
    CHECK_INT(a->max_ttl_ms, 8 * 3600000);
    CHECK_INT(a->uses, 3);
    CHECK(a->owner_process);
    CHECK_STR(a->allow[1], "GET /v1/models");
    CHECK(!a->allow[2]);
    CHECK_STR(a->models[0], "claude-*");
    CHECK_STR(a->budget, "requests=600/h");
    CHECK_INT(a->peer.uid.id[0], 7);
    CHECK_INT(b->ttl_ms, 900000);
    CHECK_INT(b->max_ttl_ms, 24 * 3600000);
    CHECK(b->uses == 0 && !b->owner_process && !b->allow && !b->budget);
    CHECK(!config_consumer(c, view_str("gatewa")) && !config_consumer(c, view_str("gateway1")) &&
          !config_consumer(c, VIEW(NULL, 0)));
    config_free(c);
}

TEST(config_missing_and_empty_files_give_defaults)
{
    static const char *const texts[] = {NULL, "", "# nothing\n", "---\n", "~\n", "null\n"};
    for (size_t i = 0; i < 4; i++) {
        struct config *c = NULL;
        setup(texts[i]);
        CHECK_OK(load(&c), why);
        CHECK_STR(c->store, "file");
        CHECK(!c->key && !c->anchor && !c->files_on_disk);
        CHECK_INT(c->sync, AUDIT_SYNC_RELEASE);
        CHECK_INT(c->audit_max_bytes, 64 << 20);
        CHECK_INT(c->n_consumers, 0);
        CHECK(!config_consumer(c, view_str("x")));
        config_free(c);
    }
    struct config *c = NULL;
    CHECK_OK(config_load("/nonexistent/broker.yaml", NULL, &c, &why), why);
    config_free(c);
    CHECK_OK(config_load("/nonexistent/broker.yaml", "/nonexistent/consumers.d", &c, &why), why);
    config_free(c);
}

TEST(config_dropins_are_consumers_of_their_own)
{
    struct config *c = NULL;
    setup("consumers:\n  - name: m\n");
    put_drop("zoe.yaml", "name: zoe\n");
    put_drop("adam.yaml", "name: adam\ngrants:\n  - credential: x\n    deliver: [helper]\n");
    put_drop("README", "not yaml: [");
    put_drop(".adam.yaml", "not yaml: [");
    CHECK_OK(load(&c), why);
    CHECK_INT(c->n_consumers, 3);
    CHECK_STR(c->consumers[0].name, "adam");
    CHECK(c->consumers[0].managed && !c->consumers[1].managed && c->consumers[2].managed);
    CHECK_INT(c->consumers[0].n_grants, 1);
    config_free(c);
}

TEST(config_refuses_bad_dropins)
{
    struct config *c = NULL;
    setup("consumers:\n  - name: m\n");
    put_drop("m.yaml", "name: m\n");
    CHECK_INT(load(&c), ERR_INVALID);
    CHECK_STR(why.text, "m.yaml:1: name: there is a consumer \"m\" in the main file already: remove one of them");
    setup(NULL);
    put_drop("a.yaml", "# who\nname: b\n");
    CHECK_INT(load(&c), ERR_INVALID);
    CHECK_STR(why.text, "a.yaml:2: name: expected the file's own name without .yaml, not \"b\"");
    setup(NULL);
    put_drop("a.yaml", "");
    CHECK_INT(load(&c), ERR_INVALID);
    setup(NULL);
    put_drop("a.yaml", "consumers:\n - name: a\n");
    CHECK_INT(load(&c), ERR_INVALID);
    CHECK(strstr(why.text, "a.yaml:1: consumers: unknown key; known here: name, note, once"));
    setup(NULL);
    char path[300];
    snprintf(path, sizeof(path), "%s/x.yaml", drop);
    CHECK(symlink("/etc/hostname", path) == 0);
    CHECK(load(&c) != ERR_OK);
    CHECK(!c);
}

/* ---- bad ones: the text, and how the sentence begins */

static const struct bad {
    const char *yaml, *sentence;
} bad[] = {
    {"stor: file\n", "broker.yaml:1: stor: unknown key; known here: store, key, audit, anchor, notify, admin, files_on_disk, consumers"},
    {"store: file\n\naudit:\n  sink: x\n", "broker.yaml:4: sink: unknown key; known here: sync, max_bytes"},
    {"store: file\nkey: [a]\nstor: file\n", "broker.yaml:3: stor: unknown key"},
    {"consumers:\n - name: a\n - name: b\n - name: c\n   grants:\n    - credential: a\n      deliver: [file]\n    - credential: b\n      deliver: [file]\n\n      tll: 3\n",
     "broker.yaml:11: tll: unknown key; known here: credential, deliver, ttl"},
    {"consumers:\n - name: a\n   peer:\n\n     uid: [1]\n     gid: 2\n", "broker.yaml:6: gid: expected a list"},
    {"store: file\nstore: file\n", "broker.yaml:2: store: is there twice"},
    {"audit: { sync: never }\n", "broker.yaml:1: sync: expected one of release, every, 100ms; not \"never\""},
    {"files_on_disk: flase\n", "broker.yaml:1: files_on_disk: expected one of false, true, no, yes; not \"flase\""},
    {"audit: { max_bytes: 1x }\n", "broker.yaml:1: max_bytes: expected a whole number from 1048576 to"},
    {"audit: { max_bytes: 99999999999999999999 }\n", "broker.yaml:1: max_bytes: expected a whole number"},
    {"audit:\n  max_bytes: 1\n", "broker.yaml:2: max_bytes: expected a whole number"},
    {"audit:\n  max_bytes: 0x100000\n", "broker.yaml:2: max_bytes: expected a whole number"},
    {"audit:\n  max_bytes: 999999999999G\n", "broker.yaml:2: max_bytes: expected a whole number"},
    {"audit: every\n", "broker.yaml:1: audit: expected keys with values"},
    {"key: keyfile\n", "broker.yaml:1: key: expected a list, like [a, b]"},
    {"key: [\"Key File\"]\n", "broker.yaml:1: key: expected the name of a key source, not \"Key File\""},
    {"key: [[a]]\n", "broker.yaml:1: key: expected one value"},
    {"anchor: here\n", "broker.yaml:1: anchor: expected an absolute path"},
    {"store: \"\"\n", "broker.yaml:1: store: expected 1 to 256 bytes"},
    {"admin: { uid: [root] }\n", "broker.yaml:1: uid: expected numeric ids from 0 to 4294967294, not \"root\""},
    {"admin: { uid: [-1] }\n", "broker.yaml:1: uid: expected numeric ids"},
    {"admin: { uid: [4294967295] }\n", "broker.yaml:1: uid: expected numeric ids"},
    {"admin: { uid: 0 }\n", "broker.yaml:1: uid: expected a list"},
    {"- a\n", "broker.yaml:1: the file: expected keys with values"},
    {"file\n", "broker.yaml:1: the file: expected keys with values"},
    {"consumers: { gateway: {} }\n", "broker.yaml:1: consumers: expected a list"},
    {"consumers:\n  - gateway\n", "broker.yaml:2: consumers: expected keys with values"},
    {"consumers:\n  - note: x\n", "broker.yaml:2: name: is required here"},
    {"consumers:\n  - name: Gateway\n", "broker.yaml:2: name: a consumer name begins with a-z or 0-9"},
    {"consumers:\n  - name: a/b\n", "broker.yaml:2: name: a consumer name"},
    {"consumers:\n  - name: ..\n", "broker.yaml:2: name: a consumer name"},
    {"consumers:\n  - name: admin\n", "broker.yaml:2: name: the name \"admin\" is reserved"},
    {"consumers:\n  - name: \"\"\n", "broker.yaml:2: name: a consumer name has 1 to 64"},
    {"consumers:\n  - name: a\n  - name: b\n  - name: a\n", "broker.yaml:4: name: there is a consumer \"a\" already"},
    {"consumers:\n  - name: a\n    max_leases: 0\n", "broker.yaml:3: max_leases: expected a whole number from 1 to 65536"},
    {"consumers:\n  - name: a\n    max_leases: 65537\n", "broker.yaml:3: max_leases: expected a whole number"},
    {"consumers:\n  - name: a\n    max_leases: -1\n", "broker.yaml:3: max_leases: expected a whole number"},
    {"consumers:\n  - name: a\n    max_leases: \" 1\"\n", "broker.yaml:3: max_leases: expected a whole number"},
    {"consumers:\n  - name: a\n    peer: { cgroup: x }\n", "broker.yaml:3: cgroup: expected the beginning of a cgroup path"},
    {"consumers:\n  - name: a\n    peer: { pid: 1 }\n", "broker.yaml:3: pid: unknown key; known here: uid, gid, cgroup"},
    {"consumers:\n  - name: a\n    grants:\n      - deliver: [file]\n", "broker.yaml:4: credential: is required here"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n", "broker.yaml:4: deliver: is required here"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: []\n",
     "broker.yaml:5: deliver: expected at least one delivery"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [env]\n",
     "broker.yaml:5: deliver: expected one of proxy, access_token, file, helper, secret; not \"env\""},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [1]\n", "broker.yaml:5: deliver: expected one of"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: file\n", "broker.yaml:5: deliver: expected a list"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: X\n        deliver: [file]\n",
     "broker.yaml:4: credential: a credential name begins"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        ttl: soon\n",
     "broker.yaml:6: ttl: not a duration"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        ttl: 999ms\n",
     "broker.yaml:6: ttl: expected a time of at least 1s"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        ttl: 2h\n        max_ttl: 1h\n",
     "broker.yaml:7: max_ttl: expected at least the ttl"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        uses: -1\n",
     "broker.yaml:6: uses: expected a whole number"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        owner: me\n",
     "broker.yaml:6: owner: expected one of none, process; not \"me\""},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        allow: [/v1]\n",
     "broker.yaml:6: allow: expected a method and a path, not \"/v1\""},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        models: [\"\"]\n",
     "broker.yaml:6: models: expected a model or a pattern"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n        budget: \"\"\n",
     "broker.yaml:6: budget: expected 1 to 256 bytes"},
    {"consumers:\n  - name: a\n    grants:\n      - credential: x\n        deliver: [file]\n      - credential: x\n        deliver: [file]\n",
     "broker.yaml:6: credential: this consumer has a grant for \"x\" already"},
    {"a: [1\n", "broker.yaml:"},
    {"a: b: c\n", "broker.yaml:1: mapping values are not allowed"},
    {"\tstore: file\n", "broker.yaml:1: "},
    {"store: &x file\n", "broker.yaml:1: anchors and tags are not allowed"},
    {"store: !!str file\n", "broker.yaml:1: anchors and tags are not allowed"},
    {"store: *x\n", "broker.yaml:1: aliases are not allowed"},
    {"store: file\n---\nstore: file\n", "broker.yaml:2: a second document"},
    {"store: \"fi\\0le\"\n", "broker.yaml:1: a value has a control character"},
    {"[[[[[[[[[1]]]]]]]]]\n", "broker.yaml:1: nested deeper"},
};

TEST(config_errors_name_line_key_and_expectation)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct config *c = NULL;
        setup(bad[i].yaml);
        err_t e = load(&c);
        if (e != ERR_INVALID || strncmp(why.text, bad[i].sentence, strlen(bad[i].sentence)) != 0)
            printf("    case %zu: %s\n  expected %s\n       got %d %s\n", i, bad[i].yaml, bad[i].sentence, e, why.text);
        CHECK(e == ERR_INVALID && strncmp(why.text, bad[i].sentence, strlen(bad[i].sentence)) == 0);
        CHECK(!c);
    }
}

TEST(config_refuses_too_many_and_too_large)
{
    struct config *c = NULL;
    AUTO(buf_free) struct buf b = {.max = 4 << 20};
    buf_add_str(&b, "consumers:\n");
    for (int i = 0; i <= CONFIG_MAX_CONSUMERS; i++)
        buf_add_fmt(&b, "  - name: c%d\n", i);
    setup(buf_text(&b));
    CHECK_INT(load(&c), ERR_INVALID);
    CHECK(strstr(why.text, "consumers: too many entries"));
    buf_reset(&b);
    buf_add_str(&b, "admin:\n  uid: [0");
    for (int i = 0; i < CONFIG_MAX_LIST; i++)
        buf_add_str(&b, ",1");
    buf_add_str(&b, "]\n");
    setup(buf_text(&b));
    CHECK_INT(load(&c), ERR_INVALID);
    CHECK(strstr(why.text, "uid: too many entries"));
    buf_reset(&b);
    while (b.len <= CONFIG_MAX_BYTES)
        buf_add_str(&b, "# a comment that fills the file\n");
    setup(buf_text(&b));
    CHECK_INT(load(&c), ERR_TOO_LARGE);
    setup(NULL);
    mkdir(file, 0700);
    CHECK(load(&c) != ERR_OK);
    CHECK(!c);
}

TEST(config_ids_are_strict)
{
    static const char *const wrong[] = {"", ",", "1,", ",1", "1,,2", "-1", "+1", " 1", "1 ", "0x1", "4294967295", "99999999999", "a"};
    struct config_ids ids = {0};
    CHECK_OK(config_parse_ids(view_str("0,1000,4294967294"), &ids, &why), why);
    CHECK(ids.n == 3 && ids.id[0] == 0 && ids.id[1] == 1000 && ids.id[2] == 4294967294u);
    free(ids.id);
    ids = (struct config_ids){0};
    for (size_t i = 0; i < COUNT(wrong); i++)
        CHECK_INT(config_parse_ids(view_str(wrong[i]), &ids, &why), ERR_INVALID);
    CHECK(!ids.id && ids.n == 0);
    AUTO(buf_free) struct buf b = {0};
    for (int i = 0; i < CONFIG_MAX_LIST; i++)
        buf_add_str(&b, i ? ",1" : "1");
    CHECK_OK(config_parse_ids(buf_view(&b), &ids, &why), why);
    free(ids.id);
    buf_add_str(&b, ",1");
    CHECK_INT(config_parse_ids(buf_view(&b), &ids, &why), ERR_INVALID);
}
