/* Vectors of texts, as sentence-transformers makes them, and multiple choice. */
#include "task.h"

#include <math.h>

#include "loader/unicode.h"

/* ---- what to compute ---- */

typedef struct plan {
    rp_pooling pooling;
    bool normalize;
} plan;

/* What the caller chose, and for the rest what the folder says. */
static rp_status make_plan(const rp_model *model, const rp_embed_params *params, plan *out, rp_error *err) {
    const rp_embed_params p = params ? *params : (rp_embed_params){0};
    const rp_error *trouble = &model->pooling_error;
    if ((unsigned)p.pooling > RP_POOLING_NONE || (unsigned)p.normalize > RP_NORMALIZE_NO)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_embed: no such pooling or normalization");
    out->pooling = p.pooling ? p.pooling : model->pooling.pooling;
    /* The folder speaks of vectors of texts: hidden states stay as they are unless the caller says otherwise.
     */
    out->normalize = p.normalize ? p.normalize == RP_NORMALIZE_YES
                                 : model->pooling.normalize && out->pooling != RP_POOLING_NONE;
    bool chosen = p.pooling == RP_POOLING_NONE || (p.pooling && p.normalize);
    if (!trouble->status || (trouble->status == RP_ERROR_UNSUPPORTED && chosen)) return RP_OK;
    return rp_fail(err, trouble->status, "%s%s", trouble->message,
                   trouble->status == RP_ERROR_UNSUPPORTED
                       ? "; embed works with a pooling and a normalization of your choice"
                       : "");
}

/* ---- texts ---- */

/* Without the white space at both ends, as Python's str.strip(). */
static rp_text strip(rp_text text) {
    size_t start = text.size, end = 0;
    for (size_t at = 0; at < text.size;) {
        size_t from = at;
        if (rp_char_is_space(rp_utf8_next(text.data, &at))) continue;
        if (from < start) start = from;
        end = at;
    }
    return end ? (rp_text){text.data + start, end - start} : (rp_text){text.data, 0};
}

/* In lower case; the memory is the caller's. */
static rp_status lower(rp_text text, char **out, size_t *size, rp_error *err) {
    rp_chars chars = {0}, lowered = {0};
    bool ok = true;
    for (size_t at = 0; ok && at < text.size;) ok = rp_chars_push(&chars, rp_utf8_next(text.data, &at), 0, 0);
    ok = ok && rp_chars_lower(&chars, &lowered);
    *size = 0;
    *out = ok ? malloc(lowered.count * 4 + 1) : NULL;
    for (size_t i = 0; *out && i < lowered.count; i++)
        *size += rp_utf8_put(*out + *size, lowered.items[i].code);
    free(chars.items);
    free(lowered.items);
    return *out ? RP_OK : rp_fail_memory(err, "a text in lower case", text.size);
}

/* sentence-transformers strips every text, and lower-cases it where the folder says so. `*owned`, freed by
 * the caller, is the memory of a rewritten text. Texts that are not UTF-8 are left to the tokenizer, which
 * says so. */
static rp_status prepare_text(const rp_model *model, rp_text *text, char **owned, rp_error *err) {
    *owned = NULL;
    if (!text->data || rp_utf8_check(text->data, text->size) < text->size) return RP_OK;
    *text = strip(*text);
    if (!model->pooling.do_lower_case) return RP_OK;
    rp_status status = lower(*text, owned, &text->size, err);
    text->data = *owned;
    return status;
}

/* sentence_bert_config.json goes before the tokenizer's own limit. */
static uint32_t longest(const rp_model *model) {
    uint32_t asked = model->pooling.max_seq_length, takes = rp_model_get_info(model)->max_tokens;
    return !asked ? rp_task_max_tokens(model) : asked < takes ? asked : takes;
}

static rp_status add_text(rp_batch *batch, const rp_model *model, rp_text text, size_t i, rp_result *result,
                          rp_error *err) {
    char *owned = NULL;
    rp_status status = prepare_text(model, &text, &owned, err);
    if (!status) status = rp_batch_add(batch, model, text, (rp_text){0}, i, result, err);
    free(owned);
    return status;
}

/* ---- vectors ---- */

static void normalize(float *vector, size_t count) {
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += (double)vector[i] * vector[i];
    double length = fmax(sqrt(squares), 1e-12);
    for (size_t i = 0; i < count; i++) vector[i] = (float)(vector[i] / length);
}

/* Give each entry its rows of the result's floats. */
static void share_vectors(const rp_batch *batch, const plan *p, size_t columns, rp_result *result) {
    float *vectors = result->floats;
    for (size_t s = 0; s < batch->count; s++) {
        rp_entry *entry = &result->entries[batch->entries[s]];
        entry->vectors = vectors;
        entry->rows = p->pooling == RP_POOLING_NONE ? batch->sequences[s].count : 1;
        entry->columns = columns;
        for (size_t row = 0; row < entry->rows; row++, vectors += columns)
            if (p->normalize) normalize(vectors, columns);
    }
}

