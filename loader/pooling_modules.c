/* The Dense and LayerNorm modules of sentence-transformers: settings and weights. */
#include <math.h>
#include <stdio.h>

#include "loader/pooling_files.h"
#include "loader/weights_files.h"

enum { MAX_COLUMNS = 1 << 20 };

/* ---- activations: classes of torch.nn with the arguments they have by default ---- */

static float identity(float x) {
    return x;
}
static float relu(float x) {
    return x > 0 ? x : 0;
}
static float leaky_relu(float x) {
    return x > 0 ? x : 0.01f * x;
}
static float elu(float x) {
    return x > 0 ? x : expm1f(x);
}
static float gelu(float x) {
    return 0.5f * x * (1 + erff(x * 0.70710678f));
}
static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}
static float silu(float x) {
    return x * sigmoid(x);
}
static float softplus(float x) {
    return x > 20 ? x : log1pf(expf(x));
}
static float mish(float x) {
    return x * tanhf(softplus(x));
}

static const struct {
    const char *name;
    rp_module_activation *function;
} activations[] = {{"Identity", identity}, {"Tanh", tanhf},           {"ReLU", relu}, {"GELU", gelu},
                   {"Sigmoid", sigmoid},   {"LeakyReLU", leaky_relu}, {"SiLU", silu}, {"ELU", elu},
                   {"Mish", mish},         {"Softplus", softplus}};

static rp_status read_activation(const rp_side_file *file, rp_module *out, rp_error *err) {
    const rp_json *value = rp_json_get(file->root, "activation_function");
    const char *class = value ? rp_json_string(value) : "torch.nn.modules.activation.Tanh";
    const char *name = class ? strrchr(class, '.') : NULL;
    for (size_t i = 0; name && !strncmp(class, "torch.nn.", 9) && i < RP_COUNT(activations); i++) {
        if (strcmp(name + 1, activations[i].name)) continue;
        out->activation = activations[i].function;
        return RP_OK;
    }
    if (!class) class = rp_json_kind(value);
    return rp_fail(
        err, RP_ERROR_UNSUPPORTED,
        "%s: activation_function: \"%.*s\" is not supported; Identity, Tanh, ReLU, GELU, Sigmoid, LeakyReLU, "
        "SiLU, ELU, Mish and Softplus of torch.nn are",
        file->shown, rp_text_fit(class, 100), class);
}

/* ---- settings ---- */

static rp_status read_size(const rp_side_file *file, const char *field, uint32_t *out, rp_error *err) {
    const rp_json *value = rp_json_get(file->root, field);
    if (!value || value->type != RP_JSON_INTEGER || value->integer < 1 || value->integer > MAX_COLUMNS)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: must be an integer from 1 to %d", file->shown, field,
                       MAX_COLUMNS);
    *out = (uint32_t)value->integer;
    return RP_OK;
}

static rp_status read_settings(const rp_side_file *file, uint32_t columns, rp_module *out, bool *bias,
                               rp_error *err) {
    bool dense = out->kind == RP_MODULE_DENSE;
    const char *in = dense ? "in_features" : "dimension";
    *bias = true;
    if (!file->root)
        return rp_fail(err, RP_ERROR_FILE, "%s: missing, but modules.json lists it; fetch it too",
                       file->shown);
    rp_status status = read_size(file, in, &out->in, err);
    out->out = out->in;
    if (!status && dense) status = read_size(file, "out_features", &out->out, err);
    if (!status && dense) status = rp_json_bool(file->root, file->shown, "bias", true, bias, err);
    if (!status && dense) status = read_activation(file, out, err);
    if (status || out->in == columns) return status;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: is %u, but the module before it gives %u columns",
                   file->shown, in, out->in, columns);
}

/* ---- weights ---- */

/* `rows` 0: a vector. */
static rp_status read_tensor(const rp_weight_files *files, const char *name, uint32_t rows, uint32_t columns,
                             float **out, rp_arena *arena, rp_error *err) {
    rp_tensor_file *file = NULL;
    rp_tensor view;
    rp_tensor_entry *entry = rp_weight_files_find(files, name, &file);
    if (!entry)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: the tensor is missing; fetch the module's files again",
                       rp_path_shown(files->path), name);
    rp_status status =
        rp_tensor_file_view(file, entry, rows ? 2 : 1, rows ? rows : 1, columns,
                            rows ? "out_features, in_features" : "the module's size", &view, err);
    if (status) return status;
    size_t count = (size_t)view.rows * view.columns;
    *out = rp_arena_alloc(arena, count, sizeof **out);
    if (!*out) return rp_fail_memory(err, "a module", count * sizeof **out);
    rp_tensor_read(&view, 0, count, *out);
    return RP_OK;
}

rp_status rp_module_load(const char *dir, uint32_t columns, rp_module *out, rp_arena *arena, rp_error *err) {
    bool dense = out->kind == RP_MODULE_DENSE, bias = false;
    rp_weight_files *files = NULL;
    rp_side_file file;
    rp_status status = rp_side_file_open(dir, "config.json", RP_JSON_OBJECT, &file, err);
    if (!status) status = read_settings(&file, columns, out, &bias, err);
    rp_side_file_close(&file);
    if (!status) status = rp_weight_files_open(dir, &files, err);
    if (!status)
        status = read_tensor(files, dense ? "linear.weight" : "norm.weight", dense ? out->out : 0, out->in,
                             &out->weight, arena, err);
    if (!status && bias)
        status = read_tensor(files, dense ? "linear.bias" : "norm.bias", 0, out->out, &out->bias, arena, err);
    rp_weight_files_close(files);
    return status;
}
