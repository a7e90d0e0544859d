/*
 * What a provider's reader might take for the model must be what ours took. So a body is refused whose "model" depends on the reader: keys
 * twice, keys that are the same without case (Go), keys with an escape for NUL or for no ASCII character, anything that is not the
 * grammar of JSON, more than one text, a zstd frame of an old format.
 *
 * zstd is decoded piece by piece through one fixed buffer and thrown away; the body itself is never kept.
 */
#include "proxy/model.h"

#include "base/auto.h"
#include "proxy/json_scan.h"

#include <string.h>
#include <strings.h>
#include <zstd.h>

_Static_assert((int)JSON_SCAN_TEXT >= (int)MODEL_NAME_MAX, "a whole name fits");

enum { MAGIC = 4, PIECE = 16 * 1024 };
struct unzip {
    ZSTD_DCtx *ctx;
    uint8_t magic[MAGIC];
    unsigned n_magic; /* of the present frame; MAGIC: inside it */
    uint64_t taken, decoded;
    uint8_t piece[PIECE];
};
struct model_reader {
    enum model_result result;
    bool is_model; /* the key just read */
    uint64_t read; /* bytes of JSON */
    struct json_scan json;
    char name[MODEL_NAME_MAX + 1];
    struct unzip *zstd; /* NULL: plain */
};

static void unzip_free(struct unzip *z)
{
    if (z)
        (void)ZSTD_freeDCtx(z->ctx);
    free(z);
}

void model_reader_free(struct model_reader *m)
{
    if (m)
        unzip_free(m->zstd);
    free(m);
}

static void auto_reader(struct model_reader **m)
{
    model_reader_free(*m);
}

static bool coding_is(struct view v, const char *name)
{
    return v.n == strlen(name) && strncasecmp((const char *)v.p, name, v.n) == 0;
}

static struct unzip *unzip_new(void)
{
    struct unzip *z = calloc(1, sizeof(*z));
    if (!z)
        return NULL;
    z->ctx = ZSTD_createDCtx();
    if (z->ctx &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax, MODEL_WINDOW_LOG)))
        return z;
    unzip_free(z);
    return NULL;
}

err_t model_reader_new(struct view coding, struct model_reader **out, struct why *why)
{
    bool zstd = coding.n && coding_is(coding, "zstd");
    if (coding.n && !zstd && !coding_is(coding, "identity"))
        return fail(why, ERR_INVALID,
                    "where models are limited, a body is plain or zstd: its content-encoding is "
                    "neither");
    AUTO(auto_reader) struct model_reader *m = calloc(1, sizeof(*m));
    if (!m)
        return fail(why, ERR_INTERNAL, "out of memory");
    if (zstd && !(m->zstd = unzip_new()))
        return fail(why, ERR_INTERNAL, "out of memory");
    *out = TAKE(m);
    return ERR_OK;
}

/* At a top-level key. Every key there that a provider knows is plain ASCII. */
static enum model_result on_key(struct model_reader *m)
{
    struct view key = json_scan_text(&m->json);
    if (!json_scan_plain(&m->json))
        return MODEL_BAD;
    m->is_model = json_scan_whole(&m->json) && coding_is(key, "model");
    if (m->is_model && (!view_is(key, "model") || m->result == MODEL_FOUND))
        return MODEL_BAD;
    m->json.keep = m->is_model;
    return m->result;
}

static enum model_result on_name(struct model_reader *m)
{
    struct view name = json_scan_text(&m->json);
    if (!json_scan_whole(&m->json) || !json_scan_plain(&m->json) || name.n == 0)
        return MODEL_BAD;
    return view_copy(name, m->name, sizeof(m->name)) ? MODEL_FOUND : MODEL_BAD;
}

static enum model_result on_value(struct model_reader *m, enum json_scan_token t)
{
    bool is_model = m->is_model, outermost = t == JSON_SCAN_OBJECT && m->json.depth == 1;
    m->is_model = false;
    if (is_model)
        return t == JSON_SCAN_STRING ? on_name(m) : MODEL_BAD;
    if (t != JSON_SCAN_OBJECT && t != JSON_SCAN_ARRAY)
        return m->json.depth ? m->result : MODEL_BAD; /* outermost: not an object */
    if (t == JSON_SCAN_ARRAY && m->json.depth == 1)
        return MODEL_BAD;
    if (!outermost)
        json_scan_skip(&m->json);
    return m->result;
}

