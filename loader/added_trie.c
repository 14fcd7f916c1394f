/* Texts to look for, all at once: a tree of characters whose edges are in one hash table. */
#include "loader/pipeline.h"

#include <time.h>

typedef struct rp_added_edge {
    uint32_t node, code; /* node 0 is the root, code UINT32_MAX an empty slot */
    uint32_t child;
} rp_added_edge;

static size_t slot_of(const rp_added_trie *trie, uint32_t node, uint32_t code) {
    uint64_t hash = (((uint64_t)node << 32 | code) ^ trie->seed) * 0x9e3779b97f4a7c15u;
    return (size_t)((hash ^ hash >> 29) & (trie->edge_slots - 1));
}

/* The slot of an edge, or the empty one where it would stand. */
static rp_added_edge *find_edge(const rp_added_trie *trie, uint32_t node, uint32_t code) {
    size_t at = slot_of(trie, node, code);
    for (;; at = (at + 1) & (trie->edge_slots - 1)) {
        rp_added_edge *edge = &trie->edges[at];
        if (edge->code == UINT32_MAX || (edge->node == node && edge->code == code)) return edge;
    }
}

static bool grow(rp_added_trie *trie) {
    size_t count = trie->edge_slots ? trie->edge_slots * 2 : 64, old_count = trie->edge_slots;
    rp_added_edge *old = trie->edges, *edges = rp_new_array(rp_added_edge, count);
    if (!edges) return false;
    for (size_t i = 0; i < count; i++) edges[i].code = UINT32_MAX;
    if (!old_count) { /* what nobody who writes a file can know */
        struct timespec now = {0};
        clock_gettime(CLOCK_REALTIME, &now);
        trie->seed = ((uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec ^ (uintptr_t)edges) | 1;
    }
    trie->edges = edges;
    trie->edge_slots = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].code != UINT32_MAX) *find_edge(trie, old[i].node, old[i].code) = old[i];
    free(old);
    return true;
}

static bool add_node(rp_added_trie *trie) {
    if (!rp_grow((void **)&trie->ids, &trie->node_capacity, trie->node_count + 1, sizeof *trie->ids))
        return false;
    trie->ids[trie->node_count++] = -1;
    return true;
}

bool rp_added_trie_push(rp_added_trie *trie, const rp_char *codes, size_t count, int32_t id) {
    uint32_t node = 0;
    if (!trie->node_count && !add_node(trie)) return false;
    if (!count) {
        if (!trie->has_empty) trie->empty = id;
        trie->has_empty = true;
        return true;
    }
    if (!trie->edge_slots && !grow(trie)) return false;
    for (size_t i = 0; i < count; i++) {
        if (trie->node_count * 2 >= trie->edge_slots && !grow(trie)) return false;
        rp_added_edge *edge = find_edge(trie, node, codes[i].code);
        if (edge->code == UINT32_MAX) {
            if (!add_node(trie)) return false;
            *edge = (rp_added_edge){node, codes[i].code, (uint32_t)(trie->node_count - 1)};
        }
        node = edge->child;
    }
    if (trie->ids[node] < 0) trie->ids[node] = id; /* of two that are the same, the first counts */
    trie->first[codes[0].code & 255] = true;
    return true;
}

size_t rp_added_trie_match(const rp_added_trie *trie, const rp_char *chars, size_t count, int32_t *id) {
    size_t length = 0;
    uint32_t node = 0;
    for (size_t i = 0; trie->edge_slots && i < count; i++) {
        const rp_added_edge *edge = find_edge(trie, node, chars[i].code);
        if (edge->code == UINT32_MAX) break;
        node = edge->child;
        if (trie->ids[node] < 0) continue;
        *id = trie->ids[node];
        length = i + 1;
    }
    return length;
}

void rp_added_trie_finish(rp_added_trie *trie) {
    free(trie->edges);
    free(trie->ids);
    *trie = (rp_added_trie){0};
}
