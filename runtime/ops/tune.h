/* Choosing the kernel of each operator: candidates from the plan, timed at the model's own shapes where there
 * are several, and used only when they are right (choice.h). Each returns RP_ERROR_DEVICE when no candidate
 * is right on this device. */
#ifndef RP_OPS_TUNE_H
#define RP_OPS_TUNE_H

#include "ops/ops.h"
#include "ops/plan.h"

/* For `op`, with its weights and its ending. */
rp_status rp_tune_matmul(rp_ops *ops, const rp_matmul *op, rp_matmul_kernel *out, rp_error *err);

/* For this many heads; `halves`: bits of rp_halves; `texels` is the size of Q, K and V in vec4s.
 * RP_ERROR_UNSUPPORTED when the device cannot hold such heads. */
rp_status rp_tune_attention(rp_ops *ops, uint32_t heads, uint32_t head_dim, unsigned halves, uint64_t texels,
                            rp_attention_kernel *out, rp_error *err);

/* `texels` is the size of x in vec4s; `halves`: of RP_HALF_OUT. */
rp_status rp_tune_layernorm(rp_ops *ops, unsigned halves, uint64_t texels, rp_row_kernel *out, rp_error *err);

/* Operators of which there is one kernel: RP_OK when it is right. */
rp_status rp_tune_embed(rp_ops *ops, const rp_format formats[3], rp_error *err);
rp_status rp_tune_gather(rp_ops *ops, unsigned halves, rp_error *err);
rp_status rp_tune_pool(rp_ops *ops, unsigned halves, rp_error *err);

#endif
