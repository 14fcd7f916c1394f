/* A whole model in plain C, from the weights of the files, with these and the activations rounded as on the
 * device: slow, and needs none. */
#ifndef RP_MODEL_PLAIN_H
#define RP_MODEL_PLAIN_H

#include <stdatomic.h>

#include "loader/weights_reader.h"
#include "model/model.h"

/* How the device stores each matrix of a layer. */
typedef struct rp_plain_layer {
    rp_format qkv, dense, ffn, ffn_output;
} rp_plain_layer;

/* What the computation needs of a model. `config` and `weights` are borrowed. */
typedef struct rp_plain {
    const rp_config *config;
    const rp_weights *weights;
    bool half; /* activations are float16 from the first layer's input to the last one's output */
    rp_weights_reader reader; /* what their elements come through */
    rp_format word, position, type, mapping, pooler, classifier, order, lm_dense, lm_decoder;
    rp_plain_layer *layers;
    atomic_bool stop; /* set by another thread: give up */
} rp_plain;

/* Remember how a model that is on the device is stored there, and open its files. `plain` is zeroed;
 * rp_plain_finish also after a failure. */
rp_status rp_plain_init(rp_plain *plain, const rp_model *model, rp_error *err);
void rp_plain_finish(rp_plain *plain);

/* The output of one sequence, as rp_model_run gives it; rows: tokens [row_count] for RP_OUTPUT_MASKED_LM.
 * `*done` is false when it was stopped, or a file no longer has its weights. RP_ERROR_HOST_MEMORY.
 * Thread-safe but for `stop`. */
rp_status rp_plain_run(rp_plain *plain, const rp_sequence *sequence, rp_output output, const uint32_t *rows,
                       size_t row_count, float *out, bool *done, rp_error *err);

#endif
