/* What a model is made of. Opened in model.c, its weights sent in upload.c, its buffers made in layout.c,
 * described in describe.c, recorded in recording.c, run in run.c. */
#ifndef RP_MODEL_MODEL_H
#define RP_MODEL_MODEL_H

#include <pthread.h>

#include "loader/pooling.h"
#include "loader/weights.h"
#include "model/pace.h"
#include "ops/op.h"

typedef struct rp_canary rp_canary;

/* One layer's dispatches. */
typedef enum rp_layer_part {
    RP_PART_QKV = 0,
    RP_PART_ATTENTION,
    RP_PART_DENSE, /* the product behind the attention */
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

typedef struct rp_device_weights {
    rp_store store;
    rp_matrix word, position, type; // [V, E], [P, E], [Y, E]
    rp_range embedding_norm;        // [2, e]
    rp_matrix mapping;              // [h, e]; no chunks in a BERT
    rp_range mapping_bias;
    rp_device_layer *layers; // [groups * inner_layers]
    uint32_t layer_count;
    rp_matrix pooler, classifier, order, lm_dense, lm_decoder; // lm_decoder: no chunks when tied to word
    rp_range pooler_bias, classifier_bias, order_bias, lm_dense_bias, lm_bias;
    rp_range lm_norm; // [2, e]
} rp_device_weights;

/* The mapped buffer that the host fills before each submission. Offsets in bytes, each aligned for a
 * descriptor. */
typedef struct rp_input_layout {
    VkDeviceSize counts;   // uint32 [RP_ALL_COUNTS]
    VkDeviceSize indirect; // VkDispatchIndirectCommand [RP_MAX_GRIDS]
    VkDeviceSize tokens;   // uint32 [max tokens, 4]: id, type, position, 0
    VkDeviceSize starts;   // uint32 [max tokens + 1]
    VkDeviceSize tiles;    // uint32 [max tokens, 2]; those of a slice begin at its first token
    VkDeviceSize rows;     // uint32 [max tokens]
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
    rp_range arrived;       // uint32 [T]: zeros before and after
} rp_layer_buffers;

/* Activations on the device. T: max_batch_tokens. `wide` is cut twice: Q, K, V and the context during
 * attention, the intermediate values after it; also the embeddings before the first layer and a head's rows
 * after the last, which are float32 always. */
typedef struct rp_activations {
    rp_buffer input, output;
    rp_input_layout at;
    rp_range arrived; // uint32 [T], in the store of the weights
    rp_buffer hidden; // [T, h]
    rp_range apart;   // [T, h]: where the attention's output goes instead of to `hidden`; none in a model
    rp_buffer wide;   // [T, max(4h, i, e)]
} rp_activations;

/* Where the time went until a model was there, seconds. Filled while it is opened; the device keeps its own
 * part. */
typedef struct rp_start_times {
    double loader, instance, choice, device; /* opening the device: the Vulkan loader, the instance, asking
                                                every device what it is, the logical device and its caches */
    double files;                            /* configuration, weights (random ones too), waiting for the
                                                tokenizer, which is read beside all of this */
    double upload;                           /* packing the weights and sending them to the device */
    double pipelines;                        /* making pipelines, those of candidates too */
    double tuning;                           /* measuring kernels, pipelines apart */
    double recording;                        /* activations and command buffers */
} rp_start_times;

struct rp_model {
    rp_device *device;
    rp_device_user user;
    bool built; /* weights, buffers and recordings are on the device; they are not after it was lost */
    rp_config config;
    rp_weights weights; /* views of the files, which rest while the device has them; none of random weights */
    bool random;
    uint32_t random_seed;
    rp_tokenizer *tokenizer;
    rp_pooling_config pooling;
    rp_error pooling_error; /* why `pooling` cannot serve; only embeddings need it */
    rp_model_info info;     /* callers read it at any time: nothing changes it once the model is open */
    rp_precision precision;
    bool wants_few; /* rp_model_params.few_tokens */
    bool half;      /* activations are float16 from the first layer's input to the last one's output */
    char *dir;
    char *files; /* the folder of config.json, the weights and the tokenizer: `dir`, or one in it */
    rp_device_weights on_device;
    rp_activations activations;
    rp_ops ops;
    uint32_t queries;       /* of a tile of attention, as its kernel has them */
    rp_math_unit unit;      /* that most products of a layer are made by */
    uint32_t batch_tokens;  /* of one submission at most: info.max_batch_tokens, or fewer where a device that
                               was lost came back with less memory */
    uint64_t output_floats; /* room for the results of one submission */
    VkCommandBuffer prologue, *groups, epilogues[RP_OUTPUT_COUNT]; /* groups: [config.groups] */
    VkFence fence;
    VkCommandBuffer *few_groups; /* [config.groups] for batches of at most few_tokens; NULL: there are none */
    uint32_t few_tokens;
    VkCommandBuffer *parts; /* [groups * inner_layers * RP_LAYER_PARTS * slices] for devices on which a layer
                               may take too long; NULL: there are none */
    uint32_t slices, slice_rows; /* of each part, for the longest sequence, and tokens of each; one of all
                                    tokens where no part takes too long */
    rp_step *steps;              /* room for those of a run: 1 + layers + 1, or with each layer's parts */
    VkCommandBuffer *submitted;  /* for as many: what one submission lists */
    pthread_mutex_t lock; /* held during a run: inputs, activations and outputs are one set. Taken before
                             the device is entered */
    rp_pace pace;         /* likewise under the lock */
    rp_canary *canary;    /* NULL: no text is verified */
    rp_start_times start;
};

/* Every call that submits work stands between these two. rp_model_begin locks the model, enters the device
 * and, where the device was lost since the last run, makes the model's objects again; where it fails the
 * model is unlocked and the device left. rp_model_end undoes both and returns `status`, with which the call
 * ends. */
rp_status rp_model_begin(rp_model *model, rp_error *err);
rp_status rp_model_end(rp_model *model, rp_status status);

/* Enter the device and make again what the model lost with it: weights, buffers and recordings. The caller
 * holds the model's lock and has not entered. Where it fails the device is left and the model is not built.
 */
rp_status rp_model_enter_to_rebuild(rp_model *model, rp_error *err);

/* Send every weight to the device. */
rp_status rp_model_upload(rp_model *model, rp_error *err);
void rp_device_weights_finish(rp_device_weights *weights);

/* About the device memory that the weights take, and that the buffers take of a batch of `tokens`, bytes. The
 * first needs the views of the weights. */
uint64_t rp_model_weight_bytes(const rp_model *model);
uint64_t rp_model_activation_bytes(const rp_model *model, uint64_t tokens);

/* Bytes of the hidden states of a whole batch, once `max_batch_tokens` is known. */
uint64_t rp_model_hidden_bytes(const rp_model *model);

/* Allocate the activations, and choose the batch size where `max_batch_tokens` is 0. */
rp_status rp_model_create_buffers(rp_model *model, uint32_t max_batch_tokens, rp_error *err);

/* `width` elements of `bytes` for each token of `wide`, after the first `skip` for each; and what the layers
 * have of all buffers. */
rp_range rp_model_part_of_wide(const rp_model *model, uint32_t skip, uint32_t width, uint32_t bytes);
rp_layer_buffers rp_model_layer_buffers(const rp_model *model);

/* The same, then choose a kernel for every operator, and record every command buffer. */
rp_status rp_model_record(rp_model *model, uint32_t max_batch_tokens, rp_error *err);

/* Its parts, each a command buffer of its own: embeddings, their LayerNorm and, in an ALBERT, the map from E
 * to H; and an output with what it needs. */
rp_status rp_model_record_prologue(rp_model *model, VkCommandBuffer *out, rp_error *err);
rp_status rp_model_record_epilogue(rp_model *model, rp_output output, VkCommandBuffer *out, rp_error *err);

/* All inner layers of a group, into a command buffer that is being recorded; for batches of at most
 * `most_rows` tokens, 0: of any. */
rp_status rp_model_record_group(rp_model *model, uint32_t group, uint32_t most_rows, VkCommandBuffer commands,
                                rp_error *err);

/* Every part of every layer, in slices of so many tokens, each in a command buffer of its own: model->parts.
 * They are for a single sequence. */
rp_status rp_model_record_parts(rp_model *model, uint32_t slice_rows, rp_error *err);

/* Where submissions have a limit: time a layer, so that the first run is cut as it must be. */
rp_status rp_model_measure_pace(rp_model *model, rp_error *err);

/* The bit of rp_head that an output needs; 0: none. */
unsigned rp_output_head(rp_output output);

/* Columns of an output, and whether the model has it. Needs config and weights.heads only. */
uint32_t rp_output_width(const rp_model *model, rp_output output);
bool rp_output_available(const rp_model *model, rp_output output);

/* The rows an output has: one a token, one a sequence, or the caller's choice. */
rp_count rp_output_rows(rp_output output);

#endif
