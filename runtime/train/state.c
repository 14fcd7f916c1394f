/* Going on from a checkpoint. */
#include "train/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loader/safetensors.h"
#include "loader/sealed.h"

const char rp_train_state_file[] = "trainer.json", rp_train_mean_file[] = "exp_avg.safetensors",
           rp_train_variance_file[] = "exp_avg_sq.safetensors";

void rp_train_weights_file(const rp_model *model, char out[RP_NAME_SIZE]) {
    size_t size = strlen(model->dir);
    const char *below = strlen(model->files) > size ? model->files + size : "";
    below += *below == '/';
    snprintf(out, RP_NAME_SIZE, "%.64s%smodel.safetensors", below, *below ? "/" : "");
}

/* ---- tensors ---- */

/* Of the internal classifiers, if there are any. */
static rp_status each_exit(const rp_config *c, rp_weights *w, rp_slot_visit visit, void *context) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; w->exits && !status && i < c->layers; i++) {
        rp_slot weight = {.tensor = &w->exits[i].weight, .rows = c->label_count, .columns = c->hidden_size},
                bias = {
                    .tensor = &w->exits[i].bias, .kind = RP_SLOT_BIAS, .rows = 1, .columns = c->label_count};
        snprintf(weight.name, sizeof weight.name, "classifiers.%u.weight", i);
        snprintf(bias.name, sizeof bias.name, "classifiers.%u.bias", i);
        status = visit(&weight, context);
        if (!status) status = visit(&bias, context);
    }
    return status;
}

/* Visit every tensor that a model may have, those too that rp_slots_each leaves out. */
static rp_status each_tensor(const rp_config *config, rp_weights *w, rp_slot_visit visit, void *context) {
    const rp_family_names *names = rp_names_of(config->family);
    rp_slot bias = {.tensor = &w->lm_bias, .kind = RP_SLOT_BIAS, .rows = 1, .columns = config->vocab_size},
            decoder = {
                .tensor = &w->lm_decoder, .rows = config->vocab_size, .columns = w->lm_decoder.columns};
    snprintf(bias.name, sizeof bias.name, "%s", names->lm_biases[0]);
    snprintf(decoder.name, sizeof decoder.name, "%s", names->decoder);
    rp_status status = rp_slots_each(config, w, RP_PART_ENCODER | w->heads, visit, context);
    if (!status && w->heads & RP_HEAD_MASKED_LM) status = visit(&bias, context);
    if (!status && w->heads & RP_HEAD_MASKED_LM) status = visit(&decoder, context);
    return status ? status : each_exit(config, w, visit, context);
}

static rp_status empty(const rp_slot *slot, void *context) {
    (void)context;
    slot->tensor->data = NULL;
    return RP_OK;
}

rp_status rp_train_empty(const rp_config *config, rp_weights *weights) {
    return each_tensor(config, weights, empty, NULL);
}

/* A file of a checkpoint, as tensors of the model. */
typedef struct reading {
    const rp_config *config;
    rp_tensor_file file;
    bool all; /* of the tensors, none may be missing */
    rp_error *err;
} reading;

static rp_tensor_entry *find(const reading *r, const rp_slot *slot) {
    char full[RP_NAME_SIZE + 16];
    snprintf(full, sizeof full, "%s.%s", rp_names_of(r->config->family)->prefix, slot->name);
    rp_tensor_entry *found = slot->prefixed ? rp_tensor_file_find(&r->file, full) : NULL;
    return found ? found : rp_tensor_file_find(&r->file, slot->name);
}

static rp_status view(const rp_slot *slot, void *context) {
    reading *r = context;
    if (!slot->tensor->data) return RP_OK; /* the model has it not */
    slot->tensor->data = NULL;
    rp_tensor_entry *found = find(r, slot);
    if (!found && !r->all) return RP_OK;
    if (!found)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: the tensor is missing: it is of another model",
                       rp_path_shown(r->file.path), slot->name);
    return rp_tensor_file_view(&r->file, found, slot->kind == RP_SLOT_MATRIX ? 2 : 1, slot->rows,
                               slot->columns, "the model that is trained", slot->tensor, r->err);
}

