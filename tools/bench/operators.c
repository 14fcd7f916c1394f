/* Timing every operator of a layer by every kernel that may run it. */
#include "measure.h"

#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "model/describe.h"
#include "ops/attention.h"
#include "ops/selection.h"
#include "ops/class.h"

enum { REPEATS = 5 };
static const double ENOUGH = 0.2;     /* seconds for one kernel */
static const double CPU_WORK = 1.2e8; /* multiply-adds of one measurement on a software driver */
static const uint32_t FEWEST = 4;     /* panels of a product that is timed in part */

/* One product of a layer. */
typedef struct product {
    const char *label;
    uint32_t columns, depth, x_stride;
    bool bias, residual;
    rp_op_activation activation;
} product;

typedef struct op_bench {
    rp_device *device;
    const rp_config *config;
    uint32_t tokens;
    rp_storage storage;
    unsigned halves; /* activations are float16, as models of this precision have them */
    rp_harness harness;
    rp_store inputs;       /* holds the ranges: [tokens, widest] each */
    rp_range in, residual; /* small numbers; the residual serves as bias and gamma too */
    rp_store weights;      /* of the product that is being timed */
    rp_buffer out, lists;  /* lists: starts and tiles, written by the host */
    rp_op_time_fn each;
    void *user;
} op_bench;

/* What a unit can reach is that part of the roofline. */
static rp_roofline_part part_of(rp_math_unit unit) {
    static const rp_roofline_part parts[RP_UNITS] = {[RP_UNIT_F32] = RP_ROOFLINE_F32,
                                                     [RP_UNIT_INT8] = RP_ROOFLINE_INT8,
                                                     [RP_UNIT_COOPERATIVE] = RP_ROOFLINE_COOPERATIVE};
    return parts[unit];
}

static rp_range first(rp_range range, uint64_t floats) {
    range.size = floats * 4;
    return range;
}

static rp_range out_of(const op_bench *b, uint64_t width) {
    return rp_buffer_range(&b->out, 0, b->tokens * width * 4);
}

static uint32_t attention_width(const rp_config *c) {
    return rp_attention_width(c->attention_heads, c->hidden_size / c->attention_heads);
}

/* Time what was just recorded, and give it. */
static rp_status finish(op_bench *b, rp_op_time *time, const uint32_t counts[RP_COUNT_KINDS], rp_error *err) {
    rp_status status;
    RP_TRY(rp_harness_end(&b->harness, err));
    RP_TRY(rp_harness_best(&b->harness, counts, REPEATS, ENOUGH, &time->seconds, err));
    time->seconds /= time->timed;
    if (b->device->caps.info.type == RP_DEVICE_CPU) time->cpu_seconds = b->harness.cpu_seconds / time->timed;
    time->rows = b->tokens;
    time->by_device = b->harness.stamps;
    const rp_pipeline_set *set = b->harness.ops.pipelines;
    if (set->count)
        rp_pipeline_statistics(b->device, set->pipelines[set->count - 1], time->statistics,
                               sizeof time->statistics);
    b->each(b->user, time);
done:
    return status;
}

/* ---- products ---- */

static float value(uint32_t i) {
    return (float)(int32_t)((i * 2654435761u >> 24) - 128) / 4096;
}

/* The first `columns` columns of a product's weights: random, but for their place in memory as in a model. */
static rp_status make_weights(op_bench *b, uint32_t columns, uint32_t depth, rp_matrix *out, rp_error *err) {
    uint64_t count = (uint64_t)columns * depth;
    float *values = rp_new_array(float, count);
    if (!values) return rp_fail_memory(err, "weights to time", count * sizeof *values);
    for (uint64_t i = 0; i < count; i++) values[i] = value((uint32_t)i);
    rp_host_matrix host = {values, RP_FORMAT_F32, columns, depth};
    rp_store_init(&b->weights, b->device, rp_matrix_bytes(&host, 1, b->storage), "bench");
    rp_status status = rp_matrix_create(&b->weights, &host, 1, b->storage, "bench", out, err);
    if (!status) status = rp_store_flush(&b->weights, err);
    free(values);
    return status;
}

