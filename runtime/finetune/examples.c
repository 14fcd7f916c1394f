/* What the examples of a task are: rows; of questions the windows of their contexts; and what all rows of
 * pairs must have alike. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <math.h>

#include "finetune/finetune.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

enum { WINDOW = 384, STRIDE = 128 }; /* of Hugging Face's run_qa */

/* Row `number` cannot be learnt, for the reason in `*err`. */
static rp_status blame(const rp_finetune_run *run, uint64_t number, rp_error *err) {
    rp_error why = *err;
    uint64_t line = rp_data_line(run->data, number);
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s %llu: %s", rp_path_shown(run->params.train),
                   line ? "line" : "question", (unsigned long long)(line ? line : number + 1), why.message);
}

/* ---- questions ---- */

static rp_status encode(const rp_tokenizer *tokenizer, rp_text text, rp_encoding *out, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    return rp_tokenize(tokenizer, text, (rp_text){0}, &params, out, err);
}

static rp_status count_windows(const rp_finetune_run *run, const rp_tokenizer *tokenizer,
                               const rp_data_row *row, uint64_t *count, rp_error *err) {
    rp_encoding question = {0}, context = {0};
    int64_t from;
    rp_status status = rp_finetune_answer(row, &from, err);
    if (!status) status = encode(tokenizer, row->text, &question, err);
    if (!status) status = encode(tokenizer, row->pair, &context, err);
    if (!status)
        status = rp_windows_count(tokenizer, run->dir, &question, context.count, run->params.max_tokens,
                                  run->params.stride, count, err);
    rp_encoding_free(&question);
    rp_encoding_free(&context);
    return status;
}

/* run->firsts, and how many windows there are in all. */
static rp_status list_windows(rp_finetune_run *run, const rp_tokenizer *tokenizer, rp_error *err) {
    uint64_t rows = rp_data_count(run->data);
    rp_status status = RP_OK;
    run->firsts = rp_new_array(uint64_t, rows + 1);
    if (!run->firsts) return rp_fail_memory(err, "the windows of the questions", 8 * rows);
    run->firsts[0] = 0;
    for (uint64_t i = 0; !status && i < rows; i++) {
        rp_data_row row;
        uint64_t count = 0;
        status = rp_call_check(err);
        if (!status) status = rp_data_read(run->data, i, &row, err);
        if (status) return status;
        status = count_windows(run, tokenizer, &row, &count, err);
        bool bad = status == RP_ERROR_FORMAT || status == RP_ERROR_TEXT;
        if (bad) status = run->params.skip_bad ? RP_OK : blame(run, i, err);
        run->firsts[i + 1] = run->firsts[i] + (bad ? 0 : count);
    }
    run->rows = run->firsts[rows];
    return status;
}

static rp_status look_at_questions(rp_finetune_run *run, rp_error *err) {
    rp_finetune_params *p = &run->params;
    rp_tokenizer *tokenizer = NULL;
    rp_status status = rp_tokenizer_open(run->dir, &tokenizer, err);
    if (status) return status;
    uint32_t takes = rp_tokenizer_max_tokens(tokenizer), positions = run->config.max_positions;
    if (!takes || takes > positions) takes = positions;
    if (!p->max_tokens) p->max_tokens = WINDOW;
    if (p->max_tokens > takes) p->max_tokens = takes;
    if (!p->stride) p->stride = STRIDE < p->max_tokens / 2 ? STRIDE : p->max_tokens / 2;
    status = list_windows(run, tokenizer, err);
    rp_tokenizer_close(&tokenizer);
    return status;
}

uint64_t rp_finetune_row_of(const rp_finetune_run *run, uint64_t example) {
    uint64_t low = 0, high = rp_data_count(run->data);
    if (!run->firsts) return example;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (run->firsts[middle] <= example)
            low = middle;
        else
            high = middle;
    }
    return low;
}

