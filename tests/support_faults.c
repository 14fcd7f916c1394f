#include "support_faults.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "reprise/device.h"

_Atomic VkDeviceSize fault_largest_allocation, fault_all_allocations;
_Atomic double fault_delay;
atomic_uint fault_most_buffers;
atomic_bool fault_idle;

static _Atomic(const char *) failing = "";
static atomic_int due;
static atomic_bool came, lost, hidden;
static VkResult gives;
static uint32_t real_type; /* which all memory is of while it is hidden */
static atomic_uint devices, submits, waits, allocated, pipelines;

/* ---- the fault ---- */

static bool fails(const char *name) {
    if (strcmp(name, failing) || atomic_fetch_sub(&due, 1) != 0) return false;
    came = true;
    if (gives == VK_ERROR_DEVICE_LOST) lost = true;
    return true;
}

void fault_begin(const char *function, int call, VkResult result) {
    came = false;
    gives = result;
    due = call;
    failing = function;
}

bool fault_end(void) {
    failing = "";
    return came;
}

fault_counts faults_seen(void) {
    return (fault_counts){devices, submits, waits, allocated, pipelines};
}

void faults_hide_memory(rp_device *device) {
    enum { MAPPED = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT };
    VkPhysicalDeviceMemoryProperties *memory = device ? &device->caps.memory : NULL;
    hidden = device;
    if (!device) return;
    for (real_type = 0; (memory->memoryTypes[real_type].propertyFlags & MAPPED) != MAPPED;) real_type++;
    memory->memoryTypeCount = 2;
    memory->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    memory->memoryTypes[1].propertyFlags = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    device->caps.info.type = RP_DEVICE_DISCRETE;
}

/* ---- functions that only fail ---- */

/* The functions of the system. */
static struct {
#define EACH(name, parameters, arguments) PFN_##name name;
#include "support_faults.def"
#undef EACH
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr vkGetDeviceProcAddr;
    PFN_vkCreateDevice vkCreateDevice;
    PFN_vkAllocateMemory vkAllocateMemory;
    PFN_vkFreeMemory vkFreeMemory;
    PFN_vkGetBufferMemoryRequirements vkGetBufferMemoryRequirements;
    PFN_vkCreateComputePipelines vkCreateComputePipelines;
    PFN_vkQueueSubmit vkQueueSubmit;
    PFN_vkQueueWaitIdle vkQueueWaitIdle;
    PFN_vkWaitForFences vkWaitForFences;
} real;

#define EACH(name, parameters, arguments)                           \
    static VKAPI_ATTR VkResult VKAPI_CALL fault_##name parameters { \
        return fails(#name) ? gives : real.name arguments;          \
    }
#include "support_faults.def"
#undef EACH

/* ---- functions that do more ---- */

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkCreateDevice(VkPhysicalDevice physical,
                                                           const VkDeviceCreateInfo *info,
                                                           const VkAllocationCallbacks *callbacks,
                                                           VkDevice *out) {
    if (fails("vkCreateDevice")) return gives;
    VkResult result = real.vkCreateDevice(physical, info, callbacks, out);
    if (result == VK_SUCCESS) {
        devices++;
        lost = false;
    }
    return result;
}

