/* The reference model: a whole model in plain C, which needs no device and is slow. It reads the weights from
 * their files, and rounds weights and activations as the device does. */
#ifndef RP_MODEL_PLAIN_H
#define RP_MODEL_PLAIN_H

#include <stdatomic.h>

#include "loader/weights_reader.h"
#include "model/model.h"

/* What the reference model needs of a model. It borrows `config` and `weights`. */
typedef struct rp_plain {
    const rp_config *config;
    const rp_weights *weights;
    rp_device_weights stored; /* its formats alone: how the device stores each matrix. Whatever else it names
                                 may be gone */
    uint32_t *bytes; /* [stored.layer_count]: bit n: the kernel of the n-th operator that rp_describe_layer
                        lists rounds what it multiplies to 8 bits */
    bool half;       /* activations are float16 from the first layer's input to the last one's output */
    rp_weights_reader reader; /* reads the elements of the weights */
    atomic_bool stop;         /* another thread sets it: stop computing */
} rp_plain;

/* What the reference model knows of a result. */
typedef struct rp_plain_result {
    bool done; /* false: another thread set `stop`, or a file no longer has its weights */
    bool huge; /* some of the numbers are so large that float32 sums of them may overflow */
    double
        beyond; /* how often the largest of the sums since the last layer exceeds what float16 holds, to which
                   it was cut down: roundings count for so much more in the sums between. At least 1 */
    double unit; /* root of the sum of squares of what the last product adds up, at most; 0: there is no such
                    product behind the hidden states, or it has many outputs */
} rp_plain_result;

/* A function that rp_plain_run calls with what goes into each layer and, as layer number `config->layers`,
 * what comes out of the last: `hidden` [T, H], which it may change. The next layer computes with what it
 * leaves. */
typedef struct rp_plain_watch {
    void (*take)(void *user, uint32_t layer, float *hidden, const rp_plain_result *known);
    void *user;
} rp_plain_watch;

/* Copy from a recorded model how the device stores its weights, note its kernels, and open the weight files.
 * `plain` is zeroed; the caller calls rp_plain_finish on success and on failure. */
rp_status rp_plain_init(rp_plain *plain, const rp_model *model, rp_error *err);
void rp_plain_finish(rp_plain *plain);

/* Note which kernels of the model round to 8 bits. A device that was lost and opened again may have others.
 * The caller has the model's turn, and nothing else uses `plain`. */
rp_status rp_plain_note_kernels(rp_plain *plain, const rp_model *model, rp_error *err);

/* Compute the output of one sequence, in the form of rp_model_run. rows: tokens [row_count] for
 * RP_OUTPUT_MASKED_LM. `watch`: NULL: none. RP_ERROR_HOST_MEMORY. Thread-safe. */
rp_status rp_plain_run(rp_plain *plain, const rp_sequence *sequence, rp_output output, const uint32_t *rows,
                       size_t row_count, const rp_plain_watch *watch, float *out, rp_plain_result *result,
                       rp_error *err);

#endif
