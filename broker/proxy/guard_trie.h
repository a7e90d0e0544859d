/*
 * An automaton that finds any of a set of byte strings in a stream (Aho and Corasick, CACM 18(6), 1975), for few long strings: 8 bytes
 * a node, because nearly every node has one child and that is the next node. All its memory is wiped when freed.
 */
#ifndef PROXY_GUARD_TRIE_H
#define PROXY_GUARD_TRIE_H

#include "base/buf.h"

struct trie_node {
    uint32_t fail; /* the longest proper suffix of this node's path that is a path too */
    uint8_t byte;  /* the last of its path */
    uint8_t flags;
};
struct trie_chain; /* nodes that lie one behind the other, made by one string */
struct trie_edge;  /* to a child that is not the next node */
struct trie {
    uint32_t root[256];
    struct trie_node *node; /* node 0: the root */
    struct trie_chain *chain;
    struct trie_edge *edge; /* sorted */
    uint32_t n_nodes, n_chains, n_edges, room, branches;
};
/* Room for `n` strings of together `bytes` bytes, fewer than 2^31. ERR_INTERNAL: out of memory. */
MUST err_t trie_new(struct trie *t, size_t bytes, unsigned n, struct why *why);
void trie_add(struct trie *t,
              struct view string); /* not empty; somebody else's, must outlive `t` */
MUST err_t trie_link(struct trie *t, struct why *why); /* once, when all are added */
void trie_free(struct trie *t);

uint32_t trie_next(const struct trie *t, uint32_t node, uint8_t byte);
/* A string ends at this node. */
bool trie_hit(const struct trie *t, uint32_t node);
/* The bytes from the root to this node: a view into a string. */
struct view trie_path(const struct trie *t, uint32_t node);

#endif
