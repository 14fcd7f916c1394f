/* What a physical device says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bent.h"

/* A limit that is only lowered. */
#define LOWER(field, knob)                                                            \
    do {                                                                              \
        int64_t lowered = (knob);                                                     \
        if (lowered >= 0 && (uint64_t)(field) > (uint64_t)lowered) (field) = lowered; \
    } while (0)
/* An alignment that is only raised. */
#define RAISE(field, knob)                                                         \
    do {                                                                           \
        int64_t raised = (knob);                                                   \
        if (raised >= 0 && (uint64_t)(field) < (uint64_t)raised) (field) = raised; \
    } while (0)
/* A feature that is only taken away. */
#define DROP(field, knob)                \
    do {                                 \
        if (!(knob)) (field) = VK_FALSE; \
    } while (0)

/* ---- properties ---- */

static void bend_limits(VkPhysicalDeviceLimits *limits) {
    const bend *b = bent_get();
    LOWER(limits->maxComputeSharedMemorySize, b->shared);
    LOWER(limits->maxComputeWorkGroupInvocations, b->invocations);
    for (int i = 0; i < 3; i++) LOWER(limits->maxComputeWorkGroupSize[i], b->invocations);
    LOWER(limits->maxPushConstantsSize, b->push);
    LOWER(limits->maxPerStageDescriptorStorageBuffers, b->buffers);
    LOWER(limits->maxDescriptorSetStorageBuffers, b->buffers);
    LOWER(limits->maxStorageBufferRange, b->range);
    LOWER(limits->maxTexelBufferElements, b->texels);
    RAISE(limits->minStorageBufferOffsetAlignment, b->alignment);
    RAISE(limits->minUniformBufferOffsetAlignment, b->alignment);
    RAISE(limits->minTexelBufferOffsetAlignment, b->alignment);
    RAISE(limits->nonCoherentAtomSize, b->atom);
    if (!b->timestamps) {
        limits->timestampPeriod = 0;
        limits->timestampComputeAndGraphics = VK_FALSE;
    }
}

static void bend_properties(VkPhysicalDeviceProperties *out) {
    const bend *b = bent_get();
    size_t used = strlen(out->deviceName);
    snprintf(out->deviceName + used, sizeof out->deviceName - used, " bent: %.120s", bent_name());
    if (b->api >= 0)
        LOWER(out->apiVersion, VK_MAKE_API_VERSION(0, 1, b->api, VK_API_VERSION_PATCH(out->apiVersion)));
    if (b->type >= 0) out->deviceType = (VkPhysicalDeviceType)b->type;
    bend_limits(&out->limits);
}

static VKAPI_ATTR void VKAPI_CALL get_properties(VkPhysicalDevice physical, VkPhysicalDeviceProperties *out) {
    bent_instance_of(physical)->properties(physical, out);
    bend_properties(out);
}

/* A size that is not the driver's cannot be honoured by its shuffles and votes: those go. */
static void bend_subgroup(uint32_t *size, VkSubgroupFeatureFlags *operations) {
    const bend *b = bent_get();
    if (b->subgroup < 0 || *size == (uint32_t)b->subgroup) return;
    *size = (uint32_t)b->subgroup;
    *operations &= VK_SUBGROUP_FEATURE_BASIC_BIT;
}

static void bend_properties_chain(VkBaseOutStructure *next) {
    const bend *b = bent_get();
    for (; next; next = next->pNext) switch ((int)next->sType) {
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES: {
            VkPhysicalDeviceSubgroupProperties *p = (void *)next;
            bend_subgroup(&p->subgroupSize, &p->supportedOperations);
            break;
        }
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES: {
            VkPhysicalDeviceVulkan11Properties *p = (void *)next;
            bend_subgroup(&p->subgroupSize, &p->subgroupSupportedOperations);
            LOWER(p->maxMemoryAllocationSize, b->allocation);
            break;
        }
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES:
            LOWER(((VkPhysicalDeviceMaintenance3Properties *)next)->maxMemoryAllocationSize, b->allocation);
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES: {
            VkPhysicalDeviceSubgroupSizeControlProperties *p = (void *)next;
            if (b->subgroup >= 0) p->minSubgroupSize = p->maxSubgroupSize = (uint32_t)b->subgroup;
            break;
        }
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES: {
            VkPhysicalDeviceVulkan13Properties *p = (void *)next;
            if (b->subgroup >= 0) p->minSubgroupSize = p->maxSubgroupSize = (uint32_t)b->subgroup;
            break;
        }
        }
}

static VKAPI_ATTR void VKAPI_CALL get_properties2(VkPhysicalDevice physical,
                                                  VkPhysicalDeviceProperties2 *out) {
    bent_instance_of(physical)->properties2(physical, out);
    bend_properties(&out->properties);
    bend_properties_chain(out->pNext);
}

/* ---- features ---- */

