/*
 * Nodes are numbered as they are made: where a string leaves what is there already, the rest of it is one chain of new nodes. So the
 * first child of a node is node + 1 where NEXT says so; the few other ones are in a sorted table, and the root has a table of 256. The
 * path of a node is a front part of the string that made its chain, so it needs no memory of its own.
 */
#include "proxy/guard_trie.h"

#include "base/auto.h"
#include <broker/secret.h>

#include <string.h>

enum { NEXT = 1, BRANCH = 2, HIT = 4 };
struct trie_chain {
    uint32_t first, depth; /* its first node, and how long the path of that is */
    const uint8_t *string;
};
struct trie_edge {
    uint64_t key; /* parent, byte */
    uint32_t child;
};

static uint64_t edge_key(uint32_t parent, uint8_t byte)
{
    return (uint64_t)parent << 8 | byte;
}

/* The number of edges whose key is less. */
static uint32_t edge_rank(const struct trie *t, uint64_t key)
{
    uint32_t lo = 0, hi = t->n_edges;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->edge[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t edge_child(const struct trie *t, uint32_t node, uint8_t byte)
{
    uint64_t key = edge_key(node, byte);
    uint32_t at = edge_rank(t, key);
    return at < t->n_edges && t->edge[at].key == key ? t->edge[at].child : 0;
}

/* 0: none */
static uint32_t child_of(const struct trie *t, uint32_t node, uint8_t byte)
{
    if (node == 0)
        return t->root[byte];
    uint8_t flags = t->node[node].flags;
    if ((flags & NEXT) && t->node[node + 1].byte == byte)
        return node + 1;
    return flags & BRANCH ? edge_child(t, node, byte) : 0;
}

uint32_t trie_next(const struct trie *t, uint32_t node, uint8_t byte)
{
    for (uint32_t child;; node = t->node[node].fail)
        if ((child = child_of(t, node, byte)) != 0 || node == 0)
            return child;
}

bool trie_hit(const struct trie *t, uint32_t node)
{
    return (t->node[node].flags & HIT) != 0;
}

static const struct trie_chain *chain_of(const struct trie *t, uint32_t node)
{
    uint32_t lo = 0, hi = t->n_chains; /* the last one that begins at or before `node` */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->chain[mid].first <= node)
            lo = mid;
        else
            hi = mid;
    }
    return &t->chain[lo];
}

struct view trie_path(const struct trie *t, uint32_t node)
{
    if (node == 0)
        return VIEW(NULL, 0);
    const struct trie_chain *c = chain_of(t, node);
    return VIEW(c->string, c->depth + (node - c->first));
}

err_t trie_new(struct trie *t, size_t bytes, unsigned n, struct why *why)
{
    *t = (struct trie){.room = (uint32_t)bytes + 1, .branches = n};
    t->node = calloc(t->room, sizeof(*t->node));
    t->chain = calloc(n + 1UL, sizeof(*t->chain));
    t->edge = calloc(n + 1UL, sizeof(*t->edge));
    if (t->node && t->chain && t->edge) {
        t->n_nodes = 1;
        return ERR_OK;
    }
    trie_free(t);
    return fail(why, ERR_INTERNAL, "out of memory");
}

static void free_wiped(void *p, size_t n)
{
    if (p)
        wipe(p, n);
    free(p);
}

void trie_free(struct trie *t)
{
    free_wiped(t->node, t->room * sizeof(*t->node));
    free_wiped(t->chain, (t->branches + 1UL) * sizeof(*t->chain));
    free_wiped(t->edge, (t->branches + 1UL) * sizeof(*t->edge));
    wipe(t, sizeof(*t));
}

static void add_edge(struct trie *t, uint32_t parent, uint8_t byte, uint32_t child)
{
    uint64_t key = edge_key(parent, byte);
    uint32_t at = edge_rank(t, key);
    memmove(t->edge + at + 1, t->edge + at, (t->n_edges - at) * sizeof(*t->edge));
    t->edge[at] = (struct trie_edge){key, child};
    t->n_edges++;
    t->node[parent].flags |= BRANCH;
}

/* What is left of `string` behind a path of `depth` bytes that ends at `node`, as a chain of new nodes. */
static void add_chain(struct trie *t, struct view string, size_t depth, uint32_t node)
{
    uint32_t first = t->n_nodes;
    if (node == 0)
        t->root[string.p[depth]] = first;
    else if (node + 1 == first)
        t->node[node].flags |= NEXT;
    else
        add_edge(t, node, string.p[depth], first);
    t->chain[t->n_chains++] = (struct trie_chain){first, (uint32_t)depth + 1, string.p};
    for (size_t i = depth; i < string.n; i++)
        t->node[t->n_nodes++] =
            (struct trie_node){.byte = string.p[i], .flags = i + 1 < string.n ? NEXT : HIT};
}

void trie_add(struct trie *t, struct view string)
{
    uint32_t node = 0;
    size_t depth = 0;
    for (uint32_t child; depth < string.n && (child = child_of(t, node, string.p[depth])) != 0;
         depth++)
        node = child;
    if (depth < string.n)
        add_chain(t, string, depth, node);
    else
        t->node[node].flags |= HIT;
}

/* ---- the failure links, shallow nodes first: those of a node's depth need all those above */

struct walk {
    uint32_t *queue; /* nodes in the order of their depth */
    uint32_t n;
};

static void link_child(struct trie *t, struct walk *w, uint32_t node, uint32_t child)
{
    uint32_t fail = node ? trie_next(t, t->node[node].fail, t->node[child].byte) : 0;
    t->node[child].fail = fail;
    t->node[child].flags |= t->node[fail].flags & HIT;
    w->queue[w->n++] = child;
}

static void link_children(struct trie *t, struct walk *w, uint32_t node)
{
    if (t->node[node].flags & NEXT)
        link_child(t, w, node, node + 1);
    if (t->node[node].flags & BRANCH)
        for (uint32_t i = edge_rank(t, edge_key(node, 0));
             i < t->n_edges && t->edge[i].key >> 8 == node; i++)
            link_child(t, w, node, t->edge[i].child);
}

err_t trie_link(struct trie *t, struct why *why)
{
    struct walk w = {calloc(t->n_nodes, sizeof(*w.queue)), 0};
    if (!w.queue)
        return fail(why, ERR_INTERNAL, "out of memory");
    for (unsigned b = 0; b < COUNT(t->root); b++)
        if (t->root[b])
            link_child(t, &w, 0, t->root[b]);
    for (uint32_t i = 0; i < w.n; i++)
        link_children(t, &w, w.queue[i]);
    free_wiped(w.queue, t->n_nodes * sizeof(*w.queue));
    return ERR_OK;
}