static rp_status load_kind(rp_trainer *t, rp_train_kind kind, const char *path, rp_error *err) {
    rp_model *model = t->model;
    uint32_t layers = model->on_device.layer_count;
    rp_weights weights = model->weights;
    reading r = {.config = &model->config, .all = kind == RP_TRAIN_WEIGHTS, .err = err};
    rp_status status = RP_OK;
    uint32_t exits = weights.exits ? model->config.layers : 0;
    weights.layers = rp_new_array(rp_layer_weights, layers);
    if (exits) weights.exits = rp_new_array(rp_exit_weights, exits);
    if (!weights.layers || (exits && !weights.exits))
        status = rp_fail_memory(err, "weights", layers * sizeof *weights.layers);
    if (!status) {
        memcpy(weights.layers, model->weights.layers, layers * sizeof *weights.layers);
        if (exits) memcpy(weights.exits, model->weights.exits, exits * sizeof *weights.exits);
        status = rp_safetensors_open(path, &r.file, err);
    }
    if (!status) {
        status = each_tensor(&model->config, &weights, view, &r);
        if (!status) status = rp_train_write(t, kind, &weights, path, err);
        rp_tensor_file_close(&r.file);
    }
    free(weights.layers);
    if (exits) free(weights.exits);
    return status;
}

static rp_status load_file(rp_trainer *t, rp_train_kind kind, const char *dir, const char *name,
                           rp_error *err) {
    char *path = rp_path_join(dir, name);
    rp_status status = path ? load_kind(t, kind, path, err) : rp_fail_memory(err, "a path", strlen(dir));
    free(path);
    return status;
}

/* In the model's turn. */
static rp_status load_all(rp_trainer *t, const char *dir, rp_error *err) {
    char weights[RP_NAME_SIZE];
    rp_train_weights_file(t->model, weights);
    rp_status status = load_file(t, RP_TRAIN_WEIGHTS, dir, weights, err);
    if (!status) status = load_file(t, RP_TRAIN_MEAN, dir, rp_train_mean_file, err);
    if (!status) status = load_file(t, RP_TRAIN_VARIANCE, dir, rp_train_variance_file, err);
    return status ? status : rp_train_turn(t, err);
}

/* ---- trainer.json ---- */

static rp_status fail_field(const char *path, const char *field, const char *what, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: %s", rp_path_shown(path), field, what);
}

static bool read_count(const rp_json *value, uint64_t most, uint64_t *out) {
    if (!rp_json_is(value, RP_JSON_INTEGER) || value->integer < 0) return false;
    *out = (uint64_t)value->integer;
    return *out <= most;
}

/* The kernels of an object; the number of them. */
static size_t read_kernels(const rp_json *kernels, rp_wanted *out, bool *good) {
    uint32_t count = rp_json_count(kernels, RP_JSON_OBJECT);
    *good = *good && rp_json_is(kernels, RP_JSON_OBJECT);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = rp_json_string(&kernels->members[i].value);
        out[i] = (rp_wanted){kernels->members[i].key, name};
        *good = *good && name;
    }
    return count;
}

/* Of a training in f16; another one has the steps alone that were skipped when it was one. */
static rp_status read_scale(const rp_json *root, const char *path, rp_train_saved *out, rp_error *err) {
    const rp_json *all = rp_json_get(root, "loss_scale"), *scale = rp_json_get(all, "scale");
    const char *precision = rp_json_string(rp_json_get(root, "precision"));
    uint64_t good = 0;
    int exponent;
    out->half = precision && !strcmp(precision, "f16");
    if (!out->half) {
        const rp_json *skipped = rp_json_get(root, "skipped");
        if (!skipped || read_count(skipped, out->step, &out->scale.skipped)) return RP_OK;
        return fail_field(path, "skipped", "must be the number of steps that were skipped", err);
    }
    out->scale.scale = rp_json_is(scale, RP_JSON_INTEGER) ? (double)scale->integer
                       : rp_json_is(scale, RP_JSON_REAL)  ? scale->real
                                                          : 0;
    if (!(out->scale.scale >= 1) || !(out->scale.scale < 4e30) || frexp(out->scale.scale, &exponent) != 0.5 ||
        !read_count(rp_json_get(all, "good_steps"), UINT32_MAX, &good) ||
        !read_count(rp_json_get(all, "skipped"), out->step, &out->scale.skipped))
        return fail_field(
            path, "loss_scale",
            "must have the scale, a power of 2, and the numbers of good_steps and of those that "
            "were skipped",
            err);
    out->scale.good = (uint32_t)good;
    return RP_OK;
}

