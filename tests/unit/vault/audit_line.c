/*
 * Lines: every field in its form, nothing else; and contrib/audit-schema.json is what the tables say. After a change of a table:
 *     AUDIT_SCHEMA_WRITE=1 build/unit/vault/audit_line schema
 */
#include "vault/audit_line.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/jsonw.h"
#include "check.h"
#include "vault/expired.h"
#include "vault/peer.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

static const char schema_file[] = "contrib/audit-schema.json";

/* ---- the schema (JSON Schema, draft 2020-12) */

static const char *const forms[AUDIT_K__COUNT] = {
    [AUDIT_K_SEQ] = "\"type\": \"integer\", \"minimum\": 1",
    [AUDIT_K_TIME] = "\"type\": \"string\", \"pattern\": \"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\\\.[0-9]{3}Z$\"",
    [AUDIT_K_OUTCOME] = "\"enum\": [\"ok\", \"denied\", \"error\"]",
    [AUDIT_K_NAME] = "\"type\": \"string\", \"pattern\": \"^[a-z0-9][a-z0-9._-]{0,63}$\"",
    [AUDIT_K_WORD] = "\"type\": \"string\", \"pattern\": \"^[a-z0-9][a-z0-9._-]{0,63}$\"",
    [AUDIT_K_LEASE] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{32}$\"",
    [AUDIT_K_LEASES] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{32}( [0-9a-f]{32})+$\"",
    [AUDIT_K_REDACTED] = "\"type\": \"string\", \"pattern\": \"^r:[0-9a-f]{16}$\"",
    [AUDIT_K_METHOD] = "\"type\": \"string\", \"pattern\": \"^[A-Z]{1,16}$\"",
    [AUDIT_K_PATH] = "\"type\": \"string\", \"pattern\": \"^[!-~]{1,64}$\"",
    [AUDIT_K_MODEL] = "\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9._:/@+-]{1,64}$\"",
    [AUDIT_K_COUNT] = "\"type\": \"integer\", \"minimum\": 1",
    [AUDIT_K_MS] = "\"type\": \"integer\", \"minimum\": 1",
    [AUDIT_K_STATUS] = "\"type\": \"integer\"",
    [AUDIT_K_ID] = "\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295",
    [AUDIT_K_PID] = "\"type\": \"integer\", \"minimum\": 1",
    [AUDIT_K_EXE] = "\"type\": \"string\", \"maxLength\": 128",
    [AUDIT_K_HASH] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{32}$\"",
    [AUDIT_K_LOG] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{32}$\"",
    [AUDIT_K_SIG] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{128}$\"",
    [AUDIT_K_MAC] = "\"type\": \"string\", \"pattern\": \"^[0-9a-f]{64}$\"",
};

static void add_enum(struct buf *b, enum audit_kind kind)
{
    const char *comma = "";
    buf_add_str(b, "\"enum\": [");
    for (unsigned i = kind == AUDIT_K_EVENT ? 0 : 1; i < (kind == AUDIT_K_EVENT ? AUDIT__COUNT : (unsigned)ERR__COUNT); i++) {
        buf_add_fmt(b, "%s\n                \"%s\"", comma, kind == AUDIT_K_EVENT ? audit_event_name(i) : err_wire(i));
        comma = ",";
    }
    buf_add_str(b, "\n            ]");
}

static void make_schema(struct buf *b)
{
    buf_add_str(b, "{\n    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                   "    \"title\": \"One line of the audit log\",\n"
                   "    \"description\": \"JSON Lines in audit-NNNNNN.jsonl. Generated from the tables in broker/vault; a test "
                   "checks that it is what they say.\",\n"
                   "    \"type\": \"object\",\n    \"additionalProperties\": false,\n"
                   "    \"required\": [\"seq\", \"time\", \"event\", \"outcome\", \"mac\"],\n    \"properties\": {\n");
    for (size_t i = 0; i < audit_n_fields; i++) {
        const struct audit_field *f = &audit_fields[i];
        buf_add_fmt(b, "        \"%s\": {\n            \"description\": \"%s\",\n            ", f->name, f->doc);
        if (forms[f->kind])
            buf_add_str(b, forms[f->kind]);
        else
            add_enum(b, f->kind);
        buf_add_fmt(b, "\n        }%s\n", i + 1 < audit_n_fields ? "," : "");
    }
    buf_add_str(b, "    },\n    \"allOf\": [\n"
                   "        { \"if\": { \"properties\": { \"outcome\": { \"const\": \"ok\" } } },\n"
                   "          \"then\": { \"not\": { \"required\": [\"reason\"] } },\n"
                   "          \"else\": { \"required\": [\"reason\"] } },\n"
                   "        { \"if\": { \"properties\": { \"event\": { \"const\": \"audit.checkpoint\" } } },\n"
                   "          \"then\": { \"required\": [\"log\", \"sig\"] },\n"
                   "          \"else\": { \"not\": { \"anyOf\": [{ \"required\": [\"log\"] }, { \"required\": [\"sig\"] }] } } }\n"
                   "    ],\n"
                   "    \"dependentRequired\": { \"uid\": [\"gid\", \"pid\"], \"manifest_seq\": [\"manifest_hash\"] }\n}\n");
}

