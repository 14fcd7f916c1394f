/* What a trainer is made of. trainer.c opens it, parameters.c lays out what belongs to each parameter,
 * plan.c plans a micro-batch, buffers.c allocates it, describe.c and head.c describe the operators,
 * recording.c records them, vectors.c does both where no head learns but vectors of texts, batch.c checks and
 * cuts a batch, step.c runs it, finite.c says what of a gradient is not finite, ranks.c does so together with
 * others, info.c says what it takes, transfer.c takes weights and moments off the device and back, and save.c
 * writes the model. */
#ifndef RP_TRAIN_TRAINER_H
#define RP_TRAIN_TRAINER_H

#include "model/model.h"
#include "ops/training.h"
#include "reprise/train.h"
#include "train/plan.h"

/* Counts of rows that training adds to rp_count, in the place of those of slices. */
enum {
    RP_TRAIN_COUNT_WORDS = RP_COUNT_KINDS, /* different words, positions and types of the batch */
    RP_TRAIN_COUNT_POSITIONS,
    RP_TRAIN_COUNT_TYPES,
    RP_TRAIN_COUNT_TILES, /* of attention_grad.c; those of attention.c come next */
    RP_TRAIN_COUNT_QUERIES,
    RP_TRAIN_COUNT_SEGMENTS, /* of the loss of vectors: 1 */
    RP_TRAIN_COUNT_VECTORS,  /* of the step */
};

enum { RP_TRAIN_USUAL_PAIRS = 512 }; /* most of a batch of vectors, where nobody says how many */

/* A range of the weights that is trained. */
typedef struct rp_parameter {
    rp_range range;
    const char *name;
    int layer;  /* -1: it belongs to none */
    bool above; /* what it makes comes after the layers: it is of a head */
    bool decays;
    uint32_t tensor;      /* its number: a matrix in chunks is one, and Q, K and V are three */
    uint32_t first_block; /* the number of its first block, among those of all tensors in their order */
    VkDeviceSize end;     /* of the chunk that it is in, which one window holds */
    uint32_t window;
} rp_parameter;

/* Neighbouring parameters, which one dispatch updates: four ranges that lie alike. */
typedef struct rp_window {
    rp_range weights, gradient, moments[2];
    rp_range blocks;                 /* rp_block [block_count] */
    uint32_t first_sum, block_count; /* of rp_train_results: the sum of the squares of each block */
} rp_window;

/* Dynamic loss scaling: the gradient of the loss is multiplied by `scale`, which the update takes out again.
 */
typedef struct rp_train_scale {
    double scale;     /* a power of 2; 1 in f32 */
    uint32_t good;    /* steps since it changed */
    uint64_t skipped; /* steps, of all, that changed nothing: their gradient was not finite */
} rp_train_scale;

/* Where elements are dropped (rp_op.place). */
enum {
    RP_TRAIN_DROP_EMBEDDINGS,
    RP_TRAIN_DROP_ATTENTION, /* probabilities */
    RP_TRAIN_DROP_DENSE,     /* the attention's output */
    RP_TRAIN_DROP_OUTPUT,    /* of the feed-forward network, in a BERT */
    RP_TRAIN_DROP_HEAD,      /* and behind it those of internal classifiers */
};

/* What the host writes before a micro-batch; offsets in bytes, as in rp_input_layout. */
typedef struct rp_train_layout {
    VkDeviceSize counts, indirect;
    VkDeviceSize head_state; // rp_train_state that counts sequences where `state` counts tokens
    VkDeviceSize state;      // rp_train_state
    VkDeviceSize tokens;     // uint32 [T, 4]: id, type, position, 0
    VkDeviceSize starts;     // uint32 [T + 1]
    VkDeviceSize queries;    // uint32 [T, 2]: tiles of the kernel of attention.c
    VkDeviceSize tiles;      // uint32 [T, 2]: of those of attention_grad.c
    VkDeviceSize first;      // [T, 2]: sequence, and the part of its row's gradient that the token has
    VkDeviceSize wanted;     // what the loss reads
    VkDeviceSize taught;     // the same of a teacher; nothing without one
    VkDeviceSize segments;   // uint32 [T + 1]: the first row of each segment of a loss
    VkDeviceSize masked;     // uint32 [M]: tokens to be predicted
    VkDeviceSize masked_ids; // uint32 [M, 2]: what the loss reads of them
    VkDeviceSize lists[3];   // uint32 [T, 4]: what scatter.c adds up, for words, positions and types
    VkDeviceSize orders[3];  // uint32 [T]
    VkDeviceSize size;
} rp_train_layout;

