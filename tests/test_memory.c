/* Kinds of memory that the machine of the test does not have, made of the kind it has: memory that the host
 * cannot see, memory whose writes stay on the host until they are flushed, small allocations and ranges, wide
 * alignments. Models must give what they give elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/model.h"
#include "support_fixture.h"

#define WORST_BOUND 2e-4

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    VISIBLE = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
    COHERENT = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
    MOST_ALLOCATIONS = 256,
    END = -1,
};

/* ---- a device with other memory ---- */

typedef struct pretence {
    const char *name;
    rp_device_type type;
    int types[5];               /* properties of the memory types, ends with END */
    uint64_t atom, alignment;   /* 0: the device's */
    uint64_t range, allocation; /* largest storage range and allocation; 0: the device's */
    unsigned full;              /* bit i: nothing can be had of type i */
} pretence;

static rp_device *device;
static rp_vk_table real;
static const pretence *pretended;
static uint32_t real_type; /* which all the pretended ones are */
static unsigned copies;    /* vkCmdCopyBuffer: staging */

/* Every allocation. What the host maps of memory that is not coherent is a copy: flushing and invalidating
 * are what moves bytes between it and the memory. */
static struct allocation {
    VkDeviceMemory memory;
    VkDeviceSize size;
    bool coherent;
    char *mapped, *copy;
} allocations[MOST_ALLOCATIONS];

static struct allocation *find(VkDeviceMemory memory) {
    for (size_t i = 0; i < MOST_ALLOCATIONS; i++)
        if (allocations[i].memory == memory) return &allocations[i];
    fail_msg("no such allocation, or too many");
    return NULL;
}

static VKAPI_ATTR void VKAPI_CALL get_requirements(VkDevice handle, VkBuffer buffer,
                                                   VkMemoryRequirements *out) {
    real.vkGetBufferMemoryRequirements(handle, buffer, out);
    out->memoryTypeBits = (1u << device->caps.memory.memoryTypeCount) - 1;
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice handle, const VkMemoryAllocateInfo *info,
                                               const VkAllocationCallbacks *callbacks, VkDeviceMemory *out) {
    VkMemoryAllocateInfo changed = *info;
    assert_true(info->memoryTypeIndex < device->caps.memory.memoryTypeCount);
    if (pretended->full >> info->memoryTypeIndex & 1) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (pretended->allocation) assert_true(info->allocationSize <= pretended->allocation);
    changed.memoryTypeIndex = real_type;
    VkResult result = real.vkAllocateMemory(handle, &changed, callbacks, out);
    if (result == VK_SUCCESS)
        *find(VK_NULL_HANDLE) = (struct allocation){
            *out, info->allocationSize, pretended->types[info->memoryTypeIndex] & COHERENT, NULL, NULL};
    return result;
}

static VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice handle, VkDeviceMemory memory,
                                              const VkAllocationCallbacks *callbacks) {
    struct allocation *a = find(memory);
    free(a->copy);
    *a = (struct allocation){0};
    real.vkFreeMemory(handle, memory, callbacks);
}

static VKAPI_ATTR VkResult VKAPI_CALL map(VkDevice handle, VkDeviceMemory memory, VkDeviceSize offset,
                                          VkDeviceSize size, VkMemoryMapFlags flags, void **out) {
    struct allocation *a = find(memory);
    assert_true(offset == 0 && size == VK_WHOLE_SIZE && !a->mapped);
    VkResult result = real.vkMapMemory(handle, memory, offset, size, flags, out);
    a->mapped = *out;
    if (!a->coherent) *out = a->copy = calloc(1, a->size);
    return result;
}

/* A range that obeys the rules of nonCoherentAtomSize; its end is in `*end`. */
static struct allocation *check_range(const VkMappedMemoryRange *range, VkDeviceSize *end) {
    struct allocation *a = find(range->memory);
    *end = range->size == VK_WHOLE_SIZE ? a->size : range->offset + range->size;
    assert_true(a->copy && *end <= a->size);
    assert_int_equal(range->offset % device->caps.atom_size, 0);
    assert_true(*end == a->size || range->size % device->caps.atom_size == 0);
    return a;
}

