/* What a model is made of. model.c opens it, upload.c sends its weights, layout.c makes its buffers,
 * describe.c describes its operators, recording.c selects their kernels and records them, run.c runs it. */
#ifndef RP_MODEL_MODEL_H
#define RP_MODEL_MODEL_H

#include <pthread.h>

#include "loader/json.h"
#include "loader/new_head.h"
#include "loader/pooling.h"
#include "loader/weights.h"
#include "base/call.h"
#include "model/pace.h"
#include "model/turns.h"
#include "model/widths.h"
#include "ops/op.h"

typedef struct rp_canary rp_canary;
typedef struct rp_depth rp_depth;
typedef struct rp_ticks rp_ticks;

/* The operators of a layer, in their order. */
typedef enum rp_layer_part {
    RP_PART_QKV = 0,
    RP_PART_ATTENTION,
    RP_PART_DENSE, /* the product after the attention */
    RP_PART_FFN,
    RP_PART_OUTPUT,
    RP_LAYER_PARTS,
} rp_layer_part;

enum { RP_OUTPUT_COUNT = RP_OUTPUT_ORDER + 1 };

/* One layer's weights on the device. h: padded hidden, i: padded intermediate. */
typedef struct rp_device_layer {
    rp_matrix qkv;                 // [3h, h]: query, key, value
    rp_matrix dense;               // [h, h]
    rp_matrix ffn;                 // [i, h]
    rp_matrix ffn_output;          // [h, i]
    rp_range qkv_bias, dense_bias; // [3h], [h]
    rp_range ffn_bias, ffn_output_bias;
    rp_range attention_norm, output_norm; // [2, h]: gamma, beta
} rp_device_layer;

/* All weights on the device. Letters as in rp_weights; small ones are padded. */
typedef struct rp_device_weights {
    rp_store store;                 // holds all that follows
    rp_matrix word, position, type; // [V, E], [P, E], [Y, E]
    rp_range embedding_norm;        // [2, e]
    rp_matrix mapping;              // [h, e]; no chunks in a BERT
    rp_range mapping_bias;
    rp_device_layer *layers; // [groups * inner_layers]
    uint32_t layer_count;
    rp_matrix pooler, classifier, order, lm_dense, lm_decoder; // lm_decoder: no chunks when tied to word
    rp_matrix exits; // [layers * labels, h]: all internal classifiers; no chunks without
    rp_range pooler_bias, classifier_bias, order_bias, lm_dense_bias, lm_bias, exits_bias;
    rp_range lm_norm; // [2, e]
} rp_device_weights;

/* What the host writes to the mapped input buffer before a batch is submitted. Offsets in bytes, each aligned
 * for a descriptor. */
typedef struct rp_input_layout {
    VkDeviceSize counts;   // uint32 [RP_ALL_COUNTS]
    VkDeviceSize indirect; // VkDispatchIndirectCommand [RP_MAX_GRIDS]
    VkDeviceSize tokens;   // uint32 [max tokens, 4]: id, type, position, 0
    VkDeviceSize starts;   // uint32 [max tokens + 1]
    VkDeviceSize tiles;    // uint32 [max tokens, 2]; the tiles of a slice begin at its first token
    VkDeviceSize rows;     // uint32 [max tokens]
    VkDeviceSize exits;    // rp_exit_entry [max tokens]; nothing in a model without internal classifiers
    VkDeviceSize size;
} rp_input_layout;

/* Where a layer reads and writes. T: tokens, h and i as above, a: rp_attention_width. */
typedef struct rp_layer_buffers {
    rp_range in;            // [T, h]
    rp_range qkv;           // [T, 3a]
    rp_range starts, tiles; // as in rp_input_layout
    rp_range context;       // [T, a]
    rp_range attended;      // [T, h]: may be `in`
    rp_range inner;         // [T, rp_spread_stride(i)]
    rp_range out;           // [T, h]: may be `in` or `attended`
    rp_range arrived;       // uint32 [T]: zeros; workgroups count here, and the last one writes zeros again
} rp_layer_buffers;

/* Activations on the device. T: max_batch_tokens. `wide` holds one thing after another: the embeddings before
 * the first layer; in a layer Q, K, V and the context, then the intermediate values; after the last layer the
 * rows of a head. Embeddings and rows of a head are float32 in every precision. */
typedef struct rp_activations {
    rp_buffer input, output;
    rp_buffer exits; // of each text, how it leaves: patience.h. None without internal classifiers
    rp_input_layout at;
    rp_range arrived; // uint32 [T], in the store of the weights
    rp_buffer hidden; // [T, h]
    rp_range apart;   // [T, h]: takes the attention's output in place of `hidden`; `bench --replay` sets it
    rp_buffer wide;   // [T, max(4h, i, e)]
} rp_activations;

