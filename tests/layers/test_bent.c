/* The layer below does what its profile says: limits, features and memory as the device reports them, and the
 * mistakes that only such a device shows. REPRISE_BENT names the profile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/record.h"

static const char *profile;
static rp_device *device;
static rp_error err;

#define OK(expr)                                                     \
    do {                                                             \
        if ((expr) != RP_OK) fail_msg("%s: %s", #expr, err.message); \
    } while (0)

static bool is(const char *name) {
    return !strcmp(profile, name);
}

static int open_device(void **state) {
    (void)state;
    rp_status status = rp_device_open(NULL, &device, &err);
    if (status) print_error("%s\n", err.message);
    return status ? -1 : 0;
}

static int close_device(void **state) {
    (void)state;
    bool clean = rp_device_memory_used(device) == 0;
    rp_device_close(&device);
    return clean ? 0 : -1;
}

/* ---- what is reported ---- */

/* 0: not looked at. */
static const struct expected {
    const char *profile;
    uint32_t minor, shared, invocations, subgroup, range, texels;
    uint64_t alignment, atom, allocation, heap;
    bool integrated, no_fp16, no_storage16, no_timestamps, no_operations;
} expectations[] = {
    {.profile = "powervr",
     .minor = 1,
     .shared = 16384,
     .invocations = 128,
     .subgroup = 1,
     .range = 128 << 20,
     .texels = 65536,
     .integrated = true,
     .no_fp16 = true,
     .no_storage16 = true,
     .no_operations = true},
    {.profile = "mali",
     .minor = 1,
     .shared = 32768,
     .invocations = 256,
     .subgroup = 8,
     .texels = 65536,
     .integrated = true,
     .no_timestamps = true},
    {.profile = "adreno",
     .minor = 1,
     .subgroup = 64,
     .range = 128 << 20,
     .alignment = 64,
     .atom = 64,
     .integrated = true,
     .no_storage16 = true,
     .no_operations = true},
    {.profile = "laptop", .allocation = 64 << 20, .heap = 256 << 20, .integrated = true},
    {.profile = "align256", .alignment = 256, .atom = 256},
    {.profile = "noncoherent", .atom = 64, .integrated = true},
    {.profile = "notimestamps", .no_timestamps = true},
};

static void reports_the_profile(void **state) {
    (void)state;
    const rp_caps *caps = &device->caps;
    const rp_device_info *info = &caps->info;
    assert_non_null(strstr(info->name, profile));
    for (size_t i = 0; i < RP_COUNT(expectations); i++) {
        const struct expected *e = &expectations[i];
        if (!is(e->profile)) continue;
        if (e->minor) assert_int_equal(VK_API_VERSION_MINOR(info->api_version), e->minor);
        if (e->shared) assert_int_equal(info->shared_bytes, e->shared);
        if (e->invocations) assert_int_equal(info->max_invocations, e->invocations);
        if (e->invocations) assert_int_equal(caps->max_group_size[0], e->invocations);
        if (e->subgroup) assert_int_equal(info->subgroup_size, e->subgroup);
        if (e->range) assert_int_equal(info->max_storage_bytes, e->range);
        if (e->texels) assert_int_equal(caps->max_texels, e->texels);
        if (e->alignment) assert_int_equal(caps->storage_alignment, e->alignment);
        if (e->atom) assert_int_equal(caps->atom_size, e->atom);
        if (e->allocation) assert_int_equal(caps->max_allocation, e->allocation);
        if (e->heap) assert_int_equal(info->memory_bytes, e->heap);
        if (e->integrated) assert_int_equal(info->type, RP_DEVICE_INTEGRATED);
        if (e->no_fp16) assert_false(info->fp16_arithmetic);
        if (e->no_storage16) assert_false(info->fp16_storage);
        if (e->no_timestamps) assert_false(info->timestamps);
        if (e->no_operations) assert_false(caps->subgroup_shuffle || info->subgroup_broadcast);
    }
}

/* ---- memory ---- */

/* Send one buffer to another of the given uses through the device. The bytes that come back. */
static void round_trip(const char *text, char *out, size_t size) {
    rp_buffer from, to;
    rp_recorder recorder = {.device = device};
    VkCommandBuffer commands;
    VkFence fence;
    const rp_vk_table *vk = &device->vk;
    OK(rp_buffer_create(device, 256, RP_MEMORY_INPUT, "from", &from, &err));
    OK(rp_buffer_create(device, 256, RP_MEMORY_OUTPUT, "to", &to, &err));
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    assert_int_equal(vk->vkCreateFence(device->handle, &info, NULL, &fence), VK_SUCCESS);
    memcpy(from.mapped, text, size);
    OK(rp_buffer_flush(device, &from, size, &err));
    OK(rp_record_begin(&recorder, "copy", &commands, &err));
    const VkBufferCopy copy = {.size = 256};
    vk->vkCmdCopyBuffer(commands, from.handle, to.handle, 1, &copy);
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vk->vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                             &barrier, 0, NULL, 0, NULL);
    OK(rp_record_end(&recorder, commands, &err));
    OK(rp_device_submit(device, &commands, 1, fence, &err));
    OK(rp_buffer_invalidate(device, &to, size, &err));
    memcpy(out, to.mapped, size);
    vk->vkDestroyFence(device->handle, fence, NULL);
    rp_recorder_finish(&recorder);
    rp_buffer_destroy(device, &from);
    rp_buffer_destroy(device, &to);
}

static VKAPI_ATTR VkResult VKAPI_CALL forget(VkDevice handle, uint32_t count,
                                             const VkMappedMemoryRange *ranges) {
    (void)handle, (void)count, (void)ranges;
    return VK_SUCCESS;
}

