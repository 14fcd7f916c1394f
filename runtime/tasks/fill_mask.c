/* Filling [MASK]: the likeliest tokens of the whole vocabulary. */
#include "task.h"

#include <math.h>

#include "loader/tokenizer.h"

/* Logits in host memory at a time, floats; a single mask may need more. */
enum { SLICE_FLOATS = 1 << 24 };

typedef struct fill_task {
    rp_model *model;
    const rp_tokenizer *tokenizer;
    rp_special_ids special;
    rp_result *result;
    size_t top_k, vocabulary;
    rp_tokenized tokenized;
    rp_row *rows; // [row_count] the masks of all sequences
    size_t row_count, row_capacity;
    rp_scored *best; // [top_k]
    int32_t *filled; // [max_tokens] the ids of a text with a mask filled
} fill_task;

/* ---- finding the masks ---- */

static rp_status no_mask(const fill_task *t, bool truncated, rp_error *why) {
    const char *mask = rp_tokenizer_piece(t->tokenizer, t->special.mask);
    if (truncated)
        return rp_fail(
            why, RP_ERROR_TEXT,
            "no %s among the first %u tokens, which is all that the model takes: cut the text around it",
            mask, rp_task_max_tokens(t->model));
    return rp_fail(why, RP_ERROR_TEXT, "no %s in the text: write it where a token is to be filled in", mask);
}

