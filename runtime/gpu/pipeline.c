#include "gpu/pipeline.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/shader.h"

static bool same(const rp_pipeline_key *a, const rp_pipeline_key *b) {
    return !strcmp(a->shader, b->shader) && a->constant_count == b->constant_count &&
           a->bindings == b->bindings && a->texels == b->texels && a->push_words == b->push_words &&
           a->subgroup_size == b->subgroup_size &&
           !memcmp(a->constants, b->constants, a->constant_count * sizeof a->constants[0]);
}

static void destroy(rp_device *device, rp_pipeline *pipeline) {
    const rp_vk_table *vk = &device->vk;
    if (pipeline->handle) vk->vkDestroyPipeline(device->handle, pipeline->handle, NULL);
    if (pipeline->layout) vk->vkDestroyPipelineLayout(device->handle, pipeline->layout, NULL);
    if (pipeline->set_layout) vk->vkDestroyDescriptorSetLayout(device->handle, pipeline->set_layout, NULL);
    free(pipeline);
}

static rp_status create_layout(rp_device *device, rp_pipeline *pipeline, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    VkDescriptorSetLayoutBinding bindings[RP_MAX_BINDINGS];
    for (uint32_t i = 0; i < pipeline->key.bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = rp_binding_type(&pipeline->key, i),
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = pipeline->key.bindings,
                                           .pBindings = bindings};
    RP_VK(vkCreateDescriptorSetLayout, (device->handle, &set, NULL, &pipeline->set_layout));
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                .size = pipeline->key.push_words * 4};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &pipeline->set_layout,
                                         .pushConstantRangeCount = push.size ? 1 : 0,
                                         .pPushConstantRanges = &push};
    RP_VK(vkCreatePipelineLayout, (device->handle, &layout, NULL, &pipeline->layout));
done:
    return status;
}

static rp_status create(rp_device *device, rp_pipeline *pipeline, bool statistics, bool *refused,
                        rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    const rp_pipeline_key *key = &pipeline->key;
    VkShaderModule module = VK_NULL_HANDLE;
    rp_spirv spirv;
    *refused = false;
    rp_status status = rp_shader_find(device, key->shader, &spirv, err);
    if (status) return status;
    RP_TRY(create_layout(device, pipeline, err));
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = spirv.count * 4,
                                     .pCode = spirv.words};
    *refused = true;
    RP_VK(vkCreateShaderModule, (device->handle, &code, NULL, &module));
    VkSpecializationMapEntry entries[RP_MAX_CONSTANTS];
    for (uint32_t i = 0; i < key->constant_count; i++) entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo specialization = {key->constant_count, entries, key->constant_count * 4,
                                           key->constants};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = key->subgroup_size};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = key->subgroup_size ? &size : NULL,
                  .flags =
                      key->subgroup_size ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &specialization},
        .layout = pipeline->layout};
    double begun = rp_seconds();
    VkResult result = vk->vkCreateComputePipelines(device->handle, device->pipeline_cache, 1, &info, NULL,
                                                   &pipeline->handle);
    rp_add_seconds(&device->spent.pipelines, rp_seconds() - begun);
    RP_TRY(rp_vk_check(result, "vkCreateComputePipelines", err));
    rp_device_name(device, VK_OBJECT_TYPE_PIPELINE, (uint64_t)pipeline->handle, key->shader);
done:
    *refused = *refused && status == RP_ERROR_DEVICE;
    if (module) vk->vkDestroyShaderModule(device->handle, module, NULL);
    free(spirv.owned);
    return status;
}

rp_status rp_pipeline_get(rp_pipeline_set *set, const rp_pipeline_key *key, const rp_pipeline **out,
                          rp_error *err) {
    for (size_t i = 0; i < set->count; i++) {
        *out = set->pipelines[i];
        if (same(&set->pipelines[i]->key, key)) return RP_OK;
    }
    rp_pipeline *pipeline = rp_new(rp_pipeline);
    if (!pipeline ||
        !rp_grow((void **)&set->pipelines, &set->capacity, set->count + 1, sizeof *set->pipelines)) {
        free(pipeline);
        return rp_fail_memory(err, "a pipeline", sizeof *pipeline);
    }
    pipeline->key = *key;
    rp_status status = create(set->device, pipeline, set->statistics, &set->refused, err);
    if (status) {
        destroy(set->device, pipeline);
        return status;
    }
    set->pipelines[set->count++] = pipeline;
    *out = pipeline;
    return RP_OK;
}

void rp_pipeline_set_finish(rp_pipeline_set *set) {
    for (size_t i = 0; i < set->count; i++) destroy(set->device, set->pipelines[i]);
    free(set->pipelines);
    *set = (rp_pipeline_set){0};
}
