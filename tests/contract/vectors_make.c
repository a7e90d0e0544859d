/*
 * Makes tests/contract/vectors/crypto.txt, with fixed randomness, and checks that the committed
 * file is what it makes: a change of format shows here before it shows in somebody's store. To
 * write the file anew after a deliberate change:
 *     CREDENTIAL_BROKER_VECTORS=tests/contract/vectors/crypto.txt build/contract/vectors_make
 * The expected outcome of a change is stated here by rule, from the layouts in FORMAT.md, not taken
 * from what the code does.
 */
#include "contract/vectors_make.h"

#include "crypto/chain.h"
#include "crypto/kdf.h"
#include "crypto/keyslot.h"
#include "crypto/seal.h"
#include "crypto/token.h"

/* ---- records */

static struct seal_meta record_meta(void)
{
    struct seal_meta m = {.name = "claude",
                          .kind = "codex",
                          .version = 3,
                          .epoch = 2,
                          .created_ms = 1700000000000,
                          .not_after_ms = 1800000000000};
    memset(m.store_id, 0x11, SEAL_ID);
    memset(m.cred_id, 0x22, SEAL_ID);
    memset(m.prev_hash, 0x33, SEAL_HASH);
    memset(m.policy_hash, 0x44, SEAL_HASH);
    return m;
}

static void records(struct buf *out)
{
    static const struct field f[] = {{"magic", 0, 4, BAD},
                                     {"version", 4, 1, NEWER},
                                     {"suite", 5, 1, NEWER},
                                     {"flags", 6, 2, NEWER},
                                     {"store id", 8, 16, BAD},
                                     {"credential id", 24, 16, BAD},
                                     {"version number", 40, 8, BAD},
                                     {"epoch", 48, 4, BAD},
                                     {"previous hash", 52, 32, BAD},
                                     {"policy hash", 84, 32, BAD},
                                     {"created", 116, 8, BAD},
                                     {"not after", 124, 8, BAD},
                                     {"length of name", 132, 2, BAD},
                                     {"name", 134, 6, BAD},
                                     {"length of kind", 140, 2, BAD},
                                     {"kind", 142, 5, BAD},
                                     {"nonce of the data key", 147, 24, BAD},
                                     {"data key", 171, 32, BAD},
                                     {"tag of the data key", 203, 16, BAD},
                                     {"nonce of the body", 219, 24, BAD},
                                     {"length of the body", 243, 4, BAD},
                                     {"body", 247, 10, BAD},
                                     {"tag", 257, 16, BAD}};
    static const char *const swapped[] = {"store_id",   "cred_id",     "name",      "kind",
                                          "version",    "epoch",       "prev_hash", "policy_hash",
                                          "created_ms", "not_after_ms"};
    AUTO(buf_free) struct buf rec = {0}, again = {0};
    AUTO(auto_secret) struct secret *kek = key_of(0xe1), *next = key_of(0xe2);
    struct seal_meta m = record_meta();
    struct kind k = {"record", "rec", "kek same"};
    uint8_t hash[SEAL_HASH];
    CHECK_INT(seal_record(kek, &m, view_str("the secret"), &rec, NULL), ERR_OK);
    CHECK_INT(rec.len, 273);
    CHECK_INT(seal_rewrap(kek, next, 3, buf_view(&rec), &again, NULL), ERR_OK);
    buf_add_str(out, "\n# Records. The expected meta is the record's own (same), or differs from "
                     "it in one member.\n");
    let_key(out, "kek", 0xe1), let_key(out, "kek2", 0xe2);
    let(out, "rec", buf_view(&rec)), let(out, "rec2", buf_view(&again)),
        let(out, "secret", view_str("the secret"));
    seal_hash(buf_view(&rec), hash);
    buf_add_str(out, "hash rec ");
    put_hex(out, hash, sizeof(hash));
    buf_add_str(out, "\nrecord ok rec - kek same secret # opens\nrecord ok rec - kek none secret # "
                     "without expectation\n"
                     "record ok rec2 - kek2 same secret # re-sealed for epoch 3\n"
                     "record corrupt rec - kek2 same # another key\nrecord corrupt rec2 - kek same "
                     "# the key of the old epoch\n");
    for (size_t i = 0; i < COUNT(swapped); i++)
        buf_add_fmt(out, "record corrupt rec - kek %s # expected with another %s\n", swapped[i],
                    swapped[i]);
    each_preamble(out, &k, rec.len);
    each_field(out, &k, f + 1, COUNT(f) - 1);
}

