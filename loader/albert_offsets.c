/* Where in the text each character of the fast Hugging Face ALBERT tokenizer comes from.
 *
 * The ids of the original algorithm and the offsets of the fast tokenizer come from two different
 * normalizations. This is the second: quotes, NFKD, marks, lower case, the model's character map, runs of
 * spaces, and a space symbol in front. Each step keeps, for every character, the range that the fast
 * tokenizer would report. */
#include "loader/tokenizer.h"

enum { SPACE_SYMBOL = 0x2581 };

/* A character behind the character map. change 0: replaces one; > 0: an addition, which shares the range
 * before it; -n: replaces one and takes n more with it. */
typedef struct edit {
    uint32_t code, source;
    int32_t change;
} edit;

typedef struct edits {
    edit *items;
    size_t count, capacity;
    bool modified;
} edits;

static bool push_unit(rp_units *units, rp_unit unit) {
    if (units->count == units->capacity &&
        !rp_grow((void **)&units->items, &units->capacity, units->count + 1, sizeof *units->items))
        return false;
    units->items[units->count++] = unit;
    return true;
}

static bool push_edit(edits *out, uint32_t code, uint32_t source) {
    if (out->count == out->capacity &&
        !rp_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
        return false;
    out->items[out->count++] = (edit){code, source, 0};
    return true;
}

/* Quotes, NFKD, marks, lower case: all of them work on one character (or one pair of quotes) at a time. */
static bool fold(const rp_tokenizer *t, const char *text, uint32_t start, uint32_t end, rp_units *out) {
    if (!rp_grow((void **)&out->items, &out->capacity, rp_utf8_count(text + start, end - start),
                 sizeof *out->items))
        return false;
    for (size_t at = start; at < end;) {
        uint32_t from = (uint32_t)at, code = rp_utf8_next(text, &at);
        if ((code == '`' || code == '\'') && at < end && (unsigned char)text[at] == code) {
            code = '"';
            from = (uint32_t)at++; /* the pair is reported as its second character */
        }
        if (code < 0x80) {
            if (t->albert.do_lower_case && code >= 'A' && code <= 'Z') code += 'a' - 'A';
            if (!push_unit(out, (rp_unit){code, from, from, (uint32_t)at, 0})) return false;
            continue;
        }
        uint32_t parts[RP_DECOMPOSED_MAX] = {code}, lower[RP_LOWERED_MAX];
        size_t count = t->albert.keep_accents ? 1 : rp_char_decompose(code, true, parts);
        for (size_t i = 0; i < count; i++) {
            if (!t->albert.keep_accents && rp_char_is_mark(parts[i])) continue;
            lower[0] = parts[i];
            size_t lowers = t->albert.do_lower_case ? rp_char_lower(parts[i], lower) : 1;
            for (size_t k = 0; k < lowers; k++)
                if (!push_unit(out, (rp_unit){lower[k], from, from, (uint32_t)at, 0})) return false;
        }
    }
    return true;
}

/* Put `text` (NUL-terminated) in the place of `count` characters. */
static bool replace(edits *out, const char *text, uint32_t source, size_t count) {
    size_t size = strlen(text), added = 0;
    for (size_t at = 0; at < size; added++)
        if (!push_edit(out, rp_utf8_next(text, &at), source)) return false;
    out->modified = true;
    for (size_t i = count; i < added; i++) out->items[out->count - 1 - (i - count)].change = 1;
    if (added < count && out->count) out->items[out->count - 1].change -= (int32_t)(count - added);
    return true;
}

/* The character map on one grapheme: as a whole when it is short and the map knows how it begins, else
 * character by character. */
static bool map_grapheme(const rp_charsmap *map, const rp_unit *units, size_t count, edits *out) {
    char bytes[8];
    size_t size = 0;
    for (size_t i = 0; i < count && size < 6; i++) {
        size_t more = rp_utf8_size(units[i].code);
        if (size + more < 6) rp_utf8_put(bytes + size, units[i].code);
        size += more;
    }
    const char *found = size < 6 ? rp_charsmap_find(map, bytes, size) : NULL;
    if (found) return replace(out, found, units[0].source, count);
    for (size_t i = 0; i < count; i++) {
        size = rp_utf8_put(bytes, units[i].code);
        found = rp_charsmap_find(map, bytes, size);
        if (!(found ? replace(out, found, units[i].source, 1)
                    : push_edit(out, units[i].code, units[i].source)))
            return false;
    }
    return true;
}

/* Run the character map over `units`, in place. */
static bool map_characters(const rp_tokenizer *t, rp_units *units) {
    const rp_charsmap *map = &t->model.normalizer.charsmap;
    edits changed = {0};
    bool ok = true;
    size_t same = 0;
    while (same < units->count && units->items[same].code < 128 && t->plain[units->items[same].code]) same++;
    if (same == units->count) return true; /* as most texts */
    for (size_t from = 0; ok && from < units->count;) {
        size_t to = from + 1;
        int32_t state = 0;
        while (to < units->count &&
               !rp_grapheme_break(units->items[to - 1].code, units->items[to].code, &state))
            to++;
        ok = map_grapheme(map, units->items + from, to - from, &changed);
        from = to;
    }
    rp_units mapped = {0};
    size_t at = 0; /* the next old character */
    for (size_t i = 0; ok && changed.modified && i < changed.count; i++) {
        edit e = changed.items[i];
        rp_unit unit = {e.code, e.source, 0, 0, 0};
        size_t from = e.change > 0 ? at - 1 : at;
        if (from < units->count) {
            unit.start = units->items[from].start;
            unit.end = units->items[from].end;
        }
        if (e.change <= 0) at += 1 + (size_t)-e.change;
        ok = push_unit(&mapped, unit);
    }
    free(changed.items);
    if (!ok || !changed.modified) {
        free(mapped.items);
        return ok;
    }
    free(units->items);
    *units = mapped;
    return true;
}

/* Space symbols, one in front, and the words that they begin. */
static bool split_words(const rp_unit *units, size_t count, rp_units *out) {
    bool begun = false; /* the word of the next character has begun */
    size_t room = out->count + count + 1;
    if (!rp_grow((void **)&out->items, &out->capacity, room, sizeof *out->items)) return false;
    for (size_t i = 0; i < count; i++) {
        rp_unit unit = units[i];
        if (unit.code == ' ' && i + 1 < count && units[i + 1].code == ' ')
            continue; /* the last of a run stays */
        if (unit.code == ' ') unit.code = SPACE_SYMBOL;
        if (!begun || unit.code == SPACE_SYMBOL) out->words++;
        unit.word = out->words - 1;
        if (!begun && unit.code != SPACE_SYMBOL) {
            rp_unit front = unit;
            front.code = SPACE_SYMBOL;
            if (!push_unit(out, front)) return false;
        }
        begun = true;
        if (!push_unit(out, unit)) return false;
    }
    return true;
}

static bool normalize(const rp_tokenizer *t, const char *text, uint32_t start, uint32_t end, rp_units *out) {
    rp_units folded = {0};
    bool ok = start >= end || (fold(t, text, start, end, &folded) &&
                               (!t->model.normalizer.charsmap.units || map_characters(t, &folded)) &&
                               split_words(folded.items, folded.count, out));
    free(folded.items);
    return ok;
}

bool rp_albert_units(const rp_tokenizer *t, const char *text, uint32_t start, uint32_t end, rp_units *out) {
    uint32_t from = start;
    for (uint32_t at = start; at < end;) {
        size_t size = rp_spiece_user(t->spiece, text + at, end - at);
        if (!size) {
            at++;
            continue;
        }
        if (!normalize(t, text, from, at, out)) return false;
        from = at + (uint32_t)size;
        if (!push_unit(out, (rp_unit){0, at, at, from, out->words++})) return false;
        at = from;
    }
    return normalize(t, text, from, end, out);
}
