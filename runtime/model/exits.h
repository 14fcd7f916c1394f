/* Early exit by patience (PABEE): behind each layer the device computes the internal classifiers of every
 * text of a batch, and decides which texts leave (ops/patience.h). A text decides for itself, whoever is
 * beside it. */
#ifndef RP_MODEL_EXITS_H
#define RP_MODEL_EXITS_H

#include "model/submission.h"

/* Columns of all internal classifiers together; 0: the model has none that can be served. */
uint32_t rp_exits_width(const rp_model *model);

/* RP_ERROR_HEAD, RP_ERROR_UNSUPPORTED: texts cannot leave this model early, and why. */
rp_status rp_exits_check(const rp_model *model, rp_error *err);

/* Send all internal classifiers to the device as one matrix. Nothing where there are none. */
rp_status rp_exits_upload(rp_model *model, rp_error *err);

/* Make room for the states of `places` texts, all zero, which the device writes and the host sees. */
rp_status rp_exits_create(rp_model *model, uint32_t places, rp_buffer *out, rp_error *err);

/* What entries say of the next batch or tick: rp_exit_entry.number. */
uint32_t rp_exits_next(rp_model *model);

/* Whether the text at this place has left: behind which layer, counted from 1, and its logits. The caller has
 * invalidated the buffer. */
bool rp_exit_read(const rp_model *model, const rp_buffer *exits, uint32_t place, uint32_t *layers,
                  float *logits);

#endif
