/* A model's own map of characters, which rewrites a text before it is cut into pieces. */
#ifndef RP_LOADER_CHARSMAP_H
#define RP_LOADER_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A double-array trie over UTF-8 bytes whose values are positions in a
 * block of NUL-terminated replacements. units NULL: no map. */
typedef struct rp_charsmap {
    const unsigned char *units; /* [unit_count] little-endian 32-bit */
    size_t unit_count;
    const char *block; /* [block_size], ends in NUL */
    size_t block_size;
} rp_charsmap;

/* Read and check a character map, of which `out` is a view. No bytes: no map. `where` is the field of the
 * file `path` that has it. RP_ERROR_FORMAT when it is damaged, or could make a text take for ever. */
rp_status rp_charsmap_read(const char *path, const char *where, const void *data, size_t size,
                           rp_charsmap *out, rp_error *err);

/* The replacement of the shortest prefix of `text` that the map knows, or NULL. NUL-terminated. */
const char *rp_charsmap_find(const rp_charsmap *map, const char *text, size_t size);

/* The replacement of the longest prefix of `text` that the map knows, or NULL; the prefix has `*taken` bytes.
 */
const char *rp_charsmap_longest(const rp_charsmap *map, const char *text, size_t size, size_t *taken);

/* Find out which ASCII characters the map does not change where an ASCII character or the end of the text
 * follows. */
void rp_charsmap_plain(const rp_charsmap *map, bool plain[128]);

/* ---- for charsmap.c and charsmap_read.c alone ---- */

#define RP_CHARSMAP_LEAF (1u << 31)

static inline uint32_t rp_charsmap_unit(const rp_charsmap *map, size_t i) {
    const unsigned char *p = map->units + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t rp_charsmap_offset(uint32_t unit) {
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

#endif
