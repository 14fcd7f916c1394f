/* Timing every operator of a layer by every kernel that may run it. */
#include "measure.h"

#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "ops/timer.h"
#include "ops/tune.h"

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
    rp_timer timer;
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
    RP_TRY(rp_timer_end(&b->timer, err));
    RP_TRY(rp_timer_best(&b->timer, counts, REPEATS, ENOUGH, &time->seconds, err));
    time->seconds /= time->timed;
    if (b->device->caps.info.type == RP_DEVICE_CPU) time->cpu_seconds = b->timer.cpu_seconds / time->timed;
    time->rows = b->tokens;
    time->by_device = b->timer.stamps;
    const rp_pipeline_set *set = &b->timer.ops.pipelines;
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

static rp_status time_kernel(op_bench *b, const product *p, const rp_matmul *op,
                             const rp_matmul_kernel *kernel, bool chosen, rp_error *err) {
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens};
    double t = b->tokens, n = p->columns, k = p->depth;
    double weights = (double)rp_panel_bytes(op->w->format, op->w->k, rp_padded(p->columns) / RP_PANEL);
    rp_op_time time = {.op = p->label,
                       .columns = p->columns,
                       .depth = p->depth,
                       .timed = (double)op->w->rows / rp_padded(p->columns),
                       .operations = 2 * t * n * k,
                       .bytes = weights + (b->halves ? 2 : 4) * (t * k + t * n + (p->residual ? t * n : 0)),
                       .unit = part_of(rp_unit_of(kernel->rounding, kernel->matrix)),
                       .chosen = chosen};
    rp_name_matmul(kernel, time.kernel);
    rp_status status;
    RP_TRY(rp_timer_begin(&b->timer, err));
    RP_TRY(rp_op_matmul_with((rp_op_target){&b->timer.ops, b->timer.commands}, op, kernel, err));
    RP_TRY(finish(b, &time, counts, err));
done:
    return status;
}

static bool same_kernel(const rp_matmul_kernel *a, const rp_matmul_kernel *b) {
    return !strcmp(a->shader, b->shader) && a->lanes == b->lanes && a->blocks == b->blocks &&
           a->rows == b->rows && a->columns == b->columns;
}

static rp_status time_product(op_bench *b, const product *p, rp_error *err) {
    const rp_caps *caps = &b->device->caps;
    uint32_t columns = rp_padded(p->columns);
    if (caps->info.type == RP_DEVICE_CPU) {
        double panels = CPU_WORK / ((double)b->tokens * p->depth * RP_PANEL);
        uint32_t most = (panels < FEWEST ? FEWEST : (uint32_t)panels) * RP_PANEL;
        if (columns > most) columns = most;
    }
    rp_matrix w = {0};
    rp_matmul_kernel kernels[RP_MAX_KERNELS], chosen;
    rp_status status;
    RP_TRY(make_weights(b, columns, p->depth, &w, err));
    rp_matmul op = {.label = p->label,
                    .x = first(b->in, (uint64_t)b->tokens * (p->x_stride ? p->x_stride : p->depth)),
                    .x_stride = p->x_stride,
                    .w = &w,
                    .bias = p->bias ? first(b->residual, columns) : (rp_range){0},
                    .activation = p->activation,
                    .residual =
                        p->residual ? first(b->residual, (uint64_t)b->tokens * columns) : (rp_range){0},
                    .out = out_of(b, columns),
                    .halves = b->halves};
    uint64_t texels = op.x.size / 16, of_w = rp_matrix_texels(&w, columns / RP_PANEL);
    if (of_w > texels) texels = of_w;
    uint32_t count = rp_plan_matmul(caps, w.format, op.halves, texels, kernels);
    rp_matrix all = w; /* the choice is that for the whole product */
    all.rows = rp_padded(p->columns);
    op.w = &all;
    RP_TRY(rp_tune_matmul(&b->timer.ops, &op, &chosen, err));
    op.w = &w;
    for (uint32_t i = 0; i < count; i++)
        RP_TRY(time_kernel(b, p, &op, &kernels[i], same_kernel(&kernels[i], &chosen), err));
done:
    rp_matrix_finish(&w);
    rp_store_finish(&b->weights);
    return status;
}

/* ---- the others ---- */

