/*
 * The model of a request: the same however its bytes are cut; what is found is what jansson finds, and what jansson finds without doubt is
 * found; of zstd, what the plain reader says of the decoded bytes. First byte: bit 0 zstd, the rest how the second reading is cut. Then a
 * body, and a path.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "proxy/json_scan.h"
#include "proxy/model.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>
#include <zstd.h>

enum { DECODED = 1 << 20 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
    enum model_result result;
    char name[MODEL_NAME_MAX + 1];
};

static struct outcome read_in(const char *coding, struct view in, unsigned seed, size_t most)
{
    struct model_reader *m = NULL;
    struct outcome o = {0};
    enum model_result was = MODEL_MORE, now;
    HOLD(model_reader_new(view_str(coding), &m, NULL) == ERR_OK);
    for (size_t at = 0, step; at < in.n; at += step, was = now) {
        seed = seed * 1664525 + 1013904223;
        step = most == SIZE_MAX ? in.n : 1 + (seed >> 16) % most;
        step = step < in.n - at ? step : in.n - at;
        now = model_feed(m, VIEW(in.p + at, step));
        HOLD(was != MODEL_BAD || now == MODEL_BAD);
        HOLD(was != MODEL_FOUND || now != MODEL_MORE);
        HOLD(now != MODEL_FOUND || model_name(m)[0]);
    }
    o.result = model_end(m);
    HOLD(o.result != MODEL_MORE && (was != MODEL_BAD || o.result == MODEL_BAD));
    if (o.result == MODEL_FOUND)
        (void)snprintf(o.name, sizeof(o.name), "%s", model_name(m));
    model_reader_free(m);
    return o;
}

/* Does it decode to so much that a bound may move with how the bytes come? */
static bool is_much(struct view in)
{
    static uint8_t room[DECODED];
    ZSTD_DCtx *z = ZSTD_createDCtx();
    ZSTD_inBuffer src = {in.p, in.n, 0};
    ZSTD_outBuffer dst = {room, sizeof(room), 0};
    size_t left = 1;
    while (!ZSTD_isError(left) && src.pos < src.size && dst.pos < dst.size)
        left = ZSTD_decompressStream(z, &dst, &src);
    ZSTD_freeDCtx(z);
    return dst.pos == dst.size;
}

static bool plain(const char *s)
{
    for (; *s; s++)
        if (*s < 0x20 || *s > 0x7e)
            return false;
    return true;
}

/* No key that is not plain, or the same as "model" but for its case; no NUL, which jansson 2.14 passes over behind a number. */
static bool no_doubt(json_t *v, struct view in)
{
    const char *key;
    json_t *member;
    size_t open = 0;
    if (in.n && memchr(in.p, 0, in.n))
        return false;
    for (size_t i = 0; i < in.n; i++)
        open += in.p[i] == '[' || in.p[i] == '{';
    json_object_foreach(v, key, member)
        if (!plain(key) || (strcmp(key, "model") != 0 && strcasecmp(key, "model") == 0))
            return false;
    return open <= JSON_SCAN_DEPTH && in.n <= MODEL_PREFIX_MAX;
}

static void agree(struct view in, const struct outcome *o)
{
    json_t *last = json_loadb((const char *)in.p, in.n, JSON_ALLOW_NUL, NULL);
    json_t *once = json_loadb((const char *)in.p, in.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const json_t *a = json_object_get(last, "model"), *b = json_object_get(once, "model");
    if (last && o->result == MODEL_FOUND)
        HOLD(a && json_is_string(a) && strcmp(json_string_value(a), o->name) == 0);
    size_t n = json_string_length(b);
    if (n && n <= MODEL_NAME_MAX && plain(json_string_value(b)) && strlen(json_string_value(b)) == n &&
        no_doubt(once, in))
        HOLD(o->result == MODEL_FOUND);
    json_decref(last);
    json_decref(once);
}

static void agree_decoded(struct view in, const struct outcome *o)
{
    static uint8_t room[DECODED];
    size_t n = ZSTD_decompress(room, sizeof(room), in.p, in.n);
    if (ZSTD_isError(n) || o->result != MODEL_FOUND)
        return;
    struct outcome again = read_in("", VIEW(room, n), 0, SIZE_MAX);
    HOLD(again.result == MODEL_FOUND && strcmp(again.name, o->name) == 0);
    agree(VIEW(room, n), o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    const char *coding = data[0] & 1 ? "zstd" : "";
    struct model_reader *none = NULL;
    HOLD(model_reader_new(view_str("gzip"), &none, NULL) != ERR_OK && !none);
    struct view in = VIEW(data + 1, n - 1), path = model_in_path(in);
    struct outcome whole = read_in(coding, in, 0, SIZE_MAX);
    struct outcome pieces = read_in(coding, in, data[0], 1 + data[0] / 4);
    HOLD((whole.result == pieces.result && strcmp(whole.name, pieces.name) == 0) || is_much(in));
    if (data[0] & 1)
        agree_decoded(in, &whole);
    else
        agree(in, &whole);
    HOLD(path.n <= MODEL_NAME_MAX && (!path.n || (path.p > in.p && path.p + path.n <= in.p + in.n)));
    HOLD(!path.n || (path.p[-1] == '/' && !memchr(path.p, '%', path.n) && !memchr(path.p, '/', path.n)));
    return 0;
}
