#include "loader/trie.h"

#include "base/alloc.h"

/* The children of a node are at its base and their bytes, so a base is sought where all of these are free. A
 * node with one child, as most have, takes the first free place. Others look at a few places, and leave those
 * that did not serve to nodes with one child: so each takes a bounded time, whatever the texts are. */
enum {
    SPAN = 256,      /* places that a base reaches */
    FEW = 24,        /* keys that are not worth counting */
    MOST_TRIES = 64, /* places that are looked at for several children */
    MOST_NODES = 1 << 30,
};
#define NOWHERE UINT32_MAX

/* Keys [from, to) of the order, which begin with the text of a node. */
typedef struct range {
    uint32_t node, from, to, depth;
} range;

/* A free place has no parent, and is in a list: `base` is the next one and its value the one before. */
typedef struct builder {
    rp_trie *trie;
    size_t node_capacity, value_capacity;
    uint32_t head, tail, window; /* of the list; where places for several children are sought */
    const rp_trie_key *keys;
    uint32_t *order, *spare; /* [count] indices of keys */
    range *ranges;           /* that are to be done */
    size_t range_count, range_capacity;
    bool last;
} builder;

/* SPAN more places, at the end of the list. */
static bool add_places(builder *b) {
    rp_trie *t = b->trie;
    const size_t first = t->count, count = first + SPAN;
    if (count > MOST_NODES || !rp_grow((void **)&t->nodes, &b->node_capacity, count, sizeof *t->nodes) ||
        !rp_grow((void **)&t->values, &b->value_capacity, count, sizeof *t->values))
        return false;
    for (size_t i = first; i < count; i++) {
        t->nodes[i] = (rp_trie_node){i + 1 < count ? (uint32_t)i + 1 : NOWHERE, NOWHERE};
        t->values[i] = i > first ? (int32_t)(i - 1) : (int32_t)b->tail;
    }
    if (b->tail == NOWHERE)
        b->head = (uint32_t)first;
    else
        t->nodes[b->tail].base = (uint32_t)first;
    if (b->window == NOWHERE) b->window = (uint32_t)first;
    b->tail = (uint32_t)count - 1;
    t->count = count;
    return true;
}

static void take_place(builder *b, uint32_t place, uint32_t parent) {
    rp_trie_node *nodes = b->trie->nodes;
    const uint32_t next = nodes[place].base, before = (uint32_t)b->trie->values[place];
    if (before == NOWHERE)
        b->head = next;
    else
        nodes[before].base = next;
    if (next == NOWHERE)
        b->tail = before;
    else
        b->trie->values[next] = (int32_t)before;
    if (b->window == place) b->window = next;
    nodes[place] = (rp_trie_node){0, parent};
}

static bool is_free(const builder *b, size_t place) {
    return place < b->trie->count && b->trie->nodes[place].parent == NOWHERE;
}

/* A base for children with the bytes labels[0..count), in order; 0 when out of memory. */
static uint32_t find_base(builder *b, const unsigned char *labels, size_t count) {
    if (count == 1) {
        if (b->head == NOWHERE && !add_places(b)) return 0;
        return b->head - labels[0];
    }
    uint32_t place = b->window;
    for (int tries = 0; place != NOWHERE && tries < MOST_TRIES; tries++) {
        const uint32_t base = place - labels[0];
        size_t i = 1;
        while (i < count && is_free(b, (size_t)base + labels[i])) i++;
        if (i == count) return base;
        place = b->trie->nodes[place].base;
    }
    b->window = place;
    const size_t end = b->trie->count; /* fresh places serve any bytes */
    return add_places(b) ? (uint32_t)end - labels[0] : 0;
}

static bool push_range(builder *b, range r) {
    if (b->range_count == b->range_capacity &&
        !rp_grow((void **)&b->ranges, &b->range_capacity, b->range_count + 1, sizeof *b->ranges))
        return false;
    b->ranges[b->range_count++] = r;
    return true;
}

/* Give the node the value of the keys that end there, and leave them out of the range. */
static void end_keys(builder *b, range *r) {
    uint32_t kept = r->from;
    bool found = false;
    for (uint32_t i = r->from; i < r->to; i++) {
        const rp_trie_key *key = &b->keys[b->order[i]];
        if (key->size > r->depth) {
            b->order[kept++] = b->order[i];
            continue;
        }
        if (!found || b->last) b->trie->values[r->node] = key->value;
        b->trie->nodes[r->node].base |= RP_TRIE_VALUE;
        found = true;
    }
    r->to = kept;
}

