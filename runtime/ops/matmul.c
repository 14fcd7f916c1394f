#include "ops/ops.h"

#include "base/alloc.h"

enum { TILE = 4 /* rows of one invocation, TILE of shaders/matmul.comp */, NO_BIAS = -1 };

rp_status rp_op_matmul(rp_op_target target, const rp_matmul *op, rp_error *err) {
    /* 8 invocations across a panel; on a GPU 8 such blocks fill a workgroup */
    uint32_t blocks = target.ops->lanes > 8 ? target.ops->lanes / 8 : 1;
    rp_pipeline_key key = {.shader = "matmul",
                           .constants = {8, blocks, op->w->format},
                           .constant_count = 3,
                           .bindings = 6,
                           .push_words = 8};
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < op->w->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &op->w->chunks[c];
        uint32_t column = chunk->first_panel * RP_PANEL / 4;
        bool bias = op->bias.buffer, residual = op->residual.buffer;
        rp_dispatch dispatch = {
            .bindings =
                {{0}, op->x, chunk->range, bias ? op->bias : op->x, residual ? op->residual : op->x, op->out},
            .push = {op->rows, op->w->k / 4, op->w->k / 4, op->w->rows / 4, column,
                     residual ? op->w->rows / 4 : 0, bias ? column : (uint32_t)NO_BIAS, op->activation}};
        rp_grid grid = {op->rows, blocks * TILE, chunk->panels};
        status = rp_op_dispatch(target, &key, grid, op->label, &dispatch, err);
    }
    return status;
}
