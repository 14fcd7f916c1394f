/* A sequence once more on the device, with a stop between its layers. */
#ifndef RP_MODEL_TRACE_H
#define RP_MODEL_TRACE_H

#include "model/plain.h"

/* In one turn, compute `sequence` by the recordings that a run of it alone replays, and write to `hidden`
 * [layers + 1, T, H] what goes into each layer and comes out of the last; have `plain` note the kernels of
 * these. A thread in a call on the model, or one that ends before the model does, calls this. */
rp_status rp_model_trace(rp_model *model, const rp_sequence *sequence, rp_plain *plain, float *hidden,
                         rp_error *err);

#endif
