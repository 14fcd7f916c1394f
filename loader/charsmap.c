/* Finds in a character map that charsmap_read.c has checked. */
#include "loader/charsmap.h"

static size_t root(const rp_charsmap *map) {
    return rp_charsmap_offset(rp_charsmap_unit(map, 0));
}

/* Go from the node `*at` to its child for a byte; false when it has none. `*value` is the replacement of the
 * bytes up to the child, or NULL. */
static bool step(const rp_charsmap *map, size_t *at, unsigned char byte, const char **value) {
    *at ^= byte;
    uint32_t unit = rp_charsmap_unit(map, *at);
    if ((unit & (RP_CHARSMAP_LEAF | 0xff)) != byte) return false;
    *at ^= rp_charsmap_offset(unit);
    *value = unit >> 8 & 1 ? map->block + (rp_charsmap_unit(map, *at) & ~RP_CHARSMAP_LEAF) : NULL;
    return true;
}

const char *rp_charsmap_find(const rp_charsmap *map, const char *text, size_t size) {
    const char *value = NULL;
    if (!map->units) return NULL;
    size_t at = root(map);
    for (size_t i = 0; !value && i < size; i++)
        if (!step(map, &at, (unsigned char)text[i], &value)) return NULL;
    return value;
}

const char *rp_charsmap_longest(const rp_charsmap *map, const char *text, size_t size, size_t *taken) {
    const char *value = NULL, *longest = NULL;
    if (!map->units) return NULL;
    size_t at = root(map);
    for (size_t i = 0; i < size && step(map, &at, (unsigned char)text[i], &value); i++) {
        if (!value) continue;
        longest = value;
        *taken = i + 1;
    }
    return longest;
}

void rp_charsmap_plain(const rp_charsmap *map, bool plain[128]) {
    const char *value;
    for (unsigned char first = 0; first < 128; first++) {
        size_t at = map->units ? root(map) : 0;
        plain[first] = true;
        if (!map->units || !step(map, &at, first, &value)) continue;
        plain[first] = !value;
        for (unsigned char next = 1; next < 128; next++) {
            size_t below = at;
            if (step(map, &below, next, &value)) plain[first] = false;
        }
    }
}
