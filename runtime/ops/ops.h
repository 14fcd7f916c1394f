/* The operators: each records the dispatches of one step. Activations are float32 [rows, stride], where a
 * stride is a width rounded up to a multiple of RP_PANEL and the padding holds zeros; a product may be given a
 * larger one, behind whose width nothing is read or written. Where `halves` (bits of rp_halves) says so they
 * are float16 instead. */
#ifndef RP_OPS_OPS_H
#define RP_OPS_OPS_H

#include "ops/activation.h"
#include "ops/matrix.h"
#include "ops/op.h"
#include "ops/plan.h"

/* out = activation(x * w^T + bias) + residual; then, where `norm` is given, its LayerNorm in place */
typedef struct rp_matmul {
    const char *label;
    rp_count rows;
    rp_range x;         // [rows, x_stride]
    uint32_t x_stride;  // 0: w->k
    const rp_matrix *w; // [n, k]
    rp_range bias;      // [n]; no buffer: none
    rp_op_activation activation;
    rp_range residual;   // [rows, out_stride]; no buffer: none. May not overlap out
    rp_range out;        // [rows, out_stride]
    uint32_t out_stride; // 0: n; else without a LayerNorm
    rp_range norm;       // gamma, beta: [2, n]; no buffer: no LayerNorm
    rp_range arrived;    // uint32 [rows]: zeros before and after; for a LayerNorm only
    uint32_t norm_width;
    float norm_eps;
    unsigned halves; // bits of rp_halves: which of x, residual and out hold float16
    rp_slice slice;  // of the rows; the kernel is the one for all of them, and so are the bits
} rp_matmul;
rp_status rp_op_matmul(rp_op_target target, const rp_matmul *op, rp_error *err);
/* With a given kernel. */
rp_status rp_op_matmul_with(rp_op_target target, const rp_matmul *op, const rp_matmul_kernel *kernel,
                            rp_error *err);

/* out = LayerNorm(x), over the first `width` columns */
typedef struct rp_layernorm {
    const char *label;
    rp_count rows;
    uint32_t width;
    float eps;
    rp_range x, out; // [rows, padded width]; may be the same
    rp_range norm;   // gamma, beta: [2, padded width]
    unsigned halves; // of RP_HALF_OUT
} rp_layernorm;
rp_status rp_op_layernorm(rp_op_target target, const rp_layernorm *op, rp_error *err);
rp_status rp_op_layernorm_with(rp_op_target target, const rp_layernorm *op, const rp_row_kernel *kernel,
                               rp_error *err);

/* out = word[id] + position[pos] + type[t] */
typedef struct rp_embedding {
    rp_range tokens;                         // uint32 [tokens, 4]: id, type, position, unused
    const rp_matrix *word, *position, *type; // [V, E], [P, E], [Y, E]
    rp_range out;                            // [tokens, padded E]
} rp_embedding;
rp_status rp_op_embed(rp_op_target target, const rp_embedding *op, rp_error *err);

/* Softmax attention of every sequence over itself. Each head is padded with zeros to whole vec4s, and the
 * heads side by side to whole panels: `width` = rp_attention_width(heads, head_dim). */
typedef struct rp_attention {
    uint32_t heads, head_dim;
    const rp_attention_kernel *kernel; // its queries say how the tiles were cut
    rp_range qkv;                      // [tokens, 3 * width]: Q, K, V
    rp_range starts;                   // uint32 [sequences + 1]: first token of each sequence
    rp_range tiles;                    // uint32 [tiles, 2]: sequence, first query
    rp_range out;                      // [tokens, width]
    unsigned halves;
    rp_slice slice; // of the tiles
} rp_attention;
rp_status rp_op_attention(rp_op_target target, const rp_attention *op, rp_error *err);

static inline uint32_t rp_attention_width(uint32_t heads, uint32_t head_dim) {
    return rp_padded(heads * rp_head_width(head_dim));
}

/* out[i] = x[list[i]]; without a list, a copy */
typedef struct rp_gather {
    const char *label;
    rp_count rows;
    uint32_t width;
    rp_range x, out; // [*, padded width]
    rp_range list;   // uint32 [rows]; no buffer: every row in order
    unsigned halves; // of RP_HALF_X
} rp_gather;
rp_status rp_op_gather(rp_op_target target, const rp_gather *op, rp_error *err);

/* out[sequence] = mean or maximum of its rows */
typedef struct rp_pool {
    uint32_t width;
    bool largest;
    rp_range x;      // [tokens, padded width]
    rp_range starts; // uint32 [sequences + 1]
    rp_range out;    // [sequences, padded width]
    unsigned halves; // of RP_HALF_X
} rp_pool;
rp_status rp_op_pool(rp_op_target target, const rp_pool *op, rp_error *err);

#endif
