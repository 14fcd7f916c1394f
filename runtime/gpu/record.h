/* Recording command buffers, which are recorded once and submitted many times with other lengths. */
#ifndef RP_GPU_RECORD_H
#define RP_GPU_RECORD_H

#include "gpu/pipeline.h"

/* Time stamps around dispatches: query 2i before dispatch i, 2i + 1 after it. */
typedef struct rp_stamps {
    VkQueryPool pool;
    uint32_t used, capacity; /* numbers of dispatches; those past the capacity get no stamps */
    const char **labels;     /* [capacity] */
} rp_stamps;

/* Owns the command buffers and descriptor sets of one model. Zero-initialise with the device. */
typedef struct rp_recorder {
    rp_device *device;
    VkCommandPool commands;
    VkDescriptorPool *pools;
    size_t pool_count, pool_capacity;
    uint32_t sets_left; /* in the last pool */
    VkBufferView *views;
    size_t view_count, view_capacity;
    rp_stamps *stamps; /* NULL: none; else every dispatch is recorded with time stamps */
} rp_recorder;

void rp_recorder_finish(rp_recorder *recorder);

/* Begin and end a command buffer that one submission may list several times. It begins with a barrier that
 * waits for the shaders of the command buffer before it. */
rp_status rp_record_begin(rp_recorder *recorder, const char *name, VkCommandBuffer *out, rp_error *err);
rp_status rp_record_end(rp_recorder *recorder, VkCommandBuffer commands, rp_error *err);

/* One dispatch. The device reads its workgroup counts from `indirect`, a VkDispatchIndirectCommand. */
typedef struct rp_dispatch {
    const rp_pipeline *pipeline;
    const char *label;
    rp_range bindings[RP_MAX_BINDINGS];
    VkFormat formats[RP_MAX_BINDINGS]; /* formats of those bindings that are texel buffers */
    uint32_t push[RP_MAX_PUSH_WORDS];
    rp_range indirect;
} rp_dispatch;
rp_status rp_record_dispatch(rp_recorder *recorder, VkCommandBuffer commands, const rp_dispatch *dispatch,
                             rp_error *err);

/* Record a barrier: later shaders, and the workgroup counts of their dispatches, see what earlier shaders
 * wrote. */
void rp_record_barrier(rp_recorder *recorder, VkCommandBuffer commands);

/* Record a copy of `from` to `to`, as long as `from`: of what earlier shaders wrote, for later ones and, once
 * the fence is signalled, for the host. */
void rp_record_copy(rp_recorder *recorder, VkCommandBuffer commands, rp_range from, rp_range to);

/* Record a barrier: once the fence is signalled, the host sees what earlier shaders wrote. */
void rp_record_host_barrier(rp_recorder *recorder, VkCommandBuffer commands);

#endif
