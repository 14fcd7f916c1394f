/* Runs the normalizers of a tokenizer, and has the small ones. Each keeps for every character the bytes that
 * Hugging Face's NormalizedString reports for it. */
#include "loader/pipeline.h"

static void strip(const rp_normal *step, rp_chars *chars) {
    size_t first = 0, end = chars->count;
    if (step->left)
        while (first < end && rp_char_is_white(chars->items[first].code)) first++;
    if (step->right)
        while (end > first && rp_char_is_white(chars->items[end - 1].code)) end--;
    if (first) memmove(chars->items, chars->items + first, (end - first) * sizeof *chars->items);
    chars->count = end - first;
}

static bool nmt_drops(uint32_t code) {
    return (code >= 1 && code <= 8) || code == 0xb || (code >= 0xe && code <= 0x1f) || code == 0x7f ||
           code == 0x8f || code == 0x9f;
}

static bool nmt_is_space(uint32_t code) {
    return code == '\t' || code == '\n' || code == '\f' || code == '\r' || code == 0x1680 ||
           (code >= 0x200b && code <= 0x200f) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
           code == 0xfeff || code == 0xfffd;
}

static void nmt(rp_chars *chars) {
    size_t kept = 0;
    for (size_t i = 0; i < chars->count; i++) {
        rp_char c = chars->items[i];
        if (nmt_drops(c.code)) continue;
        if (nmt_is_space(c.code)) c.code = ' ';
        chars->items[kept++] = c;
    }
    chars->count = kept;
}

static bool put_content(const rp_normal *step, rp_flow *flow, rp_chars *out, rp_char place) {
    if (!rp_flow_reserve(flow, out, step->content_count)) return false;
    for (size_t i = 0; i < step->content_count; i++)
        out->items[out->count++] = (rp_char){step->content[i], place.start, place.end};
    return true;
}

/* What replaces a match stands for the bytes of its last character, or of the one before where it has none.
 */
static bool replace(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin) {
    rp_chars *out = &flow->spare;
    rp_search search = {0};
    size_t start, end, from = 0;
    out->count = 0;
    if (!chars->count) return true;
    while (rp_pattern_next(&step->pattern, flow, chars->items, chars->count, &search, &start, &end)) {
        rp_char place = end ? chars->items[end - 1] : (rp_char){0, origin, origin};
        if (!rp_flow_append(flow, out, chars->items + from, start - from) ||
            !put_content(step, flow, out, place))
            return false;
        from = end;
    }
    if (flow->status) return false;
    if (!search.found) return true;
    if (!rp_flow_append(flow, out, chars->items + from, chars->count - from)) return false;
    rp_chars_swap(chars, out);
    return true;
}

static bool prepend(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
    rp_chars *out = &flow->spare;
    out->count = 0;
    if (!chars->count) return true;
    if (!put_content(step, flow, out, chars->items[0]) ||
        !rp_flow_append(flow, out, chars->items, chars->count))
        return false;
    rp_chars_swap(chars, out);
    return true;
}

static bool run(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin) {
    switch (step->kind) {
    case RP_NORMAL_BERT:
        return rp_normal_bert(step, flow, chars);
    case RP_NORMAL_STRIP:
        strip(step, chars);
        return true;
    case RP_NORMAL_STRIP_ACCENTS:
        if (!flow->ascii) rp_normal_drop(chars, rp_char_is_mark);
        return true;
    case RP_NORMAL_LOWERCASE:
        return rp_normal_lower(flow, chars);
    case RP_NORMAL_NMT:
        nmt(chars);
        return true;
    case RP_NORMAL_PRECOMPILED:
        return rp_normal_map(step, flow, chars, origin);
    case RP_NORMAL_REPLACE:
        return replace(step, flow, chars, origin);
    case RP_NORMAL_PREPEND:
        return prepend(step, flow, chars);
    case RP_NORMAL_FORM:
        return flow->ascii || rp_normal_compose(flow, chars, step->form);
    }
    return true;
}

/* Whether what a step puts in may be beyond ASCII. */
static bool leaves_ascii(const rp_normal *step) {
    if (step->kind == RP_NORMAL_PRECOMPILED) return true;
    for (size_t i = 0; i < step->content_count; i++)
        if (step->content[i] >= 128) return true;
    return false;
}

bool rp_normal_run(const rp_normalizer *normalizer, rp_flow *flow, rp_chars *chars, uint32_t origin) {
    bool ascii = flow->ascii, ok = true;
    for (size_t i = 0; ok && i < normalizer->count; i++) {
        ok = run(&normalizer->steps[i], flow, chars, origin);
        if (leaves_ascii(&normalizer->steps[i])) flow->ascii = false;
    }
    flow->ascii = ascii;
    return ok;
}
