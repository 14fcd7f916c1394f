/* Steps, evaluations and checkpoints, in their order. */
#include "loop/loop.h"

#include <math.h>
#include <stdio.h>

#include "loader/json.h"
#include "loader/sealed.h"

/* In a world one process evaluates and writes. */
static bool is_first(const rp_loop *loop) {
    return !rp_world_rank(loop->params.world);
}

static rp_status open_files(rp_loop *loop, const char *out, rp_error *err) {
    rp_status status = rp_loop_output_open(loop, out, err);
    if (status || loop->finished) return status;
    status = rp_loop_log_open(loop, err);
    return status ? status : rp_loop_plot_open(loop, err);
}

rp_status rp_loop_open(rp_loop *loop, const rp_loop_params *params, const char *out, rp_error *err) {
    loop->params = *params;
    if (!loop->params.save_every) loop->params.save_every = 500;
    if (loop->params.save_every == UINT64_MAX) loop->params.save_every = 0;
    if (loop->params.metric && !strncmp(loop->params.metric, "eval_", 5)) loop->params.metric += 5;
    rp_status status = is_first(loop) ? open_files(loop, out, err) : RP_OK;
    return rp_loop_output_share(loop, out, status, err);
}

void rp_loop_close(rp_loop *loop) {
    rp_loop_output_close(loop);
    rp_loop_log_close(loop);
    rp_loop_history_finish(&loop->history);
    rp_json_finish(&loop->from);
    free(loop->resume);
    rp_json_finish(&loop->recipe);
    *loop = (rp_loop){0};
}

/* ---- the recipe ---- */

rp_status rp_loop_recipe_file(rp_json_writer *w, const char *key, const char *path, rp_error *err) {
    const char *slash = strrchr(path, '/');
    char hash[65];
    uint64_t size = 0;
    rp_status status = rp_hash_file(path, hash, &size, err);
    if (status) return status;
    rp_json_write_open(w, key, '{');
    rp_json_write_string(w, "file", slash ? slash + 1 : path);
    rp_json_write_integer(w, "bytes", (int64_t)size);
    rp_json_write_string(w, "sha256", hash);
    rp_json_write_close(w, '}');
    return RP_OK;
}

rp_status rp_loop_recipe_model(rp_json_writer *w, const char *key, const char *name, const char *dir,
                               rp_error *err) {
    static const char *const files[] = {"model.safetensors", "pytorch_model.bin",
                                        "model.safetensors.index.json", "pytorch_model.bin.index.json",
                                        "model.ckpt.index"};
    const char *slash = strrchr(name, '/');
    char which[80];
    rp_status status = RP_OK;
    bool found = false;
    rp_json_write_string(w, key, slash && slash[1] ? slash + 1 : name);
    for (size_t i = 0; !status && !found && i < RP_COUNT(files); i++) {
        char *path = rp_path_join(dir, files[i]);
        if (!path) return rp_fail_memory(err, "a path", strlen(dir));
        found = rp_path_exists(path);
        snprintf(which, sizeof which, "%.60s_weights", key);
        if (found) status = rp_loop_recipe_file(w, which, path, err);
        free(path);
    }
    return status;
}

/* A value as text, freed by the caller; "nothing" for NULL. NULL: out of memory. */
static char *text_of(const rp_json *value) {
    rp_json_writer w = {.compact = true};
    size_t size = 0;
    if (!value) return strdup("nothing\n");
    rp_json_write_value(&w, NULL, value);
    return rp_json_writer_finish(&w, &size);
}

static rp_status compare_member(const rp_loop *loop, const char *key, const rp_json *was, const rp_json *is,
                                rp_error *err) {
    char *old = text_of(was), *new = text_of(is);
    rp_status status = RP_OK;
    if (!old || !new)
        status = rp_fail_memory(err, "a recipe", 0);
    else if (strcmp(old, new))
        status = rp_fail(
            err, RP_ERROR_ARGUMENT,
            "%s: %s: the training that is to go on had %.*s, and this one has %.*s; ask for the same, "
            "or name another folder",
            rp_path_shown(loop->out), key, rp_text_fit(old, 80) - (strlen(old) <= 80), old,
            rp_text_fit(new, 80) - (strlen(new) <= 80), new);
    free(old);
    free(new);
    return status;
}