static void carries_what_is_flushed(void **state) {
    (void)state;
    char out[8] = "";
    round_trip("written", out, 8);
    assert_string_equal(out, "written");
}

/* Where the input's memory is coherent nothing is lost: then the test has to be told so. */
static void notices_a_missing_flush(void **state) {
    (void)state;
    char out[8] = "";
    rp_vk_table real = device->vk;
    device->vk.vkFlushMappedMemoryRanges = forget;
    round_trip("written", out, 8);
    device->vk = real;
    if (is("noncoherent"))
        assert_memory_not_equal(out, "written", 8);
    else
        assert_string_equal(out, "written");
}

static void notices_a_missing_invalidation(void **state) {
    (void)state;
    char out[8] = "";
    rp_vk_table real = device->vk;
    device->vk.vkInvalidateMappedMemoryRanges = forget;
    round_trip("written", out, 8);
    device->vk = real;
    if (is("noncoherent") || is("mali") || is("adreno"))
        assert_memory_not_equal(out, "written", 8);
    else
        assert_string_equal(out, "written");
}

static void hides_device_memory_from_the_host(void **state) {
    (void)state;
    rp_buffer buffer;
    OK(rp_buffer_create(device, 256, RP_MEMORY_DEVICE, "weights", &buffer, &err));
    if (is("discrete"))
        assert_null(buffer.mapped);
    else
        assert_non_null(buffer.mapped);
    rp_buffer_destroy(device, &buffer);
}

/* Three quarters of the heap fit once. */
static void runs_out_of_memory(void **state) {
    (void)state;
    if (!is("laptop")) return;
    rp_buffer buffers[5];
    const VkDeviceSize size = 60 << 20;
    for (int i = 0; i < 4; i++)
        OK(rp_buffer_create(device, size, RP_MEMORY_DEVICE, "filler", &buffers[i], &err));
    assert_int_equal(rp_buffer_create(device, size, RP_MEMORY_DEVICE, "filler", &buffers[4], &err),
                     RP_ERROR_DEVICE_MEMORY);
    rp_buffer_destroy(device, &buffers[0]);
    OK(rp_buffer_create(device, size, RP_MEMORY_DEVICE, "filler", &buffers[0], &err));
    for (int i = 0; i < 4; i++) rp_buffer_destroy(device, &buffers[i]);
    assert_int_equal(rp_buffer_create(device, 65 << 20, RP_MEMORY_DEVICE, "filler", &buffers[0], &err),
                     RP_ERROR_DEVICE_MEMORY);
}

/* ---- a device that cannot be used, and one that is slow ---- */

static void is_refused_with_a_reason(void **state) {
    (void)state;
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_ERROR_DEVICE);
    assert_non_null(strstr(err.message, "4 storage buffers"));
    assert_non_null(strstr(err.message, "8 are needed"));
    rp_device_info info;
    size_t count = 0;
    OK(rp_device_list(&info, 1, &count, &err));
    assert_int_equal(count, 1);
    assert_false(info.usable);
    assert_non_null(strstr(info.reason, "4 storage buffers"));
}

/* 100 ms for each command buffer, and a watchdog at 2 s: nothing is waited for here. */
static void loses_the_device_to_the_watchdog(void **state) {
    (void)state;
    rp_recorder recorder = {.device = device};
    VkCommandBuffer commands[21];
    VkFence fence;
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    assert_int_equal(device->vk.vkCreateFence(device->handle, &info, NULL, &fence), VK_SUCCESS);
    OK(rp_record_begin(&recorder, "nothing", &commands[0], &err));
    OK(rp_record_end(&recorder, commands[0], &err));
    for (size_t i = 1; i < RP_COUNT(commands); i++) commands[i] = commands[0];
    OK(rp_device_submit(device, commands, 1, fence, &err));
    assert_int_equal(rp_device_submit(device, commands, RP_COUNT(commands), fence, &err),
                     RP_ERROR_DEVICE_LOST);
    assert_int_equal(rp_device_submit(device, commands, 1, fence, &err), RP_ERROR_DEVICE_LOST);
    device->vk.vkDestroyFence(device->handle, fence, NULL);
    rp_recorder_finish(&recorder);
}

/* 128 bytes of push constants, whatever the device offers. */
static void break_a_limit(void **state) {
    (void)state;
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 128};
    const VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &range};
    VkPipelineLayout layout = VK_NULL_HANDLE;
    assert_int_equal(device->vk.vkCreatePipelineLayout(device->handle, &info, NULL, &layout), VK_SUCCESS);
    device->vk.vkDestroyPipelineLayout(device->handle, layout, NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest refused[] = {cmocka_unit_test(is_refused_with_a_reason)};
    const struct CMUnitTest slow[] = {cmocka_unit_test(reports_the_profile),
                                      cmocka_unit_test(loses_the_device_to_the_watchdog)};
    const struct CMUnitTest limit[] = {cmocka_unit_test(break_a_limit)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_the_profile),
        cmocka_unit_test(carries_what_is_flushed),
        cmocka_unit_test(notices_a_missing_flush),
        cmocka_unit_test(notices_a_missing_invalidation),
        cmocka_unit_test(hides_device_memory_from_the_host),
        cmocka_unit_test(runs_out_of_memory),
    };
    profile = getenv("REPRISE_BENT");
    if (!profile) profile = "";
    if (argc == 2 && !strcmp(argv[1], "break-a-limit"))
        return cmocka_run_group_tests(limit, open_device, close_device);
    if (is("fourbuffers")) return cmocka_run_group_tests(refused, NULL, NULL);
    if (is("slow")) return cmocka_run_group_tests(slow, open_device, close_device);
    return cmocka_run_group_tests(tests, open_device, close_device);
}