static rp_status time_attention(op_bench *b, rp_error *err) {
    const rp_config *c = b->config;
    uint32_t head_dim = c->hidden_size / c->attention_heads, width = attention_width(c);
    rp_attention_kernel kernels[RP_MAX_KERNELS];
    uint64_t texels = (uint64_t)b->tokens * 3 * width / 4;
    uint32_t count = rp_plan_attention(&b->device->caps, head_dim, b->halves, texels, kernels);
    rp_attention_kernel chosen;
    rp_status status;
    RP_TRY(rp_tune_attention(&b->timer.ops, c->attention_heads, head_dim, b->halves, texels, &chosen, err));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *starts = b->lists.mapped, *tiles = starts + 64, made = 0;
        starts[0] = 0;
        starts[1] = b->tokens;
        for (uint32_t q = 0; q < b->tokens; q += kernels[i].queries) {
            tiles[2 * made] = 0;
            tiles[2 * made++ + 1] = q;
        }
        RP_TRY(rp_buffer_flush(b->device, &b->lists, b->lists.size, err));
        const uint32_t counts[RP_COUNT_KINDS] = {
            [RP_COUNT_TOKENS] = b->tokens, [RP_COUNT_SEQUENCES] = 1, [RP_COUNT_TILES] = made};
        double t = b->tokens;
        rp_op_time time = {.op = "attention",
                           .columns = c->hidden_size,
                           .timed = 1,
                           .operations = 4 * t * t * c->hidden_size,
                           .unit = part_of(rp_unit_of(kernels[i].rounding, kernels[i].matrix)),
                           .bytes = (b->halves ? 8 : 16) * t * width,
                           .chosen = !memcmp(&kernels[i], &chosen, sizeof chosen)};
        rp_name_attention(&kernels[i], time.kernel);
        rp_attention op = {.heads = c->attention_heads,
                           .head_dim = head_dim,
                           .kernel = &kernels[i],
                           .qkv = first(b->in, (uint64_t)b->tokens * 3 * width),
                           .starts = rp_buffer_range(&b->lists, 0, 256),
                           .tiles = rp_buffer_range(&b->lists, 256, b->lists.size - 256),
                           .out = out_of(b, width),
                           .halves = b->halves};
        RP_TRY(rp_timer_begin(&b->timer, err));
        RP_TRY(rp_op_attention((rp_op_target){&b->timer.ops, b->timer.commands}, &op, err));
        RP_TRY(finish(b, &time, counts, err));
    }
done:
    return status;
}

static rp_status time_layernorm(op_bench *b, rp_error *err) {
    uint32_t width = b->config->hidden_size, padded = rp_padded(width);
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens};
    rp_range x = first(b->in, (uint64_t)b->tokens * padded);
    rp_row_kernel kernels[RP_MAX_KERNELS];
    rp_plan_layernorm(&b->device->caps, x.size / 16, kernels);
    rp_op_time time = {
        .op = "layer norm", .columns = width, .timed = 1, .bytes = 8.0 * b->tokens * width, .chosen = true};
    snprintf(time.kernel, sizeof time.kernel, "%s %u", kernels[0].shader, kernels[0].lanes);
    rp_layernorm op = {.label = "layer norm",
                       .width = width,
                       .eps = 1e-12f,
                       .x = x,
                       .out = out_of(b, padded),
                       .norm = first(b->residual, 2 * padded)};
    rp_status status;
    RP_TRY(rp_timer_begin(&b->timer, err));
    RP_TRY(rp_op_layernorm((rp_op_target){&b->timer.ops, b->timer.commands}, &op, err));
    RP_TRY(finish(b, &time, counts, err));
done:
    return status;
}

static rp_status time_gather(op_bench *b, rp_error *err) {
    uint32_t width = b->config->hidden_size, padded = rp_padded(width);
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = b->tokens};
    rp_op_time time = {
        .op = "gather", .columns = width, .timed = 1, .bytes = 8.0 * b->tokens * width, .chosen = true};
    snprintf(time.kernel, sizeof time.kernel, "gather %u", b->timer.ops.lanes);
    rp_gather op = {.label = "gather",
                    .width = width,
                    .x = first(b->in, (uint64_t)b->tokens * padded),
                    .out = out_of(b, padded)};
    rp_status status;
    RP_TRY(rp_timer_begin(&b->timer, err));
    RP_TRY(rp_op_gather((rp_op_target){&b->timer.ops, b->timer.commands}, &op, err));
    RP_TRY(finish(b, &time, counts, err));
done:
    return status;
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
    RP_TRY(rp_timer_open(&b->timer, b->device, err));
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
    if (!status) status = time_layernorm(b, err);
    return status ? status : time_gather(b, err);
}

rp_roofline_part rp_bench_unit(const rp_model *model) {
    uint32_t most = 0;
    for (uint32_t u = 1; model && u < RP_UNITS; u++)
        if (model->ops.work[u] > model->ops.work[most]) most = u;
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
        rp_timer_close(&b.timer);
        rp_store_finish(&b.inputs);
        rp_buffer_destroy(device, &b.out);
        rp_buffer_destroy(device, &b.lists);
        rp_device_leave(device, status);
    }
    rp_config_finish(&c);
    return status;
}
