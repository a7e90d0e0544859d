/*
 * Checks every line of tests/contract/vectors/crypto.txt: each has the outcome that stands in it,
 * and there are enough of them. The grammar is in the head of the file itself.
 */
#include "unit/crypto/help.h"

#include "crypto/chain.h"
#include "crypto/kdf.h"
#include "crypto/keyslot.h"
#include "crypto/seal.h"
#include "crypto/token.h"

enum { WORDS = 16, NAMES = 96, VECTORS_MIN = 300, FILE_MAX = 1 << 20 };

struct line {
    const char *w[WORDS]; /* words; "" beyond the last */
    unsigned n;
};
struct name {
    const char *name;
    struct buf bytes;
};
static struct vectors {
    struct name name[NAMES];
    unsigned names, checked;
    struct chain chain;
} vs;

static void unhex(const char *hex, struct buf *out)
{
    if (strcmp(hex, "-") == 0)
        return;
    for (size_t i = 0; hex[i]; i += 2) {
        uint8_t b;
        CHECK(hex_decode(VIEW(hex + i, 2), &b, 1));
        buf_put_u8(out, b);
    }
}

/* a name, or "none" and "-": no bytes (`none` as a tag: zeros) */
static struct view get(const char *name)
{
    static const uint8_t zeros[16];
    if (strcmp(name, "none") == 0)
        return VIEW(zeros, sizeof(zeros));
    for (unsigned i = 0; i < vs.names; i++)
        if (strcmp(vs.name[i].name, name) == 0)
            return buf_view(&vs.name[i].bytes);
    printf("    no such name: %s\n", name);
    CHECK(false);
    return VIEW(NULL, 0);
}

static struct secret *get_key(const char *name)
{
    struct view v = get(name);
    struct secret *s = secret_from(v.p, v.n);
    CHECK(s != NULL);
    return s;
}

static void edited(const char *base, const char *edit, struct buf *out)
{
    char *arg = strchr(edit, ':');
    unsigned long at = arg ? strtoul(arg + 1, &arg, 10) : 0;
    struct view v = get(base);
    if (strncmp(edit, "drop:", 5) == 0)
        v = VIEW(v.p + at, v.n - at);
    buf_add_view(out, v);
    CHECK(out->len >= at || strncmp(edit, "add:", 4) == 0);
    if (strncmp(edit, "cut:", 4) == 0)
        out->len = at;
    if (strncmp(edit, "add:", 4) == 0)
        unhex(edit + 4, out);
    if (strncmp(edit, "flip:", 5) == 0)
        out->p[at] ^= (uint8_t)(1u << (arg[1] - '0'));
    if (strncmp(edit, "set:", 4) == 0) {
        AUTO(buf_free) struct buf set = {0};
        unhex(arg + 1, &set);
        memcpy(out->p + at, set.p, set.len);
    }
}

/* the meta to expect: the base's own, with one member changed */
static void expected_meta(const char *base, const char *member, struct seal_meta *m)
{
    struct {
        const char *name;
        void *at;
    } t[] = {{"store_id", m->store_id},
             {"cred_id", m->cred_id + 15},
             {"name", m->name + 3},
             {"kind", m->kind},
             {"version", &m->version},
             {"epoch", &m->epoch},
             {"prev_hash", m->prev_hash},
             {"policy_hash", m->policy_hash + 31},
             {"created_ms", &m->created_ms},
             {"not_after_ms", &m->not_after_ms},
             {"same", NULL},
             {"none", NULL}};
    bool found = false;
    CHECK_INT(seal_peek(get(base), m, NULL), ERR_OK);
    for (size_t i = 0; i < COUNT(t); i++)
        if (strcmp(t[i].name, member) == 0) {
            found = true;
            if (t[i].at)
                *(uint8_t *)t[i].at ^= 4;
        }
    CHECK(found);
}

static err_t run_record(const struct line *l)
{
    AUTO(buf_free) struct buf bytes = {0};
    AUTO(auto_secret) struct secret *kek = get_key(l->w[4]), *plain = NULL;
    struct seal_meta m;
    edited(l->w[2], l->w[3], &bytes);
    expected_meta(l->w[2], l->w[5], &m);
    err_t e =
        seal_open(kek, buf_view(&bytes), strcmp(l->w[5], "none") == 0 ? NULL : &m, &plain, NULL);
    if (e == ERR_OK)
        CHECK(view_eq(VIEW(secret_bytes(plain), secret_len(plain)), get(l->w[6])));
    return e;
}

static err_t run_entry(const struct line *l)
{
    AUTO(buf_free) struct buf bytes = {0}, plain = {0};
    AUTO(auto_secret) struct secret *key = get_key(l->w[4]);
    struct entry_chain c = {.generation = strtoull(l->w[6], NULL, 10),
                            .seq = strtoull(l->w[7], NULL, 10)};
    memcpy(c.prev_tag, get(l->w[8]).p, ENTRY_TAG);
    edited(l->w[2], l->w[3], &bytes);
    err_t e = entry_open(key, l->w[5], &c, buf_view(&bytes), &plain, NULL);
    if (e == ERR_OK)
        CHECK(view_eq(buf_view(&plain), get(l->w[9])));
    return e;
}

