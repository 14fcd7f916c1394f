/* What the operators of a training step share: the numbers of the step, and which operators each class has.
 * What their operands are says the file of each class; none of them touches what its comment does not name.
 */
#ifndef RP_OPS_TRAINING_H
#define RP_OPS_TRAINING_H

#include "ops/op.h"

/* Read by the device, for one submission; the host writes it before. Only `layer` is written by the device
 * too (RP_ROWS_COUNT_LAYER). In one range of sizeof(rp_train_state) bytes. */
typedef struct rp_train_state {
    uint32_t seed[2];
    uint32_t step;
    uint32_t first_row; /* rows (tokens, sequences) of the step before this batch: dropout does not depend on
                           how a step is cut into batches */
    uint32_t layer;
    uint32_t unused[3];
    float rate;              /* of learning */
    float beta1, beta2, eps; /* of AdamW and LAMB */
    float decay;             /* of weights */
    float correction1;       /* AdamW: 1 / (1 - beta1^t); 1: none */
    float correction2;       /* AdamW: 1 / sqrt(1 - beta2^t); 1: none */
    float most_norm;         /* that the gradient is clipped to; 0: it is not */
    float factor;            /* of every gradient, before the norm: 1 / loss scale */
    float clip_eps;          /* added to the norm that most_norm is divided by: PyTorch's 1e-6 */
    uint32_t more[2];
} rp_train_state;

/* What is kept of the elements of a dropout: 4 neighbouring elements have one counter. Written to out: 0 or 1
 * / (1 - rate). The shaders do the same (random.glsl). `row` does not count rp_train_state.first_row. */
void rp_kept(const rp_train_state *step, uint32_t place, float rate, const uint32_t element[4], float out[4]);

/* The same rate as the device compares with, and the factor of what is kept. */
uint32_t rp_drop_threshold(float rate);
float rp_keep_factor(float rate);

/* Which operator a class is (rp_op.variant). */
typedef enum rp_pointwise_variant {
    RP_POINTWISE_ACTIVATE = 0, /* out = activation(x) */
    RP_POINTWISE_GRADIENT,     /* out = dy * activation'(x) */
    RP_POINTWISE_DROP,         /* out = x, with some elements 0 and the others divided by 1 - rate */
    RP_POINTWISE_HALVE,        /* out, float16, = x; infinite where that is too large */
} rp_pointwise_variant;

typedef enum rp_transpose_variant {
    RP_TRANSPOSE_TURN = 0, /* w[1] = the transpose of w[0] */
    RP_TRANSPOSE_COPY,     /* w[1] = w[0]; the chunks of both are alike */
} rp_transpose_variant;

typedef enum rp_rows_variant {
    RP_ROWS_STASH = 0,   /* row i of layer number rp_train_state.layer of out = x[i] */
    RP_ROWS_UNSTASH,     /* out[i] = row i of that layer of x */
    RP_ROWS_COUNT_LAYER, /* rp_train_state.layer += op->fixed, as a number modulo 2^32: -1 is UINT32_MAX */
    RP_ROWS_ADD,         /* out[i] += x[i] */
    RP_ROWS_ADD_TO,      /* out[list[i]] += x[i]; no row is listed twice */
    RP_ROWS_ADD_FROM,    /* out[i] += x[list[i][0]] * list[i][1], a float */
    RP_ROWS_SET_FROM,    /* out[i] = x[list[i][0]] * list[i][1]; with a factor of 0 it is 0, whatever stands
                            there */
    RP_ROWS_TAKE,        /* out[i] = x[list[i]], the same bits of whatever format */
    RP_ROWS_PUT,         /* out[list[i]] = x[i], the same bits; no row is listed twice */
} rp_rows_variant;

typedef enum rp_column_sum_variant {
    RP_COLUMN_SUM_BIAS = 0, /* out [width] += the sum of the rows of dy */
    RP_COLUMN_SUM_NORM,     /* out [2, width] += the gradients of gamma and beta */
} rp_column_sum_variant;

typedef enum rp_attention_grad_variant {
    RP_ATTENTION_STATS = 0, /* stats = log-sum-exp of each query's scores, and sum of dy * out */
    RP_ATTENTION_OUT,       /* out = the context, with dropout of probabilities */
    RP_ATTENTION_DQ,        /* out = the gradient of Q, in its place in a row of qkv */
    RP_ATTENTION_DKV,       /* out = the gradients of K and V, in theirs */
} rp_attention_grad_variant;

typedef enum rp_loss_variant {
    RP_LOSS_ROWS = 0, /* softmax cross entropy of each row */
    RP_LOSS_SEGMENTS, /* of each column of each segment of rows: spans, choices */
    RP_LOSS_LOGISTIC, /* binary cross entropy of each element */
    RP_LOSS_SQUARES,  /* mean squared error */
} rp_loss_variant;

typedef enum rp_similarity_variant {
    RP_SIMILARITY_ALL = 0, /* cosines of every first text with every second one */
    RP_SIMILARITY_OWN,     /* of each pair alone */
    RP_SIMILARITY_ALL_GRADIENT,
    RP_SIMILARITY_OWN_GRADIENT,
} rp_similarity_variant;

typedef enum rp_reduce_variant {
    RP_REDUCE_SQUARES = 0, /* out[b] = the sum of the squares of block b of x */
    RP_REDUCE_SEGMENTS,    /* out[s] = the sum of x[list[s]] to x[list[s + 1]] */
    RP_REDUCE_ALL,         /* out[0] = the sum of x[0] to x[counts[rows]] */
} rp_reduce_variant;

typedef enum rp_update_variant {
    RP_UPDATE_ADAMW = 0,
    RP_UPDATE_LAMB_MOMENTS, /* LAMB in two steps: between them the norms of each tensor are added up */
    RP_UPDATE_LAMB_APPLY,
} rp_update_variant;

/* Parameters of one tensor that one workgroup works on: at most RP_BLOCK_TEXELS. */
enum { RP_BLOCK_TEXELS = 4096, RP_BLOCK_DECAYS = 1, RP_BLOCK_ADAPTS = 2, RP_BLOCK_NUMBER = 4 };
typedef struct rp_block {
    uint32_t first, count; /* vec4s of the range that holds the parameters */
    uint32_t tensor;       /* its number, for LAMB */
    uint32_t flags;        /* RP_BLOCK_DECAYS: weight decay; RP_BLOCK_ADAPTS: LAMB's ratio; and times
                              RP_BLOCK_NUMBER its number among all blocks, where LAMB has its sums */
} rp_block;

#endif
