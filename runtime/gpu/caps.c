#include "gpu/caps.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/pipeline.h"
#include "gpu/vk_cooperative.h"

static bool has_extension(const VkExtensionProperties *list, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(list[i].extensionName, name)) return true;
    return false;
}

/* Take a family with compute, if there is one without graphics: its queue often does not wait for the
 * desktop. */
static void probe_queue(VkPhysicalDevice physical, rp_caps *out) {
    uint32_t count = 0;
    rp_vk.vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, NULL);
    VkQueueFamilyProperties families[32];
    if (count > RP_COUNT(families)) count = RP_COUNT(families);
    rp_vk.vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    out->queue_family = RP_NO_QUEUE;
    for (uint32_t i = 0; i < count; i++) {
        bool compute = families[i].queueFlags & VK_QUEUE_COMPUTE_BIT;
        bool alone = !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT);
        if (!compute || !families[i].queueCount || (out->queue_family != RP_NO_QUEUE && !alone)) continue;
        out->queue_family = i;
        out->timestamp_bits = families[i].timestampValidBits;
        if (alone) break;
    }
}

static void probe_memory(VkPhysicalDevice physical, rp_caps *out) {
    rp_vk.vkGetPhysicalDeviceMemoryProperties(physical, &out->memory);
    for (uint32_t i = 0; i < out->memory.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &out->memory.memoryHeaps[i];
        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap->size > out->info.memory_bytes)
            out->info.memory_bytes = heap->size;
    }
}

/* The structures that ask for optional features, in one chain. */
typedef struct feature_chain {
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDevice16BitStorageFeatures storage;
    VkPhysicalDeviceShaderFloat16Int8Features small;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperative;
    VkPhysicalDeviceCooperativeMatrixFeaturesNV cooperative_nv;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics;
} feature_chain;

/* Ask for the features of every extension that the device has. */
static void ask_features(VkPhysicalDevice physical, const VkExtensionProperties *list, uint32_t count,
                         feature_chain *chain) {
    *chain = (feature_chain){
        .features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &chain->storage},
        .storage = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES},
        .small = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES},
        .dot = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES},
        .sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES},
        .memory_model = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES},
        .cooperative = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR},
        .cooperative_nv = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV},
        .statistics = {.sType =
                           VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR}};
    const struct {
        const char *extension;
        void *structure;
    } asked[] = {
        {VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, &chain->small},
        {VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, &chain->dot},
        {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &chain->sizes},
        {VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, &chain->memory_model},
        {VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, &chain->cooperative},
        {VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, &chain->cooperative_nv},
        {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, &chain->statistics},
    };
    for (size_t i = 0; i < RP_COUNT(asked); i++)
        if (has_extension(list, count, asked[i].extension)) {
            VkBaseOutStructure *structure = asked[i].structure;
            structure->pNext = chain->features.pNext;
            chain->features.pNext = structure;
        }
    rp_vk.vkGetPhysicalDeviceFeatures2(physical, &chain->features);
}

/* Return the cooperative matrices that the driver lists. NULL: none. Freed by free(). */
static VkCooperativeMatrixPropertiesKHR *list_matrices(VkInstance instance, VkPhysicalDevice physical,
                                                       uint32_t *count) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)rp_vk.vkGetInstanceProcAddr(
            instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    if (!get || get(physical, count, NULL) < 0 || !*count) return NULL;
    VkCooperativeMatrixPropertiesKHR *list = rp_new_array(VkCooperativeMatrixPropertiesKHR, *count);
    for (uint32_t i = 0; list && i < *count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list && get(physical, count, list) < 0) *count = 0;
    return list;
}

