/*
 * Every row of tests/hostile/requests.txt gets from the gate and the chunk reader the verdicts that stand in it, whole and cut anywhere;
 * then the generator's requests (HOSTILE_N of them, HOSTILE_SEED) are held against a second, dumb reading of what was let through.
 */
#include "proxy/chunk.h"
#include "proxy/gate.h"

#include "base/auto.h"
#include "check.h"

#include <ctype.h>
#include <strings.h>

enum { ROWS_MIN = 500, LINE_MAX_ = 1 << 16, REQUESTS_MAX = 64, RAW_MAX = 1 << 18 };
#define TOKEN "sk-ant-api03-ours-0123456789"
#define FOREIGN "sk-ant-api03-foreign-9876543210"
static const char file[] = "tests/hostile/requests.txt";

/* ---- one connection's bytes and their verdicts: "pass,400" */

/* A chunked body at the front of *v. */
static const char *take_chunks(struct view *v)
{
    struct chunk_reader r = {0};
    struct view data;
    enum chunk_result c;
    while ((c = chunk_next(&r, v, &data)) == CHUNK_DATA)
        continue;
    return c == CHUNK_END ? "pass" : c == CHUNK_BAD ? "body" : "short";
}

/* A request at the front of *v. */
static const char *take_request(struct view *v, struct gate_request *q, size_t *used)
{
    static char status[8];
    struct gate_refusal no;
    enum gate_result r = gate_request(*v, q, used, &no);
    if (r == GATE_MORE)
        return "more";
    (void)snprintf(status, sizeof(status), "%u", r == GATE_REFUSED ? no.status : 426);
    if (r == GATE_REFUSED || q->upgrade)
        return status;
    *v = VIEW(v->p + *used, v->n - *used);
    if (q->body == GATE_BODY_CHUNKED)
        return take_chunks(v);
    if (q->length > v->n)
        return "short";
    *v = VIEW(v->p + q->length, v->n - (size_t)q->length);
    return "pass";
}

static void verdicts(struct view v, char *out, size_t cap)
{
    static struct gate_request q;
    size_t n = 0, used;
    const char *one = "pass";
    while (v.n && strcmp(one, "pass") == 0 && n + 8 < cap) {
        one = take_request(&v, &q, &used);
        n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? "," : "", one);
    }
}

/* ---- the rows */

static unsigned hex(char c)
{
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

/* Appends what the text stands for, up to `end` or its own; returns where it stopped. False in *good: no such escape. */
static const char *expand(const char *s, char end, struct buf *out, bool *good)
{
    static const char name[] = "rnt0\\", byte[] = "\r\n\t\0\\";
    for (; *s && *s != end && *good; s++) {
        const char *at = s[0] == '\\' && s[1] ? strchr(name, s[1]) : NULL;
        if (*s != '\\') {
            buf_put_u8(out, (uint8_t)*s);
            continue;
        }
        s++;
        if (at) {
            buf_put_u8(out, (uint8_t)byte[at - name]);
        } else if (*s == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
            buf_put_u8(out, (uint8_t)(hex(s[1]) << 4 | hex(s[2])));
            s += 2;
        } else if (*s == 'T' || *s == 'K') {
            buf_add_str(out, *s == 'T' ? TOKEN : FOREIGN);
        } else {
            *good = *s == '*';
            char *text = NULL;
            unsigned long times = strtoul(s + 1, &text, 10);
            *good = *good && *text == '(' && times;
            for (unsigned long i = 0; i < times && *good; i++)
                s = expand(text + 1, ')', out, good);
            *good = *good && *s == ')';
        }
    }
    return s;
}

typedef void row_fn(const char *name, const char *want, struct view raw);

static unsigned each_row(row_fn *fn)
{
    static char line[LINE_MAX_];
    unsigned n = 0;
    AUTO(auto_fclose) FILE *f = fopen(file, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f)) {
        AUTO(buf_free) struct buf raw = {0};
        bool good = true;
        CHECK(strchr(line, '\n') != NULL);
        *strchr(line, '\n') = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        char *want = strchr(line, ' '), *bytes = want ? strchr(want + 1, ' ') : NULL;
        CHECK(bytes != NULL);
        *want++ = *bytes++ = '\0';
        (void)expand(bytes, '\0', &raw, &good);
        if (!good)
            printf("    %s: no such escape\n", line);
        CHECK(good && raw.len);
        fn(line, want, buf_view(&raw));
        n++;
    }
    return n;
}

static unsigned wrong;
static void row_has_its_verdicts(const char *name, const char *want, struct view raw)
{
    char got[512] = "";
    verdicts(raw, got, sizeof(got));
    if (strcmp(got, want) == 0)
        return;
    printf("    %s gives %s, not %s\n", name, got, want);
    wrong++;
}

TEST(every_row_has_its_verdicts)
{
    wrong = 0;
    CHECK(each_row(row_has_its_verdicts) >= ROWS_MIN);
    CHECK_INT(wrong, 0);
}

