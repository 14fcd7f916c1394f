#include "ops/harness.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

void rp_harness_close(rp_harness *t) {
    if (!t->device) return;
    RP_DESTROY(t->device, vkDestroyFence, t->fence);
    RP_DESTROY(t->device, vkDestroyQueryPool, t->stamps);
    if (t->lent) {
        *t->lent = t->ops.pipelines;
        t->ops.pipelines = (rp_pipeline_set){0};
    }
    rp_ops_finish(&t->ops);
    rp_buffer_destroy(t->device, &t->arguments);
    *t = (rp_harness){0};
}

rp_status rp_harness_open(rp_harness *t, rp_device *device, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    *t = (rp_harness){.device = device};
    VkDeviceSize counts = rp_round_up(RP_COUNT_KINDS * 4, device->caps.storage_alignment);
    VkDeviceSize grids = RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand);
    RP_TRY(rp_buffer_create(device, counts + grids, RP_MEMORY_INPUT, "timer", &t->arguments, err));
    rp_ops_init(&t->ops, device, rp_buffer_range(&t->arguments, 0, RP_COUNT_KINDS * 4),
                rp_buffer_range(&t->arguments, counts, grids));
    t->ops.pipelines.statistics = device->caps.has_statistics;
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &t->fence));
    if (!device->caps.info.timestamps) goto done;
    VkQueryPoolCreateInfo stamps = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                    .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                    .queryCount = 2};
    RP_VK(vkCreateQueryPool, (device->handle, &stamps, NULL, &t->stamps));
done:
    if (status) rp_harness_close(t);
    return status;
}

rp_status rp_harness_open_for(rp_harness *t, rp_ops *owner, rp_error *err) {
    rp_status status = rp_harness_open(t, owner->device, err);
    if (status) return status;
    t->lent = &owner->pipelines;
    t->ops.pipelines = owner->pipelines;
    owner->pipelines = (rp_pipeline_set){.device = owner->device};
    return RP_OK;
}

rp_status rp_harness_begin(rp_harness *t, rp_error *err) {
    const rp_vk_table *vk = &t->device->vk;
    rp_status status = rp_record_begin(&t->ops.recorder, "timed", &t->commands, err);
    if (status || !t->stamps) return status;
    vk->vkCmdResetQueryPool(t->commands, t->stamps, 0, 2);
    vk->vkCmdWriteTimestamp(t->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, t->stamps, 0);
    return RP_OK;
}

rp_status rp_harness_end(rp_harness *t, rp_error *err) {
    const rp_vk_table *vk = &t->device->vk;
    if (t->stamps) vk->vkCmdWriteTimestamp(t->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, t->stamps, 1);
    rp_record_host_barrier(&t->ops.recorder, t->commands);
    return rp_record_end(&t->ops.recorder, t->commands, err);
}

rp_status rp_harness_run(rp_harness *t, const uint32_t counts[RP_COUNT_KINDS], double *seconds,
                         rp_error *err) {
    const rp_vk_table *vk = &t->device->vk;
    rp_status status;
    memcpy(t->arguments.mapped, counts, RP_COUNT_KINDS * 4);
    rp_ops_write_grids(&t->ops, counts,
                       (VkDispatchIndirectCommand *)((char *)t->arguments.mapped + t->ops.indirect.offset));
    RP_TRY(rp_buffer_flush(t->device, &t->arguments, t->arguments.size, err));
    double started = rp_seconds();
    RP_TRY(rp_device_submit(t->device, &t->commands, 1, t->fence, err));
    *seconds = rp_seconds() - started;
    if (!t->stamps) goto done;
    uint64_t stamps[2];
    RP_VK(vkGetQueryPoolResults, (t->device->handle, t->stamps, 0, 2, sizeof stamps, stamps, 8,
                                  VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    uint32_t bits = t->device->caps.timestamp_bits;
    uint64_t mask = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX; /* the counter may have begun anew */
    *seconds = (double)((stamps[1] - stamps[0]) & mask) * t->device->caps.timestamp_period * 1e-9;
done:
    return status;
}

rp_status rp_harness_best(rp_harness *t, const uint32_t counts[RP_COUNT_KINDS], uint32_t most, double enough,
                          double *seconds, rp_error *err) {
    double best = INFINITY, spent = 0;
    rp_status status = rp_harness_run(t, counts, seconds, err);
    t->cpu_seconds = INFINITY;
    for (uint32_t i = 0; !status && i < most && spent < enough; i++) {
        double started = rp_seconds(), worked = rp_cpu_seconds();
        status = rp_harness_run(t, counts, seconds, err);
        spent += rp_seconds() - started;
        worked = rp_cpu_seconds() - worked;
        if (*seconds < best) best = *seconds;
        if (worked < t->cpu_seconds) t->cpu_seconds = worked;
    }
    *seconds = best;
    return status;
}