static VKAPI_ATTR VkResult VKAPI_CALL flush(VkDevice handle, uint32_t count,
                                            const VkMappedMemoryRange *ranges) {
    (void)handle;
    for (uint32_t i = 0; i < count; i++) {
        VkDeviceSize end, first = ranges[i].offset;
        struct allocation *a = check_range(&ranges[i], &end);
        memcpy(a->mapped + first, a->copy + first, end - first);
    }
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL invalidate(VkDevice handle, uint32_t count,
                                                 const VkMappedMemoryRange *ranges) {
    (void)handle;
    for (uint32_t i = 0; i < count; i++) {
        VkDeviceSize end, first = ranges[i].offset;
        struct allocation *a = check_range(&ranges[i], &end);
        memcpy(a->copy + first, a->mapped + first, end - first);
    }
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL copy_buffer(VkCommandBuffer commands, VkBuffer from, VkBuffer to,
                                              uint32_t count, const VkBufferCopy *regions) {
    copies++;
    real.vkCmdCopyBuffer(commands, from, to, count, regions);
}

static VKAPI_ATTR void VKAPI_CALL update_sets(VkDevice handle, uint32_t count,
                                              const VkWriteDescriptorSet *writes, uint32_t copy_count,
                                              const VkCopyDescriptorSet *copied) {
    for (uint32_t i = 0; i < count; i++) {
        if (writes[i].descriptorType != VK_DESCRIPTOR_TYPE_STORAGE_BUFFER) continue;
        assert_int_equal(writes[i].pBufferInfo->offset % device->caps.storage_alignment, 0);
        assert_true(writes[i].pBufferInfo->range <= device->caps.info.max_storage_bytes);
    }
    real.vkUpdateDescriptorSets(handle, count, writes, copy_count, copied);
}

static void begin_pretence(const pretence *p) {
    rp_error err = {0};
    if (rp_device_open(NULL, &device, &err)) fail_msg("%s", err.message);
    rp_caps *caps = &device->caps;
    real = device->vk;
    real_type = rp_caps_memory_type(caps, RP_MEMORY_OUTPUT, ~0u);
    pretended = p;
    copies = 0;
    caps->info.type = p->type;
    caps->memory.memoryTypeCount = 0;
    for (uint32_t i = 0; p->types[i] != END; i++, caps->memory.memoryTypeCount++)
        caps->memory.memoryTypes[i].propertyFlags = (VkMemoryPropertyFlags)p->types[i];
    if (p->atom) caps->atom_size = p->atom;
    if (p->alignment) caps->storage_alignment = p->alignment;
    if (p->range) caps->info.max_storage_bytes = p->range;
    if (p->allocation) caps->max_allocation = p->allocation;
    device->vk.vkGetBufferMemoryRequirements = get_requirements;
    device->vk.vkAllocateMemory = allocate;
    device->vk.vkFreeMemory = free_memory;
    device->vk.vkMapMemory = map;
    device->vk.vkFlushMappedMemoryRanges = flush;
    device->vk.vkInvalidateMappedMemoryRanges = invalidate;
    device->vk.vkCmdCopyBuffer = copy_buffer;
    device->vk.vkUpdateDescriptorSets = update_sets;
}

static void end_pretence(void) {
    assert_int_equal(rp_device_memory_used(device), 0);
    for (size_t i = 0; i < MOST_ALLOCATIONS; i++) assert_true(allocations[i].memory == VK_NULL_HANDLE);
    rp_device_close(&device);
}

/* ---- the checks ---- */

static const pretence pretences[] = {
    {.name = "a discrete card with a small window",
     .type = RP_DEVICE_DISCRETE,
     .types = {LOCAL, VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, END}},
    {.name = "a full window",
     .type = RP_DEVICE_DISCRETE,
     .full = 1 << 2,
     .types = {LOCAL, VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, END}},
    {.name = "nothing coherent, device memory out of sight",
     .type = RP_DEVICE_DISCRETE,
     .types = {LOCAL, VISIBLE | CACHED, END},
     .atom = 256},
    {.name = "nothing coherent, one type",
     .type = RP_DEVICE_INTEGRATED,
     .types = {LOCAL | VISIBLE | CACHED, END},
     .atom = 64},
    {.name = "results cached but not coherent",
     .type = RP_DEVICE_INTEGRATED,
     .types = {LOCAL, LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | CACHED, END},
     .atom = 128},
    {.name = "small allocations and ranges, wide alignment",
     .type = RP_DEVICE_DISCRETE,
     .types = {LOCAL, VISIBLE | CACHED, END},
     .atom = 256,
     .alignment = 256,
     .range = 640 << 10,
     .allocation = RP_STAGING_BYTES},
    {.name = "small ranges on the memory of the test's device",
     .type = RP_DEVICE_CPU,
     .types = {LOCAL | VISIBLE | COHERENT | CACHED, END},
     .alignment = 256,
     .range = 640 << 10,
     .allocation = RP_STAGING_BYTES},
};

/* All outputs of the case, whole and one sequence after the other: what an earlier run left does not show. */
static void check_case(const char *name) {
    golden g = {0};
    rp_model *model = NULL;
    rp_error err = {0};
    golden_error error = {0};
    assert_true(golden_open(name, NULL, &g));
    if (rp_model_open(device, g.dir, NULL, &model, &err)) fail_msg("%s: %s", name, err.message);
    for (size_t i = 0; i < g.output_count; i++) {
        const golden_output *want = &g.outputs[i];
        size_t size;
        for (size_t s = 0; s <= g.sequence_count; s++) { /* each alone, then all */
            bool all = s == g.sequence_count;
            size_t first = 0, count = 0;
            float *got = golden_run(model, &g, want->output, all ? NULL : &s, all ? s : 1, &size);
            assert_non_null(got);
            if (!all) golden_rows(&g, want->output, s, &first, &count);
            golden_compare(want, first, all ? size / want->columns : count, got, &error);
            free(got);
        }
    }
    print_message("%s: worst %.1e, %u copies\n", name, error.worst, copies);
    assert_true(error.worst <= WORST_BOUND);
    rp_model_close(&model);
    golden_close(&g);
}

static void test_models(void **state) {
    const pretence *p = *state;
    begin_pretence(p);
    check_case("odd");
    check_case("groups");
    check_case("bert_lm");
    bool out_of_sight = !(p->types[0] & VISIBLE);
    bool direct =
        p->type == RP_DEVICE_INTEGRATED && p->types[1] != END; /* a visible local type is better there */
    assert_int_equal(copies > 0, out_of_sight && !direct);
    end_pretence();
}

/* A table that no range can hold is cut, and its results are those of a whole one. */
static void test_large_vocabulary(void **state) {
    static const pretence p = {.name = "cut",
                               .type = RP_DEVICE_DISCRETE,
                               .types = {LOCAL, VISIBLE | CACHED, END},
                               .atom = 256,
                               .alignment = 256,
                               .range = 5 << 20,
                               .allocation = 6 << 20};
    (void)state;
    begin_pretence(&p);
    check_case("vocab");
    assert_true(copies > 1);
    end_pretence();
}

/* No room for the weights is an error that says so; nothing stays behind. */
static void test_no_device_memory(void **state) {
    static const pretence p = {
        .name = "full", .type = RP_DEVICE_DISCRETE, .full = 1, .types = {LOCAL, VISIBLE | COHERENT, END}};
    golden g = {0};
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    begin_pretence(&p);
    assert_true(golden_open("odd", NULL, &g));
    assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), RP_ERROR_DEVICE_MEMORY);
    assert_null(model);
    assert_non_null(strstr(err.message, "out of device memory"));
    golden_close(&g);
    end_pretence();
}

