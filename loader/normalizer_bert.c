/* The normalizer BertNormalizer. */
#include "loader/pipeline.h"

static const unsigned char DROP = 1;

/* What the cleaning of BERT makes of ASCII characters; DROP: nothing. */
static unsigned char clean_ascii(uint32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return ' ';
    return code < ' ' || code == 0x7f ? DROP : (unsigned char)code;
}

static void rewrite_ascii(const rp_normal *step, rp_chars *chars) {
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
static bool rewrite(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
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
            if (rp_char_is_white(c.code)) c.code = ' ';
        }
        if (step->ideographs && c.code >= 0x3400 && rp_bert_is_ideograph(c.code)) {
            if (!rp_flow_reserve(flow, out, 2 + chars->count - i)) return false;
            out->items[out->count++] = (rp_char){' ', c.start, c.end};
            out->items[out->count++] = c;
            c.code = ' ';
        }
        out->items[out->count++] = c;
    }
    rp_chars_swap(chars, out);
    return true;
}

bool rp_normal_bert(const rp_normal *step, rp_flow *flow, rp_chars *chars) {
    if (flow->ascii) {
        rewrite_ascii(step, chars);
        return true;
    }
    if ((step->clean || step->ideographs) && !rewrite(step, flow, chars)) return false;
    if (step->accents) {
        if (!rp_normal_compose(flow, chars, RP_NFD)) return false;
        rp_normal_drop(chars, rp_bert_is_nonspacing);
    }
    return !step->lower || rp_normal_lower(flow, chars);
}
