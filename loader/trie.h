/* A trie finds which of many texts a text begins with. It is a tree of bytes in two arrays (a double array).
 */
#ifndef RP_LOADER_TRIE_H
#define RP_LOADER_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text to find. */
typedef struct rp_trie_key {
    const char *text; /* [size] any bytes */
    uint32_t size;    /* one byte at least */
    int32_t value;    /* not negative */
} rp_trie_key;

/* A node stands for the bytes from the root to it. Its child for the byte `b` is the node `base` + b, when
 * that node has this one as its parent. */
typedef struct rp_trie_node {
    uint32_t base; /* with RP_TRIE_VALUE: a text ends here */
    uint32_t parent;
} rp_trie_node;

#define RP_TRIE_VALUE (1u << 31)
enum { RP_TRIE_ROOT = 0 };

/* Read-only once built: any thread may walk. Zero-initialise; rp_trie_finish. */
typedef struct rp_trie {
    rp_trie_node *nodes; /* [count] */
    int32_t *values;     /* [count] */
    size_t count;
} rp_trie;

/* Build a trie of `count` keys, and copy what it needs of them. Of keys with the same text the first counts,
 * or with `last` the last one. Takes time and memory in proportion to the texts. False: out of memory, or
 * more than 2 GiB. */
bool rp_trie_build(rp_trie *trie, const rp_trie_key *keys, size_t count, bool last);
void rp_trie_finish(rp_trie *trie);

/* Move `*node` (RP_TRIE_ROOT at first) to its child for a byte. False: it has none. */
static inline bool rp_trie_step(const rp_trie *trie, uint32_t *node, unsigned char byte) {
    uint32_t next = (trie->nodes[*node].base & ~RP_TRIE_VALUE) + byte;
    if (trie->nodes[next].parent != *node) return false;
    *node = next;
    return true;
}

/* The value of the text that ends at a node, or -1. */
static inline int32_t rp_trie_value(const rp_trie *trie, uint32_t node) {
    return trie->nodes[node].base & RP_TRIE_VALUE ? trie->values[node] : -1;
}

#endif
