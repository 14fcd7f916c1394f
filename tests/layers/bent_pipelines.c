/* Compilers that large kernels are too much for. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bent.h"

struct bent_module {
    VkShaderModule handle;
    size_t bytes;
    struct bent_module *link;
};

static VKAPI_ATTR VkResult VKAPI_CALL create_module(VkDevice handle, const VkShaderModuleCreateInfo *info,
                                                    const VkAllocationCallbacks *allocator,
                                                    VkShaderModule *out) {
    bent_device *device = bent_device_of(handle);
    bent_module *made = calloc(1, sizeof *made);
    if (!made) return VK_ERROR_OUT_OF_HOST_MEMORY;
    VkResult result = device->create_module(handle, info, allocator, out);
    if (result) {
        free(made);
        return result;
    }
    bent_lock();
    *made = (bent_module){*out, info->codeSize, device->modules};
    device->modules = made;
    bent_unlock();
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_module(VkDevice handle, VkShaderModule module,
                                                 const VkAllocationCallbacks *allocator) {
    bent_device *device = bent_device_of(handle);
    bent_module *gone = NULL;
    bent_lock();
    for (bent_module **at = &device->modules; *at && !gone; at = gone ? at : &(*at)->link)
        if ((*at)->handle == module) {
            gone = *at;
            *at = gone->link;
        }
    bent_unlock();
    free(gone);
    device->destroy_module(handle, module, allocator);
}

static int64_t bytes_of(bent_device *device, VkShaderModule module) {
    int64_t bytes = 0;
    bent_lock();
    for (const bent_module *m = device->modules; m; m = m->link)
        if (m->handle == module) bytes = (int64_t)m->bytes;
    bent_unlock();
    return bytes;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice handle, VkPipelineCache cache, uint32_t count,
                                                       const VkComputePipelineCreateInfo *infos,
                                                       const VkAllocationCallbacks *allocator,
                                                       VkPipeline *out) {
    bent_device *device = bent_device_of(handle);
    const bend *b = bent_get();
    for (uint32_t i = 0; i < count; i++) {
        int64_t bytes = bytes_of(device, infos[i].stage.module);
        if (b->code >= 0 && bytes > b->code) raise(SIGABRT);
        if (b->refused < 0 || bytes <= b->refused) continue;
        for (uint32_t k = 0; k < count; k++) out[k] = (VkPipeline)(uintptr_t)0x5a5a5a5a;
        return VK_ERROR_UNKNOWN;
    }
    return device->create_pipelines(handle, cache, count, infos, allocator, out);
}

PFN_vkVoidFunction bent_pipeline_function(const char *name) {
    if (!strcmp(name, "vkCreateShaderModule")) return (PFN_vkVoidFunction)create_module;
    if (!strcmp(name, "vkDestroyShaderModule")) return (PFN_vkVoidFunction)destroy_module;
    if (!strcmp(name, "vkCreateComputePipelines")) return (PFN_vkVoidFunction)create_pipelines;
    return NULL;
}
