/* Choosing the kernel of an operator: candidates from the plan of its class, timed at the model's own shapes
 * where there are several, and used only when they are right (choice.h). */
#ifndef RP_OPS_CHOOSE_H
#define RP_OPS_CHOOSE_H

#include "ops/op.h"

/* Choose op->kernel for what is described, or remember the one that `ops` chose for the like before.
 * RP_ERROR_DEVICE when no candidate is right on this device, RP_ERROR_UNSUPPORTED when it has no room for
 * any. */
rp_status rp_op_choose(rp_ops *ops, rp_op *op, rp_error *err);

#endif
