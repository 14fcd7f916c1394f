/* What training takes of a device: of a trainer that is open, and of one that would be. */
#include "train/trainer.h"

static uint64_t all_of(const rp_trainer_info *i) {
    return i->weights + i->gradients + i->moments + i->transposes + i->activations + i->logits;
}

/* What the buffers of a micro-batch are. */
static void count_rooms(const rp_train_shape *shape, rp_trainer_info *out) {
    rp_train_buffers none;
    rp_train_room rooms[RP_MOST_TRAIN_ROOMS];
    size_t count = rp_train_rooms(shape, &none, rooms);
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = 4 * rooms[i].floats;
        if (rooms[i].kind == RP_TRAIN_ROOM_LOGITS)
            out->logits += bytes;
        else
            out->activations += bytes;
        if (rooms[i].kind == RP_TRAIN_ROOM_KEPT) out->kept += bytes;
    }
    out->batch_tokens = shape->tokens;
    out->batch_sequences = shape->sequences;
    out->recomputes = shape->recomputes;
}

rp_status rp_train_fill_info(rp_trainer *t, rp_error *err) {
    const rp_train_shape shape = rp_train_shape_of(t);
    rp_trainer_info *info = &t->info;
    *info = (rp_trainer_info){.weights = rp_store_bytes(&t->model->on_device.store),
                              .gradients = rp_store_bytes(&t->gradients),
                              .moments = rp_store_bytes(&t->moments),
                              .transposes = rp_store_bytes(&t->turned_store),
                              .kernel_count = t->ops.selected_count};
    count_rooms(&shape, info);
    info->activations = rp_store_bytes(&t->work) - info->logits + t->input.allocated + t->output.allocated +
                        t->model->info.device_bytes - info->weights;
    info->device_bytes = all_of(info);
    t->kernels = rp_new_array(rp_train_kernel, info->kernel_count);
    if (!t->kernels) return rp_fail_memory(err, "names of kernels", info->kernel_count * sizeof *t->kernels);
    for (size_t i = 0; i < info->kernel_count; i++)
        t->kernels[i] = (rp_train_kernel){t->ops.selected[i].what, t->ops.selected[i].kernel.name};
    info->kernels = t->kernels;
    return RP_OK;
}

const rp_trainer_info *rp_trainer_get_info(const rp_trainer *t) {
    return t ? &t->info : NULL;
}

/* ---- a plan ---- */

static rp_status plan(rp_device *device, const rp_config *config, const rp_trainer_params *params,
                      rp_trainer_info *out, rp_error *err) {
    rp_head head = params->head ? params->head : RP_HEAD_CLASSIFIER;
    bool labels = head == RP_HEAD_CLASSIFIER || head == RP_HEAD_TOKENS;
    rp_train_shape shape = {.config = config,
                            .head = head,
                            .logits = head == RP_HEAD_CHOICE ? 1
                                      : !labels              ? 2
                                      : params->label_count  ? params->label_count
                                                             : config->label_count,
                            .half = params->precision == RP_PRECISION_F16};
    uint64_t turned = 0, floats = rp_train_parameter_floats(config, head, shape.logits, &turned);
    uint64_t evaluation = rp_layout_activation_bytes(config, &device->caps);
    out->weights = out->gradients = 4 * floats;
    out->moments = 8 * floats;
    out->transposes = 4 * turned;
    out->activations = evaluation;
    rp_status status =
        rp_train_plan(config->path, params, rp_train_space_of(&device->caps, all_of(out)), &shape, err);
    if (status) return status;
    count_rooms(&shape, out);
    out->device_bytes = all_of(out);
    return RP_OK;
}

rp_status rp_trainer_plan(rp_device *device, const char *config, const rp_trainer_params *params,
                          rp_trainer_info *out, rp_error *err) {
    static const rp_trainer_params defaults = {0};
    rp_config read = {0};
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!device || !config || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_plan: device, config and out must not be NULL");
    *out = (rp_trainer_info){0};
    if (!params) params = &defaults;
    rp_status status =
        rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_trainer_plan", err);
    if (!status) status = rp_config_preset(config, &read, err);
    if (!status) status = plan(device, &read, params, out, err);
    rp_config_finish(&read);
    return status;
}
