/* Is a kernel right on this device? Each is run at odd shapes that leave partial tiles on every side, on
 * numbers that show it when an input is rounded more than the kernel says, and compared with plain C.
 *
 * Pipelines come from `ops` and stay there. RP_OK also when a kernel is wrong: the verdict says so. An error
 * means that it could not be tried, such as a pipeline that the driver refuses. */
#ifndef RP_OPS_VERIFY_H
#define RP_OPS_VERIFY_H

#include "ops/ops.h"
#include "ops/plan.h"

typedef struct rp_verdict {
    double error; /* the largest, relative above 1; infinite where there is a NaN, or where what has to be
                     zero or may not be written is not as it should be */
    double bound; /* what it may be */
} rp_verdict;

static inline bool rp_verdict_right(const rp_verdict *verdict) {
    return verdict->error <= verdict->bound;
}

/* How a matmul ends, and where it reads and writes float16. */
typedef struct rp_ending {
    rp_op_activation activation;
    bool bias, residual, norm;
    unsigned halves; /* bits of rp_halves */
} rp_ending;

rp_status rp_verify_matmul(rp_ops *ops, const rp_matmul_kernel *kernel, rp_format format,
                           const rp_ending *ending, rp_verdict *out, rp_error *err);

/* Sequences of several odd lengths. */
rp_status rp_verify_attention(rp_ops *ops, const rp_attention_kernel *kernel, uint32_t head_dim,
                              unsigned halves, rp_verdict *out, rp_error *err);

rp_status rp_verify_layernorm(rp_ops *ops, const rp_row_kernel *kernel, unsigned halves, rp_verdict *out,
                              rp_error *err);

/* With the word, position and type embeddings in these formats. */
rp_status rp_verify_embed(rp_ops *ops, const rp_format formats[3], rp_verdict *out, rp_error *err);

/* With a list and without. */
rp_status rp_verify_gather(rp_ops *ops, unsigned halves, rp_verdict *out, rp_error *err);

/* The mean and the largest. */
rp_status rp_verify_pool(rp_ops *ops, unsigned halves, rp_verdict *out, rp_error *err);

#endif
