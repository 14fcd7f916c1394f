/* Kernel selection: for an operator the fastest kernel that is right on this device.
 *
 * The class of the operator plans the candidates, tuning puts the fastest first (tuning.h), and the first
 * that proves itself against plain C is selected (proof.h). The cache folder keeps the speeds and the
 * verdicts
 * ("right", "wrong", "spills") for this device, its driver, the shaders and the code of the library. A
 * kernel that spills registers to memory, as the driver says, is selected only where every other kernel
 * spills too, or is wrong. */
#ifndef RP_OPS_SELECTION_H
#define RP_OPS_SELECTION_H

#include "ops/op.h"

/* Select op->kernel for what `op` describes: the one that was selected for the same before; else the one that
 * ops->wanted names, once it is proven; else read what the cache folder says, or time and prove candidates
 * now. Passes over a kernel that is wrong, that the driver refuses to compile, or that may lose the device or
 * end the process (attempts.h).
 *
 * RP_ERROR_DEVICE: no candidate is left, or the error of memory that the driver gave for one of them.
 * RP_ERROR_UNSUPPORTED: the device has no room for any. RP_ERROR_DEVICE_LOST: this thread lost the device
 * with a kernel; after rp_device_enter it may select again. One thread at a time for the same ops. */
rp_status rp_op_select(rp_ops *ops, rp_op *op, rp_error *err);

/* The kernel that rp_op_select selected for the same: nothing is planned, timed or proven. RP_ERROR_ARGUMENT:
 * it selected none. */
rp_status rp_op_recall(const rp_ops *ops, rp_op *op, rp_error *err);

#endif
