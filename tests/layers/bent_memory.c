/* Memory as it is reported: types that the driver does not have, heaps that are full sooner, and, where a
 * type is not coherent, a copy for the host that only a flush or an invalidation brings up to date. */
#include <stdlib.h>
#include <string.h>

#include "bent.h"

struct bent_memory {
    VkDeviceMemory handle;
    VkDeviceSize size;
    uint32_t heap;
    bool coherent;
    char *own;                /* where the driver mapped it */
    char *shadow;             /* what the host sees instead; NULL: not mapped, or coherent */
    VkDeviceSize from, bytes; /* the mapped part */
    struct bent_memory *link;
};

/* What the host reads before it invalidates, and the device before a flush of all: NaN as a float. */
enum { NEVER_WRITTEN = 0xff };

static bent_memory *find(bent_device *device, VkDeviceMemory handle) {
    bent_memory *memory = device->memories;
    while (memory && memory->handle != handle) memory = memory->link;
    return memory;
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice handle, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *allocator, VkDeviceMemory *out) {
    bent_device *device = bent_device_of(handle);
    const bend *b = bent_get();
    const VkMemoryType *type = &device->shown.memoryTypes[info->memoryTypeIndex];
    uint64_t size = info->allocationSize, room = device->shown.memoryHeaps[type->heapIndex].size;
    if (b->allocation >= 0 && size > (uint64_t)b->allocation) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    bent_memory *memory = calloc(1, sizeof *memory);
    if (!memory) return VK_ERROR_OUT_OF_HOST_MEMORY;
    bent_lock();
    bool fits = device->heap_used[type->heapIndex] + size <= room;
    if (fits) device->heap_used[type->heapIndex] += size;
    bent_unlock();
    VkMemoryAllocateInfo own = *info;
    own.memoryTypeIndex = device->own_types[info->memoryTypeIndex];
    VkResult result = fits ? device->allocate(handle, &own, allocator, out) : VK_ERROR_OUT_OF_DEVICE_MEMORY;
    bent_lock();
    if (result == VK_SUCCESS) {
        *memory = (bent_memory){.handle = *out,
                                .size = size,
                                .heap = type->heapIndex,
                                .coherent = type->propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                .link = device->memories};
        device->memories = memory;
    } else {
        if (fits) device->heap_used[type->heapIndex] -= size;
        free(memory);
    }
    bent_unlock();
    return result;
}

static VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice handle, VkDeviceMemory memory,
                                              const VkAllocationCallbacks *allocator) {
    bent_device *device = bent_device_of(handle);
    bent_lock();
    for (bent_memory **at = &device->memories; *at; at = &(*at)->link) {
        bent_memory *gone = *at;
        if (gone->handle != memory) continue;
        *at = gone->link;
        device->heap_used[gone->heap] -= gone->size;
        free(gone->shadow);
        free(gone);
        break;
    }
    bent_unlock();
    device->free(handle, memory, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL map(VkDevice handle, VkDeviceMemory memory, VkDeviceSize offset,
                                          VkDeviceSize size, VkMemoryMapFlags flags, void **out) {
    bent_device *device = bent_device_of(handle);
    VkResult result = device->map(handle, memory, offset, size, flags, out);
    if (result) return result;
    bent_lock();
    bent_memory *mapped = find(device, memory);
    if (mapped && !mapped->coherent) {
        mapped->own = *out;
        mapped->from = offset;
        mapped->bytes = size == VK_WHOLE_SIZE ? mapped->size - offset : size;
        mapped->shadow = malloc(mapped->bytes);
        if (mapped->shadow) memset(mapped->shadow, NEVER_WRITTEN, mapped->bytes);
        result = mapped->shadow ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
        *out = mapped->shadow;
    }
    bent_unlock();
    if (result) device->unmap(handle, memory);
    return result;
}

/* What was not flushed is lost. */
static VKAPI_ATTR void VKAPI_CALL unmap(VkDevice handle, VkDeviceMemory memory) {
    bent_device *device = bent_device_of(handle);
    bent_lock();
    bent_memory *mapped = find(device, memory);
    if (mapped) {
        free(mapped->shadow);
        mapped->shadow = NULL;
    }
    bent_unlock();
    device->unmap(handle, memory);
}

/* Copy each range between the host's copy and the device's. */
static void copy(bent_device *device, uint32_t count, const VkMappedMemoryRange *ranges, bool to_device) {
    bent_lock();
    for (uint32_t i = 0; i < count; i++) {
        const VkMappedMemoryRange *range = &ranges[i];
        bent_memory *mapped = find(device, range->memory);
        if (!mapped || !mapped->shadow || range->offset < mapped->from) continue;
        VkDeviceSize start = range->offset - mapped->from;
        if (start >= mapped->bytes) continue;
        VkDeviceSize size = mapped->bytes - start;
        if (range->size < size) size = range->size;
        memcpy((to_device ? mapped->own : mapped->shadow) + start,
               (to_device ? mapped->shadow : mapped->own) + start, size);
    }
    bent_unlock();
}

static VKAPI_ATTR VkResult VKAPI_CALL flush(VkDevice handle, uint32_t count,
                                            const VkMappedMemoryRange *ranges) {
    bent_device *device = bent_device_of(handle);
    copy(device, count, ranges, true);
    return device->flush(handle, count, ranges);
}

static VKAPI_ATTR VkResult VKAPI_CALL invalidate(VkDevice handle, uint32_t count,
                                                 const VkMappedMemoryRange *ranges) {
    bent_device *device = bent_device_of(handle);
    VkResult result = device->invalidate(handle, count, ranges);
    copy(device, count, ranges, false);
    return result;
}

/* The reported types that stand for the driver's. */
static void show_types(const bent_device *device, VkMemoryRequirements *needs) {
    uint32_t own = needs->memoryTypeBits;
    needs->memoryTypeBits = 0;
    for (uint32_t i = 0; i < device->shown.memoryTypeCount; i++)
        needs->memoryTypeBits |= (own >> device->own_types[i] & 1) << i;
    const bend *b = bent_get();
    if (b->alignment > 0 && needs->alignment < (uint64_t)b->alignment) {
        needs->alignment = (uint64_t)b->alignment;
        needs->size = (needs->size + needs->alignment - 1) / needs->alignment * needs->alignment;
    }
}

static VKAPI_ATTR void VKAPI_CALL get_needs(VkDevice handle, VkBuffer buffer, VkMemoryRequirements *out) {
    bent_device *device = bent_device_of(handle);
    device->needs(handle, buffer, out);
    show_types(device, out);
}

static VKAPI_ATTR void VKAPI_CALL get_needs2(VkDevice handle, const VkBufferMemoryRequirementsInfo2 *info,
                                             VkMemoryRequirements2 *out) {
    bent_device *device = bent_device_of(handle);
    device->needs2(handle, info, out);
    show_types(device, &out->memoryRequirements);
}

void bent_memory_finish(bent_device *device) {
    while (device->memories) {
        bent_memory *gone = device->memories;
        device->memories = gone->link;
        free(gone->shadow);
        free(gone);
    }
}

PFN_vkVoidFunction bent_memory_function(const char *name) {
    static const struct {
        const char *name;
        void *function;
    } entries[] = {{"vkAllocateMemory", allocate},
                   {"vkFreeMemory", free_memory},
                   {"vkMapMemory", map},
                   {"vkUnmapMemory", unmap},
                   {"vkFlushMappedMemoryRanges", flush},
                   {"vkInvalidateMappedMemoryRanges", invalidate},
                   {"vkGetBufferMemoryRequirements", get_needs},
                   {"vkGetBufferMemoryRequirements2", get_needs2},
                   {"vkGetBufferMemoryRequirements2KHR", get_needs2}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (!strcmp(entries[i].name, name)) return (PFN_vkVoidFunction)entries[i].function;
    return NULL;
}
