#include "support_vk.h"

#include <string.h>

#include "base/alloc.h"

vk_seen_calls vk_seen;
static rp_vk_table real;

static VKAPI_ATTR VkResult VKAPI_CALL count_submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                                   VkFence fence) {
    vk_seen.submits++;
    vk_seen.buffer_count = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t b = 0; b < infos[i].commandBufferCount; b++, vk_seen.buffer_count++)
            if (vk_seen.buffer_count < VK_SEEN_BUFFERS)
                vk_seen.buffers[vk_seen.buffer_count] = infos[i].pCommandBuffers[b];
    return real.vkQueueSubmit(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_wait(VkDevice device, uint32_t count, const VkFence *fences,
                                                 VkBool32 all, uint64_t timeout) {
    vk_seen.waits++;
    return real.vkWaitForFences(device, count, fences, all, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_reset(VkDevice device, uint32_t count, const VkFence *fences) {
    vk_seen.resets++;
    return real.vkResetFences(device, count, fences);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_flush(VkDevice device, uint32_t count,
                                                  const VkMappedMemoryRange *ranges) {
    vk_seen.flushes++;
    vk_seen.flushed = ranges[0].size;
    return real.vkFlushMappedMemoryRanges(device, count, ranges);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_invalidate(VkDevice device, uint32_t count,
                                                       const VkMappedMemoryRange *ranges) {
    vk_seen.invalidates++;
    vk_seen.invalidated = ranges[0].size;
    return real.vkInvalidateMappedMemoryRanges(device, count, ranges);
}

/* Stands for any function: it takes nothing and says success. */
static VKAPI_ATTR void VKAPI_CALL count_other(void) {
    vk_seen.others++;
}

void vk_watch(rp_device *device) {
    PFN_vkVoidFunction other = count_other;
    real = device->vk;
    for (size_t i = 0; i + sizeof other <= sizeof device->vk; i += sizeof other)
        memcpy((char *)&device->vk + i, &other, sizeof other);
    device->vk.vkQueueSubmit = count_submit;
    device->vk.vkWaitForFences = count_wait;
    device->vk.vkResetFences = count_reset;
    device->vk.vkFlushMappedMemoryRanges = count_flush;
    device->vk.vkInvalidateMappedMemoryRanges = count_invalidate;
    vk_seen = (vk_seen_calls){0};
}

void vk_unwatch(rp_device *device) {
    device->vk = real;
}

bool vk_watches_everything(const rp_device *device) {
    const rp_vk_table *vk = &device->vk;
    const PFN_vkVoidFunction entries[] = {
        (PFN_vkVoidFunction)vk->vkCmdDispatch,
        (PFN_vkVoidFunction)vk->vkCmdDispatchIndirect,
        (PFN_vkVoidFunction)vk->vkCmdPipelineBarrier,
        (PFN_vkVoidFunction)vk->vkCmdBindPipeline,
        (PFN_vkVoidFunction)vk->vkCmdPushConstants,
        (PFN_vkVoidFunction)vk->vkCmdBindDescriptorSets,
        (PFN_vkVoidFunction)vk->vkCmdCopyBuffer,
        (PFN_vkVoidFunction)vk->vkCmdFillBuffer,
        (PFN_vkVoidFunction)vk->vkCmdUpdateBuffer,
        (PFN_vkVoidFunction)vk->vkCmdExecuteCommands,
        (PFN_vkVoidFunction)vk->vkBeginCommandBuffer,
        (PFN_vkVoidFunction)vk->vkEndCommandBuffer,
        (PFN_vkVoidFunction)vk->vkResetCommandBuffer,
        (PFN_vkVoidFunction)vk->vkResetCommandPool,
        (PFN_vkVoidFunction)vk->vkAllocateMemory,
        (PFN_vkVoidFunction)vk->vkAllocateCommandBuffers,
        (PFN_vkVoidFunction)vk->vkAllocateDescriptorSets,
        (PFN_vkVoidFunction)vk->vkUpdateDescriptorSets,
        (PFN_vkVoidFunction)vk->vkMapMemory,
        (PFN_vkVoidFunction)vk->vkUnmapMemory,
        (PFN_vkVoidFunction)vk->vkCreateBuffer,
        (PFN_vkVoidFunction)vk->vkCreateFence,
        (PFN_vkVoidFunction)vk->vkCreateCommandPool,
        (PFN_vkVoidFunction)vk->vkCreateDescriptorPool,
        (PFN_vkVoidFunction)vk->vkCreateComputePipelines,
        (PFN_vkVoidFunction)vk->vkCreateShaderModule,
        (PFN_vkVoidFunction)vk->vkCreateBufferView,
        (PFN_vkVoidFunction)vk->vkQueueWaitIdle,
        (PFN_vkVoidFunction)vk->vkDeviceWaitIdle,
        (PFN_vkVoidFunction)vk->vkFreeMemory,
    };
    for (size_t i = 0; i < RP_COUNT(entries); i++)
        if (entries[i] != count_other) return false;
    return true;
}
