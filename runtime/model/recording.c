/* Buffers and command buffers of a model: everything a run needs, made once. */
#include "model/model.h"

#include <string.h>

#include "ops/tune.h"

enum {
    WIDEST_DEFAULT = 64 << 20, /* bytes of the widest activation that a default batch may take */
    DEFAULT_TOKENS = 4096,
    MOST_TOKENS = 65535, /* workgroups that every device can count in one dimension */
};

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

unsigned rp_output_head(rp_output output) {
    static const unsigned needs[RP_OUTPUT_COUNT] = {
        [RP_OUTPUT_POOLED] = RP_HEAD_POOLER, [RP_OUTPUT_CLASSES] = RP_HEAD_CLASSIFIER,
        [RP_OUTPUT_TOKENS] = RP_HEAD_TOKENS, [RP_OUTPUT_SPANS] = RP_HEAD_SPANS,
        [RP_OUTPUT_CHOICE] = RP_HEAD_CHOICE, [RP_OUTPUT_MASKED_LM] = RP_HEAD_MASKED_LM,
        [RP_OUTPUT_ORDER] = RP_HEAD_ORDER,
    };
    return needs[output];
}

bool rp_output_available(const rp_model *model, rp_output output) {
    if ((unsigned)output >= RP_OUTPUT_COUNT) return false;
    unsigned head = rp_output_head(output);
    return (model->info.heads & head) == head;
}

uint32_t rp_output_width(const rp_model *model, rp_output output) {
    switch (output) {
    case RP_OUTPUT_CLASSES:
    case RP_OUTPUT_TOKENS:
        return model->config.label_count;
    case RP_OUTPUT_SPANS:
    case RP_OUTPUT_ORDER:
        return 2;
    case RP_OUTPUT_CHOICE:
        return 1;
    case RP_OUTPUT_MASKED_LM:
        return model->config.vocab_size;
    default:
        return model->config.hidden_size;
    }
}

rp_count rp_output_rows(rp_output output) {
    switch (output) {
    case RP_OUTPUT_HIDDEN:
    case RP_OUTPUT_TOKENS:
    case RP_OUTPUT_SPANS:
        return RP_COUNT_TOKENS;
    case RP_OUTPUT_MASKED_LM:
        return RP_COUNT_ROWS;
    default:
        return RP_COUNT_SEQUENCES;
    }
}

/* ---- sizes ---- */

static uint32_t head_dim(const rp_config *config) {
    return config->hidden_size / config->attention_heads;
}

static uint32_t attention_width(const rp_config *config) {
    return rp_attention_width(config->attention_heads, head_dim(config));
}

/* Bytes of one element of the layers' activations. */
static uint32_t element(const rp_model *model) {
    return model->half ? 2 : 4;
}

/* Bytes of the widest row that any buffer holds for one token, when an element of a layer has so many. */
static uint32_t widest_row_of(const rp_config *config, uint32_t bytes) {
    uint32_t h = rp_padded(config->hidden_size);
    uint32_t layer = larger(4 * attention_width(config), rp_spread_stride(config->intermediate_size, bytes));
    return larger(bytes * layer, 4 * (h + 2 * rp_padded(config->embedding_size)));
}

static uint32_t widest_row(const rp_model *model) {
    return widest_row_of(&model->config, element(model));
}

static rp_status choose_batch(rp_model *model, uint32_t wanted, uint32_t *out, rp_error *err) {
    const rp_caps *caps = &model->device->caps;
    uint64_t row = widest_row(model), positions = model->config.max_positions;
    uint64_t range = caps->info.max_storage_bytes < caps->max_allocation ? caps->info.max_storage_bytes
                                                                         : caps->max_allocation;
    uint64_t tokens = wanted;
    if (!wanted) {
        tokens =
            WIDEST_DEFAULT / widest_row_of(&model->config, 4); /* of any precision: less of it takes less */
        if (tokens > DEFAULT_TOKENS) tokens = DEFAULT_TOKENS;
    }
    if (tokens < positions) tokens = positions; /* the longest sequence must always fit */
    tokens = rp_round_up(tokens, 4);            /* every part of `wide` begins at a multiple of 256 bytes */
    if (tokens > range / row) tokens = range / row;
    if (tokens > MOST_TOKENS) tokens = MOST_TOKENS;
    tokens &= ~3ull;
    if (tokens < positions)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: a sequence of max_position_embeddings %u tokens needs buffers of %llu bytes, and "
                       "%s takes %llu",
                       model->config.path ? model->config.path : model->dir, model->config.max_positions,
                       (unsigned long long)(row * positions), caps->info.name, (unsigned long long)range);
    *out = (uint32_t)tokens;
    return RP_OK;
}

