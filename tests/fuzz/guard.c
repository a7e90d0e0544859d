/*
 * The reflection guard: a form is found exactly where memmem finds one, however the bytes are cut; until then what was passed is what came in,
 * and no byte of the form. First byte: the length of the secret; second: how the bytes are cut; then the secret; then a body, in which
 * 0xfN F L stands for L bytes of the form number F from its beginning.
 */
#include "fuzz/hold.h"

#include "base/auto.h"
#include "proxy/guard.h"
#include "proxy/guard_forms.h"

#include <string.h>

enum { BODY_MAX = 4096 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct forms {
    struct buf text;
    size_t end[GUARD_FORMS];
    unsigned n;
};

static void forms_free(struct forms *f)
{
    buf_free(&f->text);
}

static struct view form_at(const struct forms *f, unsigned i)
{
    size_t from = i ? f->end[i - 1] : 0;
    return VIEW(f->text.p + from, f->end[i] - from);
}

static void body_of(const struct forms *f, struct view in, struct buf *out)
{
    struct cursor c = cursor_of(in);
    while (cursor_left(&c)) {
        uint8_t b = get_u8(&c);
        if ((b & 0xf0) != 0xf0 || cursor_left(&c) < 2 || f->n == 0) {
            buf_put_u8(out, b);
            continue;
        }
        struct view form = form_at(f, get_u8(&c) % f->n);
        size_t n = (b & 15U) << 8 | get_u8(&c);
        buf_add(out, form.p, n < form.n ? n : form.n);
    }
}

/* Where the form that is complete first begins; SIZE_MAX: none. Of two that end together the longer. */
static size_t first_form(const struct forms *f, struct view in)
{
    size_t begin = SIZE_MAX, end = SIZE_MAX;
    for (unsigned i = 0; i < f->n; i++) {
        struct view form = form_at(f, i);
        const uint8_t *at = in.n ? memmem(in.p, in.n, form.p, form.n) : NULL;
        size_t b = at ? (size_t)(at - in.p) : SIZE_MAX;
        if (at && (b + form.n < end || (b + form.n == end && b < begin))) {
            begin = b;
            end = b + form.n;
        }
    }
    return begin;
}

static void check(const struct guard *g, struct view in, size_t form, unsigned seed, size_t most)
{
    AUTO(buf_free) struct buf out = {.max = BODY_MAX + 1};
    struct guard_state s = {0};
    struct view held, pass;
    bool ok = true;
    for (size_t at = 0, step; ok && at < in.n; at += step) {
        seed = seed * 1664525 + 1013904223;
        step = most == SIZE_MAX ? in.n : 1 + (seed >> 16) % most;
        step = step < in.n - at ? step : in.n - at;
        ok = guard_feed(g, &s, VIEW(in.p + at, step), &held, &pass);
        HOLD(pass.n == 0 || pass.p == in.p + at);
        buf_add_view(&out, held);
        buf_add_view(&out, pass);
    }
    buf_add_view(&out, guard_end(g, &s));
    HOLD(ok == (form == SIZE_MAX) && !out.bad);
    HOLD(ok ? out.len == in.n : out.len <= form);
    HOLD(out.len == 0 || memcmp(out.p, in.p, out.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(buf_free) struct buf body = {.max = BODY_MAX}; /* what is too much for it is left out */
    AUTO(forms_free) struct forms f = {.text = {.max = 1 << 20}};
    struct guard *g = NULL;
    if (n < 2 || n - 2 < data[0] % 64U)
        return 0;
    struct view secret = VIEW(data + 2, data[0] % 64U);
    HOLD(guard_new(&secret, 1, &g, NULL) == ERR_OK);
    if (secret.n >= GUARD_SECRET_MIN)
        f.n = guard_forms(secret, &f.text, f.end);
    body_of(&f, VIEW(secret.p + secret.n, n - 2 - secret.n), &body);
    struct view in = buf_view(&body);
    size_t form = first_form(&f, in);
    check(g, in, form, 0, SIZE_MAX);
    check(g, in, form, data[1], 1 + data[1] % 64U);
    HOLD(guard_finds(g, in) == (form != SIZE_MAX));
    guard_free(g);
    return 0;
}
