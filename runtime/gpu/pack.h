/* SPIR-V in an eighth of its bytes, as the library carries it. */
#ifndef RP_GPU_PACK_H
#define RP_GPU_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What packing and unpacking need beside their arguments, bytes: the caller gives so much, aligned for words,
 * and need not clear it. */
#define RP_SPIRV_SCRATCH ((size_t)2 << 16)

/* Room that rp_spirv_pack needs for `count` words, bytes. */
#define RP_SPIRV_PACKED_MAX(count) ((count)*128 + 128)

/* Write the module's words as an arithmetic code, whose probabilities are learned from the words before.
 * `out` has room for RP_SPIRV_PACKED_MAX(count) bytes; returns how many were written. `words` must be a whole
 * module (rp_spirv_whole). Thread-safe, as is the inverse. */
size_t rp_spirv_pack(const uint32_t *words, size_t count, unsigned char *out, void *scratch);

/* The inverse: write the `count` words that `size` packed bytes stand for. False when the bytes do not stand
 * for exactly so many; the words are undefined then. */
bool rp_spirv_unpack(const unsigned char *packed, size_t size, uint32_t *words, size_t count, void *scratch);

#endif
