/* How many tokens a batch has, which buffers a model allocates for it, and where in them a layer reads and
 * writes. */
#include "model/exits.h"

#include "ops/attention.h"
#include "ops/patience.h"

enum {
    WIDEST_DEFAULT = 64 << 20, /* bytes of the widest activation, float32, of a default batch */
    DEFAULT_TOKENS = 4096,
    MOST_TOKENS = 65535, /* as many workgroups as every device allows in one dimension */
};

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* ---- sizes ---- */

static uint32_t attention_width(const rp_config *config) {
    return rp_attention_width(config->attention_heads, config->hidden_size / config->attention_heads);
}

/* Bytes of one element of the layers' activations. */
static uint32_t element(const rp_model *model) {
    return model->half ? 2 : 4;
}

/* Bytes of the widest row that a buffer holds for one token. `bytes`: of one element of a layer. */
static uint32_t widest_row(const rp_config *config, uint32_t bytes) {
    uint32_t h = rp_padded(config->hidden_size);
    uint32_t layer = larger(4 * attention_width(config), rp_spread_stride(config->intermediate_size, bytes));
    return larger(bytes * layer, 4 * (h + 2 * rp_padded(config->embedding_size)));
}

/* Tokens of a batch of which `wanted` are asked for; 0: as many as suit the model. */
static uint64_t tokens_of(const rp_config *config, uint64_t range, uint32_t bytes, uint32_t wanted) {
    uint64_t tokens = wanted;
    if (!wanted) {
        tokens =
            WIDEST_DEFAULT /
            widest_row(config, 4); /* as for float32: a lower precision has the same batch in less memory */
        if (tokens > DEFAULT_TOKENS) tokens = DEFAULT_TOKENS;
    }
    if (tokens < config->max_positions) tokens = config->max_positions; /* the longest must always fit */
    tokens = rp_round_up(tokens, 4); /* every range of `wide` begins at a multiple of 256 bytes */
    if (tokens > range / widest_row(config, bytes)) tokens = range / widest_row(config, bytes);
    if (tokens > MOST_TOKENS) tokens = MOST_TOKENS;
    return tokens & ~3ull;
}

static rp_status choose_batch(rp_model *model, uint32_t wanted, uint32_t *out, rp_error *err) {
    const rp_caps *caps = &model->device->caps;
    uint64_t row = widest_row(&model->config, element(model)), positions = model->config.max_positions;
    uint64_t range = rp_caps_range_limit(caps),
             tokens = tokens_of(&model->config, range, element(model), wanted);
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
    } fields[] = {
        {&at->counts, RP_ALL_COUNTS * 4},
        {&at->indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)},
        {&at->tokens, tokens * 16ull},
        {&at->starts, (tokens + 1) * 4ull},
        {&at->tiles, tokens * 8ull},
        {&at->rows, tokens * 4ull},
        {&at->exits, rp_exits_width(model) ? tokens * sizeof(rp_exit_entry) : 0},
    };
    for (size_t i = 0; i < RP_COUNT(fields); i++) {
        *fields[i].offset = rp_round_up(end, alignment);
        end = *fields[i].offset + fields[i].bytes;
    }
    at->size = end;
}

/* Floats of the output buffer. It holds the hidden states of a whole batch, and of every other output at
 * least one sequence (16 rows of a masked language model): where a batch has more, next_batch in run.c cuts
 * it. */
static uint64_t output_floats(const rp_model *model) {
    uint64_t floats = (uint64_t)model->batch_tokens * rp_padded(model->config.hidden_size);
    for (int i = 0; i < RP_OUTPUT_COUNT; i++) {
        rp_output output = (rp_output)i;
        if (!rp_output_available(model, output)) continue;
        uint64_t rows = rp_output_rows(output) == RP_COUNT_TOKENS ? model->config.max_positions
                        : rp_output_rows(output) == RP_COUNT_ROWS ? 16
                                                                  : 1;
        uint64_t needed = rows * rp_padded(rp_output_width(model, output));
        if (floats < needed) floats = needed;
    }
    uint64_t exits = (uint64_t)model->batch_tokens * rp_padded(rp_exits_width(model)); /* of a batch */
    return floats < exits ? exits : floats;
}

