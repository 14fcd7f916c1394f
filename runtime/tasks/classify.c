/* Sequence classification and the order of two texts. */
#include "task.h"

static int by_score(const void *left, const void *right) {
    const rp_label *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

/* The labels of one entry from its logits, best first. */
static rp_status rank_labels(const rp_model_info *info, float *logits, uint32_t top_k, rp_result *result,
                             size_t i, rp_error *err) {
    uint32_t count = info->label_count;
    rp_label *labels = rp_arena_alloc(&result->arena, count, sizeof *labels);
    if (!labels) return rp_fail_memory(err, "the labels", (unsigned long long)count * sizeof *labels);
    if (info->problem == RP_PROBLEM_SINGLE_LABEL && count > 1) rp_softmax(logits, count);
    for (uint32_t k = 0; k < count; k++) {
        char *name = rp_arena_copy(&result->arena, info->labels[k], strlen(info->labels[k]));
        if (!name) return rp_fail_memory(err, "the labels", strlen(info->labels[k]));
        bool sigmoid = info->problem == RP_PROBLEM_MULTI_LABEL ||
                       (info->problem == RP_PROBLEM_SINGLE_LABEL && count == 1);
        labels[k] = (rp_label){name, k, sigmoid ? rp_sigmoid(logits[k]) : logits[k]};
    }
    qsort(labels, count, sizeof *labels, by_score);
    result->entries[i].labels = labels;
    result->entries[i].count = top_k && top_k < count ? top_k : count;
    return RP_OK;
}

/* Hugging Face's fast tokenizers take an empty second text for none. */
static rp_status add_input(rp_tokenized *tokenized, const rp_model *model, const rp_input *input, size_t i,
                           rp_result *result, rp_error *err) {
    rp_text pair = input->pair.size ? input->pair : (rp_text){0};
    return rp_tokenized_add(tokenized, model, input->text, pair, i, result, err);
}

rp_status rp_classify(rp_model *model, const rp_input *inputs, size_t count, const rp_classify_params *params,
                      rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_CLASSIFIER,
                    .command = "classify",
                    .inputs = inputs,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    const rp_model_info *info = rp_model_get_info(model);
    rp_tokenized tokenized = {0};
    float *logits = NULL;
    for (size_t i = 0; !status && i < count; i++)
        status = add_input(&tokenized, model, &inputs[i], i, *out, err);
    if (!status) status = rp_tokenized_run(&tokenized, model, RP_OUTPUT_CLASSES, *out, &logits, err);
    for (size_t s = 0; !status && s < tokenized.count; s++)
        status = rank_labels(info, logits + s * info->label_count, params ? params->top_k : 0, *out,
                             tokenized.entries[s], err);
    free(logits);
    rp_tokenized_finish(&tokenized);
    return rp_task_end(&task, status);
}

rp_status rp_coherence(rp_model *model, const rp_input *inputs, size_t count,
                       const rp_coherence_params *params, rp_result **out, rp_error *err) {
    static const rp_error no_pair = {RP_ERROR_TEXT, "coherence compares two texts: give text and text_pair"};
    rp_task task = {.model = model,
                    .head = RP_HEAD_ORDER,
                    .command = "coherence",
                    .inputs = inputs,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    rp_tokenized tokenized = {0};
    float *logits = NULL;
    for (size_t i = 0; !status && i < count; i++) {
        if (inputs[i].pair.data)
            status = add_input(&tokenized, model, &inputs[i], i, *out, err);
        else
            rp_result_fail(*out, i, &no_pair);
    }
    if (!status) status = rp_tokenized_run(&tokenized, model, RP_OUTPUT_ORDER, *out, &logits, err);
    for (size_t s = 0; !status && s < tokenized.count; s++) {
        rp_softmax(logits + 2 * s, 2);
        (*out)->entries[tokenized.entries[s]].in_order = logits[2 * s];
    }
    free(logits);
    rp_tokenized_finish(&tokenized);
    return rp_task_end(&task, status);
}
