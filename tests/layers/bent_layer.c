/* The layer's place in the chain: instances, devices, and which functions are its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bent.h"

#include <vulkan/vk_layer.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bent_instance *instances;
static bent_device *devices;

void bent_lock(void) {
    pthread_mutex_lock(&lock);
}

void bent_unlock(void) {
    pthread_mutex_unlock(&lock);
}

/* The loader's table, which a dispatchable handle begins with: the same for a device and its queues. */
static void *key_of(const void *handle) {
    return *(void *const *)handle;
}

bent_instance *bent_instance_of(const void *handle) {
    bent_lock();
    bent_instance *found = instances;
    while (found && found->key != key_of(handle)) found = found->link;
    bent_unlock();
    return found;
}

bent_device *bent_device_of(const void *handle) {
    bent_lock();
    bent_device *found = devices;
    while (found && found->key != key_of(handle)) found = found->link;
    bent_unlock();
    return found;
}

/* ---- instance ---- */

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                                      const VkAllocationCallbacks *allocator,
                                                      VkInstance *out) {
    VkLayerInstanceCreateInfo *chain = (void *)info->pNext;
    while (chain && (chain->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO ||
                     chain->function != VK_LAYER_LINK_INFO))
        chain = (void *)chain->pNext;
    if (!chain) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr next = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)next(VK_NULL_HANDLE, "vkCreateInstance");
    bent_instance *made = calloc(1, sizeof *made);
    if (!made) return VK_ERROR_OUT_OF_HOST_MEMORY;
    VkResult result = create(info, allocator, out);
    if (result) {
        free(made);
        return result;
    }
    *made = (bent_instance){.key = key_of(*out), .handle = *out, .next = next};
#define NEXT(member, name) made->member = (PFN_##name)next(*out, #name)
    NEXT(destroy, vkDestroyInstance);
    NEXT(properties, vkGetPhysicalDeviceProperties);
    NEXT(properties2, vkGetPhysicalDeviceProperties2);
    NEXT(features2, vkGetPhysicalDeviceFeatures2);
    NEXT(memory, vkGetPhysicalDeviceMemoryProperties);
    NEXT(families, vkGetPhysicalDeviceQueueFamilyProperties);
    NEXT(extensions, vkEnumerateDeviceExtensionProperties);
#undef NEXT
    bent_lock();
    made->link = instances;
    instances = made;
    bent_unlock();
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance handle,
                                                   const VkAllocationCallbacks *allocator) {
    if (!handle) return;
    bent_instance *gone = NULL;
    bent_lock();
    for (bent_instance **at = &instances; *at && !gone; at = gone ? at : &(*at)->link)
        if ((*at)->key == key_of(handle)) {
            gone = *at;
            *at = gone->link;
        }
    bent_unlock();
    if (gone) gone->destroy(handle, allocator);
    free(gone);
}

/* ---- device ---- */

