/* A kernel: one way to run an operator, whole and ready to be made into a pipeline. What is planned from: the
 * device, as a snapshot of its properties, and what the operator is used for. */
#ifndef RP_OPS_KERNEL_H
#define RP_OPS_KERNEL_H

#include "gpu/cache.h"
#include "gpu/pipeline.h"
#include "ops/activation.h"
#include "ops/matrix.h"

/* What a kernel does to its inputs before it multiplies them. Sums are float32 in each. */
typedef enum rp_rounding {
    RP_ROUNDING_NONE = 0, /* float32 as they are */
    RP_ROUNDING_F16,      /* to float16, which changes nothing that holds float16 */
    RP_ROUNDING_INT8,     /* x to 8 bits, one scale for 32 neighbours; w is in 8 or 4 bits */
} rp_rounding;

/* The part of a device that multiplies. */
typedef enum rp_math_unit {
    RP_UNIT_F32 = 0, /* float32 fma; tiles of float16 are multiplied as float32 */
    RP_UNIT_INT8,    /* dot products of packed 8-bit integers */
    RP_UNIT_COOPERATIVE,
    RP_UNITS,
} rp_math_unit;

/* Where float16 takes the place of float32: bits. */
typedef enum rp_halves {
    RP_HALF_X = 1,   /* what is read */
    RP_HALF_OUT = 2, /* what is written, and a residual */
} rp_halves;

/* What an operator is used for, as far as its kernels depend on it. Zero stands for what it has not. */
typedef struct rp_use {
    rp_format formats[3]; /* of its weights or tables */
    unsigned halves;      /* bits of rp_halves */
    bool bias, residual, norm;
    rp_op_activation activation;
    uint32_t head_dim;
    uint64_t texels;  /* the size of the largest of what is read, in vec4s: a texel buffer may not cover it */
    uint32_t variant; /* which operator of its class, where the class has several */
} rp_use;

enum { RP_MAX_KERNELS = 32, RP_KERNEL_NAME = 96 };

/* A use as numbers in one line, which say all of it; and back. False: that is no use. */
void rp_use_write(const rp_use *use, char out[RP_ATTEMPT_TEXT]);
bool rp_use_read(const char *text, rp_use *out);

/* Made by the plan of its operator, and not changed afterwards. */
typedef struct rp_kernel {
    rp_pipeline_key key;
    char name[RP_KERNEL_NAME]; /* which no other kernel has that is planned for the same use */
    uint32_t rows, columns;    /* the tile of one workgroup: rows of out and their vec4s; queries and keys */
    rp_rounding rounding;
    rp_matrix_shape matrix; /* of the cooperative matrices that it multiplies; m 0: none */
    bool shuffles;          /* it adds over lanes by subgroup shuffles; false: through shared memory */
} rp_kernel;

static inline uint32_t rp_kernel_tile(const rp_kernel *kernel) {
    return kernel->rows * kernel->columns;
}

static inline rp_math_unit rp_kernel_unit(const rp_kernel *kernel) {
    if (kernel->matrix.m) return RP_UNIT_COOPERATIVE;
    return kernel->rounding == RP_ROUNDING_INT8 ? RP_UNIT_INT8 : RP_UNIT_F32;
}

/* The largest difference from plain C that such a kernel may show where its inputs can be rounded without
 * loss: sums of a few hundred products below 1, relative above 1. */
double rp_rounding_bound(rp_rounding rounding);

/* Both are for the same use, and give the same bits for the same row. */
bool rp_kernels_alike(const rp_kernel *a, const rp_kernel *b, const rp_use *use);

/* ---- what the plans ask of a device ---- */

/* A workgroup of info.subgroup_size invocations is one subgroup, which shuffles. */
bool rp_has_subgroups(const rp_caps *caps);

/* Every subgroup of a workgroup can be had full and of a size that is known. */
bool rp_subgroups_alike(const rp_caps *caps);

/* A workgroup of so many invocations, with so many bytes of shared memory. */
bool rp_workgroup_fits(const rp_caps *caps, uint32_t invocations, uint64_t shared);

/* A subgroup of this size has a vec4 or more of each matrix of sums in every lane; where matrices are spread
 * thinner, compilers move single elements about. */
bool rp_matrix_is_dense(rp_matrix_shape matrix, uint32_t lanes);

/* The workgroup size of operators that take one workgroup for each row: a software driver runs one subgroup
 * after another, so it is one there; 64 lanes fill the subgroups of every GPU. */
uint32_t rp_row_lanes(const rp_caps *caps);

/* The kernel of such an operator: rp_row_lanes lanes, which are its first specialization constant, and
 * `constant`, which is its second. */
rp_kernel rp_row_kernel(const rp_caps *caps, const char *shader, uint32_t constant, uint32_t bindings,
                        uint32_t push_words);

/* Rows that leave most of a GPU idle in the kernels for many: it is worth choosing others for so many. 0: no
 * number of rows is worth it, because a software driver compiles each further kernel at every start. */
uint32_t rp_few_rows(const rp_caps *caps);

#endif
