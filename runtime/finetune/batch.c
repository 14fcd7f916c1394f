/* The rows of a step: which they are, their tokens, and what is to be learnt of them. */
#include <math.h>

#include "finetune/finetune.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

rp_status rp_finetune_batch_init(rp_finetune_run *run, rp_error *err) {
    uint64_t size = run->params.batch_size, labels = rp_model_get_info(run->model)->label_count;
    if (size > run->rows) size = run->rows;
    if (run->params.task == RP_EVAL_TAG) return RP_OK;
    run->batch.targets = rp_new_array(float, size *labels);
    return run->batch.targets ? RP_OK : rp_fail_memory(err, "a batch", 4 * size * labels);
}

void rp_finetune_batch_finish(rp_finetune_batch *batch) {
    rp_tokenized_finish(&batch->tokenized);
    free(batch->labels);
    free(batch->targets);
}

/* Room for the labels of `count` tokens, or of one row more. */
static int32_t *more_labels(rp_finetune_batch *batch, size_t count, rp_error *err) {
    size_t all = batch->label_count + count;
    if (!rp_grow((void **)&batch->labels, &batch->label_capacity, all, sizeof *batch->labels)) {
        rp_fail_memory(err, "the labels of a batch", 4ull * all);
        return NULL;
    }
    int32_t *labels = batch->labels + batch->label_count;
    batch->label_count = all;
    return labels;
}

/* ---- texts ---- */

/* What row number `at` of the batch is to be. The labels are those that rp_data_open has seen. */
static rp_status label(rp_finetune_run *run, const rp_data_row *row, size_t at, rp_error *err) {
    uint32_t count = rp_model_get_info(run->model)->label_count;
    float *targets = run->batch.targets + at * count;
    double number = 0;
    memset(targets, 0, count * sizeof *targets);
    if (run->params.task == RP_EVAL_REGRESS) {
        rp_status status = rp_label_number(row->labels[0], &number, err);
        *targets = (float)number;
        if (!status && !isfinite(*targets))
            status = rp_fail(err, RP_ERROR_FORMAT, "the label %g is beyond what float32 holds", number);
        return status;
    }
    int32_t *only = more_labels(&run->batch, 1, err);
    if (!only) return RP_ERROR_HOST_MEMORY;
    *only = -1;
    for (size_t k = 0; k < row->label_count; k++) {
        uint32_t label = rp_label_map_find(&run->map, row->labels[k]);
        if (label >= count) return rp_fail(err, RP_ERROR_FORMAT, "the label is not one that was there");
        targets[label] = 1;
        *only = (int32_t)label;
    }
    return RP_OK;
}

static rp_status add_text(rp_finetune_run *run, const rp_data_row *row, size_t at, rp_encoding *out,
                          rp_error *err) {
    const rp_tokenize_params params = {.max_tokens = run->params.max_tokens};
    rp_text pair = row->pair.size ? row->pair : (rp_text){0};
    rp_status status = pair.data ? rp_task_check_pairs(run->model, err) : RP_OK;
    if (!status) status = rp_task_tokenize(run->model, row->text, pair, &params, out, err);
    return status ? status : label(run, row, at, err);
}

/* ---- tokens, each tokenized by itself; its first piece has its label, as rp_eval has it ---- */

/* The pieces of a row, without special tokens, and the label of each; -1: it has none. */
typedef struct pieces {
    rp_encoding encoding; /* its ids alone */
    int32_t *labels;
    size_t id_capacity, label_capacity;
} pieces;

static rp_status add_token(rp_finetune_run *run, rp_text token, rp_text tag, pieces *p, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    rp_encoding one = {0};
    rp_status status = rp_task_tokenize(run->model, token, (rp_text){0}, &params, &one, err);
    size_t before = p->encoding.count, after = before + one.count;
    if (!status && (!rp_grow((void **)&p->encoding.ids, &p->id_capacity, after + 1, sizeof(int32_t)) ||
                    !rp_grow((void **)&p->labels, &p->label_capacity, after + 1, sizeof(int32_t))))
        status = rp_fail_memory(err, "the tokens of a row", 8ull * after);
    for (size_t i = 0; !status && i < one.count; i++) {
        p->encoding.ids[before + i] = one.ids[i];
        p->labels[before + i] = i ? -1 : (int32_t)rp_label_map_find(&run->map, tag);
    }
    if (!status) p->encoding.count = after;
    rp_encoding_free(&one);
    return status;
}

/* The first window of the row: what is behind it is cut. */
static rp_status cut(rp_finetune_run *run, const pieces *p, rp_encoding *out, rp_error *err) {
    bool typed = !rp_model_get_tokenizer(run->model)->without_types;
    rp_windows windows = {0};
    rp_status status =
        rp_windows_add(&windows, run->model, 0, NULL, &p->encoding, run->params.max_tokens, 0, err);
    if (!status) {
        const rp_window *w = windows.items;
        int32_t *labels = more_labels(&run->batch, w->size, err);
        out->ids = rp_new_array(int32_t, w->size);
        out->type_ids = rp_new_array(int32_t, w->size);
        out->count = w->size;
        if (!labels || !out->ids || !out->type_ids) {
            status = rp_fail_memory(err, "the tokens of a row", 12ull * w->size);
        } else {
            rp_window_write(w, typed, out->ids, out->type_ids);
            for (uint32_t i = 0; i < w->size; i++) labels[i] = -1;
            if (w->count) memcpy(labels + w->at, p->labels, w->count * sizeof *labels);
        }
    }
    free(windows.items);
    return status;
}

static rp_status add_tokens(rp_finetune_run *run, const rp_data_row *row, rp_encoding *out, rp_error *err) {
    pieces p = {0};
    rp_status status = RP_OK;
    for (size_t k = 0; !status && k < row->item_count; k++)
        status = add_token(run, row->items[k], row->labels[k], &p, err);
    if (!status) status = cut(run, &p, out, err);
    free(p.encoding.ids);
    free(p.labels);
    return status;
}

/* ---- the batch ---- */

static rp_status add_row(rp_finetune_run *run, uint64_t number, size_t at, rp_error *err) {
    rp_data_row row;
    rp_encoding encoding = {0};
    rp_status status = rp_data_read(run->data, number, &row, err);
    if (status) return status;
    status = run->params.task == RP_EVAL_TAG ? add_tokens(run, &row, &encoding, err)
                                             : add_text(run, &row, at, &encoding, err);
    if (!status) status = rp_finetune_teacher_read(run, &row, number, at, err);
    if (status == RP_ERROR_TEXT || status == RP_ERROR_FORMAT) {
        rp_error why = *err;
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: %s", rp_path_shown(run->params.train),
                         (unsigned long long)rp_data_line(run->data, number), why.message);
    }
    if (status) {
        rp_encoding_free(&encoding);
        return status;
    }
    return rp_tokenized_push(&run->batch.tokenized, at, &encoding, err);
}

rp_status rp_finetune_fill(rp_finetune_run *run, uint64_t step, rp_error *err) {
    uint64_t epoch = step / run->steps_of_epoch, first = step % run->steps_of_epoch * run->params.batch_size;
    rp_status status = RP_OK;
    rp_tokenized_cut(&run->batch.tokenized, 0);
    run->batch.label_count = 0;
    for (size_t i = 0; !status && i < run->params.batch_size && first + i < run->rows; i++) {
        uint64_t number = run->params.no_shuffle
                              ? first + i
                              : rp_data_permute(first + i, run->rows, run->params.seed, epoch);
        status = add_row(run, number, i, err);
    }
    return status ? status : rp_finetune_teacher_run(run, err);
}
