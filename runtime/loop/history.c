/* What the training was until now: trainer_state.json, as Hugging Face's Trainer has it. */
#include <math.h>
#include <stdio.h>

#include "loader/sealed.h"
#include "loop/loop.h"

enum { MOST_STEPS = 10000 }; /* that have an entry each */

static const char file_name[] = "trainer_state.json";

bool rp_loop_lower_is_better(const char *metric) {
    size_t size = strlen(metric);
    return !strcmp(metric, "mse") || !strcmp(metric, "perplexity") ||
           (size >= 4 && !strcmp(metric + size - 4, "loss"));
}

const char *rp_loop_metric(const rp_loop *loop) {
    return loop->params.metric ? loop->params.metric : loop->task.metric ? loop->task.metric : "loss";
}

void rp_loop_history_begin(rp_loop_history *h, uint64_t steps) {
    h->every = steps > MOST_STEPS ? rp_div_up(steps, MOST_STEPS) : 1;
}

void rp_loop_history_finish(rp_loop_history *h) {
    free(h->entries);
    free(h->loss.items);
    free(h->rate.items);
    free(h->dev.items);
    *h = (rp_loop_history){0};
}

/* ---- entries ---- */

static rp_status add_text(rp_loop_history *h, rp_json_writer *w, rp_error *err) {
    size_t size = 0;
    char *text = rp_json_writer_finish(w, &size);
    if (!text || !rp_grow((void **)&h->entries, &h->capacity, h->size + size + 8, 1)) {
        free(text);
        return rp_fail_memory(err, "the history of a training", h->size + size);
    }
    if (h->size) memcpy(h->entries + h->size, ",\n    ", 6);
    if (h->size) h->size += 6;
    memcpy(h->entries + h->size, text, --size); /* without its line end */
    h->size += size;
    free(text);
    return RP_OK;
}

static rp_status add_point(rp_loop_points *points, uint64_t step, double value, rp_error *err) {
    if (!rp_grow((void **)&points->items, &points->capacity, points->count + 1, sizeof *points->items))
        return rp_fail_memory(err, "the history of a training", sizeof *points->items);
    points->items[points->count++] = (rp_loop_point){step, value};
    return RP_OK;
}

static void put_number(rp_json_writer *w, const char *before, const char *name, double value) {
    char key[80];
    snprintf(key, sizeof key, "%s%.60s", before, name);
    if (isfinite(value))
        rp_json_write_real(w, key, value);
    else
        rp_json_write_null(w, key);
}

rp_status rp_loop_history_step(rp_loop *loop, rp_error *err) {
    rp_loop_history *h = &loop->history;
    const rp_training_step *s = &loop->last;
    rp_json_writer w = {.compact = true};
    uint64_t before = (s->step - 1) % h->every;
    if (isfinite(s->loss))
        h->loss_sum += s->loss;
    else if (before) /* a step in f16 that was skipped: as in Hugging Face's log, like those before it */
        h->loss_sum += h->loss_sum / (double)before;
    if (s->step % h->every && s->step != s->steps) return RP_OK;
    uint64_t steps = s->step % h->every ? s->step % h->every : h->every;
    double loss = h->loss_sum / (double)steps;
    h->loss_sum = 0;
    rp_json_write_open(&w, NULL, '{');
    put_number(&w, "", "epoch", s->epoch);
    put_number(&w, "", "grad_norm", s->grad_norm);
    put_number(&w, "", "learning_rate", s->learning_rate);
    put_number(&w, "", "loss", loss);
    for (size_t i = 0; i < s->metric_count; i++) put_number(&w, "", s->metrics[i].name, s->metrics[i].value);
    rp_json_write_integer(&w, "step", (int64_t)s->step);
    rp_json_write_close(&w, '}');
    rp_status status = add_text(h, &w, err);
    if (!status) status = add_point(&h->loss, s->step, loss, err);
    return status ? status : add_point(&h->rate, s->step, s->learning_rate, err);
}

rp_status rp_loop_history_evaluation(rp_loop *loop, rp_error *err) {
    rp_loop_history *h = &loop->history;
    const rp_loop_metrics *m = &loop->metrics;
    rp_json_writer w = {.compact = true};
    rp_status status = RP_OK;
    rp_json_write_open(&w, NULL, '{');
    put_number(&w, "", "epoch", loop->last.epoch);
    for (size_t i = 0; i < m->count; i++) {
        put_number(&w, "eval_", m->items[i].name, m->items[i].value);
        if (!status && !strcmp(m->items[i].name, rp_loop_metric(loop)))
            status = add_point(&h->dev, loop->last.step, m->items[i].value, err);
    }
    rp_json_write_integer(&w, "step", (int64_t)loop->last.step);
    rp_json_write_close(&w, '}');
    if (!status) return add_text(h, &w, err);
    rp_json_writer_drop(&w);
    return status;
}

/* ---- the file ---- */