/* What the device writes for the host; offsets in bytes. */
typedef struct rp_train_output {
    VkDeviceSize losses; // [items, 2]
    VkDeviceSize masked; // [M, 2]: losses of tokens to be predicted
    VkDeviceSize taught; // [2P, 2]: of vectors that a teacher teaches
    VkDeviceSize total;  // float [4]: the square of the norm of the whole gradient
    VkDeviceSize sums;   // float [sum_count]: of the squares of each block
    VkDeviceSize exits;  // [layers - 1] times rp_train_exit_bytes: losses of internal classifiers
    VkDeviceSize size;
} rp_train_output;

/* A part of the gradients or vectors, and the commands that copy it to memory that the host sees, and back.
 */
typedef struct rp_train_piece {
    VkDeviceSize bytes;
    VkCommandBuffer out, in;
} rp_train_piece;

/* What a trainer of a world has beside; else all is zero. */
typedef struct rp_train_ranks {
    rp_buffer shared; /* room for a piece */
    rp_train_piece *pieces;
    uint32_t piece_count;
    rp_train_piece *vectors; /* likewise of vectors that are compared with those of all ranks */
    uint32_t vector_count;
    float *learnt; /* [pairs] 1: that pair of the step is learnt as its labels say; NULL: all are */
    bool compared; /* the weights of all ranks were the same */
    uint64_t sequences, tokens;           /* of this step, in all ranks */
    uint64_t first_sequence, first_token; /* of them, that is this rank's */
} rp_train_ranks;

struct rp_trainer {
    rp_model *model;
    rp_device *device;
    rp_device_user user;
    bool built; /* false after the device was lost */
    rp_trainer_params params;
    rp_head head;
    rp_problem problem;         /* of RP_HEAD_CLASSIFIER */
    bool first_token;           /* is the vector of a text; else it is the mean of all tokens */
    uint32_t tokens, sequences; /* most of a micro-batch */
    uint32_t masked;            /* and of its tokens to be predicted; 0: the head predicts none */
    uint32_t pairs;             /* most of a step, where vectors learn */
    bool recomputes;            /* the way back computes each layer again */
    uint64_t step;              /* steps that were made */
    rp_train_scale scale;       /* of f16 */
    rp_trainer_info info;
    rp_train_kernel *kernels; /* of info */

    rp_parameter *parameters; /* in the order in which they lie */
    size_t parameter_count, parameter_capacity;
    rp_window *windows;
    uint32_t window_count, sum_count, tensor_count, block_count;
    rp_store gradients, moments, turned_store, work;
    rp_device_weights gradient, turned, halved; /* as the model's weights: gradients; transposed matrices; in
                                                   f16 matrices as they are, and the transposes, too, in
                                                   float16. Their own stores are not used */
    rp_range sum_segments;                      /* uint32 [2]: 0, sum_count */
    rp_range tensor_segments;                   /* uint32 [tensor_count + 1]: the first block of each */
    rp_range lamb_sums, lamb_ratios;            /* float [4 + 2 * block_count], [tensor_count, 2]: update.c */

