#include "ops/ops.h"

#include <math.h>

enum { MAX_QUERIES = 8, KEYS = 32 };

uint32_t rp_attention_queries(const rp_caps *caps, uint32_t head_dim) {
    for (uint32_t queries = MAX_QUERIES; queries; queries /= 2) {
        uint64_t shared = ((uint64_t)queries * head_dim + queries * KEYS + 3 * queries) * 4;
        if (shared <= caps->info.shared_bytes) return queries;
    }
    return 0;
}

rp_status rp_op_attention(rp_op_target target, const rp_attention *op, rp_error *err) {
    uint32_t stride = rp_padded(op->heads * op->head_dim);
    rp_pipeline_key key = {.shader = "attention",
                           .constants = {target.ops->lanes, op->head_dim, op->queries, KEYS},
                           .constant_count = 4,
                           .bindings = 5,
                           .push_words = 5};
    rp_dispatch dispatch = {
        .bindings = {{0}, op->qkv, op->starts, op->tiles, op->out},
        .push = {3 * stride, stride, stride, op->heads, rp_float_bits(1.0f / sqrtf((float)op->head_dim))}};
    return rp_op_dispatch(target, &key, (rp_grid){RP_COUNT_TILES, 1, op->heads}, "attention", &dispatch, err);
}