/* The same by the extension of NV, whose enums have the numbers of KHR's. */
static VkCooperativeMatrixPropertiesKHR *list_matrices_nv(VkInstance instance, VkPhysicalDevice physical,
                                                          uint32_t *count) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV)rp_vk.vkGetInstanceProcAddr(
            instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV");
    if (!get || get(physical, count, NULL) < 0 || !*count) return NULL;
    VkCooperativeMatrixPropertiesNV *found = rp_new_array(VkCooperativeMatrixPropertiesNV, *count);
    VkCooperativeMatrixPropertiesKHR *list = rp_new_array(VkCooperativeMatrixPropertiesKHR, *count);
    for (uint32_t i = 0; found && i < *count; i++)
        found[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV;
    if (!found || get(physical, count, found) < 0) *count = 0;
    for (uint32_t i = 0; list && i < *count; i++)
        list[i] = (VkCooperativeMatrixPropertiesKHR){.MSize = found[i].MSize,
                                                     .NSize = found[i].NSize,
                                                     .KSize = found[i].KSize,
                                                     .AType = (VkComponentTypeKHR)found[i].AType,
                                                     .BType = (VkComponentTypeKHR)found[i].BType,
                                                     .CType = (VkComponentTypeKHR)found[i].CType,
                                                     .ResultType = (VkComponentTypeKHR)found[i].DType,
                                                     .scope = (VkScopeKHR)found[i].scope};
    free(found);
    return list;
}

/* The products of float16 with float32 sums that subgroups can work on together. */
static void probe_matrix_shapes(VkInstance instance, VkPhysicalDevice physical, rp_caps *out) {
    uint32_t count = 0;
    VkCooperativeMatrixPropertiesKHR *list = out->matrix_nv ? list_matrices_nv(instance, physical, &count)
                                                            : list_matrices(instance, physical, &count);
    for (uint32_t i = 0; list && i < count && out->matrix_shape_count < RP_MAX_MATRIX_SHAPES; i++) {
        const VkCooperativeMatrixPropertiesKHR *p = &list[i];
        if (p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            p->scope == VK_SCOPE_SUBGROUP_KHR && !p->saturatingAccumulation)
            out->matrix_shapes[out->matrix_shape_count++] = (rp_matrix_shape){p->MSize, p->NSize, p->KSize};
    }
    free(list);
}

static void probe_features(VkInstance instance, VkPhysicalDevice physical, rp_caps *out) {
    uint32_t count = 0;
    rp_vk.vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
    VkExtensionProperties *list = rp_new_array(VkExtensionProperties, count);
    if (!list) return;
    if (rp_vk.vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list) < 0) count = 0;
    feature_chain has;
    ask_features(physical, list, count, &has);
    out->is_portability_subset = has_extension(list, count, RP_PORTABILITY_SUBSET);
    out->has_budget = has_extension(list, count, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    out->has_statistics = has.statistics.pipelineExecutableInfo;
    out->has_storage_16 = out->info.fp16_storage = has.storage.storageBuffer16BitAccess;
    out->has_float16_int8 = out->info.fp16_arithmetic = has.small.shaderFloat16;
    out->has_integer_dot = out->info.int8_dot = has.dot.shaderIntegerDotProduct;
    out->subgroup_control = has.sizes.subgroupSizeControl && has.sizes.computeFullSubgroups;
    out->info.cooperative_matrix = has_extension(list, count, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
                                   has_extension(list, count, VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
    out->has_cooperative_matrix =
        (out->matrix_nv ? has.cooperative_nv.cooperativeMatrix : has.cooperative.cooperativeMatrix) &&
        has.memory_model.vulkanMemoryModel && has.memory_model.vulkanMemoryModelDeviceScope &&
        has.small.shaderFloat16;
    if (out->has_cooperative_matrix) probe_matrix_shapes(instance, physical, out);
    free(list);
}

static rp_device_type device_type(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return RP_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return RP_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return RP_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return RP_DEVICE_CPU;
    default:
        return RP_DEVICE_OTHER;
    }
}

static void copy_limits(const VkPhysicalDeviceProperties *properties, rp_caps *out) {
    const VkPhysicalDeviceLimits *limits = &properties->limits;
    rp_device_info *info = &out->info;
    snprintf(info->name, sizeof info->name, "%s", properties->deviceName);
    info->api_version = properties->apiVersion;
    info->vendor_id = properties->vendorID;
    info->device_id = properties->deviceID;
    info->type = device_type(properties->deviceType);
    info->max_storage_bytes = limits->maxStorageBufferRange;
    info->shared_bytes = limits->maxComputeSharedMemorySize;
    info->max_invocations = limits->maxComputeWorkGroupInvocations;
    info->subgroup_size = 1;
    info->timestamps = out->timestamp_bits > 0 && limits->timestampPeriod > 0;
    out->timestamp_period = limits->timestampPeriod;
    out->storage_alignment = limits->minStorageBufferOffsetAlignment;
    if (limits->minTexelBufferOffsetAlignment > out->storage_alignment)
        out->storage_alignment = limits->minTexelBufferOffsetAlignment;
    out->max_texels = limits->maxTexelBufferElements;
    out->atom_size = limits->nonCoherentAtomSize ? limits->nonCoherentAtomSize : 1;
    out->max_allocation = 1u << 30; /* what Vulkan 1.1 guarantees; replaced where the driver says more */
    out->max_push_bytes = limits->maxPushConstantsSize;
    out->driver_version = properties->driverVersion;
    memcpy(out->max_groups, limits->maxComputeWorkGroupCount, sizeof out->max_groups);
    memcpy(out->max_group_size, limits->maxComputeWorkGroupSize, sizeof out->max_group_size);
    memcpy(out->uuid, properties->pipelineCacheUUID, VK_UUID_SIZE);
}

/* Say in info->reason which limit is too low for the operators. Vulkan promises more of each but the size of
 * storage buffers, and not every driver keeps that promise. */
static void check_limits(const VkPhysicalDeviceLimits *limits, rp_device_info *info) {
    const struct {
        const char *what;
        uint32_t offered, needed;
    } checks[] = {
        {"storage buffers in a shader", limits->maxPerStageDescriptorStorageBuffers, RP_MAX_BINDINGS},
        {"storage buffers in a descriptor set", limits->maxDescriptorSetStorageBuffers, RP_MAX_BINDINGS},
        {"resources in a shader", limits->maxPerStageResources, RP_MAX_BINDINGS},
        {"descriptor sets", limits->maxBoundDescriptorSets, 1},
        {"bytes of push constants", limits->maxPushConstantsSize, 4 * RP_MAX_PUSH_WORDS},
        {"invocations in a workgroup", limits->maxComputeWorkGroupInvocations, 64},
        {"invocations side by side in a workgroup", limits->maxComputeWorkGroupSize[0], 64},
        {"workgroups in a dispatch", limits->maxComputeWorkGroupCount[0], 65535},
        {"bytes of shared memory", limits->maxComputeSharedMemorySize, 4096},
        {"bytes in a storage buffer", limits->maxStorageBufferRange, 16 << 20},
    };
    for (size_t i = 0; !info->reason[0] && i < RP_COUNT(checks); i++)
        if (checks[i].offered < checks[i].needed)
            snprintf(info->reason, sizeof info->reason, "it offers %u %s and %u are needed",
                     checks[i].offered, checks[i].what, checks[i].needed);
}

/* Properties that Vulkan 1.1 and its optional successors add. */
static void probe_properties(VkPhysicalDevice physical, rp_caps *out) {
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &maintenance};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &subgroup};
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    if (out->info.api_version >= VK_API_VERSION_1_2) maintenance.pNext = &driver;
    if (out->info.api_version >= VK_API_VERSION_1_3 || out->subgroup_control) {
        sizes.pNext = maintenance.pNext;
        maintenance.pNext = &sizes;
    }
    rp_vk.vkGetPhysicalDeviceProperties2(physical, &properties);
    if (maintenance.maxMemoryAllocationSize) out->max_allocation = maintenance.maxMemoryAllocationSize;
    rp_device_info *info = &out->info;
    if (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) {
        info->subgroup_size = subgroup.subgroupSize ? subgroup.subgroupSize : 1;
        info->subgroup_broadcast = subgroup.supportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT;
        info->subgroup_arithmetic = subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
        out->subgroup_shuffle = subgroup.supportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
        out->subgroup_fixed = sizes.minSubgroupSize && sizes.minSubgroupSize == sizes.maxSubgroupSize;
        out->subgroup_min = sizes.minSubgroupSize ? sizes.minSubgroupSize : info->subgroup_size;
        out->subgroup_max = sizes.maxSubgroupSize ? sizes.maxSubgroupSize : info->subgroup_size;
    }
    out->subgroup_control &= (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    uint32_t v = out->driver_version;
    if (driver.driverName[0])
        snprintf(info->driver, sizeof info->driver, "%.120s%s%.120s", driver.driverName,
                 driver.driverInfo[0] ? " " : "", driver.driverInfo);
    else
        snprintf(info->driver, sizeof info->driver, "%u.%u.%u", VK_API_VERSION_MAJOR(v),
                 VK_API_VERSION_MINOR(v), VK_API_VERSION_PATCH(v));
}

void rp_caps_probe(VkInstance instance, VkPhysicalDevice physical, uint32_t index, bool matrix_nv,
                   rp_caps *out) {
    *out = (rp_caps){.info.index = index, .matrix_nv = matrix_nv};
    VkPhysicalDeviceProperties properties;
    rp_vk.vkGetPhysicalDeviceProperties(physical, &properties);
    probe_queue(physical, out);
    probe_memory(physical, out);
    copy_limits(&properties, out);
    rp_device_info *info = &out->info;
    if (properties.apiVersion < VK_API_VERSION_1_1) {
        snprintf(info->driver, sizeof info->driver, "%u", properties.driverVersion);
        snprintf(info->reason, sizeof info->reason,
                 "its driver offers Vulkan %u.%u and 1.1 is needed: update the driver",
                 VK_API_VERSION_MAJOR(properties.apiVersion), VK_API_VERSION_MINOR(properties.apiVersion));
        return;
    }
    probe_features(instance, physical, out);
    probe_properties(physical, out);
    if (out->queue_family == RP_NO_QUEUE)
        snprintf(info->reason, sizeof info->reason, "it has no compute queue");
    check_limits(&properties.limits, info);
    info->usable = !info->reason[0];
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool rp_name_contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && lower(text[i]) == lower(part[i])) i++;
        if (i == n) return true;
    }
    return n == 0;
}

