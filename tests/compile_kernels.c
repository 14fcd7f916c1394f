/* Makes every kernel that may run on this device for a layer of base, large, xlarge and xxlarge in every
 * precision, and prints what the driver's compiler says of it. Nothing is submitted but the upload of a few
 * weights, so it works on drivers that cannot compute. A line each, with tabs between: operator, kernel,
 * weights, activations, configs, then "name value, name value". Kernels that spill registers are passed over
 * when one is chosen. Status 1 when one does not compile, or when no other is left: "FAILED: " and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/model.h"
#include "ops/timer.h"
#include "ops/tune.h"

enum { TOKENS = 128, PANELS = 4 };

static rp_device *device;
static rp_timer timer;
static rp_store inputs;
static rp_range x, out, vectors, lists;
static rp_error err;
static const char *config_name, *weights_name, *activations_name;
static int failures;
static bool one_fits; /* of the kernels for one operator, one does not spill */

/* What was recorded between begin and here made one pipeline, or none that is new. */
static void tell(const char *op, const char *kernel, rp_status status, size_t before) {
    rp_pipeline_set *set = &timer.ops.pipelines;
    char statistics[1000] = "";
    if (status) {
        printf("%s\t%s\t%s\t%s\t%s\tFAILED: %s\n", op, kernel, weights_name, activations_name, config_name,
               err.message);
        failures++;
        return;
    }
    one_fits = one_fits || !set->spilled;
    set->spilled = false;
    if (set->count == before) return;
    rp_pipeline_statistics(device, set->pipelines[set->count - 1], statistics, sizeof statistics);
    printf("%s\t%s\t%s\t%s\t%s\t%s\n", op, kernel, weights_name, activations_name, config_name, statistics);
}

/* After all kernels for an operator. */
static void tell_of_all(const char *op) {
    if (!one_fits)
        printf("%s\tall\t%s\t%s\t%s\tFAILED: every kernel spills\n", op, weights_name, activations_name,
               config_name);
    failures += !one_fits;
    one_fits = false;
}

static rp_range first(rp_range range, uint64_t bytes) {
    range.size = bytes;
    return range;
}

/* What was recorded is of no use; the stand-ins for a kernel's side have little memory for it. */
static rp_status drop_recording(void) {
    rp_status status = rp_timer_end(&timer, &err);
    VkCommandPool *pool = &timer.ops.recorder.commands;
    device->vk.vkDestroyCommandPool(device->handle, *pool, NULL);
    *pool = VK_NULL_HANDLE;
    return status;
}

static rp_status compile_matmul(rp_matmul *op, const rp_matmul_kernel *kernel) {
    char name[160];
    size_t before = timer.ops.pipelines.count;
    snprintf(name, sizeof name, "%s %ux%u, %ux%u%s", kernel->shader, kernel->lanes, kernel->blocks,
             kernel->rows, 4 * kernel->columns, kernel->matrix.m ? " matrices" : "");
    rp_status status = rp_timer_begin(&timer, &err);
    if (!status) status = rp_op_matmul_with((rp_op_target){&timer.ops, timer.commands}, op, kernel, &err);
    tell(op->label, name, status, before);
    return drop_recording();
}

/* One product of a layer: its first panels, which are compiled as all of them are. */
static rp_status compile_product(const char *label, uint32_t columns, uint32_t depth, rp_storage storage,
                                 unsigned halves, rp_op_activation activation, bool residual) {
    rp_store store;
    rp_matrix w = {0};
    uint32_t rows = columns < PANELS * RP_PANEL ? columns : PANELS * RP_PANEL;
    size_t elements = (size_t)rows * depth;
    float *values = rp_new_array(float, elements);
    if (!values) return rp_fail_memory(&err, "weights", 0);
    const rp_host_matrix host = {values, RP_FORMAT_F32, rows, depth};
    rp_store_init(&store, device, rp_matrix_bytes(&host, 1, storage), "weights");
    rp_status status = rp_matrix_create(&store, &host, 1, storage, label, &w, &err);
    if (!status) status = rp_store_flush(&store, &err);
    if (!status) {
        rp_matmul_kernel kernels[RP_MAX_KERNELS];
        uint64_t texels = (uint64_t)columns * depth / 4, width = halves ? 2 : 4;
        const rp_range none = {0};
        rp_matmul op = {.label = label,
                        .x = first(x, (uint64_t)TOKENS * depth * (halves & RP_HALF_X ? 2 : 4)),
                        .w = &w,
                        .halves = halves,
                        .bias = first(vectors, 4ull * rows),
                        .activation = activation,
                        .residual = residual ? first(x, TOKENS * rows * width) : none,
                        .norm = residual ? first(vectors, 8ull * rows) : none,
                        .arrived = residual ? lists : none,
                        .norm_width = rows,
                        .out = first(out, TOKENS * rows * width)};
        uint32_t count = rp_plan_matmul(&device->caps, w.format, halves, texels, kernels);
        for (uint32_t i = 0; !status && i < count; i++) status = compile_matmul(&op, &kernels[i]);
        tell_of_all(label);
    }
    rp_matrix_finish(&w);
    rp_store_finish(&store);
    free(values);
    return status;
}

