/* Thresholds for moderation: of each label the one that reaches a precision or a recall on labelled data. */
#include "eval/eval.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "loader/json.h"

/* ---- the scores of all rows ---- */

rp_status rp_eval_read_windows(rp_eval_run *run, rp_result *result, rp_error *err) {
    rp_calibration *c = &run->calibration;
    rp_scorer scorer = {.model = run->model, .result = result, .how = RP_LONG_MAX};
    rp_status status = RP_OK;
    free(c->windows);
    c->windows = NULL;
    for (size_t i = 0; !status && i < run->count; i++) {
        const rp_input input = {run->rows[i].text, run->rows[i].pair};
        if (result->entries[i].status || !result->entries[i].truncated) continue;
        status = rp_scorer_add(&scorer, &input, i, 0, err);
    }
    if (!status && scorer.count) status = rp_scorer_run(&scorer, &c->windows, err);
    c->cut = scorer.count;
    memcpy(c->cuts, scorer.entries ? scorer.entries : c->cuts, scorer.count * sizeof *c->cuts);
    rp_scorer_finish(&scorer);
    return status;
}

/* How sure chat is of the best of these probabilities. */
static float sureness(const rp_model_info *info, const float *scores) {
    const uint32_t count = info->label_count;
    double logs = 0;
    if (info->problem != RP_PROBLEM_SINGLE_LABEL || count == 1) return scores[rp_argmax(scores, count)];
    for (uint32_t k = 0; k < count; k++) logs += log((double)scores[k] + RP_CERTAINTY_LEAST);
    return rp_certainty(logs, count);
}

rp_status rp_eval_note(rp_eval_run *run, size_t i, const float *logits, const bool *right, uint32_t which,
                       rp_error *err) {
    rp_calibration *c = &run->calibration;
    uint32_t labels = run->info->label_count, columns = labels + 1, said = rp_argmax(logits, labels);
    if (!run->params.calibrate) return RP_OK;
    size_t needed = (c->rows + 1) * columns;
    if (!rp_grow((void **)&c->scores, &c->score_capacity, needed, sizeof *c->scores) ||
        !rp_grow((void **)&c->right, &c->right_capacity, needed, sizeof *c->right))
        return rp_fail_memory(err, "the scores of the rows", needed * sizeof *c->scores);
    float *scores = c->scores + c->rows * columns;
    bool *flags = c->right + c->rows * columns;
    memcpy(scores, logits, labels * sizeof *scores);
    rp_label_scores(run->info, scores);
    for (uint32_t k = 0; k < labels; k++) flags[k] = right ? right[k] : k == which;
    scores[labels] = sureness(run->info, scores);
    flags[labels] = flags[said];
    for (size_t k = 0; k < c->cut; k++)
        if (c->cuts[k] == i) memcpy(scores, c->windows + k * labels, labels * sizeof *scores);
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

/* One that no row has keeps the threshold that it has without a file. */
static void calibrate_label(const rp_eval_run *run, uint32_t label, scored *rows, rp_threshold *out) {
    const rp_calibration *c = &run->calibration;
    uint32_t labels = run->info->label_count, columns = labels + 1;
    *out = (rp_threshold){.label = label < labels ? run->info->labels[label] : "",
                          .threshold = 0.5,
                          .precision = (double)NAN,
                          .recall = (double)NAN};
    for (size_t i = 0; i < c->rows; i++) {
        rows[i] = (scored){c->scores[i * columns + label], c->right[i * columns + label]};
        out->support += rows[i].right;
    }
    if (!out->support) return;
    qsort(rows, c->rows, sizeof *rows, by_score);
    choose(rows, c->rows, &run->params, out);
}

/* ---- the file ---- */

static void write_measured(rp_json_writer *w, const rp_threshold *t) {
    if (t->support) rp_json_write_real(w, "precision", t->precision);
    if (t->support) rp_json_write_real(w, "recall", t->recall);
    rp_json_write_integer(w, "support", (int64_t)t->support);
    rp_json_write_close(w, '}');
}

static char *file_text(const rp_eval_run *run, const rp_threshold *list, size_t count, bool intent,
                       size_t *size) {
    const rp_eval_params *p = &run->params;
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_open(&w, "thresholds", '{');
    for (size_t i = 0; i < count; i++) rp_json_write_real(&w, list[i].label, list[i].threshold);
    rp_json_write_close(&w, '}');
    if (intent) {
        rp_json_write_open(&w, "intent", '{');
        rp_json_write_real(&w, "threshold", list[count].threshold);
        write_measured(&w, &list[count]);
    }
    rp_json_write_real(&w, p->target_recall > 0 ? "target_recall" : "target_precision",
                       p->target_recall > 0 ? p->target_recall : p->target_precision);
    rp_json_write_integer(&w, "rows", (int64_t)run->calibration.rows);
    rp_json_write_open(&w, "measured", '{');
    for (size_t i = 0; i < count; i++) {
        rp_json_write_open(&w, list[i].label, '{');
        write_measured(&w, &list[i]);
    }
    rp_json_write_close(&w, '}');
    rp_json_write_close(&w, '}');
    return rp_json_writer_finish(&w, size);
}

static rp_status write_file(const rp_eval_run *run, const rp_threshold *list, size_t count, bool intent,
                            rp_error *err) {
    size_t size = 0;
    char *text = file_text(run, list, count, intent, &size), *part = NULL;
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

rp_status rp_eval_calibrate(rp_eval_run *run, rp_threshold **out, size_t *count, bool *intent,
                            rp_error *err) {
    const uint32_t labels = run->info->label_count,
                   first = run->info->problem == RP_PROBLEM_SINGLE_LABEL && labels > 1;
    uint64_t support = 0;
    *out = NULL;
    *count = 0;
    *intent = false;
    if (!run->params.calibrate) return RP_OK;
    scored *rows = rp_new_array(scored, run->calibration.rows);
    rp_threshold *list = rp_new_array(rp_threshold, labels + 1ull);
    rp_status status =
        rows && list ? RP_OK
                     : rp_fail_memory(err, "the scores of the rows", run->calibration.rows * sizeof *rows);
    for (uint32_t k = first; !status && k <= labels; k++) {
        calibrate_label(run, k, rows, &list[k - first]);
        if (k < labels) support += list[k - first].support;
    }
    if (!status && !support)
        status = rp_fail(err, RP_ERROR_FORMAT,
                         "%s: no row has one of the labels that get a threshold; add rows that have them",
                         rp_path_shown(run->path));
    if (!status) {
        *count = labels - first;
        *intent = list[*count].support > 0;
        status = write_file(run, list, *count, *intent, err);
    }
    free(rows);
    if (status) {
        free(list);
        *count = 0;
        *intent = false;
        return status;
    }
    *out = list;
    return RP_OK;
}