static void lay_out_input(rp_model *model, uint32_t tokens) {
    rp_input_layout *at = &model->activations.at;
    VkDeviceSize alignment = larger(16, (uint32_t)model->device->caps.storage_alignment);
    VkDeviceSize end = 0;
    const struct {
        VkDeviceSize *offset, bytes;
    } parts[] = {
        {&at->counts, RP_ALL_COUNTS * 4}, {&at->indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)},
        {&at->tokens, tokens * 16ull},    {&at->starts, (tokens + 1) * 4ull},
        {&at->tiles, tokens * 8ull},      {&at->rows, tokens * 4ull},
    };
    for (size_t i = 0; i < RP_COUNT(parts); i++) {
        *parts[i].offset = rp_round_up(end, alignment);
        end = *parts[i].offset + parts[i].bytes;
    }
    at->size = end;
}

/* Floats of the output buffer: the hidden states of a whole batch, and at least one sequence (16 rows of a
 * language model) of every other output. What does not fit is left to the next submission. */
static uint64_t output_floats(const rp_model *model) {
    uint64_t floats = (uint64_t)model->info.max_batch_tokens * rp_padded(model->config.hidden_size);
    for (int i = 0; i < RP_OUTPUT_COUNT; i++) {
        rp_output output = (rp_output)i;
        if (!rp_output_available(model, output)) continue;
        uint64_t rows = rp_output_rows(output) == RP_COUNT_TOKENS ? model->config.max_positions
                        : rp_output_rows(output) == RP_COUNT_ROWS ? 16
                                                                  : 1;
        uint64_t needed = rows * rp_padded(rp_output_width(model, output));
        if (floats < needed) floats = needed;
    }
    return floats;
}

/* Counters that every replay leaves at zero. */
static rp_status create_arrived(rp_model *model, rp_error *err) {
    rp_store *store = &model->on_device.store;
    VkDeviceSize bytes = 4ull * model->info.max_batch_tokens;
    rp_status status = rp_store_reserve(store, bytes, &model->activations.arrived, err);
    if (status) return status;
    void *zeros = rp_store_write(store, model->activations.arrived, 0, bytes, err);
    if (!zeros) return err ? err->status : RP_ERROR_DEVICE;
    memset(zeros, 0, (size_t)bytes);
    return rp_store_flush(store, err);
}

uint64_t rp_model_hidden_bytes(const rp_model *model) {
    return (uint64_t)model->info.max_batch_tokens * rp_padded(model->config.hidden_size) * element(model);
}

static rp_status create_buffers(rp_model *model, rp_error *err) {
    rp_activations *a = &model->activations;
    rp_device *device = model->device;
    uint64_t tokens = model->info.max_batch_tokens;
    rp_status status;
    model->output_floats = output_floats(model);
    if (model->output_floats * 4 > device->caps.info.max_storage_bytes)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the results of one sequence, %llu bytes, do not fit a storage buffer of %s",
                       model->dir, (unsigned long long)model->output_floats * 4, device->caps.info.name);
    lay_out_input(model, (uint32_t)tokens);
    RP_TRY(create_arrived(model, err));
    RP_TRY(rp_buffer_create(device, a->at.size, RP_MEMORY_INPUT, "input", &a->input, err));
    RP_TRY(rp_buffer_create(device, model->output_floats * 4, RP_MEMORY_OUTPUT, "output", &a->output, err));
    RP_TRY(
        rp_buffer_create(device, rp_model_hidden_bytes(model), RP_MEMORY_DEVICE, "hidden", &a->hidden, err));
    RP_TRY(rp_buffer_create(device, tokens * widest_row(model), RP_MEMORY_DEVICE, "wide", &a->wide, err));
done:
    return status;
}

uint64_t rp_model_activation_bytes(const rp_model *model, uint64_t tokens) {
    uint64_t h = rp_padded(model->config.hidden_size);
    /* hidden, the output, and what the host writes */
    return tokens * (h * (element(model) + 4) + widest_row(model) + 36);
}

/* ---- recording ---- */

static rp_range whole(const rp_buffer *buffer) {
    return rp_buffer_range(buffer, 0, buffer->size);
}