    rp_buffer input, output;
    rp_train_layout at;
    rp_train_output out;
    rp_train_buffers buffers;
    rp_ops ops;
    uint32_t queries, tiles; /* rows of a tile of attention.c (0: it is not used), and of attention_grad.c */
    VkCommandBuffer prologue, head_commands, epilogue, update;
    VkCommandBuffer *exits; /* [layers - 1] with early exits: the head on what a layer makes; else NULL */
    uint32_t exit;          /* while one is described: the number of its layer, from 1 on; else 0 */
    VkCommandBuffer vectors_loss, vectors_back; /* where vectors learn, behind head_commands */
    VkCommandBuffer *forward, *backward;        /* [groups] */
    rp_step *steps;                             /* room for those of a micro-batch */
    VkCommandBuffer *submitted;                 /* and of a submission */
    rp_pace pace;                               /* belongs to the model's turn */
    void (*watch)(void *watcher, const rp_step *steps,
                  uint32_t count); /* told of each submission; NULL: none */
    void *watcher;
    VkFence fence;
    rp_train_ranks ranks;
    uint32_t *places; /* [the largest of the tables]: where a list of scatter.c has a row; all UINT32_MAX */
    uint32_t *list;   /* [tokens, 4]: such a list */
};

/* Of every operator of a command buffer. */
enum { RP_MOST_TRAIN_OPS = 64 };
typedef struct rp_train_list {
    rp_op ops[RP_MOST_TRAIN_OPS];
    uint32_t count;
    uint64_t beside; /* bits: such an operator may run at the same time as the one before it */
} rp_train_list;

/* ---- parameters.c ---- */

/* Find what is trained, and allocate gradients, moments and transposed matrices, all zero. */
rp_status rp_train_lay_out_parameters(rp_trainer *trainer, rp_error *err);
void rp_train_drop_parameters(rp_trainer *trainer);

/* Where a range of the weights has its moments: the first, or the second with `variance`. No buffer: it is
 * not trained. */
rp_range rp_train_moment_of(const rp_trainer *trainer, rp_range range, bool variance);

/* `visit` is called with each pair of a matrix and its transpose, or (`copy`) itself in float16. */
typedef void rp_train_visitor(void *user, const rp_matrix *matrix, const rp_matrix *turned, bool copy);
void rp_train_each_turned(const rp_trainer *trainer, rp_train_visitor *visit, void *user);

/* What products by one of the model's matrices read in its place; NULL: itself. */
const rp_matrix *rp_train_halved(const rp_trainer *trainer, const rp_matrix *matrix);

/* ---- buffers.c ---- */

/* Choose trainer->tokens and recomputes, and allocate all that a micro-batch needs. */
rp_status rp_train_create_buffers(rp_trainer *trainer, rp_error *err);
void rp_train_drop_buffers(rp_trainer *trainer);

/* Ranges of the input, and of the output. */
rp_range rp_train_input(const rp_trainer *trainer, VkDeviceSize offset, VkDeviceSize bytes);
rp_range rp_train_state_range(const rp_trainer *trainer);
rp_range rp_train_starts(const rp_trainer *trainer);

/* What the buffers follow from. */
rp_train_shape rp_train_shape_of(const rp_trainer *trainer);

/* Logits of a row, and whether a row is a token; else it is a sequence. Of pre-training those of the order,
 * and whether there is one. */
uint32_t rp_train_logits(const rp_trainer *trainer);
bool rp_train_has_token_rows(const rp_trainer *trainer);
bool rp_train_has_order(const rp_trainer *trainer);
bool rp_train_pretrains(const rp_trainer *trainer);
bool rp_train_in_half(const rp_trainer *trainer);

/* Internal classifiers that learn: one behind each layer but the last, whose classifier is the head. And
 * bytes of the losses of one. */
uint32_t rp_train_exits(const rp_trainer *trainer);
VkDeviceSize rp_train_exit_bytes(const rp_trainer *trainer);

/* The decoder of the masked language model among `weights`: one of its own, or the word embeddings. */
const rp_matrix *rp_train_decoder(const rp_trainer *trainer, const rp_device_weights *weights);

/* ---- describe.c, head.c: the operators, in their order ---- */

/* The next operator of a list; a product x * w^T + bias; and both, of a weight matrix `w`, its gradient and
 * its transpose `t`, backwards: the gradients of weights and bias by dy, and dx = dy * w. dx, which is not dy
 * and may be x, without buffer: it is not wanted. */
