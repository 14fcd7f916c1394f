/* Ids and pieces back to text. */
#include "loader/tokenizer.h"

/* A growing text. `failed` stays set when memory has run out. */
typedef struct buffer {
    char *data;
    size_t size, capacity;
    bool failed;
} buffer;

static void put(buffer *out, const char *text, size_t size) {
    out->failed = out->failed || !rp_grow((void **)&out->data, &out->capacity, out->size + size + 1, 1);
    if (out->failed) return;
    if (size) memcpy(out->data + out->size, text, size);
    out->size += size;
    out->data[out->size] = '\0';
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

/* clean_up_tokenization() of transformers, in its order; the fast WordPiece decoder knows one more. */
static void clean_up(buffer *b, size_t start, bool fast) {
    static const struct {
        const char *from, *to;
        bool fast_only;
    } rules[] = {
        {" .", ".", false},   {" ?", "?", false},     {" !", "!", false},     {" ,", ",", false},
        {" ' ", "'", false},  {" n't", "n't", false}, {" 'm", "'m", false},   {" do not", " don't", true},
        {" 's", "'s", false}, {" 've", "'ve", false}, {" 're", "'re", false},
    };
    for (size_t i = 0; i < RP_COUNT(rules); i++)
        if (fast || !rules[i].fast_only) replace_all(b, start, rules[i].from, rules[i].to);
}

/* Drop Python's white space at both ends of what begins at `start`. */
static void strip(buffer *b, size_t start) {
    size_t first = b->size, last = start;
    for (size_t at = start; at < b->size;) {
        size_t from = at;
        if (rp_char_is_space(rp_utf8_next(b->data, &at))) continue;
        if (first == b->size) first = from;
        last = at;
    }
    if (last > first) memmove(b->data + start, b->data + first, last - first);
    b->size = last > first ? start + last - first : start;
    if (b->data) b->data[b->size] = '\0';
}

/* ---- the slow tokenizers' decode() ---- */

/* Pieces that wait to become text together. */
typedef struct run {
    const rp_tokenizer *t;
    rp_text *pieces;
    bool *special;
    size_t count;
    rp_error *err;
} run;

static rp_status put_spiece(const run *r, size_t from, size_t to, buffer *out) {
    char *text = NULL;
    size_t size = 0;
    if (from == to) return RP_OK;
    rp_spiece_part *parts = rp_new_array(rp_spiece_part, to - from);
    if (!parts) return rp_fail_memory(r->err, "the pieces of a text", (to - from) * sizeof *parts);
    for (size_t i = from; i < to; i++) {
        rp_text piece = r->pieces[i];
        parts[i - from] = (rp_spiece_part){piece, rp_vocab_find(&r->t->vocab, piece.data, piece.size)};
    }
    rp_status status = rp_spiece_decode(r->t->spiece, parts, to - from, &text, &size, r->err);
    if (!status) put(out, text, size);
    free(parts);
    free(text);
    return status;
}

/* AlbertTokenizer's convert_tokens_to_string(): special tokens stand outside what SentencePiece joins. */
static rp_status convert_spiece(const run *r, buffer *out) {
    size_t from = 0;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < r->count; i++) {
        if (!r->special[i]) continue;
        if (i == 0 || !r->special[i - 1]) put(out, " ", 1);
        status = put_spiece(r, from, i, out);
        put(out, r->pieces[i].data, r->pieces[i].size);
        from = i + 1;
    }
    return status ? status : put_spiece(r, from, r->count, out);
}

static void convert_wordpiece(const run *r, buffer *out) {
    size_t start = out->size;
    for (size_t i = 0; i < r->count; i++) {
        if (i) put(out, " ", 1);
        put(out, r->pieces[i].data, r->pieces[i].size);
    }
    replace_all(out, start, " ##", "");
}

/* Append the text of the waiting pieces, behind a space when there is text before it. */
static rp_status flush(run *r, bool last, bool *begun, buffer *out) {
    size_t before = out->size;
    rp_status status = RP_OK;
    if (!r->count) return RP_OK;
    if (*begun) put(out, " ", 1);
    size_t start = out->size;
    if (r->t->wordpiece)
        convert_wordpiece(r, out);
    else
        status = convert_spiece(r, out);
    r->count = 0;
    strip(out, start);
    if (out->size > start || last)
        *begun = true;
    else
        out->size = before;
    return status;
}

