/* Choosing kernels by measuring them on the device, after each has proved itself against plain C.
 *
 * Results are kept under the device, its driver and the table of shaders: a later start reads them. */
#ifndef RP_OPS_TUNE_H
#define RP_OPS_TUNE_H

#include "ops/ops.h"
#include "ops/plan.h"

/* The kernel for `op` on this device: remembered by target.ops, read from the cache, or measured now with
 * op->w. RP_ERROR_DEVICE when every kernel gives wrong results. */
rp_status rp_tune_matmul(rp_ops *ops, const rp_matmul *op, rp_matmul_kernel *out, rp_error *err);

#endif
