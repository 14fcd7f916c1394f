/* What several normalizers do with letters: lower case, accents, and the normal forms of Unicode. */
#include "loader/pipeline.h"

void rp_normal_drop(rp_chars *chars, bool (*drops)(uint32_t code)) {
    size_t kept = 0;
    for (size_t i = 0; i < chars->count; i++)
        if (chars->items[i].code < 128 || !drops(chars->items[i].code))
            chars->items[kept++] = chars->items[i];
    chars->count = kept;
}

bool rp_normal_lower(rp_flow *flow, rp_chars *chars) {
    size_t i = 0;
    uint32_t lower[RP_LOWERED_MAX];
    for (; i < chars->count; i++) { /* in place, as long as no character becomes two */
        uint32_t *code = &chars->items[i].code;
        if (*code < 128) {
            if (*code >= 'A' && *code <= 'Z') *code += 'a' - 'A';
        } else if (rp_char_lower(*code, lower) == 1) {
            *code = lower[0];
        } else {
            break;
        }
    }
    if (i == chars->count) return true;
    rp_chars *out = &flow->spare;
    out->count = 0;
    if (!rp_flow_reserve(flow, out, chars->count)) return false;
    memcpy(out->items, chars->items, i * sizeof *out->items);
    out->count = i;
    for (; i < chars->count; i++) {
        rp_char c = chars->items[i];
        size_t count = rp_char_lower(c.code, lower);
        if (!rp_flow_reserve(flow, out, count + chars->count - i)) return false;
        for (size_t k = 0; k < count; k++) out->items[out->count++] = (rp_char){lower[k], c.start, c.end};
    }
    rp_chars_swap(chars, out);
    return true;
}

bool rp_normal_compose(rp_flow *flow, rp_chars *chars, rp_normal_form form) {
    uint32_t least = form == RP_NFC ? 0x300 : form == RP_NFD ? 0xc0 : 0xa0; /* nothing below it changes */
    size_t i = 0;
    while (i < chars->count && chars->items[i].code < least) i++;
    return i == chars->count || rp_chars_normalize(chars, form) || rp_flow_memory(flow);
}
