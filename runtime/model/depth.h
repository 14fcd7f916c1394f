/* The scheduler of a model with a queue: the texts of all runs go through the layers together, tick by tick
 * (ticks.h). A thread of its own, the driver, makes the ticks. */
#ifndef RP_MODEL_DEPTH_H
#define RP_MODEL_DEPTH_H

#include "model/model.h"
#include "reprise/queue.h"

#define RP_IDLE_SECONDS 1.0 /* after which a thread of a queue that has nothing to do ends */

/* Measure the device, record, and have runs of `model` go this way from now on: model->depth. Where a layer
 * of the model exceeds the submission budget they go on taking turns, and model->depth stays NULL. */
rp_status rp_depth_start(rp_model *model, const rp_queue_params *params, rp_error *err);

/* Have runs take turns again. Waits for those that go this way. */
void rp_depth_stop(rp_model *model);

/* Run sequences that were checked, with whatever other threads run. False in `*taken`: the model has no
 * scheduler, and nothing was done. */
rp_status rp_depth_run(rp_model *model, const rp_sequence *sequences, size_t count,
                       const rp_run_params *params, float *out, rp_run_times *times, bool *taken,
                       rp_error *err);

/* The counts that the scheduler knows. */
void rp_depth_count(rp_model *model, rp_queue_counts *out);

#endif