/* ---- entries */

static void entries(struct buf *out)
{
    static const struct field f[] = {
        {"magic", 0, 4, BAD},   {"version", 4, 1, NEWER},  {"suite", 5, 1, NEWER},
        {"flags", 6, 2, NEWER}, {"generation", 8, 8, BAD}, {"number", 16, 8, BAD},
        {"nonce", 24, 24, BAD}, {"body", 48, 5, BAD},      {"tag", 53, 16, BAD}};
    AUTO(buf_free) struct buf e = {0}, second = {0}, empty = {0};
    AUTO(auto_secret) struct secret *key = key_of(0xe3);
    struct entry_chain c = {.generation = 7, .seq = 40}, start = {.generation = 1};
    struct kind k = {"entry", "entry1", "manifest-key manifest 7 40 prev0"};
    memset(c.prev_tag, 0x55, ENTRY_TAG);
    CHECK_INT(entry_seal(key, "manifest", &c, view_str("plain"), &e, NULL), ERR_OK);
    CHECK_INT(entry_seal(key, "manifest", &c, view_str("next"), &second, NULL), ERR_OK);
    CHECK_INT(entry_seal(key, "x", &start, VIEW(NULL, 0), &empty, NULL), ERR_OK);
    buf_add_str(out, "\n# Entries: key, context, generation, number, tag of the entry before.\n");
    let_key(out, "manifest-key", 0xe3), let_key(out, "other-key", 0xe4);
    let(out, "entry1", buf_view(&e)), let(out, "entry2", buf_view(&second)),
        let(out, "entry0", buf_view(&empty));
    let(out, "prev0", VIEW("\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55\x55", 16));
    let(out, "prev1", VIEW(e.p + e.len - ENTRY_TAG, ENTRY_TAG));
    let(out, "plain1", view_str("plain")), let(out, "plain2", view_str("next")),
        let(out, "nothing", VIEW(NULL, 0));
    buf_add_str(
        out,
        "entry ok entry1 - manifest-key manifest 7 40 prev0 plain1 # opens\n"
        "entry ok entry2 - manifest-key manifest 7 41 prev1 plain2 # and the one after it\n"
        "entry ok entry0 - manifest-key x 1 0 none nothing # the first of a chain, empty\n"
        "entry corrupt entry1 - other-key manifest 7 40 prev0 # another key\n"
        "entry corrupt entry1 - manifest-key manifesT 7 40 prev0 # another context\n"
        "entry corrupt entry1 - manifest-key manifest 8 40 prev0 # another generation\n"
        "entry corrupt entry1 - manifest-key manifest 7 41 prev0 # a number too early\n"
        "entry corrupt entry1 - manifest-key manifest 7 39 prev0 # again\n"
        "entry corrupt entry1 - manifest-key manifest 7 40 prev1 # after another entry\n"
        "entry corrupt entry2 - manifest-key manifest 7 41 prev0 # the entry between is dropped\n"
        "entry corrupt entry2 - manifest-key manifest 7 40 prev0 # in the place of the first\n");
    each_preamble(out, &k, e.len);
    each_field(out, &k, f + 1, COUNT(f) - 1);
}

/* ---- key headers */

static void header_fields(struct buf *out, const struct kind *k, bool rekeying, size_t total)
{
    size_t p = rekeying ? 72 : 0, s = 173 + p, t = s + 1 + 2 + 7 + 2 + 8 + 8 + 32 + 32 + 80;
    const struct field f[] = {{"version", 4, 1, NEWER},
                              {"suite", 5, 1, NEWER},
                              {"flags", 6, 2, "version", "corrupt", "corrupt"},
                              {"store id", 8, 16, BAD},
                              {"epoch", 24, 4, BAD},
                              {"serial", 28, 8, BAD},
                              {"commitment", 36, 32, BAD},
                              {"signing key", 68, 32, BAD},
                              {"wrapped seed", 100, 72, BAD},
                              {"previous master key", 172, 72, BAD},
                              {"number of slots", 172 + p, 1, BAD},
                              {"index", s, 1, BAD},
                              {"length of source", s + 1, 2, BAD},
                              {"source", s + 3, 7, BAD},
                              {"length of parameters", s + 10, 2, BAD},
                              {"parameters", s + 12, 8, BAD},
                              {"created", s + 20, 8, BAD},
                              {"public key", s + 28, 32, BAD},
                              {"pin", s + 60, 32, BAD},
                              {"sealed", s + 92, 80, BAD},
                              {"index of the second slot", t, 1, BAD},
                              {"signature", total - 64, 64, BAD}};
    for (size_t i = 0; i < COUNT(f); i++)
        if (rekeying || f[i].at != 172 || f[i].n == 1)
            each_field(out, k, &f[i], 1);
}

