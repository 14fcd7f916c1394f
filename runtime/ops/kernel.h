/* A kernel: one way to run an operator, whole and ready to be made into a pipeline. What is planned from: the
 * device, as a snapshot of its properties, and what the operator is used for. */
#ifndef RP_OPS_KERNEL_H
#define RP_OPS_KERNEL_H

#include "gpu/cache.h"
#include "gpu/pipeline.h"
#include "ops/activation.h"
#include "ops/matrix.h"

/* How a kernel rounds its inputs before it multiplies them. It adds in float32 in any case. */
typedef enum rp_rounding {
    RP_ROUNDING_NONE = 0, /* not at all: they are multiplied as float32 */
    RP_ROUNDING_F16,      /* to float16; inputs that are float16 stay as they are */
    RP_ROUNDING_INT8,     /* x to 8 bits, with a scale for each 32 neighbours; w is in 8 or 4 bits */
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

/* A use: whatever of an operator its kernels depend on. Zero: the operator has no such thing. */
typedef struct rp_use {
    rp_format formats[3]; /* of its weights or tables */
    unsigned halves;      /* bits of rp_halves */
    bool bias, residual, norm;
    rp_op_activation activation;
    uint32_t head_dim;
    uint64_t texels;  /* vec4s of the largest buffer that is read: a texel buffer may not cover it */
    uint32_t variant; /* which operator of its class, where the class has several */
} rp_use;

enum { RP_MAX_KERNELS = 32, RP_KERNEL_NAME = 96 };

/* Write a use as numbers in one line, and read that line. rp_use_read returns false for a line that is no
 * use. */
void rp_use_write(const rp_use *use, char out[RP_ATTEMPT_TEXT]);
bool rp_use_read(const char *text, rp_use *out);

/* A kernel. The plan of its class makes it, and nothing changes it afterwards. */
typedef struct rp_kernel {
    rp_pipeline_key key;
    char name[RP_KERNEL_NAME]; /* no other kernel in a plan for the same use has it */
    uint32_t rows, columns;    /* the tile of one workgroup: rows of out and their vec4s; queries and keys */
    rp_rounding rounding;
    rp_matrix_shape matrix; /* the cooperative matrices that it multiplies; m 0: none */
    bool shuffles;          /* it adds over lanes by subgroup shuffles; false: through shared memory */
} rp_kernel;

static inline uint32_t rp_kernel_tile(const rp_kernel *kernel) {
    return kernel->rows * kernel->columns;
}

static inline rp_math_unit rp_kernel_unit(const rp_kernel *kernel) {
    if (kernel->matrix.m) return RP_UNIT_COOPERATIVE;
    return kernel->rounding == RP_ROUNDING_INT8 ? RP_UNIT_INT8 : RP_UNIT_F32;
}

/* The largest error that counts as right for a kernel that rounds like this: in sums of a few hundred
 * products below 1, relative to values above 1, of inputs that the rounding does not change. */
double rp_rounding_bound(rp_rounding rounding);

/* True when two kernels for this use give the same bits for the same row. */
bool rp_kernels_alike(const rp_kernel *a, const rp_kernel *b, const rp_use *use);

/* ---- what the plans ask of a device ---- */

/* True when a workgroup of info.subgroup_size invocations is one subgroup, which can shuffle. */
bool rp_has_subgroups(const rp_caps *caps);

/* True when a shader can shuffle, and its subgroups are full and of a known size. */
bool rp_subgroups_alike(const rp_caps *caps);

/* True when the device has workgroups of so many invocations with so many bytes of shared memory. */
bool rp_workgroup_fits(const rp_caps *caps, uint32_t invocations, uint64_t shared);

/* True when each lane of a subgroup of this size holds a vec4 or more of a matrix of sums. Where lanes hold
 * less, compilers move single elements about. */
bool rp_matrix_is_dense(rp_matrix_shape matrix, uint32_t lanes);

/* The local size of kernels that take one workgroup for each row. On a software driver, which runs one
 * subgroup after another, it is one subgroup; 64 lanes fill the subgroups of every GPU. */
uint32_t rp_row_lanes(const rp_caps *caps);

/* Make such a kernel. Its first specialization constant is rp_row_lanes, its second is `constant`. */
rp_kernel rp_row_kernel(const rp_caps *caps, const char *shader, uint32_t constant, uint32_t bindings,
                        uint32_t push_words);

enum { RP_ROW_CLASSES = 2 };

/* Numbers of rows, rising, for which a model selects kernels of their own besides those for many; returns how
 * many. Kernels for many rows leave most of a GPU idle, and a software driver computes rows in vain with
 * them. */
uint32_t rp_row_classes(const rp_caps *caps, uint32_t rows[RP_ROW_CLASSES]);

#endif