static enum model_result on_token(struct model_reader *m, enum json_scan_token t)
{
    switch (t) {
    case JSON_SCAN_KEY:
        return on_key(m);
    case JSON_SCAN_MORE:
    case JSON_SCAN_CLOSE:
        return m->result;
    case JSON_SCAN_BAD:
        return MODEL_BAD;
    default:
        return on_value(m, t);
    }
}

/* Bytes of JSON. */
static enum model_result read_json(struct model_reader *m, struct view in)
{
    uint64_t end = m->read + in.n;
    while (in.n && m->result != MODEL_BAD) {
        enum model_result was = m->result;
        m->result = on_token(m, json_scan_next(&m->json, &in));
        if (was == MODEL_MORE && m->result != was && end - in.n > MODEL_PREFIX_MAX)
            m->result = MODEL_BAD;
    }
    m->read = end;
    if (m->result == MODEL_MORE && end > MODEL_PREFIX_MAX)
        m->result = MODEL_BAD;
    return m->result;
}

/* RFC 8878 3.1.1 and 3.1.2. A library may know formats from before it, other readers do not. */
static bool magic_ok(const uint8_t p[MAGIC])
{
    bool frame = p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd;
    bool skipped = (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
    return frame || skipped;
}

/* Seen as decoding goes on: its edge may move by a block with how the bytes came. */
static bool is_bomb(const struct unzip *z)
{
    return z->decoded > MODEL_DECODED_MAX ||
           z->decoded > MODEL_DECODED_FREE + MODEL_DECODED_RATIO * z->taken;
}

/* Decodes up to the end of the frame, or of `in`. */
static enum model_result decode(struct model_reader *m, struct view *in)
{
    struct unzip *z = m->zstd;
    ZSTD_inBuffer src = {in->p, in->n, 0};
    for (bool full = true; full || src.pos < src.size;) {
        ZSTD_outBuffer dst = {z->piece, sizeof(z->piece), 0};
        size_t was = src.pos, left = ZSTD_decompressStream(z->ctx, &dst, &src);
        z->taken += src.pos - was;
        z->decoded += dst.pos;
        if (ZSTD_isError(left) || is_bomb(z) || read_json(m, VIEW(z->piece, dst.pos)) == MODEL_BAD)
            return MODEL_BAD;
        full = dst.pos == dst.size;
        if (left == 0) {
            z->n_magic = 0;
            break;
        }
    }
    *in = VIEW(in->p + src.pos, in->n - src.pos);
    return m->result;
}

static enum model_result unzip(struct model_reader *m, struct view in)
{
    struct unzip *z = m->zstd;
    while (in.n && m->result != MODEL_BAD) {
        if (z->n_magic == MAGIC) {
            m->result = decode(m, &in);
            continue;
        }
        z->magic[z->n_magic++] = *in.p;
        in = VIEW(in.p + 1, in.n - 1);
        if (z->n_magic < MAGIC)
            continue;
        struct view head = VIEW(z->magic, MAGIC);
        m->result = magic_ok(z->magic) ? decode(m, &head) : MODEL_BAD;
    }
    return m->result;
}

enum model_result model_feed(struct model_reader *m, struct view body)
{
    if (m->result != MODEL_BAD)
        (void)(m->zstd ? unzip(m, body) : read_json(m, body));
    return m->result;
}

enum model_result model_end(struct model_reader *m)
{
    bool whole = json_scan_done(&m->json) && (!m->zstd || m->zstd->n_magic == 0);
    if (!whole || m->result != MODEL_FOUND)
        m->result = MODEL_BAD;
    return m->result;
}

const char *model_name(const struct model_reader *m)
{
    return m->name;
}

static bool name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '@';
}

/* What is left of `path` behind the first "/models/"; empty: there is none. */
static struct view behind_models(struct view path)
{
    static const char mark[] = "/models/";
    const uint8_t *at = path.n ? memmem(path.p, path.n, mark, sizeof(mark) - 1) : NULL;
    if (!at)
        return VIEW(NULL, 0);
    at += sizeof(mark) - 1;
    return VIEW(at, path.n - (size_t)(at - path.p));
}

/* The name is the last segment, up to its only colon. Anything else (an escape, a further segment) could be another name upstream. */
struct view model_in_path(struct view path)
{
    struct view rest = behind_models(path);
    size_t n = 0;
    while (n < rest.n && name_char(rest.p[n]))
        n++;
    if (n == 0 || n > MODEL_NAME_MAX || (n < rest.n && rest.p[n] != ':'))
        return VIEW(NULL, 0);
    for (size_t i = n + 1; i < rest.n; i++)
        if (!name_char(rest.p[i]))
            return VIEW(NULL, 0);
    return VIEW(rest.p, n);
}
