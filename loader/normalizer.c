/* Normalizers: BERT's, and the small ones. Each keeps for every character the bytes that Hugging Face's
 * NormalizedString reports for it. */
#include "loader/pipeline.h"

static void swap(rp_chars *a, rp_chars *b) {
    rp_chars c = *a;
    *a = *b;
    *b = c;
}

/* ---- BERT ---- */

static const unsigned char DROP = 1;

/* What the cleaning of BERT makes of ASCII characters; DROP: nothing. */
static unsigned char clean_ascii(uint32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return ' ';
    return code < ' ' || code == 0x7f ? DROP : (unsigned char)code;
}

static void bert_ascii(const rp_normal *step, rp_chars *chars) {
    unsigned char map[128];
    for (uint32_t code = 0; code < 128; code++) {
        map[code] = step->clean ? clean_ascii(code) : (unsigned char)code;
        if (step->lower && map[code] >= 'A' && map[code] <= 'Z') map[code] += 'a' - 'A';
    }
    size_t kept = 0;
    for (size_t i = 0; i < chars->count; i++) {
        rp_char c = chars->items[i];
        c.code = map[c.code];
        if (c.code == DROP && step->clean) continue;
        chars->items[kept++] = c;
    }
    chars->count = kept;
}

/* Drop control characters, make white space plain, and put spaces around ideographs. */
static bool bert_clean(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
    rp_chars *out = &flow->spare;
    out->count = 0;
    if (!rp_flow_reserve(flow, out, chars->count)) return false;
    for (size_t i = 0; i < chars->count; i++) {
        rp_char c = chars->items[i];
        if (step->clean && c.code < 128) {
            c.code = clean_ascii(c.code);
            if (c.code == DROP) continue;
        } else if (step->clean) {
            if (c.code == 0xfffd || rp_bert_is_control(c.code)) continue;
            if (rp_bert_is_white(c.code)) c.code = ' ';
        }
        if (step->ideographs && c.code >= 0x3400 && rp_bert_is_ideograph(c.code)) {
            if (!rp_flow_reserve(flow, out, 2 + chars->count - i)) return false;
            out->items[out->count++] = (rp_char){' ', c.start, c.end};
            out->items[out->count++] = c;
            c.code = ' ';
        }
        out->items[out->count++] = c;
    }
    swap(chars, out);
    return true;
}

static bool keep_unless(rp_chars *chars, bool (*drops)(uint32_t code)) {
    size_t kept = 0;
    for (size_t i = 0; i < chars->count; i++)
        if (chars->items[i].code < 128 || !drops(chars->items[i].code))
            chars->items[kept++] = chars->items[i];
    chars->count = kept;
    return true;
}

static bool lowercase(rp_flow *flow, rp_chars *chars) {
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
    swap(chars, out);
    return true;
}

static bool normal_form(rp_flow *flow, rp_chars *chars, rp_normal_form form) {
    uint32_t least = form == RP_NFC ? 0x300 : form == RP_NFD ? 0xc0 : 0xa0; /* nothing below it changes */
    size_t i = 0;
    while (i < chars->count && chars->items[i].code < least) i++;
    return i == chars->count || rp_chars_normalize(chars, form) || rp_flow_memory(flow);
}

static bool bert(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
    if (flow->ascii) {
        bert_ascii(step, chars);
        return true;
    }
    if ((step->clean || step->ideographs) && !bert_clean(step, flow, chars)) return false;
    if (step->accents && (!normal_form(flow, chars, RP_NFD) || !keep_unless(chars, rp_bert_is_nonspacing)))
        return false;
    return !step->lower || lowercase(flow, chars);
}

/* ---- the small ones ---- */

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

static bool copy(rp_flow *flow, rp_chars *out, const rp_char *from, size_t count) {
    if (!rp_flow_reserve(flow, out, count)) return false;
    if (count) memcpy(out->items + out->count, from, count * sizeof *from);
    out->count += count;
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
        if (!copy(flow, out, chars->items + from, start - from) || !put_content(step, flow, out, place))
            return false;
        from = end;
    }
    if (flow->status) return false;
    if (!search.found) return true;
    if (!copy(flow, out, chars->items + from, chars->count - from)) return false;
    swap(chars, out);
    return true;
}

static bool prepend(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
    rp_chars *out = &flow->spare;
    out->count = 0;
    if (!chars->count) return true;
    if (!put_content(step, flow, out, chars->items[0]) || !copy(flow, out, chars->items, chars->count))
        return false;
    swap(chars, out);
    return true;
}

static bool run(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin) {
    switch (step->kind) {
    case RP_NORMAL_BERT:
        return bert(step, flow, chars);
    case RP_NORMAL_STRIP:
        strip(step, chars);
        return true;
    case RP_NORMAL_STRIP_ACCENTS:
        return flow->ascii || keep_unless(chars, rp_char_is_mark);
    case RP_NORMAL_LOWERCASE:
        return lowercase(flow, chars);
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
        return flow->ascii || normal_form(flow, chars, step->form);
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