TEST(the_schema_in_contrib_is_what_the_tables_say)
{
    AUTO(buf_free) struct buf want = {0}, have = {0};
    struct why why = {0};
    make_schema(&want);
    CHECK_OK(buf_ok(&want, &why), why);
    if (getenv("AUDIT_SCHEMA_WRITE"))
        CHECK_OK(file_write_atomic_at(AT_FDCWD, schema_file, buf_view(&want), 0644, &why), why);
    json_t *parsed = json_loads(buf_text(&want), JSON_REJECT_DUPLICATES, NULL);
    CHECK(parsed);
    json_decref(parsed);
    if (access(schema_file, F_OK) != 0)
        SKIP("not run from the top of the tree");
    CHECK_OK(file_read_at(AT_FDCWD, schema_file, 1 << 20, &have, &why), why);
    CHECK(view_eq(buf_view(&have), buf_view(&want)));
}

/* ---- record → line */

static const uint8_t hash[16] = {0xde, 0xad, [15] = 1};

static const char *body_of(const struct audit_record *r, const struct audit_stamp *st, struct buf *out)
{
    buf_reset(out);
    audit_line_body(r, st, out);
    return buf_text(out);
}

TEST(a_record_says_what_it_holds_and_nothing_else)
{
    AUTO(buf_free) struct buf b = {0};
    const struct audit_stamp st = {.seq = 7, .wall_ms = 1795990117123};
    struct audit_record r = {.event = AUDIT_START};
    CHECK_STR(body_of(&r, &st, &b), "{\"seq\":7,\"time\":\"2026-11-29T22:08:37.123Z\",\"event\":\"broker.start\",\"outcome\":\"ok\"}");
    struct peer peer = {.uid = 0, .gid = 100, .pid = 4711, .exe = "/usr/bin/x"};
    r = (struct audit_record){
        .event = AUDIT_LEASE_DENIED, .outcome = ERR_DENIED, .consumer = "gateway", .credential = "claude", .provider = "claude",
        .delivery = "file", .lease = "00112233445566778899aabbccddeeff", .account = "r:0011223344556677", .token = "r:8899aabbccddeeff",
        .source = "keyfile", .role = "api", .peer = &peer, .ttl_ms = 900000, .uses = 3, .count = 4, .version = 5, .manifest_seq = 6,
        .manifest_hash = hash, .key_serial = 8, .status = -1, .has_status = true};
    CHECK_STR(body_of(&r, &st, &b),
              "{\"seq\":7,\"time\":\"2026-11-29T22:08:37.123Z\",\"event\":\"lease.denied\",\"outcome\":\"denied\",\"reason\":\"denied\","
              "\"consumer\":\"gateway\",\"credential\":\"claude\",\"provider\":\"claude\",\"delivery\":\"file\","
              "\"lease\":\"00112233445566778899aabbccddeeff\",\"account\":\"r:0011223344556677\",\"token\":\"r:8899aabbccddeeff\","
              "\"source\":\"keyfile\",\"role\":\"api\",\"ttl_ms\":900000,\"uses\":3,\"count\":4,\"version\":5,\"status\":-1,"
              "\"uid\":0,\"gid\":100,\"pid\":4711,\"exe\":\"/usr/bin/x\",\"manifest_seq\":6,"
              "\"manifest_hash\":\"dead0000000000000000000000000001\",\"key_serial\":8}");
}