/* Add the text with its masks; a text without one fails its entry. */
static rp_status add_text(fill_task *t, rp_text text, size_t i, rp_error *err) {
    rp_tokenized *tokenized = &t->tokenized;
    rp_entry *entry = &t->result->entries[i];
    size_t sequence = tokenized->count;
    rp_status status = rp_tokenized_add(tokenized, t->model, text, (rp_text){0}, i, t->result, err);
    if (status || tokenized->count == sequence) return status;
    const rp_encoding *encoding = &tokenized->encodings[sequence];
    for (size_t token = 0; token < encoding->count; token++) {
        if (encoding->ids[token] != t->special.mask) continue;
        if (!rp_grow((void **)&t->rows, &t->row_capacity, t->row_count + 1, sizeof *t->rows))
            return rp_fail_memory(err, "the masks", t->row_count * sizeof *t->rows);
        t->rows[t->row_count++] = (rp_row){(uint32_t)sequence, (uint32_t)token};
        entry->count++;
    }
    if (!entry->count) {
        rp_error why = {0};
        rp_tokenized_cut(tokenized, sequence);
        return rp_result_blame(t->result, i, no_mask(t, entry->truncated, &why), &why, err);
    }
    entry->masks = rp_result_array(t->result, NULL, entry->count, sizeof *entry->masks, err);
    return entry->masks ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* ---- filling them ---- */

/* The decoded ids, in the result's memory. A model may have more ids than its tokenizer: those have no text.
 */
static rp_status decode(const fill_task *t, const int32_t *ids, size_t count, bool skip_special,
                        const char **out, rp_error *err) {
    char *text = NULL;
    rp_status status = rp_tokenizer_decode(t->tokenizer, ids, count, skip_special, &text, err);
    if (status) return status;
    *out = rp_result_text(t->result, text, strlen(text), err);
    free(text);
    return *out ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* The text of a sequence with `token` in the place of a mask, without padding. Special tokens are shown when
 * there are several masks, as the other ones would vanish with them. */
static rp_status fill_text(const fill_task *t, const rp_row *row, int32_t token, const char **out,
                           rp_error *err) {
    const rp_encoding *encoding = &t->tokenized.encodings[row->sequence];
    size_t count = 0;
    for (size_t i = 0; i < encoding->count; i++) {
        int32_t id = i == row->token ? token : encoding->ids[i];
        if (id != t->special.pad) t->filled[count++] = id;
    }
    bool single = t->result->entries[t->tokenized.entries[row->sequence]].count == 1;
    return decode(t, t->filled, count, single, out, err);
}

/* The candidates for one mask from its logits. */
static rp_status fill_row(const fill_task *t, const rp_row *row, const float *logits, rp_mask_fills *fills,
                          rp_error *err) {
    rp_best best = {.items = t->best, .room = t->top_k};
    double sum = 0;
    for (size_t id = 0; id < t->vocabulary; id++) rp_best_offer(&best, logits[id], id);
    rp_best_sort(&best);
    for (size_t id = 0; id < t->vocabulary; id++) sum += exp((double)logits[id] - best.items[0].score);
    fills->items = rp_result_array(t->result, NULL, best.count, sizeof *fills->items, err);
    if (!fills->items) return RP_ERROR_HOST_MEMORY;
    fills->count = best.count;
    rp_status status = RP_OK;
    for (size_t k = 0; !status && k < best.count; k++) {
        rp_fill *fill = &fills->items[k];
        fill->score = (float)(exp((double)best.items[k].score - best.items[0].score) / sum);
        fill->token = (int32_t)best.items[k].key;
        status = decode(t, &fill->token, 1, false, &fill->piece, err);
        if (!status) status = fill_text(t, row, fill->token, &fill->sequence, err);
    }
    return status;
}

/* The rows [first, end) in one run of the sequences that they belong to. */
static rp_status run_rows(const fill_task *t, size_t first, size_t end, float *logits, rp_row *rows,
                          rp_error *err) {
    uint32_t base = t->rows[first].sequence;
    size_t sequences = t->rows[end - 1].sequence - base + 1, count = end - first;
    for (size_t i = 0; i < count; i++)
        rows[i] = (rp_row){t->rows[first + i].sequence - base, t->rows[first + i].token};
    const rp_run_params params = {.output = RP_OUTPUT_MASKED_LM, .rows = rows, .row_count = count};
    rp_visit *visit = rp_visit_current();
    visit->inputs = t->tokenized.entries + base;
    visit->after = end < t->row_count ? t->tokenized.entries[t->rows[end].sequence]
                                      : t->tokenized.entries[t->tokenized.count - 1] + 1;
    rp_status status = rp_model_run_inside(t->model, t->tokenized.sequences + base, sequences, &params,
                                           logits, count * t->vocabulary, NULL, err);
    size_t mask = 0; // number of the row among those of its sequence
    for (size_t i = first; i > 0 && t->rows[i - 1].sequence == base; i--) mask++;
    for (size_t i = first; !status && i < end; i++, mask++) {
        const rp_row *row = &t->rows[i];
        if (i > first && row->sequence != row[-1].sequence) mask = 0;
        size_t entry = t->tokenized.entries[row->sequence];
        float *scores = logits + (i - first) * t->vocabulary;
        rp_result_check(t->result, entry, scores, t->vocabulary);
        status = rp_call_check(err);
        if (!status) status = fill_row(t, row, scores, &t->result->entries[entry].masks[mask], err);
    }
    return status;
}

static rp_status run_all(fill_task *t, rp_error *err) {
    size_t slice = SLICE_FLOATS / t->vocabulary;
    if (slice < 1) slice = 1;
    if (slice > t->row_count) slice = t->row_count;
    size_t floats = slice * t->vocabulary;
    float *logits = rp_new_array(float, floats);
    rp_row *rows = rp_new_array(rp_row, slice);
    t->best = rp_new_array(rp_scored, t->top_k);
    t->filled = rp_new_array(int32_t, rp_model_get_info(t->model)->max_tokens);
    rp_status status = RP_OK;
    if (!logits || !rows || !t->best || !t->filled)
        status = rp_fail_memory(err, "the scores of the vocabulary", floats * 4ull);
    for (size_t first = 0; !status && first < t->row_count; first += slice) {
        size_t left = t->row_count - first;
        status = run_rows(t, first, first + (left < slice ? left : slice), logits, rows, err);
    }
    free(logits);
    free(rows);
    return status;
}

rp_status rp_fill_mask(rp_model *model, const rp_text *texts, size_t count, const rp_fill_params *params,
                       rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_MASKED_LM,
                    .command = "fill-mask",
                    .inputs = texts,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    const rp_model_info *info = rp_model_get_info(model);
    fill_task t = {.model = model,
                   .tokenizer = rp_model_get_tokenizer(model),
                   .result = *out,
                   .top_k = params && params->top_k ? params->top_k : 5,
                   .vocabulary = info->vocab_size};
    t.special = rp_tokenizer_special_ids(t.tokenizer);
    if (t.top_k > t.vocabulary) t.top_k = t.vocabulary;
    if (t.special.mask < 0)
        status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "%s: the vocabulary has no mask token, which fill-mask needs", info->dir);
    for (size_t i = 0; !status && i < count; i++) status = add_text(&t, texts[i], i, err);
    if (!status) status = run_all(&t, err);
    free(t.best);
    free(t.filled);
    free(t.rows);
    rp_tokenized_finish(&t.tokenized);
    return rp_task_end(&task, status);
}