static void bend_feature(VkBaseOutStructure *next) {
    const bend *b = bent_get();
    switch ((int)next->sType) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES: {
        VkPhysicalDevice16BitStorageFeatures *f = (void *)next;
        DROP(f->storageBuffer16BitAccess, b->storage16);
        DROP(f->uniformAndStorageBuffer16BitAccess, b->storage16);
        DROP(f->storagePushConstant16, b->storage16);
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES: {
        VkPhysicalDeviceVulkan11Features *f = (void *)next;
        DROP(f->storageBuffer16BitAccess, b->storage16);
        DROP(f->uniformAndStorageBuffer16BitAccess, b->storage16);
        DROP(f->storagePushConstant16, b->storage16);
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES: {
        VkPhysicalDevice8BitStorageFeatures *f = (void *)next;
        DROP(f->storageBuffer8BitAccess, b->storage8);
        DROP(f->uniformAndStorageBuffer8BitAccess, b->storage8);
        DROP(f->storagePushConstant8, b->storage8);
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES: {
        VkPhysicalDeviceShaderFloat16Int8Features *f = (void *)next;
        DROP(f->shaderFloat16, b->fp16);
        DROP(f->shaderInt8, b->int8);
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
        VkPhysicalDeviceVulkan12Features *f = (void *)next;
        DROP(f->storageBuffer8BitAccess, b->storage8);
        DROP(f->uniformAndStorageBuffer8BitAccess, b->storage8);
        DROP(f->storagePushConstant8, b->storage8);
        DROP(f->shaderFloat16, b->fp16);
        DROP(f->shaderInt8, b->int8);
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
        DROP(((VkPhysicalDeviceShaderIntegerDotProductFeatures *)next)->shaderIntegerDotProduct, b->dot);
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES:
        DROP(((VkPhysicalDeviceVulkan13Features *)next)->shaderIntegerDotProduct, b->dot);
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR:
        DROP(((VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR *)next)->pipelineExecutableInfo,
             b->statistics);
        break;
    }
}

static VKAPI_ATTR void VKAPI_CALL get_features2(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *out) {
    bent_instance_of(physical)->features2(physical, out);
    for (VkBaseOutStructure *next = out->pNext; next; next = next->pNext) bend_feature(next);
}

/* ---- extensions ---- */

bool bent_hides_extension(const char *name) {
    const bend *b = bent_get();
    const struct {
        const char *name;
        bool hidden;
    } rules[] = {
        {VK_KHR_8BIT_STORAGE_EXTENSION_NAME, !b->storage8},
        {VK_KHR_16BIT_STORAGE_EXTENSION_NAME, !b->storage16},
        {VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, !b->fp16 && !b->int8},
        {VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, !b->dot},
        {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, !b->statistics},
        {"VK_KHR_cooperative_matrix", !b->matrix},
        {"VK_NV_cooperative_matrix", !b->matrix},
        {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, b->subgroup >= 0},
        /* ways to memory that this layer does not follow */
        {"VK_KHR_map_memory2", b->memory >= 0},
        {VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME, b->memory >= 0},
        {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, b->memory >= 0 || b->heap >= 0},
    };
    if (!b->extensions) return true;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].hidden && !strcmp(rules[i].name, name)) return true;
    return false;
}

static VKAPI_ATTR VkResult VKAPI_CALL get_extensions(VkPhysicalDevice physical, const char *layer,
                                                     uint32_t *count, VkExtensionProperties *out) {
    const bent_instance *instance = bent_instance_of(physical);
    if (layer) { /* asked of this layer, which has none, or of another */
        if (strcmp(layer, "VK_LAYER_REPRISE_bent")) return instance->extensions(physical, layer, count, out);
        *count = 0;
        return VK_SUCCESS;
    }
    uint32_t all = 0, kept = 0;
    VkResult result = instance->extensions(physical, NULL, &all, NULL);
    if (result < 0) return result;
    VkExtensionProperties *list = calloc(all ? all : 1, sizeof *list);
    if (!list) return VK_ERROR_OUT_OF_HOST_MEMORY;
    result = instance->extensions(physical, NULL, &all, list);
    for (uint32_t i = 0; result >= 0 && i < all; i++)
        if (!bent_hides_extension(list[i].extensionName)) list[kept++] = list[i];
    if (result >= 0 && out) {
        uint32_t room = *count < kept ? *count : kept;
        memcpy(out, list, room * sizeof *list);
        result = room < kept ? VK_INCOMPLETE : VK_SUCCESS;
        kept = room;
    }
    *count = kept;
    free(list);
    return result;
}

/* ---- memory ---- */

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    VISIBLE = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
    COHERENT = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT
};

/* The driver's type that the made-up ones stand on: one that can do everything. */
static uint32_t own_type(const VkPhysicalDeviceMemoryProperties *own) {
    const VkMemoryPropertyFlags wanted = VISIBLE | COHERENT;
    for (uint32_t i = 0; i < own->memoryTypeCount; i++)
        if ((own->memoryTypes[i].propertyFlags & wanted) == wanted) return i;
    return 0;
}