rp_status rp_finetune_answer(const rp_data_row *row, int64_t *from, rp_error *err) {
    *from = -1;
    if (!row->text.size) return rp_fail(err, RP_ERROR_FORMAT, "the question is empty; ask something");
    if (!row->item_count) return RP_OK;
    *from = row->starts[0];
    rp_text answer = row->items[0], context = row->pair;
    if (*from < 0 && answer.size) {
        const char *found = memmem(context.data, context.size, answer.data, answer.size);
        if (found) *from = found - context.data;
    }
    return *from >= 0 ? RP_OK
                      : rp_fail(err, RP_ERROR_FORMAT,
                                "the answer '%.*s' is not in the context; write a part of it, or no answers "
                                "where there is none",
                                rp_label_fit(answer), answer.data);
}

/* ---- choices and pairs ---- */

/* The choices of a question are learnt together. */
static rp_status look_at_choices(rp_finetune_run *run, const rp_data_row *row, rp_error *err) {
    enum { MOST = 256 }; /* sequences of a micro-batch */
    if (row->item_count > MOST)
        return rp_fail(err, RP_ERROR_FORMAT, "has %zu choices, more than the %d that are learnt together",
                       row->item_count, MOST);
    if (row->item_count > run->choices) run->choices = (uint32_t)row->item_count;
    return RP_OK;
}

bool rp_finetune_is_learnt(const rp_finetune_run *run, const rp_data_row *row) {
    return row->pair.data && (row->labelled || !run->scored);
}

/* Every pair has a score, or none has; but for rows that a teacher can teach alone: texts without a second
 * one, and pairs without a score. */
static rp_status look_at_pair(rp_finetune_run *run, const rp_data_row *row, bool first, rp_error *err) {
    double score = 0;
    bool taught = run->params.teacher;
    if (!row->pair.data && (!taught || row->labelled))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "has one text, and the task needs pairs, such as text and text_pair");
    if (run->scored != row->labelled && !taught && !first)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "has %s score and the rows before it have %s; give all pairs a score, or none",
                       row->labelled ? "a" : "no", row->labelled ? "none" : "one");
    rp_status status = row->labelled ? rp_label_number(row->labels[0], &score, err) : RP_OK;
    if (!status && fabs(score) > 1)
        status =
            rp_fail(err, RP_ERROR_FORMAT,
                    "has the score %g, which no cosine can be; divide scores by the largest, so that they "
                    "are from 0 to 1",
                    score);
    if (!status && (first || taught)) run->scored |= row->labelled;
    return status;
}

/* Row `i` of the data, of which run->rows are good so far. */
static rp_status look_at_row(rp_finetune_run *run, uint64_t i, rp_error *err) {
    rp_data_row row;
    rp_status status = rp_call_check(err);
    if (!status) status = rp_data_read(run->data, i, &row, err);
    if (status) return status;
    status = run->params.task == RP_EVAL_CHOOSE ? look_at_choices(run, &row, err)
                                                : look_at_pair(run, &row, !run->rows, err);
    bool bad = status == RP_ERROR_FORMAT;
    if (bad) status = run->params.skip_bad ? RP_OK : blame(run, i, err);
    run->rows += !bad;
    if (run->firsts) run->firsts[i + 1] = run->rows;
    return status;
}

static rp_status look_at_rows(rp_finetune_run *run, rp_error *err) {
    uint64_t rows = rp_data_count(run->data);
    rp_status status = RP_OK;
    run->rows = 0;
    if (run->params.skip_bad) run->firsts = rp_new_array(uint64_t, rows + 1);
    if (run->params.skip_bad && !run->firsts) return rp_fail_memory(err, "the rows", 8 * rows);
    if (run->firsts) run->firsts[0] = 0;
    for (uint64_t i = 0; !status && i < rows; i++) status = look_at_row(run, i, err);
    return status;
}

rp_status rp_finetune_look_at_rows(rp_finetune_run *run, rp_error *err) {
    run->rows = rp_data_count(run->data);
    if (run->params.task == RP_EVAL_ANSWER) return look_at_questions(run, err);
    if (run->params.task == RP_EVAL_CHOOSE || run->params.task == RP_EVAL_EMBED)
        return look_at_rows(run, err);
    return RP_OK;
}