/* The first head: any front part asks for more, or says what the whole says. */
static void row_may_be_cut(const char *name, const char *want, struct view raw)
{
    static struct gate_request q;
    struct gate_refusal whole = {0}, part = {0};
    size_t used = 0, step = raw.n / 700 + 1;
    enum gate_result r = gate_request(raw, &q, &used, &whole);
    (void)want;
    for (size_t n = 0; n < raw.n; n += step) {
        size_t now = 0;
        enum gate_result p = gate_request(VIEW(raw.p, n), &q, &now, &part);
        bool same = p == r && (p != GATE_OK || now == used) && (p != GATE_REFUSED || part.reason == whole.reason);
        if (p != GATE_MORE && !same)
            printf("    %s, cut at %zu\n", name, n);
        CHECK(p == GATE_MORE || same);
        CHECK(r != GATE_OK || (n < used) == (p == GATE_MORE));
    }
}

TEST(every_row_may_be_cut_anywhere)
{
    (void)each_row(row_may_be_cut);
}

static unsigned count_of[8];
static void row_is_counted(const char *name, const char *want, struct view raw)
{
    static const char *const kind[] = {"pass", "body", "short", "more", "426", "431", "501", "400"};
    (void)name;
    (void)raw;
    for (size_t i = 0; i < COUNT(kind); i++)
        count_of[i] += strncmp(want, kind[i], strlen(kind[i])) == 0;
}

TEST(the_rows_are_of_every_kind)
{
    static unsigned least[] = {100, 50, 10, 10, 10, 5, 30, 300};
    memset(count_of, 0, sizeof(count_of));
    (void)each_row(row_is_counted);
    for (size_t i = 0; i < COUNT(least); i++)
        CHECK(count_of[i] >= least[i]);
}

/* ---- what the generator makes */

static unsigned lines_beginning(struct view head, const char *name)
{
    unsigned n = 0;
    size_t len = strlen(name);
    for (size_t i = 0; i + len < head.n; i++)
        n += head.p[i] == '\n' && i + 1 + len <= head.n && strncasecmp((const char *)head.p + i + 1, name, len) == 0;
    return n;
}

/* A head that was let through, read by somebody who knows no grammar. */
static void check_dumbly(struct view head)
{
    const uint8_t *end = memchr(head.p, '\r', head.n);
    CHECK(end && !memmem(head.p, head.n - 1, "\r\n\r\n", 4));
    for (size_t i = 0; i < head.n; i++) {
        CHECK(head.p[i] < 0x7f && head.p[i] != 0);
        CHECK((head.p[i] == '\n') == (i && head.p[i - 1] == '\r'));
    }
    struct view line = VIEW(head.p, (size_t)(end - head.p));
    CHECK(memmem(line.p, line.n, " /", 2) && (memmem(line.p, line.n, " HTTP/1.1", 9) || memmem(line.p, line.n, " HTTP/1.0", 9)));
    CHECK(!memchr(line.p, ';', line.n) && !memchr(line.p, '\\', line.n) && !memchr(line.p, '#', line.n));
    unsigned lengths = lines_beginning(head, "content-length:"), codings = lines_beginning(head, "transfer-encoding:");
    CHECK_INT(lines_beginning(head, "host:"), 1);
    CHECK(lengths + codings <= 1);
    CHECK_INT(lines_beginning(head, "content_length:") + lines_beginning(head, "transfer_encoding:"), 0);
    CHECK_INT(lines_beginning(head, "content-length ") + lines_beginning(head, "transfer-encoding "), 0);
    CHECK_INT(lines_beginning(head, " ") + lines_beginning(head, "\t"), 0);
    CHECK_INT(lines_beginning(head, "x-http-method:") + lines_beginning(head, "x-http-method-override:"), 0);
}

static void check_generated(struct view v, unsigned *passed)
{
    static struct gate_request q;
    const char *one = "pass";
    row_may_be_cut("generated", "", v);
    for (size_t used = 0; v.n && strcmp(one, "pass") == 0; used = 0) {
        struct view at = v;
        one = take_request(&v, &q, &used);
        if (used) {
            check_dumbly(VIEW(at.p, used));
            ++*passed;
        }
    }
}

TEST(generated_requests_keep_the_promises)
{
    static uint8_t raw[RAW_MAX];
    char command[128];
    const char *n = getenv("HOSTILE_N"), *seed = getenv("HOSTILE_SEED");
    if (system("python3 -c '' 2>/dev/null") != 0)
        SKIP("no python3");
    (void)snprintf(command, sizeof(command), "python3 tests/hostile/generate.py %lu %lu", strtoul(seed ? seed : "1", NULL, 10), strtoul(n ? n : "3000", NULL, 10));
    FILE *f = popen(command, "r");
    CHECK(f != NULL);
    unsigned count = 0, passed = 0;
    uint8_t len[4];
    while (fread(len, sizeof(len), 1, f) == 1) {
        struct cursor c = cursor_of(VIEW(len, sizeof(len)));
        size_t size = get_u32(&c);
        CHECK(size <= sizeof(raw) && fread(raw, 1, size, f) == size);
        check_generated(VIEW(raw, size), &passed);
        count++;
    }
    CHECK_INT(pclose(f), 0);
    printf("    %u requests, %u heads let through\n", count, passed);
    CHECK(count == strtoul(n ? n : "3000", NULL, 10) && passed > count / 50);
}
