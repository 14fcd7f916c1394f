/* Device memory: buffers (memory.c), and stores that the host fills once, such as weights (store.c). */
#ifndef RP_GPU_MEMORY_H
#define RP_GPU_MEMORY_H

#include "gpu/device.h"

/* A buffer with memory of its own. A zeroed struct is no buffer, and rp_buffer_destroy accepts it. */
typedef struct rp_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceSize size;      /* bytes */
    VkDeviceSize room;      /* bytes behind them, which nobody writes */
    VkDeviceSize allocated; /* bytes of `memory` */
    void *mapped;           /* the host's address of it until it is destroyed; NULL: the host cannot see it */
    bool coherent;          /* the memory needs no flush and no invalidate */
} rp_buffer;

/* A range of a buffer, as a descriptor binds it. */
typedef struct rp_range {
    VkBuffer buffer;           /* VK_NULL_HANDLE: there is no range */
    VkDeviceSize offset, size; /* bytes; `offset` is a multiple of rp_caps.storage_alignment */
    VkDeviceSize room;         /* bytes of the buffer behind the range */
} rp_range;

/* Create a storage buffer of `size` bytes with memory for `use`, mapped where the host can see the memory.
 * `name` stands in messages. RP_ERROR_DEVICE_MEMORY: the driver has too little. On success the caller
 * destroys `out`; where it fails there is nothing to destroy. The caller has entered the device, as for all
 * that follows. */
rp_status rp_buffer_create(rp_device *device, VkDeviceSize size, rp_memory_use use, const char *name,
                           rp_buffer *out, rp_error *err);
void rp_buffer_destroy(rp_device *device, rp_buffer *buffer);
rp_range rp_buffer_range(const rp_buffer *buffer, VkDeviceSize offset, VkDeviceSize size);

/* Bytes of a texel view of `range`: its size, or a little more where a software driver would compile the
 * shader again for that size (memory.c says why). */
VkDeviceSize rp_view_size(const rp_device *device, const rp_range *range);

/* Make the first `size` bytes that the host wrote visible to the device (flush), or those that the device
 * wrote visible to the host (invalidate). Both do nothing on coherent memory. (submit.c) */
rp_status rp_buffer_flush(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err);
rp_status rp_buffer_invalidate(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err);

/* Write to `*bytes` how much memory of the device's largest heap the driver would still give to this process.
 * False: the driver does not say, having no VK_EXT_memory_budget. */
bool rp_device_memory_left(const rp_device *device, uint64_t *bytes);

/* A store: a growing list of buffers, of which the owner reserves ranges and fills each once, such as
 * weights. */
typedef struct rp_store {
    rp_device *device;
    const char *name;
    rp_buffer *blocks;
    size_t count, capacity;
    VkDeviceSize used;  /* reserved bytes of the last block */
    VkDeviceSize block; /* size of the next block, bytes */
    VkDeviceSize limit; /* bytes of the largest range, set by the owner; 0: as the device allows */
    struct rp_staging *staging;
} rp_store;

/* Make an empty store. `expected` is about how many bytes the owner will reserve: the first block is made for
 * all of them where the device allows. */
void rp_store_init(rp_store *store, rp_device *device, VkDeviceSize expected, const char *name);
void rp_store_finish(rp_store *store);

/* Bytes of the largest range that can be reserved. */
VkDeviceSize rp_store_limit(const rp_store *store);

/* Reserve a range of `size` bytes. RP_ERROR_DEVICE_MEMORY. */
rp_status rp_store_reserve(rp_store *store, VkDeviceSize size, rp_range *out, rp_error *err);

/* Returns host memory for `size` bytes, at most RP_STAGING_BYTES, whose content will be at `offset` of
 * `range`, both multiples of 4. The caller fills it before it calls the store again. A later call, or
 * rp_store_flush, sends it to the device. NULL: it failed, and `err` says why. */
enum { RP_STAGING_BYTES = 4 << 20 };
void *rp_store_write(rp_store *store, rp_range range, VkDeviceSize offset, VkDeviceSize size, rp_error *err);

/* Send to the device what was not sent yet, and free the staging memory. */
rp_status rp_store_flush(rp_store *store, rp_error *err);

/* Copy `size` bytes, at most RP_STAGING_BYTES, from `offset` of `range` to `out`. Nothing that writes them is
 * pending, and nothing was written to the store since rp_store_flush, which also frees what this took. */
rp_status rp_store_read(rp_store *store, rp_range range, VkDeviceSize offset, VkDeviceSize size, void *out,
                        rp_error *err);

/* Bytes of device memory that the store has allocated. */
VkDeviceSize rp_store_bytes(const rp_store *store);

#endif
