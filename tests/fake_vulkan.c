/* A stand-in for Vulkan's loader, libvulkan.so.1: FAKE_VULKAN says which system it plays.
 *
 * "old": a loader of Vulkan 1.0. "empty": a driver without a device. "broken": instances cannot be made.
 * "portable": its devices stand on another API, and say so. Otherwise four devices that cannot be used: an
 * old driver, no compute queue, too few storage buffers, and one whose driver fails when it is opened. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vulkan.h>

enum { OLD_DRIVER, NO_COMPUTE, FEW_BUFFERS, FAILING, DEVICES };

static const char *const names[DEVICES] = {"Old GPU", "Display only", "Small GPU", "Failing GPU"};
static int devices[DEVICES]; /* their addresses are the handles */

static bool plays(const char *system) {
    const char *wanted = getenv("FAKE_VULKAN");
    return wanted && !strcmp(wanted, system);
}

static long which(VkPhysicalDevice physical) {
    return (const int *)physical - devices;
}

static VkResult instance_version(uint32_t *version) {
    *version = VK_API_VERSION_1_3;
    return VK_SUCCESS;
}

static VkResult instance_extensions(const char *layer, uint32_t *count, VkExtensionProperties *out) {
    (void)layer, (void)out;
    *count = 0;
    return VK_SUCCESS;
}

static VkResult create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *callbacks,
                                VkInstance *out) {
    (void)info, (void)callbacks;
    if (plays("broken")) return VK_ERROR_INITIALIZATION_FAILED;
    *out = (VkInstance)devices;
    return VK_SUCCESS;
}

static void destroy_instance(VkInstance instance, const VkAllocationCallbacks *callbacks) {
    (void)instance, (void)callbacks;
}

static VkResult enumerate(VkInstance instance, uint32_t *count, VkPhysicalDevice *out) {
    (void)instance;
    uint32_t number = plays("empty") ? 0 : DEVICES;
    for (uint32_t i = 0; out && i < number; i++) out[i] = (VkPhysicalDevice)&devices[i];
    *count = number;
    return VK_SUCCESS;
}

static void get_properties(VkPhysicalDevice physical, VkPhysicalDeviceProperties *out) {
    *out = (VkPhysicalDeviceProperties){
        .apiVersion = which(physical) == OLD_DRIVER ? VK_API_VERSION_1_0 : VK_API_VERSION_1_1,
        .deviceType = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
        .limits = {.maxStorageBufferRange = 1 << 27,
                   .maxPushConstantsSize = 128,
                   .maxBoundDescriptorSets = 4,
                   .maxPerStageDescriptorStorageBuffers = which(physical) == FEW_BUFFERS ? 4 : 8,
                   .maxPerStageResources = 128,
                   .maxDescriptorSetStorageBuffers = 24,
                   .maxComputeSharedMemorySize = 16384,
                   .maxComputeWorkGroupCount = {65535, 65535, 65535},
                   .maxComputeWorkGroupInvocations = 128,
                   .maxComputeWorkGroupSize = {128, 128, 64}}};
    snprintf(out->deviceName, sizeof out->deviceName, "%s", names[which(physical)]);
}

static void get_properties2(VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *out) {
    get_properties(physical, &out->properties);
}

static void get_features2(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *out) {
    (void)physical, (void)out;
}

static void get_families(VkPhysicalDevice physical, uint32_t *count, VkQueueFamilyProperties *out) {
    *count = 1;
    if (out)
        *out = (VkQueueFamilyProperties){
            .queueFlags = VK_QUEUE_GRAPHICS_BIT | (which(physical) == NO_COMPUTE ? 0 : VK_QUEUE_COMPUTE_BIT),
            .queueCount = 1};
}

static void get_memory(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *out) {
    (void)physical;
    *out = (VkPhysicalDeviceMemoryProperties){0};
}

static VkResult get_extensions(VkPhysicalDevice physical, const char *layer, uint32_t *count,
                               VkExtensionProperties *out) {
    static const VkExtensionProperties subset = {.extensionName = "VK_KHR_portability_subset"};
    (void)physical, (void)layer;
    *count = plays("portable");
    if (out && *count) *out = subset;
    return VK_SUCCESS;
}

static VkResult create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                              const VkAllocationCallbacks *callbacks, VkDevice *out) {
    bool subset = false;
    (void)physical, (void)callbacks, (void)out;
    for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
        subset |= !strcmp(info->ppEnabledExtensionNames[i], "VK_KHR_portability_subset");
    /* who is offered it must enable it, and nobody else may */
    return subset == plays("portable") ? VK_ERROR_INITIALIZATION_FAILED : VK_ERROR_EXTENSION_NOT_PRESENT;
}

__attribute__((visibility("default"))) PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance,
                                                                                const char *name) {
    static const struct {
        const char *name;
        PFN_vkVoidFunction function;
    } table[] = {
        {"vkEnumerateInstanceExtensionProperties", (PFN_vkVoidFunction)instance_extensions},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkDestroyInstance", (PFN_vkVoidFunction)destroy_instance},
        {"vkEnumeratePhysicalDevices", (PFN_vkVoidFunction)enumerate},
        {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)get_properties},
        {"vkGetPhysicalDeviceProperties2", (PFN_vkVoidFunction)get_properties2},
        {"vkGetPhysicalDeviceFeatures2", (PFN_vkVoidFunction)get_features2},
        {"vkGetPhysicalDeviceQueueFamilyProperties", (PFN_vkVoidFunction)get_families},
        {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)get_memory},
        {"vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)get_extensions},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
    };
    (void)instance;
    if (!strcmp(name, "vkEnumerateInstanceVersion") && !plays("old"))
        return (PFN_vkVoidFunction)instance_version;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(name, table[i].name)) return table[i].function;
    return NULL;
}
