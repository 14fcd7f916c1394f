/* Sequence classification and the order of two texts. */
#include "loader/json.h"
#include "task.h"

/* Hugging Face's fast tokenizers take an empty second text for none. */
static rp_status add_input(rp_tokenized *tokenized, const rp_model *model, const rp_input *input, size_t i,
                           rp_result *result, rp_error *err) {
    rp_text pair = input->pair.size ? input->pair : (rp_text){0};
    return rp_tokenized_add(tokenized, model, input->text, pair, i, result, err);
}

static rp_status check_params(const rp_model_info *info, const rp_classify_params *p, rp_error *err) {
    if ((unsigned)p->long_texts > RP_LONG_VOTE)
        return rp_fail(err, RP_ERROR_ARGUMENT, "classify: there is no such way with long texts");
    if (p->explain && p->long_texts)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "classify: what is read in windows cannot be explained; leave out one of explain and "
                       "long_texts");
    if (p->patience && (p->explain || p->long_texts))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "classify: texts that leave early can neither be explained nor be read in windows; "
                       "leave out one of patience, explain and long_texts");
    if (p->long_texts == RP_LONG_VOTE && info->problem == RP_PROBLEM_REGRESSION)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the model gives a number, and windows can only vote for labels; take the mean",
                       rp_path_shown(info->dir));
    return RP_OK;
}

/* What the model reads of the text: all, or what is left of it where it is cut. */
static rp_span read_span(const rp_encoding *encoding, const rp_input *input) {
    rp_span span = {0, (uint32_t)input->text.size};
    if (!encoding->truncated) return span;
    span = (rp_span){UINT32_MAX, 0};
    for (size_t i = 0; i < encoding->count; i++) {
        if (encoding->sequence[i] < 0) continue;
        if (encoding->offsets[i].start < span.start) span.start = encoding->offsets[i].start;
        if (encoding->offsets[i].end > span.end) span.end = encoding->offsets[i].end;
    }
    return span.start < span.end ? span : (rp_span){0};
}

/* Of each input one window: the first. */
static rp_status classify_short(const rp_task *task, const rp_classify_params *p, rp_error *err) {
    static const rp_error has_pair = {RP_ERROR_TEXT, "a pair cannot be explained; give one text"};
    const rp_input *inputs = task->inputs;
    const rp_model_info *info = rp_model_get_info(task->model);
    rp_result *result = *task->out;
    rp_tokenized tokenized = {.patience = p->patience};
    float *logits = NULL;
    rp_span *read = rp_new_array(rp_span, p->explain ? task->count : 0);
    rp_status status = read ? RP_OK : rp_fail_memory(err, "the texts", task->count * sizeof *read);
    for (size_t i = 0; !status && i < task->count; i++) {
        if (p->explain && inputs[i].pair.size)
            rp_result_fail(result, i, &has_pair);
        else
            status = add_input(&tokenized, task->model, &inputs[i], i, result, err);
    }
    if (!status) status = rp_tokenized_run(&tokenized, task->model, RP_OUTPUT_CLASSES, result, &logits, err);
    for (size_t s = 0; !status && s < tokenized.count; s++) {
        float *scores = logits + s * info->label_count;
        rp_label_scores(info, scores);
        status = rp_rank_labels(info->labels, info->label_count, scores, NULL, p->top_k, result,
                                tokenized.entries[s], err);
        if (p->explain)
            read[tokenized.entries[s]] = read_span(&tokenized.encodings[s], &inputs[tokenized.entries[s]]);
    }
    free(logits);
    rp_tokenized_finish(&tokenized);
    if (!status && p->explain)
        status = rp_explain(task->model, inputs, read, task->count, p->most_parts, result, err);
    free(read);
    return status;
}

/* Of each input as many windows as it takes. */
static rp_status classify_long(const rp_task *task, const rp_classify_params *p, rp_error *err) {
    const rp_input *inputs = task->inputs;
    const rp_model_info *info = rp_model_get_info(task->model);
    rp_scorer scorer = {
        .model = task->model, .result = *task->out, .how = p->long_texts, .stride = p->stride};
    float *scores = NULL;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < task->count; i++)
        status = rp_scorer_add(&scorer, &inputs[i], i, 0, err);
    if (!status) status = rp_scorer_run(&scorer, &scores, err);
    const float *means = scores ? scores + scorer.count * info->label_count : NULL;
    for (size_t s = 0; !status && s < scorer.count; s++)
        status = rp_rank_labels(info->labels, info->label_count, scores + s * info->label_count,
                                means + s * info->label_count, p->top_k, *task->out, scorer.entries[s], err);
    free(scores);
    rp_scorer_finish(&scorer);
    return status;
}

rp_status rp_classify(rp_model *model, const rp_input *inputs, size_t count, const rp_classify_params *params,
                      rp_result **out, rp_error *err) {
    const rp_classify_params p = params ? *params : (rp_classify_params){0};
    rp_task task = {.model = model,
                    .head = RP_HEAD_CLASSIFIER,
                    .command = "classify",
                    .inputs = inputs,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    status = check_params(rp_model_get_info(model), &p, err);
    if (!status) status = p.long_texts ? classify_long(&task, &p, err) : classify_short(&task, &p, err);
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
