/* A harness: it records work, runs it alone, and times it by the device's time stamps, or where the device
 * has none by the clock of the host. */
#ifndef RP_OPS_HARNESS_H
#define RP_OPS_HARNESS_H

#include "ops/op.h"

typedef struct rp_harness {
    rp_device *device;
    rp_ops ops;          /* record with it what is to run */
    rp_buffer arguments; /* counts and grids */
    VkFence fence;
    VkQueryPool stamps;       /* two; VK_NULL_HANDLE: the host's clock */
    VkCommandBuffer commands; /* being recorded, or recorded last */
    double cpu_seconds;       /* least processor time of a run of rp_harness_best, over the processors */
} rp_harness;

/* Open it. What is recorded with it uses `pipelines`, a model's, since a driver may take long to make one
 * again; NULL: pipelines of its own, whose statistics the driver keeps. On failure nothing is left open. */
rp_status rp_harness_open(rp_harness *harness, rp_device *device, rp_pipeline_set *pipelines, rp_error *err);
void rp_harness_close(rp_harness *harness);

/* Begin a command buffer, harness->commands, and end it. The caller records the work between the two. */
rp_status rp_harness_begin(rp_harness *timer, rp_error *err);
rp_status rp_harness_end(rp_harness *timer, rp_error *err);

/* Run the last command buffer with these counts and wait for it. `*seconds` gets the time between the stamps,
 * or from submission to the fence. */
rp_status rp_harness_run(rp_harness *timer, const uint32_t counts[RP_COUNT_KINDS], double *seconds,
                         rp_error *err);

/* Run it once, and then several times: `most` times, or until `enough` seconds have passed. `*seconds` gets
 * the least time of these. */
rp_status rp_harness_best(rp_harness *timer, const uint32_t counts[RP_COUNT_KINDS], uint32_t most,
                          double enough, double *seconds, rp_error *err);

#endif