/* `width` elements of `bytes` for each token of `wide`, after the first `skip` for each. */
static rp_range part_of_wide(const rp_model *model, uint32_t skip, uint32_t width, uint32_t bytes) {
    VkDeviceSize tokens = model->info.max_batch_tokens;
    return rp_buffer_range(&model->activations.wide, tokens * skip * bytes, tokens * width * bytes);
}

/* Of an operator inside the layers, or that reads or writes `hidden`, or both. */
static unsigned halves(const rp_model *model, unsigned which) {
    return model->half ? which : 0;
}

static rp_range input(const rp_model *model, VkDeviceSize offset, VkDeviceSize bytes) {
    return rp_buffer_range(&model->activations.input, offset, bytes);
}

static rp_op_activation activation(const rp_config *config) {
    switch (config->activation) {
    case RP_ACTIVATION_GELU:
        return RP_OP_GELU;
    case RP_ACTIVATION_GELU_TANH:
        return RP_OP_GELU_TANH;
    case RP_ACTIVATION_RELU:
        return RP_OP_RELU;
    case RP_ACTIVATION_TANH:
        return RP_OP_TANH;
    default:
        return RP_OP_NONE;
    }
}

rp_status rp_model_record_prologue(rp_model *model, VkCommandBuffer *out, rp_error *err) {
    const rp_device_weights *w = &model->on_device;
    rp_activations *a = &model->activations;
    rp_status status;
    RP_TRY(rp_record_begin(&model->ops.recorder, "prologue", out, err));
    rp_op_target to = {&model->ops, *out};
    bool mapped = w->mapping.chunk_count;
    rp_range sum = part_of_wide(model, 0, w->word.k, 4);
    rp_range normed = mapped ? part_of_wide(model, w->word.k, w->word.k, 4) : whole(&a->hidden);
    rp_embedding embed = {input(model, a->at.tokens, model->info.max_batch_tokens * 16ull), &w->word,
                          &w->position, &w->type, sum};
    RP_TRY(rp_op_embed(to, &embed, err));
    rp_record_barrier(&model->ops.recorder, to.commands);
    rp_layernorm norm = {.label = "embedding norm",
                         .width = model->config.embedding_size,
                         .eps = model->config.norm_eps,
                         .x = sum,
                         .out = normed,
                         .norm = w->embedding_norm,
                         .halves = mapped ? 0 : halves(model, RP_HALF_OUT)};
    RP_TRY(rp_op_layernorm(to, &norm, err));
    if (mapped) {
        rp_record_barrier(&model->ops.recorder, to.commands);
        rp_matmul mapping = {.label = "mapping in",
                             .x = normed,
                             .w = &w->mapping,
                             .bias = w->mapping_bias,
                             .out = whole(&a->hidden),
                             .halves = halves(model, RP_HALF_OUT)};
        RP_TRY(rp_op_matmul(to, &mapping, err));
    }
    RP_TRY(rp_record_end(&model->ops.recorder, to.commands, err));
done:
    return status;
}

/* hidden -> hidden, through the products and the attention of one layer: part number `part`, or slice number
 * `*slice` of it. */
static rp_status record_part(rp_model *model, rp_op_target to, const rp_device_layer *w, rp_layer_part part,
                             const uint32_t *slice, rp_error *err) {
    const rp_config *config = &model->config;
    rp_activations *a = &model->activations;
    uint32_t bytes = element(model), width = attention_width(config);
    uint32_t inner_stride = rp_spread_stride(config->intermediate_size, bytes);
    uint64_t tokens = model->info.max_batch_tokens;
    unsigned both = halves(model, RP_HALF_X | RP_HALF_OUT);
    rp_range hidden = whole(&a->hidden), attended = a->apart.buffer ? a->apart : hidden;
    rp_range qkv = part_of_wide(model, 0, 3 * width, bytes),
             context = part_of_wide(model, 3 * width, width, bytes),
             inner = part_of_wide(model, 0, inner_stride, bytes);
    rp_count kind = part == RP_PART_ATTENTION ? RP_COUNT_TILES : RP_COUNT_TOKENS;
    rp_slice some = {0};
    if (slice) some = (rp_slice){rp_count_slice(kind, *slice), *slice * model->slice_rows};
    rp_matmul product = {.halves = both, .slice = some};
    switch (part) {
    case RP_PART_QKV:
        product.label = "qkv";
        product.x = hidden, product.w = &w->qkv, product.bias = w->qkv_bias, product.out = qkv;
        break;
    case RP_PART_ATTENTION: {
        rp_attention attention = {.heads = config->attention_heads,
                                  .head_dim = head_dim(config),
                                  .kernel = &model->attention,
                                  .qkv = qkv,
                                  .starts = input(model, a->at.starts, (tokens + 1) * 4),
                                  .tiles = input(model, a->at.tiles, tokens * 8),
                                  .out = context,
                                  .halves = both,
                                  .slice = some};
        return rp_op_attention(to, &attention, err);
    }
    case RP_PART_FFN:
        product.label = "ffn";
        product.x = attended, product.w = &w->ffn, product.bias = w->ffn_bias, product.out = inner;
        product.out_stride = inner_stride;
        product.activation = activation(config);
        break;
    default: { /* what ends in a residual and LayerNorm */
        bool dense = part == RP_PART_DENSE;
        product.label = dense ? "attention output" : "ffn output";
        product.x = dense ? context : inner;
        product.x_stride = dense ? 0 : inner_stride;
        product.w = dense ? &w->dense : &w->ffn_output;
        product.bias = dense ? w->dense_bias : w->ffn_output_bias;
        product.residual = dense ? hidden : attended;
        product.out = dense ? attended : hidden;
        product.norm = dense ? w->attention_norm : w->output_norm;
        product.arrived = a->arrived;
        product.norm_width = config->hidden_size;
        product.norm_eps = config->norm_eps;
    }
    }
    return rp_op_matmul(to, &product, err);
}

