/* The tables of Unicode that tools/unicode_tables.py makes; loader/unicode.h has the functions that stand on
 * them. Every table has three stages: the group of 32 blocks that a code point is in, its block of 16, its
 * value. */
#ifndef RP_LOADER_UNICODE_TABLES_H
#define RP_LOADER_UNICODE_TABLES_H

#include <stdint.h>

/* What becomes of a character in full decomposition. ONE: a code point below U+10000, which is the entry of
 * the table itself; else the entry is a place in the pool, times 4, plus the number of units there, or 0
 * where the pool has the number in front. Canonical decomposition leaves alone what is compatible. */
enum {
    RP_MAPPING_NONE,
    RP_MAPPING_CANONICAL,
    RP_MAPPING_CANONICAL_ONE,
    RP_MAPPING_COMPATIBLE,
    RP_MAPPING_COMPATIBLE_ONE,
};

/* Values of `breaks`: Grapheme_Cluster_Break. */
enum {
    RP_BREAK_OTHER,
    RP_BREAK_CR,
    RP_BREAK_LF,
    RP_BREAK_CONTROL,
    RP_BREAK_EXTEND,
    RP_BREAK_ZWJ,
    RP_BREAK_REGIONAL,
    RP_BREAK_PREPEND,
    RP_BREAK_SPACING,
    RP_BREAK_L,
    RP_BREAK_V,
    RP_BREAK_T,
    RP_BREAK_LV,
    RP_BREAK_LVT,
};

/* Bits of `flags`. */
enum {
    RP_FLAG_ALPHABETIC = 1,
    RP_FLAG_CASED = 2,
    RP_FLAG_IGNORABLE = 4, /* Case_Ignorable */
    RP_FLAG_SECOND = 8,    /* a starter that composes with a character before it */
};

typedef struct rp_unicode_record {
    uint8_t category;  /* rp_category */
    uint8_t combining; /* canonical combining class */
    uint8_t version;   /* rp_unicode_version: the first that has the character */
    uint8_t breaks, mapping, flags;
} rp_unicode_record;

extern const rp_unicode_record rp_unicode_records[];
extern const uint32_t rp_unicode_end, rp_lower_end,
    rp_mapping_end; /* code points from here on have value 0 */
extern const uint8_t rp_unicode_groups[], rp_lower_groups[], rp_mapping_groups[];
extern const uint16_t rp_unicode_blocks[], rp_lower_blocks[], rp_mapping_blocks[];
extern const uint8_t rp_unicode_values[], rp_lower_values[];
extern const uint16_t rp_mapping_values[], rp_mapping_pool[]; /* the pool holds UTF-16 */
extern const int32_t rp_lower_deltas[];                       /* what is added to a character, by its value */

/* Second character, first character, what the two compose into: sorted by the first two. */
extern const uint16_t rp_composed_small[], rp_composed_small_count, rp_composed_large_count;
extern const int32_t rp_composed_large[];

/* Extended_Pictographic: first and last of each range, sorted. */
extern const int32_t rp_pictographs[];
extern const uint16_t rp_pictograph_count;

/* A script of Unicode 14, which Oniguruma has, under one of its names: in lower case, without underscores. */
typedef struct rp_script {
    char name[24];
    uint16_t first, count; /* of rp_script_ranges */
} rp_script;

extern const rp_script rp_scripts[];
extern const uint16_t rp_script_count;
extern const int32_t rp_script_ranges[]; /* first and last of each range, sorted within a script */

static inline uint32_t rp_unicode_place(const uint8_t *groups, const uint16_t *blocks, uint32_t code) {
    return blocks[groups[code >> 9] * 32u + (code >> 4 & 31)] * 16u + (code & 15);
}

static inline const rp_unicode_record *rp_unicode_find(uint32_t code) {
    uint32_t value = 0;
    if (code < rp_unicode_end)
        value = rp_unicode_values[rp_unicode_place(rp_unicode_groups, rp_unicode_blocks, code)];
    return &rp_unicode_records[value];
}

#endif
