/* Who may use a model: calls enter it, and batches take turns. */
#include "model/model.h"

rp_status rp_model_enter(rp_model *model, rp_visit *visit, const rp_call *call, const char *function,
                         rp_error *err) {
    rp_status status = rp_device_check_owner(model->device, err);
    return status ? status : rp_visit_enter(visit, &model->gate, call, function, err);
}

rp_status rp_model_begin(rp_model *model, rp_error *err) {
    rp_status status = rp_device_check_owner(model->device, err);
    if (!status) status = rp_turns_take(&model->turns, err);
    if (status) return status;
    status = rp_device_enter(model->device, err);
    if (!status && !model->built) {
        rp_device_leave(model->device, RP_OK); /* while weights are looked for */
        status =
            model->learns
                ? rp_fail(err, RP_ERROR_DEVICE_LOST,
                          "%s: the device was lost, and what was learnt with it; go on from what was saved",
                          model->dir)
                : rp_model_enter_to_rebuild(model, err);
    }
    if (status) rp_turns_give(&model->turns);
    return status;
}

rp_status rp_model_end(rp_model *model, rp_status status) {
    rp_device_leave(model->device, status);
    rp_turns_give(&model->turns);
    return status;
}