static rp_status compare(const rp_loop *loop, const rp_json *was, const rp_json *is, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < rp_json_count(is, RP_JSON_OBJECT); i++) {
        const char *key = is->members[i].key;
        status = compare_member(loop, key, rp_json_get(was, key), &is->members[i].value, err);
    }
    for (uint32_t i = 0; !status && i < rp_json_count(was, RP_JSON_OBJECT); i++) {
        const char *key = was->members[i].key;
        if (!rp_json_get(is, key)) status = compare_member(loop, key, &was->members[i].value, NULL, err);
    }
    return status;
}

rp_status rp_loop_set_recipe(rp_loop *loop, char *recipe, rp_error *err) {
    if (!recipe) return rp_fail_memory(err, "a recipe", 0);
    rp_status status = rp_json_parse(recipe, strlen(recipe), "the recipe", &loop->recipe, err);
    free(recipe);
    if (status || !is_first(loop) || (!loop->resume && !loop->finished)) return status;
    return compare(loop, rp_json_get(&loop->from.root, "recipe"), &loop->recipe.root, err);
}

/* ---- evaluations ---- */

static rp_status check_metric(const rp_loop *loop, rp_error *err) {
    char all[200] = "";
    const char *name = rp_loop_metric(loop);
    if (!loop->task.metrics || !loop->task.evaluate) return RP_OK;
    for (size_t i = 0; loop->task.metrics[i]; i++) {
        size_t used = strlen(all);
        if (!strcmp(loop->task.metrics[i], name)) return RP_OK;
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", loop->task.metrics[i]);
    }
    return rp_fail(err, RP_ERROR_ARGUMENT, "%s: metric: there is no '%.*s'; the task has %s",
                   loop->params.function, rp_text_fit(name, 40), name, all);
}

/* The value that evaluations are compared by, such that more is better. */
static rp_status judge(const rp_loop *loop, double *value, double *out, rp_error *err) {
    const char *name = rp_loop_metric(loop);
    for (size_t i = 0; i < loop->metrics.count; i++) {
        const rp_metric *m = &loop->metrics.items[i];
        if (strcmp(m->name, name)) continue;
        *value = m->value;
        *out = isnan(m->value) ? -INFINITY : rp_loop_lower_is_better(name) ? -m->value : m->value;
        return RP_OK;
    }
    return rp_fail(err, RP_ERROR_ARGUMENT, "%s: metric: an evaluation has no '%.*s'", loop->params.function,
                   rp_text_fit(name, 40), name);
}

static rp_status evaluate(rp_loop *loop, rp_error *err) {
    const rp_training_handler *handler = loop->params.handler;
    double value = -INFINITY;
    loop->metrics.count = 0;
    rp_status status = loop->task.evaluate(loop->task.user, &loop->metrics, err);
    if (!status) status = judge(loop, &loop->last.dev, &value, err);
    if (status) return status;
    bool best = !loop->saved || value > loop->best;
    loop->last.dev_metric = rp_loop_metric(loop);
    if (best) status = rp_loop_output_save(loop, err);
    if (best) {
        loop->best = value;
        loop->best_step = loop->last.step;
    }
    if (!status) status = rp_loop_history_evaluation(loop, err);
    if (!status) status = rp_loop_log_evaluation(loop, err);
    if (!status && handler && handler->evaluated)
        handler->evaluated(handler->user, &loop->last, loop->metrics.items, loop->metrics.count, best);
    return status;
}

/* ---- steps ---- */

