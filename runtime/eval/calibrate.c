/* Thresholds for moderation: of each label the one that reaches a precision or a recall on labelled data. */
#include <errno.h>
#include <string.h>

#include "eval/eval.h"

#include <errno.h>

#include "loader/json.h"

/* ---- the scores of all rows ---- */

rp_status rp_eval_note(rp_eval_run *run, const float *logits, const bool *right, uint32_t which,
                       rp_error *err) {
    rp_calibration *c = &run->calibration;
    uint32_t labels = run->info->label_count;
    if (!run->params.calibrate) return RP_OK;
    size_t needed = (c->rows + 1) * labels;
    if (!rp_grow((void **)&c->scores, &c->score_capacity, needed, sizeof *c->scores) ||
        !rp_grow((void **)&c->right, &c->right_capacity, needed, sizeof *c->right))
        return rp_fail_memory(err, "the scores of the rows", needed * sizeof *c->scores);
    float *scores = c->scores + c->rows * labels;
    memcpy(scores, logits, labels * sizeof *scores);
    rp_label_scores(run->info, scores);
    for (uint32_t k = 0; k < labels; k++) c->right[c->rows * labels + k] = right ? right[k] : k == which;
    c->rows++;
    return RP_OK;
}

/* ---- one label ---- */

typedef struct scored {
    float score;
    bool right;
} scored;

static int by_score(const void *left, const void *right) {
    const scored *a = left, *b = right;
    return a->score < b->score ? 1 : a->score > b->score ? -1 : 0;
}

/* Thresholds lie halfway between two scores that occur. For a recall the highest that reaches it; for a
 * precision the lowest or, where none does, that of the best precision. */
static void choose(const scored *rows, size_t count, const rp_eval_params *p, rp_threshold *out) {
    uint64_t right = 0;
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        double score = (double)rows[i].score, next = i + 1 < count ? (double)rows[i + 1].score : 0;
        right += rows[i].right;
        if (i + 1 < count && next >= score) continue; /* one threshold cannot part them */
        double precision = (double)right / (double)(i + 1), recall = (double)right / (double)out->support;
        bool reached = p->target_recall > 0 ? recall >= p->target_recall : precision >= p->target_precision;
        bool better = reached
                          ? !out->reached || p->target_precision > 0
                          : !out->reached && p->target_precision > 0 && right && precision > out->precision;
        if (found && !better) continue;
        found = true;
        *out = (rp_threshold){out->label, (score + next) / 2, precision, recall, out->support, reached, {0}};
    }
}

static rp_status calibrate_label(const rp_eval_run *run, uint32_t label, scored *rows, rp_threshold *out,
                                 rp_error *err) {
    const rp_calibration *c = &run->calibration;
    uint32_t labels = run->info->label_count;
    *out = (rp_threshold){.label = run->info->labels[label]};
    for (size_t i = 0; i < c->rows; i++) {
        rows[i] = (scored){c->scores[i * labels + label], c->right[i * labels + label]};
        out->support += rows[i].right;
    }
    if (!out->support)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: no row has the label \"%.*s\", and a threshold needs some; add rows that have it",
                       rp_path_shown(run->path), rp_text_fit(out->label, 60), out->label);
    qsort(rows, c->rows, sizeof *rows, by_score);
    choose(rows, c->rows, &run->params, out);
    return RP_OK;
}

/* ---- the file ---- */

static char *file_text(const rp_eval_run *run, const rp_threshold *list, size_t count, size_t *size) {
    const rp_eval_params *p = &run->params;
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_open(&w, "thresholds", '{');
    for (size_t i = 0; i < count; i++) rp_json_write_real(&w, list[i].label, list[i].threshold);
    rp_json_write_close(&w, '}');
    rp_json_write_real(&w, p->target_recall > 0 ? "target_recall" : "target_precision",
                       p->target_recall > 0 ? p->target_recall : p->target_precision);
    rp_json_write_integer(&w, "rows", (int64_t)run->calibration.rows);
    rp_json_write_open(&w, "measured", '{');
    for (size_t i = 0; i < count; i++) {
        rp_json_write_open(&w, list[i].label, '{');
        rp_json_write_real(&w, "precision", list[i].precision);
        rp_json_write_real(&w, "recall", list[i].recall);
        rp_json_write_integer(&w, "support", (int64_t)list[i].support);
        rp_json_write_close(&w, '}');
    }
    rp_json_write_close(&w, '}');
    rp_json_write_close(&w, '}');
    return rp_json_writer_finish(&w, size);
}

static rp_status write_file(const rp_eval_run *run, const rp_threshold *list, size_t count, rp_error *err) {
    size_t size = 0;
    char *text = file_text(run, list, count, &size), *part = NULL;
    FILE *file = NULL;
    if (!text) return rp_fail_memory(err, "the thresholds", size);
    const char *path = run->params.calibrate;
    rp_status status = rp_eval_open_file(path, "thresholds", &file, &part, err);
    if (!status && fwrite(text, 1, size, file) < size)
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot write the thresholds: %s; check the disk",
                         rp_path_shown(path), strerror(errno));
    if (part) status = rp_eval_close_file(path, "thresholds", &file, part, status, err);
    free(text);
    return status;
}

/* ---- all labels ---- */

rp_status rp_eval_check_calibration(const rp_eval_run *run, rp_error *err) {
    const rp_eval_params *p = &run->params;
    bool one = p->target_precision > 0 && p->target_recall > 0;
    bool good = p->target_precision >= 0 && p->target_precision <= 1 && p->target_recall >= 0 &&
                p->target_recall <= 1;
    if (!p->calibrate) return RP_OK;
    if (!good || one || !(p->target_precision > 0 || p->target_recall > 0))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "calibrate: give one of target_precision and target_recall, above 0 and up to 1");
    if (run->task != RP_EVAL_CLASSIFY && run->task != RP_EVAL_MULTILABEL)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "calibrate: thresholds are of the labels of texts; the task must be classify or "
                       "multilabel");
    return RP_OK;
}

rp_status rp_eval_calibrate(rp_eval_run *run, rp_threshold **out, size_t *count, rp_error *err) {
    uint32_t labels = run->info->label_count,
             first = run->info->problem == RP_PROBLEM_SINGLE_LABEL && labels > 1;
    *out = NULL;
    *count = 0;
    if (!run->params.calibrate) return RP_OK;
    scored *rows = rp_new_array(scored, run->calibration.rows);
    rp_threshold *list = rp_new_array(rp_threshold, labels);
    rp_status status =
        rows && list ? RP_OK
                     : rp_fail_memory(err, "the scores of the rows", run->calibration.rows * sizeof *rows);
    for (uint32_t k = first; !status && k < labels; k++)
        status = calibrate_label(run, k, rows, &list[k - first], err);
    if (!status) status = write_file(run, list, labels - first, err);
    free(rows);
    if (status) {
        free(list);
        return status;
    }
    *out = list;
    *count = labels - first;
    return RP_OK;
}
