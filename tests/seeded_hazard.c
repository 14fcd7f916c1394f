/* A mistake made on purpose: two dispatches, the second of which reads what the first one writes, with no
 * barrier between them. The validation layer must report it; if it does not, the other tests' silence proves
 * nothing. With the argument "barrier" the mistake is mended, and the layer must stay silent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/compile.h"
#include "gpu/memory.h"

static const char source[] =
    "#version 450\n"
    "layout(local_size_x = 64) in;\n"
    "layout(set = 0, binding = 0) readonly buffer X { uint x[]; };\n"
    "layout(set = 0, binding = 1) writeonly buffer Y { uint y[]; };\n"
    "void main() { y[gl_GlobalInvocationID.x] = x[gl_GlobalInvocationID.x] + 1u; }\n";

enum { BYTES = 64 * 4 };

/* Everything that is created, so that one function can destroy it. */
typedef struct seeded {
    rp_device *device;
    rp_buffer buffers[2];
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkDescriptorPool pool;
    VkDescriptorSet sets[2]; /* buffer 0 to 1, and 1 to 0 */
    VkCommandPool command_pool;
    VkCommandBuffer commands;
    VkFence fence;
} seeded;

static rp_status create_pipeline(seeded *s, rp_error *err) {
    const rp_vk_table *vk = &s->device->vk;
    VkDevice handle = s->device->handle;
    const rp_shader_variant variant = {.name = "seeded", .files = "seeded", .defines = ""};
    uint32_t *words = NULL;
    size_t count = 0;
    rp_status status = rp_glsl_compile(source, &variant, &words, &count, err);
    if (status) return status;
    RP_VK(vkCreateShaderModule, (handle,
                                 &(VkShaderModuleCreateInfo){VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                                             NULL, 0, count * 4, words},
                                 NULL, &s->module));
    VkDescriptorSetLayoutBinding bindings[2];
    for (uint32_t i = 0; i < 2; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                                                     VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    RP_VK(vkCreateDescriptorSetLayout,
          (handle,
           &(VkDescriptorSetLayoutCreateInfo){VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, NULL, 0, 2,
                                              bindings},
           NULL, &s->set_layout));
    RP_VK(vkCreatePipelineLayout, (handle,
                                   &(VkPipelineLayoutCreateInfo){
                                       .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = &s->set_layout,
                                   },
                                   NULL, &s->layout));
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = s->module,
                  .pName = "main"},
        .layout = s->layout,
    };
    RP_VK(vkCreateComputePipelines, (handle, VK_NULL_HANDLE, 1, &info, NULL, &s->pipeline));
done:
    free(words);
    return status;
}

static rp_status create_sets(seeded *s, rp_error *err) {
    const rp_vk_table *vk = &s->device->vk;
    VkDevice handle = s->device->handle;
    rp_status status = RP_OK;
    for (int i = 0; i < 2; i++)
        RP_TRY(rp_buffer_create(s->device, BYTES, RP_MEMORY_DEVICE, "seeded", &s->buffers[i], err));
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4};
    RP_VK(vkCreateDescriptorPool,
          (handle,
           &(VkDescriptorPoolCreateInfo){VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, NULL, 0, 2, 1, &size},
           NULL, &s->pool));
    const VkDescriptorSetLayout layouts[2] = {s->set_layout, s->set_layout};
    RP_VK(vkAllocateDescriptorSets,
          (handle,
           &(VkDescriptorSetAllocateInfo){VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, NULL, s->pool, 2,
                                          layouts},
           s->sets));
    for (uint32_t i = 0; i < 4; i++) {
        const VkDescriptorBufferInfo buffer = {s->buffers[(i & 1) ^ (i >> 1)].handle, 0, BYTES};
        const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                            .dstSet = s->sets[i >> 1],
                                            .dstBinding = i & 1,
                                            .descriptorCount = 1,
                                            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                            .pBufferInfo = &buffer};
        vk->vkUpdateDescriptorSets(handle, 1, &write, 0, NULL);
    }
done:
    return status;
}

static rp_status record(seeded *s, bool barrier, rp_error *err) {
    const rp_vk_table *vk = &s->device->vk;
    VkDevice handle = s->device->handle;
    rp_status status = RP_OK;
    RP_VK(vkCreateCommandPool, (handle,
                                &(VkCommandPoolCreateInfo){VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, NULL,
                                                           0, s->device->caps.queue_family},
                                NULL, &s->command_pool));
    RP_VK(vkAllocateCommandBuffers,
          (handle,
           &(VkCommandBufferAllocateInfo){VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, NULL,
                                          s->command_pool, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1},
           &s->commands));
    RP_VK(vkBeginCommandBuffer,
          (s->commands, &(VkCommandBufferBeginInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO}));
    vk->vkCmdBindPipeline(s->commands, VK_PIPELINE_BIND_POINT_COMPUTE, s->pipeline);
    for (int i = 0; i < 2; i++) {
        const VkMemoryBarrier both = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, NULL, VK_ACCESS_SHADER_WRITE_BIT,
                                      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
        if (i && barrier)
            vk->vkCmdPipelineBarrier(s->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                     VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &both, 0, NULL, 0, NULL);
        vk->vkCmdBindDescriptorSets(s->commands, VK_PIPELINE_BIND_POINT_COMPUTE, s->layout, 0, 1, &s->sets[i],
                                    0, NULL);
        vk->vkCmdDispatch(s->commands, 1, 1, 1);
    }
    RP_VK(vkEndCommandBuffer, (s->commands));
    RP_VK(vkCreateFence,
          (handle, &(VkFenceCreateInfo){.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO}, NULL, &s->fence));
done:
    return status;
}

static void destroy(seeded *s) {
    if (!s->device) return;
    const rp_vk_table *vk = &s->device->vk;
    VkDevice handle = s->device->handle;
    vk->vkDestroyFence(handle, s->fence, NULL);
    vk->vkDestroyCommandPool(handle, s->command_pool, NULL);
    vk->vkDestroyDescriptorPool(handle, s->pool, NULL);
    vk->vkDestroyPipeline(handle, s->pipeline, NULL);
    vk->vkDestroyPipelineLayout(handle, s->layout, NULL);
    vk->vkDestroyDescriptorSetLayout(handle, s->set_layout, NULL);
    vk->vkDestroyShaderModule(handle, s->module, NULL);
    for (int i = 0; i < 2; i++) rp_buffer_destroy(s->device, &s->buffers[i]);
    rp_device_close(&s->device);
}

int main(int argc, char **argv) {
    seeded s = {0};
    rp_error err;
    bool barrier = argc == 2 && !strcmp(argv[1], "barrier");
    rp_status status = rp_device_open(NULL, &s.device, &err);
    if (!status) status = create_pipeline(&s, &err);
    if (!status) status = create_sets(&s, &err);
    if (!status) status = record(&s, barrier, &err);
    if (!status) status = rp_device_submit(s.device, &s.commands, 1, s.fence, &err);
    destroy(&s);
    if (status) fprintf(stderr, "%s\n", err.message);
    return status ? 1 : 0;
}