static rp_status step(rp_loop *loop, uint64_t number, rp_error *err) {
    const rp_training_handler *handler = loop->params.handler;
    rp_train_batch batch = {0};
    rp_train_result result = {0};
    double epoch = 0;
    rp_status status = loop->task.fill(loop->task.user, number, &batch, &epoch, err);
    batch.call = rp_visit_current()->call; // of the training, whose end ends the step
    if (!status) status = rp_trainer_step(loop->trainer, &batch, &result, err);
    if (status) return status;
    loop->more.count = 0;
    if (loop->task.describe) loop->task.describe(loop->task.user, &result, &loop->more);
    if (result.loss_scale > 0) {
        rp_loop_add_metric(&loop->more, "scale", result.loss_scale);
        rp_loop_add_metric(&loop->more, "skipped", result.skipped);
    }
    loop->last = (rp_training_step){.step = number + 1,
                                    .steps = loop->params.steps,
                                    .epoch = epoch,
                                    .loss = result.loss,
                                    .grad_norm = result.grad_norm,
                                    .learning_rate = result.learning_rate,
                                    .seconds = result.seconds,
                                    .sequences = result.sequences,
                                    .tokens = result.tokens,
                                    .metrics = loop->more.items,
                                    .metric_count = loop->more.count,
                                    .trainer = rp_trainer_get_info(loop->trainer),
                                    .dev = loop->last.dev,
                                    .dev_metric = loop->last.dev_metric};
    status = rp_loop_history_step(loop, err);
    if (!status) status = rp_loop_log_step(loop, err);
    if (!status && handler && handler->step) handler->step(handler->user, &loop->last);
    return status;
}

/* After `done` steps. */
static bool is_due(const rp_loop *loop, uint64_t done) {
    uint64_t every = loop->params.eval_every ? loop->params.eval_every : loop->task.steps_of_epoch;
    return loop->task.evaluate && (done == loop->params.steps || (every && done % every == 0));
}

static rp_status save(rp_loop *loop, rp_error *err) {
    uint64_t every = loop->params.save_every;
    if (!every || loop->last.step % every || loop->last.step == loop->params.steps) return RP_OK;
    rp_status status = rp_loop_log_sync(loop, err);
    if (!status) status = rp_loop_checkpoint(loop, err);
    return status ? status : rp_loop_plot(loop, err);
}

static rp_status begin(rp_loop *loop, uint64_t *done, rp_error *err) {
    rp_status status = check_metric(loop, err);
    if (status) return status;
    rp_loop_history_begin(&loop->history, loop->params.steps);
    loop->best = -INFINITY;
    *done = loop->resume_step;
    if (!loop->resume || !is_first(loop)) return RP_OK;
    status = rp_loop_restore(loop, done, err);
    return status ? status : rp_loop_log_cut(loop, *done, err);
}

static rp_status end(rp_loop *loop, rp_error *err) {
    rp_status status = loop->task.evaluate ? RP_OK : rp_loop_output_save(loop, err);
    if (!status) status = rp_loop_log_sync(loop, err);
    if (!status) status = rp_loop_plot(loop, err);
    if (!status) status = rp_call_check(err);
    return status ? status : rp_loop_output_commit(loop, err);
}

rp_status rp_loop_run(rp_loop *loop, rp_trainer *trainer, const rp_loop_task *task, rp_error *err) {
    uint64_t steps = loop->params.steps, done = 0;
    loop->trainer = trainer;
    loop->task = *task;
    rp_status status = begin(loop, &done, err);
    while (!status && done < steps) {
        status = step(loop, done++, err);
        if (!status && done < steps) rp_call_progress((size_t)done);
        if (!status) status = rp_call_check(err);
        if (!status && is_first(loop) && is_due(loop, done)) status = evaluate(loop, err);
        if (!status && is_first(loop)) status = save(loop, err);
    }
    if (!status && is_first(loop)) status = end(loop, err);
    if (!status) rp_call_progress((size_t)steps);
    return status;
}