static void headers(struct buf *out)
{
    AUTO(auto_secret)
    struct secret *master = NULL, *next = NULL, *a = key_of(0xa0), *b = key_of(0xa1);
    AUTO(buf_free) struct buf one = {0}, two = {0};
    struct keyheader h;
    struct kind k1 = {"header", "head", "0 slot0"}, k2 = {"header", "rekey", "1 slot1"};
    unsigned slot;
    CHECK_INT(keyheader_create(&h, &master, NULL), ERR_OK);
    CHECK_INT(
        keyslot_add(&h, master, &(struct keyslot_new){"keyfile", view_str("/etc/key"), a, 1700000000000}, &slot, NULL),
        ERR_OK);
    CHECK_INT(
        keyslot_add(&h, master, &(struct keyslot_new){"passphrase", view_str("salt"), b, 1700000000001}, &slot, NULL),
        ERR_OK);
    keyheader_encode(&h, &one);
    CHECK_INT(keyheader_rekey_begin(&h, master, &next, NULL), ERR_OK);
    keyheader_encode(&h, &two);
    buf_add_str(
        out,
        "\n# Key headers: slot, the slot's secret; then the master key and the previous one.\n");
    let_key(out, "slot0", 0xa0), let_key(out, "slot1", 0xa1), let_key(out, "slot9", 0xa9);
    let(out, "head", buf_view(&one)), let(out, "rekey", buf_view(&two));
    let(out, "master", VIEW(secret_bytes(master), 32)),
        let(out, "master2", VIEW(secret_bytes(next), 32));
    buf_add_str(out, "header ok head - 0 slot0 master none # first slot\nheader ok head - 1 slot1 "
                     "master none # second slot\n"
                     "header ok rekey - 0 slot0 master2 master # during a rekey\n"
                     "header ok rekey - 1 slot1 master2 master # during a rekey, second slot\n"
                     "header bad_token head - 0 slot1 # the secret of another slot\n"
                     "header bad_token head - 1 slot0 # the secret of another slot\n"
                     "header bad_token head - 0 slot9 # no slot's secret\n"
                     "header not_found head - 2 slot0 # a slot that is not used\n"
                     "header not_found head - 7 slot0 # the last slot\nheader not_found head - 8 "
                     "slot0 # there is none\n");
    each_preamble(out, &k1, one.len);
    header_fields(out, &k1, false, one.len);
    header_fields(out, &k2, true, two.len);
}

/* ---- tokens */

static void token_edits(struct buf *out, size_t n)
{
    static const struct kind k = {"token", "tok1", "token-key gateway claude sk-ant-oat01- limits"};
    const struct field f[] = {{"prefix", 0, 13, "bad_token", "bad_token", "bad_token"},
                              {"marker", 13, 6, "bad_token", "bad_token", "bad_token"},
                              {"version", 19, 1, "bad_token", "bad_token", "bad_token"},
                              {"lease id", 21, 20, "bad_token", "bad_token", "bad_token"},
                              {"caveats", 43, 14, "bad_token", "bad_token", "bad_token"},
                              {"tag", n - 7 - 43, 43, "bad_token", "bad_token", "bad_token"},
                              {"separator", n - 7, 1, "bad_token", "bad_token", "bad_token"},
                              {"check", n - 6, 6, "bad_token", "bad_token", "bad_token"}};
    static const char *const edits[][2] = {{"drop:1", "first byte gone"},
                                           {"drop:13", "without prefix"},
                                           {"drop:19", "without marker"},
                                           {"add:41", "one character more"},
                                           {"add:00", "a NUL behind"},
                                           {"add:0a", "a newline behind"},
                                           {"add:3d", "padding"},
                                           {"set:13=43", "marker in capitals"},
                                           {"set:20=2b", "a + of plain base64"},
                                           {"set:20=2f", "a / of plain base64"},
                                           {"set:20=20", "a space inside"},
                                           {"set:30=00", "a NUL inside"},
                                           {"set:30=c3", "not ASCII"}};
    each_field(out, &k, f, COUNT(f));
    for (size_t i = 0; i < COUNT(edits); i++)
        line(out, &k, "bad_token", edits[i][0], edits[i][1]);
}

