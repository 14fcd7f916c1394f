#include "model/exits.h"

#include <string.h>

#include "base/alloc.h"
#include "ops/patience.h"

/* Where the logits of all internal classifiers took more than an output has room for, or a workgroup more
 * time than a layer. */
enum { MOST_LABELS = 1024, WIDEST = 4 };

uint32_t rp_exits_width(const rp_model *model) {
    const rp_config *c = &model->config;
    uint64_t width = (uint64_t)c->layers * c->label_count;
    bool fits = c->label_count <= MOST_LABELS && width <= (uint64_t)WIDEST * c->hidden_size;
    return model->weights.exits && fits ? (uint32_t)width : 0;
}

rp_status rp_exits_check(const rp_model *model, rp_error *err) {
    const char *dir = rp_path_shown(model->dir);
    if (model->learns)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the model is being trained, and its last classifier alone can be asked; save it, "
                       "and open that",
                       dir);
    if (!model->weights.exits)
        return rp_fail(
            err, RP_ERROR_HEAD,
            "%s has no internal classifiers (classifiers.0.weight and so on), by which texts leave "
            "early: leave out the patience, or take a model that was trained with them (PABEE)",
            dir);
    if (model->info.problem != RP_PROBLEM_SINGLE_LABEL)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: texts leave early by their best label, which no model of several labels or of a "
                       "number has: leave out the patience",
                       dir);
    if (rp_exits_width(model)) return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: internal classifiers of %u labels behind %u layers are too many for texts to leave "
                   "early: leave out the patience",
                   dir, model->config.label_count, model->config.layers);
}

rp_status rp_exits_upload(rp_model *model, rp_error *err) {
    rp_device_weights *to = &model->on_device;
    uint32_t rows = rp_exits_width(model), labels = model->config.label_count, h = model->config.hidden_size;
    size_t count = (size_t)rows * (h + 1);
    if (!rows) return RP_OK;
    float *all = rp_new_array(float, count);
    if (!all) return rp_fail_memory(err, "internal classifiers", count * sizeof *all);
    float *biases = all + (size_t)rows * h;
    for (uint32_t i = 0; i < model->config.layers; i++) {
        const rp_exit_weights *one = &model->weights.exits[i];
        rp_tensor_read(&one->weight, 0, (size_t)labels * h, all + (size_t)i * labels * h);
        rp_tensor_read(&one->bias, 0, labels, biases + (size_t)i * labels);
    }
    const rp_host_matrix matrix = {all, RP_FORMAT_F32, rows, h}, vector = {biases, RP_FORMAT_F32, 1, rows};
    rp_status status =
        rp_matrix_create(&to->store, &matrix, 1, RP_STORAGE_F32, "internal classifiers", &to->exits, err);
    if (!status)
        status = rp_vectors_create(&to->store, &vector, 1, "internal classifiers", &to->exits_bias, err);
    free(all);
    return status;
}

/* Words of the state of a text. */
static size_t words(const rp_model *model) {
    return RP_EXIT_WORDS + (size_t)model->config.label_count;
}

rp_status rp_exits_create(rp_model *model, uint32_t places, rp_buffer *out, rp_error *err) {
    VkDeviceSize size = (VkDeviceSize)places * words(model) * 4;
    if (!rp_exits_width(model)) return RP_OK;
    rp_status status = rp_buffer_create(model->device, size, RP_MEMORY_OUTPUT, "early exits", out, err);
    if (status) return status;
    memset(out->mapped, 0, size);
    return rp_buffer_flush(model->device, out, size, err);
}

uint32_t rp_exits_next(rp_model *model) {
    if (!++model->exit_number) model->exit_number = 1;
    return model->exit_number;
}

bool rp_exit_read(const rp_model *model, const rp_buffer *exits, uint32_t place, uint32_t *layers,
                  float *logits) {
    const uint32_t *state = (const uint32_t *)exits->mapped + place * words(model);
    *layers = state[RP_EXIT_LEFT];
    if (*layers) memcpy(logits, state + RP_EXIT_WORDS, model->config.label_count * sizeof *logits);
    return *layers;
}
