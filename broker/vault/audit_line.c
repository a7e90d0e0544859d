/*
 * Lines. Invariant: only what the table names can come into the log, in the table's order, and every text goes through the JSON
 * writer's escaping, so that no peer's path can end a string, a member or a line. Nothing here parses JSON: what is read back is found
 * by its place, and only in lines whose MAC was right (a quote inside a text is escaped, so `,"name":` cannot stand in one).
 */
#include "vault/audit_line.h"

#include "base/auto.h"
#include "base/clock.h"
#include "vault/peer.h"

#include <string.h>

#define R(member) offsetof(struct audit_record, member)
#define P(member) offsetof(struct peer, member)
#define F(name)   name, ",\"" name "\":"
const struct audit_field audit_fields[] = {
    {F("seq"), AUDIT_K_SEQ, 0, "number of the line: from 1, without gaps"},
    {F("time"), AUDIT_K_TIME, 0, "wall clock when it was recorded, RFC 3339, UTC"},
    {F("event"), AUDIT_K_EVENT, R(event), "what happened"},
    {F("outcome"), AUDIT_K_OUTCOME, R(outcome),
     "ok, denied (by policy, token, expiry or limit), or error"},
    {F("reason"), AUDIT_K_REASON, R(outcome), "wire code of the error; absent when ok"},
    {F("consumer"), AUDIT_K_NAME, R(consumer), "whose socket"},
    {F("credential"), AUDIT_K_NAME, R(credential), "which credential"},
    {F("provider"), AUDIT_K_WORD, R(provider), "the credential's kind"},
    {F("delivery"), AUDIT_K_WORD, R(delivery), "how it was released"},
    {F("lease"), AUDIT_K_LEASE, R(lease), "lease id"},
    {F("leases"), AUDIT_K_LEASES, R(leases), "ids of all leases that it was about, where several"},
    {F("account"), AUDIT_K_REDACTED, R(account), "redaction id of the login's account"},
    {F("token"), AUDIT_K_REDACTED, R(token), "redaction id of the token that was presented"},
    {F("source"), AUDIT_K_WORD, R(source),
     "key source; or the kind of client that renews; or why a refresh began"},
    {F("role"), AUDIT_K_WORD, R(role), "worker process"},
    {F("ttl_ms"), AUDIT_K_MS, R(ttl_ms), "life of the lease"},
    {F("uses"), AUDIT_K_COUNT, R(uses), "uses of the lease; absent when unlimited"},
    {F("count"), AUDIT_K_COUNT, R(count),
     "how many leases, records or bytes it was about; of request.begin: how many requests may run "
     "under it, one after another"},
    {F("version"), AUDIT_K_COUNT, R(version), "version of the credential"},
    {F("serial"), AUDIT_K_COUNT, R(serial),
     "proxied request: its number; begin and end have the same"},
    {F("method"), AUDIT_K_METHOD, R(method), "proxied request: its method"},
    {F("path"), AUDIT_K_PATH, R(path),
     "proxied request: path of the rule that allowed it, or the beginning of its own; never a "
     "query"},
    {F("model"), AUDIT_K_MODEL, R(model), "proxied request: the model"},
    {F("http_status"), AUDIT_K_COUNT, R(http_status),
     "proxied request: status that the client got; refresh: of its provider's answer"},
    {F("in_bytes"), AUDIT_K_COUNT, R(in_bytes), "proxied request: bytes of its body"},
    {F("out_bytes"), AUDIT_K_COUNT, R(out_bytes), "proxied request: bytes of the reply's body"},
    {F("duration_ms"), AUDIT_K_MS, R(duration_ms),
     "proxied request, refresh: from its begin to its end"},
    {F("first_ms"), AUDIT_K_MS, R(first_ms), "proxied request: to the reply's head"},
    {F("input"), AUDIT_K_COUNT, R(input), "proxied request: input tokens, without cached ones"},
    {F("output"), AUDIT_K_COUNT, R(output), "proxied request: output tokens"},
    {F("cache_read"), AUDIT_K_COUNT, R(cache_read), "proxied request: tokens read from a cache"},
    {F("cache_write"), AUDIT_K_COUNT, R(cache_write), "proxied request: tokens written to a cache"},
    {F("cost_microusd"), AUDIT_K_COUNT, R(cost),
     "proxied request: its price in millionths of a dollar"},
    {F("status"), AUDIT_K_STATUS, R(status), "wait status of the worker"},
    {F("uid"), AUDIT_K_ID, P(uid), "peer: user, as the kernel says"},
    {F("gid"), AUDIT_K_ID, P(gid), "peer: group, as the kernel says"},
    {F("pid"), AUDIT_K_PID, P(pid), "peer: process, as the kernel says"},
    {F("exe"), AUDIT_K_EXE, P(exe), "peer: path of its executable; recorded, never trusted"},
    {F("manifest_seq"), AUDIT_K_COUNT, R(manifest_seq), "number of the store's newest change"},
    {F("manifest_hash"), AUDIT_K_HASH, R(manifest_hash), "hash of the store's newest change"},
    {F("key_serial"), AUDIT_K_COUNT, R(key_serial), "number of the key header's newest change"},
    {F("log"), AUDIT_K_LOG, 0, "checkpoint: id of the log"},
    {F("sig"), AUDIT_K_SIG, 0, "checkpoint: Ed25519 signature over all lines before"},
    {F("mac"), AUDIT_K_MAC, 0, "keyed BLAKE2b over the line and the mac before it"},
};
const size_t audit_n_fields = COUNT(audit_fields);

