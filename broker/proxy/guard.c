/*
 * An automaton over all forms of all secrets, and in front of it, while nothing is held back, a filter in the manner of Wu and Manber
 * (TR-94-17, 1994): a form has in its first `window` bytes only certain runs of four; where the last four of a window are none of them,
 * no form begins there, and the window moves on by nearly its whole length. So ordinary text costs one look at every dozenth byte.
 *
 * Invariant: the bytes kept back are exactly the path of the node a stream stands at. Forms and automaton are the secret: they are wiped.
 */
#include "proxy/guard.h"

#include "base/auto.h"
#include "proxy/guard_forms.h"
#include "proxy/guard_trie.h"
#include <broker/secret.h>

#include <string.h>

enum { RUN = 4, WINDOW_MAX = 32, SHIFT_BITS = 13, TEXT_MAX = 64 << 20 };
_Static_assert((int)GUARD_SECRET_MIN >= (int)RUN, "a window holds a run");

struct guard {
    struct trie trie;
    struct buf text; /* the forms, one behind the other */
    size_t window;   /* the length of the shortest form, at most WINDOW_MAX; 0: there are none */
    uint8_t shift
        [1
         << SHIFT_BITS]; /* by the last run of a window: how far no form begins; 0: here one may */
};

static uint32_t run_hash(const uint8_t *p)
{
    uint32_t run;
    memcpy(&run, p, sizeof(run));
    return run * UINT32_C(0x9e3779b1) >> (32 - SHIFT_BITS);
}

/* ---- made once */

struct form_list {
    size_t *end; /* of each form in the text */
    unsigned n;
};

static err_t collect(struct guard *g, const struct view *secret, unsigned n, struct form_list *list,
                     struct why *why)
{
    for (unsigned i = 0; i < n; i++) {
        size_t end[GUARD_FORMS];
        if (secret[i].n < GUARD_SECRET_MIN)
            continue;
        unsigned forms = guard_forms(secret[i], &g->text, end);
        memcpy(list->end + list->n, end, forms * sizeof(*end));
        list->n += forms;
    }
    if (g->text.bad)
        return fail(why, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

static struct view form_at(const struct guard *g, const struct form_list *list, unsigned i)
{
    size_t from = i ? list->end[i - 1] : 0;
    return VIEW(g->text.p + from, list->end[i] - from);
}

static void filter_add(struct guard *g, struct view form)
{
    for (size_t i = 0; i + RUN <= g->window; i++) {
        uint8_t *shift = &g->shift[run_hash(form.p + i)], far = (uint8_t)(g->window - RUN - i);
        *shift = far < *shift ? far : *shift;
    }
}

static void make_filter(struct guard *g, const struct form_list *list)
{
    g->window = list->n ? WINDOW_MAX : 0;
    for (unsigned i = 0; i < list->n; i++) {
        size_t length = form_at(g, list, i).n;
        g->window = length < g->window ? length : g->window;
    }
    memset(g->shift, (int)(g->window ? g->window - RUN + 1 : 0), sizeof(g->shift));
    for (unsigned i = 0; i < list->n; i++)
        filter_add(g, form_at(g, list, i));
}

static void auto_guard(struct guard **g)
{
    guard_free(*g);
}

err_t guard_new(const struct view *secret, unsigned n, struct guard **out, struct why *why)
{
    AUTO(auto_guard) struct guard *g = calloc(1, sizeof(*g));
    AUTO(auto_free) size_t *end = calloc((size_t)n * GUARD_FORMS + 1, sizeof(*end));
    struct form_list list = {end, 0};
    if (!g || !end)
        return fail(why, ERR_INTERNAL, "out of memory");
    g->text.max = TEXT_MAX;
    TRY(collect(g, secret, n, &list, why));
    TRY(trie_new(&g->trie, g->text.len, list.n, why));
    for (unsigned i = 0; i < list.n; i++)
        trie_add(&g->trie, form_at(g, &list, i));
    TRY(trie_link(&g->trie, why));
    make_filter(g, &list);
    *out = TAKE(g);
    return ERR_OK;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    trie_free(&g->trie);
    buf_free(&g->text);
    wipe(g, sizeof(*g));
    free(g);
}

/* ---- looked through */

/* The first place from `at` on where a form may begin. */
static size_t skip(const struct guard *g, struct view in, size_t at)
{
    const size_t to_run = g->window - RUN;
    while (in.n - at >= g->window) {
        uint8_t far = g->shift[run_hash(in.p + at + to_run)];
        if (far == 0 && g->trie.root[in.p[at]])
            return at;
        at += far ? far : 1;
    }
    return at;
}

/* The node after `in`, or the first one at which a form is complete. */
static uint32_t run_through(const struct guard *g, uint32_t node, struct view in)
{
    size_t i = 0;
    while (!trie_hit(&g->trie, node)) {
        if (node == 0)
            i = skip(g, in, i);
        if (i == in.n)
            return node;
        node = trie_next(&g->trie, node, in.p[i++]);
    }
    return node;
}

bool guard_feed(const struct guard *g, struct guard_state *s, struct view in, struct view *held,
                struct view *pass)
{
    *held = *pass = VIEW(NULL, 0);
    if (g->window == 0) {
        *pass = in;
        return true;
    }
    struct view before = trie_path(&g->trie, s->node);
    s->node = run_through(g, s->node, in);
    if (trie_hit(&g->trie, s->node))
        return false;
    size_t kept = trie_path(&g->trie, s->node).n;
    if (kept <= in.n) {
        *held = before;
        *pass = VIEW(in.p, in.n - kept);
    } else {
        *held = VIEW(before.p, before.n + in.n - kept);
    }
    return true;
}

struct view guard_end(const struct guard *g, struct guard_state *s)
{
    struct view rest = trie_path(&g->trie, s->node);
    if (trie_hit(&g->trie, s->node))
        return VIEW(NULL, 0);
    s->node = 0;
    return rest;
}

bool guard_finds(const struct guard *g, struct view text)
{
    return g->window > 0 && trie_hit(&g->trie, run_through(g, 0, text));
}
