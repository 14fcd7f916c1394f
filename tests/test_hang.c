/* A driver that gives no answer to what was submitted: the call ends, what the driver may still use stays,
 * and the next call opens the device again. Each scenario is a process of its own, as what stays is not
 * freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/device.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

#define MODEL SOURCE_DIR "/tools/models/sentiment"

enum { H = 384, TOKENS = 4 };
static const int32_t ids[TOKENS] = {2, 51, 78, 3};
static const rp_sequence sequence = {.ids = ids, .count = TOKENS};
static const double LIMIT = 1; /* seconds, in place of ten minutes */

static PFN_vkWaitForFences real_wait;
static rp_device *watched;
static atomic_uint waits, destroyed; /* since it hung */
static bool works;                   /* the driver keeps a processor busy while it is waited for */

/* Nothing is pending afterwards, but nobody is told. */
static VkResult VKAPI_CALL wait_in_vain(VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all,
                                        uint64_t timeout) {
    real_wait(device, count, fences, all, timeout);
    waits++;
    double until = rp_seconds() + LIMIT / 5;
    if (!works) nanosleep(&(struct timespec){.tv_nsec = (long)(LIMIT / 5 * 1e9)}, NULL);
    while (works && rp_seconds() < until) {
    }
    return works && waits >= 8 ? VK_SUCCESS : VK_TIMEOUT;
}

#define COUNTED(function, type)                                                                             \
    static void VKAPI_CALL count_##function(VkDevice device, type object, const VkAllocationCallbacks *c) { \
        (void)device, (void)object, (void)c;                                                                \
        destroyed += watched->hung;                                                                         \
    }
COUNTED(vkDestroyBuffer, VkBuffer)
COUNTED(vkFreeMemory, VkDeviceMemory)
COUNTED(vkDestroyBufferView, VkBufferView)
COUNTED(vkDestroyFence, VkFence)
COUNTED(vkDestroyCommandPool, VkCommandPool)
COUNTED(vkDestroyDescriptorPool, VkDescriptorPool)
COUNTED(vkDestroyDescriptorSetLayout, VkDescriptorSetLayout)
COUNTED(vkDestroyPipeline, VkPipeline)
COUNTED(vkDestroyPipelineLayout, VkPipelineLayout)
COUNTED(vkDestroyPipelineCache, VkPipelineCache)
COUNTED(vkDestroyQueryPool, VkQueryPool)
COUNTED(vkDestroyShaderModule, VkShaderModule)

static void VKAPI_CALL count_vkDestroyDevice(VkDevice device, const VkAllocationCallbacks *callbacks) {
    (void)device, (void)callbacks;
    destroyed += watched->hung;
}

/* From now on the driver says nothing, and what it is to destroy is counted. */
static void hang(rp_device *device) {
    rp_vk_table *vk = &device->vk;
    device->answer_limit = LIMIT;
    watched = device;
    real_wait = vk->vkWaitForFences;
    vk->vkWaitForFences = wait_in_vain;
    waits = destroyed = 0;
    if (works) return;
    vk->vkDestroyBuffer = count_vkDestroyBuffer;
    vk->vkFreeMemory = count_vkFreeMemory;
    vk->vkDestroyBufferView = count_vkDestroyBufferView;
    vk->vkDestroyFence = count_vkDestroyFence;
    vk->vkDestroyCommandPool = count_vkDestroyCommandPool;
    vk->vkDestroyDescriptorPool = count_vkDestroyDescriptorPool;
    vk->vkDestroyDescriptorSetLayout = count_vkDestroyDescriptorSetLayout;
    vk->vkDestroyPipeline = count_vkDestroyPipeline;
    vk->vkDestroyPipelineLayout = count_vkDestroyPipelineLayout;
    vk->vkDestroyPipelineCache = count_vkDestroyPipelineCache;
    vk->vkDestroyQueryPool = count_vkDestroyQueryPool;
    vk->vkDestroyShaderModule = count_vkDestroyShaderModule;
    vk->vkDestroyDevice = count_vkDestroyDevice;
}

static bool silent(rp_status status, const rp_error *err) {
    return status == RP_ERROR_DEVICE_LOST && err->status == status && strstr(err->message, "no answer");
}

static rp_status run(rp_model *model, float *out, rp_error *err) {
    return rp_model_run(model, &sequence, 1, NULL, out, TOKENS * H, NULL, err);
}

/* ---- scenarios: 0, or the number of the first thing that is wrong ---- */

static int hang_in_a_run(rp_device *device, rp_model *model) {
    float before[TOKENS * H], after[TOKENS * H];
    rp_error err = {0};
    if (run(model, before, &err)) return 1;
    uint64_t bytes = rp_device_memory_used(device);
    hang(device);
    double begun = rp_seconds();
    if (!silent(run(model, after, &err), &err)) return 2;
    if (rp_seconds() - begun < LIMIT || waits < 2 || destroyed) return 3;
    /* the next call opens the device again, with functions of its own, and the bits are the same */
    if (run(model, after, &err) || memcmp(before, after, sizeof before)) return 4;
    if (destroyed || rp_device_memory_used(device) != 2 * bytes) return 5;
    return 0;
}

static int hang_and_close(rp_device *device, rp_model *model) {
    float out[TOKENS * H];
    rp_error err = {0};
    hang(device);
    if (!silent(run(model, out, &err), &err)) return 1;
    rp_model_close(&model);
    rp_device_close(&device);
    return destroyed ? 2 : 0;
}

static int hang_while_opening(rp_device *device, rp_model *model) {
    rp_model *other = NULL;
    rp_error err = {0};
    float out[TOKENS * H];
    hang(device);
    if (!silent(rp_model_open(device, MODEL, NULL, &other, &err), &err) || other) return 1;
    if (destroyed) return 2;
    if (rp_model_open(device, MODEL, NULL, &other, &err) || run(other, out, &err)) return 3;
    return run(model, out, &err) ? 4 : 0;
}

/* A software driver may work for longer than any GPU would. */
static int work_for_long(rp_device *device, rp_model *model) {
    float out[TOKENS * H];
    rp_error err = {0};
    if (rp_device_get_info(device)->type != RP_DEVICE_CPU) return 0;
    works = true;
    hang(device);
    if (run(model, out, &err) || waits < 8) return 1;
    rp_model_close(&model);
    rp_device_close(&device);
    return 0;
}

/* `cache` NULL: the usual one; "": no kernel is known, so they are tried. */
static void in_a_process(int (*scenario)(rp_device *, rp_model *), const char *cache) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        rp_device *device = NULL;
        rp_model *model = NULL;
        rp_error err = {0};
        const rp_device_params params = {.cache_dir = cache};
        if (rp_device_open(&params, &device, &err) || rp_model_open(device, MODEL, NULL, &model, &err)) {
            print_error("%s\n", err.message);
            _exit(99);
        }
        _exit(scenario(device, model));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_run_that_gets_no_answer(void **state) {
    (void)state;
    in_a_process(hang_in_a_run, NULL);
}

static void test_nothing_is_freed(void **state) {
    (void)state;
    in_a_process(hang_and_close, NULL);
}

static void test_opening_that_gets_no_answer(void **state) {
    (void)state;
    in_a_process(hang_while_opening, "");
}

static void test_a_software_driver_that_works(void **state) {
    (void)state;
    in_a_process(work_for_long, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_that_gets_no_answer),
        cmocka_unit_test(test_nothing_is_freed),
        cmocka_unit_test(test_opening_that_gets_no_answer),
        cmocka_unit_test(test_a_software_driver_that_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
