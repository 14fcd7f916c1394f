/* Which kernels may run on a device: pure functions over a snapshot of its properties. Which of them does run
 * is then decided by measuring (tune.h). */
#ifndef RP_OPS_PLAN_H
#define RP_OPS_PLAN_H

#include "gpu/caps.h"
#include "ops/matrix.h"

/* What a kernel does to its inputs before it multiplies them. Sums are float32 in each. */
typedef enum rp_rounding {
    RP_ROUNDING_NONE = 0, /* float32 as they are */
    RP_ROUNDING_F16,      /* to float16, which changes nothing that holds float16 */
    RP_ROUNDING_INT8,     /* x to 8 bits, one scale for 32 neighbours; w is in 8 or 4 bits */
} rp_rounding;

/* The largest difference from plain C that such a kernel may show where its inputs can be rounded without
 * loss: sums of a few hundred products below 1, relative above 1. */
double rp_rounding_bound(rp_rounding rounding);

/* One way to run matmul: a shader of the table and its specialization constants. */
typedef struct rp_matmul_kernel {
    const char *shader, *norm_shader; /* without and with the LayerNorm */
    uint32_t lanes, blocks;           /* workgroup size, x and y */
    uint32_t rows;    /* of out that one invocation makes; a whole workgroup, when it is one subgroup */
    uint32_t columns; /* vec4 columns of out that one invocation makes */
    bool subgroup;    /* the workgroup is one subgroup */
    bool texels;      /* reads x and w as texel buffers */
    rp_rounding
        rounding;   /* none, and no cooperative matrix: products are added in one order, the same bits */
    uint32_t depth; /* vec4s of k in one tile in shared memory; 0: none */
    rp_matrix_shape matrix; /* of a cooperative matrix; rows and columns count these, of one subgroup */
    uint32_t across;        /* subgroups side by side, then */
    uint32_t subgroup_size; /* that the pipeline must ask for; 0: none */
} rp_matmul_kernel;

/* The part of a device that multiplies. */
typedef enum rp_math_unit {
    RP_UNIT_F32 = 0, /* float32 fma; tiles of float16 are multiplied as float32 */
    RP_UNIT_INT8,    /* dot products of packed 8-bit integers */
    RP_UNIT_COOPERATIVE,
    RP_UNITS,
} rp_math_unit;

/* What multiplies in such a kernel. */
static inline rp_math_unit rp_unit_of(rp_rounding rounding, rp_matrix_shape matrix) {
    if (matrix.m) return RP_UNIT_COOPERATIVE;
    return rounding == RP_ROUNDING_INT8 ? RP_UNIT_INT8 : RP_UNIT_F32;
}

enum { RP_MAX_KERNELS = 32, RP_KERNEL_NAME = 96 };

/* Rows of out that one workgroup makes, and vec4 columns. */
static inline uint32_t rp_kernel_rows(const rp_matmul_kernel *kernel) {
    if (kernel->matrix.m) return kernel->blocks / kernel->across * kernel->rows * kernel->matrix.m;
    return kernel->subgroup ? kernel->rows : kernel->rows * kernel->blocks;
}
static inline uint32_t rp_kernel_columns(const rp_matmul_kernel *kernel) {
    if (kernel->matrix.m) return kernel->across * kernel->columns * kernel->matrix.n / 4;
    return kernel->lanes * kernel->columns;
}

/* Where float16 takes the place of float32: bits. */
typedef enum rp_halves {
    RP_HALF_X = 1,   /* what is read */
    RP_HALF_OUT = 2, /* what is written, and a residual */
} rp_halves;

/* The kernels that can multiply by weights of this format: out[0..result), at least one. The first is the
 * best guess, the last needs nothing beyond Vulkan 1.1. `texels` is the size of the larger of x and w in
 * vec4s. `halves`: bits of rp_halves. Arithmetic below float32 is for an x that holds float16. */
uint32_t rp_plan_matmul(const rp_caps *caps, rp_format format, unsigned halves, uint64_t texels,
                        rp_matmul_kernel out[RP_MAX_KERNELS]);

/* Both give the same bits for the same row, with the LayerNorm or without. */
bool rp_same_bits(const rp_matmul_kernel *a, const rp_matmul_kernel *b, bool norm);

/* Tokens of a batch that leave most of this device idle in the kernels for many: those for few are made for
 * it. */
uint32_t rp_plan_few_rows(const rp_caps *caps);

/* A name that no other kernel has. */
void rp_name_matmul(const rp_matmul_kernel *kernel, char out[RP_KERNEL_NAME]);

/* One way to run attention. */
typedef struct rp_attention_kernel {
    const char *shader;
    uint32_t lanes;   /* workgroup size */
    uint32_t queries; /* of one workgroup: how the tiles are cut */
    uint32_t keys;    /* of one step */
    bool texels;      /* reads Q, K and V as a texel buffer */
    rp_rounding rounding;
    rp_matrix_shape matrix;                 /* of a cooperative matrix; a subgroup takes matrix.m queries */
    uint32_t subgroup_lanes, subgroup_size; /* then: of each; that the pipeline must ask for, 0: none */
} rp_attention_kernel;

void rp_name_attention(const rp_attention_kernel *kernel, char out[RP_KERNEL_NAME]);

/* The kernels that can serve heads of `head_dim`, as above, but none (0) where the device cannot hold even
 * one query. `texels` is the size of Q, K and V in vec4s. */
uint32_t rp_plan_attention(const rp_caps *caps, uint32_t head_dim, unsigned halves, uint64_t texels,
                           rp_attention_kernel out[RP_MAX_KERNELS]);

/* The workgroup size of operators that take one workgroup for each row: a software driver runs one subgroup
 * after another, so it is one there; 64 lanes fill the subgroups of every GPU. */
uint32_t rp_plan_row_lanes(const rp_caps *caps);

/* One way to run an operator that takes one workgroup for each row. */
typedef struct rp_row_kernel {
    const char *shader;
    uint32_t lanes;
    bool texels;
} rp_row_kernel;

/* The kernels that can run LayerNorm, as above. `texels` is the size of x in vec4s. */
uint32_t rp_plan_layernorm(const rp_caps *caps, uint64_t texels, rp_row_kernel out[RP_MAX_KERNELS]);

#endif