static err_t run_header(const struct line *l)
{
    AUTO(buf_free) struct buf bytes = {0};
    AUTO(auto_secret) struct secret *key = get_key(l->w[5]), *master = NULL, *previous = NULL;
    struct keyheader h;
    edited(l->w[2], l->w[3], &bytes);
    TRY(keyheader_decode(buf_view(&bytes), &h, NULL));
    TRY(keyheader_open(&h, (unsigned)strtoul(l->w[4], NULL, 10), key, &master, &previous, NULL));
    CHECK(view_eq(VIEW(secret_bytes(master), 32), get(l->w[6])));
    CHECK_INT(previous == NULL, strcmp(l->w[7], "none") == 0);
    if (previous)
        CHECK(view_eq(VIEW(secret_bytes(previous), 32), get(l->w[7])));
    return ERR_OK;
}

static void put_text(struct buf *out, const char *what, struct view v)
{
    buf_add_str(out, out->len ? "," : "");
    buf_add_str(out, what);
    for (size_t i = 0; i < v.n; i++)
        buf_put_u8(out, v.p[i] == ' ' ? '_' : v.p[i]);
}

static void put_number(struct buf *out, const char *what, unsigned long long n)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%llu", n);
    put_text(out, what, view_str(text));
}

static void show(const struct token_caveats *c, struct buf *out)
{
    if (c->expires_ms)
        put_number(out, "e=", (unsigned long long)c->expires_ms);
    if (c->has_deliver)
        put_number(out, "d=", c->deliver);
    if (c->has_uid)
        put_number(out, "u=", c->uid);
    if (c->never)
        put_text(out, "never", VIEW(NULL, 0));
    for (unsigned i = 0; i < c->n_paths; i++)
        put_text(out, "p=", c->path[i]);
    for (unsigned i = 0; i < c->n_models; i++)
        put_text(out, "m=", c->model[i]);
    if (out->len == 0)
        buf_add_str(out, "-");
}

static err_t run_token(const struct line *l)
{
    AUTO(buf_free) struct buf text = {0}, scratch = {0}, shown = {0};
    AUTO(auto_secret) struct secret *key = get_key(l->w[4]);
    struct token_bind b = {
        .consumer = l->w[5], .credential = l->w[6], .prefix = strcmp(l->w[7], "-") ? l->w[7] : ""};
    struct token_caveats c;
    memcpy(b.limits, get(l->w[8]).p, 32);
    edited(l->w[2], l->w[3], &text);
    TRY(token_verify(key, buf_view(&text), &b, &scratch, &c));
    show(&c, &shown);
    CHECK(view_is(buf_view(&shown), l->w[9]));
    return ERR_OK;
}

static err_t run_attenuate(const struct line *l)
{
    AUTO(buf_free) struct buf text = {0}, value = {0}, out = {0};
    edited(l->w[2], l->w[3], &text);
    unhex(l->w[5], &value);
    TRY(token_attenuate(buf_view(&text), (enum token_caveat)strtoul(l->w[4], NULL, 10),
                        buf_view(&value), &out, NULL));
    CHECK(view_eq(buf_view(&out), get(l->w[6])));
    return ERR_OK;
}

static err_t run_checkpoint(const struct line *l)
{
    AUTO(buf_free) struct buf sig = {0};
    edited(l->w[2], l->w[3], &sig);
    bool good = verify_checkpoint(get(l->w[4]).p, get(l->w[5]).p, strtoull(l->w[6], NULL, 10),
                                  get(l->w[7]).p, sig.p);
    return good ? ERR_OK : ERR_CORRUPT;
}

static err_t run_argon2id(const struct line *l)
{
    AUTO(auto_secret) struct secret *key = NULL;
    AUTO(buf_free) struct buf want = {0};
    unhex(l->w[6], &want);
    TRY(kdf_passphrase(get(l->w[2]), get(l->w[3]).p, (uint32_t)strtoul(l->w[4], NULL, 10),
                       (size_t)strtoul(l->w[5], NULL, 10) << 20, &key, NULL));
    CHECK(view_eq(buf_view(&want), VIEW(secret_bytes(key), 32)));
    return ERR_OK;
}

/* ---- those without an outcome */

static void let(const struct line *l)
{
    CHECK(vs.names < NAMES);
    vs.name[vs.names].name = l->w[1];
    unhex(l->w[2], &vs.name[vs.names++].bytes);
}

static void check_key(struct secret *key, const char *hex)
{
    AUTO(buf_free) struct buf want = {0};
    unhex(hex, &want);
    CHECK(view_eq(buf_view(&want), VIEW(secret_bytes(key), secret_len(key))));
    secret_free(key);
}

