/* Checks a character map, so that finding in it can trust it. */
#include "base/alloc.h"
#include "loader/charsmap.h"
#include "loader/unicode.h"

/* Of a character map. That of NFKC, which nearly all models have, takes 262,092 visits, and has keys of up to
 * 10 bytes and values of up to 33. Any number of entries may share a long value, and any number of characters
 * of a text bring it: a small file could take minutes to open, and a short text all memory. */
enum {
    MAX_VISITS = 1 << 21, /* while walking all of it */
    MAX_KEY = 255,
    MAX_VALUE = 128,
};

/* Every step of a walk from any node stays inside the array, every value inside the block, and none is long.
 */
static bool check_units(const rp_charsmap *map) {
    for (size_t i = 0; i < map->unit_count; i++) {
        uint32_t unit = rp_charsmap_unit(map, i);
        if (i > 0 && (unit & RP_CHARSMAP_LEAF))
            continue; /* a value; the labels of nodes have this bit clear */
        size_t base = i ^ rp_charsmap_offset(unit);
        if ((base | 255) >= map->unit_count) return false;
        if (!(unit >> 8 & 1)) continue;
        size_t value = rp_charsmap_unit(map, base) & ~RP_CHARSMAP_LEAF;
        if (value >= map->block_size || ((unsigned char)map->block[value] & 0xc0) == 0x80) return false;
        if (strnlen(map->block + value, MAX_VALUE + 1) > MAX_VALUE) return false; /* the block ends in NUL */
    }
    return true;
}

/* A walk over all entries. */
typedef struct visitor {
    const rp_charsmap *map;
    size_t left;      /* nodes that it may still enter: a damaged map can lead in circles */
    uint8_t *parents; /* bits: bases that some node stands on; NULL: not known */
} visitor;

/* Most nodes end an entry and have nothing below them: asking each for its 200 children would take nearly all
 * of a walk. */
static void find_parents(visitor *v) {
    v->parents = rp_new_array(uint8_t, (v->map->unit_count | 255) / 8 + 1);
    for (size_t i = 1; v->parents && i < v->map->unit_count; i++) {
        uint32_t unit = rp_charsmap_unit(v->map, i);
        size_t base = i ^ (unit & 0xff);
        if (!(unit & RP_CHARSMAP_LEAF)) v->parents[base / 8] |= (uint8_t)(1u << base % 8);
    }
}

/* `rest`: continuation bytes that the character begun in the key still needs. */
static bool visit_below(visitor *v, size_t base, size_t depth, unsigned rest) {
    if (v->parents && !(v->parents[base / 8] >> base % 8 & 1)) return true;
    for (unsigned byte = rest ? 0x80 : 1; byte < (rest ? 0xc0 : 0xf5); byte++) {
        uint32_t unit = rp_charsmap_unit(v->map, base ^ byte);
        if ((unit & (RP_CHARSMAP_LEAF | 0xff)) != byte) continue;
        if (v->left == 0 || depth == MAX_KEY) return false;
        v->left--;
        size_t next = base ^ byte ^ rp_charsmap_offset(unit);
        unsigned need = rest ? rest - 1 : byte < 0xc0 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        if (!visit_below(v, next, depth + 1, need)) return false;
    }
    return true;
}

/* False when the map is not a tree of short keys, as every real one is: then a text may take for ever. */
static bool check_keys(const rp_charsmap *map) {
    visitor v = {.map = map, .left = MAX_VISITS};
    find_parents(&v);
    bool whole = visit_below(&v, rp_charsmap_offset(rp_charsmap_unit(map, 0)), 0, 0);
    free(v.parents);
    return whole;
}

rp_status rp_charsmap_read(const char *path, const char *where, const void *data, size_t size,
                           rp_charsmap *out, rp_error *err) {
    const unsigned char *bytes = data;
    *out = (rp_charsmap){0};
    if (size == 0) return RP_OK;
    uint32_t trie = 0;
    for (size_t i = 0; i < 4 && size > 4; i++) trie |= (uint32_t)bytes[i] << 8 * i;
    if (trie == 0 || trie % 4 || trie > size - 4) goto damaged;
    out->units = bytes + 4;
    out->unit_count = trie / 4;
    out->block = (const char *)bytes + 4 + trie;
    out->block_size = size - 4 - trie;
    if (out->block_size == 0 || out->block[out->block_size - 1] != 0) goto damaged;
    if (rp_utf8_check(out->block, out->block_size) != out->block_size || !check_units(out)) goto damaged;
    if (!check_keys(out)) {
        *out = (rp_charsmap){0};
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: no tree of short keys; take a fresh copy of the file",
                       path, where);
    }
    return RP_OK;
damaged:
    *out = (rp_charsmap){0};
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: damaged; take a fresh copy of the file", path, where);
}