static struct {
    VkDeviceMemory memory;
    VkDeviceSize size;
} held[1024];
static VkDeviceSize held_bytes;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(VkDeviceMemory memory, VkDeviceSize size) {
    pthread_mutex_lock(&held_lock);
    for (size_t i = 0; i < RP_COUNT(held); i++)
        if (!held[i].memory) {
            held[i].memory = memory;
            held[i].size = size;
            held_bytes += size;
            break;
        }
    pthread_mutex_unlock(&held_lock);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkAllocateMemory(VkDevice device,
                                                             const VkMemoryAllocateInfo *info,
                                                             const VkAllocationCallbacks *callbacks,
                                                             VkDeviceMemory *out) {
    allocated++;
    if (fails("vkAllocateMemory")) return gives;
    VkDeviceSize size = info->allocationSize;
    if (fault_largest_allocation && size > fault_largest_allocation) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (fault_all_allocations && held_bytes + size > fault_all_allocations)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkMemoryAllocateInfo changed = *info;
    if (hidden) changed.memoryTypeIndex = real_type;
    VkResult result = real.vkAllocateMemory(device, &changed, callbacks, out);
    if (result == VK_SUCCESS) hold(*out, size);
    return result;
}

static VKAPI_ATTR void VKAPI_CALL fault_vkFreeMemory(VkDevice device, VkDeviceMemory memory,
                                                     const VkAllocationCallbacks *callbacks) {
    pthread_mutex_lock(&held_lock);
    for (size_t i = 0; memory && i < RP_COUNT(held); i++)
        if (held[i].memory == memory) {
            held_bytes -= held[i].size;
            held[i].memory = VK_NULL_HANDLE;
            break;
        }
    pthread_mutex_unlock(&held_lock);
    real.vkFreeMemory(device, memory, callbacks);
}

static VKAPI_ATTR void VKAPI_CALL fault_vkGetBufferMemoryRequirements(VkDevice device, VkBuffer buffer,
                                                                      VkMemoryRequirements *out) {
    real.vkGetBufferMemoryRequirements(device, buffer, out);
    if (hidden) out->memoryTypeBits = 3;
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache,
                                                                     uint32_t count,
                                                                     const VkComputePipelineCreateInfo *infos,
                                                                     const VkAllocationCallbacks *callbacks,
                                                                     VkPipeline *out) {
    pipelines++;
    if (fails("vkCreateComputePipelines")) return gives;
    return real.vkCreateComputePipelines(device, cache, count, infos, callbacks, out);
}

static void slow_down(uint32_t buffers) {
    double seconds = fault_delay * buffers;
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (seconds > 0) nanosleep(&time, NULL);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkQueueSubmit(VkQueue queue, uint32_t count,
                                                          const VkSubmitInfo *infos, VkFence fence) {
    uint32_t buffers = 0;
    submits++;
    if (fails("vkQueueSubmit")) return gives;
    if (lost) return VK_ERROR_DEVICE_LOST;
    for (uint32_t i = 0; i < count; i++) buffers += infos[i].commandBufferCount;
    if (buffers > fault_most_buffers) fault_most_buffers = buffers;
    slow_down(buffers);
    return real.vkQueueSubmit(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkQueueWaitIdle(VkQueue queue) {
    VkResult result = real.vkQueueWaitIdle(queue);
    return fault_idle ? VK_ERROR_OUT_OF_HOST_MEMORY : lost ? VK_ERROR_DEVICE_LOST : result;
}

/* A wait that fails leaves the work pending, as a driver may. */
static VKAPI_ATTR VkResult VKAPI_CALL fault_vkWaitForFences(VkDevice device, uint32_t count,
                                                            const VkFence *fences, VkBool32 all,
                                                            uint64_t timeout) {
    waits++;
    if (fails("vkWaitForFences")) return gives;
    if (lost) return VK_ERROR_DEVICE_LOST;
    return real.vkWaitForFences(device, count, fences, all, timeout);
}

/* ---- taking the place of the system's ---- */

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_vkGetDeviceProcAddr(VkDevice device, const char *name);

/* The wrapper of `name` when there is one, and then `found` is what it wraps. */
static PFN_vkVoidFunction wrap(const char *name, PFN_vkVoidFunction found) {
    if (!found) return NULL;
#define EACH(function, parameters, arguments)        \
    if (!strcmp(name, #function)) {                  \
        real.function = (PFN_##function)found;       \
        return (PFN_vkVoidFunction)fault_##function; \
    }
#include "support_faults.def"
    EACH(vkGetDeviceProcAddr, , )
    EACH(vkCreateDevice, , )
    EACH(vkAllocateMemory, , )
    EACH(vkFreeMemory, , )
    EACH(vkGetBufferMemoryRequirements, , )
    EACH(vkCreateComputePipelines, , )
    EACH(vkQueueSubmit, , )
    EACH(vkQueueWaitIdle, , )
    EACH(vkWaitForFences, , )
#undef EACH
    return found;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_vkGetDeviceProcAddr(VkDevice device, const char *name) {
    return wrap(name, real.vkGetDeviceProcAddr(device, name));
}

/* Every instance asks through this one. What it answers for functions of devices is not used. */
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fault_vkGetInstanceProcAddr(VkInstance instance,
                                                                            const char *name) {
    return wrap(name, real.vkGetInstanceProcAddr(instance, name));
}

bool faults_install(void) {
    if (rp_vk_load(NULL)) return false;
    real.vkGetInstanceProcAddr = vkGetInstanceProcAddr;
    volkInitializeCustom(fault_vkGetInstanceProcAddr);
    return true;
}
