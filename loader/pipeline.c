/* A text through the pipeline: added tokens, normalizer, pre-tokenizer, model. */
#include "loader/tokenizer.h"

enum { FREE_CHARS = 65536, FACTOR = 32 }; /* how many characters a text may become */

/* ---- unigram ---- */

/* Write characters as UTF-8 to flow->bytes, which has room; returns the number of bytes. */
static size_t put_bytes(rp_flow *flow, const rp_char *chars, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (chars[i].code < 0x80)
            flow->bytes[size++] = (char)chars[i].code;
        else
            size += rp_utf8_put(flow->bytes + size, chars[i].code);
    }
    return size;
}

static bool no_unknown(const rp_tokenizer *t, rp_flow *flow, const char *text, size_t size) {
    if (!flow->status)
        flow->status =
            rp_fail(flow->err, RP_ERROR_TEXT,
                    "the text holds \"%.*s\", which the vocabulary of %s/%s does not have, and "
                    "model.unk_id names no token to stand for it",
                    rp_text_fit(text, size < 16 ? (int)size : 16), text, rp_path_shown(t->dir), t->file);
    return false;
}

/* Append the tokens of one split, which is word `number` of its text. */
static bool unigram_encode(const rp_tokenizer *t, rp_flow *flow, const rp_char *chars, size_t count,
                           int32_t number, rp_tokens *out) {
    if (!flow->model_tokens && !(flow->model_tokens = rp_new(rp_unigram_tokens))) return rp_flow_memory(flow);
    rp_unigram_tokens *found = flow->model_tokens;
    if (!rp_grow((void **)&flow->bytes, &flow->byte_capacity, 4 * count, 1)) return rp_flow_memory(flow);
    size_t size = put_bytes(flow, chars, count), at = 0, first = 0, end = 0;
    found->count = 0;
    if (!rp_unigram_encode(t->unigram, flow->bytes, size, found)) return rp_flow_memory(flow);
    for (size_t i = 0; i < found->count; i++) {
        rp_unigram_token token = found->items[i];
        if (token.id < 0) return no_unknown(t, flow, flow->bytes + token.begin, token.end - token.begin);
        if (token.end > at) { /* not another byte of the same characters */
            first = end;
            while (at < token.end) at += rp_utf8_size(chars[end++].code);
        }
        if (!rp_tokens_push(out, token.id, number, chars[first].start, chars[end - 1].end))
            return rp_flow_memory(flow);
    }
    return true;
}

/* ---- the whole ---- */

/* Append the tokens of each split. */
static bool encode(const rp_tokenizer *t, rp_flow *flow, rp_tokens *out) {
    for (size_t i = 0; i < flow->splits.count; i++) {
        rp_split split = flow->splits.items[i];
        const rp_char *chars = flow->chars.items + split.begin;
        size_t count = split.end - split.begin;
        int32_t number = (int32_t)i;
        bool ok;
        if (split.id >= 0)
            ok = rp_tokens_push(out, split.id, number, chars[0].start, chars[count - 1].end) ||
                 rp_flow_memory(flow);
        else if (t->kind == RP_MODEL_WORDPIECE)
            ok = rp_wordpiece_encode(t, flow, chars, count, number, out);
        else
            ok = unigram_encode(t, flow, chars, count, number, out);
        if (!ok) return false;
    }
    return true;
}

rp_status rp_pipeline_encode(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err) {
    rp_flow flow = {.most = FREE_CHARS + FACTOR * text.size, .err = err};
    if (flow.most > 4 * (size_t)RP_TEXT_BYTES_MAX) flow.most = 4 * (size_t)RP_TEXT_BYTES_MAX;
    bool ok = rp_flow_decode(&flow, &flow.chars, text.data, text.size) &&
              rp_added_extract(&t->added, &t->normalizer, &flow) && rp_pretokenize(&t->pretokenizer, &flow) &&
              encode(t, &flow, out);
    if (!ok && !flow.status) rp_flow_memory(&flow);
    rp_status status = flow.status;
    rp_flow_finish(&flow);
    return status;
}
