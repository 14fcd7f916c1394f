/* Questions: the best answer, and how much rather there is none. */
#include "eval/eval.h"

#include <math.h>

/* log(score), of one that float32 cannot tell from 0 too. */
static double log_of(float score) {
    return log(score > 1e-45f ? (double)score : 1e-45);
}

static rp_status take_answer(rp_eval_run *run, size_t i, const rp_result *result, rp_error *err) {
    const rp_data_row *row = &run->rows[i];
    size_t count;
    const rp_answer *answers = rp_result_answers(result, i, &count), none = {0}, *best = &none;
    for (size_t k = count; k--;)
        if (answers[k].span.end > answers[k].span.start) best = &answers[k];
    rp_text text = {row->pair.data + best->span.start, best->span.end - best->span.start};
    double empty = log_of(result->entries[i].none) - log_of(best->score);
    run->none = run->none || !row->item_count;
    run->done++;
    rp_status status = rp_answers_add(&run->answers, row->items, row->item_count, text, empty, err);
    if (status || !run->out) return status;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    if (row->id.data) rp_json_write_text(&w, "id", row->id.data, row->id.size);
    rp_json_write_open(&w, "answers", '[');
    for (size_t k = 0; k < row->item_count; k++)
        rp_json_write_text(&w, NULL, row->items[k].data, row->items[k].size);
    rp_json_write_close(&w, ']');
    rp_json_write_text(&w, "prediction", text.data, text.size);
    rp_json_write_float(&w, "score", best->score);
    rp_json_write_real(&w, "no_answer", empty);
    return rp_eval_write(run, &w, err);
}

rp_status rp_eval_answer(rp_eval_run *run, rp_error *err) {
    /* The best two: one of them is not that there is no answer. */
    const rp_answer_params params = {.top_k = 2,
                                     .max_tokens = run->params.max_tokens,
                                     .stride = run->params.stride,
                                     .max_answer_tokens =
                                         run->params.max_answer_tokens ? run->params.max_answer_tokens : 30,
                                     .allow_no_answer = true,
                                     .call = run->params.call};
    rp_question questions[RP_EVAL_ROWS];
    rp_result *result = NULL;
    for (size_t i = 0; i < run->count; i++)
        questions[i] = (rp_question){run->rows[i].text, run->rows[i].pair};
    rp_status status = rp_answer_questions(run->model, questions, run->count, &params, &result, err);
    for (size_t i = 0; !status && i < run->count; i++) {
        bool bad;
        status = rp_eval_check(run, result, i, &bad, err);
        if (!status && !bad) status = take_answer(run, i, result, err);
    }
    rp_result_free(&result);
    return status;
}