static rp_status compile_attention(const rp_config *c, unsigned halves) {
    uint32_t head_dim = c->hidden_size / c->attention_heads;
    uint32_t width = rp_attention_width(c->attention_heads, head_dim);
    uint64_t texels = (uint64_t)TOKENS * 3 * width / 4;
    rp_attention_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = rp_plan_attention(&device->caps, head_dim, halves, texels, kernels);
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < count; i++) {
        char name[160];
        size_t before = timer.ops.pipelines.count;
        snprintf(name, sizeof name, "%s %u, %u queries x %u keys", kernels[i].shader, kernels[i].lanes,
                 kernels[i].queries, kernels[i].keys);
        rp_attention op = {.heads = c->attention_heads,
                           .head_dim = head_dim,
                           .kernel = &kernels[i],
                           .qkv = first(x, 16 * texels),
                           .starts = lists,
                           .tiles = lists,
                           .out = first(out, 4ull * TOKENS * width),
                           .halves = halves};
        status = rp_timer_begin(&timer, &err);
        if (!status)
            tell("attention", name, rp_op_attention((rp_op_target){&timer.ops, timer.commands}, &op, &err),
                 before);
        if (!status) status = drop_recording();
    }
    tell_of_all("attention");
    return status;
}

static rp_status compile_layernorm(const rp_config *c) {
    uint32_t padded = rp_padded(c->hidden_size);
    rp_layernorm op = {.label = "layer norm",
                       .rows = RP_COUNT_TOKENS,
                       .width = c->hidden_size,
                       .eps = 1e-12f,
                       .x = first(x, 4ull * TOKENS * padded),
                       .out = first(out, 4ull * TOKENS * padded),
                       .norm = first(vectors, 8ull * padded)};
    rp_row_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = rp_plan_layernorm(&device->caps, (uint64_t)TOKENS * padded / 4, kernels);
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < count; i++) {
        char name[160];
        size_t before = timer.ops.pipelines.count;
        snprintf(name, sizeof name, "%s %u", kernels[i].shader, kernels[i].lanes);
        status = rp_timer_begin(&timer, &err);
        if (!status)
            tell("layer norm", name,
                 rp_op_layernorm_with((rp_op_target){&timer.ops, timer.commands}, &op, &kernels[i], &err),
                 before);
        if (!status) status = drop_recording();
    }
    tell_of_all("layer norm");
    return status;
}

static rp_status compile_config(const char *name) {
    static const struct {
        const char *name;
        rp_storage storage;
    } weights[] = {{"f32", RP_STORAGE_F32},
                   {"f16", RP_STORAGE_F16},
                   {"int8", RP_STORAGE_INT8},
                   {"int4", RP_STORAGE_INT4}};
    rp_config c = {0};
    rp_status status = rp_config_preset(name, &c, &err);
    config_name = name;
    weights_name = "-";
    activations_name = "f32";
    if (!status) status = compile_attention(&c, 0);
    activations_name = "f16";
    if (!status) status = compile_attention(&c, RP_HALF_X | RP_HALF_OUT);
    activations_name = "f32";
    if (!status) status = compile_layernorm(&c);
    uint32_t h = rp_padded(c.hidden_size), inner = rp_padded(c.intermediate_size);
    uint32_t w = rp_attention_width(c.attention_heads, c.hidden_size / c.attention_heads);
    rp_op_activation gelu = c.activation == RP_ACTIVATION_GELU ? RP_OP_GELU : RP_OP_GELU_TANH;
    for (size_t i = 0; i < RP_COUNT(weights); i++)
        for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves += RP_HALF_X | RP_HALF_OUT) {
            rp_storage storage = weights[i].storage;
            if (halves && (!device->caps.info.fp16_storage || storage == RP_STORAGE_F32)) continue;
            weights_name = weights[i].name;
            activations_name = halves ? "f16" : "f32";
            if (!status) status = compile_product("qkv", 3 * w, h, storage, halves, RP_OP_NONE, false);
            if (!status)
                status = compile_product("attention output", h, w, storage, halves, RP_OP_NONE, true);
            if (!status) status = compile_product("ffn", inner, h, storage, halves, gelu, false);
            if (!status) status = compile_product("ffn output", h, inner, storage, halves, RP_OP_NONE, true);
        }
    rp_config_finish(&c);
    return status;
}

int main(void) {
    static const char *const configs[] = {"base", "large", "xlarge", "xxlarge"};
    const uint64_t bytes = 4ull * TOKENS * 16384; /* the inner width of xxlarge */
    setvbuf(stdout, NULL, _IOLBF, 0); /* how far it is can be seen, and what it was at if it is ended */
    rp_status status = rp_device_open(NULL, &device, &err);
    if (!status) status = rp_timer_open(&timer, device, &err);
    rp_store_init(&inputs, device, 2 * bytes + (1 << 20), "inputs");
    if (!status) status = rp_store_reserve(&inputs, bytes, &x, &err);
    if (!status) status = rp_store_reserve(&inputs, bytes, &out, &err);
    if (!status) status = rp_store_reserve(&inputs, 1 << 18, &vectors, &err);
    if (!status) status = rp_store_reserve(&inputs, 1 << 16, &lists, &err);
    for (size_t i = 0; !status && i < RP_COUNT(configs); i++) status = compile_config(configs[i]);
    if (status) fprintf(stderr, "%s\n", err.message);
    if (timer.device) rp_timer_close(&timer);
    rp_store_finish(&inputs);
    rp_device_close(&device);
    return status || failures ? 1 : 0;
}
