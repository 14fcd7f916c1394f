/* A text, or a pair of texts, to the ids that the model reads. */
#include "loader/tokenizer.h"

/* Check a text, and append its tokens, without special ones. */
static rp_status tokenize_text(const rp_tokenizer *t, rp_text text, const char *name, rp_tokens *out,
                               rp_error *err) {
    if (!text.data) text = (rp_text){"", 0};
    if (text.size > RP_TEXT_BYTES_MAX)
        return rp_fail(err, RP_ERROR_TEXT,
                       "%s is %zu bytes long; at most %d can be tokenized at once: cut it into parts", name,
                       text.size, RP_TEXT_BYTES_MAX);
    size_t bad = rp_utf8_check(text.data, text.size);
    if (bad < text.size)
        return rp_fail(err, RP_ERROR_TEXT, "%s is not valid UTF-8 at byte %zu (0x%02x); convert it to UTF-8",
                       name, bad, (unsigned char)text.data[bad]);
    return t->kind == RP_MODEL_ALBERT ? rp_albert_split(t, text, out, err)
                                      : rp_pipeline_encode(t, text, out, err);
}

/* Share `excess` tokens that must go between two texts, as truncation=True does. Where both lose some and an
 * odd number is left, the longer text (the second of equals) keeps one more: so do the fast tokenizers, which
 * the pipelines use, while the slow ones favour the first. */
static void share_cut(size_t first, size_t second, size_t excess, size_t *cut_first, size_t *cut_second) {
    size_t left = first + second - excess, shorter = first < second ? first : second;
    size_t keep_shorter = shorter <= left / 2 ? shorter : left / 2, keep_longer = left - keep_shorter;
    *cut_first = first - (first > second ? keep_longer : keep_shorter);
    *cut_second = second - (first > second ? keep_shorter : keep_longer);
}

/* The tokens [*from, *to) that stay of `count` when `cut` go. */
static void keep(const rp_tokenizer *t, size_t count, size_t cut, size_t *from, size_t *to) {
    *from = t->truncate_left ? cut : 0;
    *to = t->truncate_left ? count : count - cut;
}

static void push(rp_encoding *out, int32_t id, int32_t type, int8_t sequence, int32_t word, rp_span span) {
    out->ids[out->count] = id;
    out->type_ids[out->count] = type;
    out->sequence[out->count] = sequence;
    out->words[out->count] = word;
    out->offsets[out->count++] = span;
}

static rp_status alloc_encoding(rp_encoding *out, size_t count, rp_error *err) {
    out->ids = rp_new_array(int32_t, count);
    out->type_ids = rp_new_array(int32_t, count);
    out->offsets = rp_new_array(rp_span, count);
    out->sequence = rp_new_array(int8_t, count);
    out->words = rp_new_array(int32_t, count);
    if (out->ids && out->type_ids && out->offsets && out->sequence && out->words) return RP_OK;
    rp_encoding_free(out);
    return rp_fail_memory(err, "the tokens of a text", count * 21);
}

/* Count the tokens that each text loses so that both fit into params->max_tokens with the special tokens. */
static rp_status count_cuts(const rp_tokens tokens[2], bool pair, size_t specials,
                            const rp_tokenize_params *params, size_t cut[2], rp_error *err) {
    size_t total = tokens[0].count + tokens[1].count + specials;
    if (!params->max_tokens || params->truncation == RP_TRUNCATE_NONE || total <= params->max_tokens)
        return RP_OK;
    if (params->max_tokens < specials)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "max_tokens is %u, but %s needs %zu special tokens; allow more tokens",
                       params->max_tokens, pair ? "a pair" : "a text", specials);
    size_t excess = total - params->max_tokens;
    if (pair)
        share_cut(tokens[0].count, tokens[1].count, excess, &cut[0], &cut[1]);
    else
        cut[0] = excess;
    return RP_OK;
}

/* Cut the texts to fit, and put their tokens and the special ones in the order of the template. */
static rp_status assemble(const rp_tokenizer *t, const rp_tokens tokens[2], bool pair,
                          const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    const rp_template *template = pair ? &t->pair : &t->single;
    size_t specials = params->no_special_tokens ? 0 : template->specials, cut[2] = {0, 0}, from, to;
    rp_status status = count_cuts(tokens, pair, specials, params, cut, err);
    if (!status)
        status = alloc_encoding(out, tokens[0].count + tokens[1].count - cut[0] - cut[1] + specials, err);
    if (status) return status;
    out->truncated = cut[0] || cut[1];
    out->left_out = (uint32_t)(cut[0] + cut[1]);
    for (size_t k = 0; k < template->count; k++) {
        rp_template_piece piece = template->pieces[k];
        int32_t type = t->without_types ? 0 : piece.type;
        if (piece.sequence < 0) {
            if (specials) push(out, piece.id, type, -1, -1, (rp_span){0, 0});
            continue;
        }
        keep(t, tokens[piece.sequence].count, cut[piece.sequence], &from, &to);
        for (; from < to; from++) {
            const rp_token *token = &tokens[piece.sequence].items[from];
            push(out, token->id, type, piece.sequence, token->word, token->span);
        }
    }
    return RP_OK;
}

rp_status rp_tokenize(const rp_tokenizer *tokenizer, rp_text text, rp_text pair,
                      const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    const rp_tokenize_params defaults = {0};
    if (out) *out = (rp_encoding){0};
    if (!tokenizer || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: the tokenizer or out is NULL");
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, 4, "rp_tokenize", err);
    if (status) return status;
    if (params && (unsigned)params->truncation > RP_TRUNCATE_NONE)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: truncation %d is not one of rp_truncation",
                       (int)params->truncation);
    if (!text.data && text.size) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenize: text.data is NULL");
    rp_tokens tokens[2] = {{0}, {0}};
    status = tokenize_text(tokenizer, text, "the text", &tokens[0], err);
    if (!status && pair.data) status = tokenize_text(tokenizer, pair, "the second text", &tokens[1], err);
    if (!status)
        status = assemble(tokenizer, tokens, pair.data != NULL, params ? params : &defaults, out, err);
    free(tokens[0].items);
    free(tokens[1].items);
    return status;
}

void rp_encoding_free(rp_encoding *encoding) {
    if (!encoding) return;
    free(encoding->ids);
    free(encoding->type_ids);
    free(encoding->offsets);
    free(encoding->sequence);
    free(encoding->words);
    *encoding = (rp_encoding){0};
}