rp_status rp_model_record_group(rp_model *model, uint32_t group, VkCommandBuffer commands, rp_error *err) {
    uint32_t inner = model->config.inner_layers;
    rp_op_target to = {&model->ops, commands};
    rp_status status = RP_OK;
    for (uint32_t n = 0; !status && n < inner * RP_LAYER_PARTS; n++) {
        const rp_device_layer *layer = &model->on_device.layers[group * inner + n / RP_LAYER_PARTS];
        if (n) rp_record_barrier(&model->ops.recorder, commands);
        status = record_part(model, to, layer, (rp_layer_part)(n % RP_LAYER_PARTS), NULL, err);
    }
    return status;
}

/* One command buffer for each group. */
static rp_status record_groups(rp_model *model, VkCommandBuffer **groups, rp_error *err) {
    rp_status status = RP_OK;
    if (!*groups) *groups = rp_new_array(VkCommandBuffer, model->config.groups);
    if (!*groups) return rp_fail_memory(err, "command buffers", model->config.groups * sizeof **groups);
    for (uint32_t g = 0; g < model->config.groups; g++) {
        RP_TRY(rp_record_begin(&model->ops.recorder, "layer", &(*groups)[g], err));
        RP_TRY(rp_model_record_group(model, g, (*groups)[g], err));
        RP_TRY(rp_record_end(&model->ops.recorder, (*groups)[g], err));
    }
done:
    return status;
}

/* The layers once more, for few tokens. */
static rp_status record_few(rp_model *model, rp_error *err) {
    if (!model->wants_few) return RP_OK;
    model->few_tokens = rp_plan_few_rows(&model->device->caps);
    model->ops.few = true;
    rp_status status = record_groups(model, &model->few_groups, err);
    model->ops.few = false;
    return status;
}

rp_status rp_model_record_parts(rp_model *model, uint32_t slice_rows, rp_error *err) {
    const rp_config *config = &model->config;
    uint32_t slices = (uint32_t)rp_div_up(config->max_positions, slice_rows),
             parts = config->inner_layers * RP_LAYER_PARTS * slices, count = config->groups * parts,
             steps = config->layers * parts;
    rp_recorder *recorder = &model->ops.recorder;
    rp_status status = RP_OK;
    VkCommandBuffer *replay = realloc(model->replay, (steps + 2) * sizeof *replay);
    if (replay) model->replay = replay;
    model->parts = rp_new_array(VkCommandBuffer, count);
    model->slices = slices;
    model->slice_rows = slice_rows;
    if (!replay || !model->parts) return rp_fail_memory(err, "command buffers", steps * sizeof *replay);
    for (uint32_t i = 0; i < count; i++) {
        VkCommandBuffer *commands = &model->parts[i];
        uint32_t slice = i % slices, part = i / slices % RP_LAYER_PARTS, layer = i / slices / RP_LAYER_PARTS;
        RP_TRY(rp_record_begin(recorder, "part of a layer", commands, err));
        RP_TRY(record_part(model, (rp_op_target){&model->ops, *commands}, &model->on_device.layers[layer],
                           (rp_layer_part)part, slices > 1 ? &slice : NULL, err));
        RP_TRY(rp_record_end(recorder, *commands, err));
    }
done:
    return status;
}