static void child(struct buf *out, const char *name, const char *of, struct buf *text,
                  enum token_caveat type, struct view value)
{
    AUTO(buf_free) struct buf next = {0};
    CHECK_INT(token_attenuate(buf_view(text), type, value, &next, NULL), ERR_OK);
    let(out, name, buf_view(&next));
    buf_add_fmt(out, "attenuate ok %s - %d ", of, (int)type);
    put_hex(out, value.p, value.n);
    buf_add_fmt(out, " %s # offline\n", name);
    buf_reset(text);
    buf_add_view(text, buf_view(&next));
}

static void tokens(struct buf *out)
{
    AUTO(buf_free) struct buf t = {0};
    AUTO(auto_secret) struct secret *key = key_of(0xe5);
    struct token_bind b = {
        .consumer = "gateway", .credential = "claude", .prefix = "sk-ant-oat01-"};
    static const uint8_t lease[16] = {0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xaf};
    memset(b.limits, 0x66, sizeof(b.limits));
    CHECK_INT(token_mint(key, lease, &b, &t, NULL), ERR_OK);
    buf_add_str(
        out,
        "\n# Tokens (texts in hex): key, consumer, credential, prefix, limits; then the caveats as "
        "e=end d=deliveries\n"
        "# u=uid never p=path m=model, joined by commas. attenuate: type, value, the child.\n");
    let_key(out, "token-key", 0xe5), let_key(out, "limits", 0x66), let_key(out, "limits2", 0x67);
    let(out, "tok0", buf_view(&t)), let(out, "lease", VIEW(lease, 16));
    buf_add_str(out, "peek tok0 lease\ntoken ok tok0 - token-key gateway claude sk-ant-oat01- "
                     "limits - # fresh\n");
    child(out, "tok1", "tok0", &t, CAVEAT_EXPIRES, VIEW("\0\0\1\x8b\xcf\xe5\x68\0", 8));
    size_t n = t.len;
    child(out, "tok2", "tok1", &t, CAVEAT_DELIVER, VIEW("\0\0\0\3", 4));
    child(out, "tok3", "tok2", &t, CAVEAT_METHOD_PATH, view_str("POST /v1/messages"));
    child(out, "tok4", "tok3", &t, CAVEAT_MODEL, view_str("claude-*"));
    child(out, "tok5", "tok4", &t, CAVEAT_PEER_UID, VIEW("\0\0\3\xe8", 4));
    child(out, "tok6", "tok5", &t, CAVEAT_DELIVER, VIEW("\0\0\0\6", 4));
    child(out, "tok7", "tok6", &t, CAVEAT_PEER_UID, VIEW("\0\0\0\0", 4));
    child(out, "tok8", "tok7", &t, CAVEAT_EXPIRES, VIEW("\0\0\1\x8b\xcf\xe5\x67\xff", 8));
    child(out, "tok9", "tok8", &t, CAVEAT_EXPIRES, VIEW("\x7f\xff\xff\xff\xff\xff\xff\xff", 8));
    static const char *const caveats[] = {
        "e=1700000000000",
        "e=1700000000000,d=3",
        "e=1700000000000,d=3,p=POST_/v1/messages",
        "e=1700000000000,d=3,p=POST_/v1/messages,m=claude-*",
        "e=1700000000000,d=3,u=1000,p=POST_/v1/messages,m=claude-*",
        "e=1700000000000,d=2,u=1000,p=POST_/v1/messages,m=claude-*",
        "e=1700000000000,d=2,u=1000,never,p=POST_/v1/messages,m=claude-*",
        "e=1699999999999,d=2,u=1000,never,p=POST_/v1/messages,m=claude-*",
        "e=1699999999999,d=2,u=1000,never,p=POST_/v1/messages,m=claude-*"};
    for (size_t i = 0; i < COUNT(caveats); i++)
        buf_add_fmt(
            out,
            "token ok tok%zu - token-key gateway claude sk-ant-oat01- limits %s # %zu caveats\n",
            i + 1, caveats[i], i + 1);
    buf_add_str(
        out,
        "token bad_token tok0 - kek gateway claude sk-ant-oat01- limits # another key\n"
        "token bad_token tok0 - token-key gatewaY claude sk-ant-oat01- limits # another consumer\n"
        "token bad_token tok0 - token-key gateway claude2 sk-ant-oat01- limits # another "
        "credential\n"
        "token bad_token tok0 - token-key gatewayc laude sk-ant-oat01- limits # the border between "
        "them moved\n"
        "token bad_token tok0 - token-key gateway claude sk-ant-oat02- limits # another prefix\n"
        "token bad_token tok0 - token-key gateway claude - limits # no prefix\n"
        "token bad_token tok0 - token-key gateway claude sk-ant-oat01- limits2 # other limits\n"
        "token bad_token tok9 - token-key gateway claude sk-ant-oat01- limits2 # other limits, "
        "with caveats\n"
        "attenuate invalid tok0 - 0 00 # type 0\nattenuate invalid tok0 - 6 00 # type 6\n"
        "attenuate invalid tok0 - 1 0000000000000000 # an end that would be none\n"
        "attenuate invalid tok0 - 1 8000000000000000 # an end below zero\n"
        "attenuate invalid tok0 - 1 00000000000001 # seven bytes\nattenuate invalid tok0 - 2 "
        "000001 # three bytes\n"
        "attenuate invalid tok0 - 3 504f5354 # a method alone\nattenuate invalid tok0 - 3 "
        "504f535420763100 # a NUL\n"
        "attenuate invalid tok0 - 4 - # an empty model\nattenuate invalid tok0 - 5 0000000000 # "
        "five bytes\n"
        "attenuate invalid tok0 cut:40 5 00000000 # no token\n");
    token_edits(out, n);
}

