/* Normal forms: decomposition, canonical order, composition. */
#include "base/alloc.h"
#include "loader/unicode.h"
#include "loader/unicode_tables.h"

enum {
    HANGUL = 0xac00,
    LEAD = 0x1100,
    VOWEL = 0x1161,
    TAIL = 0x11a7, /* one before the first: a syllable may have none */
    LEADS = 19,
    VOWELS = 21,
    TAILS = 28,
    SYLLABLES = LEADS * VOWELS * TAILS,
    SHORT_RUN = 16, /* marks in a row that are sorted without further memory */
};

unsigned rp_char_combining(uint32_t code) {
    if (code < 0x300) return 0;
    const rp_unicode_record *record = rp_unicode_find(code);
    return record->version <= RP_UNICODE_14 ? record->combining : 0;
}

/* ---- decomposition ---- */

static size_t decompose_syllable(uint32_t code, uint32_t *out) {
    uint32_t index = code - HANGUL;
    out[0] = LEAD + index / (VOWELS * TAILS);
    out[1] = VOWEL + index / TAILS % VOWELS;
    out[2] = TAIL + index % TAILS;
    return out[2] == TAIL ? 2 : 3;
}

/* The sequence at a place of the pool. */
static size_t read_pool(uint16_t entry, uint32_t *out) {
    const uint16_t *units = rp_mapping_pool + entry / 4;
    size_t left = entry % 4, count = 0;
    if (!left) left = *units++;
    for (; left > 0; left--) {
        uint32_t unit = *units++;
        if (unit - 0xd800u < 0x400) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (*units++ - 0xdc00u);
            left--;
        }
        out[count++] = unit;
    }
    return count;
}

static size_t decompose(uint32_t code, bool compatibility, rp_unicode_version version, uint32_t *out) {
    const rp_unicode_record *record = rp_unicode_find(code);
    uint8_t mapping = record->mapping;
    out[0] = code;
    if (mapping == RP_MAPPING_NONE || record->version > version) return 1;
    if (mapping >= RP_MAPPING_COMPATIBLE && !compatibility) return 1;
    if (code - HANGUL < SYLLABLES) return decompose_syllable(code, out);
    uint16_t entry = rp_mapping_values[rp_unicode_place(rp_mapping_groups, rp_mapping_blocks, code)];
    bool one = mapping == RP_MAPPING_CANONICAL_ONE || mapping == RP_MAPPING_COMPATIBLE_ONE;
    if (one) out[0] = entry;
    size_t count = one ? 1 : read_pool(entry, out);
    if (!compatibility || mapping >= RP_MAPPING_COMPATIBLE) return count;
    /* Of a canonical decomposition only the first character can have a compatible one, of two at most. */
    uint32_t first[RP_DECOMPOSED_MAX];
    size_t more = decompose(out[0], true, version, first);
    memmove(out + more, out + 1, (count - 1) * sizeof *out);
    memcpy(out, first, more * sizeof *out);
    return count - 1 + more;
}

size_t rp_char_decompose(uint32_t code, bool compatibility, uint32_t out[RP_DECOMPOSED_MAX]) {
    return decompose(code, compatibility, RP_UNICODE_14, out);
}

/* ---- the parts of a text ---- */

typedef struct part {
    uint32_t code;
    uint32_t combining;
    int32_t change; /* 1: added behind another; 0: in place of a character; -n: and of the n that follow it */
} part;

typedef struct parts {
    part *items;
    size_t count, capacity;
} parts;

static unsigned combining(uint32_t code) { /* in the version of the normal forms */
    if (code < 0x300) return 0;
    const rp_unicode_record *record = rp_unicode_find(code);
    return record->version <= RP_UNICODE_9 ? record->combining : 0;
}

static bool split(const rp_chars *chars, bool compatibility, parts *out) {
    if (!rp_grow((void **)&out->items, &out->capacity, chars->count, sizeof *out->items)) return false;
    for (size_t i = 0; i < chars->count; i++) {
        rp_char c = chars->items[i];
        uint32_t codes[RP_DECOMPOSED_MAX] = {c.code};
        size_t count = c.code < 0x80 ? 1 : decompose(c.code, compatibility, RP_UNICODE_9, codes);
        if (out->count + count > out->capacity &&
            !rp_grow((void **)&out->items, &out->capacity, out->count + count, sizeof *out->items))
            return false;
        for (size_t k = 0; k < count; k++)
            out->items[out->count++] = (part){codes[k], combining(codes[k]), k > 0};
    }
    return true;
}

/* A stable sort by class: by counting where the run is long, so that no text takes quadratic time. */
static bool sort_run(part *items, size_t count) {
    if (count <= SHORT_RUN) {
        for (size_t i = 1; i < count; i++) {
            part moved = items[i];
            size_t at = i;
            for (; at > 0 && items[at - 1].combining > moved.combining; at--) items[at] = items[at - 1];
            items[at] = moved;
        }
        return true;
    }
    part *sorted = rp_new_array(part, count);
    if (!sorted) return false;
    size_t first[256] = {0}, at = 0;
    for (size_t i = 0; i < count; i++) first[items[i].combining]++;
    for (size_t class = 0; class < 256; class ++) {
        size_t here = first[class];
        first[class] = at;
        at += here;
    }
    for (size_t i = 0; i < count; i++) sorted[first[items[i].combining]++] = items[i];
    memcpy(items, sorted, count * sizeof *sorted);
    free(sorted);
    return true;
}

