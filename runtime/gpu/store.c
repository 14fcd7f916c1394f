/* The store: blocks of device memory. The host writes to blocks that it can see, and fills the others through
 * a staging buffer, from which the device copies. */
#include "gpu/memory.h"

#include <string.h>

#include "base/alloc.h"

/* A buffer that the host fills, and the command buffer that copies from it to memory which the host cannot
 * see. */
struct rp_staging {
    rp_buffer buffer;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    VkDeviceSize
        used; /* bytes of `buffer` whose copies are recorded and not submitted; 0: `commands` records none */
};

enum { MIN_BLOCK = 1 << 20, MAX_BLOCK = 1 << 30 };

void rp_store_init(rp_store *store, rp_device *device, VkDeviceSize expected, const char *name) {
    VkDeviceSize limit = device->caps.max_allocation < MAX_BLOCK ? device->caps.max_allocation : MAX_BLOCK;
    if (expected < MIN_BLOCK) expected = MIN_BLOCK;
    *store = (rp_store){.device = device, .name = name, .block = expected < limit ? expected : limit};
}

static void staging_destroy(rp_device *device, struct rp_staging *staging) {
    if (!staging) return;
    RP_DESTROY(device, vkDestroyFence, staging->fence);
    RP_DESTROY(device, vkDestroyCommandPool, staging->pool);
    rp_buffer_destroy(device, &staging->buffer);
    free(staging);
}

void rp_store_finish(rp_store *store) {
    if (!store->device) return;
    staging_destroy(store->device, store->staging);
    for (size_t i = 0; i < store->count; i++) rp_buffer_destroy(store->device, &store->blocks[i]);
    free(store->blocks);
    *store = (rp_store){0};
}

VkDeviceSize rp_store_limit(const rp_store *store) {
    return store->limit ? store->limit : rp_caps_range_limit(&store->device->caps);
}

rp_status rp_store_reserve(rp_store *store, VkDeviceSize size, rp_range *out, rp_error *err) {
    rp_device *device = store->device;
    VkDeviceSize alignment = device->caps.storage_alignment > 16 ? device->caps.storage_alignment : 16;
    VkDeviceSize offset = store->count ? rp_round_up(store->used, alignment) : 0;
    if (!store->count || offset + size > store->blocks[store->count - 1].size) {
        VkDeviceSize block = size > store->block ? size : store->block;
        if (!rp_grow((void **)&store->blocks, &store->capacity, store->count + 1, sizeof *store->blocks))
            return rp_fail_memory(err, store->name, sizeof *store->blocks);
        rp_status status =
            rp_buffer_create(device, block, RP_MEMORY_DEVICE, store->name, &store->blocks[store->count], err);
        if (status) return status;
        store->count++;
        offset = 0;
        /* what did not fit the first block is seldom as large */
        store->block = store->block / 2 > MIN_BLOCK ? store->block / 2 : MIN_BLOCK;
    }
    store->used = offset + size;
    *out = rp_buffer_range(&store->blocks[store->count - 1], offset, size);
    return RP_OK;
}

static rp_status staging_create(rp_store *store, rp_memory_use use, rp_error *err) {
    rp_device *device = store->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    struct rp_staging *staging = store->staging = rp_new(struct rp_staging);
    if (!staging) return rp_fail_memory(err, "staging", sizeof *staging);
    RP_TRY(rp_buffer_create(device, RP_STAGING_BYTES, use, "staging", &staging->buffer, err));
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT |
                                             VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                    .queueFamilyIndex = device->caps.queue_family};
    RP_VK(vkCreateCommandPool, (device->handle, &pool, NULL, &staging->pool));
    VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = staging->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    RP_VK(vkAllocateCommandBuffers, (device->handle, &commands, &staging->commands));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &staging->fence));
done:
    return status;
}

/* Submit the copies recorded so far and wait. */
static rp_status staging_send(rp_store *store, rp_error *err) {
    struct rp_staging *staging = store->staging;
    if (!staging || !staging->used) return RP_OK;
    rp_device *device = store->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    RP_TRY(rp_buffer_flush(device, &staging->buffer, staging->used, err));
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_SHADER_READ_BIT};
    vk->vkCmdPipelineBarrier(staging->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    RP_VK(vkEndCommandBuffer, (staging->commands));
    RP_TRY(rp_device_submit(device, &staging->commands, 1, staging->fence, err));
    staging->used = 0;
done:
    return status;
}

