#include "loader/weights.h"

#include <stdio.h>

#include "base/half.h"
#include "loader/json.h"
#include "loader/weights_slots.h"

rp_status rp_weights_load(const char *dir, rp_config *config, rp_weights *out, rp_error *err) {
    rp_error unwanted;
    if (!err) err = &unwanted;
    *out = (rp_weights){0};
    rp_status status = rp_weight_files_open(dir, &out->files, err);
    if (status) return status;
    size_t layers = (size_t)config->groups * config->inner_layers;
    rp_weights_reading r = {.config = config, .out = out, .err = err};
    out->layers = rp_new_array(rp_layer_weights, layers);
    if (!out->layers) status = rp_fail_memory(err, "layers", layers * sizeof *out->layers);
    if (!status) status = rp_weights_read_part(&r, RP_PART_ENCODER);
    if (!status) status = rp_heads_read(&r);
    if (status) rp_weights_finish(out);
    return status;
}

const rp_error *rp_weights_left_out(const rp_weights *weights, unsigned head) {
    for (unsigned i = 0; i < RP_HEAD_COUNT; i++)
        if (head == 1u << i && weights->left_out[i].status) return &weights->left_out[i];
    return NULL;
}

void rp_weights_rest(rp_weights *weights) {
    rp_weight_files *files = weights->files;
    if (!files) return;
    for (size_t i = 0; i < files->count; i++) rp_tensor_file_rest(&files->files[i]);
}

rp_status rp_weights_check_unchanged(const rp_weights *weights, rp_error *err) {
    const rp_weight_files *files = weights->files;
    rp_status status = RP_OK;
    for (size_t i = 0; files && !status && i < files->count; i++)
        status = rp_tensor_file_check_unchanged(&files->files[i], err);
    return status;
}

void rp_weights_finish(rp_weights *weights) {
    if (!weights) return;
    rp_weight_files_close(weights->files);
    free(weights->layers);
    free(weights->exits);
    *weights = (rp_weights){0};
}

/* ---- elements ---- */

void rp_tensor_read(const rp_tensor *tensor, size_t first, size_t count, float *out) {
    const unsigned char *data = tensor->data;
    if (tensor->dtype == RP_F32) {
        memcpy(out, data + 4 * first, 4 * count);
        return;
    }
    data += 2 * first;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, data + 2 * i, 2);
        out[i] = tensor->dtype == RP_F16 ? rp_half_to_float(bits) : rp_bfloat_to_float(bits);
    }
}

float rp_tensor_get(const rp_tensor *tensor, size_t i) {
    float x;
    rp_tensor_read(tensor, i, 1, &x);
    return x;
}
