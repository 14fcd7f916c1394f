/* What the operators of a training step compute, in plain C, as reference.h says. Where a gradient is added
 * to what stands there, so it is here. */
#ifndef RP_OPS_REFERENCE_GRAD_H
#define RP_OPS_REFERENCE_GRAD_H

#include "ops/reference.h"
#include "ops/training.h"

/* out [n, k] += dy^T * x */
void rp_reference_gradient(size_t rows, size_t n, size_t k, rp_const_rows dy, rp_const_rows x, rp_rows out);

/* out [width] += the sum of the rows of dy. */
void rp_reference_column_sum(size_t rows, size_t width, rp_const_rows dy, float *out);

/* Of out = LayerNorm(x) * gamma + beta: dx, and the gradients of gamma and beta, which are added to. */
typedef struct rp_reference_layernorm_grad {
    size_t rows, width;
    float eps;
    rp_const_rows x, dy;   // [rows, width]
    const float *gamma;    // [width]
    rp_rows dx;            // [rows, width]; no data: it is not wanted
    float *dgamma, *dbeta; // [width]; NULL: not wanted
} rp_reference_layernorm_grad;
void rp_reference_layernorm_grad_run(const rp_reference_layernorm_grad *op);

/* The derivative of rp_reference_activate. */
double rp_reference_slope(double x, rp_op_activation activation);

/* Attention, forward and back, as rp_reference_attention says. */
typedef struct rp_reference_attention_grad {
    size_t sequences, heads, head_dim, head_stride, width;
    const uint32_t *starts;     // [sequences + 1]
    rp_const_rows qkv;          // [tokens, 3 * width]
    rp_const_rows dy;           // [tokens, width]: the gradient by the context
    const rp_train_state *step; // of dropout, with place and rate; rate 0: none
    uint32_t place;
    float rate;
    float *stats; // [tokens, heads, 2]: log-sum-exp of scores, sum of dy * context; NULL: not wanted
    rp_rows out;  // [tokens, width]: the context; no data: not wanted
    double *dqkv; // [tokens, 3 * width]: added to; NULL: not wanted
} rp_reference_attention_grad;
/* RP_ERROR_HOST_MEMORY when a row of probabilities cannot be allocated. */
rp_status rp_reference_attention_grad_run(const rp_reference_attention_grad *op, rp_error *err);

/* The loss of one softmax over n logits, `between` floats apart, by a label (n or more: none), and its
 * gradient [n]. */
double rp_reference_cross_entropy(const float *x, size_t between, size_t n, uint32_t label, double smoothing,
                                  double *gradient);

/* The losses of one logit that is to be y, and their derivatives. */
double rp_reference_logistic(double x, double y, double *gradient);
double rp_reference_squares(double x, double y, double *gradient);

/* The cosine of two vectors, and its gradients by them times dy, which are added. */
double rp_reference_cosine(const float *a, const float *b, size_t width);
void rp_reference_cosine_grad(const float *a, const float *b, size_t width, double dy, double *da,
                              double *db);

/* Of the optimizers, for one element: the factor of a gradient whose squares have this sum; its moments; the
 * parameter after a step of AdamW; what LAMB multiplies by the learning rate and the tensor's ratio. */
double rp_reference_clip(const rp_train_state *step, double squares);
void rp_reference_moments(const rp_train_state *step, double g, float *m, float *v);
float rp_reference_adamw(const rp_train_state *step, bool decays, float w, float m, float v);
double rp_reference_lamb(const rp_train_state *step, bool decays, float w, float m, float v);

#endif
