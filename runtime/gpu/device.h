/* An open device: instance, logical device, queue, caches. */
#ifndef RP_GPU_DEVICE_H
#define RP_GPU_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gpu/caps.h"

struct rp_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue;
    rp_vk_table vk; /* a test may replace an entry to count or fail calls */
    rp_caps caps;
    pthread_mutex_t queue_lock; /* held around every use of `queue` */
    VkPipelineCache pipeline_cache;
    _Atomic size_t
        pipeline_cache_size; /* bytes last read or written; a different size means there is news to write */
    _Atomic uint64_t bytes;  /* allocated device memory */
    char *shader_dir;        /* GLSL compiled instead of the pack; NULL: the pack */
    char *cache_dir;         /* NULL: no cache */
    bool debug_names;        /* VK_EXT_debug_utils is on: objects are named */
    struct {
        double loader, instance, choice, device; /* of rp_device_open, seconds */
        _Atomic double pipelines, tuning;        /* since then */
    } spent;
};

/* Name an object for validation messages and captures; nothing where the extension is off. */
void rp_device_name(rp_device *device, VkObjectType type, uint64_t handle, const char *name);

/* Submit `count` command buffers in order and wait until they are done. `fence` is unsignalled before and
 * after. */
rp_status rp_device_submit(rp_device *device, const VkCommandBuffer *buffers, uint32_t count, VkFence fence,
                           rp_error *err);

/* Is this what vkGetPipelineCacheData gave for this device and driver? Drivers trust what comes after the
 * header. */
bool rp_pipelines_fit(const rp_caps *caps, const void *data, size_t size);

/* Write the pipeline cache to disk if pipelines were compiled since it was read. Failing is no error. */
void rp_device_save_pipelines(rp_device *device);

#endif