/* Seconds that opening a model took. rp_model_open fills it in; the first four come from the device. */
typedef struct rp_start_times {
    double loader, instance, choice, device; /* opening the device: the Vulkan loader; the instance; reading
                                                what every device can do; the logical device and its caches */
    double files;                            /* reading the configuration and the weights (or making random
                                                ones), and waiting for the thread that reads the tokenizer */
    double upload;                           /* packing the weights and sending them to the device */
    double pipelines;                        /* compiling pipelines, also of kernels that are not selected */
    double tuning;                           /* timing kernels, without compiling them */
    double recording;                        /* the rest: activations, descriptors and command buffers */
} rp_start_times;

struct rp_model {
    rp_device *device;
    rp_device_user user;
    bool built; /* weights, buffers and recordings are on the device; false after the device was lost */
    rp_config config;
    rp_weights weights; /* views of the files, whose pages the system may drop while the device has the
                           weights; no views of random weights */
    bool learns;        /* the device alone has what it has learnt: it is not built again */
    bool random;
    uint32_t random_seed;
    const rp_new_head *new_head; /* while it is opened to be trained */
    rp_tokenizer *tokenizer;
    rp_pooling_config pooling;
    rp_error pooling_error; /* why `pooling` cannot be used; only rp_embed needs it */
    rp_model_info info;     /* any thread reads it at any time: nothing changes it once the model is open */
    rp_precision precision;
    bool half; /* activations are float16 from the first layer's input to the last one's output */
    char *dir;
    bool from_records;
    const rp_records *records;   /* while it is opened from them; else NULL */
    rp_json_document thresholds; /* of such a model: its thresholds.json, where it has one */
    rp_error thresholds_error;   /* why it cannot be read; only rp_moderation_open needs it */
    char *files; /* the folder of config.json, the weights and the tokenizer: `dir`, or one in it */
    rp_device_weights on_device;
    rp_activations activations;
    rp_ops ops;
    uint32_t queries;       /* queries in one tile of the selected attention kernel */
    uint32_t batch_tokens;  /* most tokens in one batch: info.max_batch_tokens, or fewer when the device was
                               lost and has less memory now */
    uint64_t output_floats; /* floats that the output buffer holds */
    VkCommandBuffer prologue, outputs[RP_OUTPUT_COUNT];
    VkCommandBuffer exits;   /* which texts leave behind a layer (exits.h) */
    uint32_t exit_number;    /* of the last batch, or tick, that was written for them */
    rp_widths widths;        /* for how many tokens a layer is recorded */
    VkCommandBuffer *groups; /* [widths.count, config.groups] */
    VkFence fence;
    VkCommandBuffer *parts; /* [layers on the device, RP_LAYER_PARTS, slices], for a device on which a layer
                               may exceed the submission budget; NULL: none */
    uint32_t slices, slice_rows; /* of each part for the longest sequence; and tokens in each slice */
    rp_step *steps;              /* room for the steps of a batch */
    VkCommandBuffer *submitted;  /* as many: what one submission lists */
    rp_turns turns; /* the thread that has the turn uses what lies on the device, for one batch. It takes the
                       turn before it enters the device */
    rp_pace pace;   /* belongs to the turn too */
    rp_gate gate;   /* calls on this model are inside */
    rp_canary *canary;          /* cross-checks texts; NULL: none */
    pthread_mutex_t depth_lock; /* of `depth` and `depth_users` */
    pthread_cond_t depth_left;  /* the last of the users has left */
    rp_depth *depth;            /* the scheduler (depth.h); NULL: runs take turns */
    size_t depth_users;         /* runs that go its way */
    bool queued;                /* it has a queue (queue.h) */
    rp_ticks *ticks; /* what it has on the device (ticks.h); who changes it has entered the device */
    rp_start_times start;
};

/* Every batch stands between these two. rp_model_begin waits for a turn, enters the device and, where the
 * device was lost since the last batch, makes the model's objects again; where it fails, or the call of this
 * thread is to end (base/call.h), the thread has no turn and is not in the device. rp_model_end leaves the
 * device, gives the turn to the next, and returns `status`, with which the batch ended. */
rp_status rp_model_begin(rp_model *model, rp_error *err);
rp_status rp_model_end(rp_model *model, rp_status status);

/* Enter the device and make again what the model lost with it: weights, buffers and recordings. The caller
 * has the model's turn. Where this fails the thread is not in the device and the model is not built. */
rp_status rp_model_enter_to_rebuild(rp_model *model, rp_error *err);

/* Begin the visit of a call on this model (base/call.h); rp_visit_leave ends it. RP_ERROR_DEVICE in a
 * forked process. */
rp_status rp_model_enter(rp_model *model, rp_visit *visit, const rp_call *call, const char *function,
                         rp_error *err);

