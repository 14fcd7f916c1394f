/* What decides what a model learns: for its model card, and for a training that goes on. An option that
 * changes a bit of the model stands here. */
#include "finetune/finetune.h"

static const char *const tasks[] = {
    [RP_EVAL_CLASSIFY] = "classify", [RP_EVAL_MULTILABEL] = "multilabel", [RP_EVAL_REGRESS] = "regress",
    [RP_EVAL_TAG] = "tag",           [RP_EVAL_ANSWER] = "answer",         [RP_EVAL_CHOOSE] = "choose",
    [RP_EVAL_EMBED] = "embed"};
static const char *const schedules[] = {"linear", "linear", "constant", "polynomial"}; /* of 0, too */
static const char *const frozen[] = {NULL, "embeddings", "encoder"};

static const char *name_in(const char *const *names, size_t count, unsigned number) {
    return number < count && names[number] ? names[number] : "other";
}

static void put_text(rp_json_writer *w, const char *key, const char *text) {
    if (text) rp_json_write_string(w, key, text);
}

static void put_numbers(rp_json_writer *w, const rp_finetune_run *run) {
    const rp_finetune_params *p = &run->params;
    rp_json_write_integer(w, "steps", (int64_t)run->steps);
    rp_json_write_integer(w, "steps_of_epoch", (int64_t)run->steps_of_epoch);
    rp_json_write_integer(w, "batch_size", p->batch_size);
    rp_json_write_integer(w, "max_length", p->max_tokens);
    if (p->stride) rp_json_write_integer(w, "stride", p->stride);
    bool lamb = p->optimizer == RP_OPTIMIZER_LAMB;
    rp_json_write_string(w, "optimizer", lamb ? "lamb" : "adamw");
    rp_json_write_real(w, "lr", p->learning_rate > 0 ? p->learning_rate : lamb ? 0.00176 : 5e-5);
    rp_json_write_real(w, "warmup", p->warmup);
    rp_json_write_string(w, "schedule", name_in(schedules, RP_COUNT(schedules), p->schedule));
    rp_json_write_real(w, "weight_decay", p->weight_decay);
    rp_json_write_real(w, "max_grad_norm", p->max_grad_norm == 0 ? 1 : p->max_grad_norm);
    rp_json_write_real(w, "label_smoothing", p->label_smoothing);
    if (p->precision == RP_PRECISION_F16) rp_json_write_string(w, "precision", "f16");
    rp_json_write_integer(w, "seed", (int64_t)p->seed);
    rp_json_write_bool(w, "shuffle", !p->no_shuffle);
    rp_json_write_bool(w, "skip_bad", p->skip_bad);
    rp_json_write_integer(w, "eval_every", (int64_t)p->eval_every);
    rp_json_write_real(w, "hidden_dropout", run->config.hidden_dropout);
    rp_json_write_real(w, "attention_dropout", run->config.attention_dropout);
    rp_json_write_real(w, "classifier_dropout", run->config.classifier_dropout);
}

rp_status rp_finetune_recipe(const rp_finetune_run *run, char **out, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    rp_json_writer w = {.answer = true};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_string(&w, "task", name_in(tasks, RP_COUNT(tasks), p->task));
    rp_status status = rp_loop_recipe_model(&w, "model", p->model, run->dir, err);
    if (!status && p->teacher)
        status =
            rp_loop_recipe_model(&w, "teacher", p->teacher, rp_model_get_info(run->teacher.model)->dir, err);
    if (p->teacher) rp_json_write_real(&w, "label_weight", p->label_weight);
    if (!status) status = rp_loop_recipe_file(&w, "train", p->train, err);
    if (!status && p->dev) status = rp_loop_recipe_file(&w, "dev", p->dev, err);
    if (status) {
        rp_json_writer_drop(&w);
        return status;
    }
    put_numbers(&w, run);
    put_text(&w, "freeze", frozen[p->freeze]);
    if (p->early_exit) rp_json_write_bool(&w, "early_exit", true);
    if (p->labels) rp_json_write_open(&w, "labels", '[');
    for (size_t i = 0; i < run->named.count; i++) rp_json_write_string(&w, NULL, run->named.names[i]);
    if (p->labels) rp_json_write_close(&w, ']');
    put_text(&w, "format", p->format);
    put_text(&w, "text_column", p->text_column);
    put_text(&w, "pair_column", p->pair_column);
    put_text(&w, "label_column", p->label_column);
    if (p->dev) put_text(&w, "metric", p->metric);
    rp_json_write_close(&w, '}');
    size_t size = 0;
    *out = rp_json_writer_finish(&w, &size);
    return *out ? RP_OK : rp_fail_memory(err, "a recipe", size);
}
