/* Makes every kernel that may run on this device for a layer of base, large, xlarge and xxlarge in every
 * precision, and prints what the driver's compiler says of it. Nothing is submitted, so it works on drivers
 * that cannot compute. A line each, with tabs between: operator, kernel, weights, activations, configs, then
 * "name value, name value". Kernels that spill registers are passed over when one is chosen. Status 1 when
 * one does not compile, or when no other is left: "FAILED: " and why. */
#include <stdio.h>

#include "loader/config.h"
#include "ops/class.h"
#include "ops/attention.h"

enum { TOKENS = 128 };

static rp_device *device;
static rp_ops ops;
static rp_error err;
static const char *config_name, *weights_name, *activations_name;
static int failures;

static void tell(const char *op, const char *kernel, const char *what) {
    printf("%s\t%s\t%s\t%s\t%s\t%s\n", op, kernel, weights_name, activations_name, config_name, what);
}

/* One kernel. True: it does not spill. */
static bool compile(const char *op, const rp_kernel *kernel) {
    rp_pipeline_set *set = ops.pipelines;
    const rp_pipeline *pipeline;
    size_t before = set->count;
    char text[1100];
    if (rp_pipeline_get(set, &kernel->key, &pipeline, &err)) {
        snprintf(text, sizeof text, "FAILED: %s", err.message);
        tell(op, kernel->name, text);
        failures++;
        return true;
    }
    bool spills = rp_pipeline_statistics(device, pipeline, text, sizeof text);
    if (set->count > before) tell(op, kernel->name, text); /* others have been told of */
    return !spills;
}

/* Every kernel for an operator. */
static void compile_all(const char *op, const rp_class *class, const rp_use *use) {
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = class->plan(&device->caps, use, kernels);
    bool one_fits = false;
    for (uint32_t i = 0; i < count; i++) one_fits |= compile(op, &kernels[i]);
    if (!one_fits) tell(op, "all", "FAILED: every kernel spills");
    failures += !one_fits;
}

static void compile_product(const char *op, uint32_t columns, uint32_t depth, rp_format format,
                            unsigned halves, rp_op_activation activation, bool residual) {
    compile_all(op, &rp_class_matmul,
                &(rp_use){.formats = {format, format, format},
                          .halves = halves,
                          .bias = true,
                          .activation = activation,
                          .residual = residual,
                          .norm = residual,
                          .texels = (uint64_t)columns * depth / 4});
}

/* The layer norm, and attention. */
static void compile_others(const rp_config *c) {
    uint32_t head_dim = c->hidden_size / c->attention_heads;
    uint32_t width = rp_attention_width(c->attention_heads, head_dim);
    for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves += RP_HALF_X | RP_HALF_OUT) {
        activations_name = halves ? "f16" : "f32";
        compile_all(
            "attention", &rp_class_attention,
            &(rp_use){.head_dim = head_dim, .halves = halves, .texels = (uint64_t)TOKENS * 3 * width / 4});
    }
    activations_name = "f32";
    compile_all("layer norm", &rp_class_layernorm,
                &(rp_use){.norm = true, .texels = (uint64_t)TOKENS * rp_padded(c->hidden_size) / 4});
}

/* What a training step needs besides. */
static void compile_training(const rp_config *c) {
    const rp_scope scope = {.caps = &device->caps, .head_dim = c->hidden_size / c->attention_heads};
    for (uint32_t i = 0; i < rp_class_count; i++) {
        const rp_class *class = rp_classes[i];
        rp_use use;
        if (class == &rp_class_matmul || class == &rp_class_attention || class == &rp_class_layernorm)
            continue;
        for (uint32_t n = 0; class->use(&scope, n, &use); n++) compile_all(class->name, class, &use);
    }
}

static rp_status compile_config(const char *name) {
    static const struct {
        const char *name;
        rp_format format;
    } weights[] = {
        {"f32", RP_FORMAT_F32}, {"f16", RP_FORMAT_F16}, {"int8", RP_FORMAT_INT8}, {"int4", RP_FORMAT_INT4}};
    rp_config c = {0};
    rp_status status = rp_config_preset(name, &c, &err);
    if (status) return status;
    config_name = name;
    weights_name = "-";
    compile_others(&c);
    compile_training(&c);
    uint32_t h = rp_padded(c.hidden_size), inner = rp_padded(c.intermediate_size);
    uint32_t w = rp_attention_width(c.attention_heads, c.hidden_size / c.attention_heads);
    rp_op_activation gelu = c.activation == RP_ACTIVATION_GELU ? RP_OP_GELU : RP_OP_GELU_TANH;
    for (size_t i = 0; i < RP_COUNT(weights); i++)
        for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves += RP_HALF_X | RP_HALF_OUT) {
            rp_format format = weights[i].format;
            if (halves && (!device->caps.info.fp16_storage || format == RP_FORMAT_F32)) continue;
            weights_name = weights[i].name;
            activations_name = halves ? "f16" : "f32";
            compile_product("qkv", 3 * w, h, format, halves, RP_OP_NONE, false);
            compile_product("attention output", h, w, format, halves, RP_OP_NONE, true);
            compile_product("ffn", inner, h, format, halves, gelu, false);
            compile_product("ffn output", h, inner, format, halves, RP_OP_NONE, true);
        }
    rp_config_finish(&c);
    return RP_OK;
}

int main(void) {
    static const char *const configs[] = {"base", "large", "xlarge", "xxlarge"};
    setvbuf(stdout, NULL, _IOLBF, 0); /* how far it is can be seen, and what it was at if it is ended */
    rp_status status = rp_device_open(NULL, &device, &err);
    if (!status) rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
    if (!status) ops.pipelines->statistics = device->caps.has_statistics;
    for (size_t i = 0; !status && i < RP_COUNT(configs); i++) status = compile_config(configs[i]);
    if (status) fprintf(stderr, "%s\n", err.message);
    rp_ops_finish(&ops);
    rp_device_close(&device);
    return status || failures ? 1 : 0;
}
