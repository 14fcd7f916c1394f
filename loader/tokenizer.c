/* The public functions: opening a folder, tokenizing texts and pairs, and asking about ids. */
#include <stdio.h>

#include "loader/find_model.h"
#include "loader/folder.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

/* ---- opening ---- */

static rp_status load(rp_tokenizer *t, rp_error *err) {
    char *spiece = NULL, *vocab = NULL, spiece_name[RP_FOLDER_NAME], vocab_name[RP_FOLDER_NAME];
    size_t spiece_size = 0, vocab_size = 0;
    rp_status status = rp_folder_spiece(t->dir, spiece_name, err);
    if (!status) status = rp_folder_vocab(t->dir, vocab_name, err);
    if (!status && *spiece_name) status = rp_tokenizer_read(t->dir, spiece_name, &spiece, &spiece_size, err);
    if (!status && *vocab_name) status = rp_tokenizer_read(t->dir, vocab_name, &vocab, &vocab_size, err);
    if (!status && !spiece && !vocab)
        status = rp_fail(err, RP_ERROR_FILE,
                         "%s: holds neither spiece.model nor vocab.txt; fetch the tokenizer's files",
                         rp_path_shown(t->dir));
    if (!status) status = rp_tokenizer_choose(t->dir, spiece, vocab, &t->wordpiece, err);
    if (!status && t->wordpiece) {
        status = rp_wordpiece_open(t, vocab, vocab_size, err);
    } else if (!status) {
        char *data = spiece;
        spiece = NULL;
        status = rp_albert_open(t, spiece_name, data, spiece_size, err);
    }
    free(spiece);
    free(vocab);
    return status ? status : rp_tokenizer_configure(t, err);
}

rp_status rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenizer_open: out is NULL");
    *out = NULL;
    char *folder = NULL;
    rp_status status = rp_find_model(dir, &folder, err);
    if (status) return status;
    rp_tokenizer *t = rp_new(rp_tokenizer);
    if (!t) {
        free(folder);
        return rp_fail_memory(err, "a tokenizer", sizeof *t);
    }
    t->dir = folder;
    t->ids = (rp_special_ids){-1, -1, -1, -1, -1};
    status = load(t, err);
    if (status) rp_tokenizer_close(&t);
    *out = t;
    return status;
}

void rp_tokenizer_close(rp_tokenizer **tokenizer) {
    if (!tokenizer || !*tokenizer) return;
    rp_tokenizer *t = *tokenizer;
    *tokenizer = NULL;
    rp_spiece_close(t->spiece);
    free(t->model.pieces);
    free(t->model_bytes);
    free(t->added);
    free(t->dir);
    rp_vocab_finish(&t->vocab);
    rp_vocab_finish(&t->never_split);
    rp_arena_finish(&t->arena);
    free(t);
}

/* ---- asking ---- */

const rp_added_token *rp_added_find(const rp_tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return &t->added[i];
    return NULL;
}

uint32_t rp_tokenizer_vocab_size(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->id_count : 0;
}

const char *rp_tokenizer_piece(const rp_tokenizer *tokenizer, int32_t id) {
    if (!tokenizer || id < 0) return NULL;
    const rp_added_token *added = rp_added_find(tokenizer, id);
    if (added) return added->text;
    return (size_t)id < tokenizer->vocab.count ? tokenizer->vocab.entries[id].text : NULL;
}

bool rp_tokenizer_is_special(const rp_tokenizer *tokenizer, int32_t id) {
    const rp_added_token *added = tokenizer ? rp_added_find(tokenizer, id) : NULL;
    return added && added->role;
}

rp_special_ids rp_tokenizer_special_ids(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->ids : (rp_special_ids){-1, -1, -1, -1, -1};
}

uint32_t rp_tokenizer_max_tokens(const rp_tokenizer *tokenizer) {
    return tokenizer ? tokenizer->max_tokens : 0;
}

/* ---- tokenizing ---- */

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
    return rp_tokenizer_split(t, text, out, err);
}

/* How many tokens each of the two texts loses, as truncation=True decides. Where both lose some and an odd
 * number is left, the longer one (the second of equals) keeps one more: so do the fast tokenizers, which the
 * pipelines use; the slow ones favour the first. */
static void plan_cut(size_t first, size_t second, size_t excess, size_t *cut_first, size_t *cut_second) {
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

/* [CLS] A [SEP], or [CLS] A [SEP] B [SEP], cut to fit. */
static rp_status assemble(const rp_tokenizer *t, const rp_tokens tokens[2], bool pair,
                          const rp_tokenize_params *params, rp_encoding *out, rp_error *err) {
    size_t specials = params->no_special_tokens ? 0 : pair ? 3 : 2, cut[2] = {0, 0};
    size_t total = tokens[0].count + tokens[1].count + specials;
    if (params->max_tokens && params->truncation != RP_TRUNCATE_NONE && total > params->max_tokens) {
        if (params->max_tokens < specials)
            return rp_fail(err, RP_ERROR_ARGUMENT,
                           "max_tokens is %u, but %s needs %zu special tokens; allow more tokens",
                           params->max_tokens, pair ? "a pair" : "a text", specials);
        size_t excess = total - params->max_tokens;
        if (pair)
            plan_cut(tokens[0].count, tokens[1].count, excess, &cut[0], &cut[1]);
        else
            cut[0] = excess;
        total -= excess;
        out->truncated = true;
    }
    rp_status status = alloc_encoding(out, total, err);
    if (status) return status;
    const rp_span none = {0, 0};
    if (specials) push(out, t->ids.cls, 0, -1, -1, none);
    for (int s = 0; s <= pair; s++) {
        size_t from, to;
        keep(t, tokens[s].count, cut[s], &from, &to);
        for (; from < to; from++) {
            const rp_token *token = &tokens[s].items[from];
            push(out, token->id, s, (int8_t)s, token->word, token->span);
        }
        if (specials) push(out, t->ids.sep, s, -1, -1, none);
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