static int rank(rp_device_type type) {
    switch (type) {
    case RP_DEVICE_DISCRETE:
        return 4;
    case RP_DEVICE_INTEGRATED:
        return 3;
    case RP_DEVICE_VIRTUAL:
        return 2;
    case RP_DEVICE_OTHER:
        return 1;
    default:
        return 0;
    }
}

rp_status rp_caps_choose(const rp_caps *caps, uint32_t count, const rp_device_params *params, uint32_t *out,
                         rp_error *err) {
    uint32_t wanted = params ? params->index : 0;
    const char *name = params ? params->name : NULL;
    const rp_caps *best = NULL, *refused = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const rp_device_info *info = &caps[i].info;
        if (wanted && wanted != i + 1) continue;
        if (name && !rp_name_contains(info->name, name) && !rp_name_contains(info->driver, name)) continue;
        if (!info->usable)
            refused = &caps[i];
        else if (!best || rank(info->type) > rank(best->info.type))
            best = &caps[i];
    }
    if (best) {
        *out = (uint32_t)(best - caps);
        return RP_OK;
    }
    if (refused)
        return rp_fail(err, RP_ERROR_DEVICE, "device %u (%s) cannot be used: %s", refused->info.index,
                       refused->info.name, refused->info.reason);
    if (wanted && count)
        return rp_fail(
            err, RP_ERROR_DEVICE,
            count == 1
                ? "there is no device %u: this system has one, number %u; `reprise devices` shows it"
                : "there is no device %u: this system has numbers 0 to %u; `reprise devices` lists them",
            wanted - 1, count - 1);
    if (name && count)
        return rp_fail(err, RP_ERROR_DEVICE, "no device has \"%s\" in its name; `reprise devices` lists them",
                       name);
    return rp_fail(
        err, RP_ERROR_DEVICE,
        "no GPU was found that Vulkan can use; install the driver of your GPU, or a software driver "
        "(Debian and Ubuntu: apt install mesa-vulkan-drivers)");
}