/* Drivers and loaders let much pass: what is hidden cannot be switched on, validation layer or not. */
static VkResult refuse_hidden(const VkDeviceCreateInfo *info) {
    const bend *b = bent_get();
    for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
        if (bent_hides_extension(info->ppEnabledExtensionNames[i])) return VK_ERROR_EXTENSION_NOT_PRESENT;
    for (const VkBaseInStructure *next = info->pNext; next; next = next->pNext) switch ((int)next->sType) {
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
            if (!b->storage16 &&
                ((const VkPhysicalDevice16BitStorageFeatures *)next)->storageBuffer16BitAccess)
                return VK_ERROR_FEATURE_NOT_PRESENT;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES: {
            const VkPhysicalDeviceShaderFloat16Int8Features *f = (const void *)next;
            if ((!b->fp16 && f->shaderFloat16) || (!b->int8 && f->shaderInt8))
                return VK_ERROR_FEATURE_NOT_PRESENT;
            break;
        }
        }
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *allocator, VkDevice *out) {
    bent_instance *instance = bent_instance_of(physical);
    VkLayerDeviceCreateInfo *chain = (void *)info->pNext;
    while (chain && (chain->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO ||
                     chain->function != VK_LAYER_LINK_INFO))
        chain = (void *)chain->pNext;
    if (!chain || !instance) return VK_ERROR_INITIALIZATION_FAILED;
    VkResult result = refuse_hidden(info);
    if (result) return result;
    PFN_vkGetInstanceProcAddr next_instance = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr next = chain->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    PFN_vkCreateDevice create = (PFN_vkCreateDevice)next_instance(instance->handle, "vkCreateDevice");
    bent_device *made = calloc(1, sizeof *made);
    if (!made) return VK_ERROR_OUT_OF_HOST_MEMORY;
    result = create(physical, info, allocator, out);
    if (result) {
        free(made);
        return result;
    }
    *made = (bent_device){.key = key_of(*out), .handle = *out, .next = next};
#define NEXT(member, name) made->member = (PFN_##name)next(*out, #name)
    NEXT(destroy, vkDestroyDevice);
    NEXT(allocate, vkAllocateMemory);
    NEXT(free, vkFreeMemory);
    NEXT(map, vkMapMemory);
    NEXT(unmap, vkUnmapMemory);
    NEXT(flush, vkFlushMappedMemoryRanges);
    NEXT(invalidate, vkInvalidateMappedMemoryRanges);
    NEXT(needs, vkGetBufferMemoryRequirements);
    NEXT(needs2, vkGetBufferMemoryRequirements2);
    NEXT(submit, vkQueueSubmit);
    NEXT(create_module, vkCreateShaderModule);
    NEXT(destroy_module, vkDestroyShaderModule);
    NEXT(create_pipelines, vkCreateComputePipelines);
#undef NEXT
    bent_memory_shown(instance, physical, &made->shown, made->own_types);
    bent_lock();
    made->link = devices;
    devices = made;
    bent_unlock();
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice handle, const VkAllocationCallbacks *allocator) {
    if (!handle) return;
    bent_device *gone = NULL;
    bent_lock();
    for (bent_device **at = &devices; *at && !gone; at = gone ? at : &(*at)->link)
        if ((*at)->key == key_of(handle)) {
            gone = *at;
            *at = gone->link;
        }
    bent_unlock();
    if (!gone) return;
    gone->destroy(handle, allocator);
    bent_memory_finish(gone);
    free(gone);
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                             VkFence fence) {
    bent_device *device = bent_device_of(queue);
    const bend *b = bent_get();
    if (b->submit_ms > 0 || b->buffer_ms > 0) {
        int64_t buffers = 0, ms;
        for (uint32_t i = 0; i < count; i++) buffers += infos[i].commandBufferCount;
        ms = (b->submit_ms > 0 ? b->submit_ms : 0) + (b->buffer_ms > 0 ? buffers * b->buffer_ms : 0);
        if (b->watchdog_ms >= 0 && ms > b->watchdog_ms) device->lost = true;
        struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        if (!device->lost) nanosleep(&time, NULL);
    }
    const char *losing =
        getenv("REPRISE_BENT_LOSING"); /* while there is a file of this name, devices are lost */
    if (losing && !access(losing, F_OK)) device->lost = true;
    return device->lost ? VK_ERROR_DEVICE_LOST : device->submit(queue, count, infos, fence);
}

/* ---- looking functions up ---- */

static PFN_vkVoidFunction device_function(const char *name);

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice handle, const char *name) {
    PFN_vkVoidFunction function = device_function(name);
    bent_device *device = function ? NULL : bent_device_of(handle);
    return device ? device->next(handle, name) : function;
}

static PFN_vkVoidFunction device_function(const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)get_device_function;
    if (!strcmp(name, "vkDestroyDevice")) return (PFN_vkVoidFunction)destroy_device;
    if (!strcmp(name, "vkQueueSubmit")) return (PFN_vkVoidFunction)submit;
    PFN_vkVoidFunction function = bent_memory_function(name);
    return function ? function : bent_pipeline_function(name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance handle, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)get_instance_function;
    if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)create_instance;
    if (!strcmp(name, "vkDestroyInstance")) return (PFN_vkVoidFunction)destroy_instance;
    if (!strcmp(name, "vkCreateDevice")) return (PFN_vkVoidFunction)create_device;
    PFN_vkVoidFunction function = bent_physical_function(name);
    if (!function) function = device_function(name);
    if (function || !handle) return function;
    bent_instance *instance = bent_instance_of(handle);
    return instance ? instance->next(handle, name) : NULL;
}

VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *version) {
    if (version->loaderLayerInterfaceVersion < 2) return VK_ERROR_INITIALIZATION_FAILED;
    version->loaderLayerInterfaceVersion = 2;
    version->pfnGetInstanceProcAddr = get_instance_function;
    version->pfnGetDeviceProcAddr = get_device_function;
    version->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