/* ---- keys, redaction, audit chain */

static void derivations(struct buf *out)
{
    static const char *const contexts[] = {"record-kek",    "manifest",   "token",
                                           "lease-journal", "audit-seal", "redact"};
    AUTO(auto_secret) struct secret *m = key_of(0xe6), *mat = NULL;
    char id[REDACT_LEN + 1];
    buf_add_str(out, "\n# Derivations: master key, context, epoch, subkey; bytes, context, key; "
                     "redaction key, value, id.\n");
    let_key(out, "m", 0xe6);
    for (size_t i = 0; i < 2 * COUNT(contexts); i++) {
        AUTO(auto_secret) struct secret *sub = NULL;
        unsigned epoch = i % 2 ? 1 : 0x01020304;
        CHECK_INT(kdf_subkey(m, contexts[i / 2], epoch, &sub), ERR_OK);
        buf_add_fmt(out, "subkey m %s %u ", contexts[i / 2], epoch);
        put_hex(out, secret_bytes(sub), 32);
        buf_add_str(out, "\n");
    }
    CHECK_INT(kdf_material(view_str("a key file"), "keyfile", &mat), ERR_OK);
    let(out, "material", view_str("a key file"));
    buf_add_str(out, "material material keyfile ");
    put_hex(out, secret_bytes(mat), 32);
    redact_id(m, view_str("a key file"), id);
    buf_add_fmt(out, "\nredact m material %s\n", id);
}