static rp_status decode(run *r, const int32_t *ids, size_t count, bool skip, buffer *out) {
    const rp_tokenizer *t = r->t;
    bool begun = false;
    for (size_t i = 0; i < count; i++) {
        const rp_added_token *added = rp_added_find(t, ids[i]);
        const char *piece = rp_tokenizer_piece(t, ids[i]);
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->id_count)
            return rp_fail(r->err, RP_ERROR_ARGUMENT, "id %zu to decode is %d; ids are 0 to %u", i,
                           (int)ids[i], t->id_count - 1);
        if (skip && added && added->role) continue;
        if (!piece) piece = rp_tokenizer_piece(t, t->ids.unk); /* an id that nothing has */
        rp_text text = {piece, strlen(piece)};
        if (added && (!added->role || (added->listed && (size_t)ids[i] >= t->vocab.count))) {
            rp_status status = flush(r, false, &begun, out); /* such a token is a text of its own */
            if (status) return status;
            if (begun) put(out, " ", 1);
            put(out, text.data, text.size);
            begun = true;
        } else {
            r->special[r->count] = added && added->role;
            r->pieces[r->count++] = text;
        }
    }
    return flush(r, true, &begun, out);
}

rp_status rp_tokenizer_decode(const rp_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special_tokens, char **out, rp_error *err) {
    buffer text = {0};
    if (out) *out = NULL;
    if (!tokenizer || !out || (!ids && count))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenizer_decode: the tokenizer, ids or out is NULL");
    run r = {tokenizer, rp_new_array(rp_text, count), rp_new_array(bool, count), 0, err};
    rp_status status = RP_OK;
    put(&text, "", 0);
    if (!r.pieces || !r.special)
        status = rp_fail_memory(err, "the pieces of a text", count * sizeof *r.pieces);
    else
        status = decode(&r, ids, count, skip_special_tokens, &text);
    if (!status && text.failed) status = rp_fail_memory(err, "a text", text.capacity);
    free(r.pieces);
    free(r.special);
    if (status) {
        free(text.data);
        return status;
    }
    if (tokenizer->clean_up) clean_up(&text, 0, false);
    *out = text.data;
    return RP_OK;
}

void rp_string_free(char **string) {
    if (!string) return;
    free(*string);
    *string = NULL;
}

/* ---- the fast tokenizers' convert_tokens_to_string() ---- */

/* Metaspace: a space symbol is a space, except in the first piece. */
static void put_metaspace(buffer *out, rp_text piece, bool first) {
    static const char symbol[] = "\xe2\x96\x81";
    for (size_t at = 0; at < piece.size;) {
        bool space = piece.size - at >= 3 && memcmp(piece.data + at, symbol, 3) == 0;
        if (!space)
            put(out, piece.data + at, 1);
        else if (!first)
            put(out, " ", 1);
        at += space ? 3 : 1;
    }
}

static void put_wordpiece(buffer *out, rp_text piece, bool first) {
    size_t start = out->size, prefix = !first && piece.size >= 2 && memcmp(piece.data, "##", 2) == 0 ? 2 : 0;
    if (!first && !prefix) put(out, " ", 1);
    put(out, piece.data + prefix, piece.size - prefix);
    if (!out->failed) clean_up(out, start, true);
}

static void put_piece(const rp_tokenizer *t, buffer *out, rp_text piece, bool first) {
    if (t->wordpiece)
        put_wordpiece(out, piece, first);
    else
        put_metaspace(out, piece, first);
}

/* Hand over what has been put together. */
static rp_status take(buffer *text, char **out, rp_error *err) {
    *out = text->failed ? NULL : text->data;
    if (!text->failed) return RP_OK;
    free(text->data);
    return rp_fail_memory(err, "a text", text->capacity);
}

rp_status rp_tokenizer_join(const rp_tokenizer *t, const rp_text *pieces, size_t count, char **out,
                            rp_error *err) {
    buffer text = {0};
    put(&text, "", 0);
    for (size_t i = 0; i < count; i++) put_piece(t, &text, pieces[i], i == 0);
    return take(&text, out, err);
}

rp_status rp_tokenizer_decode_fast(const rp_tokenizer *t, const int32_t *ids, size_t count,
                                   bool skip_special_tokens, char **out, rp_error *err) {
    buffer text = {0};
    bool first = true;
    put(&text, "", 0);
    for (size_t i = 0; i < count; i++) {
        const char *piece = rp_tokenizer_piece(t, ids[i]);
        if (!piece || (skip_special_tokens && rp_tokenizer_is_special(t, ids[i]))) continue;
        put_piece(t, &text, (rp_text){piece, strlen(piece)}, first);
        first = false;
    }
    if (t->clean_up && !text.failed) clean_up(&text, 0, false);
    return take(&text, out, err);
}
