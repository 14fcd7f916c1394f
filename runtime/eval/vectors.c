/* Vectors of texts: the cosine of the two of a row, beside the number that the row has. */
#include "eval/eval.h"

#include <math.h>

/* Of vectors that rp_embed gave; 0 where one has no length. */
static double cosine(const float *a, const float *b, size_t count) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static rp_status take_pair(rp_eval_run *run, size_t i, const rp_result *result, rp_error *err) {
    size_t rows, count;
    double right = 0;
    const float *first = rp_result_vectors(result, 2 * i, &rows, &count),
                *second = rp_result_vectors(result, 2 * i + 1, &rows, &count);
    double said = cosine(first, second, count);
    rp_status status = rp_label_number(run->rows[i].labels[0], &right, err);
    if (!status) status = rp_numbers_add(&run->numbers, right, said, err);
    run->done++;
    if (status || !run->out) return status;
    rp_json_writer w;
    rp_eval_open(run, i, &w);
    rp_json_write_real(&w, "label", right);
    rp_json_write_real(&w, "prediction", said);
    return rp_eval_write(run, &w, err);
}

static rp_status check_pair(rp_eval_run *run, size_t i, const rp_result *result, bool *bad, rp_error *err) {
    static const char missing[] = "has one text, and the task needs two, such as text and text_pair";
    *bad = !run->rows[i].pair.data;
    if (*bad) return rp_eval_bad(run, i, missing, err);
    for (size_t k = 0; k < 2 && !*bad; k++) {
        const char *message;
        *bad = rp_result_status(result, 2 * i + k, &message) != RP_OK;
        if (*bad) return rp_eval_bad(run, i, message, err);
    }
    return RP_OK;
}

rp_status rp_eval_embed(rp_eval_run *run, rp_error *err) {
    const rp_embed_params params = {.call = run->params.call};
    rp_text texts[2 * RP_EVAL_ROWS];
    rp_result *result = NULL;
    for (size_t i = 0; i < run->count; i++) {
        texts[2 * i] = run->rows[i].text;
        texts[2 * i + 1] = run->rows[i].pair;
    }
    rp_status status = rp_embed(run->model, texts, 2 * run->count, &params, &result, err);
    for (size_t i = 0; !status && i < run->count; i++) {
        bool bad;
        status = check_pair(run, i, result, &bad, err);
        if (!status && !bad) status = take_pair(run, i, result, err);
    }
    rp_result_free(&result);
    return status;
}