TEST(outcomes_are_three_with_the_wire_code_as_reason)
{
    AUTO(buf_free) struct buf b = {0};
    const struct audit_stamp st = {.seq = 1};
    for (unsigned e = 1; e < ERR__COUNT; e++) {
        struct audit_record r = {.event = AUDIT_STOP, .outcome = e};
        bool denied = e == ERR_DENIED || e == ERR_AUTH || e == ERR_EXPIRED || e == ERR_LIMIT;
        char want[100];
        (void)snprintf(want, sizeof(want), ",\"outcome\":\"%s\",\"reason\":\"%s\"}", denied ? "denied" : "error", err_wire(e));
        CHECK(strstr(body_of(&r, &st, &b), want));
    }
}

TEST(a_peers_path_cannot_end_a_string_or_a_line)
{
    AUTO(buf_free) struct buf b = {0};
    const struct audit_stamp st = {.seq = 1};
    struct peer peer = {.exe = "/a\",\"manifest_seq\":9,\"x\":\"\n\x01\xff\\"};
    struct audit_record r = {.event = AUDIT_STOP, .peer = &peer};
    const char *text = body_of(&r, &st, &b);
    uint64_t seq = 0;
    CHECK(!strchr(text, '\n'));
    CHECK(!audit_line_count(VIEW(text, strlen(text)), "manifest_seq", &seq));
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    CHECK(j);
    CHECK_STR(json_string_value(json_object_get(j, "exe")), "/a\",\"manifest_seq\":9,\"x\":\"\n\x01\xef\xbf\xbd\\");
    json_decref(j);
    memset(peer.exe, '\x01', sizeof(peer.exe)); /* not even ended: 128 bytes at most, each as six */
    text = body_of(&r, &st, &b);
    CHECK(b.len < AUDIT_LINE_MAX / 2);
    j = json_loads(text, 0, NULL);
    CHECK(j && strlen(json_string_value(json_object_get(j, "exe"))) == 128);
    json_decref(j);
}