/* No type at all that the host can see. */
static void test_no_memory_for_the_host(void **state) {
    static const pretence p = {.name = "blind", .type = RP_DEVICE_OTHER, .types = {LOCAL, END}};
    rp_buffer buffer;
    rp_error err = {0};
    (void)state;
    begin_pretence(&p);
    assert_int_equal(rp_buffer_create(device, 64, RP_MEMORY_INPUT, "input", &buffer, &err), RP_ERROR_DEVICE);
    assert_non_null(strstr(err.message, "no type of memory for input"));
    assert_true(buffer.handle == VK_NULL_HANDLE);
    end_pretence();
}

/* More than one allocation may hold. */
static void test_allocation_too_large(void **state) {
    static const pretence p = {.name = "small",
                               .type = RP_DEVICE_OTHER,
                               .types = {LOCAL | VISIBLE | COHERENT, END},
                               .allocation = 4096};
    rp_buffer buffer;
    rp_error err = {0};
    (void)state;
    begin_pretence(&p);
    assert_int_equal(rp_buffer_create(device, 8192, RP_MEMORY_DEVICE, "weights", &buffer, &err),
                     RP_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(err.message, "at most 4096"));
    end_pretence();
}

/* ---- sizes that llvmpipe compiles shaders anew for ---- */