rp_status rp_embed(rp_model *model, const rp_text *texts, size_t count, const rp_embed_params *params,
                   rp_result **out, rp_error *err) {
    static const rp_output outputs[] = {[RP_POOLING_MEAN] = RP_OUTPUT_MEAN,
                                        [RP_POOLING_CLS] = RP_OUTPUT_CLS,
                                        [RP_POOLING_MAX] = RP_OUTPUT_MAX,
                                        [RP_POOLING_NONE] = RP_OUTPUT_HIDDEN};
    rp_status status =
        rp_task_begin(model, 0, "embed", texts, count, params ? params->reserved : NULL, out, err);
    if (status) return status;
    plan p = {0};
    rp_batch batch = {.max_tokens = longest(model)};
    status = make_plan(model, params, &p, err);
    for (size_t i = 0; !status && i < count; i++) status = add_text(&batch, model, texts[i], i, *out, err);
    if (!status) status = rp_batch_run(&batch, model, outputs[p.pooling], *out, &(*out)->floats, err);
    if (!status) share_vectors(&batch, &p, rp_model_get_info(model)->hidden_size, *out);
    rp_batch_finish(&batch);
    if (status) rp_result_free(out);
    return status;
}

/* ---- multiple choice ---- */

/* Sequences are run as soon as there are enough for a few submissions: there may be a million. */
typedef struct choosing {
    rp_batch batch;
    size_t tokens; /* of it */
    float *scores; /* [count] of the sequences that were run before */
    size_t count, capacity;
} choosing;

static rp_status run_choices(choosing *c, rp_model *model, rp_result *result, rp_error *err) {
    float *scores = NULL;
    rp_status status = rp_batch_run(&c->batch, model, RP_OUTPUT_CHOICE, result, &scores, err);
    size_t count = c->count + c->batch.count;
    if (!status && !rp_grow((void **)&c->scores, &c->capacity, count, sizeof *c->scores))
        status = rp_fail_memory(err, "the scores of choices", (unsigned long long)count * sizeof *scores);
    if (!status && scores) memcpy(c->scores + c->count, scores, c->batch.count * sizeof *scores);
    if (!status) c->count = count;
    free(scores);
    rp_batch_cut(&c->batch, 0);
    c->tokens = 0;
    return status;
}

static rp_status add_choice(choosing *c, rp_model *model, rp_text text, rp_text choice, size_t i,
                            rp_result *result, rp_error *err) {
    static const rp_error missing = {RP_ERROR_TEXT,
                                     "one of the choices is missing: its text must not be NULL"};
    size_t before = c->batch.count;
    if (!choice.data) {
        rp_result_fail(result, i, &missing);
        return RP_OK;
    }
    rp_status status = rp_batch_add(&c->batch, model, text, choice, i, result, err);
    if (!status && c->batch.count > before) c->tokens += c->batch.sequences[before].count;
    if (!status && c->tokens / 4 >= rp_model_get_info(model)->max_batch_tokens)
        status = run_choices(c, model, result, err);
    return status;
}

/* A sequence for each choice of input i, or none when one of them cannot be used. */
static rp_status add_choices(choosing *c, rp_model *model, const rp_choice *input, size_t i,
                             rp_result *result, rp_error *err) {
    static const rp_error nothing = {RP_ERROR_TEXT,
                                     "there is nothing to choose from: give at least one choice"};
    rp_entry *entry = &result->entries[i];
    size_t before = c->count + c->batch.count;
    rp_status status = RP_OK;
    if (!input->choice_count || !input->choices) rp_result_fail(result, i, &nothing);
    for (size_t k = 0; !status && !entry->status && k < input->choice_count; k++)
        status = add_choice(c, model, input->text, input->choices[k], i, result, err);
    if (entry->status) {
        rp_batch_cut(&c->batch, before > c->count ? before - c->count : 0);
        if (c->count > before) c->count = before;
    } else {
        entry->columns = input->choice_count;
    }
    return status;
}

rp_status rp_choose(rp_model *model, const rp_choice *inputs, size_t count, rp_result **out, rp_error *err) {
    rp_status status = rp_task_begin(model, RP_HEAD_CHOICE, "choose", inputs, count, NULL, out, err);
    if (status) return status;
    choosing c = {0};
    for (size_t i = 0; !status && i < count; i++) status = add_choices(&c, model, &inputs[i], i, *out, err);
    if (!status) status = run_choices(&c, model, *out, err);
    float *scores = (*out)->floats = c.scores;
    for (size_t i = 0; !status && i < count; i++) {
        rp_entry *entry = &(*out)->entries[i];
        if (!entry->columns) continue;
        entry->vectors = scores;
        entry->rows = 1;
        rp_softmax(scores, entry->columns);
        scores += entry->columns;
    }
    rp_batch_finish(&c.batch);
    if (status) rp_result_free(out);
    return status;
}