static void run_subkey(const struct line *l)
{
    AUTO(auto_secret) struct secret *m = get_key(l->w[1]);
    struct secret *sub = NULL;
    CHECK_INT(kdf_subkey(m, l->w[2], (uint32_t)strtoul(l->w[3], NULL, 10), &sub), ERR_OK);
    check_key(sub, l->w[4]);
}

static void run_material(const struct line *l)
{
    struct secret *key = NULL;
    CHECK_INT(kdf_material(get(l->w[1]), l->w[2], &key), ERR_OK);
    check_key(key, l->w[3]);
}

static void run_redact(const struct line *l)
{
    AUTO(auto_secret) struct secret *key = get_key(l->w[1]);
    char id[REDACT_LEN + 1];
    redact_id(key, get(l->w[2]), id);
    CHECK_STR(id, l->w[3]);
}

static void run_hash(const struct line *l)
{
    AUTO(buf_free) struct buf want = {0};
    uint8_t hash[SEAL_HASH];
    unhex(l->w[2], &want);
    seal_hash(get(l->w[1]), hash);
    CHECK(view_eq(buf_view(&want), VIEW(hash, SEAL_HASH)));
}

static void run_peek(const struct line *l)
{
    uint8_t id[TOKEN_LEASE_ID];
    CHECK_INT(token_peek(get(l->w[1]), id), ERR_OK);
    CHECK(view_eq(get(l->w[2]), VIEW(id, sizeof(id))));
}

static void run_chain(const struct line *l)
{
    AUTO(buf_free) struct buf text = {0}, mac = {0}, digest = {0};
    uint8_t got[CHAIN_MAC];
    if (strcmp(l->w[1], "-") != 0) {
        AUTO(auto_secret) struct secret *k0 = get_key(l->w[1]);
        chain_clear(&vs.chain);
        CHECK_INT(chain_start(k0, &vs.chain), ERR_OK);
    }
    unhex(l->w[2], &text), unhex(l->w[3], &mac), unhex(l->w[4], &digest);
    chain_next(&vs.chain, buf_view(&text), got);
    CHECK(view_eq(buf_view(&mac), VIEW(got, CHAIN_MAC)));
    CHECK(view_eq(buf_view(&digest), VIEW(vs.chain.digest, CHAIN_MAC)));
}

/* ---- the file */

static const struct rule {
    const char *what;
    err_t (*outcome)(const struct line *);
    void (*other)(const struct line *);
} rules[] = {
    {"let", NULL, let},
    {"record", run_record, NULL},
    {"entry", run_entry, NULL},
    {"header", run_header, NULL},
    {"token", run_token, NULL},
    {"attenuate", run_attenuate, NULL},
    {"checkpoint", run_checkpoint, NULL},
    {"argon2id", run_argon2id, NULL},
    {"subkey", NULL, run_subkey},
    {"material", NULL, run_material},
    {"redact", NULL, run_redact},
    {"hash", NULL, run_hash},
    {"peek", NULL, run_peek},
    {"chain", NULL, run_chain},
};

static void run_line(const struct line *l, unsigned number)
{
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (strcmp(rules[i].what, l->w[0]) != 0)
            continue;
        if (rules[i].other)
            rules[i].other(l);
        else if (strcmp(err_wire(rules[i].outcome(l)), l->w[1]) != 0) {
            printf("    line %u: %s %s %s is not %s\n", number, l->w[0], l->w[2], l->w[3], l->w[1]);
            CHECK(false);
        }
        vs.checked += strcmp(l->w[0], "let") != 0;
        return;
    }
    printf("    line %u: no such vector: %s\n", number, l->w[0]);
    CHECK(false);
}

static void split(char *text, struct line *l)
{
    char *save = NULL;
    *l = (struct line){0};
    for (unsigned i = 0; i < WORDS; i++)
        l->w[i] = "";
    for (char *w = strtok_r(text, " ", &save); w && w[0] != '#' && l->n < WORDS;
         w = strtok_r(NULL, " ", &save))
        l->w[l->n++] = w;
}

TEST(every_vector_has_its_outcome)
{
    static char text[FILE_MAX];
    AUTO(auto_fclose) FILE *f = fopen("tests/contract/vectors/crypto.txt", "r");
    CHECK(f != NULL);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    CHECK(n > 0 && n < sizeof(text) - 1);
    unsigned number = 0;
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        struct line l;
        *end = '\0';
        number++;
        split(at, &l);
        if (l.n)
            run_line(&l, number);
    }
    for (unsigned i = 0; i < vs.names; i++)
        buf_free(&vs.name[i].bytes);
    chain_clear(&vs.chain);
    printf("    %u vectors\n", vs.checked);
    CHECK(vs.checked >= VECTORS_MIN);
}
