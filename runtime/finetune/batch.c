/* The rows of a step: which they are, their tokens, and what is to be learnt of them. */
#include <math.h>

#include "finetune/finetune.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

rp_status rp_finetune_batch_init(rp_finetune_run *run, rp_error *err) {
    uint64_t size = run->params.batch_size, labels = rp_model_get_info(run->model)->label_count;
    if (size > run->rows) size = run->rows;
    if (run->params.task == RP_EVAL_EMBED) labels = 1;
    if (run->params.task >= RP_EVAL_TAG && run->params.task <= RP_EVAL_CHOOSE) return RP_OK;
    run->batch.targets = rp_new_array(float, size *labels);
    return run->batch.targets ? RP_OK : rp_fail_memory(err, "a batch", 4 * size * labels);
}

void rp_finetune_batch_finish(rp_finetune_batch *batch) {
    rp_tokenized_finish(&batch->tokenized);
    rp_encoding_free(&batch->question);
    rp_encoding_free(&batch->context);
    free(batch->windows.items);
    free(batch->labels);
    free(batch->targets);
    free(batch->choices);
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

/* ---- questions: a window of the context, and where the answer lies in it ---- */

static rp_status cut_context(rp_finetune_run *run, const rp_data_row *row, uint64_t number, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    const rp_tokenize_params whole = {.no_special_tokens = true};
    rp_finetune_batch *b = &run->batch;
    if (b->row == number + 1) return RP_OK;
    b->row = 0;
    b->windows.count = 0;
    rp_encoding_free(&b->question);
    rp_encoding_free(&b->context);
    rp_status status = rp_task_check_pairs(run->model, err);
    if (!status) status = rp_task_tokenize(run->model, row->text, (rp_text){0}, &whole, &b->question, err);
    if (!status) status = rp_task_tokenize(run->model, row->pair, (rp_text){0}, &whole, &b->context, err);
    if (!status)
        status = rp_windows_add(&b->windows, run->model, 0, &b->question, &b->context, p->max_tokens,
                                p->stride, err);
    if (!status) b->row = number + 1;
    return status;
}

/* As Hugging Face's run_qa: an answer that the window does not hold whole is [CLS], and so is none. Where an
 * answer begins with the last token of the window run_qa names one behind it; here it is that token. */
static void find_span(const rp_window *w, int64_t from, size_t size, int32_t label[2]) {
    const rp_span *spans = w->text->offsets + w->first;
    uint32_t start = 0, end = w->count;
    label[0] = label[1] = 0;
    if (from < 0 || !w->count) return;
    size_t begin = (size_t)from, stop = begin + size;
    if (spans[0].start > begin || spans[w->count - 1].end < stop) return;
    while (start < w->count && spans[start].start <= begin) start++;
    while (end > 0 && spans[end - 1].end >= stop) end--;
    label[0] = (int32_t)(w->at + start - 1);
    label[1] = (int32_t)(w->at + end);
}

static rp_status add_window(rp_finetune_run *run, const rp_data_row *row, uint64_t number, uint64_t which,
                            rp_encoding *out, rp_error *err) {
    bool typed = !rp_model_get_tokenizer(run->model)->without_types;
    int64_t from;
    rp_status status = rp_finetune_answer(row, &from, err);
    if (!status) status = cut_context(run, row, number, err);
    if (status) return status;
    if (which >= run->batch.windows.count)
        return rp_fail(err, RP_ERROR_FORMAT, "the context has fewer tokens than it had before; start again");
    const rp_window *w = &run->batch.windows.items[which];
    int32_t *labels = more_labels(&run->batch, 2, err);
    if (!labels) return RP_ERROR_HOST_MEMORY;
    find_span(w, from, row->item_count ? row->items[0].size : 0, labels);
    out->ids = rp_new_array(int32_t, w->size);
    out->type_ids = rp_new_array(int32_t, w->size);
    out->count = w->size;
    if (!out->ids || !out->type_ids) return rp_fail_memory(err, "a window", 8ull * w->size);
    rp_window_write(w, typed, out->ids, out->type_ids);
    return RP_OK;
}

/* ---- choices and pairs: several sequences each ---- */

/* One sequence more, which is of example `at`. */
static rp_status push(rp_finetune_run *run, rp_status status, size_t at, rp_encoding *encoding,
                      rp_error *err) {
    if (!status) return rp_tokenized_push(&run->batch.tokenized, at, encoding, err);
    rp_encoding_free(encoding);
    return status;
}

static rp_status add_choices(rp_finetune_run *run, const rp_data_row *row, size_t at, rp_error *err) {
    const rp_tokenize_params params = {.max_tokens = run->params.max_tokens};
    rp_finetune_batch *b = &run->batch;
    uint32_t right = 0;
    rp_status status = rp_task_check_pairs(run->model, err);
    int32_t *label = status ? NULL : more_labels(b, 1, err);
    if (!label) return err->status;
    if (row->item_count > run->choices || !row->labelled ||
        !rp_label_whole(row->labels[0], (uint32_t)row->item_count - 1, &right))
        return rp_fail(err, RP_ERROR_FORMAT, "the choices are not those that were there; start again");
    if (!rp_grow((void **)&b->choices, &b->choice_capacity, at + 1, sizeof *b->choices))
        return rp_fail_memory(err, "a batch", 4ull * at);
    *label = (int32_t)right;
    b->choices[at] = (uint32_t)row->item_count;
    for (size_t k = 0; !status && k < row->item_count; k++) {
        rp_encoding encoding = {0};
        status = rp_task_tokenize(run->model, row->text, row->items[k], &params, &encoding, err);
        status = push(run, status, at, &encoding, err);
    }
    return status;
}

static rp_status add_pair(rp_finetune_run *run, const rp_data_row *row, size_t at, rp_error *err) {
    const rp_text texts[2] = {row->text, row->pair.data ? row->pair : row->text};
    double score = 0;
    rp_status status = RP_OK;
    bool learnt = rp_finetune_is_learnt(run, row);
    int32_t *label = run->teacher.model ? more_labels(&run->batch, 1, err) : NULL;
    if (run->teacher.model && !label) return RP_ERROR_HOST_MEMORY;
    if (label) *label = learnt ? 0 : -1;
    if (!label && (!learnt || row->labelled != run->scored))
        return rp_fail(err, RP_ERROR_FORMAT, "the pair is not the one that was there; start again");
    if (run->scored && learnt) status = rp_label_number(row->labels[0], &score, err);
    run->batch.targets[at] = (float)score;
    for (int k = 0; !status && k < 2; k++) {
        rp_encoding encoding = {0};
        status = rp_embed_tokenize(run->model, texts[k], run->params.max_tokens, &encoding, err);
        status = push(run, status, at, &encoding, err);
    }
    return status;
}

/* ---- the batch ---- */

static rp_status add_one(rp_finetune_run *run, const rp_data_row *row, uint64_t number, uint64_t example,
                         size_t at, rp_error *err) {
    rp_encoding encoding = {0};
    rp_status status;
    if (run->params.task == RP_EVAL_CHOOSE) return add_choices(run, row, at, err);
    if (run->params.task == RP_EVAL_EMBED) return add_pair(run, row, at, err);
    if (run->params.task == RP_EVAL_ANSWER)
        status = add_window(run, row, number, example - run->firsts[number], &encoding, err);
    else if (run->params.task == RP_EVAL_TAG)
        status = add_tokens(run, row, &encoding, err);
    else
        status = add_text(run, row, at, &encoding, err);
    return push(run, status, at, &encoding, err);
}

static rp_status add_row(rp_finetune_run *run, uint64_t example, size_t at, rp_error *err) {
    rp_data_row row;
    uint64_t number = rp_finetune_row_of(run, example);
    rp_status status = rp_data_read(run->data, number, &row, err);
    if (status) return status;
    status = add_one(run, &row, number, example, at, err);
    if (!status) status = rp_finetune_teacher_read(run, &row, number, at, err);
    if (status == RP_ERROR_TEXT || status == RP_ERROR_FORMAT) {
        rp_error why = *err;
        uint64_t line = rp_data_line(run->data, number);
        status =
            rp_fail(err, RP_ERROR_FORMAT, "%s: %s %llu: %s", rp_path_shown(run->params.train),
                    line ? "line" : "question", (unsigned long long)(line ? line : number + 1), why.message);
    }
    return status;
}

rp_finetune_rows rp_finetune_rows_of(const rp_finetune_run *run, uint64_t step) {
    uint64_t first = step % run->steps_of_epoch * run->params.batch_size, left = run->rows - first;
    return (rp_finetune_rows){first, left < run->params.batch_size ? left : run->params.batch_size};
}

/* The ranks of a world take one part after the other. */
rp_status rp_finetune_fill(rp_finetune_run *run, uint64_t step, rp_error *err) {
    uint64_t epoch = step / run->steps_of_epoch;
    uint32_t rank = rp_world_rank(run->params.world), ranks = rp_world_size(run->params.world);
    rp_finetune_rows rows = rp_finetune_rows_of(run, step);
    uint64_t begin = rows.first + rows.count * rank / ranks,
             end = rows.first + rows.count * (rank + 1) / ranks;
    rp_status status = RP_OK;
    rp_tokenized_cut(&run->batch.tokenized, 0);
    run->batch.label_count = run->batch.count = 0;
    for (uint64_t i = begin; !status && i < end; i++) {
        uint64_t number = run->params.no_shuffle ? i : rp_data_permute(i, run->rows, run->params.seed, epoch);
        status = add_row(run, number, (size_t)(i - begin), err);
        run->batch.count++;
    }
    return status ? status : rp_finetune_teacher_run(run, run->batch.count, err);
}
