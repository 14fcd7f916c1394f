/* Saving: the weights go into a Hugging Face folder, and for a checkpoint the moments beside them, and what
 * else the next step depends on. */
#include <string.h>

#include "loader/convert.h"
#include "loader/sealed.h"
#include "model/submission.h"
#include "train/state.h"

/* ---- what the device has ---- */

/* Weights and both moments, as they are after so many steps. */
typedef struct snapshot {
    rp_weights kinds[3];
    rp_arena arena;
    uint64_t step;
    rp_train_scale scale;
} snapshot;

/* The tensors of a kind, before they are read: those of weights that are not trained are the model's; moments
 * have only those that are read. */
static rp_status begin_kind(const rp_model *model, rp_train_kind kind, snapshot *out, rp_error *err) {
    uint32_t layers = model->on_device.layer_count;
    rp_weights *weights = &out->kinds[kind];
    *weights = model->weights;
    weights->layers = rp_arena_alloc(&out->arena, layers, sizeof *weights->layers);
    if (!weights->layers) return rp_fail_memory(err, "weights", layers * sizeof *weights->layers);
    memcpy(weights->layers, model->weights.layers, layers * sizeof *weights->layers);
    if (weights->exits) {
        uint32_t count = model->config.layers;
        weights->exits = rp_arena_alloc(&out->arena, count, sizeof *weights->exits);
        if (!weights->exits) return rp_fail_memory(err, "weights", count * sizeof *weights->exits);
        memcpy(weights->exits, model->weights.exits, count * sizeof *weights->exits);
    }
    return kind == RP_TRAIN_WEIGHTS ? RP_OK : rp_train_empty(&model->config, weights);
}

static rp_status read_kinds(rp_trainer *t, rp_train_kind last, snapshot *out, rp_error *err) {
    rp_status status = RP_OK;
    if (!t->built)
        return rp_fail(
            err, RP_ERROR_DEVICE_LOST,
            "%s: the device was lost, or a step of training failed on it, and what was learnt with "
            "it; go on from what was saved",
            t->model->dir);
    out->step = t->step;
    out->scale = t->scale;
    for (int kind = 0; !status && kind <= (int)last; kind++) {
        status = begin_kind(t->model, (rp_train_kind)kind, out, err);
        if (!status) status = rp_train_read(t, (rp_train_kind)kind, &out->kinds[kind], &out->arena, err);
    }
    return status;
}

/* All of it in one turn, so that no step comes between. */
static rp_status take(rp_trainer *t, rp_train_kind last, snapshot *out, rp_error *err) {
    rp_status status = rp_weights_check_unchanged(&t->model->weights, err);
    if (!status) status = rp_model_begin(t->model, err);
    if (status) return status;
    return rp_model_end(t->model, read_kinds(t, last, out, err));
}

/* Files are written outside of the turn. */
static rp_status write_files(const rp_trainer *t, rp_train_kind last, const snapshot *s, const char *out,
                             bool overwrite, rp_error *err) {
    const rp_model *model = t->model;
    const rp_convert_params params = {.overwrite = overwrite};
    const rp_more_weights more[] = {{rp_train_mean_file, &s->kinds[RP_TRAIN_MEAN]},
                                    {rp_train_variance_file, &s->kinds[RP_TRAIN_VARIANCE]}};
    return rp_convert_with(model->dir, out, &params, &model->config, &s->kinds[RP_TRAIN_WEIGHTS], more,
                           last == RP_TRAIN_WEIGHTS ? 0 : 2, err);
}

/* ---- trainer.json ---- */

static void write_kernels(rp_json_writer *w, const char *key, const rp_ops *ops) {
    rp_json_write_open(w, key, '{');
    for (size_t i = 0; i < ops->selected_count; i++)
        rp_json_write_string(w, ops->selected[i].what, ops->selected[i].kernel.name);
    rp_json_write_close(w, '}');
}

static rp_status write_state(const rp_trainer *t, const snapshot *s, const char *out, rp_error *err) {
    char weights[RP_NAME_SIZE];
    rp_json_writer w = {0};
    rp_train_weights_file(t->model, weights);
    const char *const files[] = {weights, "config.json", rp_train_mean_file, rp_train_variance_file};
    bool below = strchr(weights, '/'); /* config.json is, too */
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_integer(&w, "version", RP_TRAIN_STATE_VERSION);
    rp_json_write_integer(&w, "step", (int64_t)s->step);
    rp_json_write_string(&w, "precision", rp_train_in_half(t) ? "f16" : "f32");
    if (rp_train_in_half(t)) {
        rp_json_write_open(&w, "loss_scale", '{');
        rp_json_write_real(&w, "scale", s->scale.scale);
        rp_json_write_integer(&w, "good_steps", s->scale.good);
        rp_json_write_integer(&w, "skipped", (int64_t)s->scale.skipped);
        rp_json_write_close(&w, '}');
    } else if (s->scale.skipped) {
        rp_json_write_integer(&w, "skipped", (int64_t)s->scale.skipped);
    }
    rp_json_write_string(&w, "device", t->device->caps.info.name);
    rp_json_write_string(&w, "driver", t->device->caps.info.driver);
    rp_json_write_open(&w, "micro_batch", '{');
    rp_json_write_integer(&w, "tokens", t->tokens);
    rp_json_write_integer(&w, "sequences", t->sequences);
    rp_json_write_bool(&w, "recomputes", t->recomputes);
    rp_json_write_close(&w, '}');
    rp_json_write_open(&w, "kernels", '{');
    write_kernels(&w, "model", &t->model->ops);
    write_kernels(&w, "trainer", &t->ops);
    rp_json_write_close(&w, '}');
    rp_status status = rp_seal_files(&w, out, files + below, RP_COUNT(files) - below, err);
    if (!status) return rp_seal_write(&w, out, rp_train_state_file, err);
    rp_json_writer_drop(&w);
    return status;
}

/* ---- the calls ---- */

static rp_status save(rp_trainer *t, const char *out, bool overwrite, bool whole, rp_error *err) {
    rp_train_kind last = whole ? RP_TRAIN_VARIANCE : RP_TRAIN_WEIGHTS;
    snapshot taken = {0};
    rp_status status = take(t, last, &taken, err);
    if (!status) status = write_files(t, last, &taken, out, overwrite, err);
    if (!status && whole) status = write_state(t, &taken, out, err);
    rp_arena_finish(&taken.arena);
    return status;
}

static rp_status enter_and_save(rp_trainer *t, const char *out, bool overwrite, bool whole,
                                const char *function, rp_error *err) {
    rp_error unwanted;
    rp_visit visit;
    if (!err) err = &unwanted;
    if (!t || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: trainer and folder must not be NULL", function);
    rp_status status = rp_model_enter(t->model, &visit, NULL, function, err);
    if (status) return status;
    status = save(t, out, overwrite, whole, err);
    rp_visit_leave(&visit);
    return status;
}

rp_status rp_trainer_save(rp_trainer *t, const char *out, bool overwrite, rp_error *err) {
    return enter_and_save(t, out, overwrite, false, "rp_trainer_save", err);
}

rp_status rp_trainer_save_state(rp_trainer *t, const char *out, rp_error *err) {
    return enter_and_save(t, out, false, true, "rp_trainer_save_state", err);
}