/* Reserve `size` bytes of the staging buffer, and record the command that copies them to `offset` of
 * `buffer`. Returns the host's address of the bytes; NULL: it failed. */
static void *staging_add(rp_store *store, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize size,
                         rp_error *err) {
    rp_status status = RP_OK;
    const rp_vk_table *vk = &store->device->vk;
    if (!store->staging) RP_TRY(staging_create(store, RP_MEMORY_INPUT, err));
    struct rp_staging *staging = store->staging;
    if (staging->used + size > RP_STAGING_BYTES) RP_TRY(staging_send(store, err));
    if (!staging->used) {
        VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                          .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
        RP_VK(vkBeginCommandBuffer, (staging->commands, &begin));
    }
    VkBufferCopy copy = {.srcOffset = staging->used, .dstOffset = offset, .size = size};
    vk->vkCmdCopyBuffer(staging->commands, staging->buffer.handle, buffer, 1, &copy);
    staging->used += rp_round_up(size, 16);
    return (char *)staging->buffer.mapped + copy.srcOffset;
done:
    staging_destroy(store->device, store->staging); /* it is half made, or its commands cannot be submitted */
    store->staging = NULL;
    return NULL;
}

static const rp_buffer *block_of(const rp_store *store, VkBuffer handle) {
    for (size_t i = 0; i < store->count; i++)
        if (store->blocks[i].handle == handle) return &store->blocks[i];
    return NULL;
}

void *rp_store_write(rp_store *store, rp_range range, VkDeviceSize offset, VkDeviceSize size, rp_error *err) {
    const rp_buffer *block = block_of(store, range.buffer);
    if (block->mapped) return (char *)block->mapped + range.offset + offset;
    return staging_add(store, range.buffer, range.offset + offset, size, err);
}

rp_status rp_store_flush(rp_store *store, rp_error *err) {
    rp_status status = staging_send(store, err);
    staging_destroy(store->device, store->staging);
    store->staging = NULL;
    for (size_t i = 0; !status && i < store->count; i++)
        status = rp_buffer_flush(store->device, &store->blocks[i], store->blocks[i].size, err);
    return status;
}

/* ---- reading ---- */

/* Record and submit the copy of `size` bytes from `offset` of `buffer` to `to`, which the host sees. */
static rp_status copy_back(rp_device *device, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize size,
                           const struct rp_staging *to, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    const VkBufferCopy copy = {.srcOffset = offset, .size = size};
    const VkMemoryBarrier before = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                    .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                    .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT},
                          after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                   .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    RP_VK(vkBeginCommandBuffer, (to->commands, &begin));
    vk->vkCmdPipelineBarrier(to->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                             VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    vk->vkCmdCopyBuffer(to->commands, buffer, to->buffer.handle, 1, &copy);
    vk->vkCmdPipelineBarrier(to->commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                             &after, 0, NULL, 0, NULL);
    RP_VK(vkEndCommandBuffer, (to->commands));
    RP_TRY(rp_device_submit(device, &to->commands, 1, to->fence, err));
    status = rp_buffer_invalidate(device, &to->buffer, size, err);
done:
    return status;
}

rp_status rp_store_read(rp_store *store, rp_range range, VkDeviceSize offset, VkDeviceSize size, void *out,
                        rp_error *err) {
    const rp_buffer *block = block_of(store, range.buffer);
    rp_status status = RP_OK;
    if (block->mapped) {
        status = rp_buffer_invalidate(store->device, block, range.offset + offset + size, err);
        if (!status) memcpy(out, (const char *)block->mapped + range.offset + offset, (size_t)size);
        return status;
    }
    if (!store->staging) status = staging_create(store, RP_MEMORY_OUTPUT, err);
    if (!status)
        status = copy_back(store->device, range.buffer, range.offset + offset, size, store->staging, err);
    if (!status) memcpy(out, store->staging->buffer.mapped, (size_t)size);
    return status;
}

VkDeviceSize rp_store_bytes(const rp_store *store) {
    VkDeviceSize bytes = 0;
    for (size_t i = 0; i < store->count; i++) bytes += store->blocks[i].allocated;
    return bytes;
}
