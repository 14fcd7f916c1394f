/* One batch: what the host writes for it, and the steps that its submissions list. The caller holds the
 * model's turn and has entered the device. */
#ifndef RP_MODEL_SUBMISSION_H
#define RP_MODEL_SUBMISSION_H

#include "model/model.h"

/* A batch: sequences that the device computes together, and the rows of them that a head works on. */
typedef struct rp_batch {
    const rp_sequence *sequences; /* [count] */
    size_t count;
    uint32_t tokens;    /* number of tokens of all sequences */
    const rp_row *rows; /* [row_count]; `first` is the number that they give to sequences[0] */
    size_t first, row_count;
    rp_output output;
    uint32_t patience; /* rp_run_params.patience */
} rp_batch;

/* The types of the tokens of a sequence, one each; NULL: all are 0, as in a model without types. */
const int32_t *rp_types_of(const rp_config *config, const rp_sequence *sequence);

/* Work of one layer with its inner layers, and of one row of a masked language model: floating point
 * operations of the products and of attention, which take nearly all the time. */
double rp_layer_work(const rp_config *config, const rp_sequence *sequence);
double rp_row_work(const rp_config *config);

/* Work of all layers and the prologue for one sequence. */
double rp_sequence_work(const rp_config *config, const rp_sequence *sequence);

/* List the steps of a batch in model->steps: the prologue, every layer (or its operators one by one, where a
 * layer exceeds the submission budget), the output. Returns their number. `*slice_rows`: tokens of a slice
 * when the operators are cut into slices, else 0. */
uint32_t rp_model_list(rp_model *model, const rp_batch *batch, uint32_t *slice_rows);

/* Write ids, lengths, tiles, rows and workgroup counts of a batch to `base`, the mapped memory of an input
 * buffer that is laid out as `at` says. `slice_rows` comes from rp_model_list. */
void rp_model_write(const rp_model *model, char *base, const rp_input_layout *at, const rp_batch *batch,
                    uint32_t slice_rows);

/* The same into the model's own input buffer, and make the device see it. */
rp_status rp_model_fill(rp_model *model, const rp_batch *batch, uint32_t slice_rows, rp_error *err);

/* Submit `count` of model->steps in one vkQueueSubmit, wait until the device has run them, and learn its
 * speed. */
rp_status rp_model_submit(rp_model *model, const rp_step *steps, uint32_t count, rp_error *err);

#endif