/* The best evaluation; and the checkpoint of that step, where there was one. */
static void write_best(rp_json_writer *w, const rp_loop *loop) {
    bool known = loop->saved && loop->task.evaluate && isfinite(loop->best);
    uint64_t every = loop->params.save_every;
    char name[40];
    snprintf(name, sizeof name, "checkpoint-%llu", (unsigned long long)loop->best_step);
    if (known)
        rp_json_write_real(w, "best_metric",
                           rp_loop_lower_is_better(rp_loop_metric(loop)) ? -loop->best : loop->best);
    else
        rp_json_write_null(w, "best_metric");
    if (known && every && loop->best_step % every == 0 && loop->best_step < loop->params.steps)
        rp_json_write_string(w, "best_model_checkpoint", name);
    else
        rp_json_write_null(w, "best_model_checkpoint");
}

/* The keys are those that transformers 4.44 reads, and no others. */
static void write_fields(rp_json_writer *w, const rp_loop *loop) {
    const rp_loop_params *p = &loop->params;
    rp_json_write_open(w, NULL, '{');
    write_best(w, loop);
    put_number(w, "", "epoch", loop->last.epoch);
    rp_json_write_integer(w, "eval_steps",
                          (int64_t)(p->eval_every ? p->eval_every : loop->task.steps_of_epoch));
    rp_json_write_integer(w, "global_step", (int64_t)loop->last.step);
    rp_json_write_bool(w, "is_hyper_param_search", false);
    rp_json_write_bool(w, "is_local_process_zero", true);
    rp_json_write_bool(w, "is_world_process_zero", true);
    rp_json_write_raw(w, "log_history", "[]");
    rp_json_write_integer(w, "logging_steps", (int64_t)loop->history.every);
    rp_json_write_integer(w, "max_steps", (int64_t)p->steps);
    rp_json_write_integer(w, "num_train_epochs", p->epochs);
    rp_json_write_integer(w, "save_steps", (int64_t)p->save_every);
    rp_json_write_real(w, "total_flos", 0);
    if (p->batch_size)
        rp_json_write_integer(w, "train_batch_size", p->batch_size);
    else
        rp_json_write_null(w, "train_batch_size");
    rp_json_write_null(w, "trial_name");
    rp_json_write_null(w, "trial_params");
    rp_json_write_close(w, '}');
}

/* The text with the entries in the place of the empty list. */
static char *fill_in(const rp_loop_history *h, const char *text, size_t *size) {
    const char *at = strstr(text, "[]");
    size_t before = (size_t)(at + 1 - text), all = *size + h->size + 16;
    char *out = malloc(all);
    if (out)
        *size = (size_t)snprintf(out, all, "%.*s%s%.*s%s%s", (int)before, text, h->size ? "\n    " : "",
                                 (int)h->size, h->size ? h->entries : "", h->size ? "\n  " : "", at + 1);
    return out;
}

rp_status rp_loop_write_state(const rp_loop *loop, const char *dir, rp_error *err) {
    rp_json_writer w = {0};
    size_t size = 0;
    write_fields(&w, loop);
    char *text = rp_json_writer_finish(&w, &size), *path = rp_path_join(dir, file_name);
    char *whole = text ? fill_in(&loop->history, text, &size) : NULL;
    rp_status status =
        whole && path ? rp_file_write(path, whole, size, err) : rp_fail_memory(err, file_name, size);
    free(whole);
    free(text);
    free(path);
    return status;
}

/* ---- reading it again ---- */

static rp_status read_entry(rp_loop *loop, const rp_json *entry, const char *key, rp_error *err) {
    rp_loop_history *h = &loop->history;
    const rp_json *step = rp_json_get(entry, "step");
    rp_json_writer w = {.compact = true};
    double value;
    if (!rp_json_is(step, RP_JSON_INTEGER) || step->integer < 0)
        return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: log_history: must be objects with a step",
                       rp_path_shown(loop->resume), file_name);
    uint64_t number = (uint64_t)step->integer;
    rp_status status = RP_OK;
    if (rp_json_number(rp_json_get(entry, "loss"), &value)) status = add_point(&h->loss, number, value, err);
    if (!status && rp_json_number(rp_json_get(entry, "learning_rate"), &value))
        status = add_point(&h->rate, number, value, err);
    if (!status && rp_json_number(rp_json_get(entry, key), &value))
        status = add_point(&h->dev, number, value, err);
    if (status) return status;
    rp_json_write_value(&w, NULL, entry);
    return add_text(h, &w, err);
}

rp_status rp_loop_read_state(rp_loop *loop, const char *dir, rp_error *err) {
    char *path = rp_path_join(dir, file_name), key[80];
    rp_json_document document = {0};
    rp_status status =
        path ? rp_json_load(path, &document, err) : rp_fail_memory(err, file_name, strlen(dir));
    const rp_json *entries = status ? NULL : rp_json_get(&document.root, "log_history");
    snprintf(key, sizeof key, "eval_%.60s", rp_loop_metric(loop));
    for (uint32_t i = 0; !status && i < rp_json_count(entries, RP_JSON_ARRAY); i++)
        status = read_entry(loop, &entries->items[i], key, err);
    if (!status) rp_json_number(rp_json_get(&document.root, "epoch"), &loop->last.epoch);
    rp_json_finish(&document);
    free(path);
    return status;
}
