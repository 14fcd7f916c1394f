/* Host memory: overflow-checked arrays, and an arena whose pieces are freed together. */
#ifndef RP_BASE_ALLOC_H
#define RP_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Zeroed array of `count` elements; NULL when out of memory or when the size overflows. Freed by free(). */
#define rp_new_array(type, count) ((type *)rp_new_zeroed(count, sizeof(type)))
#define rp_new(type) ((type *)calloc(1, sizeof(type)))

/* The count has 64 bits everywhere: a product of two sizes does not wrap on its way here. */
static inline void *rp_new_zeroed(uint64_t count, size_t size) {
    return count > SIZE_MAX / size ? NULL : calloc(count ? (size_t)count : 1, size);
}

#define RP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Round `x` up to a multiple of `to` (not a power of two only). Sizes on a device have 64 bits everywhere. */
static inline uint64_t rp_round_up(uint64_t x, uint64_t to) {
    return (x + to - 1) / to * to;
}
static inline uint64_t rp_div_up(uint64_t x, uint64_t by) {
    return (x + by - 1) / by;
}

/* Grow `*items` (elements of `size` bytes, `*capacity` allocated) so that it holds `needed`. False: out of
 * memory, nothing changed. New elements are not initialised. */
bool rp_grow(void **items, size_t *capacity, size_t needed, size_t size);

/* Pieces of memory that live and die together. Zero-initialise; finish frees everything. */
typedef struct rp_arena {
    struct rp_arena_block *blocks;
} rp_arena;

/* Zeroed, aligned for any type; NULL when out of memory. */
void *rp_arena_alloc(rp_arena *arena, uint64_t count, size_t size);
/* A NUL-terminated copy of `size` bytes; NULL when out of memory. */
char *rp_arena_copy(rp_arena *arena, const char *data, size_t size);
void rp_arena_finish(rp_arena *arena);

#endif
