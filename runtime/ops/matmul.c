#include "base/alloc.h"
#include "ops/ops.h"
#include "ops/tune.h"

static VkFormat texel_format(rp_format format) {
    if (rp_format_words(format)) return VK_FORMAT_R32G32B32A32_UINT;
    return format == RP_FORMAT_F32 ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R16G16B16A16_SFLOAT;
}

/* From row number `first` on, of rows of `width` elements. */
static rp_range rows_after(rp_range range, uint32_t first, uint32_t width, bool half) {
    return rp_range_after(range, (VkDeviceSize)first * width * (half ? 2 : 4));
}

rp_status rp_op_matmul_with(rp_op_target target, const rp_matmul *op, const rp_matmul_kernel *kernel,
                            rp_error *err) {
    bool bias = op->bias.buffer, residual = op->residual.buffer, norm = op->norm.buffer;
    rp_pipeline_key key = {.shader = norm ? kernel->norm_shader : kernel->shader,
                           .constants = {kernel->lanes, kernel->blocks, op->w->format, op->activation, bias,
                                         residual, kernel->rows, kernel->columns, op->halves, kernel->depth,
                                         kernel->matrix.m, kernel->matrix.n, kernel->matrix.k,
                                         kernel->across},
                           .constant_count = kernel->matrix.m ? 14
                                             : kernel->depth  ? 10
                                                              : 9,
                           .subgroup_size = kernel->subgroup_size,
                           .bindings = norm ? 8 : 6,
                           .texels = kernel->texels ? 1 << 1 | 1 << 2 : 0,
                           .push_words = norm ? 9 : 6,
                           .code = kernel->rows * kernel->columns * (norm ? 2 : 1)};
    uint32_t groups = 0; /* that work on one tile of rows */
    for (uint32_t c = 0; c < op->w->chunk_count; c++)
        groups += (uint32_t)rp_div_up(op->w->chunks[c].panels * RP_PANEL / 4, rp_kernel_columns(kernel));
    rp_count rows = op->slice.count ? op->slice.count : op->rows;
    uint32_t x_stride = op->x_stride ? op->x_stride : op->w->k,
             out_stride = op->out_stride ? op->out_stride : op->w->rows;
    rp_range x = rows_after(op->x, op->slice.first, x_stride, op->halves & RP_HALF_X),
             out = rows_after(op->out, op->slice.first, out_stride, op->halves & RP_HALF_OUT),
             added = residual
                         ? rows_after(op->residual, op->slice.first, out_stride, op->halves & RP_HALF_OUT)
                         : x;
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < op->w->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &op->w->chunks[c];
        uint32_t columns = chunk->panels * RP_PANEL / 4;
        rp_dispatch dispatch = {
            .bindings = {{0}, x, chunk->range, bias ? op->bias : x, added, out, op->norm, op->arrived},
            .formats = {[1] = texel_format(op->halves & RP_HALF_X ? RP_FORMAT_F16 : RP_FORMAT_F32),
                        [2] = texel_format(op->w->format)},
            .push = {rows, op->w->k / 4, columns, chunk->first_panel * RP_PANEL / 4, out_stride / 4,
                     x_stride / 4, groups, op->norm_width, rp_float_bits(op->norm_eps)}};
        rp_grid grid = {rows, rp_kernel_rows(kernel),
                        (uint32_t)rp_div_up(columns, rp_kernel_columns(kernel))};
        status = rp_op_dispatch(target, &key, grid, op->label, &dispatch, err);
    }
    return status;
}

rp_status rp_op_matmul(rp_op_target target, const rp_matmul *op, rp_error *err) {
    rp_matmul_kernel kernel;
    rp_status status = rp_tune_matmul(target.ops, op, &kernel, err);
    if (!status && op->rows == RP_COUNT_TOKENS && !op->slice.count)
        target.ops->work[rp_unit_of(kernel.rounding, kernel.matrix)] += (double)op->w->rows * op->w->k;
    return status ? status : rp_op_matmul_with(target, op, &kernel, err);
}
