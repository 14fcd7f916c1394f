#include "gpu/record.h"

#include "base/alloc.h"

enum { SETS_PER_POOL = 64 };

void rp_recorder_finish(rp_recorder *recorder) {
    if (!recorder->device) return;
    rp_device *device = recorder->device;
    RP_DESTROY(device, vkDestroyCommandPool, recorder->commands);
    for (size_t i = 0; i < recorder->pool_count; i++)
        RP_DESTROY(device, vkDestroyDescriptorPool, recorder->pools[i]);
    for (size_t i = 0; i < recorder->view_count; i++)
        RP_DESTROY(device, vkDestroyBufferView, recorder->views[i]);
    free(recorder->pools);
    free(recorder->views);
    *recorder = (rp_recorder){0};
}

rp_status rp_record_begin(rp_recorder *recorder, const char *name, VkCommandBuffer *out, rp_error *err) {
    rp_device *device = recorder->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    if (!recorder->commands) {
        VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                        .queueFamilyIndex = device->caps.queue_family};
        RP_VK(vkCreateCommandPool, (device->handle, &pool, NULL, &recorder->commands));
    }
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = recorder->commands,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    RP_VK(vkAllocateCommandBuffers, (device->handle, &allocate, out));
    rp_device_name(device, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)*out, name);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    RP_VK(vkBeginCommandBuffer, (*out, &begin));
    rp_record_barrier(recorder, *out);
done:
    return status;
}

rp_status rp_record_end(rp_recorder *recorder, VkCommandBuffer commands, rp_error *err) {
    return rp_vk_check(recorder->device->vk.vkEndCommandBuffer(commands), "vkEndCommandBuffer", err);
}

static rp_status new_pool(rp_recorder *recorder, rp_error *err) {
    rp_device *device = recorder->device;
    if (!rp_grow((void **)&recorder->pools, &recorder->pool_capacity, recorder->pool_count + 1,
                 sizeof *recorder->pools))
        return rp_fail_memory(err, "descriptor pools", sizeof *recorder->pools);
    VkDescriptorPoolSize sizes[] = {
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * RP_MAX_BINDINGS},
        {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, SETS_PER_POOL * RP_MAX_BINDINGS},
    };
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = SETS_PER_POOL,
                                       .poolSizeCount = RP_COUNT(sizes),
                                       .pPoolSizes = sizes};
    VkResult result = device->vk.vkCreateDescriptorPool(device->handle, &info, NULL,
                                                        &recorder->pools[recorder->pool_count]);
    rp_status status = rp_vk_check(result, "vkCreateDescriptorPool", err);
    if (status) return status;
    recorder->pool_count++;
    recorder->sets_left = SETS_PER_POOL;
    return RP_OK;
}

static rp_status make_view(rp_recorder *recorder, const rp_range *range, VkFormat format, VkBufferView *out,
                           rp_error *err) {
    rp_device *device = recorder->device;
    if (!rp_grow((void **)&recorder->views, &recorder->view_capacity, recorder->view_count + 1,
                 sizeof *recorder->views))
        return rp_fail_memory(err, "buffer views", sizeof *recorder->views);
    VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                   .buffer = range->buffer,
                                   .format = format,
                                   .offset = range->offset,
                                   .range = rp_view_size(device, range)};
    VkResult result = device->vk.vkCreateBufferView(device->handle, &info, NULL, out);
    if (result == VK_SUCCESS) recorder->views[recorder->view_count++] = *out;
    return rp_vk_check(result, "vkCreateBufferView", err);
}