rp_op *rp_train_next(rp_train_list *list, const rp_class *class, const char *label, rp_count rows);
rp_op *rp_train_product(const rp_trainer *trainer, rp_train_list *list, const char *label, rp_count rows,
                        rp_range x, const rp_matrix *w, rp_range bias, rp_range out);
typedef struct rp_train_linear {
    const char *label;
    rp_count rows;
    rp_range x, dy, dx;
    rp_range residual; /* added to dx */
    const rp_matrix *gradient, *turned;
    rp_range bias_gradient;
} rp_train_linear;
void rp_train_product_grad(const rp_trainer *trainer, rp_train_list *list, const rp_train_linear *linear);

/* LayerNorm of x; and back: out = the gradient by x, and those of gamma and beta. */
typedef struct rp_train_norm {
    const char *label;
    rp_count rows;
    uint32_t width;
    rp_range x, dy, norm, gradient, out;
} rp_train_norm;
void rp_train_norm_forward(const rp_trainer *trainer, rp_train_list *list, const rp_train_norm *norm);
void rp_train_norm_back(const rp_trainer *trainer, rp_train_list *list, const rp_train_norm *norm);

/* hidden_act of z; or with `dy` the gradient by z. */
void rp_train_activate(const rp_trainer *trainer, rp_train_list *list, rp_count rows, uint32_t width,
                       rp_range z, rp_range dy, rp_range out);

/* Drop elements of x: they become 0 in out, and the others larger. Without rate nothing is described. */
typedef struct rp_train_drop {
    rp_count rows;
    uint32_t width, place;
    double rate;
    rp_range x, out;
} rp_train_drop;
void rp_train_describe_drop(const rp_trainer *trainer, rp_train_list *list, const rp_train_drop *drop);

void rp_train_describe_prologue(const rp_trainer *trainer, rp_train_list *out);
void rp_train_describe_forward(const rp_trainer *trainer, uint32_t layer, rp_train_list *out);
void rp_train_describe_backward(const rp_trainer *trainer, uint32_t layer, rp_train_list *out);
void rp_train_describe_epilogue(const rp_trainer *trainer, rp_train_list *out);
void rp_train_describe_head(const rp_trainer *trainer, rp_train_list *out);

/* Labels that count, over a whole batch: by which losses are divided. Spans: of both columns. Pre-training:
 * tokens to be predicted, and orders. */
typedef struct rp_train_labels {
    uint64_t counted[2];
} rp_train_labels;

/* ---- vectors.c ---- */

/* RP_ERROR_UNSUPPORTED where the folder makes vectors in a way that is not trained. */
rp_status rp_train_choose_pooling(rp_trainer *trainer, rp_error *err);

/* From hidden states to the vectors of a micro-batch, among those of the step; the loss of all, and their
 * gradients; and back, from those of a micro-batch to the hidden states. */
void rp_train_describe_vectors(const rp_trainer *trainer, rp_train_list *out);
void rp_train_describe_vectors_loss(const rp_trainer *trainer, rp_train_list *out);
void rp_train_describe_vectors_back(const rp_trainer *trainer, rp_train_list *out);

/* Which batches can be learnt, and what the device reads of one; the losses that it writes. */
rp_status rp_train_check_vectors(const rp_trainer *trainer, const rp_train_batch *batch, rp_train_labels *out,
                                 rp_error *err);
void rp_train_write_vectors(rp_trainer *trainer, const rp_train_batch *batch, const rp_train_labels *labels,
                            uint32_t *counts);
void rp_train_add_vectors(const rp_trainer *trainer, const rp_train_batch *batch, double *loss);

/* Are vectors compared with those of other processes? And where the first one of a micro-batch lies then. */
bool rp_train_gathers(const rp_trainer *trainer);
struct rp_train_part;
uint32_t rp_train_first_vector(const rp_trainer *trainer, const struct rp_train_part *part);

/* RP_ERROR_ARGUMENT: a step has not so many sequences. */
rp_status rp_train_check_pairs(const rp_trainer *trainer, uint64_t sequences, rp_error *err);

