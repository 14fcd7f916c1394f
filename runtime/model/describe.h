/* What a model computes, operator by operator: descriptions on the stack, in which kernels are still to be
 * selected. Nothing here allocates, fails, or touches the device. */
#ifndef RP_MODEL_DESCRIBE_H
#define RP_MODEL_DESCRIBE_H

#include "model/model.h"

/* Operators in their order: each reads what the ones before it wrote. */
enum { RP_MOST_OPS = 5 };
typedef struct rp_op_list {
    rp_op ops[RP_MOST_OPS];
    uint32_t count;
} rp_op_list;

/* Embeddings, their LayerNorm and, in an ALBERT, the map from E to H. */
void rp_describe_prologue(const rp_model *model, rp_op_list *out);

/* One layer with weights `w`: at->in to at->out. Its operators are in the order of rp_layer_part. `half`: the
 * activations are float16. `most_rows`: the batch never has more tokens; 0: it may. */
void rp_describe_layer(const rp_config *config, bool half, const rp_device_layer *w,
                       const rp_layer_buffers *at, uint32_t most_rows, rp_op_list *out);

/* An output that the model has: its operators from the hidden states on. */
void rp_describe_output(const rp_model *model, rp_output output, rp_op_list *out);

/* The internal classifiers of a model that has them, and which texts leave behind a layer. */
void rp_describe_exits(const rp_model *model, rp_op_list *out);

/* Select a kernel for every operator of the list, and note its pipeline, to be made with all others. And
 * record them by what was selected, into a new command buffer of model->ops; `last`: the host reads what it
 * writes. (recording.c) */
rp_status rp_model_select_list(rp_model *model, rp_op_list *list, rp_error *err);
rp_status rp_model_record_list(rp_model *model, rp_op_list *list, const char *name, bool last,
                               VkCommandBuffer *out, rp_error *err);

#endif
