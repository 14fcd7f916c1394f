/* Decoders: from tokens to one text, as Hugging Face's `tokenizers` does it. */
#include "loader/pipeline.h"

/* A growing text. `failed` stays set when memory has run out, or the text is too long. */
typedef struct buffer {
    char *data;
    size_t size, capacity;
    size_t most; /* bytes: replacing may make a text longer and longer */
    bool failed;
} buffer;

enum { FREE_BYTES = 1 << 20, FACTOR = 64 }; /* what a text may become */

static void put(buffer *out, const char *text, size_t size) {
    out->failed = out->failed || size > out->most - out->size ||
                  !rp_grow((void **)&out->data, &out->capacity, out->size + size + 1, 1);
    if (out->failed) return;
    if (size) memcpy(out->data + out->size, text, size);
    out->size += size;
    out->data[out->size] = '\0';
}

/* Tokens that are one text after the other. */
typedef struct tokens {
    buffer text;
    size_t *ends; /* [count] */
    size_t count, capacity;
} tokens;

static size_t start_of(const tokens *t, size_t i) {
    return i ? t->ends[i - 1] : 0;
}

/* All that has been put since the last token is one. */
static void end_token(tokens *t) {
    if (!rp_grow((void **)&t->ends, &t->capacity, t->count + 1, sizeof *t->ends)) t->text.failed = true;
    if (!t->text.failed) t->ends[t->count++] = t->text.size;
}

/* Replace every `from` behind `start`, in place; `to` is not longer. */
static void replace_all(buffer *b, size_t start, const char *from, const char *to) {
    size_t from_size = strlen(from), to_size = strlen(to), kept = start;
    for (size_t at = start; at < b->size;) {
        if (b->size - at >= from_size && memcmp(b->data + at, from, from_size) == 0) {
            memcpy(b->data + kept, to, to_size);
            kept += to_size;
            at += from_size;
        } else {
            b->data[kept++] = b->data[at++];
        }
    }
    b->size = kept;
    if (b->data) b->data[kept] = '\0';
}

/* What is done about spaces, in this order. The decoder WordPiece knows one rule more than transformers. */
static void clean_up(buffer *b, size_t start, bool wordpiece) {
    static const struct {
        const char *from, *to;
        bool wordpiece;
    } rules[] = {
        {" .", ".", false},   {" ?", "?", false},     {" !", "!", false},     {" ,", ",", false},
        {" ' ", "'", false},  {" n't", "n't", false}, {" 'm", "'m", false},   {" do not", " don't", true},
        {" 's", "'s", false}, {" 've", "'ve", false}, {" 're", "'re", false},
    };
    if (b->failed || !memchr(b->data + start, ' ', b->size - start)) return;
    for (size_t i = 0; i < RP_COUNT(rules); i++)
        if (wordpiece || !rules[i].wordpiece) replace_all(b, start, rules[i].from, rules[i].to);
}

void rp_decode_clean_up(char *text, size_t *size) {
    buffer b = {.data = text, .size = *size};
    clean_up(&b, 0, false);
    *size = b.size;
}

/* ---- steps ---- */

static void put_wordpiece(const rp_decode_step *step, rp_text token, bool first, tokens *out) {
    size_t start = out->text.size, prefix = 0;
    if (!first && token.size >= step->size && !memcmp(token.data, step->text, step->size)) {
        prefix = step->size;
    } else if (!first) {
        put(&out->text, " ", 1);
    }
    put(&out->text, token.data + prefix, token.size - prefix);
    if (step->cleanup) clean_up(&out->text, start, true);
}

static void put_metaspace(const rp_decode_step *step, rp_text token, bool first, tokens *out) {
    for (size_t at = 0; at < token.size;) {
        size_t from = at;
        if (rp_utf8_next(token.data, &at) != step->code)
            put(&out->text, token.data + from, at - from);
        else if (!first || step->first_stays)
            put(&out->text, " ", 1);
    }
}

/* Take up to `start` of a character from the beginning and `stop` from the end. */
static void put_stripped(const rp_decode_step *step, rp_text token, tokens *out) {
    size_t from = 0, to = token.size, size = rp_utf8_size(step->code);
    char bytes[4];
    rp_utf8_put(bytes, step->code);
    for (uint32_t i = 0; i < step->start && to - from >= size && !memcmp(token.data + from, bytes, size); i++)
        from += size;
    for (uint32_t i = 0; i < step->stop && to - from >= size && !memcmp(token.data + to - size, bytes, size);
         i++)
        to -= size;
    put(&out->text, token.data + from, to - from);
}

