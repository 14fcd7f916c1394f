/* Saving: the weights go into a Hugging Face folder. */
#include <string.h>

#include "loader/convert.h"
#include "model/submission.h"
#include "train/trainer.h"

/* In a turn, so that no step is going on. */
static rp_status read_in_turn(rp_trainer *t, rp_weights *to, rp_arena *arena, rp_error *err) {
    rp_status status = rp_model_begin(t->model, err);
    if (status) return status;
    if (!t->built)
        status =
            rp_fail(err, RP_ERROR_DEVICE_LOST,
                    "%s: the device was lost, or a step of training failed on it, and what was learnt with "
                    "it; go on from what was saved",
                    t->model->dir);
    else
        status = rp_train_read(t, RP_TRAIN_WEIGHTS, to, arena, err);
    return rp_model_end(t->model, status);
}

/* Files are written outside of the turn. The views of tensors that are not trained are those of the model. */
static rp_status save(rp_trainer *t, const char *out, bool overwrite, rp_error *err) {
    const rp_model *model = t->model;
    const rp_convert_params params = {.overwrite = overwrite};
    uint32_t layers = model->on_device.layer_count;
    rp_weights weights = model->weights;
    rp_arena arena = {0};
    rp_status status = RP_OK;
    weights.layers = rp_new_array(rp_layer_weights, layers);
    if (!weights.layers)
        status = rp_fail_memory(err, "weights", layers * sizeof *weights.layers);
    else
        memcpy(weights.layers, model->weights.layers, layers * sizeof *weights.layers);
    if (!status) status = rp_weights_check_unchanged(&model->weights, err);
    if (!status) status = read_in_turn(t, &weights, &arena, err);
    if (!status) status = rp_convert_with(model->dir, out, &params, &model->config, &weights, err);
    free(weights.layers);
    rp_arena_finish(&arena);
    return status;
}

rp_status rp_trainer_save(rp_trainer *t, const char *out, bool overwrite, rp_error *err) {
    rp_error unwanted;
    rp_visit visit;
    if (!err) err = &unwanted;
    if (!t || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_save: trainer and folder must not be NULL");
    rp_status status = rp_model_enter(t->model, &visit, NULL, "rp_trainer_save", err);
    if (status) return status;
    status = save(t, out, overwrite, err);
    rp_visit_leave(&visit);
    return status;
}
