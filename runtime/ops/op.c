#include "ops/class.h"

#include "base/alloc.h"

void rp_ops_write_grids(const rp_ops *ops, const uint32_t *counts, VkDispatchIndirectCommand *out) {
    for (uint32_t i = 0; i < ops->grid_count; i++) {
        const rp_grid *grid = &ops->grids[i];
        uint32_t x = grid->per_group ? (uint32_t)rp_div_up(counts[grid->count], grid->per_group)
                                     : (uint32_t)grid->count;
        out[i] = (VkDispatchIndirectCommand){x, grid->y, 1};
    }
}

/* Equal grids share one command. */
static rp_status grid_index(rp_ops *ops, rp_grid grid, uint32_t *out, rp_error *err) {
    for (uint32_t i = 0; i < ops->grid_count; i++) {
        const rp_grid *g = &ops->grids[i];
        *out = i;
        if (g->count == grid.count && g->per_group == grid.per_group && g->y == grid.y) return RP_OK;
    }
    if (ops->grid_count == RP_MAX_GRIDS)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "the model needs more than %d different dispatch grids",
                       RP_MAX_GRIDS);
    *out = ops->grid_count;
    ops->grids[ops->grid_count++] = grid;
    return RP_OK;
}

rp_status rp_op_dispatch(rp_op_target target, const rp_pipeline_key *key, rp_grid grid, const char *label,
                         rp_dispatch *dispatch, rp_error *err) {
    rp_ops *ops = target.ops;
    uint32_t index = 0;
    if (grid.y > ops->device->caps.max_groups[1])
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: %u workgroups, and the device takes %u", label, grid.y,
                       ops->device->caps.max_groups[1]);
    rp_status status = grid_index(ops, grid, &index, err);
    if (!status) status = rp_pipeline_get(ops->pipelines, key, &dispatch->pipeline, err);
    if (status) return status;
    dispatch->label = label;
    dispatch->bindings[0] = ops->counts;
    dispatch->indirect =
        (rp_range){.buffer = ops->indirect.buffer,
                   .offset = ops->indirect.offset + index * sizeof(VkDispatchIndirectCommand),
                   .size = sizeof(VkDispatchIndirectCommand)};
    return rp_record_dispatch(&ops->recorder, target.commands, dispatch, err);
}

rp_status rp_op_record(rp_op_target target, const rp_op *op, rp_error *err) {
    return op->class->record(target, op, err);
}

rp_use rp_use_of(const rp_op *op) {
    rp_use use = {.halves = op->halves,
                  .bias = op->bias.buffer,
                  .residual = op->residual.buffer,
                  .norm = op->norm.buffer,
                  .activation = op->activation,
                  .head_dim = op->head_dim,
                  .variant = op->variant,
                  .texels = op->x.size / (op->halves & RP_HALF_X ? 8 : 16)};
    for (int i = 0; i < 3; i++) {
        const rp_matrix *w = op->w[i] ? op->w[i] : op->w[0];
        if (!w) continue;
        use.formats[i] = w->format;
        for (uint32_t c = 0; c < w->chunk_count; c++) {
            uint64_t texels = rp_matrix_texels(w, w->chunks[c].panels);
            if (texels > use.texels) use.texels = texels;
        }
    }
    return use;
}

rp_range rp_range_after(rp_range range, VkDeviceSize skip) {
    range.offset += skip;
    range.size -= skip;
    return range;
}

uint32_t rp_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
