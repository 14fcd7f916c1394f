#include "base/alloc.h"

#include <stdint.h>

enum { BLOCK_BYTES = 16384 };

struct rp_arena_block {
    struct rp_arena_block *next;
    size_t used, size;
    max_align_t data[];
};

bool rp_grow(void **items, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity) return true;
    size_t grown = *capacity < 8 ? 8 : *capacity;
    while (grown < needed) {
        if (grown > SIZE_MAX / 2) return false;
        grown *= 2;
    }
    if (grown > SIZE_MAX / size) return false;
    void *moved = realloc(*items, grown * size);
    if (!moved) return false;
    *items = moved;
    *capacity = grown;
    return true;
}

void *rp_arena_alloc(rp_arena *arena, uint64_t count, size_t size) {
    if (size && count > (SIZE_MAX - BLOCK_BYTES) / size) return NULL;
    size_t bytes = (size_t)rp_round_up(count * size, sizeof(max_align_t));
    if (bytes == 0) bytes = sizeof(max_align_t);
    struct rp_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = calloc(1, sizeof *block + room);
        if (!block) return NULL;
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *out = (char *)block->data + block->used;
    block->used += bytes;
    return out;
}

char *rp_arena_copy(rp_arena *arena, const char *data, size_t size) {
    char *out = rp_arena_alloc(arena, size + 1, 1);
    if (out && size) memcpy(out, data, size);
    return out;
}

void rp_arena_finish(rp_arena *arena) {
    while (arena->blocks) {
        struct rp_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
