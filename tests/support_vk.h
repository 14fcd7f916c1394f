/* Watching what an open device is asked: its table of Vulkan functions is replaced by one that counts. */
#ifndef SUPPORT_VK_H
#define SUPPORT_VK_H

#include "gpu/device.h"

enum { VK_SEEN_BUFFERS = 256 };

typedef struct vk_seen_calls {
    unsigned submits, waits, resets, flushes, invalidates;
    unsigned others;                          /* every other function of the table */
    uint32_t buffer_count;                    /* command buffers of the last submission */
    VkCommandBuffer buffers[VK_SEEN_BUFFERS]; /* the first of them */
    VkDeviceSize flushed, invalidated;        /* bytes of the last one; VK_WHOLE_SIZE as it is */
} vk_seen_calls;

/* What was seen since vk_watch, or since a test zeroed it. */
extern vk_seen_calls vk_seen;

/* From now on submissions, waits, fence resets, flushes and invalidations are counted and passed on; every
 * other function of the table is counted and does nothing, so nothing but a run works. One device at a time.
 */
void vk_watch(rp_device *device);
void vk_unwatch(rp_device *device);

/* True when the table's entry for a function that records, allocates, creates, maps or updates would be
 * counted. */
bool vk_watches_everything(const rp_device *device);

#endif