static unsigned char next_byte(const builder *b, const range *r, uint32_t i) {
    return (unsigned char)b->keys[b->order[i]].text[r->depth];
}

/* Order the keys of a range by their next byte, those with the same as they were. */
static void sort_keys(builder *b, const range *r) {
    if (r->to - r->from <= FEW) {
        for (uint32_t i = r->from + 1; i < r->to; i++) {
            const uint32_t key = b->order[i];
            const unsigned char byte = next_byte(b, r, i);
            uint32_t to = i;
            for (; to > r->from && next_byte(b, r, to - 1) > byte; to--) b->order[to] = b->order[to - 1];
            b->order[to] = key;
        }
        return;
    }
    uint32_t starts[257] = {0};
    for (uint32_t i = r->from; i < r->to; i++) starts[next_byte(b, r, i) + 1]++;
    for (size_t byte = 0; byte < 256; byte++) starts[byte + 1] += starts[byte];
    for (uint32_t i = r->from; i < r->to; i++) b->spare[r->from + starts[next_byte(b, r, i)]++] = b->order[i];
    memcpy(b->order + r->from, b->spare + r->from, (r->to - r->from) * sizeof *b->order);
}

/* The bytes that keys of an ordered range go on with, and where the keys with each of them begin; how many.
 */
static size_t find_labels(const builder *b, const range *r, unsigned char labels[256], uint32_t starts[257]) {
    size_t count = 0;
    for (uint32_t i = r->from; i < r->to; i++) {
        const unsigned char byte = next_byte(b, r, i);
        if (count && labels[count - 1] == byte) continue;
        labels[count] = byte;
        starts[count++] = i;
    }
    starts[count] = r->to;
    return count;
}

/* What follows a node. */
static bool build_range(builder *b, range r) {
    unsigned char labels[256];
    uint32_t starts[257];
    for (;;) {
        end_keys(b, &r);
        if (r.from == r.to) return true;
        if (r.to - r.from > 1) break;
        const unsigned char only = (unsigned char)b->keys[b->order[r.from]].text[r.depth++];
        const uint32_t base = find_base(b, &only, 1);
        if (!base) return false;
        take_place(b, base + only, r.node);
        b->trie->nodes[r.node].base |= base;
        r.node = base + only;
    }
    sort_keys(b, &r);
    const size_t count = find_labels(b, &r, labels, starts);
    const uint32_t base = find_base(b, labels, count);
    if (!base) return false;
    b->trie->nodes[r.node].base |= base;
    for (size_t i = 0; i < count; i++) take_place(b, base + labels[i], r.node);
    for (size_t i = count; i-- > 0;)
        if (!push_range(b, (range){base + labels[i], starts[i], starts[i + 1], r.depth + 1})) return false;
    return true;
}

static bool build(builder *b, size_t count) {
    b->order = rp_new_array(uint32_t, count);
    b->spare = rp_new_array(uint32_t, count);
    /* The first places are the root and what a base of 0, of a node without children, leads to: nothing. */
    if (!b->order || !b->spare || !add_places(b)) return false;
    while (b->head != NOWHERE) {
        uint32_t place = b->head;
        take_place(b, place, NOWHERE);
    }
    for (size_t i = 0; i < count; i++) b->order[i] = (uint32_t)i;
    bool ok = push_range(b, (range){RP_TRIE_ROOT, 0, (uint32_t)count, 0});
    while (ok && b->range_count) ok = build_range(b, b->ranges[--b->range_count]);
    return ok && add_places(b); /* every base reaches SPAN places */
}

bool rp_trie_build(rp_trie *trie, const rp_trie_key *keys, size_t count, bool last) {
    builder b = {
        .trie = trie, .keys = keys, .last = last, .head = NOWHERE, .tail = NOWHERE, .window = NOWHERE};
    *trie = (rp_trie){0};
    bool ok = count < MOST_NODES && build(&b, count);
    free(b.order);
    free(b.spare);
    free(b.ranges);
    if (!ok) rp_trie_finish(trie);
    return ok;
}

void rp_trie_finish(rp_trie *trie) {
    free(trie->nodes);
    free(trie->values);
    *trie = (rp_trie){0};
}