rp_status rp_train_saved_read(const rp_json *root, const char *path, rp_train_saved *out, rp_error *err) {
    enum { MOST_KERNELS = 1 << 14 };
    const rp_json *batch = rp_json_get(root, "micro_batch"), *kernels = rp_json_get(root, "kernels"),
                  *model = rp_json_get(kernels, "model"), *own = rp_json_get(kernels, "trainer");
    uint64_t version = 0, tokens = 0, sequences = 0;
    size_t count = (size_t)rp_json_count(model, RP_JSON_OBJECT) + rp_json_count(own, RP_JSON_OBJECT);
    if (!read_count(rp_json_get(root, "version"), INT64_MAX, &version))
        return fail_field(path, "version", "must be a number", err);
    if (version != RP_TRAIN_STATE_VERSION)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: version: it was written by another version of Reprise; go on with that one",
                       rp_path_shown(path));
    if (!read_count(rp_json_get(root, "step"), INT64_MAX, &out->step))
        return fail_field(path, "step", "must be a number from 0 on", err);
    rp_status status = read_scale(root, path, out, err);
    if (status) return status;
    if (!read_count(rp_json_get(batch, "tokens"), UINT32_MAX, &tokens) ||
        !read_count(rp_json_get(batch, "sequences"), UINT32_MAX, &sequences) || !tokens || !sequences)
        return fail_field(path, "micro_batch", "must have the numbers of tokens and sequences", err);
    out->tokens = (uint32_t)tokens;
    out->sequences = (uint32_t)sequences;
    const rp_json *recomputes = rp_json_get(batch, "recomputes");
    if (!rp_json_is(recomputes, RP_JSON_TRUE) && !rp_json_is(recomputes, RP_JSON_FALSE))
        return fail_field(path, "micro_batch.recomputes", "must be true or false", err);
    out->recomputes = rp_json_is(recomputes, RP_JSON_TRUE);
    out->device = rp_json_string(rp_json_get(root, "device"));
    out->driver = rp_json_string(rp_json_get(root, "driver"));
    if (!out->device || !out->driver) return fail_field(path, "device", "and driver must be strings", err);
    if (count > MOST_KERNELS) return fail_field(path, "kernels", "are too many", err);
    out->wanted = rp_new_array(rp_wanted, count);
    if (!out->wanted) return rp_fail_memory(err, rp_path_shown(path), count * sizeof *out->wanted);
    bool good = true;
    out->model_count = read_kernels(model, out->wanted, &good);
    out->own_count = read_kernels(own, out->wanted + out->model_count, &good);
    return good && out->model_count && out->own_count
               ? RP_OK
               : fail_field(path, "kernels", "must have those of the model and of the trainer", err);
}

rp_status rp_train_saved_open(const char *dir, rp_train_saved *out, rp_error *err) {
    rp_status status = rp_sealed_read(dir, rp_train_state_file, &out->document, err);
    char *path = status ? NULL : rp_path_join(dir, rp_train_state_file);
    if (!status && !path) status = rp_fail_memory(err, "a path", strlen(dir));
    if (!status) status = rp_train_saved_read(&out->document.root, path, out, err);
    free(path);
    return status;
}

void rp_train_saved_finish(rp_train_saved *saved) {
    rp_json_finish(&saved->document);
    free(saved->wanted);
    *saved = (rp_train_saved){0};
}

/* ---- going on ---- */

/* What is otherwise than when the checkpoint was written; NULL: nothing. */
static const char *difference(const rp_trainer *t, const rp_train_saved *saved) {
    if (rp_train_in_half(t) != saved->half) return "in another precision";
    if (strcmp(t->device->caps.info.name, saved->device)) return "on another device";
    if (strcmp(t->device->caps.info.driver, saved->driver)) return "with another driver";
    if (t->model->ops.strayed || t->ops.strayed) return "with kernels that this device or version has not";
    if (t->tokens != saved->tokens || t->sequences != saved->sequences)
        return "with batches cut into other micro-batches";
    return NULL;
}

rp_status rp_train_saved_load(rp_trainer *t, const char *dir, const rp_train_saved *saved, rp_error *err) {
    const char *other = difference(t, saved);
    rp_status status = rp_model_begin(t->model, err);
    if (status) return status;
    status = rp_model_end(t->model, load_all(t, dir, err));
    if (status) return status;
    t->step = saved->step;
    if (saved->half && rp_train_in_half(t))
        t->scale = saved->scale;
    else
        t->scale.skipped = saved->scale.skipped; /* the schedule and the optimizer count the others */
    if (other)
        rp_log_say(&t->device->log, RP_LOG_WARNING,
                   "%s: was written %s: what is learnt from here on differs by rounding from what would have "
                   "been learnt there",
                   rp_path_shown(dir), other);
    return RP_OK;
}
