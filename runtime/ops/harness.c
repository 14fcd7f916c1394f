#include "ops/harness.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

void rp_harness_close(rp_harness *h) {
    if (!h->device) return;
    RP_DESTROY(h->device, vkDestroyFence, h->fence);
    RP_DESTROY(h->device, vkDestroyQueryPool, h->stamps);
    rp_ops_finish(&h->ops);
    rp_buffer_destroy(h->device, &h->arguments);
    *h = (rp_harness){0};
}

rp_status rp_harness_open(rp_harness *h, rp_device *device, rp_pipeline_set *pipelines, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    *h = (rp_harness){.device = device};
    VkDeviceSize counts = rp_round_up(RP_COUNT_KINDS * 4, device->caps.storage_alignment);
    VkDeviceSize grids = RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand);
    RP_TRY(rp_buffer_create(device, counts + grids, RP_MEMORY_INPUT, "timer", &h->arguments, err));
    rp_ops_init(&h->ops, device, rp_buffer_range(&h->arguments, 0, RP_COUNT_KINDS * 4),
                rp_buffer_range(&h->arguments, counts, grids));
    h->ops.own.statistics = device->caps.has_statistics;
    if (pipelines) h->ops.pipelines = pipelines;
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &h->fence));
    if (!device->caps.info.timestamps) goto done;
    VkQueryPoolCreateInfo stamps = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                    .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                    .queryCount = 2};
    RP_VK(vkCreateQueryPool, (device->handle, &stamps, NULL, &h->stamps));
done:
    if (status) rp_harness_close(h);
    return status;
}

rp_status rp_harness_begin(rp_harness *h, rp_error *err) {
    const rp_vk_table *vk = &h->device->vk;
    rp_status status = rp_record_begin(&h->ops.recorder, "timed", &h->commands, err);
    if (status || !h->stamps) return status;
    vk->vkCmdResetQueryPool(h->commands, h->stamps, 0, 2);
    vk->vkCmdWriteTimestamp(h->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, h->stamps, 0);
    return RP_OK;
}

rp_status rp_harness_end(rp_harness *h, rp_error *err) {
    const rp_vk_table *vk = &h->device->vk;
    if (h->stamps) vk->vkCmdWriteTimestamp(h->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, h->stamps, 1);
    rp_record_host_barrier(&h->ops.recorder, h->commands);
    return rp_record_end(&h->ops.recorder, h->commands, err);
}

rp_status rp_harness_run(rp_harness *h, const uint32_t counts[RP_COUNT_KINDS], double *seconds,
                         rp_error *err) {
    const rp_vk_table *vk = &h->device->vk;
    rp_status status;
    memcpy(h->arguments.mapped, counts, RP_COUNT_KINDS * 4);
    rp_ops_write_grids(&h->ops, counts,
                       (VkDispatchIndirectCommand *)((char *)h->arguments.mapped + h->ops.indirect.offset));
    RP_TRY(rp_buffer_flush(h->device, &h->arguments, h->arguments.size, err));
    double started = rp_seconds();
    RP_TRY(rp_device_submit(h->device, &h->commands, 1, h->fence, err));
    *seconds = rp_seconds() - started;
    if (!h->stamps) goto done;
    uint64_t stamps[2];
    RP_VK(vkGetQueryPoolResults, (h->device->handle, h->stamps, 0, 2, sizeof stamps, stamps, 8,
                                  VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    uint32_t bits = h->device->caps.timestamp_bits;
    uint64_t mask = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX; /* the counter may have begun anew */
    *seconds = (double)((stamps[1] - stamps[0]) & mask) * h->device->caps.timestamp_period * 1e-9;
done:
    return status;
}

rp_status rp_harness_best(rp_harness *h, const uint32_t counts[RP_COUNT_KINDS], uint32_t most, double enough,
                          double *seconds, rp_error *err) {
    double best = INFINITY, spent = 0;
    rp_status status = rp_harness_run(h, counts, seconds, err);
    h->cpu_seconds = INFINITY;
    for (uint32_t i = 0; !status && i < most && spent < enough; i++) {
        double started = rp_seconds(), worked = rp_cpu_seconds();
        status = rp_harness_run(h, counts, seconds, err);
        spent += rp_seconds() - started;
        worked = rp_cpu_seconds() - worked;
        if (*seconds < best) best = *seconds;
        if (worked < h->cpu_seconds) h->cpu_seconds = worked;
    }
    *seconds = best;
    return status;
}