static const char *const event_names[] = {
#define EVENT_NAME(n, s, r) s,
    AUDIT_EVENTS(EVENT_NAME)
#undef EVENT_NAME
};
static const bool event_release[] = {
#define EVENT_RELEASE(n, s, r) r,
    AUDIT_EVENTS(EVENT_RELEASE)
#undef EVENT_RELEASE
};

const char *audit_event_name(enum audit_event e)
{
    return (unsigned)e < AUDIT__COUNT ? event_names[e] : "unknown";
}

bool audit_event_is_release(enum audit_event e)
{
    return (unsigned)e >= AUDIT__COUNT || event_release[e];
}

static const char *outcome_name(err_t e)
{
    static const err_t denied[] = {ERR_DENIED, ERR_AUTH, ERR_EXPIRED, ERR_LIMIT};
    for (size_t i = 0; i < COUNT(denied); i++)
        if (e == denied[i])
            return "denied";
    return e == ERR_OK ? "ok" : "error";
}

/* ---- record → line: each record passes here before its answer, hence without a call per byte */

static void put_text(struct buf *out, const char *key, const char *s, size_t max)
{
    size_t n = s ? strnlen(s, max) : 0;
    if (n == 0)
        return;
    buf_add(out, key, strlen(key));
    if (jsonw_plain(VIEW(s, n)) < n) {
        struct jsonw w = jsonw_to(out);
        jsonw_view(&w, NULL, VIEW(s, n));
        return;
    }
    buf_add(out, "\"", 1);
    buf_add(out, s, n);
    buf_add(out, "\"", 1);
}

static void put_int(struct buf *out, const char *key, int64_t v)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--at] = '-';
    buf_add(out, key, strlen(key));
    buf_add(out, digits + at, sizeof(digits) - at);
}

static void put_count(struct buf *out, const char *key, int64_t v)
{
    if (v)
        put_int(out, key, v < 0 ? INT64_MAX : v); /* a count over 2^63 is not one */
}

static void put_hex(struct buf *out, const char *key, const uint8_t *p, size_t n)
{
    char hex[2 * CHAIN_SIG + 1];
    if (!p)
        return;
    hex_encode(p, n, hex);
    put_text(out, key, hex, sizeof(hex));
}

/* The fields that a record does not hold as they are written. */
static void put_own(struct buf *out, const struct audit_field *f, const struct audit_record *r,
                    const struct audit_stamp *st)
{
    char time[CLOCK_RFC3339_LEN + 1];
    switch (f->kind) {
    case AUDIT_K_SEQ:
        buf_add(out, "{", 1);
        put_int(out, f->key + 1, (int64_t)st->seq);
        break;
    case AUDIT_K_TIME:
        clock_rfc3339(st->wall_ms, time);
        put_text(out, f->key, time, sizeof(time));
        break;
    case AUDIT_K_EVENT:
        put_text(out, f->key, audit_event_name(r->event), SIZE_MAX);
        break;
    case AUDIT_K_OUTCOME:
        put_text(out, f->key, outcome_name(r->outcome), SIZE_MAX);
        break;
    case AUDIT_K_REASON:
        put_text(out, f->key, r->outcome == ERR_OK ? NULL : err_wire(r->outcome), SIZE_MAX);
        break;
    case AUDIT_K_LOG:
        put_hex(out, f->key, st->log_id, 16);
        break;
    default:
        put_hex(out, f->key, st->sig, CHAIN_SIG);
        break;
    }
}

static void put_peer(struct buf *out, const struct audit_field *f, const struct peer *peer)
{
    const void *at = (const uint8_t *)peer + f->offset;
    if (f->kind == AUDIT_K_ID)
        put_int(out, f->key, *(const uint32_t *)at);
    else if (f->kind == AUDIT_K_PID)
        put_int(out, f->key, *(const int32_t *)at);
    else
        put_text(out, f->key, at, PEER_EXE_MAX);
}

