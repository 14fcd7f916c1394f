/* What the tasks share: results, and the way from texts to the sequences of one run. */
#ifndef RP_TASKS_TASK_H
#define RP_TASKS_TASK_H

#include "base/alloc.h"
#include "reprise/tasks.h"

/* ---- results (result.c) ---- */

/* Candidates for one mask. */
typedef struct rp_mask_fills {
    rp_fill *items; // [count]
    size_t count;
} rp_mask_fills;

/* The answer to one input. Only the fields of its task are set; arrays are in the result's arena. */
typedef struct rp_entry {
    rp_status status;
    const char *message; // "" when the status is RP_OK
    bool truncated;
    rp_label *labels;
    rp_mask_fills *masks;
    rp_entity *entities;
    rp_answer *answers;
    size_t count;   // of labels, masks, entities or answers
    float *vectors; // [rows, columns]
    size_t rows, columns;
    float in_order;
} rp_entry;

struct rp_result {
    rp_entry *entries; // [count]
    size_t count;
    rp_arena arena;
    float *floats; // what the run wrote; `vectors` may point into it
};

/* Check what a task needs before it starts and make an empty result: the model, its tokenizer, `head` (one
 * bit of rp_head; 0: none needed) and `out`. `command` is the task's name in the command line, for messages.
 * RP_ERROR_HEAD says what the folder holds and which commands it can serve. */
rp_status rp_task_begin(const rp_model *model, unsigned head, const char *command, const void *inputs,
                        size_t count, rp_result **out, rp_error *err);

/* Give entry `i` what went wrong with its input alone. */
void rp_result_fail(rp_result *result, size_t i, const rp_error *why);

/* ---- sequences (batch.c) ---- */

/* Tokenized texts, each a sequence of one run. Zero-initialise; rp_batch_finish. */
typedef struct rp_batch {
    rp_encoding *encodings; // [count]
    rp_sequence *sequences; // [count] views of the encodings
    size_t *entries;        // [count] the input that each belongs to
    size_t count, encoding_capacity, sequence_capacity, entry_capacity;
} rp_batch;

/* The longest input that the model and its tokenizer take, special tokens included. */
uint32_t rp_task_max_tokens(const rp_model *model);

/* Add an encoding that belongs to input `entry`. The batch owns its arrays then, and `*encoding` is zeroed;
 * on failure too. */
rp_status rp_batch_push(rp_batch *batch, size_t entry, rp_encoding *encoding, rp_error *err);

/* Tokenize `text` (and `pair`, unless its data is NULL) of input `entry`, cut to the longest input, and add
 * it. A text that cannot be used fails its entry of `result`, adds nothing, and returns RP_OK. */
rp_status rp_batch_add(rp_batch *batch, const rp_model *model, rp_text text, rp_text pair, size_t entry,
                       rp_result *result, rp_error *err);

/* Run every sequence. `*out` (malloc, owned by the caller) gets the output, `*size` (may be NULL) its floats.
 * No sequences: RP_OK and NULL. */
rp_status rp_batch_run(const rp_batch *batch, rp_model *model, const rp_run_params *params, float **out,
                       size_t *size, rp_error *err);

void rp_batch_finish(rp_batch *batch);

/* ---- scores (scores.c): computed in double, as sums of many small terms must not depend on their order ----
 */

/* values[i] = exp(values[i]) / sum of exp. */
void rp_softmax(float *values, size_t count);
float rp_sigmoid(float value);

#endif