static void argon2id(struct buf *out)
{
    AUTO(auto_secret) struct secret *key = NULL;
    static const uint8_t salt[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    CHECK_INT(kdf_passphrase(view_str("correct horse"), salt, KDF_OPS_MIN, KDF_MEM_MIN, &key, NULL),
              ERR_OK);
    buf_add_str(out, "\n# Argon2id: outcome, passphrase, salt, passes, MiB, key.\n");
    let(out, "pass", view_str("correct horse")), let(out, "salt", VIEW(salt, 16));
    buf_add_str(out, "argon2id ok pass salt 3 256 ");
    put_hex(out, secret_bytes(key), 32);
    buf_add_str(out, "\nargon2id invalid pass salt 2 256\nargon2id invalid pass salt 17 "
                     "256\nargon2id invalid pass salt 3 255\n"
                     "argon2id invalid pass salt 3 4097\nargon2id invalid pass salt 0 0\n");
}

static void audit_chain(struct buf *out)
{
    enum { LINES = 17 }; /* into the second block of keys */
    static const uint8_t log[16] = {0xab};
    AUTO(auto_secret) struct secret *k0 = key_of(0xe7), *sk = NULL;
    AUTO(chain_clear) struct chain c = {0};
    uint8_t pk[CHAIN_PK], sig[CHAIN_SIG], mac[CHAIN_MAC];
    CHECK_INT(chain_start(k0, &c), ERR_OK);
    CHECK_INT(sign_keypair(pk, &sk), ERR_OK);
    buf_add_str(out, "\n# Audit chain: k0 (or - to go on), line without mac, MAC, digest.\n");
    let_key(out, "k0", 0xe7);
    for (unsigned i = 0; i < LINES; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "{\"seq\":%u,\"event\":\"lease.issue\"}", i + 1);
        chain_next(&c, view_str(line), mac);
        buf_add_fmt(out, "chain %s ", i ? "-" : "k0");
        put_hex(out, line, strlen(line));
        buf_add_str(out, " ");
        put_hex(out, mac, sizeof(mac));
        buf_add_str(out, " ");
        put_hex(out, c.digest, sizeof(c.digest));
        buf_add_str(out, "\n");
    }
    sign_checkpoint(sk, log, c.seq, c.digest, sig);
    buf_add_str(out,
                "\n# Checkpoints: outcome, signature, edit, public key, log id, number, digest.\n");
    let(out, "sig", VIEW(sig, sizeof(sig))), let(out, "pk", VIEW(pk, sizeof(pk))),
        let(out, "log", VIEW(log, 16));
    let(out, "digest", VIEW(c.digest, 32)),
        let(out, "log2", VIEW("\xab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16));
    buf_add_str(out,
                "checkpoint ok sig - pk log 18 digest\ncheckpoint corrupt sig - pk log 17 digest\n"
                "checkpoint corrupt sig - pk log2 18 digest\ncheckpoint corrupt sig - pk log 18 k0\n"
                "checkpoint corrupt sig - k0 log 18 digest\ncheckpoint corrupt sig flip:0.0 pk log "
                "18 digest\n"
                "checkpoint corrupt sig flip:63.7 pk log 18 digest\ncheckpoint corrupt sig "
                "flip:32.0 pk log 18 digest\n");
}

static void make_all(struct buf *out)
{
    random_calls = 1 << 20;
    buf_add_str(out, "# Test vectors of broker/crypto (FORMAT.md, \"Test vectors\"). Made by "
                     "vectors_make.c, checked by vectors.c.\n"
                     "# let NAME HEX; else: what, outcome, base, edit, then what it is opened "
                     "with, then what it gives.\n"
                     "# Edits: - none, flip:BYTE.BIT, cut:LENGTH, drop:BYTES at the front, "
                     "set:BYTE=HEX, add:HEX at the end.\n");
    records(out);
    entries(out);
    headers(out);
    tokens(out);
    derivations(out);
    audit_chain(out);
    argon2id(out);
}

TEST(the_committed_vectors_are_what_the_formats_make)
{
    AUTO(buf_free) struct buf made = {0}, committed = {0};
    const char *to = getenv("CREDENTIAL_BROKER_VECTORS");
    make_all(&made);
    CHECK(!made.bad);
    AUTO(auto_fclose)
    FILE *f = fopen(to ? to : "tests/contract/vectors/crypto.txt", to ? "w" : "r");
    CHECK(f != NULL);
    if (to) {
        CHECK(fwrite(made.p, 1, made.len, f) == made.len);
        return;
    }
    CHECK(buf_reserve(&committed, made.len + 1));
    committed.len = fread(committed.p, 1, made.len + 1, f);
    CHECK(view_eq(buf_view(&made), buf_view(&committed)));
}
