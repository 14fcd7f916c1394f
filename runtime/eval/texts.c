/* Labels, numbers, order and choices of texts. */
#include "eval/eval.h"

#include <float.h>
#include <math.h>

/* ---- logits of the classifier ---- */

/* -log softmax(logits)[right] */
static double cross_entropy(const float *logits, uint32_t count, uint32_t right) {
    double most = (double)logits[rp_argmax(logits, count)], sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += exp((double)logits[i] - most);
    return most + log(sum) - (double)logits[right];
}

static rp_status take_class(rp_eval_run *run, size_t i, const float *logits, rp_error *err) {
    uint32_t count = run->info->label_count, said = rp_argmax(logits, count);
    uint32_t right = rp_label_map_find(&run->map, run->rows[i].labels[0]);
    double loss = cross_entropy(logits, count, right);
    rp_classes_add(&run->classes, right, said);
    run->loss += loss;
    rp_status status = rp_eval_note(run, i, logits, NULL, right, err);
    if (status || !run->out) return status;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    rp_json_write_string(&w, "label", run->info->labels[right]);
    rp_json_write_string(&w, "prediction", run->info->labels[said]);
    rp_json_write_float(&w, "score", (float)exp(-cross_entropy(logits, count, said)));
    return rp_eval_write(run, &w, err);
}

static void write_flags(const rp_eval_run *run, const char *key, const bool *flags, rp_json_writer *w) {
    rp_json_write_open(w, key, '[');
    for (uint32_t i = 0; i < run->info->label_count; i++)
        if (flags[i]) rp_json_write_string(w, NULL, run->info->labels[i]);
    rp_json_write_close(w, ']');
}

static rp_status take_labels(rp_eval_run *run, size_t i, const float *logits, rp_error *err) {
    uint32_t count = run->info->label_count;
    bool *right = run->flags, *said = run->flags + count;
    memset(right, 0, count);
    for (size_t k = 0; k < run->rows[i].label_count; k++)
        right[rp_label_map_find(&run->map, run->rows[i].labels[k])] = true;
    for (uint32_t k = 0; k < count; k++) said[k] = logits[k] > 0;
    rp_classes_add_many(&run->classes, right, said);
    rp_status status = rp_eval_note(run, i, logits, right, 0, err);
    if (status || !run->out) return status;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    write_flags(run, "labels", right, &w);
    write_flags(run, "predictions", said, &w);
    return rp_eval_write(run, &w, err);
}

static rp_status take_number(rp_eval_run *run, size_t i, const float *logits, rp_error *err) {
    double right = 0;
    rp_status status = rp_label_number(run->rows[i].labels[0], &right, err);
    if (!status) status = rp_numbers_add(&run->numbers, right, (double)*logits, err);
    if (status || !run->out) return status;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    rp_json_write_real(&w, "label", right);
    rp_json_write_float(&w, "prediction", *logits);
    return rp_eval_write(run, &w, err);
}

static rp_status take_logits(rp_eval_run *run, const rp_tokenized *tokenized, const float *logits,
                             const rp_result *result, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0, s = 0; !status && i < run->count; i++) {
        bool bad, here = s < tokenized->count && tokenized->entries[s] == i;
        const float *row = logits + s * run->info->label_count;
        s += here;
        status = rp_eval_check(run, result, i, &bad, err);
        if (status || bad) continue;
        run->done++;
        status = run->task == RP_EVAL_CLASSIFY     ? take_class(run, i, row, err)
                 : run->task == RP_EVAL_MULTILABEL ? take_labels(run, i, row, err)
                                                   : take_number(run, i, row, err);
    }
    return status;
}

