/* VK_LAYER_REPRISE_bent: a Vulkan layer that makes a device poorer than it is. It lowers limits, takes
 * features and extensions away, gives memory other properties, and slows submissions down, as the profile
 * that REPRISE_BENT names says. It lies below the validation layer, which then holds the library to what is
 * reported.
 *
 * REPRISE_BENT is the name of a profile (bent_profiles.c), or knobs, or both, separated by spaces or commas:
 * "powervr", "shared=16384 memory=1", "laptop,buffer_ms=20". Later knobs win. Unset or empty: nothing is
 * bent.
 * While the file REPRISE_BENT_LOSING is there, every submission loses the device. */
#ifndef BENT_H
#define BENT_H

#include <stdbool.h>
#include <stdint.h>

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

/* What memory looks like. The driver's own memory types stay hidden, except with BENT_MEMORY_OWN. */
enum {
    BENT_MEMORY_OWN = -1,
    BENT_MEMORY_UNIFIED = 0,      /* one type: device local, visible, coherent */
    BENT_MEMORY_NON_COHERENT = 1, /* what is device local or cached is not coherent */
    BENT_MEMORY_CACHED = 2,       /* device local and coherent; cached, but then not coherent */
    BENT_MEMORY_DISCRETE = 3,     /* device local memory that the host cannot see */
    BENT_MEMORY_KINDS
};

/* One number for each knob; -1 leaves the device as it is. Limits are only lowered, alignments only raised,
 * and of features 0 takes one away. */
typedef struct bend {
    int64_t api;         /* minor version of Vulkan 1 */
    int64_t type;        /* VkPhysicalDeviceType */
    int64_t extensions;  /* 0: no device extension */
    int64_t shared;      /* bytes of a workgroup's shared memory */
    int64_t invocations; /* of a workgroup, and of each of its sides */
    int64_t push;        /* bytes of push constants */
    int64_t buffers;     /* storage buffers of a shader and of a descriptor set */
    int64_t range;       /* bytes of a storage buffer's range */
    int64_t texels;      /* of a texel buffer */
    int64_t alignment;   /* of offsets of storage, uniform and texel buffers, bytes */
    int64_t atom;        /* nonCoherentAtomSize, bytes */
    int64_t allocation;  /* largest allocation, bytes */
    int64_t heap;        /* bytes of each heap; allocations beyond it fail */
    int64_t memory;      /* one of BENT_MEMORY_ */
    int64_t subgroup;    /* its size; where that is not the driver's, it can do nothing but "basic" */
    int64_t timestamps;  /* 0: none */
    int64_t fp16, int8, storage16, storage8, dot, matrix, statistics;
    int64_t submit_ms;   /* every submission takes that much longer */
    int64_t buffer_ms;   /* and that much more for each command buffer in it */
    int64_t code;        /* bytes of a module: whoever makes a pipeline of a larger one is ended */
    int64_t refused;     /* or hears VK_ERROR_UNKNOWN, and finds no pipeline but something else */
    int64_t watchdog_ms; /* a submission that these two make longer than this loses the device */
} bend;

/* What REPRISE_BENT says, read once. On a word that it does not know the process is told and ended: a test
 * that silently ran on an unbent device would prove nothing. */
const bend *bent_get(void);
/* REPRISE_BENT itself; never NULL. */
const char *bent_name(void);

/* The functions of the next layer. */
typedef struct bent_instance {
    void *key;
    VkInstance handle;
    PFN_vkGetInstanceProcAddr next;
    PFN_vkDestroyInstance destroy;
    PFN_vkGetPhysicalDeviceProperties properties;
    PFN_vkGetPhysicalDeviceProperties2 properties2;
    PFN_vkGetPhysicalDeviceFeatures2 features2;
    PFN_vkGetPhysicalDeviceMemoryProperties memory;
    PFN_vkGetPhysicalDeviceQueueFamilyProperties families;
    PFN_vkEnumerateDeviceExtensionProperties extensions;
    struct bent_instance *link;
} bent_instance;

typedef struct bent_memory bent_memory;
typedef struct bent_module bent_module;

typedef struct bent_device {
    void *key;
    VkDevice handle;
    uint32_t own_types[VK_MAX_MEMORY_TYPES]; /* the driver's type behind each that is reported */
    VkPhysicalDeviceMemoryProperties shown;
    uint64_t heap_used[VK_MAX_MEMORY_HEAPS];
    bent_memory *memories;
    bent_module *modules;
    bool lost;
    PFN_vkGetDeviceProcAddr next;
    PFN_vkDestroyDevice destroy;
    PFN_vkAllocateMemory allocate;
    PFN_vkFreeMemory free;
    PFN_vkMapMemory map;
    PFN_vkUnmapMemory unmap;
    PFN_vkFlushMappedMemoryRanges flush;
    PFN_vkInvalidateMappedMemoryRanges invalidate;
    PFN_vkGetBufferMemoryRequirements needs;
    PFN_vkGetBufferMemoryRequirements2 needs2;
    PFN_vkQueueSubmit submit;
    PFN_vkCreateShaderModule create_module;
    PFN_vkDestroyShaderModule destroy_module;
    PFN_vkCreateComputePipelines create_pipelines;
    struct bent_device *link;
} bent_device;

/* The entry of a dispatchable handle; NULL: unknown. */
bent_instance *bent_instance_of(const void *handle);
bent_device *bent_device_of(const void *handle);

/* Held around what bent_device counts and lists. */
void bent_lock(void);
void bent_unlock(void);

/* The memory that is reported, and the driver's type behind each reported one. */
void bent_memory_shown(const bent_instance *instance, VkPhysicalDevice physical,
                       VkPhysicalDeviceMemoryProperties *shown, uint32_t own_types[VK_MAX_MEMORY_TYPES]);
/* Is this extension taken away? */
bool bent_hides_extension(const char *name);

/* The layer's function of that name; NULL: it has none. */
PFN_vkVoidFunction bent_physical_function(const char *name);
PFN_vkVoidFunction bent_memory_function(const char *name);
PFN_vkVoidFunction bent_pipeline_function(const char *name);

/* Free what is left of the shadows of a device that is destroyed. */
void bent_memory_finish(bent_device *device);

#endif