/* rp_model_run for a thread that is in a call on this model: inside its gate, with sequences of that call. */
rp_status rp_model_run_inside(rp_model *model, const rp_sequence *sequences, size_t count,
                              const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                              rp_error *err);

/* What is said of a model that is to be trained. */
typedef struct rp_to_train {
    const rp_new_head *head; /* made where the folder has not this one; NULL: the folder must have the head
                                that is asked for */
    const rp_wanted *wanted; /* [wanted_count] kernels of model->ops; borrowed while the model is opened */
    size_t wanted_count;
    bool random; /* as rp_model_open_random; a head is a classifier of sequences */
} rp_to_train;

rp_status rp_model_open_to_train(rp_device *device, const char *dir, const rp_model_params *params,
                                 const rp_to_train *how, rp_model **out, rp_error *err);

/* RP_ERROR_TEXT where the model takes no such sequence; `i` is its number in the message. */
rp_status rp_model_check_sequence(const rp_model *model, const rp_sequence *sequence, size_t i,
                                  rp_error *err);

/* Pack every weight and send it to the device. */
rp_status rp_model_upload(rp_model *model, rp_error *err);
void rp_device_weights_finish(rp_device_weights *weights);

/* About how many bytes of device memory the weights take, for which model->weights has its views; and the
 * buffers for a batch of `tokens`. */
uint64_t rp_model_weight_bytes(const rp_model *model);
uint64_t rp_model_activation_bytes(const rp_model *model, uint64_t tokens);

/* The same for a model in float32 of a config, whose batches have as many as suit it. */
uint64_t rp_layout_activation_bytes(const rp_config *config, const rp_caps *caps);

/* Bytes of the hidden states of a whole batch, once model->batch_tokens is known. */
uint64_t rp_model_hidden_bytes(const rp_model *model);

/* Set model->batch_tokens, from the model's size where `max_batch_tokens` is 0, and allocate the activations.
 */
rp_status rp_model_create_buffers(rp_model *model, uint32_t max_batch_tokens, rp_error *err);

/* A range of activations.wide: for each token `width` elements of `bytes` bytes, behind `skip` elements for
 * each. And the buffers that every layer of this model uses. */
rp_range rp_model_range_of_wide(const rp_model *model, uint32_t skip, uint32_t width, uint32_t bytes);
rp_layer_buffers rp_model_layer_buffers(const rp_model *model);

/* Allocate the activations, select a kernel for every operator, and record every command buffer. */
rp_status rp_model_record(rp_model *model, uint32_t max_batch_tokens, rp_error *err);

/* Record the prologue (embeddings, their LayerNorm and, in an ALBERT, the map from E to H); and an
 * output. Each is a new command buffer, which model->ops owns. */
rp_status rp_model_record_prologue(rp_model *model, VkCommandBuffer *out, rp_error *err);
rp_status rp_model_record_output(rp_model *model, rp_output output, VkCommandBuffer *out, rp_error *err);

/* The same with the internal classifiers, and which texts leave by their patience (exits.h). */
rp_status rp_model_record_exits(rp_model *model, VkCommandBuffer *out, rp_error *err);

/* Record all inner layers of a group into `commands`, which is being recorded, by the kernels for batches of
 * so many rows, 0: many. */
rp_status rp_model_record_group(rp_model *model, uint32_t group, uint32_t rows, VkCommandBuffer commands,
                                rp_error *err);

/* Record all groups for each width: into `out`, [widths.count, config.groups]. */
rp_status rp_model_record_groups(rp_model *model, VkCommandBuffer *out, rp_error *err);

/* The recordings of `groups`, made by rp_model_record_groups, that serve a batch of so many tokens. */
const VkCommandBuffer *rp_model_groups(const rp_model *model, const VkCommandBuffer *groups, uint32_t tokens);

/* Record model->parts: every operator of every layer, cut into slices that are as short as can be. They serve
 * batches of one sequence. */
rp_status rp_model_record_parts(rp_model *model, rp_error *err);

/* Where there is a submission budget: time a layer on the device, so that the first run is cut correctly. */
rp_status rp_model_measure_pace(rp_model *model, rp_error *err);

/* The bit of rp_head that an output needs; 0: none. */
unsigned rp_output_head(rp_output output);

/* Columns of an output, and whether the model has it. Needs config and weights.heads only. */
uint32_t rp_output_width(const rp_model *model, rp_output output);
bool rp_output_available(const rp_model *model, rp_output output);

/* What an output has one row for: each token, each sequence, or each row that the caller lists. */
rp_count rp_output_rows(rp_output output);

/* How many of the rows that the caller lists, from number `first` on, belong to sequence `i`; 0 for an output
 * that has others. */
size_t rp_rows_of(const rp_run_params *params, size_t first, size_t i);

#endif