void bent_memory_shown(const bent_instance *instance, VkPhysicalDevice physical,
                       VkPhysicalDeviceMemoryProperties *shown, uint32_t own_types[VK_MAX_MEMORY_TYPES]) {
    static const struct {
        uint32_t count;
        VkMemoryType types[3];
    } kinds[BENT_MEMORY_KINDS] = {
        {1, {{LOCAL | VISIBLE | COHERENT | CACHED, 0}}},
        {2, {{LOCAL | VISIBLE | CACHED, 0}, {VISIBLE | COHERENT, 1}}},
        {2, {{LOCAL | VISIBLE | COHERENT, 0}, {LOCAL | VISIBLE | CACHED, 0}}},
        {3, {{LOCAL, 0}, {VISIBLE | COHERENT, 1}, {VISIBLE | COHERENT | CACHED, 1}}},
    };
    const bend *b = bent_get();
    VkPhysicalDeviceMemoryProperties own;
    instance->memory(physical, &own);
    *shown = own;
    for (uint32_t i = 0; i < VK_MAX_MEMORY_TYPES; i++) own_types[i] = i;
    if (b->memory >= 0 && b->memory < BENT_MEMORY_KINDS) {
        uint32_t type = own_type(&own);
        memset(shown, 0, sizeof *shown);
        shown->memoryTypeCount = kinds[b->memory].count;
        for (uint32_t i = 0; i < shown->memoryTypeCount; i++) {
            shown->memoryTypes[i] = kinds[b->memory].types[i];
            own_types[i] = type;
            if (shown->memoryTypes[i].heapIndex >= shown->memoryHeapCount)
                shown->memoryHeapCount = shown->memoryTypes[i].heapIndex + 1;
        }
        for (uint32_t i = 0; i < shown->memoryHeapCount; i++)
            shown->memoryHeaps[i] = (VkMemoryHeap){own.memoryHeaps[own.memoryTypes[type].heapIndex].size,
                                                   i ? 0 : VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
    }
    for (uint32_t i = 0; i < shown->memoryHeapCount; i++) LOWER(shown->memoryHeaps[i].size, b->heap);
}

static VKAPI_ATTR void VKAPI_CALL get_memory(VkPhysicalDevice physical,
                                             VkPhysicalDeviceMemoryProperties *out) {
    uint32_t types[VK_MAX_MEMORY_TYPES];
    bent_memory_shown(bent_instance_of(physical), physical, out, types);
}

/* What extensions would add to it (the budget) is hidden. */
static VKAPI_ATTR void VKAPI_CALL get_memory2(VkPhysicalDevice physical,
                                              VkPhysicalDeviceMemoryProperties2 *out) {
    get_memory(physical, &out->memoryProperties);
}

/* ---- queues ---- */

static VKAPI_ATTR void VKAPI_CALL get_families(VkPhysicalDevice physical, uint32_t *count,
                                               VkQueueFamilyProperties *out) {
    bent_instance_of(physical)->families(physical, count, out);
    for (uint32_t i = 0; out && i < *count; i++)
        if (!bent_get()->timestamps) out[i].timestampValidBits = 0;
}

static VKAPI_ATTR void VKAPI_CALL get_families2(VkPhysicalDevice physical, uint32_t *count,
                                                VkQueueFamilyProperties2 *out) {
    VkQueueFamilyProperties plain[16];
    uint32_t room = 16;
    if (out && *count < room) room = *count;
    get_families(physical, &room, plain);
    for (uint32_t i = 0; out && i < room; i++) out[i].queueFamilyProperties = plain[i];
    *count = room;
}

PFN_vkVoidFunction bent_physical_function(const char *name) {
    static const struct {
        const char *name;
        void *function;
    } entries[] = {{"vkGetPhysicalDeviceProperties", get_properties},
                   {"vkGetPhysicalDeviceProperties2", get_properties2},
                   {"vkGetPhysicalDeviceProperties2KHR", get_properties2},
                   {"vkGetPhysicalDeviceFeatures2", get_features2},
                   {"vkGetPhysicalDeviceFeatures2KHR", get_features2},
                   {"vkEnumerateDeviceExtensionProperties", get_extensions},
                   {"vkGetPhysicalDeviceMemoryProperties", get_memory},
                   {"vkGetPhysicalDeviceMemoryProperties2", get_memory2},
                   {"vkGetPhysicalDeviceMemoryProperties2KHR", get_memory2},
                   {"vkGetPhysicalDeviceQueueFamilyProperties", get_families},
                   {"vkGetPhysicalDeviceQueueFamilyProperties2", get_families2},
                   {"vkGetPhysicalDeviceQueueFamilyProperties2KHR", get_families2}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (!strcmp(entries[i].name, name)) return (PFN_vkVoidFunction)entries[i].function;
    return NULL;
}
