/* Cuts the added tokens out of a text, as AddedVocabulary of Hugging Face's `tokenizers` does. */
#include "loader/pipeline.h"

const rp_added *rp_added_of(const rp_added_vocab *added, int32_t id) {
    if (id < 0 || (size_t)id >= added->owner_count || added->owners[id] < 0) return NULL;
    return &added->tokens[added->owners[id]];
}

static bool is_word(uint32_t code) {
    return rp_char_is_word(code);
}

/* A token that stands for whole words alone is passed over beside a character of a word. */
static bool is_inside(const rp_char *chars, size_t begin, size_t end, size_t start, size_t stop) {
    return (start > begin && is_word(chars[start - 1].code)) || (stop < end && is_word(chars[stop].code));
}

/* Cut chars[begin..end) at the tokens of `trie`, and append the tokens and what is between them to `out`. */
static bool cut(const rp_added_vocab *added, const rp_added_trie *trie, rp_flow *flow, size_t begin,
                size_t end, const rp_char *chars, rp_splits *out) {
    size_t from = begin;    /* where the text that no token has taken begins */
    size_t white = begin;   /* where the white space that was looked at last ends */
    size_t last = SIZE_MAX; /* where the last token ended */
    for (size_t i = begin; trie->node_count && i < end + trie->has_empty;) {
        int32_t id = -1;
        size_t length = i < end && trie->first[chars[i].code & 255]
                            ? rp_added_trie_match(trie, chars + i, end - i, &id)
                            : 0;
        if (!length) {
            if (!trie->has_empty || last == i) {
                i++;
                continue;
            }
            id = trie->empty;
        }
        size_t start = i, stop = i + length;
        last = stop;
        const rp_added *token = rp_added_of(added, id);
        i = stop; /* also when the token takes the white space behind it, or is none here */
        if (added->split_special && added->skipped[added->owners[id]]) continue;
        if (token->single_word && is_inside(chars, begin, end, start, stop)) continue;
        if (token->lstrip) {
            while (start > from && rp_char_is_white(chars[start - 1].code)) start--;
            if (start < from) start = from;
        }
        if (token->rstrip) {
            if (stop < white) stop = white; /* it has been looked at */
            while (stop < end && rp_char_is_white(chars[stop].code)) stop++;
            white = stop;
        }
        if (stop < start) stop = start;
        if (from < start && !rp_flow_push(flow, out, from, start, -1)) return false;
        if (start < stop && !rp_flow_push(flow, out, start, stop, id)) return false;
        from = stop;
    }
    return from >= end || rp_flow_push(flow, out, from, end, -1);
}

/* Normalize a split of the text unless it is a token, append it to flow->joined, and cut it at the tokens
 * that are looked for in normalized text. */
static bool extract_split(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow,
                          rp_split split) {
    rp_chars *joined = &flow->joined, *work = &flow->work;
    const rp_char *from = flow->chars.items + split.begin;
    size_t count = split.end - split.begin, begin = joined->count;
    if (split.id >= 0)
        return rp_flow_append(flow, joined, from, count) &&
               rp_flow_push(flow, &flow->splits, begin, joined->count, split.id);
    work->count = 0;
    return rp_flow_append(flow, work, from, count) && rp_normal_run(normalizer, flow, work, from[0].start) &&
           rp_flow_append(flow, joined, work->items, work->count) &&
           cut(added, &added->normalized, flow, begin, joined->count, joined->items, &flow->splits);
}

bool rp_added_extract(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow) {
    rp_splits *raw = &flow->spare_splits;
    rp_chars *chars = &flow->chars;
    raw->count = flow->splits.count = 0;
    if (!cut(added, &added->raw, flow, 0, chars->count, chars->items, raw)) return false;
    if (raw->count == 1 && raw->items[0].id < 0)
        return rp_normal_run(normalizer, flow, chars, 0) &&
               cut(added, &added->normalized, flow, 0, chars->count, chars->items, &flow->splits);
    flow->joined.count = 0;
    for (size_t i = 0; i < raw->count; i++)
        if (!extract_split(added, normalizer, flow, raw->items[i])) return false;
    rp_chars_swap(chars, &flow->joined);
    return true;
}