/* `op` by its kernel. */
static rp_status time_kernel(op_bench *b, const rp_op *op, const rp_op_time *about,
                             const uint32_t counts[RP_COUNT_KINDS], rp_error *err) {
    rp_op_time time = *about;
    rp_status status;
    snprintf(time.kernel, sizeof time.kernel, "%s", op->kernel.name);
    if (time.operations > 0) time.unit = part_of(rp_kernel_unit(&op->kernel));
    RP_TRY(rp_harness_begin(&b->harness, err));
    RP_TRY(rp_op_record((rp_op_target){&b->harness.ops, b->harness.commands}, op, err));
    RP_TRY(finish(b, &time, counts, err));
done:
    return status;
}

static rp_status time_product(op_bench *b, const product *p, rp_error *err) {
    const rp_caps *caps = &b->device->caps;
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens};
    uint32_t columns = rp_padded(p->columns);
    if (caps->info.type == RP_DEVICE_CPU) {
        double panels = CPU_WORK / ((double)b->tokens * p->depth * RP_PANEL);
        uint32_t most = (panels < FEWEST ? FEWEST : (uint32_t)panels) * RP_PANEL;
        if (columns > most) columns = most;
    }
    rp_matrix w = {0};
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_status status;
    RP_TRY(make_weights(b, columns, p->depth, &w, err));
    rp_matrix all = w; /* the choice is that for the whole product */
    all.rows = rp_padded(p->columns);
    rp_op op = {.class = &rp_class_matmul,
                .label = p->label,
                .x = first(b->in, (uint64_t)b->tokens * (p->x_stride ? p->x_stride : p->depth)),
                .x_stride = p->x_stride,
                .w = {&all},
                .bias = p->bias ? first(b->residual, columns) : (rp_range){0},
                .activation = p->activation,
                .residual = p->residual ? first(b->residual, (uint64_t)b->tokens * columns) : (rp_range){0},
                .out = out_of(b, columns),
                .halves = b->halves};
    RP_TRY(rp_op_select(&b->harness.ops, &op, err));
    const rp_kernel chosen = op.kernel;
    const rp_use use = rp_use_of(&op);
    uint32_t count = op.class->plan(caps, &use, kernels);
    double t = b->tokens, n = p->columns, k = p->depth;
    double weights = (double)rp_panel_bytes(w.format, w.k, rp_padded(p->columns) / RP_PANEL);
    rp_op_time time = {.op = p->label,
                       .columns = p->columns,
                       .depth = p->depth,
                       .timed = (double)w.rows / rp_padded(p->columns),
                       .operations = 2 * t * n * k,
                       .bytes = weights + (b->halves ? 2 : 4) * (t * k + t * n + (p->residual ? t * n : 0))};
    op.w[0] = &w;
    for (uint32_t i = 0; i < count; i++) {
        op.kernel = kernels[i];
        time.chosen = !strcmp(kernels[i].name, chosen.name);
        RP_TRY(time_kernel(b, &op, &time, counts, err));
    }
done:
    rp_matrix_finish(&w);
    rp_store_finish(&b->weights);
    return status;
}

/* ---- the others ---- */

/* One sequence, cut into tiles of so many queries. */
static rp_status cut(op_bench *b, uint32_t queries, uint32_t *made, rp_error *err) {
    uint32_t *starts = b->lists.mapped, *tiles = starts + 64;
    starts[0] = 0;
    starts[1] = b->tokens;
    *made = 0;
    for (uint32_t q = 0; q < b->tokens; q += queries) {
        tiles[2 * *made] = 0;
        tiles[2 * (*made)++ + 1] = q;
    }
    return rp_buffer_flush(b->device, &b->lists, b->lists.size, err);
}

