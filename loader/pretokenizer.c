/* Pre-tokenizers: from normalized text to the words that the model sees. */
#include "loader/pipeline.h"

enum {
    WHITE = 1,
    PUNCTUATION = 2,
    NUMBER = 4,
    WORD = 8,
};

/* Of ASCII characters, the classes above. */
static unsigned ascii_class(uint32_t c) {
    if (c == ' ' || (c >= 9 && c <= 13)) return WHITE;
    if (c >= '0' && c <= '9') return NUMBER | WORD;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return WORD;
    if (c == '_') return PUNCTUATION | WORD;
    return c > ' ' && c < 0x7f ? PUNCTUATION : 0;
}

static bool is_white(uint32_t c) {
    return c < 128 ? ascii_class(c) & WHITE : rp_char_is_white(c);
}

static bool is_punctuation(uint32_t c) {
    return c < 128 ? ascii_class(c) & PUNCTUATION : rp_bert_is_punctuation(c);
}

static bool is_number(uint32_t c) {
    return c < 128 ? ascii_class(c) & NUMBER : rp_char_is_numeric(c);
}

static bool is_word(uint32_t c) {
    return c < 128 ? ascii_class(c) & WORD : rp_char_is_word(c);
}

/* ---- what a pre-tokenizer makes of matches ---- */

/* Append the split [begin, end) unless it is empty. */
static bool put(rp_flow *flow, size_t begin, size_t end) {
    return begin >= end || rp_flow_push(flow, &flow->spare_splits, begin, end, -1);
}

/* Merge each match with the split before it, or with `next` with the one behind it. Of two matches side by
 * side the one that is farther from that split stands alone. */
static void merge(rp_splits *splits, bool next) {
    rp_split *items = splits->items;
    size_t kept = 0;
    bool before = false; /* the split before is a match */
    for (size_t k = 0; k < splits->count; k++) {
        size_t i = next ? splits->count - 1 - k : k;
        rp_split split = items[i];
        rp_split *last = kept ? &items[next ? splits->count - kept : kept - 1] : NULL;
        bool match = split.id >= 0;
        if (match && !before && last) {
            if (next)
                last->begin = split.begin;
            else
                last->end = split.end;
        } else {
            items[next ? splits->count - 1 - kept : kept] = split;
            kept++;
        }
        before = match;
    }
    if (next) memmove(items, items + splits->count - kept, kept * sizeof *items);
    splits->count = kept;
}

/* Make one split of neighbours that both are matches, or both none. */
static void join(rp_splits *splits) {
    size_t kept = 0;
    bool before = false;
    for (size_t i = 0; i < splits->count; i++) {
        rp_split split = splits->items[i];
        bool match = split.id >= 0;
        if (match == before && kept)
            splits->items[kept - 1].end = split.end;
        else
            splits->items[kept++] = split;
        before = match;
    }
    splits->count = kept;
}

/* Append what `behavior` makes of flow->matches: the splits that one split was cut into, in order, of which
 * those whose id is not -1 are matches. */
static bool put_matches(rp_flow *flow, rp_behavior behavior) {
    rp_splits *splits = &flow->matches;
    if (behavior == RP_BEHAVIOR_PREVIOUS || behavior == RP_BEHAVIOR_NEXT)
        merge(splits, behavior == RP_BEHAVIOR_NEXT);
    if (behavior == RP_BEHAVIOR_CONTIGUOUS) join(splits);
    for (size_t i = 0; i < splits->count; i++) {
        rp_split split = splits->items[i];
        if (behavior == RP_BEHAVIOR_REMOVED && split.id >= 0) continue;
        if (!put(flow, split.begin, split.end)) return false;
    }
    return true;
}

/* ---- cutting one split ---- */

/* Cut where `is` is true of a character; each such character is a match. */
static bool cut_class(rp_flow *flow, rp_split split, bool (*is)(uint32_t), rp_behavior behavior) {
    const rp_char *c = flow->chars.items;
    size_t from = split.begin;
    flow->matches.count = 0;
    for (size_t i = split.begin; i < split.end; i++) {
        if (!is(c[i].code)) continue;
        if (from < i && !rp_flow_push(flow, &flow->matches, from, i, -1)) return false;
        if (!rp_flow_push(flow, &flow->matches, i, i + 1, 1)) return false;
        from = i + 1;
    }
    if (from < split.end && !rp_flow_push(flow, &flow->matches, from, split.end, -1)) return false;
    return put_matches(flow, behavior);
}

/* Cut at white space, which is left out, and around each punctuation character. */
static bool cut_bert(rp_flow *flow, rp_split split) {
    const rp_char *c = flow->chars.items;
    size_t from = split.begin;
    for (size_t i = split.begin; i < split.end; i++) {
        uint32_t code = c[i].code;
        bool white, punctuation;
        if (code < 128) {
            unsigned class = ascii_class(code);
            if (!(class & (WHITE | PUNCTUATION))) continue;
            white = class & WHITE;
            punctuation = !white;
        } else {
            white = rp_char_is_white(code);
            punctuation = !white && rp_bert_is_punctuation(code);
        }
        if (!white && !punctuation) continue;
        if (!put(flow, from, i) || (punctuation && !put(flow, i, i + 1))) return false;
        from = i + 1;
    }
    return put(flow, from, split.end);
}