/* The rows of input.rows -> dense + activation -> LayerNorm -> decoder. */
static rp_status record_masked_lm(rp_model *model, rp_op_target to, rp_error *err) {
    const rp_device_weights *w = &model->on_device;
    rp_activations *a = &model->activations;
    rp_recorder *recorder = &model->ops.recorder;
    uint32_t h = rp_padded(model->config.hidden_size), e = w->word.k;
    rp_range rows = part_of_wide(model, 0, h, 4), dense = part_of_wide(model, h, e, 4),
             normed = part_of_wide(model, h + e, e, 4);
    rp_status status;
    rp_gather gather = {.label = "masked rows",
                        .rows = RP_COUNT_ROWS,
                        .width = model->config.hidden_size,
                        .x = whole(&a->hidden),
                        .out = rows,
                        .list = input(model, a->at.rows, model->info.max_batch_tokens * 4ull),
                        .halves = halves(model, RP_HALF_X)};
    RP_TRY(rp_op_gather(to, &gather, err));
    rp_record_barrier(recorder, to.commands);
    rp_matmul transform = {.label = "masked LM",
                           .rows = RP_COUNT_ROWS,
                           .x = rows,
                           .w = &w->lm_dense,
                           .bias = w->lm_dense_bias,
                           .activation = activation(&model->config),
                           .out = dense};
    RP_TRY(rp_op_matmul(to, &transform, err));
    rp_record_barrier(recorder, to.commands);
    rp_layernorm norm = {.label = "masked LM norm",
                         .rows = RP_COUNT_ROWS,
                         .width = model->config.embedding_size,
                         .eps = model->config.norm_eps,
                         .x = dense,
                         .out = normed,
                         .norm = w->lm_norm};
    RP_TRY(rp_op_layernorm(to, &norm, err));
    rp_record_barrier(recorder, to.commands);
    rp_matmul decoder = {.label = "decoder",
                         .rows = RP_COUNT_ROWS,
                         .x = normed,
                         .w = w->lm_decoder.chunk_count ? &w->lm_decoder : &w->word,
                         .bias = w->lm_bias,
                         .out = whole(&a->output)};
    RP_TRY(rp_op_matmul(to, &decoder, err));
done:
    return status;
}

/* First tokens -> pooler -> one of the heads that stand on it. */
static rp_status record_pooled(rp_model *model, rp_op_target to, rp_output output, rp_error *err) {
    const rp_device_weights *w = &model->on_device;
    rp_activations *a = &model->activations;
    rp_recorder *recorder = &model->ops.recorder;
    uint32_t h = rp_padded(model->config.hidden_size);
    rp_range rows = part_of_wide(model, 0, h, 4), pooled = part_of_wide(model, h, h, 4),
             out = whole(&a->output);
    bool head = output == RP_OUTPUT_CLASSES || output == RP_OUTPUT_CHOICE || output == RP_OUTPUT_ORDER;
    rp_status status;
    rp_gather gather = {.label = "first tokens",
                        .rows = RP_COUNT_SEQUENCES,
                        .width = model->config.hidden_size,
                        .x = whole(&a->hidden),
                        .out = output == RP_OUTPUT_CLS ? out : rows,
                        .list = input(model, a->at.starts, (model->info.max_batch_tokens + 1) * 4ull),
                        .halves = halves(model, RP_HALF_X)};
    RP_TRY(rp_op_gather(to, &gather, err));
    if (output == RP_OUTPUT_CLS) goto done;
    rp_record_barrier(recorder, to.commands);
    rp_matmul pooler = {.label = "pooler",
                        .rows = RP_COUNT_SEQUENCES,
                        .x = rows,
                        .w = &w->pooler,
                        .bias = w->pooler_bias,
                        .activation = model->config.no_pooler ? RP_OP_RELU : RP_OP_TANH,
                        .out = head ? pooled : out};
    RP_TRY(rp_op_matmul(to, &pooler, err));
    if (!head) goto done;
    rp_record_barrier(recorder, to.commands);
    bool order = output == RP_OUTPUT_ORDER;
    rp_matmul classifier = {.label = "head",
                            .rows = RP_COUNT_SEQUENCES,
                            .x = pooled,
                            .w = order ? &w->order : &w->classifier,
                            .bias = order ? w->order_bias : w->classifier_bias,
                            .out = out};
    RP_TRY(rp_op_matmul(to, &classifier, err));
done:
    return status;
}

