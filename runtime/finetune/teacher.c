/* The teacher: a model of its own kind, with its own tokenizer, whose logits or vectors the rows are taught
 * by. */
#include <math.h>

#include "finetune/finetune.h"
#include "loader/json.h"
#include "loader/tokenizer.h"

enum {
    KEPT_BYTES = 64 << 20
}; /* most for the outputs of all rows; where they take more, each pass computes
      them again */

/* ---- opening ---- */

/* A classifier has an output for each label; a model of vectors has as many numbers as this one. */
static rp_status check_classifier(const char *dir, const rp_model *teacher, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(teacher);
    if (!(info->heads & RP_HEAD_CLASSIFIER) || info->problem != RP_PROBLEM_SINGLE_LABEL ||
        info->label_count < 2)
        return rp_fail(err, RP_ERROR_HEAD,
                       "%s: the teacher is no classifier with one label for a text (%s); name another folder",
                       rp_path_shown(dir), info->architecture);
    return RP_OK;
}

static rp_status check_vectors(const char *dir, rp_model *teacher, uint32_t width, rp_error *err) {
    const rp_text text = RP_TEXT("a");
    rp_result *result = NULL;
    size_t rows, columns = 0;
    rp_status status = rp_embed(teacher, &text, 1, NULL, &result, err);
    if (!status && rp_result_vectors(result, 0, &rows, &columns) && columns != width)
        status =
            rp_fail(err, RP_ERROR_UNSUPPORTED,
                    "%s: the teacher's vectors have %zu numbers and the model's %u; take a teacher whose "
                    "vectors have as many",
                    rp_path_shown(dir), columns, width);
    rp_result_free(&result);
    return status;
}

rp_status rp_finetune_teacher_open(rp_finetune_run *run, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    const rp_model_params params = {.call = p->call};
    if (!p->teacher) return RP_OK;
    bool embeds = p->task == RP_EVAL_EMBED;
    if (p->task != RP_EVAL_CLASSIFY && !embeds)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "teacher: a teacher can teach the tasks classify and embed alone; leave it out (--teacher)");
    rp_finetune_teacher *t = &run->teacher;
    rp_status status = rp_model_open(run->device, p->teacher, &params, &t->model, err);
    if (status) return status;
    if (!rp_model_get_tokenizer(t->model))
        return rp_fail(err, RP_ERROR_FILE, "%s: the teacher has no tokenizer; add its tokenizer.json",
                       rp_path_shown(p->teacher));
    t->texts = embeds ? 2 : 1;
    t->width = embeds ? run->config.hidden_size : rp_model_get_info(t->model)->label_count;
    return embeds ? check_vectors(p->teacher, t->model, t->width, err)
                  : check_classifier(p->teacher, t->model, err);
}

/* Which output of the teacher each label of the model is, by name. */
static rp_status match(rp_finetune_run *run, uint32_t *columns, rp_error *err) {
    const rp_model_info *model = rp_model_get_info(run->model),
                        *teacher = rp_model_get_info(run->teacher.model);
    const rp_labels none = {0};
    rp_label_map map;
    const char *shown = rp_path_shown(run->params.teacher);
    rp_status status = rp_label_map_make(&map, &none, teacher->labels, teacher->label_count, NULL, err);
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
    uint64_t rows = rp_data_count(run->data), floats = (uint64_t)t->texts * t->width;
    uint64_t size = run->params.batch_size < rows ? run->params.batch_size : rows;
    if (!t->model) return RP_OK;
    t->columns = rp_new_array(uint32_t, t->width);
    t->numbers = rp_new_array(uint64_t, size);
    t->waiting = rp_new_array(size_t, size);
    t->views = rp_new_array(rp_text, size * t->texts);
    t->targets = rp_new_array(float, size *floats);
    if (rows <= KEPT_BYTES / 4 / floats) t->kept = rp_new_array(float, rows *floats);
    for (uint64_t i = 0; t->kept && i < rows; i++) t->kept[i * floats] = NAN;
    if (!t->columns || !t->numbers || !t->waiting || !t->views || !t->targets)
        return rp_fail_memory(err, "what a teacher says", 4 * size * floats);
    return t->texts == 1 ? match(run, t->columns, err) : RP_OK;
}

void rp_finetune_teacher_finish(rp_finetune_teacher *t) {
    rp_model_close(&t->model);
    rp_tokenized_finish(&t->tokenized);
    rp_arena_finish(&t->arena);
    free(t->columns);
    free(t->numbers);
    free(t->waiting);
    free(t->views);
    free(t->targets);
    free(t->kept);
}

/* ---- a batch ---- */

static float *kept_at(const rp_finetune_teacher *t, uint64_t number) {
    return t->kept + number * t->texts * t->width;
}

static float *target_at(const rp_finetune_teacher *t, size_t at) {
    return t->targets + at * t->texts * t->width;
}

