/* One batch on its way through the device: what the host writes for it, and the steps that its submission
 * lists. The model's lock is held, and its device entered. */
#ifndef RP_MODEL_SUBMISSION_H
#define RP_MODEL_SUBMISSION_H

#include "model/model.h"

/* The sequences of one submission, and the rows of them that a head works on. */
typedef struct rp_batch {
    const rp_sequence *sequences; /* [count] */
    size_t count;
    uint32_t tokens;    /* of all of them */
    const rp_row *rows; /* [row_count]: of sequences from number `first` on */
    size_t first, row_count;
    rp_output output;
} rp_batch;

/* The type of a token: a model without types ignores them. */
int32_t rp_type_of(const rp_config *config, const rp_sequence *sequence, uint32_t token);

/* Work, in floating point operations of the products, where nearly all the time goes: of one layer with all
 * its inner layers, and of one row of a masked language model. */
double rp_layer_work(const rp_config *config, const rp_sequence *sequence);
double rp_row_work(const rp_config *config);

/* List the steps of a batch in model->steps: the prologue, every layer or its parts, the epilogue. Returns
 * how many there are. `*slice_rows`: where they are parts in slices, tokens of a slice; else 0. */
uint32_t rp_model_list(rp_model *model, const rp_batch *batch, uint32_t *slice_rows);

/* Write ids, lengths, tiles, rows and grids of a batch into the mapped buffer, for slices of so many tokens.
 */
rp_status rp_model_fill(rp_model *model, const rp_batch *batch, uint32_t slice_rows, rp_error *err);

/* Submit these steps, some of model->steps, and wait. */
rp_status rp_model_submit(rp_model *model, const rp_step *steps, uint32_t count, rp_error *err);

#endif
