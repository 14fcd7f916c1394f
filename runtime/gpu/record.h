/* Recording command buffers once, to be submitted many times with other lengths. */
#ifndef RP_GPU_RECORD_H
#define RP_GPU_RECORD_H

#include "gpu/pipeline.h"

/* Time stamps around dispatches: query 2i before dispatch i, 2i + 1 after it. */
typedef struct rp_stamps {
    VkQueryPool pool;
    uint32_t used, capacity; /* dispatches; those past the capacity are not stamped */
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
    rp_stamps *stamps; /* not NULL: every dispatch that is recorded is stamped */
} rp_recorder;

void rp_recorder_finish(rp_recorder *recorder);

/* A command buffer that may be listed several times in one submission. It begins with a barrier that waits
 * for the shaders before it. */
rp_status rp_record_begin(rp_recorder *recorder, const char *name, VkCommandBuffer *out, rp_error *err);
rp_status rp_record_end(rp_recorder *recorder, VkCommandBuffer commands, rp_error *err);

/* One dispatch whose workgroup counts are read from the device: a VkDispatchIndirectCommand at `indirect`. */
typedef struct rp_dispatch {
    const rp_pipeline *pipeline;
    const char *label;
    rp_range bindings[RP_MAX_BINDINGS];
    VkFormat formats[RP_MAX_BINDINGS]; /* of the texel buffers among them */
    uint32_t push[RP_MAX_PUSH_WORDS];
    rp_range indirect;
} rp_dispatch;
rp_status rp_record_dispatch(rp_recorder *recorder, VkCommandBuffer commands, const rp_dispatch *dispatch,
                             rp_error *err);

/* Later shaders, and the workgroup counts of their dispatches, see what earlier shaders wrote. */
void rp_record_barrier(rp_recorder *recorder, VkCommandBuffer commands);

/* The host sees what earlier shaders wrote, once the fence is signalled. */
void rp_record_host_barrier(rp_recorder *recorder, VkCommandBuffer commands);

#endif
