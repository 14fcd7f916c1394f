/* The operators that work row by row: embedding, LayerNorm, gather, pooling. */
#include "ops/ops.h"

#include "base/alloc.h"
#include "ops/tune.h"

rp_status rp_op_layernorm_with(rp_op_target target, const rp_layernorm *op, const rp_row_kernel *kernel,
                               rp_error *err) {
    rp_pipeline_key key = {.shader = kernel->shader,
                           .constants = {kernel->lanes, op->halves},
                           .constant_count = 2,
                           .bindings = 4,
                           .texels = kernel->texels ? 1 << 1 | 1 << 2 : 0,
                           .push_words = 4};
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, op->norm, op->out},
        .formats = {[1] = VK_FORMAT_R32G32B32A32_SFLOAT, [2] = VK_FORMAT_R32G32B32A32_SFLOAT},
        .push = {op->rows, op->width, rp_padded(op->width) / 4, rp_float_bits(op->eps)}};
    return rp_op_dispatch(target, &key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

rp_status rp_op_layernorm(rp_op_target target, const rp_layernorm *op, rp_error *err) {
    rp_row_kernel kernel;
    rp_status status = rp_tune_layernorm(target.ops, op->halves, op->x.size / 16, &kernel, err);
    return status ? status : rp_op_layernorm_with(target, op, &kernel, err);
}

rp_status rp_op_embed(rp_op_target target, const rp_embedding *op, rp_error *err) {
    rp_pipeline_key key = {
        .shader = "embed",
        .constants = {target.ops->lanes, op->word->format, op->position->format, op->type->format},
        .constant_count = 4,
        .bindings = 6,
        .push_words = 3};
    if (op->position->chunk_count != 1 || op->type->chunk_count != 1)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "the position or type embeddings are larger than one storage buffer of this device");
    const rp_format formats[3] = {op->word->format, op->position->format, op->type->format};
    rp_status status = rp_tune_embed(target.ops, formats, err);
    for (uint32_t c = 0; !status && c < op->word->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &op->word->chunks[c];
        rp_dispatch dispatch = {
            .bindings = {{0},
                         op->tokens,
                         chunk->range,
                         op->position->chunks[0].range,
                         op->type->chunks[0].range,
                         op->out},
            .push = {op->word->k, chunk->first_panel * RP_PANEL, chunk->panels * RP_PANEL}};
        status = rp_op_dispatch(target, &key, (rp_grid){RP_COUNT_TOKENS, 1, 1}, "embed", &dispatch, err);
    }
    return status;
}

rp_status rp_op_gather(rp_op_target target, const rp_gather *op, rp_error *err) {
    rp_pipeline_key key = {.shader = "gather",
                           .constants = {target.ops->lanes, op->halves},
                           .constant_count = 2,
                           .bindings = 4,
                           .push_words = 3};
    bool list = op->list.buffer;
    rp_dispatch dispatch = {.bindings = {{0}, op->x, list ? op->list : op->x, op->out},
                            .push = {op->rows, rp_padded(op->width) / 4, list}};
    rp_status status = rp_tune_gather(target.ops, op->halves, err);
    if (status) return status;
    return rp_op_dispatch(target, &key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

rp_status rp_op_pool(rp_op_target target, const rp_pool *op, rp_error *err) {
    rp_pipeline_key key = {.shader = "pool",
                           .constants = {target.ops->lanes, op->halves},
                           .constant_count = 2,
                           .bindings = 4,
                           .push_words = 3};
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->starts, op->out},
                            .push = {RP_COUNT_SEQUENCES, rp_padded(op->width) / 4, op->largest}};
    rp_grid grid = {RP_COUNT_SEQUENCES, 1, (uint32_t)rp_div_up(rp_padded(op->width) / 4, target.ops->lanes)};
    rp_status status = rp_tune_pool(target.ops, op->halves, err);
    return status ? status : rp_op_dispatch(target, &key, grid, "pool", &dispatch, err);
}
