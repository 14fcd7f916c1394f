/* The cross-check of a model: a thread of its own recomputes one sequence in n with the reference model
 * (plain.h), and compares it with the result of the device.
 *
 * It does so layer by layer. What the device rounds on the way to 16 or 8 bits differs now and then from what
 * the reference model rounds, for their sums differ in the last bits, and in a dozen layers such differences
 * grow to what a wrong kernel would cause. So the thread has the device compute the sequence once more, reads
 * what goes into each layer, and has the reference model compute each layer from what the device had there.
 */
#ifndef RP_MODEL_CANARY_H
#define RP_MODEL_CANARY_H

#include "model/plain.h"

/* For a model that is on its device. Holds its config and weights, which stay until rp_canary_close. */
rp_status rp_canary_open(rp_model *model, const rp_model_params *params, rp_canary **out, rp_error *err);

/* End the cross-check. The thread gives up the sequence that it recomputes and those that are waiting. */
void rp_canary_close(rp_canary **canary);

/* Computes a sequence once more on the device: rp_model_trace. */
typedef rp_status (*rp_tracer)(rp_model *model, const rp_sequence *sequence, rp_plain *plain, float *hidden,
                               rp_error *err);

/* Take every n-th of these sequences, with what belongs to it of the results, for the thread to recompute.
 * When too many are waiting, this waits (verify_all) or leaves some out, evenly; where the call of this
 * thread is to end meanwhile, it leaves out the rest and returns the status for that. The thread itself, in a
 * callback, does not wait. Thread-safe. */
rp_status rp_canary_offer(rp_canary *canary, rp_tracer trace, const rp_sequence *sequences, size_t count,
                          const rp_run_params *params, const float *out, rp_error *err);

void rp_canary_counts(rp_canary *canary, bool wait, rp_verify_counts *out);

#endif