static VkDeviceSize created; /* bytes of the newest buffer */

static VKAPI_ATTR VkResult VKAPI_CALL create_buffer(VkDevice handle, const VkBufferCreateInfo *info,
                                                    const VkAllocationCallbacks *callbacks, VkBuffer *out) {
    created = info->size;
    return real.vkCreateBuffer(handle, info, callbacks, out);
}

/* On a software driver no buffer is a power of two in size, and no view has a size whose bits 8 to 15 are
 * zero; no view ends behind its buffer. Elsewhere sizes are what was asked for. */
static void test_sizes_alike(void **state) {
    static const VkDeviceSize sizes[] = {64,        256,     65536 - 256,     65536,
                                         65536 * 3, 1 << 20, (1 << 20) - 256, 8192 + 64};
    static const rp_device_type types[] = {RP_DEVICE_CPU, RP_DEVICE_DISCRETE};
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) fail_msg("%s", err.message);
    real = device->vk;
    device->vk.vkCreateBuffer = create_buffer;
    uint64_t most = device->caps.max_allocation;
    uint32_t texels = device->caps.max_texels;
    for (size_t i = 0; i < 2 * RP_COUNT(sizes); i++) {
        VkDeviceSize size = sizes[i / 2];
        bool alike = types[i % 2] == RP_DEVICE_CPU;
        rp_buffer buffer;
        device->caps.info.type = types[i % 2];
        device->caps.max_allocation = most;
        device->caps.max_texels = texels;
        assert_int_equal(rp_buffer_create(device, size, RP_MEMORY_DEVICE, "sizes", &buffer, &err), RP_OK);
        rp_range whole = rp_buffer_range(&buffer, 0, size), half = rp_buffer_range(&buffer, 0, size / 2);
        assert_int_equal(buffer.size, size);
        assert_true(alike ? (created & (created - 1)) != 0 : created == size);
        assert_true(rp_view_size(device, &whole) <= created);
        if (alike) {
            assert_true(rp_view_size(device, &whole) >> 8 & 255);
            assert_true(rp_view_size(device, &half) >> 8 & 255);
            assert_true(rp_view_size(device, &whole) <= size + 256);
        } else
            assert_int_equal(rp_view_size(device, &whole), size);
        device->caps.max_texels = (uint32_t)(size / 8); /* more than which no view may have */
        assert_true(rp_view_size(device, &whole) / 8 <= size / 8);
        rp_buffer_destroy(device, &buffer);
        device->caps.max_allocation = size; /* no room for more */
        assert_int_equal(rp_buffer_create(device, size, RP_MEMORY_DEVICE, "sizes", &buffer, &err), RP_OK);
        whole = rp_buffer_range(&buffer, 0, size);
        assert_int_equal(created, size);
        assert_int_equal(rp_view_size(device, &whole), size);
        rp_buffer_destroy(device, &buffer);
    }
    rp_device_close(&device);
}

enum { PRETENCES = RP_COUNT(pretences) };

int main(void) {
    struct CMUnitTest tests[PRETENCES + 5] = {
        [PRETENCES] = cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_no_device_memory),
        cmocka_unit_test(test_no_memory_for_the_host),
        cmocka_unit_test(test_allocation_too_large),
        cmocka_unit_test(test_sizes_alike),
    };
    for (size_t i = 0; i < PRETENCES; i++)
        tests[i] = (struct CMUnitTest){
            .name = pretences[i].name, .test_func = test_models, .initial_state = (void *)&pretences[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