/* Set ranks.learnt of the pairs of this process, and clear those of others. */
void rp_train_say_learnt(rp_trainer *trainer, const rp_train_batch *batch);

/* ---- recording.c ---- */

/* Select every kernel and record every command buffer. */
rp_status rp_train_record(rp_trainer *trainer, rp_error *err);
void rp_train_drop_recordings(rp_trainer *trainer);

/* Make the transposes of the weights as they are. In the model's turn. */
rp_status rp_train_turn(rp_trainer *trainer, rp_error *err);

/* ---- transfer.c ---- */

/* What lies on the device for each parameter. */
typedef enum rp_train_kind { RP_TRAIN_WEIGHTS, RP_TRAIN_MEAN, RP_TRAIN_VARIANCE } rp_train_kind;

/* Read all of a kind: tensors of `to` that have data, and of moments are trained, get other data, of `arena`,
 * in float32. And write it: from those tensors, which come of the file `path`. In the model's turn. */
rp_status rp_train_read(rp_trainer *trainer, rp_train_kind kind, rp_weights *to, rp_arena *arena,
                        rp_error *err);
rp_status rp_train_write(rp_trainer *trainer, rp_train_kind kind, rp_weights *from, const char *path,
                         rp_error *err);

/* ---- ranks.c: nothing is done without params.world ---- */

rp_status rp_train_create_ranks(rp_trainer *trainer, rp_error *err); /* after rp_train_record */
void rp_train_drop_ranks(rp_trainer *trainer);

/* Meet before a step, each rank with what `status` and `err` say of it, and go on together: `labels` becomes
 * those of all ranks. RP_OK when all are well. */
struct rp_train_labels;
rp_status rp_train_join_step(rp_trainer *trainer, const rp_train_batch *batch, struct rp_train_labels *labels,
                             rp_status status, rp_error *err);

/* Gather the vectors of all ranks on each device, where they are compared; `status` and `err` say what came
 * of this rank's. Submissions are counted in `out`. */
rp_status rp_train_join_vectors(rp_trainer *trainer, const rp_train_batch *batch, rp_train_result *out,
                                rp_status status, rp_error *err);

/* Add up losses and gradients of all ranks after their micro-batches. */
rp_status rp_train_join_gradients(rp_trainer *trainer, rp_train_result *out, rp_status status, rp_error *err);

/* After the update, with the square of the norm that the device found: it is finite in all ranks or in none.
 */
rp_status rp_train_join_update(rp_trainer *trainer, float total, rp_status status, rp_error *err);

/* ---- finite.c ---- */

/* RP_ERROR_UNSUPPORTED, which names the step and the tensor: after a step whose gradient was not finite. In
 * the model's turn. */
rp_status rp_train_fail_not_finite(const rp_trainer *trainer, rp_error *err);

/* ---- batch.c ---- */

/* A micro-batch. */
typedef struct rp_train_part {
    size_t first, count; /* sequences */
    uint32_t tokens;
    size_t first_token; /* of the batch */
    size_t first_masked;
    uint32_t masked; /* tokens to be predicted */
    size_t first_question, questions;
} rp_train_part;

rp_status rp_train_check(const rp_trainer *trainer, const rp_train_batch *batch, rp_train_labels *out,
                         rp_error *err);

/* The next micro-batch after `done`; count 0: there is none. */
rp_train_part rp_train_next_part(const rp_trainer *trainer, const rp_train_batch *batch, rp_train_part done);

/* Write what the device reads for it but the state. Returns the number of items whose losses it writes. */
uint32_t rp_train_fill(rp_trainer *trainer, const rp_train_batch *batch, const rp_train_labels *labels,
                       const rp_train_part *part);

/* ---- info.c ---- */

/* Fill trainer->info, once everything is made. */
rp_status rp_train_fill_info(rp_trainer *trainer, rp_error *err);

/* ---- trainer.c ---- */

/* rp_trainer_open of a model with random weights, as rp_model_open_random has them, and a classifier. */
rp_status rp_trainer_open_random(rp_device *device, const char *config, const rp_trainer_params *params,
                                 rp_trainer **out, rp_error *err);

#endif