static rp_status time_attention(op_bench *b, rp_error *err) {
    const rp_config *c = b->config;
    uint32_t width = attention_width(c);
    double t = b->tokens;
    rp_op op = {.class = &rp_class_attention,
                .label = "attention",
                .heads = c->attention_heads,
                .head_dim = c->hidden_size / c->attention_heads,
                .x = first(b->in, (uint64_t)b->tokens * 3 * width),
                .list = rp_buffer_range(&b->lists, 0, 256),
                .tiles = rp_buffer_range(&b->lists, 256, b->lists.size - 256),
                .out = out_of(b, width),
                .halves = b->halves};
    rp_op_time time = {.op = "attention",
                       .columns = c->hidden_size,
                       .timed = 1,
                       .operations = 4 * t * t * c->hidden_size,
                       .bytes = (b->halves ? 8 : 16) * t * width};
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_status status;
    RP_TRY(rp_op_select(&b->harness.ops, &op, err));
    const rp_kernel chosen = op.kernel;
    const rp_use use = rp_use_of(&op);
    uint32_t count = op.class->plan(&b->device->caps, &use, kernels);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens, [RP_COUNT_SEQUENCES] = 1};
        RP_TRY(cut(b, kernels[i].rows, &counts[RP_COUNT_TILES], err));
        op.kernel = kernels[i];
        time.chosen = !strcmp(kernels[i].name, chosen.name);
        RP_TRY(time_kernel(b, &op, &time, counts, err));
    }
done:
    return status;
}

/* An operator that takes one workgroup a row, by the kernel that is selected. */
static rp_status time_rows(op_bench *b, const rp_class *class, rp_error *err) {
    uint32_t width = b->config->hidden_size, padded = rp_padded(width);
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens};
    rp_op_time time = {
        .op = class->name, .columns = width, .timed = 1, .bytes = 8.0 * b->tokens * width, .chosen = true};
    rp_op op = {.class = class,
                .label = class->name,
                .width = width,
                .eps = 1e-12f,
                .x = first(b->in, (uint64_t)b->tokens * padded),
                .out = out_of(b, padded)};
    if (class == &rp_class_layernorm) op.norm = first(b->residual, 2 * padded);
    rp_status status = rp_op_select(&b->harness.ops, &op, err);
    return status ? status : time_kernel(b, &op, &time, counts, err);
}

/* ---- all ---- */

static rp_status fill(op_bench *b, rp_range range, rp_error *err) {
    for (VkDeviceSize done = 0; done < range.size; done += RP_STAGING_BYTES) {
        VkDeviceSize bytes = range.size - done < RP_STAGING_BYTES ? range.size - done : RP_STAGING_BYTES;
        float *to = rp_store_write(&b->inputs, range, done, bytes, err);
        if (!to) return err ? err->status : RP_ERROR_DEVICE_MEMORY;
        for (uint32_t i = 0; i < bytes / 4; i++) {
            uint32_t half = rp_float_to_half(value(i));
            to[i] = b->halves ? rp_bits_to_float(half | half << 16) : value(i);
        }
    }
    return RP_OK;
}

/* Buffers as wide as anything in a layer. */
static rp_status open_buffers(op_bench *b, rp_error *err) {
    const rp_config *c = b->config;
    uint64_t widest = rp_spread_stride(c->intermediate_size, b->halves ? 2 : 4),
             wide = 3ull * attention_width(c);
    if (wide > widest) widest = wide;
    uint64_t floats = b->tokens * widest;
    rp_status status;
    rp_store_init(&b->inputs, b->device, 2 * floats * 4, "bench");
    RP_TRY(rp_store_reserve(&b->inputs, floats * 4, &b->in, err));
    RP_TRY(rp_store_reserve(&b->inputs, floats * 4, &b->residual, err));
    RP_TRY(fill(b, b->in, err));
    RP_TRY(fill(b, b->residual, err));
    RP_TRY(rp_store_flush(&b->inputs, err));
    RP_TRY(rp_buffer_create(b->device, floats * 4, RP_MEMORY_DEVICE, "bench out", &b->out, err));
    RP_TRY(
        rp_buffer_create(b->device, 256 + b->tokens * 8ull, RP_MEMORY_INPUT, "bench tiles", &b->lists, err));
    RP_TRY(rp_harness_open(&b->harness, b->device, NULL, err));
done:
    return status;
}