uint64_t rp_model_hidden_bytes(const rp_model *model) {
    return (uint64_t)model->batch_tokens * rp_padded(model->config.hidden_size) * element(model);
}

rp_status rp_model_create_buffers(rp_model *model, uint32_t max_batch_tokens, rp_error *err) {
    rp_activations *a = &model->activations;
    rp_device *device = model->device;
    rp_status status;
    RP_TRY(choose_batch(model, max_batch_tokens, &model->batch_tokens, err));
    uint64_t tokens = model->batch_tokens;
    model->output_floats = output_floats(model);
    if (model->output_floats * 4 > device->caps.info.max_storage_bytes)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the results of one sequence, %llu bytes, do not fit a storage buffer of %s",
                       model->dir, (unsigned long long)model->output_floats * 4, device->caps.info.name);
    lay_out_input(model, (uint32_t)tokens);
    const rp_host_matrix zeros = {
        .columns = model->batch_tokens}; /* the last workgroup of a replay writes them again */
    RP_TRY(rp_vectors_create(&model->on_device.store, &zeros, 1, "arrivals", &a->arrived, err));
    RP_TRY(rp_store_flush(&model->on_device.store, err));
    RP_TRY(rp_buffer_create(device, a->at.size, RP_MEMORY_INPUT, "input", &a->input, err));
    RP_TRY(rp_buffer_create(device, model->output_floats * 4, RP_MEMORY_OUTPUT, "output", &a->output, err));
    RP_TRY(rp_exits_create(model, model->batch_tokens, &a->exits, err));
    RP_TRY(
        rp_buffer_create(device, rp_model_hidden_bytes(model), RP_MEMORY_DEVICE, "hidden", &a->hidden, err));
    RP_TRY(rp_buffer_create(device, tokens * widest_row(&model->config, element(model)), RP_MEMORY_DEVICE,
                            "wide", &a->wide, err));
done:
    return status;
}

static uint64_t activation_bytes(const rp_config *config, uint32_t bytes, uint64_t tokens) {
    /* the hidden states; the output; `wide`; 36 bytes that the host writes */
    return tokens * (rp_padded(config->hidden_size) * (bytes + 4ull) + widest_row(config, bytes) + 36);
}

uint64_t rp_model_activation_bytes(const rp_model *model, uint64_t tokens) {
    return activation_bytes(&model->config, element(model), tokens);
}

uint64_t rp_layout_activation_bytes(const rp_config *config, const rp_caps *caps) {
    return activation_bytes(config, 4, tokens_of(config, rp_caps_range_limit(caps), 4, 0));
}

/* ---- where a layer reads and writes ---- */

rp_range rp_model_range_of_wide(const rp_model *model, uint32_t skip, uint32_t width, uint32_t bytes) {
    VkDeviceSize tokens = model->batch_tokens;
    return rp_buffer_range(&model->activations.wide, tokens * skip * bytes, tokens * width * bytes);
}

rp_layer_buffers rp_model_layer_buffers(const rp_model *model) {
    const rp_activations *a = &model->activations;
    uint64_t tokens = model->batch_tokens;
    uint32_t bytes = element(model), width = attention_width(&model->config);
    rp_range hidden = rp_buffer_range(&a->hidden, 0, a->hidden.size);
    return (rp_layer_buffers){.in = hidden,
                              .qkv = rp_model_range_of_wide(model, 0, 3 * width, bytes),
                              .starts = rp_buffer_range(&a->input, a->at.starts, (tokens + 1) * 4),
                              .tiles = rp_buffer_range(&a->input, a->at.tiles, tokens * 8),
                              .context = rp_model_range_of_wide(model, 3 * width, width, bytes),
                              .attended = a->apart.buffer ? a->apart : hidden,
                              .inner = rp_model_range_of_wide(
                                  model, 0, rp_spread_stride(model->config.intermediate_size, bytes), bytes),
                              .out = hidden,
                              .arrived = a->arrived};
}
