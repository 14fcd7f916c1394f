/* A submission: what the host wrote becomes visible to the device, the device runs command buffers and this
 * thread waits, and what the device wrote becomes visible to the host. */
#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/memory.h"

/* The first `size` bytes of the memory, rounded up to whole atoms, but not past the allocation. */
static VkMappedMemoryRange mapped_range(const rp_device *device, const rp_buffer *buffer, VkDeviceSize size) {
    VkDeviceSize whole = rp_round_up(size, device->caps.atom_size);
    return (VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                 .memory = buffer->memory,
                                 .size = whole < buffer->allocated ? whole : VK_WHOLE_SIZE};
}

rp_status rp_buffer_flush(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err) {
    if (buffer->coherent || !buffer->mapped || !size) return RP_OK;
    VkMappedMemoryRange range = mapped_range(device, buffer, size);
    return rp_vk_check(device->vk.vkFlushMappedMemoryRanges(device->handle, 1, &range),
                       "vkFlushMappedMemoryRanges", err);
}

rp_status rp_buffer_invalidate(rp_device *device, const rp_buffer *buffer, VkDeviceSize size, rp_error *err) {
    if (buffer->coherent || !buffer->mapped || !size) return RP_OK;
    VkMappedMemoryRange range = mapped_range(device, buffer, size);
    return rp_vk_check(device->vk.vkInvalidateMappedMemoryRanges(device->handle, 1, &range),
                       "vkInvalidateMappedMemoryRanges", err);
}

void rp_device_wait_idle(rp_device *device) {
    if (device->hung) return;
    pthread_mutex_lock(&device->queue_lock);
    VkResult result = device->vk.vkQueueWaitIdle(device->queue);
    pthread_mutex_unlock(&device->queue_lock);
    if (result != VK_SUCCESS) device->lost = true; /* the driver may still be running the work */
}

static rp_status fail_hung(rp_device *device, rp_error *err) {
    return rp_fail(
        err, RP_ERROR_DEVICE_LOST,
        "%s: its driver has given no answer for %.0f s to work that was submitted; update the driver, or "
        "choose another device",
        device->caps.info.name, device->answer_limit);
}

/* Wait for a fence for at most WAIT seconds, and add the time to `*silent` unless a software driver computed
 * meanwhile: such a driver uses this process's processor time, and may compute for as long as it likes. */
static VkResult ask(rp_device *device, VkFence fence, double *silent) {
    static const double WAIT = 10, IDLE = 1e-3; /* processor seconds a second */
    double begun = rp_seconds(), worked = rp_process_seconds();
    VkResult result = device->vk.vkWaitForFences(device->handle, 1, &fence, VK_TRUE, (uint64_t)(WAIT * 1e9));
    double waited = rp_seconds() - begun;
    if (waited > WAIT) waited = WAIT; /* somebody stopped the process meanwhile */
    bool software = device->caps.info.type == RP_DEVICE_CPU;
    if (!software || rp_process_seconds() - worked < IDLE * waited) *silent += waited;
    return result;
}

/* Wait for the fence of a submission; where that fails, until the queue is idle. */
static rp_status wait_for(rp_device *device, VkFence fence, rp_error *err) {
    double silent = 0;
    VkResult result;
    /* some drivers cut a wait short of a long time-out: ask again until the fence answers */
    while ((result = ask(device, fence, &silent)) == VK_TIMEOUT) {
        if (silent >= device->answer_limit) device->hung = true;
        if (device->hung) return fail_hung(device, err); /* another thread may have found it hung */
    }
    if (result != VK_SUCCESS) rp_device_wait_idle(device);
    return rp_vk_check(result, "vkWaitForFences", err);
}

/* The device works on one submission after another. This one, number `number`, was given to it at `begun` and
 * has just ended: how long did the device work on it? That is known when the thread that waited for the one
 * before has noted when that one ended. The queue's lock is held. */
static double seconds_of(rp_device *device, uint64_t number, double begun) {
    double now = rp_seconds();
    bool known = device->ended == number - 1;
    if (begun < device->ended_at) begun = device->ended_at;
    if (device->ended < number) {
        device->ended = number;
        device->ended_at = now;
    }
    return known ? now - begun : 0;
}

rp_status rp_device_submit(rp_device *device, const VkCommandBuffer *buffers, uint32_t count, VkFence fence,
                           rp_error *err) {
    double seconds;
    return rp_device_submit_timed(device, buffers, count, fence, &seconds, err);
}

rp_status rp_device_submit_timed(rp_device *device, const VkCommandBuffer *buffers, uint32_t count,
                                 VkFence fence, double *seconds, rp_error *err) {
    return rp_device_submit_beside(device, buffers, count, fence, NULL, NULL, seconds, err);
}

rp_status rp_device_submit_beside(rp_device *device, const VkCommandBuffer *buffers, uint32_t count,
                                  VkFence fence, void (*beside)(void *user), void *user, double *seconds,
                                  rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = count, .pCommandBuffers = buffers};
    rp_status status = RP_OK;
    if (device->hung) return fail_hung(device, err);
    /* reset before submitting, not after waiting: a fence whose wait failed can be used again then */
    RP_VK(vkResetFences, (device->handle, 1, &fence));
    pthread_mutex_lock(&device->queue_lock);
    uint64_t number = ++device->submitted;
    double begun = rp_seconds();
    VkResult result = vk->vkQueueSubmit(device->queue, 1, &info, fence);
    pthread_mutex_unlock(&device->queue_lock);
    status = rp_vk_check(result, "vkQueueSubmit", err);
    if (!status && beside) beside(user);
    if (!status) status = wait_for(device, fence, err);
    pthread_mutex_lock(&device->queue_lock);
    *seconds = seconds_of(device, number, begun);
    pthread_mutex_unlock(&device->queue_lock);
done:
    if (status == RP_ERROR_DEVICE_LOST) device->lost = true;
    return status;
}
