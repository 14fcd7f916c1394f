#include "model/trace.h"

#include <string.h>

#include "model/submission.h"

static rp_status submit(rp_model *model, const rp_step *steps, uint32_t count, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t first = 0, cut; !status && first < count; first += cut) {
        cut = rp_pace_cut(&model->pace, steps + first, count - first);
        status = rp_model_submit(model, steps + first, cut, err);
    }
    return status;
}

static rp_status copy_hidden(rp_model *model, uint32_t tokens, float *out, rp_error *err) {
    const rp_buffer *output = &model->activations.output;
    size_t width = model->config.hidden_size, stride = rp_padded((uint32_t)width);
    rp_status status = rp_buffer_invalidate(model->device, output, tokens * stride * 4, err);
    const float *from = output->mapped;
    for (uint32_t i = 0; !status && i < tokens; i++) memcpy(out + i * width, from + i * stride, width * 4);
    return status;
}

/* What the device has before each layer stays there while this thread has the turn. */
static rp_status replay(rp_model *model, const rp_sequence *sequence, float *hidden, rp_error *err) {
    const rp_batch b = {
        .sequences = sequence, .count = 1, .tokens = sequence->count, .output = RP_OUTPUT_HIDDEN};
    uint32_t slice_rows, count = rp_model_list(model, &b, &slice_rows), layers = model->config.layers;
    const rp_step *next = model->steps, *output = next + count - 1;
    uint32_t each = (count - 2) / layers;
    rp_status status = rp_model_fill(model, &b, slice_rows, err);
    for (uint32_t i = 0; !status && i <= layers; i++) {
        uint32_t steps = i ? each : 1; /* the prologue, or a layer */
        status = submit(model, next, steps, err);
        if (!status) status = submit(model, output, 1, err);
        if (!status) status = copy_hidden(model, b.tokens, hidden, err);
        next += steps;
        hidden += (size_t)b.tokens * model->config.hidden_size;
    }
    return status;
}

rp_status rp_model_trace(rp_model *model, const rp_sequence *sequence, rp_plain *plain, float *hidden,
                         rp_error *err) {
    rp_status status = rp_model_begin(model, err);
    if (status) return status;
    status = rp_plain_note_kernels(plain, model, err);
    if (!status) status = replay(model, sequence, hidden, err);
    return rp_model_end(model, status);
}