static rp_status record_output(rp_model *model, rp_op_target to, rp_output output, rp_error *err) {
    const rp_device_weights *w = &model->on_device;
    rp_activations *a = &model->activations;
    uint32_t hidden_size = model->config.hidden_size;
    rp_range hidden = whole(&a->hidden), out = whole(&a->output);
    switch (output) {
    case RP_OUTPUT_HIDDEN: {
        rp_gather copy = {.label = "hidden",
                          .width = hidden_size,
                          .x = hidden,
                          .out = out,
                          .halves = halves(model, RP_HALF_X)};
        return rp_op_gather(to, &copy, err);
    }
    case RP_OUTPUT_MEAN:
    case RP_OUTPUT_MAX: {
        rp_pool pool = {.width = hidden_size,
                        .largest = output == RP_OUTPUT_MAX,
                        .x = hidden,
                        .starts = input(model, a->at.starts, (model->info.max_batch_tokens + 1) * 4ull),
                        .out = out,
                        .halves = halves(model, RP_HALF_X)};
        return rp_op_pool(to, &pool, err);
    }
    case RP_OUTPUT_TOKENS:
    case RP_OUTPUT_SPANS: {
        rp_matmul classifier = {.label = "head",
                                .x = hidden,
                                .w = &w->classifier,
                                .bias = w->classifier_bias,
                                .out = out,
                                .halves = halves(model, RP_HALF_X)};
        return rp_op_matmul(to, &classifier, err);
    }
    case RP_OUTPUT_MASKED_LM:
        return record_masked_lm(model, to, err);
    default:
        return record_pooled(model, to, output, err);
    }
}

rp_status rp_model_record_epilogue(rp_model *model, rp_output output, VkCommandBuffer *out, rp_error *err) {
    rp_status status;
    RP_TRY(rp_record_begin(&model->ops.recorder, "epilogue", out, err));
    RP_TRY(record_output(model, (rp_op_target){&model->ops, *out}, output, err));
    rp_record_host_barrier(&model->ops.recorder, *out);
    RP_TRY(rp_record_end(&model->ops.recorder, *out, err));
done:
    return status;
}

static rp_status record_epilogues(rp_model *model, rp_error *err) {
    rp_status status = RP_OK;
    for (int output = 0; !status && output < RP_OUTPUT_COUNT; output++)
        if (rp_output_available(model, (rp_output)output))
            status = rp_model_record_epilogue(model, (rp_output)output, &model->epilogues[output], err);
    return status;
}

static rp_status choose_attention(rp_model *model, rp_error *err) {
    const rp_config *config = &model->config;
    uint64_t texels = (uint64_t)model->info.max_batch_tokens * 3 * attention_width(config) / 4;
    return rp_tune_attention(&model->ops, config->attention_heads, head_dim(config),
                             halves(model, RP_HALF_X | RP_HALF_OUT), texels, &model->attention, err);
}

static rp_status record_all(rp_model *model, rp_error *err) {
    rp_status status;
    RP_TRY(rp_model_record_prologue(model, &model->prologue, err));
    RP_TRY(record_groups(model, &model->groups, err));
    RP_TRY(record_few(model, err));
    RP_TRY(record_epilogues(model, err));
done:
    return status;
}

/* Every pipeline that the recording will ask for. Drivers take their time over one, and are asked for all at
 * once. */
static rp_status make_pipelines(rp_model *model, rp_error *err) {
    model->ops.recorder.dry = true;
    rp_status status = record_all(model, err);
    model->ops.recorder.dry = false;
    return status ? status : rp_pipeline_make(&model->ops.pipelines, err);
}

rp_status rp_model_record(rp_model *model, uint32_t max_batch_tokens, rp_error *err) {
    rp_device *device = model->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    RP_TRY(choose_batch(model, max_batch_tokens, &model->info.max_batch_tokens, err));
    RP_TRY(create_buffers(model, err));
    rp_activations *a = &model->activations;
    rp_ops_init(&model->ops, device, input(model, a->at.counts, RP_ALL_COUNTS * 4),
                input(model, a->at.indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)));
    RP_TRY(choose_attention(model, err));
    RP_TRY(make_pipelines(model, err));
    RP_TRY(record_all(model, err));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &model->fence));
    model->replay = rp_new_array(VkCommandBuffer, model->config.layers + 2);
    if (!model->replay)
        RP_TRY(rp_fail_memory(err, "the replay list", model->config.layers * sizeof *model->replay));
    model->replay[0] = model->prologue;
done:
    return status;
}
