/* The cross-check of a model: a thread of its own recomputes one sequence in n with the reference model
 * (plain.h), and compares it with the result of the device. */
#ifndef RP_MODEL_CANARY_H
#define RP_MODEL_CANARY_H

#include "model/model.h"

/* For a model that is on its device. Holds its config and weights, which stay until rp_canary_close. */
rp_status rp_canary_open(rp_model *model, const rp_model_params *params, rp_canary **out, rp_error *err);

/* End the cross-check. The thread gives up the sequence that it recomputes and those that are waiting. */
void rp_canary_close(rp_canary **canary);

/* Take every n-th of these sequences, with what belongs to it of the results, for the thread to recompute.
 * When too many are waiting, this waits (verify_all) or leaves some out, evenly; where the call of this
 * thread is to end meanwhile, it leaves out the rest and returns the status for that. The thread itself, in a
 * callback, does not wait. Thread-safe. */
rp_status rp_canary_offer(rp_canary *canary, const rp_sequence *sequences, size_t count,
                          const rp_run_params *params, const float *out, rp_error *err);

void rp_canary_counts(rp_canary *canary, bool wait, rp_verify_counts *out);

#endif
