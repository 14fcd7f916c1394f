#include "support_faults.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "gpu/vk_cooperative.h"
#include "reprise/device.h"
#include "support_shaders.h"

_Atomic VkDeviceSize fault_largest_allocation, fault_all_allocations;
_Atomic double fault_delay;
atomic_uint fault_most_buffers;
atomic_bool fault_idle;
atomic_uint fault_shaders_came;
int fault_shaders_signal = SIGKILL;

static _Atomic(const char *) failing = "";
static atomic_int due, repeats = 1;
static atomic_bool came, lost, hidden;
static VkResult gives;
static uint32_t real_type; /* which all memory is of while it is hidden */
static atomic_uint devices, submits, waits, allocated, pipelines;

/* ---- the fault ---- */

static bool fails(const char *name) {
    if (strcmp(name, failing)) return false;
    int left = atomic_fetch_sub(&due, 1);
    if (left > 0 || left <= -repeats) return false;
    came = true;
    if (gives == VK_ERROR_DEVICE_LOST) lost = true;
    return true;
}

void fault_begin(const char *function, int call, VkResult result) {
    came = false;
    gives = result;
    due = call;
    repeats = 1;
    failing = function;
}

void fault_repeat(int times) {
    repeats = times;
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
    PFN_vkCreateShaderModule vkCreateShaderModule;
    PFN_vkDestroyShaderModule vkDestroyShaderModule;
    PFN_vkCreateComputePipelines vkCreateComputePipelines;
    PFN_vkDestroyPipeline vkDestroyPipeline;
    PFN_vkBeginCommandBuffer vkBeginCommandBuffer;
    PFN_vkCmdBindPipeline vkCmdBindPipeline;
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

/* ---- shaders that the driver does not get along with ---- */

static bool (*is_bad)(const char *shader);
static VkResult bad_result;

/* Modules, pipelines and command buffers that have to do with them. */
static uint64_t marked[4096];
static pthread_mutex_t marked_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t *find_mark(uint64_t handle) {
    for (size_t i = 0; i < RP_COUNT(marked); i++)
        if (marked[i] == handle) return &marked[i];
    return NULL;
}

static void mark(uint64_t handle, bool bad) {
    pthread_mutex_lock(&marked_lock);
    uint64_t *at = find_mark(handle);
    if (at && !bad) *at = 0;
    if (!at && bad && (at = find_mark(0))) *at = handle;
    pthread_mutex_unlock(&marked_lock);
}

static bool is_marked(uint64_t handle) {
    pthread_mutex_lock(&marked_lock);
    bool found = find_mark(handle);
    pthread_mutex_unlock(&marked_lock);
    return found;
}

void fault_shaders(bool (*is)(const char *shader), VkResult result) {
    is_bad = is;
    bad_result = result;
    fault_shaders_came = 0;
}

static bool has_bad_code(const VkShaderModuleCreateInfo *info) {
    const char *name = is_bad ? shader_name(info->pCode, info->codeSize / 4) : NULL;
    return name && is_bad(name);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkCreateShaderModule(VkDevice device,
                                                                 const VkShaderModuleCreateInfo *info,
                                                                 const VkAllocationCallbacks *callbacks,
                                                                 VkShaderModule *out) {
    if (fails("vkCreateShaderModule")) return gives;
    VkResult result = real.vkCreateShaderModule(device, info, callbacks, out);
    if (result == VK_SUCCESS) mark((uint64_t)*out, has_bad_code(info));
    return result;
}

static VKAPI_ATTR void VKAPI_CALL fault_vkDestroyShaderModule(VkDevice device, VkShaderModule module,
                                                              const VkAllocationCallbacks *callbacks) {
    if (module) mark((uint64_t)module, false);
    real.vkDestroyShaderModule(device, module, callbacks);
}

static VKAPI_ATTR void VKAPI_CALL fault_vkDestroyPipeline(VkDevice device, VkPipeline pipeline,
                                                          const VkAllocationCallbacks *callbacks) {
    if (pipeline) mark((uint64_t)pipeline, false);
    real.vkDestroyPipeline(device, pipeline, callbacks);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkBeginCommandBuffer(VkCommandBuffer commands,
                                                                 const VkCommandBufferBeginInfo *info) {
    if (fails("vkBeginCommandBuffer")) return gives;
    mark((uint64_t)(uintptr_t)commands, false);
    return real.vkBeginCommandBuffer(commands, info);
}

static VKAPI_ATTR void VKAPI_CALL fault_vkCmdBindPipeline(VkCommandBuffer commands, VkPipelineBindPoint point,
                                                          VkPipeline pipeline) {
    if (is_marked((uint64_t)pipeline)) mark((uint64_t)(uintptr_t)commands, true);
    real.vkCmdBindPipeline(commands, point, pipeline);
}

/* What a submission of these command buffers comes to. */
static VkResult submit_bad(uint32_t count, const VkCommandBuffer *buffers) {
    for (uint32_t i = 0; is_bad && i < count; i++) {
        if (!is_marked((uint64_t)(uintptr_t)buffers[i])) continue;
        fault_shaders_came++;
        if (bad_result == VK_ERROR_UNKNOWN) raise(fault_shaders_signal);
        lost = true;
        return VK_ERROR_DEVICE_LOST;
    }
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache,
                                                                     uint32_t count,
                                                                     const VkComputePipelineCreateInfo *infos,
                                                                     const VkAllocationCallbacks *callbacks,
                                                                     VkPipeline *out) {
    pipelines++;
    bool bad = is_marked((uint64_t)infos[0].stage.module);
    if (fails("vkCreateComputePipelines")) return gives;
    if (bad && bad_result != VK_ERROR_DEVICE_LOST && bad_result != VK_ERROR_UNKNOWN) {
        fault_shaders_came++;
        return bad_result;
    }
    VkResult result = real.vkCreateComputePipelines(device, cache, count, infos, callbacks, out);
    if (result == VK_SUCCESS) mark((uint64_t)out[0], bad);
    return result;
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
    for (uint32_t i = 0; i < count; i++) {
        buffers += infos[i].commandBufferCount;
        VkResult result = submit_bad(infos[i].commandBufferCount, infos[i].pCommandBuffers);
        if (result) return result;
    }
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
    EACH(vkCreateShaderModule, , )
    EACH(vkDestroyShaderModule, , )
    EACH(vkCreateComputePipelines, , )
    EACH(vkDestroyPipeline, , )
    EACH(vkBeginCommandBuffer, , )
    EACH(vkCmdBindPipeline, , )
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
    real.vkGetInstanceProcAddr = rp_vk.vkGetInstanceProcAddr;
    rp_vk_load_from(fault_vkGetInstanceProcAddr);
    return true;
}
