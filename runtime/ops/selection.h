/* Choosing the kernel of an operator: candidates from the plan of its class, timed at the model's own shapes
 * where there are several, and used only when they are right (contest.h). */
#ifndef RP_OPS_SELECTION_H
#define RP_OPS_SELECTION_H

#include "ops/op.h"

/* Choose op->kernel for what is described; for the like of what was described before, the same.
 * RP_ERROR_DEVICE when no candidate is right on this device, RP_ERROR_UNSUPPORTED when it has no room for
 * any. */
rp_status rp_op_select(rp_ops *ops, rp_op *op, rp_error *err);

/* The kernel that was chosen for the like: nothing is planned anew, timed or tried. RP_ERROR_ARGUMENT: there
 * is none. */
rp_status rp_op_recall(rp_ops *ops, rp_op *op, rp_error *err);

#endif