/* Cut at white space, which is left out. */
static bool cut_white(rp_flow *flow, rp_split split) {
    const rp_char *c = flow->chars.items;
    size_t from = split.begin;
    for (size_t i = split.begin; i < split.end; i++) {
        if (!is_white(c[i].code)) continue;
        if (!put(flow, from, i)) return false;
        from = i + 1;
    }
    return put(flow, from, split.end);
}

/* Cut into words, and into what stands between words and white space; white space is left out. */
static bool cut_words(rp_flow *flow, rp_split split) {
    const rp_char *c = flow->chars.items;
    for (size_t i = split.begin; i < split.end;) {
        size_t from = i;
        if (is_word(c[i].code))
            while (i < split.end && is_word(c[i].code)) i++;
        else
            while (i < split.end && !is_word(c[i].code) && !is_white(c[i].code)) i++;
        if (!put(flow, from, i)) return false;
        if (i == from) i++;
    }
    return true;
}

/* Cut at the matches of a pattern, or with `invert` take what is between them for the matches. */
static bool cut_pattern(const rp_pre *step, rp_flow *flow, rp_split split) {
    const rp_char *c = flow->chars.items + split.begin;
    size_t count = split.end - split.begin, from = 0, start, end;
    int32_t match = step->invert ? -1 : 1;
    rp_search search = {0};
    flow->matches.count = 0;
    while (rp_pattern_next(&step->pattern, flow, c, count, &search, &start, &end)) {
        if (from != start &&
            !rp_flow_push(flow, &flow->matches, split.begin + from, split.begin + start, -match))
            return false;
        if (!rp_flow_push(flow, &flow->matches, split.begin + start, split.begin + end, match)) return false;
        from = end;
    }
    if (flow->status) return false;
    if (from != count && !rp_flow_push(flow, &flow->matches, split.begin + from, split.end, -match))
        return false;
    return put_matches(flow, step->behavior);
}

/* ---- Metaspace ---- */

/* Cut characters [begin, end) of flow->spare so that each symbol begins a word. */
static bool cut_symbols(const rp_pre *step, rp_flow *flow, size_t begin, size_t end) {
    const rp_char *c = flow->spare.items;
    size_t from = begin;
    for (size_t i = begin + 1; i < end; i++) {
        if (c[i].code != step->replacement) continue;
        if (!put(flow, from, i)) return false;
        from = i;
    }
    return put(flow, from, end);
}

/* Write a split to flow->spare with the symbol in place of spaces, and with one in front where the options
 * say so; then cut it. A split that is a token stays as it is. */
static bool metaspace_split(const rp_pre *step, rp_flow *flow, rp_split split) {
    rp_chars *out = &flow->spare;
    const rp_char *c = flow->chars.items + split.begin;
    size_t count = split.end - split.begin, begin = out->count;
    if (!rp_flow_reserve(flow, out, count + 1)) return false;
    if (split.id < 0) {
        bool wanted =
            step->prepend == RP_PREPEND_ALWAYS || (step->prepend == RP_PREPEND_FIRST && c[0].start == 0);
        if (wanted && c[0].code != ' ' && c[0].code != step->replacement)
            out->items[out->count++] = (rp_char){step->replacement, c[0].start, c[0].end};
    }
    for (size_t i = 0; i < count; i++) {
        rp_char next = c[i];
        if (split.id < 0 && next.code == ' ') next.code = step->replacement;
        out->items[out->count++] = next;
    }
    if (split.id < 0 && step->split) return cut_symbols(step, flow, begin, out->count);
    return rp_flow_push(flow, &flow->spare_splits, begin, out->count, split.id);
}

/* Metaspace rewrites the whole text, as the symbol in front makes it longer. */
static bool metaspace(const rp_pre *step, rp_flow *flow) {
    flow->spare.count = 0;
    for (size_t i = 0; i < flow->splits.count; i++)
        if (!metaspace_split(step, flow, flow->splits.items[i])) return false;
    rp_chars_swap(&flow->chars, &flow->spare);
    return true;
}

/* ---- the whole ---- */

static bool cut(const rp_pre *step, rp_flow *flow, rp_split split) {
    switch (step->kind) {
    case RP_PRE_BERT:
        return cut_bert(flow, split);
    case RP_PRE_WHITESPACE:
        return cut_words(flow, split);
    case RP_PRE_WHITESPACE_SPLIT:
        return cut_white(flow, split);
    case RP_PRE_PUNCTUATION:
        return cut_class(flow, split, is_punctuation, step->behavior);
    case RP_PRE_DIGITS:
        return cut_class(flow, split, is_number, step->behavior);
    case RP_PRE_SPLIT:
        return cut_pattern(step, flow, split);
    case RP_PRE_METASPACE:
        break;
    }
    return true;
}

bool rp_pretokenize(const rp_pretokenizer *pretokenizer, rp_flow *flow) {
    for (size_t k = 0; k < pretokenizer->count; k++) {
        const rp_pre *step = &pretokenizer->steps[k];
        flow->spare_splits.count = 0;
        if (step->kind == RP_PRE_METASPACE) {
            if (!metaspace(step, flow)) return false;
        } else {
            for (size_t i = 0; i < flow->splits.count; i++) {
                rp_split split = flow->splits.items[i];
                bool ok = split.id >= 0
                              ? rp_flow_push(flow, &flow->spare_splits, split.begin, split.end, split.id)
                              : cut(step, flow, split);
                if (!ok) return false;
            }
        }
        rp_splits splits = flow->splits;
        flow->splits = flow->spare_splits;
        flow->spare_splits = splits;
    }
    return true;
}