uint64_t rp_caps_range_limit(const rp_caps *caps) {
    uint64_t bound = caps->info.max_storage_bytes;
    return bound < caps->max_allocation ? bound : caps->max_allocation;
}

/* Points of a type of memory for a use; -1: it cannot serve. */
static int score(const rp_caps *caps, rp_memory_use use, VkMemoryPropertyFlags flags) {
    bool local = flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
         visible = flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    bool coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
         cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    /* types for render targets, and types of features that are not enabled */
    if (flags & (VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
                 VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD))
        return -1;
    if (use != RP_MEMORY_DEVICE && !visible) return -1;
    switch (use) {
    case RP_MEMORY_DEVICE: {
        /* on a discrete card host-visible device memory is a small window: leave it to the inputs */
        bool window = caps->info.type == RP_DEVICE_DISCRETE && visible;
        return 8 * local + 4 * !window + 1 * visible;
    }
    case RP_MEMORY_INPUT:
        return 4 * local + 2 * coherent;
    default:
        return 8 * cached + 4 * coherent;
    }
}

uint32_t rp_caps_memory_type(const rp_caps *caps, rp_memory_use use, uint32_t type_bits) {
    uint32_t best = UINT32_MAX;
    int best_score = -1;
    for (uint32_t i = 0; i < caps->memory.memoryTypeCount; i++) {
        if (!(type_bits >> i & 1)) continue;
        int points = score(caps, use, caps->memory.memoryTypes[i].propertyFlags);
        if (points > best_score) {
            best = i;
            best_score = points;
        }
    }
    return best;
}
