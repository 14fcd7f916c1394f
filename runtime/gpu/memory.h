/* Device memory: buffers, ranges of them, and getting host data into them. */
#ifndef RP_GPU_MEMORY_H
#define RP_GPU_MEMORY_H

#include "gpu/device.h"

/* A buffer with memory of its own. Zero-initialised: nothing to destroy. */
typedef struct rp_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceSize size; /* bytes */
    VkDeviceSize room; /* and behind them, which nobody writes */
    VkDeviceSize allocated;
    void *mapped;  /* for as long as it lives; NULL where the host cannot see it */
    bool coherent; /* no flush or invalidate needed */
} rp_buffer;

/* Part of a buffer, as a descriptor sees it. */
typedef struct rp_range {
    VkBuffer buffer;           /* VK_NULL_HANDLE: nothing */
    VkDeviceSize offset, size; /* bytes; the offset obeys rp_caps.storage_alignment */
    VkDeviceSize room;         /* bytes behind it that its buffer has */
} rp_range;

/* Create and bind a storage buffer of `size` bytes, mapped where the memory can be. `name` is for messages.
 */
rp_status rp_buffer_create(rp_device *device, VkDeviceSize size, rp_memory_use use, const char *name,
                           rp_buffer *out, rp_error *err);
void rp_buffer_destroy(rp_device *device, rp_buffer *buffer);
rp_range rp_buffer_range(const rp_buffer *buffer, VkDeviceSize offset, VkDeviceSize size);

/* Bytes for a texel view of `range`: its size, or a little more where that spares a software driver
 * compiling. */
VkDeviceSize rp_view_size(const rp_device *device, const rp_range *range);

/* Make host writes visible to the device, or device writes to the host; nothing on coherent memory. */
rp_status rp_buffer_flush(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err);
rp_status rp_buffer_invalidate(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err);

/* Bytes of device memory that this process could have now, in the largest heap of the device. False: the
 * driver does not tell (VK_EXT_memory_budget). */
bool rp_device_memory_left(const rp_device *device, uint64_t *bytes);

/* A growing store for data that is written once, such as weights: buffers that are cut into ranges. */
typedef struct rp_store {
    rp_device *device;
    const char *name;
    rp_buffer *blocks;
    size_t count, capacity;
    VkDeviceSize used;  /* bytes of the last block */
    VkDeviceSize block; /* size of the next block, bytes */
    struct rp_staging *staging;
} rp_store;

/* `expected` bytes will be asked for in all: a hint that makes one block hold everything where it can. */
void rp_store_init(rp_store *store, rp_device *device, VkDeviceSize expected, const char *name);
void rp_store_finish(rp_store *store);

/* Reserve `size` bytes, at most the device's storage range. */
rp_status rp_store_reserve(rp_store *store, VkDeviceSize size, rp_range *out, rp_error *err);

/* Host memory for `size` bytes (at most RP_STAGING_BYTES) that go to `offset` of `range`, a multiple of 4. To
 * be filled before the next call; it is sent by a later one or by rp_store_flush. NULL on failure. */
enum { RP_STAGING_BYTES = 4 << 20 };
void *rp_store_write(rp_store *store, rp_range range, VkDeviceSize offset, VkDeviceSize size, rp_error *err);

/* Send what is left and free the staging memory. */
rp_status rp_store_flush(rp_store *store, rp_error *err);

/* Device memory the store holds, bytes. */
VkDeviceSize rp_store_bytes(const rp_store *store);

#endif
