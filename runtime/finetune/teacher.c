/* The teacher: a model of its own kind, with its own tokenizer, whose logits the rows are taught by. */
#include <math.h>

#include "finetune/finetune.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

enum {
    KEPT_BYTES = 64 << 20
}; /* most for the outputs of all rows; where they take more, each pass computes
      them again */

/* ---- opening ---- */

static rp_status check_teacher(const char *dir, const rp_model *teacher, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(teacher);
    if (!rp_model_get_tokenizer(teacher))
        return rp_fail(err, RP_ERROR_FILE, "%s: the teacher has no tokenizer; add its tokenizer.json",
                       rp_path_shown(dir));
    if (!(info->heads & RP_HEAD_CLASSIFIER) || info->problem != RP_PROBLEM_SINGLE_LABEL ||
        info->label_count < 2)
        return rp_fail(err, RP_ERROR_HEAD,
                       "%s: the teacher is no classifier with one label for a text (%s); name another folder",
                       rp_path_shown(dir), info->architecture);
    return RP_OK;
}

rp_status rp_finetune_teacher_open(rp_finetune_run *run, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    const rp_model_params params = {.call = p->call};
    if (!p->teacher) return RP_OK;
    if (p->task != RP_EVAL_CLASSIFY)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "teacher: a teacher can teach the task classify alone; leave it out (--teacher)");
    rp_status status = rp_model_open(run->device, p->teacher, &params, &run->teacher.model, err);
    if (!status) status = check_teacher(p->teacher, run->teacher.model, err);
    if (!status) run->teacher.width = rp_model_get_info(run->teacher.model)->label_count;
    return status;
}

/* Which output of the teacher each label of the model is, by name. */
static rp_status match(rp_finetune_run *run, uint32_t *columns, rp_error *err) {
    const rp_model_info *model = rp_model_get_info(run->model),
                        *teacher = rp_model_get_info(run->teacher.model);
    const rp_labels none = {0};
    rp_label_map map;
    const char *shown = rp_path_shown(run->params.teacher);
    rp_status status =
        rp_label_map_make(&map, &none, teacher->labels, teacher->label_count, "the teacher", err);
    for (uint32_t i = 0; !status && i < model->label_count; i++) {
        const char *name = model->labels[i];
        columns[i] = rp_label_map_find(&map, (rp_text){name, strlen(name)});
        if (columns[i] == UINT32_MAX)
            status = rp_fail(err, RP_ERROR_FORMAT,
                             "%s: the teacher has no label '%.*s', which the model has; its labels must be "
                             "those of the model, in any order",
                             shown, rp_text_fit(name, 60), name);
    }
    if (!status && teacher->label_count != model->label_count)
        status =
            rp_fail(err, RP_ERROR_FORMAT,
                    "%s: the teacher has %u labels and the model %u; they must be the same, in any order",
                    shown, (unsigned)teacher->label_count, (unsigned)model->label_count);
    rp_label_map_finish(&map);
    return status;
}

rp_status rp_finetune_teacher_init(rp_finetune_run *run, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    uint64_t size = run->params.batch_size < run->rows ? run->params.batch_size : run->rows;
    uint64_t width = rp_model_get_info(run->model)->label_count;
    if (!t->model) return RP_OK;
    t->columns = rp_new_array(uint32_t, width);
    t->numbers = rp_new_array(uint64_t, size);
    t->targets = rp_new_array(float, size *width);
    if (run->rows <= KEPT_BYTES / 4 / width) t->kept = rp_new_array(float, run->rows *width);
    for (uint64_t i = 0; t->kept && i < run->rows; i++) t->kept[i * width] = NAN;
    if (!t->columns || !t->numbers || !t->targets)
        return rp_fail_memory(err, "what a teacher says", 4 * size * width);
    return match(run, t->columns, err);
}

void rp_finetune_teacher_finish(rp_finetune_teacher *t) {
    rp_model_close(&t->model);
    rp_tokenized_finish(&t->tokenized);
    free(t->columns);
    free(t->numbers);
    free(t->targets);
    free(t->kept);
}

/* ---- a batch ---- */

static bool is_known(const rp_finetune_teacher *t, uint64_t number) {
    return t->kept && !isnan(t->kept[number * t->width]);
}

rp_status rp_finetune_teacher_read(rp_finetune_run *run, const rp_data_row *row, uint64_t number, size_t at,
                                   rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    rp_encoding encoding = {0};
    if (!t->model) return RP_OK;
    if (!at) rp_tokenized_cut(&t->tokenized, 0);
    t->numbers[at] = number;
    if (is_known(t, number)) return RP_OK;
    rp_tokenize_params params = {.max_tokens = rp_task_max_tokens(t->model)};
    if (params.max_tokens > run->params.max_tokens) params.max_tokens = run->params.max_tokens;
    rp_text pair = row->pair.size ? row->pair : (rp_text){0};
    rp_status status = pair.data ? rp_task_check_pairs(t->model, err) : RP_OK;
    if (!status) status = rp_task_tokenize(t->model, row->text, pair, &params, &encoding, err);
    return status ? status : rp_tokenized_push(&t->tokenized, at, &encoding, err);
}

/* The teacher's logits of row `at`, in the order of the model's labels. */
static rp_status take(rp_finetune_run *run, const float *logits, size_t at, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    float *target = t->targets + at * t->width;
    for (uint32_t i = 0; i < t->width; i++) target[i] = logits[t->columns[i]];
    for (uint32_t i = 0; i < t->width; i++)
        if (!isfinite(target[i]))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: the teacher's logits are not finite",
                           rp_path_shown(run->params.train),
                           (unsigned long long)rp_data_line(run->data, t->numbers[at]));
    if (t->kept) memcpy(t->kept + t->numbers[at] * t->width, target, t->width * sizeof *target);
    return RP_OK;
}

rp_status rp_finetune_teacher_run(rp_finetune_run *run, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    const rp_tokenized *all = &t->tokenized;
    if (!t->model) return RP_OK;
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES};
    size_t floats = all->count * t->width;
    float *logits = rp_new_array(float, floats + 1);
    if (!logits) return rp_fail_memory(err, "what a teacher says", 4ull * floats);
    rp_status status =
        all->count ? rp_model_run(t->model, all->sequences, all->count, &params, logits, floats, NULL, err)
                   : RP_OK;
    for (size_t i = 0; !status && i < all->count; i++)
        status = take(run, logits + i * t->width, all->entries[i], err);
    free(logits);
    for (size_t at = 0; !status && t->kept && at < run->batch.tokenized.count; at++)
        memcpy(t->targets + at * t->width, t->kept + t->numbers[at] * t->width,
               t->width * sizeof *t->targets);
    return status;
}
