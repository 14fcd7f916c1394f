/* Tuning: an operator is run and timed with one kernel after the other, on buffers of its own. */
#ifndef RP_OPS_TUNING_H
#define RP_OPS_TUNING_H

#include "ops/harness.h"

typedef struct rp_tuning {
    rp_ops *owner;           /* a model's: the harness borrows its pipelines */
    rp_harness harness;      /* opened by rp_tuning_buffers */
    rp_buffer x, out, lists; /* the host writes lists */
    rp_op op;                /* what is timed, with its kernel */
    uint32_t counts[RP_COUNT_KINDS];
    rp_matrix weights; /* those of op, or some of them */
    rp_matrix_chunk chunk;
    double best; /* seconds of the fastest kernel so far */
} rp_tuning;

/* Multiply-adds that are enough to tell kernels apart, and take no more than a moment. */
double rp_tuning_work(const rp_caps *caps);

/* Begin, and end. Between them nothing else uses the pipelines of `owner`. */
void rp_tuning_open(rp_tuning *tuning, rp_ops *owner);
void rp_tuning_close(rp_tuning *tuning);

/* ---- for rp_class.tune ---- */

/* Create buffers of so many bytes, if there are none yet. lists 0: none of these. */
rp_status rp_tuning_buffers(rp_tuning *tuning, uint64_t x, uint64_t out, uint64_t lists, rp_error *err);

/* Run tuning->op several times and write its least time to `*seconds`. A kernel that is far behind the best
 * one is run once. */
rp_status rp_tuning_measure(rp_tuning *tuning, double *seconds, rp_error *err);

#endif