static bool sort_marks(parts *p) {
    for (size_t from = 0; from < p->count;) {
        size_t to = from;
        while (to < p->count && p->items[to].combining) to++;
        if (to - from > 1 && !sort_run(p->items + from, to - from)) return false;
        from = to + 1;
    }
    return true;
}

/* ---- composition ---- */

static uint32_t compose_hangul(uint32_t first, uint32_t second) {
    if (first - LEAD < LEADS && second - VOWEL < VOWELS)
        return HANGUL + ((first - LEAD) * VOWELS + second - VOWEL) * TAILS;
    if (first - HANGUL < SYLLABLES && (first - HANGUL) % TAILS == 0 && second - TAIL - 1 < TAILS - 1)
        return first + second - TAIL;
    return 0;
}

static uint32_t compose_large(uint32_t first, uint32_t second) {
    for (size_t i = 0; i < rp_composed_large_count; i++) {
        const int32_t *triple = rp_composed_large + 3 * i;
        if ((uint32_t)triple[0] == second && (uint32_t)triple[1] == first)
            return rp_unicode_find((uint32_t)triple[2])->version <= RP_UNICODE_9 ? (uint32_t)triple[2] : 0;
    }
    return 0;
}

/* The one character that two compose into, or 0; `class` is the combining class of the second. */
static uint32_t compose_pair(uint32_t first, uint32_t second, unsigned class) {
    if (!class && !(rp_unicode_find(second)->flags & RP_FLAG_SECOND)) return 0;
    uint32_t syllable = compose_hangul(first, second);
    if (syllable) return syllable;
    if (first > 0xffff || second > 0xffff) return compose_large(first, second);
    uint32_t wanted = second << 16 | first;
    size_t low = 0, high = rp_composed_small_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint16_t *triple = rp_composed_small + 3 * middle;
        uint32_t here = (uint32_t)triple[0] << 16 | triple[1];
        if (here == wanted) return triple[2];
        if (here < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static void compose_all(parts *p) {
    size_t count = 0, starter = SIZE_MAX;
    unsigned last_class = 0; /* of the character kept last since the starter */
    for (size_t i = 0; i < p->count; i++) {
        part c = p->items[i];
        bool blocked =
            starter == SIZE_MAX || (count - 1 != starter && (last_class >= c.combining || last_class == 0));
        uint32_t joined = blocked ? 0 : compose_pair(p->items[starter].code, c.code, c.combining);
        if (joined) {
            part *base = &p->items[starter];
            base->code = joined;
            base->change += c.change - 1;
            continue;
        }
        if (c.combining == 0) starter = count;
        last_class = c.combining;
        p->items[count++] = c;
    }
    p->count = count;
}

/* ---- normal forms ---- */

/* Nothing to do: no character decomposes, is a mark, or may compose with what is before it. */
static bool is_plain(const rp_chars *chars, rp_normal_form form) {
    /* below U+0300 everything is composed already; below U+00A0 nothing decomposes */
    uint32_t safe = form == RP_NFC ? 0x300 : 0xa0;
    for (size_t i = 0; i < chars->count; i++) {
        if (chars->items[i].code < safe) continue;
        const rp_unicode_record *record = rp_unicode_find(chars->items[i].code);
        if (record->mapping || record->combining || (record->flags & RP_FLAG_SECOND)) return false;
    }
    return true;
}

static bool prepare(const rp_chars *chars, rp_normal_form form, parts *p) {
    if (!split(chars, form == RP_NFKD || form == RP_NFKC, p) || !sort_marks(p)) return false;
    if (form == RP_NFC || form == RP_NFKC) compose_all(p);
    return true;
}

bool rp_chars_normalize(rp_chars *chars, rp_normal_form form) {
    if (is_plain(chars, form)) return true;
    parts p = {0};
    rp_chars out = {0};
    bool ok =
        prepare(chars, form, &p) && rp_grow((void **)&out.items, &out.capacity, p.count, sizeof *out.items);
    size_t at = 0; /* the character that the next part takes the place of */
    for (size_t i = 0; ok && i < p.count; i++) {
        int32_t change = p.items[i].change;
        size_t from = change > 0 && at > 0 ? at - 1 : at;
        if (from >= chars->count) from = chars->count - 1;
        rp_char source = chars->items[from];
        out.items[out.count++] =
            (rp_char){p.items[i].code, source.start, change > 0 && at == 0 ? source.start : source.end};
        if (change <= 0) at += 1 + (size_t)-change;
    }
    free(p.items);
    if (!ok) return false;
    free(chars->items);
    *chars = out;
    return true;
}
