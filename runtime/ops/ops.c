/* What the operators of one model share, from its making to its end. */
#include "ops/op.h"

#include "base/alloc.h"

void rp_ops_init(rp_ops *ops, rp_device *device, rp_range counts, rp_range indirect) {
    *ops = (rp_ops){.device = device,
                    .own.device = device,
                    .pipelines = &ops->own,
                    .recorder.device = device,
                    .counts = counts,
                    .indirect = indirect,
                    .selected = ops->selected,
                    .selected_count = ops->selected_count,
                    .selected_capacity = ops->selected_capacity,
                    .wanted = ops->wanted,
                    .wanted_count = ops->wanted_count,
                    .strayed = ops->strayed,
                    .selecting = ops->selecting};
}

void rp_ops_drop(rp_ops *ops) {
    rp_recorder_finish(&ops->recorder);
    rp_pipeline_set_finish(&ops->own);
    *ops = (rp_ops){.selected = ops->selected,
                    .selected_count = ops->selected_count,
                    .selected_capacity = ops->selected_capacity,
                    .wanted = ops->wanted,
                    .wanted_count = ops->wanted_count,
                    .strayed = ops->strayed,
                    .selecting = ops->selecting};
}

void rp_ops_finish(rp_ops *ops) {
    rp_ops_drop(ops);
    free(ops->selected);
    *ops = (rp_ops){0};
}
