/* Tuning: kernels of an operator are timed one after the other, on buffers of their own, and put in order. */
#ifndef RP_OPS_TUNING_H
#define RP_OPS_TUNING_H

#include "ops/harness.h"

/* The kernels among which one is selected for an operator. */
typedef struct rp_candidates {
    const rp_op *op;
    rp_use use;
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count;
} rp_candidates;

typedef struct rp_tuning {
    rp_ops *owner;           /* a model's, whose pipelines the harness uses */
    rp_harness harness;      /* opened by rp_tuning_buffers */
    rp_buffer x, out, lists; /* the host writes lists */
    rp_op op;                /* what is timed, with its kernel */
    uint32_t counts[RP_COUNT_KINDS];
    rp_matrix weights; /* those of op, or some of them */
    rp_matrix_chunk chunk;
    double best;    /* seconds of the fastest kernel so far */
    double until;   /* when the time for tuning is over, in rp_seconds */
    bool cut_short; /* it was over before each kernel was timed */
} rp_tuning;

/* Put the candidates in order, the fastest first: as an earlier start found them, or by timing them now.
 * Where device->tuning_limit ends before each is timed, those that were not stay behind the others in the
 * order of the plan, and nothing is kept: the next start times them. Of kernels as fast the one with the
 * smallest tile comes first. */
rp_status rp_tune(rp_ops *ops, rp_candidates *candidates, rp_error *err);

/* Write in words what the speed of the kernels of `op` depends on, beside the device. */
enum { RP_SHAPE_TEXT = 160 };
void rp_tuning_shape(const rp_op *op, char out[RP_SHAPE_TEXT]);

/* ---- for rp_class.tune ---- */

/* Multiply-adds that are enough to tell kernels apart, and take no more than a moment. */
double rp_tuning_work(const rp_caps *caps);

/* Create buffers of so many bytes, if there are none yet. lists 0: none of these. */
rp_status rp_tuning_buffers(rp_tuning *tuning, uint64_t x, uint64_t out, uint64_t lists, rp_error *err);

/* Run tuning->op several times and write its least time to `*seconds`. A kernel that is far behind the best
 * one is run once. */
rp_status rp_tuning_measure(rp_tuning *tuning, double *seconds, rp_error *err);

#endif
