/* Multiple choice. */
#include "task.h"

/* Sequences are run as soon as there are enough for a few submissions: there may be a million. */
typedef struct choosing {
    rp_tokenized tokenized;
    size_t tokens; /* of it */
    float *scores; /* [count] of the sequences that were run before */
    size_t count, capacity;
} choosing;

static rp_status run_choices(choosing *c, rp_model *model, rp_result *result, rp_error *err) {
    float *scores = NULL;
    rp_status status = rp_tokenized_run(&c->tokenized, model, RP_OUTPUT_CHOICE, result, &scores, err);
    size_t count = c->count + c->tokenized.count;
    if (!status && !rp_grow((void **)&c->scores, &c->capacity, count, sizeof *c->scores))
        status = rp_fail_memory(err, "the scores of choices", (unsigned long long)count * sizeof *scores);
    if (!status && scores) memcpy(c->scores + c->count, scores, c->tokenized.count * sizeof *scores);
    if (!status) c->count = count;
    free(scores);
    rp_tokenized_cut(&c->tokenized, 0);
    c->tokens = 0;
    return status;
}

static rp_status add_choice(choosing *c, rp_model *model, rp_text text, rp_text choice, size_t i,
                            rp_result *result, rp_error *err) {
    static const rp_error missing = {RP_ERROR_TEXT,
                                     "one of the choices is missing: its text must not be NULL"};
    size_t before = c->tokenized.count;
    if (!choice.data) {
        rp_result_fail(result, i, &missing);
        return RP_OK;
    }
    rp_status status = rp_tokenized_add(&c->tokenized, model, text, choice, i, result, err);
    if (!status && c->tokenized.count > before) c->tokens += c->tokenized.sequences[before].count;
    if (status || c->tokens / 4 < rp_model_get_info(model)->max_batch_tokens) return status;
    c->tokenized.partial = true;
    status = run_choices(c, model, result, err);
    c->tokenized.partial = false;
    return status;
}

/* A sequence for each choice of input i, or none when one of them cannot be used. */
static rp_status add_choices(choosing *c, rp_model *model, const rp_choice *input, size_t i,
                             rp_result *result, rp_error *err) {
    static const rp_error nothing = {RP_ERROR_TEXT,
                                     "there is nothing to choose from: give at least one choice"};
    rp_entry *entry = &result->entries[i];
    size_t before = c->count + c->tokenized.count;
    rp_status status = RP_OK;
    if (!input->choice_count || !input->choices) rp_result_fail(result, i, &nothing);
    for (size_t k = 0; !status && !entry->status && k < input->choice_count; k++)
        status = add_choice(c, model, input->text, input->choices[k], i, result, err);
    if (entry->status) {
        rp_tokenized_cut(&c->tokenized, before > c->count ? before - c->count : 0);
        if (c->count > before) c->count = before;
    } else {
        entry->columns = input->choice_count;
    }
    return status;
}

rp_status rp_choose(rp_model *model, const rp_choice *inputs, size_t count, const rp_choose_params *params,
                    rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_CHOICE,
                    .command = "choose",
                    .inputs = inputs,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
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
    rp_tokenized_finish(&c.tokenized);
    return rp_task_end(&task, status);
}
