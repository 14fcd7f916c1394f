/* A vocabulary: finds the piece of an id, and the id of a piece. */
#ifndef RP_LOADER_VOCAB_H
#define RP_LOADER_VOCAB_H

#include "base/alloc.h"

#include <stdint.h>

typedef struct rp_vocab_entry {
    const char *text; /* NUL-terminated; NULL: no such id */
    uint32_t size;    /* bytes, without the NUL */
    uint32_t hash;
} rp_vocab_entry;

/* A place in the hash table. */
typedef struct rp_vocab_slot {
    uint32_t hash;
    int32_t id; /* -1: empty */
} rp_vocab_slot;

/* Pieces by id and ids by piece. Zero-initialise; rp_vocab_finish. */
typedef struct rp_vocab {
    rp_vocab_entry *entries; /* [count] */
    size_t count, capacity;
    rp_vocab_slot *slots;    /* [slot_count], a power of two */
    size_t slot_count, used; /* used: how many different pieces there are */
    uint32_t seed;    /* what hashes begin with, another one each time: no file can be made whose pieces share
                         a hash, and would take the square of their number */
    uint32_t longest; /* bytes of the longest piece */
    rp_arena arena;   /* holds the texts */
} rp_vocab;

/* The hash of a piece, built up part by part from vocab->seed. */
uint32_t rp_vocab_hash(uint32_t hash, const char *text, size_t size);

/* Set the piece of `id`; the vocabulary grows as needed. When another id has the same text already,
 * rp_vocab_find keeps returning that id, or with `replace` returns this one. False: out of memory. */
bool rp_vocab_set(rp_vocab *vocab, int32_t id, const char *text, size_t size, bool replace);

/* Find the id of a piece; -1: there is none. The second function takes the text in two parts, and its hash.
 */
int32_t rp_vocab_find(const rp_vocab *vocab, const char *text, size_t size);
int32_t rp_vocab_find_hashed(const rp_vocab *vocab, uint32_t hash, const char *prefix, size_t prefix_size,
                             const char *text, size_t size);

void rp_vocab_finish(rp_vocab *vocab);

#endif
