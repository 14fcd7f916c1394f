#include "gpu/memory.h"

#include "base/alloc.h"

/* Allocate memory for a buffer from the best type. Buffers that the host maps are small: where the best type
 * is full, they may lie in the next. */
static rp_status allocate(rp_device *device, const VkMemoryRequirements *needs, rp_memory_use use,
                          const char *name, rp_buffer *out, uint32_t *type, rp_error *err) {
    const rp_caps *caps = &device->caps;
    if (needs->size > caps->max_allocation)
        return rp_fail(err, RP_ERROR_DEVICE_MEMORY,
                       "%s: %llu bytes for %s, and the device gives at most %llu in one allocation",
                       caps->info.name, (unsigned long long)needs->size, name,
                       (unsigned long long)caps->max_allocation);
    VkResult result = VK_ERROR_FEATURE_NOT_PRESENT;
    for (uint32_t types = needs->memoryTypeBits; types; types &= ~(1u << *type)) {
        *type = rp_caps_memory_type(caps, use, types);
        if (*type == UINT32_MAX) break;
        VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .allocationSize = needs->size,
                                     .memoryTypeIndex = *type};
        result = device->vk.vkAllocateMemory(device->handle, &info, NULL, &out->memory);
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY || use == RP_MEMORY_DEVICE) break;
    }
    if (result == VK_ERROR_FEATURE_NOT_PRESENT)
        return rp_fail(err, RP_ERROR_DEVICE,
                       "%s has no type of memory for %s; update the driver or choose another device",
                       caps->info.name, name);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        return rp_fail(
            err, RP_ERROR_DEVICE_MEMORY,
            "%s: out of device memory: %llu bytes for %s, %llu already in use here; use a smaller model or "
            "a smaller max_batch_tokens",
            caps->info.name, (unsigned long long)needs->size, name, (unsigned long long)device->bytes);
    if (result == VK_SUCCESS) {
        out->allocated = needs->size;
        device->bytes += needs->size;
    }
    return rp_vk_check(result, "vkAllocateMemory", err);
}

/* ---- sizes that a software driver tells apart ----
 *
 * llvmpipe keys the code that it compiles by a struct made for images (lp_sampler_static_texture_state,
 * Mesa 22.3). A buffer whose size is a power of two has another key than one whose size is not, and so has a
 * texel view with zeros in bits 8 to 15 of its size. For the second key llvmpipe compiles the shader again,
 * for up to a second. So on a software driver no buffer and no view gets such a size. */

enum { ALIKE_BITS = 0xff00, ALIKE_STEP = 256 };

/* Bytes to add to a buffer of `size` bytes. */
static VkDeviceSize room_behind(const rp_caps *caps, VkDeviceSize size) {
    VkDeviceSize room = ALIKE_STEP, whole = size + room;
    if ((whole & (whole - 1)) == 0) room += ALIKE_STEP;
    return caps->info.type == RP_DEVICE_CPU && size + room <= caps->max_allocation ? room : 0;
}

VkDeviceSize rp_view_size(const rp_device *device, const rp_range *range) {
    const rp_caps *caps = &device->caps;
    VkDeviceSize longer = range->size + ALIKE_STEP, smallest_texel = 8;
    bool wanted = caps->info.type == RP_DEVICE_CPU && !(range->size & ALIKE_BITS);
    return wanted && range->room >= ALIKE_STEP && longer / smallest_texel <= caps->max_texels ? longer
                                                                                              : range->size;
}

rp_status rp_buffer_create(rp_device *device, VkDeviceSize size, rp_memory_use use, const char *name,
                           rp_buffer *out, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    *out = (rp_buffer){.size = size, .room = room_behind(&device->caps, size)};
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = size + out->room,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                        (use == RP_MEMORY_INPUT ? VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT : 0),
                               .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    RP_VK(vkCreateBuffer, (device->handle, &info, NULL, &out->handle));
    rp_device_name(device, VK_OBJECT_TYPE_BUFFER, (uint64_t)out->handle, name);
    VkMemoryRequirements needs;
    vk->vkGetBufferMemoryRequirements(device->handle, out->handle, &needs);
    uint32_t type = 0;
    RP_TRY(allocate(device, &needs, use, name, out, &type, err));
    RP_VK(vkBindBufferMemory, (device->handle, out->handle, out->memory, 0));
    VkMemoryPropertyFlags flags = device->caps.memory.memoryTypes[type].propertyFlags;
    out->coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        RP_VK(vkMapMemory, (device->handle, out->memory, 0, VK_WHOLE_SIZE, 0, &out->mapped));
done:
    if (status) rp_buffer_destroy(device, out);
    return status;
}

void rp_buffer_destroy(rp_device *device, rp_buffer *buffer) {
    RP_DESTROY(device, vkDestroyBuffer, buffer->handle);
    RP_DESTROY(device, vkFreeMemory, buffer->memory); /* unmaps it too */
    if (!device->hung) device->bytes -= buffer->allocated;
    *buffer = (rp_buffer){0};
}

rp_range rp_buffer_range(const rp_buffer *buffer, VkDeviceSize offset, VkDeviceSize size) {
    return (rp_range){buffer->handle, offset, size, buffer->size + buffer->room - offset - size};
}

bool rp_device_memory_left(const rp_device *device, uint64_t *bytes) {
    if (!device->caps.has_budget) return false;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    rp_vk.vkGetPhysicalDeviceMemoryProperties2(device->physical, &properties);
    const VkPhysicalDeviceMemoryProperties *memory = &properties.memoryProperties;
    uint64_t largest = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory->memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap->size <= largest) continue;
        largest = heap->size;
        *bytes = budget.heapBudget[i] > budget.heapUsage[i] ? budget.heapBudget[i] - budget.heapUsage[i] : 0;
    }
    return largest > 0;
}