static void put_field(struct buf *out, const struct audit_field *f, const struct audit_record *r)
{
    const void *at = (const uint8_t *)r + f->offset;
    switch (f->kind) {
    case AUDIT_K_NAME:
    case AUDIT_K_WORD:
    case AUDIT_K_LEASE:
    case AUDIT_K_REDACTED:
    case AUDIT_K_METHOD:
    case AUDIT_K_PATH:
    case AUDIT_K_MODEL:
        put_text(out, f->key, *(const char *const *)at, PEER_EXE_MAX);
        break;
    case AUDIT_K_LEASES:
        put_text(out, f->key, *(const char *const *)at, AUDIT_LINE_MAX);
        break;
    case AUDIT_K_COUNT:
    case AUDIT_K_MS:
        put_count(out, f->key, *(const int64_t *)at);
        break;
    case AUDIT_K_STATUS:
        if (r->has_status)
            put_int(out, f->key, *(const int64_t *)at);
        break;
    case AUDIT_K_HASH:
        put_hex(out, f->key, *(const uint8_t *const *)at, 16);
        break;
    default:
        if (r->peer)
            put_peer(out, f, r->peer);
        break;
    }
}

void audit_line_body(const struct audit_record *r, const struct audit_stamp *st, struct buf *out)
{
    for (const struct audit_field *f = audit_fields; f->kind != AUDIT_K_MAC; f++)
        if (f->kind <= AUDIT_K_REASON || f->kind == AUDIT_K_LOG || f->kind == AUDIT_K_SIG)
            put_own(out, f, r, st);
        else
            put_field(out, f, r);
    buf_add(out, "}", 1);
}

void audit_line_finish(struct buf *out, const uint8_t mac[CHAIN_MAC])
{
    char member[AUDIT_MAC_MEMBER + 2] = ",\"mac\":\"";
    hex_encode(mac, CHAIN_MAC, member + 8);
    memcpy(member + AUDIT_MAC_MEMBER - 2, "\"}\n", 3);
    out->len--; /* the body's brace comes behind the mac */
    buf_add(out, member, AUDIT_MAC_MEMBER + 1);
}

/* ---- line → what is needed of it */

bool audit_line_seq(struct view line, uint64_t *seq)
{
    static const char begin[] = "{\"seq\":";
    const size_t n = sizeof(begin) - 1;
    uint64_t v = 0;
    size_t i = n;
    if (line.n < n || memcmp(line.p, begin, n) != 0)
        return false;
    for (; i < line.n && line.p[i] >= '0' && line.p[i] <= '9' && i < n + 18; i++)
        v = v * 10 + (uint64_t)(line.p[i] - '0');
    if (i == n || line.p[n] == '0' || i >= line.n || line.p[i] != ',')
        return false;
    *seq = v;
    return true;
}

bool audit_line_parse(struct view line, struct audit_parsed *out, struct buf *body)
{
    struct audit_parsed p;
    if (line.n <= AUDIT_MAC_MEMBER || !audit_line_seq(line, &p.seq))
        return false;
    const uint8_t *last = line.p + line.n - AUDIT_MAC_MEMBER;
    if (!view_is(VIEW(last, 8), ",\"mac\":\"") ||
        !view_is(VIEW(last + AUDIT_MAC_MEMBER - 2, 2), "\"}") ||
        !hex_decode(VIEW(last + 8, 2 * CHAIN_MAC), p.mac, CHAIN_MAC))
        return false;
    buf_reset(body);
    buf_add(body, line.p, line.n - AUDIT_MAC_MEMBER);
    buf_put_u8(body, '}');
    *out = p;
    return !body->bad;
}

/* What stands behind `,"name":`; empty when there is no such member. */
static struct view member(struct view body, const char *name)
{
    char key[64];
    int n = snprintf(key, sizeof(key), ",\"%s\":", name);
    const uint8_t *at = memmem(body.p, body.n, key, (size_t)n);
    return at ? VIEW(at + n, body.n - (size_t)(at + n - body.p)) : VIEW(NULL, 0);
}

bool audit_line_is(struct view body, enum audit_event e)
{
    const char *name = audit_event_name(e);
    size_t n = strlen(name);
    struct view v = member(body, "event");
    return v.n > n + 2 && v.p[0] == '"' && memcmp(v.p + 1, name, n) == 0 && v.p[n + 1] == '"';
}

bool audit_line_count(struct view body, const char *field, uint64_t *out)
{
    struct view v = member(body, field);
    uint64_t n = 0;
    size_t i = 0;
    for (; i < v.n && i < 19 && v.p[i] >= '0' && v.p[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    if (i == 0)
        return false;
    *out = n;
    return true;
}

bool audit_line_hash(struct view body, const char *field, uint8_t out[16])
{
    struct view v = member(body, field);
    return v.n > 34 && v.p[0] == '"' && v.p[33] == '"' && hex_decode(VIEW(v.p + 1, 32), out, 16);
}