/* A text as a classifier reads it. */
static rp_status add_text(rp_finetune_run *run, const rp_data_row *row, size_t at, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    rp_encoding encoding = {0};
    rp_tokenize_params params = {.max_tokens = rp_task_max_tokens(t->model)};
    if (params.max_tokens > run->params.max_tokens) params.max_tokens = run->params.max_tokens;
    rp_text pair = row->pair.size ? row->pair : (rp_text){0};
    rp_status status = pair.data ? rp_task_check_pairs(t->model, err) : RP_OK;
    if (!status) status = rp_task_tokenize(t->model, row->text, pair, &params, &encoding, err);
    return status ? status : rp_tokenized_push(&t->tokenized, at, &encoding, err);
}

/* Both texts of a pair; where there is one alone, that twice. */
static rp_status add_pair(rp_finetune_teacher *t, const rp_data_row *row, rp_error *err) {
    const rp_text texts[2] = {row->text, row->pair.data ? row->pair : row->text};
    for (size_t i = 0; i < 2; i++) {
        char *copy = rp_arena_copy(&t->arena, texts[i].data, texts[i].size);
        if (!copy) return rp_fail_memory(err, "the texts for a teacher", texts[i].size);
        t->views[2 * t->waiting_count + i] = (rp_text){copy, texts[i].size};
    }
    return RP_OK;
}

rp_status rp_finetune_teacher_read(rp_finetune_run *run, const rp_data_row *row, uint64_t number, size_t at,
                                   rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    if (!t->model) return RP_OK;
    if (!at) {
        rp_tokenized_cut(&t->tokenized, 0);
        rp_arena_finish(&t->arena);
        t->waiting_count = 0;
    }
    t->numbers[at] = number;
    if (t->kept && !isnan(*kept_at(t, number))) return RP_OK;
    rp_status status = t->texts == 1 ? add_text(run, row, at, err) : add_pair(t, row, err);
    if (!status) t->waiting[t->waiting_count++] = at;
    return status;
}

static rp_status blame(const rp_finetune_run *run, size_t at, const char *why, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: the teacher: %s", rp_path_shown(run->params.train),
                   (unsigned long long)rp_data_line(run->data, run->teacher.numbers[at]), why);
}

/* What the teacher says of row `at` is in its place. */
static rp_status take(rp_finetune_run *run, size_t at, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    size_t floats = (size_t)t->texts * t->width;
    for (size_t i = 0; i < floats; i++)
        if (!isfinite(target_at(t, at)[i])) return blame(run, at, "its outputs are not finite", err);
    if (t->kept) memcpy(kept_at(t, t->numbers[at]), target_at(t, at), floats * sizeof(float));
    return RP_OK;
}

/* Logits, in the order of the model's labels. */
static rp_status classify(rp_finetune_run *run, rp_error *err) {
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES};
    rp_finetune_teacher *t = &run->teacher;
    const rp_tokenized *all = &t->tokenized;
    size_t floats = all->count * t->width;
    float *logits = rp_new_array(float, floats);
    if (!logits) return rp_fail_memory(err, "what a teacher says", 4ull * floats);
    rp_status status = rp_model_run(t->model, all->sequences, all->count, &params, logits, floats, NULL, err);
    for (size_t i = 0; !status && i < all->count; i++)
        for (uint32_t k = 0; k < t->width; k++)
            target_at(t, all->entries[i])[k] = logits[i * t->width + t->columns[k]];
    free(logits);
    return status;
}

static rp_status embed(rp_finetune_run *run, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    rp_result *result = NULL;
    rp_status status = rp_embed(t->model, t->views, 2 * t->waiting_count, NULL, &result, err);
    for (size_t i = 0; !status && i < 2 * t->waiting_count; i++) {
        const char *why;
        size_t rows, columns, at = t->waiting[i / 2];
        const float *vector = rp_result_vectors(result, i, &rows, &columns);
        if (rp_result_status(result, i, &why)) status = blame(run, at, why, err);
        if (vector && !status) memcpy(target_at(t, at) + i % 2 * t->width, vector, t->width * sizeof *vector);
    }
    rp_result_free(&result);
    return status;
}

rp_status rp_finetune_teacher_run(rp_finetune_run *run, size_t count, rp_error *err) {
    rp_finetune_teacher *t = &run->teacher;
    rp_status status = RP_OK;
    if (!t->model) return RP_OK;
    if (t->waiting_count) status = t->texts == 1 ? classify(run, err) : embed(run, err);
    for (size_t i = 0; !status && i < t->waiting_count; i++) status = take(run, t->waiting[i], err);
    t->waiting_count = 0; /* the next batch may have no rows */
    for (size_t at = 0; !status && t->kept && at < count; at++)
        memcpy(target_at(t, at), kept_at(t, t->numbers[at]), (size_t)t->texts * t->width * sizeof(float));
    return status;
}