static bool put_replaced(const rp_decode_step *step, rp_flow *flow, rp_text token, tokens *out) {
    rp_search search = {0};
    size_t start, end, from = 0;
    flow->chars.count = 0;
    if (!token.size) return true;
    if (!rp_flow_reserve(flow, &flow->chars, token.size)) return false;
    for (size_t at = 0; at < token.size;) {
        uint32_t begin = (uint32_t)at, code = rp_utf8_next(token.data, &at);
        flow->chars.items[flow->chars.count++] = (rp_char){code, begin, (uint32_t)at};
    }
    const rp_char *c = flow->chars.items;
    while (rp_pattern_next(&step->pattern, flow, c, flow->chars.count, &search, &start, &end)) {
        size_t begin = start ? c[start - 1].end : 0;
        put(&out->text, token.data + from, begin - from);
        put(&out->text, step->text, step->size);
        from = end ? c[end - 1].end : 0;
    }
    put(&out->text, token.data + from, token.size - from);
    return !flow->status;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of "<0x41>", or of "<0x+4>", as the reference reads numbers; -1: it is something else. */
static int byte_of(rp_text token) {
    if (token.size != 6 || memcmp(token.data, "<0x", 3) || token.data[5] != '>') return -1;
    int high = token.data[3] == '+' ? 0 : hex_digit(token.data[3]), low = hex_digit(token.data[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Bytes in a row become a token, or a sign for each when they are no text. */
static void end_bytes(buffer *bytes, tokens *out) {
    if (!bytes->size) return;
    bool text = rp_utf8_check(bytes->data, bytes->size) == bytes->size;
    if (text) {
        put(&out->text, bytes->data, bytes->size);
        end_token(out);
    }
    for (size_t i = 0; !text && i < bytes->size; i++) {
        put(&out->text, "\xef\xbf\xbd", 3);
        end_token(out);
    }
    bytes->size = 0;
}

static void put_bytes(const tokens *in, tokens *out) {
    buffer bytes = {.most = in->text.size};
    for (size_t i = 0; i < in->count; i++) {
        rp_text token = {in->text.data + start_of(in, i), in->ends[i] - start_of(in, i)};
        int byte = byte_of(token);
        if (byte >= 0) {
            put(&bytes, (const char[]){(char)byte}, 1);
            continue;
        }
        end_bytes(&bytes, out);
        put(&out->text, token.data, token.size);
        end_token(out);
    }
    end_bytes(&bytes, out);
    out->text.failed |= bytes.failed;
    free(bytes.data);
}

static bool run(const rp_decode_step *step, rp_flow *flow, const tokens *in, tokens *out) {
    put(&out->text, "", 0);
    if (step->kind == RP_DECODE_BYTE_FALLBACK) {
        put_bytes(in, out);
        return true;
    }
    for (size_t i = 0; i < in->count; i++) {
        rp_text token = {in->text.data + start_of(in, i), in->ends[i] - start_of(in, i)};
        if (step->kind == RP_DECODE_WORDPIECE)
            put_wordpiece(step, token, i == 0, out);
        else if (step->kind == RP_DECODE_METASPACE)
            put_metaspace(step, token, i == 0, out);
        else if (step->kind == RP_DECODE_STRIP)
            put_stripped(step, token, out);
        else if (step->kind == RP_DECODE_FUSE)
            put(&out->text, token.data, token.size);
        else if (!put_replaced(step, flow, token, out))
            return false;
        if (step->kind != RP_DECODE_FUSE) end_token(out);
    }
    if (step->kind == RP_DECODE_FUSE) end_token(out);
    return true;
}

rp_status rp_decode(const rp_decoder *decoder, const rp_text *pieces, size_t count, char **out, size_t *size,
                    rp_error *err) {
    tokens in = {0}, next = {0};
    size_t most = FREE_BYTES;
    for (size_t i = 0; i < count; i++) most += FACTOR * (pieces[i].size + 1);
    rp_flow flow = {.most = most, .err = err};
    in.text.most = next.text.most = most;
    *out = NULL;
    put(&in.text, "", 0);
    for (size_t i = 0; i < count; i++) {
        if (decoder->none && i) put(&in.text, " ", 1);
        put(&in.text, pieces[i].data, pieces[i].size);
        end_token(&in);
    }
    for (size_t k = 0; k < decoder->count && !in.text.failed && !flow.status; k++) {
        next.text.size = next.count = 0;
        run(&decoder->steps[k], &flow, &in, &next);
        tokens swapped = in;
        in = next;
        next = swapped;
    }
    rp_status status = flow.status;
    if (!status && in.text.failed) status = rp_fail_memory(err, "a text", in.text.size);
    free(next.text.data);
    free(next.ends);
    free(in.ends);
    rp_flow_finish(&flow);
    if (status) {
        free(in.text.data);
        return status;
    }
    *out = in.text.data;
    *size = in.text.size;
    return RP_OK;
}
