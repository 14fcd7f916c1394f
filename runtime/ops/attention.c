#include "ops/ops.h"

#include <math.h>

rp_status rp_op_attention(rp_op_target target, const rp_attention *op, rp_error *err) {
    const rp_attention_kernel *kernel = op->kernel;
    uint32_t stride = rp_attention_width(op->heads, op->head_dim) / 4;
    rp_pipeline_key key = {.shader = kernel->shader,
                           .constants = {kernel->lanes, rp_head_width(op->head_dim) / 4, kernel->queries,
                                         kernel->keys, op->halves, kernel->matrix.m, kernel->matrix.n,
                                         kernel->matrix.k, kernel->subgroup_lanes},
                           .constant_count = kernel->matrix.m ? 9 : 5,
                           .subgroup_size = kernel->subgroup_size,
                           .bindings = 5,
                           .texels = kernel->texels ? 1 << 1 : 0,
                           .push_words = 5};
    rp_dispatch dispatch = {
        .bindings = {{0}, op->qkv, op->starts, rp_range_after(op->tiles, 8ull * op->slice.first), op->out},
        .formats = {[1] = op->halves & RP_HALF_X ? VK_FORMAT_R16G16B16A16_SFLOAT
                                                 : VK_FORMAT_R32G32B32A32_SFLOAT},
        .push = {3 * stride, stride, stride, op->heads, rp_float_bits(1.0f / sqrtf((float)op->head_dim))}};
    /* the shader compares with the number of all tiles, and a slice has its own number of workgroups */
    rp_grid grid = {op->slice.count ? op->slice.count : RP_COUNT_TILES, 1, op->heads};
    return rp_op_dispatch(target, &key, grid, "attention", &dispatch, err);
}
