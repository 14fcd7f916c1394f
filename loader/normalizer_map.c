/* The normalizer Precompiled: a model's own map of characters. */
#include "loader/pipeline.h"

static bool push_edit(rp_flow *flow, uint32_t code, int32_t change) {
    if (flow->edit_count == flow->edit_capacity) {
        if (flow->edit_count >= flow->most) return rp_flow_long(flow);
        if (!rp_grow((void **)&flow->edits, &flow->edit_capacity, flow->edit_count + 1, sizeof *flow->edits))
            return rp_flow_memory(flow);
    }
    flow->edits[flow->edit_count++] = (rp_edit){code, change};
    return true;
}

/* Rewrite `chars` by flow->edits. */
static bool apply(rp_flow *flow, rp_chars *chars, uint32_t origin) {
    rp_chars *out = &flow->spare;
    size_t at = 0; /* the next old character */
    out->count = 0;
    if (!rp_flow_reserve(flow, out, flow->edit_count)) return false;
    for (size_t i = 0; i < flow->edit_count; i++) {
        rp_edit edit = flow->edits[i];
        rp_char place = {0, origin, origin};
        size_t from = edit.change > 0 ? at - 1 : at;
        if (from < chars->count)
            place = chars->items[from];
        else if (chars->count && edit.change <= 0)
            place = chars->items[chars->count - 1];
        if (edit.change <= 0) at += 1 + (size_t)-edit.change;
        out->items[out->count++] = (rp_char){edit.code, place.start, place.end};
    }
    rp_chars_swap(chars, out);
    return true;
}

enum { GRAPHEME_BYTES = 6 }; /* a longer one is mapped character by character */

/* Put `text` (NUL-terminated) in the place of `count` characters. */
static bool put_mapped(rp_flow *flow, const char *text, size_t count) {
    size_t size = strlen(text), made = 0;
    for (size_t at = 0; at < size; made++)
        if (!push_edit(flow, rp_utf8_next(text, &at), 0)) return false;
    for (size_t i = count; i < made; i++) flow->edits[flow->edit_count - 1 - (i - count)].change = 1;
    if (made < count && flow->edit_count) flow->edits[flow->edit_count - 1].change -= (int32_t)(count - made);
    return true;
}

/* One grapheme: as a whole when it is short and the map knows how it begins, else each of its characters. */
static bool map_grapheme(const rp_charsmap *map, rp_flow *flow, const rp_char *chars, size_t count,
                         bool *changed) {
    char bytes[8];
    size_t size = 0;
    for (size_t i = 0; i < count && size < GRAPHEME_BYTES; i++) {
        size_t more = rp_utf8_size(chars[i].code);
        if (size + more < GRAPHEME_BYTES) rp_utf8_put(bytes + size, chars[i].code);
        size += more;
    }
    const char *found = size < GRAPHEME_BYTES ? rp_charsmap_find(map, bytes, size) : NULL;
    if (found) {
        *changed = true;
        return put_mapped(flow, found, count);
    }
    for (size_t i = 0; i < count; i++) {
        size = rp_utf8_put(bytes, chars[i].code);
        found = rp_charsmap_find(map, bytes, size);
        *changed |= found != NULL;
        if (!(found ? put_mapped(flow, found, 1) : push_edit(flow, chars[i].code, 0))) return false;
    }
    return true;
}

void rp_normal_prepare(rp_normal *step) {
    for (unsigned code = 0; code < 128; code++) {
        char byte = (char)code;
        step->plain[code] = code != '\r' && !rp_charsmap_find(&step->charsmap, &byte, 1);
    }
}

bool rp_normal_map(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin) {
    const rp_char *c = chars->items;
    size_t plain = 0;
    while (plain < chars->count && c[plain].code < 128 && step->plain[c[plain].code]) plain++;
    if (plain == chars->count) return true;
    bool changed = false;
    flow->edit_count = 0;
    for (size_t from = 0; from < chars->count;) {
        size_t to = from + 1;
        int32_t state = 0;
        bool alone =
            c[from].code < 128 && (to == chars->count || c[to].code < 128) && step->plain[c[from].code];
        if (alone) {
            if (!push_edit(flow, c[from].code, 0)) return false;
            from = to;
            continue;
        }
        while (to < chars->count && !rp_grapheme_break(c[to - 1].code, c[to].code, &state)) to++;
        if (!map_grapheme(&step->charsmap, flow, c + from, to - from, &changed)) return false;
        from = to;
    }
    return !changed || apply(flow, chars, origin);
}
