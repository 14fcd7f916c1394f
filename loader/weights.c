#include "loader/weights.h"

#include <stdio.h>

#include "base/half.h"
#include "loader/json.h"
#include "loader/weights_slots.h"

/* ---- finding ---- */

rp_tensor_entry *rp_weights_find(const rp_weights_reading *r, const char *name, bool prefixed,
                                 rp_tensor_file **file) {
    char full[RP_NAME_SIZE + 16];
    rp_tensor_entry *found = NULL;
    if (prefixed) {
        snprintf(full, sizeof full, "%s.%s", rp_names_of(r->config->family)->prefix, name);
        found = rp_weight_files_find(r->out->files, full, file);
    }
    return found ? found : rp_weight_files_find(r->out->files, name, file);
}

rp_tensor_entry *rp_weights_find_slot(const rp_weights_reading *r, const rp_slot *slot,
                                      rp_tensor_file **file) {
    rp_tensor_entry *found = rp_weights_find(r, slot->name, slot->prefixed, file);
    return found || !*slot->old_name ? found : rp_weights_find(r, slot->old_name, slot->prefixed, file);
}

/* A name that is in the files: it tells whose they are. "" when there is none. */
static const char *any_name(const rp_weight_files *files) {
    return files->count && files->files[0].count ? files->files[0].entries[0].name : "";
}

rp_status rp_weights_fail_missing(rp_weights_reading *r, const char *name, bool prefixed) {
    const char *shown = rp_path_shown(r->out->files->path), *other = any_name(r->out->files);
    const char *prefix = rp_names_of(r->config->family)->prefix;
    r->missing = true;
    if (r->out->files->missing)
        return rp_fail(r->err, RP_ERROR_FILE, "%s: weight_map: the shard %s is missing; fetch it too", shown,
                       r->out->files->missing);
    if (r->head)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %s: the tensor is missing%s%s%s", shown, name,
                       prefixed ? ", with and without \"" : "", prefixed ? prefix : "",
                       prefixed ? ".\" before it" : "");
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: %s: the tensor is missing%s%s%s; the file does not belong to its config.json or is "
                   "incomplete (\"%.*s\" is there)",
                   shown, name, prefixed ? ", with and without \"" : "", prefixed ? prefix : "",
                   prefixed ? ".\" before it" : "", rp_text_fit(other, 80), other);
}

/* ---- reading ---- */

static rp_status read_slot(const rp_slot *slot, void *context) {
    rp_weights_reading *r = context;
    rp_tensor_file *file = NULL;
    rp_tensor_entry *found = rp_weights_find_slot(r, slot, &file);
    // of two tied tensors some tools store the other one
    if (!found && slot->tensor == &r->out->word && r->config->tie_word_embeddings)
        found = rp_weights_find(r, rp_names_of(r->config->family)->decoder, false, &file);
    if (!found) return rp_weights_fail_missing(r, slot->name, slot->prefixed);
    r->out->parameters += (uint64_t)slot->rows * slot->columns;
    return rp_tensor_file_view(file, found, slot->kind == RP_SLOT_MATRIX ? 2 : 1, slot->rows, slot->columns,
                               slot->reason, slot->tensor, r->err);
}

rp_status rp_weights_read_part(rp_weights_reading *r, unsigned part) {
    return rp_slots_each(r->config, r->out, part, read_slot, r);
}

/* ---- the whole ---- */

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