static rp_status time_all(op_bench *b, rp_error *err) {
    const rp_config *c = b->config;
    uint32_t h = rp_padded(c->hidden_size), i = rp_padded(c->intermediate_size), w = attention_width(c);
    rp_op_activation gelu = c->activation == RP_ACTIVATION_GELU ? RP_OP_GELU : RP_OP_GELU_TANH;
    const product products[] = {
        {.label = "qkv", .columns = 3 * w, .depth = h, .bias = true},
        {.label = "attention output", .columns = h, .depth = w, .bias = true, .residual = true},
        {.label = "ffn", .columns = i, .depth = h, .bias = true, .activation = gelu},
        {.label = "ffn output",
         .columns = h,
         .depth = i,
         .bias = true,
         .residual = true,
         .x_stride = rp_spread_stride(c->intermediate_size, b->halves ? 2 : 4)},
    };
    rp_status status = RP_OK;
    for (size_t n = 0; !status && n < RP_COUNT(products); n++) {
        status = time_product(b, &products[n], err);
        if (!status && !n) status = time_attention(b, err);
    }
    if (!status) status = time_rows(b, &rp_class_layernorm, err);
    return status ? status : time_rows(b, &rp_class_gather, err);
}

/* The unit that most of the products of a layer are made by. */
rp_roofline_part rp_bench_unit(const rp_model *model) {
    double work[RP_UNITS] = {0};
    int most = RP_UNIT_F32;
    rp_op_list layer = {.count = 0};
    if (model) {
        rp_layer_buffers at = rp_model_layer_buffers(model);
        rp_describe_layer(&model->config, model->half, &model->on_device.layers[0], &at, 0, &layer);
    }
    for (uint32_t i = 0; i < layer.count; i++) {
        rp_op *op = &layer.ops[i];
        if (!op->w[0] || rp_op_recall(&model->ops, op, NULL)) continue;
        work[rp_kernel_unit(&op->kernel)] += (double)op->w[0]->rows * op->w[0]->k;
    }
    for (int u = 0; u < RP_UNITS; u++)
        if (work[u] > work[most]) most = u;
    return part_of((rp_math_unit)most);
}

rp_status rp_bench_ops(rp_device *device, const char *config, uint32_t tokens, rp_precision precision,
                       rp_op_time_fn each, void *user, rp_error *err) {
    if (!device || !config || !each)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_bench_ops: device, config and each must not be NULL");
    rp_config c = {0};
    op_bench b = {.device = device,
                  .config = &c,
                  .tokens = tokens,
                  /* the two lists agree */
                  .storage = (rp_storage)(precision ? precision : RP_PRECISION_F32),
                  .halves = precision >= RP_PRECISION_F16 ? RP_HALF_X | RP_HALF_OUT : 0,
                  .each = each,
                  .user = user};
    rp_status status = rp_config_preset(config, &c, err);
    if (status) return status;
    if (!tokens || tokens > c.max_positions)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "%s takes 1 to %u tokens, not %u", config, c.max_positions,
                         tokens);
    if (!status) status = rp_device_enter(device, err);
    if (!status) {
        status = open_buffers(&b, err);
        if (!status) status = time_all(&b, err);
        rp_harness_close(&b.harness);
        rp_store_finish(&b.inputs);
        rp_buffer_destroy(device, &b.out);
        rp_buffer_destroy(device, &b.lists);
        rp_device_leave(device, status);
    }
    rp_config_finish(&c);
    return status;
}
