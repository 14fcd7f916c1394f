/* What one call of a tokenizer works with. */
#include "loader/pipeline.h"
#include "loader/unigram.h"

bool rp_flow_memory(rp_flow *flow) {
    if (!flow->status)
        flow->status =
            rp_fail_memory(flow->err, "the characters of a text", flow->chars.count * sizeof(rp_char));
    return false;
}

bool rp_flow_long(rp_flow *flow) {
    if (!flow->status)
        flow->status = rp_fail(flow->err, RP_ERROR_TEXT,
                               "the normalizer makes more than %zu characters of the text; cut it into parts",
                               flow->most);
    return false;
}

bool rp_flow_push(rp_flow *flow, rp_splits *splits, size_t begin, size_t end, int32_t id) {
    if (splits->count == splits->capacity &&
        !rp_grow((void **)&splits->items, &splits->capacity, splits->count + 1, sizeof *splits->items))
        return rp_flow_memory(flow);
    splits->items[splits->count++] = (rp_split){(uint32_t)begin, (uint32_t)end, id};
    return true;
}

bool rp_flow_reserve(rp_flow *flow, rp_chars *chars, size_t count) {
    size_t needed = chars->count + count;
    if (needed <= chars->capacity) return true;
    if (needed > flow->most) return rp_flow_long(flow);
    return rp_grow((void **)&chars->items, &chars->capacity, needed, sizeof *chars->items) ||
           rp_flow_memory(flow);
}

void rp_chars_swap(rp_chars *a, rp_chars *b) {
    rp_chars chars = *a;
    *a = *b;
    *b = chars;
}

bool rp_flow_append(rp_flow *flow, rp_chars *chars, const rp_char *from, size_t count) {
    if (!rp_flow_reserve(flow, chars, count)) return false;
    if (count) memcpy(chars->items + chars->count, from, count * sizeof *from);
    chars->count += count;
    return true;
}

bool rp_flow_decode(rp_flow *flow, rp_chars *chars, const char *text, size_t size) {
    unsigned all = 0;
    chars->count = 0;
    if (!rp_flow_reserve(flow, chars, size)) return false;
    for (size_t at = 0; at < size;) {
        uint32_t start = (uint32_t)at, code = (unsigned char)text[at];
        all |= code;
        if (code < 0x80)
            at++;
        else
            code = rp_utf8_next(text, &at);
        chars->items[chars->count++] = (rp_char){code, start, (uint32_t)at};
    }
    flow->ascii = all < 0x80;
    return true;
}

void rp_flow_finish(rp_flow *flow) {
    rp_unigram_tokens *tokens = flow->model_tokens;
    if (tokens) free(tokens->items);
    free(tokens);
    free(flow->chars.items);
    free(flow->spare.items);
    free(flow->work.items);
    free(flow->joined.items);
    free(flow->splits.items);
    free(flow->spare_splits.items);
    free(flow->matches.items);
    free(flow->edits);
    free(flow->bytes);
    free(flow->numbers);
    if (flow->walk.dead) rp_regex_walk_finish(&flow->walk);
}
