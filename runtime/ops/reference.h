/* What every operator computes, in plain C: slow, obvious, and summed in double. Kernels are
 * compared with it. No Vulkan here: everything lies in host memory.
 *
 * Matrices are row-major with a stride: row i begins at data + i * stride, and columns past the width are
 * neither read nor written. Thread-safe: nothing is kept between calls. */
#ifndef RP_OPS_REFERENCE_H
#define RP_OPS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ops/activation.h"

/* Rows to read, and rows to write. */
typedef struct rp_const_rows {
    const float *data; /* NULL: none, where that is allowed */
    size_t stride;     /* floats */
} rp_const_rows;
typedef struct rp_rows {
    float *data;
    size_t stride;
} rp_rows;

double rp_reference_activate(double x, rp_op_activation activation);

/* Row `i`, and the sum of products of the first `n` of two rows. */
static inline const float *rp_reference_row(rp_const_rows rows, size_t i) {
    return rows.data + i * rows.stride;
}
static inline double rp_reference_dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* out = activation(x * w^T + bias) + residual */
typedef struct rp_reference_matmul {
    size_t rows, n, k;
    rp_const_rows x;   // [rows, k]
    rp_const_rows w;   // [n, k]
    const float *bias; // [n]; NULL: none
    rp_op_activation activation;
    rp_const_rows residual; // [rows, n]; no data: none. May be out
    rp_rows out;            // [rows, n]; not x
} rp_reference_matmul;
void rp_reference_matmul_run(const rp_reference_matmul *op);

/* out = (x - mean) / sqrt(variance + eps) * gamma + beta, row by row. x may be out. */
typedef struct rp_reference_layernorm {
    size_t rows, width;
    float eps;
    rp_const_rows x;           // [rows, width]
    const float *gamma, *beta; // [width]
    rp_rows out;               // [rows, width]
} rp_reference_layernorm;
void rp_reference_layernorm_run(const rp_reference_layernorm *op);

/* out = word[id] + position[pos] + type[t] */
typedef struct rp_reference_embed {
    size_t count, width;
    const uint32_t *tokens;             // [count, 4]: id, type, position, unused
    rp_const_rows word, position, type; // [*, width]
    rp_rows out;                        // [count, width]
} rp_reference_embed;
void rp_reference_embed_run(const rp_reference_embed *op);

/* Where one head of Q, of K and of V begins in a row of qkv [tokens, 3 * width]; out has it at q. */
typedef struct rp_head_place {
    size_t q, k, v;
} rp_head_place;
static inline rp_head_place rp_head_at(size_t head, size_t head_stride, size_t width) {
    size_t q = head * head_stride;
    return (rp_head_place){q, width + q, 2 * width + q};
}

/* The scores of the query in row `query` with the keys [first, last), [last - first]. Returns the largest. */
double rp_reference_scores(rp_const_rows qkv, rp_head_place at, size_t head_dim, size_t query, size_t first,
                           size_t last, double *scores);

/* Softmax attention of every sequence over itself. Q, K and V lie side by side in a row of qkv, `width`
 * floats apart; the heads of each, and of a row of out, begin `head_stride` floats apart. */
typedef struct rp_reference_attention {
    size_t sequences, heads, head_dim, head_stride;
    const uint32_t *starts; // [sequences + 1]: first row of each sequence
    rp_const_rows qkv;      // [tokens, 3 * width]
    size_t width;           // at least heads * head_stride
    rp_rows out;            // [tokens, heads * head_stride]; what lies between the heads is left as it is
} rp_reference_attention;
/* RP_ERROR_HOST_MEMORY when a row of scores cannot be allocated. */
rp_status rp_reference_attention_run(const rp_reference_attention *op, rp_error *err);

/* out[i] = x[list[i]]; list NULL: a copy */
void rp_reference_gather(size_t rows, size_t width, rp_const_rows x, const uint32_t *list, rp_rows out);

/* out[s] = mean, or largest, of the rows starts[s] to starts[s + 1] of x. No sequence is empty. */
void rp_reference_pool(size_t sequences, size_t width, bool largest, rp_const_rows x, const uint32_t *starts,
                       rp_rows out);

#endif
