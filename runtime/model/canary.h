/* One text in n, once more in plain C on a thread of its own, and compared with what the device gave. */
#ifndef RP_MODEL_CANARY_H
#define RP_MODEL_CANARY_H

#include "model/model.h"

/* For a model that is on its device. Holds its config and weights, which stay until rp_canary_close. */
rp_status rp_canary_open(const rp_model *model, const rp_model_params *params, rp_canary **out,
                         rp_error *err);

/* What is being recomputed, and what waits for it, is given up. */
void rp_canary_close(rp_canary **canary);

/* These sequences were run with this result: take every n-th. When the thread is busy, wait for it
 * (verify_all) or leave some out, evenly. Thread-safe. */
void rp_canary_offer(rp_canary *canary, const rp_sequence *sequences, size_t count,
                     const rp_run_params *params, const float *out);

void rp_canary_counts(rp_canary *canary, bool wait, rp_verify_counts *out);

#endif