static rp_status make_set(rp_recorder *recorder, const rp_dispatch *dispatch, VkDescriptorSet *out,
                          rp_error *err) {
    rp_device *device = recorder->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    if (!recorder->sets_left) RP_TRY(new_pool(recorder, err));
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = recorder->pools[recorder->pool_count - 1],
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &dispatch->pipeline->set_layout};
    RP_VK(vkAllocateDescriptorSets, (device->handle, &allocate, out));
    recorder->sets_left--;
    VkDescriptorBufferInfo buffers[RP_MAX_BINDINGS];
    VkBufferView views[RP_MAX_BINDINGS];
    VkWriteDescriptorSet writes[RP_MAX_BINDINGS];
    const rp_pipeline_key *key = &dispatch->pipeline->key;
    uint32_t count = key->bindings;
    for (uint32_t i = 0; i < count; i++) {
        const rp_range *range = &dispatch->bindings[i];
        if (key->texels >> i & 1) RP_TRY(make_view(recorder, range, dispatch->formats[i], &views[i], err));
        buffers[i] = (VkDescriptorBufferInfo){range->buffer, range->offset, range->size};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = *out,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = rp_binding_type(key, i),
                                           .pBufferInfo = &buffers[i],
                                           .pTexelBufferView = &views[i]};
    }
    vk->vkUpdateDescriptorSets(device->handle, count, writes, 0, NULL);
done:
    return status;
}

/* The stamp before (0) or after (1) the next dispatch. */
static void stamp(rp_recorder *recorder, VkCommandBuffer commands, uint32_t after) {
    const rp_stamps *stamps = recorder->stamps;
    if (stamps && stamps->used < stamps->capacity)
        recorder->device->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, stamps->pool,
                                                 2 * stamps->used + after);
}

rp_status rp_record_dispatch(rp_recorder *recorder, VkCommandBuffer commands, const rp_dispatch *dispatch,
                             rp_error *err) {
    const rp_vk_table *vk = &recorder->device->vk;
    const rp_pipeline *pipeline = dispatch->pipeline;
    VkDescriptorSet set;
    rp_status status = make_set(recorder, dispatch, &set, err);
    if (status) return status;
    bool label = recorder->device->debug_names && rp_vk.vkCmdBeginDebugUtilsLabelEXT;
    if (label) {
        VkDebugUtilsLabelEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
                                     .pLabelName = dispatch->label};
        rp_vk.vkCmdBeginDebugUtilsLabelEXT(commands, &info);
    }
    vk->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    vk->vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set, 0,
                                NULL);
    if (pipeline->key.push_words)
        vk->vkCmdPushConstants(commands, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               pipeline->key.push_words * 4, dispatch->push);
    stamp(recorder, commands, 0);
    vk->vkCmdDispatchIndirect(commands, dispatch->indirect.buffer, dispatch->indirect.offset);
    stamp(recorder, commands, 1);
    if (recorder->stamps && recorder->stamps->used < recorder->stamps->capacity)
        recorder->stamps->labels[recorder->stamps->used++] = dispatch->label;
    if (label) rp_vk.vkCmdEndDebugUtilsLabelEXT(commands);
    return RP_OK;
}

static void barrier(rp_recorder *recorder, VkCommandBuffer commands, VkPipelineStageFlags to,
                    VkAccessFlags access) {
    VkMemoryBarrier memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                              .dstAccessMask = access};
    recorder->device->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, to, 0, 1,
                                              &memory, 0, NULL, 0, NULL);
}

void rp_record_barrier(rp_recorder *recorder, VkCommandBuffer commands) {
    barrier(recorder, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_INDIRECT_COMMAND_READ_BIT);
}

void rp_record_host_barrier(rp_recorder *recorder, VkCommandBuffer commands) {
    barrier(recorder, commands, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

void rp_record_copy(rp_recorder *recorder, VkCommandBuffer commands, rp_range from, rp_range to) {
    const rp_vk_table *vk = &recorder->device->vk;
    VkBufferCopy copy = {.srcOffset = from.offset, .dstOffset = to.offset, .size = from.size};
    VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                             .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                             .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                              VK_ACCESS_HOST_READ_BIT};
    barrier(recorder, commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    vk->vkCmdCopyBuffer(commands, from.buffer, to.buffer, 1, &copy);
    vk->vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                             VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after,
                             0, NULL, 0, NULL);
}