TEST(the_longest_record_fits_a_line)
{
    AUTO(buf_free) struct buf b = {.max = AUDIT_LINE_MAX};
    char name[200];
    struct peer peer = {.uid = UINT32_MAX, .gid = UINT32_MAX, .pid = INT32_MAX};
    memset(name, '\x01', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    memset(peer.exe, '\x01', sizeof(peer.exe));
    static const uint8_t sig[CHAIN_SIG], mac[CHAIN_MAC];
    /* names are checked at the door, so 64 bytes of [a-z0-9._-]; a path alone can be hostile */
    memset(name, 'x', 64);
    name[64] = 0;
    static char ids[sizeof(((struct expired *)0)->ids)];
    memset(ids, 'x', sizeof(ids) - 1);
    struct audit_record r = {.event = AUDIT_CONSUMER_REMOVE, .outcome = ERR_UNINIT, .consumer = name, .credential = name,
        .provider = name, .delivery = name, .lease = name, .leases = ids, .account = name, .token = name, .source = name, .role = name,
        .peer = &peer, .ttl_ms = INT64_MAX, .uses = INT64_MAX, .count = INT64_MAX, .version = INT64_MAX,
        .manifest_seq = INT64_MAX, .manifest_hash = hash, .key_serial = INT64_MAX, .status = INT64_MIN, .has_status = true};
    const struct audit_stamp st = {.seq = INT64_MAX, .wall_ms = INT64_MAX, .log_id = hash, .sig = sig};
    audit_line_body(&r, &st, &b);
    audit_line_finish(&b, mac);
    CHECK(!b.bad);
    CHECK(b.len < AUDIT_LINE_MAX);
}

TEST(every_event_has_a_name_of_its_own)
{
    for (unsigned i = 0; i < AUDIT__COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            CHECK(strcmp(audit_event_name(i), audit_event_name(k)) != 0);
    CHECK_STR(audit_event_name(AUDIT__COUNT), "unknown");
    CHECK(audit_event_is_release(AUDIT_LEASE_ISSUE));
    CHECK(!audit_event_is_release(AUDIT_LEASE_EXPIRED));
    CHECK(audit_event_is_release(AUDIT__COUNT)); /* the careful answer */
}

/* Every key that any record can bring is a property of the schema, and in its order. */
TEST(no_line_has_a_field_that_the_table_does_not_have)
{
    AUTO(buf_free) struct buf b = {0};
    struct peer peer = {.uid = 1, .exe = "x"};
    static const uint8_t sig[CHAIN_SIG], mac[CHAIN_MAC];
    struct audit_record r = {.event = AUDIT_CHECKPOINT, .outcome = ERR_IO, .consumer = "a", .credential = "a", .provider = "a",
        .delivery = "a", .lease = "a", .leases = "a", .account = "a", .token = "a", .source = "a", .role = "a", .peer = &peer, .ttl_ms = 1,
        .uses = 1, .count = 1, .version = 1, .manifest_seq = 1, .manifest_hash = hash, .key_serial = 1, .has_status = true, .method = "GET",
        .path = "/", .model = "m", .serial = 1, .http_status = 1, .in_bytes = 1, .out_bytes = 1, .duration_ms = 1, .first_ms = 1, .input = 1,
        .output = 1, .cache_read = 1, .cache_write = 1, .cost = 1};
    const struct audit_stamp st = {.seq = 1, .log_id = hash, .sig = sig};
    audit_line_body(&r, &st, &b);
    audit_line_finish(&b, mac);
    CHECK_INT(b.p[b.len - 1], '\n');
    json_t *j = json_loads(buf_text(&b), JSON_REJECT_DUPLICATES, NULL);
    CHECK(j);
    CHECK_INT(json_object_size(j), audit_n_fields);
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach(j, key, value)
        CHECK_STR(key, audit_fields[i++].name);
    json_decref(j);
}

/* ---- line → what is needed of it */

TEST(a_line_is_taken_apart_into_what_was_chained)
{
    AUTO(buf_free) struct buf b = {0}, body = {0}, again = {0};
    struct audit_record r = {.event = AUDIT_STORE_COMMIT, .manifest_seq = 42, .manifest_hash = hash};
    const struct audit_stamp st = {.seq = 12345, .wall_ms = 1};
    const uint8_t mac[CHAIN_MAC] = {9, 8, 7};
    struct audit_parsed p = {0};
    uint64_t n = 0;
    uint8_t h[16];
    audit_line_body(&r, &st, &again);
    audit_line_body(&r, &st, &b);
    audit_line_finish(&b, mac);
    CHECK(audit_line_parse(VIEW(b.p, b.len - 1), &p, &body));
    CHECK_INT(p.seq, 12345);
    CHECK(memcmp(p.mac, mac, CHAIN_MAC) == 0);
    CHECK(view_eq(buf_view(&body), buf_view(&again)));
    CHECK(audit_line_is(buf_view(&body), AUDIT_STORE_COMMIT));
    CHECK(!audit_line_is(buf_view(&body), AUDIT_STORE_ACCEPT));
    CHECK(audit_line_count(buf_view(&body), "manifest_seq", &n) && n == 42);
    CHECK(!audit_line_count(buf_view(&body), "uses", &n));
    CHECK(!audit_line_count(buf_view(&body), "manifest_hash", &n));
    CHECK(audit_line_hash(buf_view(&body), "manifest_hash", h) && memcmp(h, hash, 16) == 0);
    CHECK(!audit_line_hash(buf_view(&body), "event", h));
}

TEST(what_is_no_line_is_refused)
{
    static const char mac[] = "\"mac\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}";
    static const char *const bad[] = {
        "{\"seq\":,", "{\"seq\":0,", "{\"seq\":01,", "{\"seq\":x,", "{\"seq\": 1,", "{\"seq\":-1,", "{\"seQ\":1,", " {\"seq\":1,",
        "{\"seq\":1234567890123456789012,", "{\"seq\":1;", "", "{\"seq\":1"};
    AUTO(buf_free) struct buf b = {0}, body = {0};
    struct audit_parsed p;
    for (size_t i = 0; i < COUNT(bad); i++) {
        buf_reset(&b);
        buf_add_fmt(&b, "%s\"a\":1,%s", bad[i], mac);
        CHECK(!audit_line_parse(buf_view(&b), &p, &body));
    }
    buf_reset(&b);
    buf_add_fmt(&b, "{\"seq\":1,\"a\":1,%s", mac);
    CHECK(audit_line_parse(buf_view(&b), &p, &body));
    for (size_t n = 0; n < b.len; n++) /* cut anywhere */
        CHECK(!audit_line_parse(VIEW(b.p, n), &p, &body));
    for (size_t k = b.len - AUDIT_MAC_MEMBER; k < b.len; k++) { /* or with another byte in the mac member */
        uint8_t was = b.p[k];
        b.p[k] = 'G';
        CHECK(!audit_line_parse(buf_view(&b), &p, &body));
        b.p[k] = was;
    }
    struct buf small = {.max = 8};
    CHECK(!audit_line_parse(buf_view(&b), &p, &small));
    buf_free(&small);
}
