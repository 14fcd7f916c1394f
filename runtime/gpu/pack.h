/* SPIR-V in less than half of its bytes, as the library carries it. */
#ifndef RP_GPU_PACK_H
#define RP_GPU_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that rp_spirv_pack needs for `count` words, bytes. */
#define RP_SPIRV_PACKED_MAX(count) ((count)*6)

/* Write the module's words as numbers of as few bytes as each needs, seven bits a byte: SPIR-V's words are
 * small numbers but for the first of each instruction, which holds two, and these are written apart. `out`
 * has room for RP_SPIRV_PACKED_MAX(count) bytes; returns how many were written. `words` must be a whole
 * module (rp_spirv_whole). */
size_t rp_spirv_pack(const uint32_t *words, size_t count, unsigned char *out);

/* The inverse: write the `count` words that `size` packed bytes stand for. False when the bytes do not stand
 * for exactly so many. */
bool rp_spirv_unpack(const unsigned char *packed, size_t size, uint32_t *words, size_t count);

/* Write `size` bytes with what stood among the last 32767 before as its length and distance. `out` has room
 * for RP_SHRUNK_MAX(size) bytes; returns how many were written. */
#define RP_SHRUNK_MAX(size) ((size) + (size) / 4 + 16)
size_t rp_bytes_shrink(const unsigned char *bytes, size_t size, unsigned char *out);

/* The inverse: write to `out` the `count` bytes that `size` others stand for. False when they do not stand
 * for exactly so many. */
bool rp_bytes_grow(const unsigned char *shrunk, size_t size, unsigned char *out, size_t count);

#endif