rp_status rp_eval_texts(rp_eval_run *run, rp_error *err) {
    rp_result *result = NULL;
    rp_task task = rp_eval_call(run, RP_HEAD_CLASSIFIER, "classify", &result);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    rp_tokenized tokenized = {.max_tokens = run->params.max_tokens};
    float *logits = NULL;
    for (size_t i = 0; !status && i < run->count; i++) {
        rp_text pair = run->rows[i].pair.size ? run->rows[i].pair : (rp_text){0};
        status = rp_tokenized_add(&tokenized, run->model, run->rows[i].text, pair, i, result, err);
    }
    if (!status) status = rp_tokenized_run(&tokenized, run->model, RP_OUTPUT_CLASSES, result, &logits, err);
    if (!status && run->params.calibrate) status = rp_eval_read_windows(run, result, err);
    if (!status) status = take_logits(run, &tokenized, logits, result, err);
    free(logits);
    rp_tokenized_finish(&tokenized);
    status = rp_task_end(&task, status);
    rp_result_free(&result);
    return status;
}

/* ---- order ---- */

static rp_status take_order(rp_eval_run *run, size_t i, const rp_result *result, rp_error *err) {
    float in_order = rp_result_in_order(result, i);
    uint32_t right = rp_label_map_find(&run->map, run->rows[i].labels[0]), said = in_order < 0.5f;
    run->done++;
    rp_classes_add(&run->classes, right, said);
    if (!run->out) return RP_OK;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    rp_json_write_string(&w, "label", right ? "swapped" : "in_order");
    rp_json_write_string(&w, "prediction", said ? "swapped" : "in_order");
    rp_json_write_float(&w, "score", in_order);
    return rp_eval_write(run, &w, err);
}

rp_status rp_eval_order(rp_eval_run *run, rp_error *err) {
    const rp_coherence_params params = {.call = run->params.call};
    rp_input inputs[RP_EVAL_ROWS];
    rp_result *result = NULL;
    for (size_t i = 0; i < run->count; i++) inputs[i] = (rp_input){run->rows[i].text, run->rows[i].pair};
    rp_status status = rp_coherence(run->model, inputs, run->count, &params, &result, err);
    for (size_t i = 0; !status && i < run->count; i++) {
        bool bad;
        status = rp_eval_check(run, result, i, &bad, err);
        if (!status && !bad) status = take_order(run, i, result, err);
    }
    rp_result_free(&result);
    return status;
}

/* ---- choices ---- */

static rp_status take_choice(rp_eval_run *run, size_t i, const rp_result *result, rp_error *err) {
    size_t rows, count;
    uint32_t right = 0;
    const float *scores = rp_result_vectors(result, i, &rows, &count);
    uint32_t said = rp_argmax(scores, (uint32_t)count);
    rp_label_whole(run->rows[i].labels[0], UINT32_MAX, &right);
    run->done++;
    run->classes.rows++;
    run->classes.correct += right == said;
    run->loss -= log((double)(scores[right] > FLT_MIN ? scores[right] : FLT_MIN));
    if (!run->out) return RP_OK;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    rp_json_write_integer(&w, "label", right);
    rp_json_write_integer(&w, "prediction", said);
    rp_json_write_open(&w, "scores", '[');
    for (size_t k = 0; k < count; k++) rp_json_write_float(&w, NULL, scores[k]);
    rp_json_write_close(&w, ']');
    return rp_eval_write(run, &w, err);
}

rp_status rp_eval_choose(rp_eval_run *run, rp_error *err) {
    const rp_choose_params params = {.call = run->params.call};
    rp_choice inputs[RP_EVAL_ROWS];
    rp_result *result = NULL;
    for (size_t i = 0; i < run->count; i++)
        inputs[i] = (rp_choice){run->rows[i].text, run->rows[i].items, run->rows[i].item_count};
    rp_status status = rp_choose(run->model, inputs, run->count, &params, &result, err);
    for (size_t i = 0; !status && i < run->count; i++) {
        bool bad;
        status = rp_eval_check(run, result, i, &bad, err);
        if (!status && !bad) status = take_choice(run, i, result, err);
    }
    rp_result_free(&result);
    return status;
}
