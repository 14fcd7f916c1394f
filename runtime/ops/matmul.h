/* Products by a weight matrix: out = activation(x * w^T + bias) + residual; then, where `norm` is given, the
 * LayerNorm of that in place. */
#ifndef RP_OPS_MATMUL_H
#define RP_OPS_MATMUL_H

#include "ops/kernel.h"

/* The specialization constants of matmul.glsl. */
enum {
    RP_MATMUL_LANES, /* workgroup size, x and y */
    RP_MATMUL_BLOCKS,
    RP_MATMUL_FORMAT,
    RP_MATMUL_ACTIVATION,
    RP_MATMUL_BIAS,
    RP_MATMUL_RESIDUAL,
    RP_MATMUL_ROWS,    /* of out that one invocation makes; a whole workgroup, when it is one subgroup */
    RP_MATMUL_COLUMNS, /* vec4 columns of out that one invocation makes */
    RP_MATMUL_HALVES,
    RP_MATMUL_DEPTH, /* vec4s of k in one tile in shared memory; 0: none */
    RP_MATMUL_M,     /* of a cooperative matrix: rows and columns count these, then, of one subgroup */
    RP_MATMUL_N,
    RP_MATMUL_K,
    RP_MATMUL_ACROSS, /* subgroups side by side */
};

/* The kernels that can multiply by weights of this format. Arithmetic below float32 is for an x that holds
 * float16. */
uint32_t rp_matmul_plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]);

#endif
