/* What decides what a model learns: for its model card, and for a training that goes on. An option that
 * changes a bit of the model stands here. */
#include <stdio.h>

#include "loader/json.h"
#include "pretrain/pretrain.h"

static rp_status put_files(rp_json_writer *w, const char *key, const char *const *paths, size_t count,
                           rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, count > 1 ? "%s_%zu" : "%s", key, i + 1);
        status = rp_loop_recipe_file(w, name, paths[i], err);
    }
    return status;
}

static const char *const frozen[] = {NULL, "embeddings", "encoder"};

static void put_numbers(rp_json_writer *w, const rp_pretrain_run *run) {
    static const char *const schedules[] = {"", "linear", "constant", "polynomial"};
    const rp_pretrain_params *p = &run->params;
    rp_json_write_integer(w, "instances_of_epoch", (int64_t)run->source.count);
    rp_json_write_integer(w, "steps", (int64_t)run->steps);
    rp_json_write_integer(w, "batch_size", p->batch_size);
    rp_json_write_integer(w, "max_length", p->max_tokens);
    if (p->corpus_count) {
        rp_json_write_integer(w, "max_predictions", p->max_predictions ? p->max_predictions : 20);
        rp_json_write_integer(w, "ngram", p->ngram ? p->ngram : 3);
        rp_json_write_real(w, "masked_share", p->masked_share > 0 ? p->masked_share : 0.15);
        rp_json_write_real(w, "short_share", p->short_share == 0 ? 0.1 : p->short_share);
    }
    rp_json_write_string(w, "optimizer", p->optimizer == RP_OPTIMIZER_LAMB ? "lamb" : "adamw");
    rp_json_write_real(w, "lr", p->learning_rate);
    rp_json_write_real(w, "warmup", p->warmup);
    rp_json_write_string(w, "schedule", schedules[p->schedule]);
    rp_json_write_real(w, "weight_decay", p->weight_decay);
    rp_json_write_real(w, "max_grad_norm", p->max_grad_norm == 0 ? 1 : p->max_grad_norm);
    if (p->precision == RP_PRECISION_F16) rp_json_write_string(w, "precision", "f16");
    rp_json_write_integer(w, "seed", (int64_t)p->seed);
    rp_json_write_bool(w, "shuffle", !p->no_shuffle);
    rp_json_write_bool(w, "skip_bad", p->skip_bad);
    rp_json_write_real(w, "hidden_dropout", run->config.hidden_dropout);
    rp_json_write_real(w, "attention_dropout", run->config.attention_dropout);
    rp_json_write_real(w, "classifier_dropout", run->config.classifier_dropout);
}

/* The vocabulary, which decides what the instances of a corpus are. */
static rp_status put_tokenizer(rp_json_writer *w, const rp_pretrain_run *run, rp_error *err) {
    static const char *const names[] = {"tokenizer.json", "spiece.model", "vocab.txt"};
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        char *path = rp_path_join(run->dir, names[i]);
        if (!path) return rp_fail_memory(err, "a path", strlen(run->dir));
        bool found = rp_path_exists(path);
        rp_status status = found ? rp_loop_recipe_file(w, "tokenizer", path, err) : RP_OK;
        free(path);
        if (found) return status;
    }
    return RP_OK;
}

rp_status rp_pretrain_recipe(const rp_pretrain_run *run, char **out, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    rp_json_writer w = {.answer = true};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_string(&w, "task", "pretrain");
    rp_status status =
        rp_loop_recipe_model(&w, p->init ? "init" : "config", p->init ? p->init : p->config, run->dir, err);
    if (!status) status = put_tokenizer(&w, run, err);
    if (!status) status = put_files(&w, "corpus", p->corpus, p->corpus_count, err);
    if (!status) status = put_files(&w, "instances", p->instances, p->instance_count, err);
    if (!status && p->dev) status = rp_loop_recipe_file(&w, "dev", p->dev, err);
    if (status) {
        rp_json_writer_drop(&w);
        return status;
    }
    put_numbers(&w, run);
    if (p->freeze) rp_json_write_string(&w, "freeze", frozen[p->freeze]);
    if (p->dev) rp_json_write_integer(&w, "eval_every", (int64_t)p->eval_every);
    if (p->dev) rp_json_write_string(&w, "metric", p->metric ? p->metric : "loss");
    rp_json_write_close(&w, '}');
    size_t size = 0;
    *out = rp_json_writer_finish(&w, &size);
    return *out ? RP_OK : rp_fail_memory(err, "a recipe", size);
}
