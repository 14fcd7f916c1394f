/* An operator on buffers of its own, to be timed with one kernel after the other. */
#ifndef RP_OPS_SAMPLE_H
#define RP_OPS_SAMPLE_H

#include "ops/timer.h"

typedef struct rp_sample {
    rp_timer timer;
    rp_buffer x, out, lists; /* lists: written by the host */
    rp_op op;                /* what is timed; its kernel is filled in */
    uint32_t counts[RP_COUNT_KINDS];
    rp_matrix part; /* some of the weights of the operator that is chosen for */
    rp_matrix_chunk chunk;
    double best; /* seconds of the fastest kernel so far */
} rp_sample;

/* Multiply-adds that are enough to tell kernels apart, and take no more than a moment. */
double rp_sample_work(const rp_caps *caps);

/* With the pipelines of `owner`. Closed by the caller also on failure. */
rp_status rp_sample_open(rp_sample *sample, rp_ops *owner, rp_error *err);
void rp_sample_close(rp_sample *sample);

/* For rp_class.sample: buffers of so many bytes, where there are none yet. */
rp_status rp_sample_buffers(rp_sample *sample, uint64_t x, uint64_t out, uint64_t lists, rp_error *err);

/* The least time of sample->op by its kernel, in seconds; gives up on one that is far behind the best. */
rp_status rp_sample_measure(rp_sample *sample, double *out, rp_error *err);

#endif
