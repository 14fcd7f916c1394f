/* Tags of tokens. Each token is tokenized by itself and has the label of its first piece, as in Hugging
 * Face's examples; one without pieces does not count. */
#include "eval/eval.h"

enum { STRIDE = 64, NONE = -1 };

/* The tokens of a row as the model reads them. */
typedef struct pieces {
    rp_encoding encoding; /* its ids alone */
    size_t capacity;
    uint32_t *first; /* [tokens] the piece each begins with; of one without, the same as of the next */
    bool *some;      /* [tokens] it has pieces */
    int32_t *said;   /* [tokens] */
} pieces;

typedef struct tag_run {
    rp_eval_run *run;
    pieces *rows; /* [run->count] */
    uint32_t stride;
} tag_run;

static rp_status add_token(const rp_eval_run *run, rp_text token, pieces *p, size_t k, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    rp_encoding one = {0};
    rp_status status = rp_task_tokenize(run->model, token, (rp_text){0}, &params, &one, err);
    size_t count = p->encoding.count;
    if (!status && !rp_grow((void **)&p->encoding.ids, &p->capacity, count + one.count + 1, sizeof(int32_t)))
        status = rp_fail_memory(err, "the tokens of a row", 4ull * count);
    if (!status) {
        if (one.count) memcpy(p->encoding.ids + count, one.ids, one.count * sizeof(int32_t));
        p->first[k] = (uint32_t)count;
        p->some[k] = one.count;
        p->said[k] = NONE;
        p->encoding.count += one.count;
    }
    rp_encoding_free(&one);
    return status;
}

static rp_status add_row(const rp_eval_run *run, const rp_data_row *row, pieces *p, rp_error *err) {
    rp_status status = RP_OK;
    p->first = rp_new_array(uint32_t, row->item_count);
    p->some = rp_new_array(bool, row->item_count);
    p->said = rp_new_array(int32_t, row->item_count);
    if (!p->first || !p->some || !p->said)
        return rp_fail_memory(err, "the tokens of a row", 9ull * row->item_count);
    for (size_t k = 0; !status && k < row->item_count; k++) status = add_token(run, row->items[k], p, k, err);
    return status;
}

/* Of what two windows have, the first half is that of the former. */
static rp_status read_window(void *task, const rp_window *window, const float *rows, rp_error *err) {
    const tag_run *t = task;
    const rp_data_row *row = &t->run->rows[window->entry];
    const pieces *p = &t->rows[window->entry];
    uint32_t labels = t->run->info->label_count, skip = window->first ? t->stride / 2 : 0;
    (void)err;
    for (size_t k = 0; k < row->item_count; k++) {
        uint32_t at = p->first[k];
        if (!p->some[k] || at < window->first || at >= window->first + window->count) continue;
        if (p->said[k] != NONE && at - window->first < skip) continue;
        p->said[k] = (int32_t)rp_argmax(rows + (size_t)(window->at + at - window->first) * labels, labels);
    }
    return RP_OK;
}

static void write_tags(const rp_eval_run *run, const char *key, const rp_data_row *row, const int32_t *said,
                       rp_json_writer *w) {
    rp_json_write_open(w, key, '[');
    for (size_t k = 0; k < row->item_count; k++) {
        int32_t label = said ? said[k] : (int32_t)rp_label_map_find(&run->map, row->labels[k]);
        if (label == NONE)
            rp_json_write_null(w, NULL);
        else
            rp_json_write_string(w, NULL, run->info->labels[label]);
    }
    rp_json_write_close(w, ']');
}

static rp_status take_row(rp_eval_run *run, size_t i, const pieces *p, rp_error *err) {
    const rp_data_row *row = &run->rows[i];
    run->done++;
    for (size_t k = 0; k < row->item_count; k++) {
        if (p->said[k] == NONE) continue;
        uint32_t right = rp_label_map_find(&run->map, row->labels[k]);
        rp_entities_add(&run->entities, run->info->labels[right], run->info->labels[p->said[k]]);
    }
    rp_entities_end(&run->entities);
    if (!run->out) return RP_OK;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    write_tags(run, "tags", row, NULL, &w);
    write_tags(run, "predictions", row, p->said, &w);
    return rp_eval_write(run, &w, err);
}

static rp_status answer(tag_run *t, rp_result *result, rp_error *err) {
    rp_eval_run *run = t->run;
    rp_windows windows = {0};
    uint32_t longest = rp_task_max_tokens(run->model);
    rp_status status = RP_OK;
    if (run->params.max_tokens && run->params.max_tokens < longest) longest = run->params.max_tokens;
    for (size_t i = 0; !status && i < run->count; i++) {
        rp_error why = {0};
        status = add_row(run, &run->rows[i], &t->rows[i], &why);
        if (!status)
            status =
                rp_windows_add(&windows, run->model, i, NULL, &t->rows[i].encoding, longest, t->stride, &why);
        status = rp_result_blame(result, i, status, &why, err);
    }
    if (!status) status = rp_windows_run(&windows, run->model, RP_OUTPUT_TOKENS, result, read_window, t, err);
    for (size_t i = 0; !status && i < run->count; i++) {
        bool bad;
        status = rp_eval_check(run, result, i, &bad, err);
        if (!status && !bad) status = take_row(run, i, &t->rows[i], err);
    }
    free(windows.items);
    return status;
}

rp_status rp_eval_tag(rp_eval_run *run, rp_error *err) {
    rp_result *result = NULL;
    rp_task task = rp_eval_call(run, RP_HEAD_TOKENS, "tag", &result);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    tag_run t = {run, rp_new_array(pieces, run->count), run->params.stride ? run->params.stride : STRIDE};
    status = t.rows ? answer(&t, result, err)
                    : rp_fail_memory(err, "the tokens of rows", run->count * sizeof(pieces));
    for (size_t i = 0; t.rows && i < run->count; i++) {
        free(t.rows[i].encoding.ids);
        free(t.rows[i].first);
        free(t.rows[i].some);
        free(t.rows[i].said);
    }
    free(t.rows);
    status = rp_task_end(&task, status);
    rp_result_free(&result);
    return status;
}
