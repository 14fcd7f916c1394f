/* Every Vulkan call that can fail is made to fail, at every place where opening a device, opening a model and
 * running it make that call: an error with a message, nothing left behind, and handles that work afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/pipeline.h"
#include "model/model.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_fixture.h"
#include "tools/bench/measure.h"

enum { FLOATS = 4096 };

static rp_device *device;
static golden g;
static float wanted[FLOATS], got[FLOATS];

static rp_status run(rp_model *model, float *out, rp_error *err) {
    return rp_model_run(model, g.sequences, 1, NULL, out, FLOATS, NULL, err);
}

/* All memory is staged, flushed and invalidated here. */
static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    rp_model *model = NULL;
    if (!faults_install() || !golden_open("groups", NULL, &g)) return -1;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    if (!device) return -1;
    faults_hide_memory(device);
    if (rp_model_open(device, g.dir, NULL, &model, &err) || run(model, wanted, &err))
        print_error("%s\n", err.message);
    rp_model_close(&model);
    return err.status ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    rp_device_close(&device);
    return 0;
}

typedef enum kind {
    EXPECTED, /* the work fails */
    HARMLESS, /* it does without */
    SELDOM,   /* it fails, but not every device and build makes this call */
    ASIDE,    /* it does without, where this call is made at all */
} kind;

typedef struct fault {
    const char *name;
    VkResult result;
    rp_status status;
    kind kind;
} fault;

/* How far to the next call that fails: the first ones all do, and with REPRISE_TEST_LONG every one. */
static int stride(int n) {
    return n < 8 ? 1 : fixture_stride(3);
}

static void check_failed(const fault *f, rp_status status, const rp_error *err) {
    /* where a batch finds no room a smaller one may */
    if ((f->kind == HARMLESS || f->kind == ASIDE || f->status == RP_ERROR_DEVICE_MEMORY) && !status) return;
    assert_int_equal(status, f->status);
    assert_int_equal(err->status, f->status);
    assert_true(strlen(err->message) > 20);
}

/* ---- a model ---- */

static const fault model_faults[] = {
    {"vkCreateBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkAllocateMemory", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateMemory", VK_ERROR_TOO_MANY_OBJECTS, RP_ERROR_DEVICE, EXPECTED},
    {"vkBindBufferMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED, RP_ERROR_DEVICE, EXPECTED},
    {"vkFlushMappedMemoryRanges", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkInvalidateMappedMemoryRanges", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateShaderModule", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateDescriptorSetLayout", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreatePipelineLayout", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateComputePipelines", VK_ERROR_INVALID_SHADER_NV, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateDescriptorPool", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkAllocateDescriptorSets", VK_ERROR_OUT_OF_POOL_MEMORY, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateBufferView", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, SELDOM},
    {"vkCreateCommandPool", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkEndCommandBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkCreateFence", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkResetFences", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkQueueSubmit", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkWaitForFences", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkGetPipelineCacheData", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
    {"vkSetDebugUtilsObjectNameEXT", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
};

/* It gives what it gave before. */
static void check_runs(rp_model *model) {
    rp_error err = {0};
    memset(got, 0xee, sizeof got);
    rp_status status = run(model, got, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    size_t floats = rp_model_output_size(model, g.sequences, 1, NULL);
    assert_memory_equal(got, wanted, floats * sizeof *got);
}

/* Open the model and run it; after a failure, run it again. True when the fault came. */
static bool fail_model(const fault *f, int n) {
    rp_error err = {0};
    rp_model *model = NULL;
    fault_begin(f->name, n, f->result);
    rp_status status = rp_model_open(device, g.dir, NULL, &model, &err);
    assert_int_equal(status == RP_OK, model != NULL);
    if (!status) status = run(model, got, &err);
    bool came = fault_end();
    if (came)
        check_failed(f, status, &err);
    else
        assert_int_equal(status, RP_OK);
    if (model) check_runs(model);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
    return came;
}

static void test_model(void **state) {
    const fault *f = *state;
    int count = 0;
    while (fail_model(f, count)) count += stride(count);
    if (f->kind == EXPECTED) assert_true(count > 0);
}

/* Nobody knows what became of a submission for which nothing can wait: the device is taken for lost. */
static void test_unknown_end(void **state) {
    rp_error err = {0};
    rp_model *model = NULL;
    (void)state;
    assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), RP_OK);
    fault_begin("vkWaitForFences", 0, VK_ERROR_OUT_OF_HOST_MEMORY);
    fault_idle = true;
    assert_int_equal(run(model, got, &err), RP_ERROR_HOST_MEMORY);
    assert_true(fault_end());
    fault_idle = false;
    unsigned devices = faults_seen().devices;
    check_runs(model);
    assert_int_equal(faults_seen().devices, devices + 1);
    rp_model_close(&model);
}

/* ---- a device ---- */

static const fault device_faults[] = {
    {"vkEnumerateInstanceVersion", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_DEVICE, EXPECTED},
    {"vkEnumerateInstanceExtensionProperties", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
    {"vkCreateInstance", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateInstance", VK_ERROR_EXTENSION_NOT_PRESENT, RP_ERROR_DEVICE, EXPECTED},
    {"vkEnumeratePhysicalDevices", VK_ERROR_INITIALIZATION_FAILED, RP_ERROR_DEVICE, EXPECTED},
    {"vkEnumerateDeviceExtensionProperties", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
    {"vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, ASIDE},
    {"vkCreateDevice", VK_ERROR_TOO_MANY_OBJECTS, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateDevice", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST, EXPECTED},
    {"vkCreatePipelineCache", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, HARMLESS},
    {"vkGetPipelineCacheData", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
};

static bool fail_device(const fault *f, int n) {
    rp_error err = {0};
    rp_device *other = NULL;
    size_t count = 99;
    fault_begin(f->name, n, f->result);
    rp_status status = rp_device_list(NULL, 0, &count, &err);
    assert_true(status ? count == 0 : count > 0);
    if (!status) {
        status = rp_device_open(NULL, &other, &err);
        assert_int_equal(status == RP_OK, other != NULL);
        rp_device_close(&other);
    }
    bool came = fault_end();
    if (came)
        check_failed(f, status, &err);
    else
        assert_int_equal(status, RP_OK);
    return came;
}

static void test_device(void **state) {
    const fault *f = *state;
    int count = 0;
    while (fail_device(f, count)) count++;
    assert_true(count > 0 || f->kind == ASIDE);
}

/* ---- measuring ---- */

static const fault bench_faults[] = {
    {"vkCreateQueryPool", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, SELDOM},
    {"vkGetQueryPoolResults", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST, SELDOM},
    {"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
};

static void take_span(void *user, const rp_trace_span *span) {
    (void)user, (void)span;
}

static void test_measuring(void **state) {
    const fault *f = *state;
    rp_error err = {0};
    rp_roofline roofline;
    rp_replay_time time;
    rp_model *model = NULL;
    int count = 0;
    assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), RP_OK);
    for (bool came = true; came; count++) {
        bool traces = device->caps.info.timestamps;
        fault_begin(f->name, count, f->result);
        rp_status status = traces ? rp_bench_trace(model, g.sequences, 1, take_span, NULL, &err) : RP_OK;
        if (!status) status = rp_bench_replay(model, RP_REPLAY_SUBMITTED, 2, 3, 1, &time, &err);
        if (!status) status = rp_bench_roofline(device, RP_ROOFLINE_COSTS, &roofline, &err);
        came = fault_end();
        if (came)
            check_failed(f, status, &err);
        else
            assert_int_equal(status, RP_OK);
        check_runs(model);
    }
    if (f->kind == EXPECTED) assert_true(count > 1);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

/* ---- choosing kernels ---- */

static void test_tuning(void **state) {
    static const char config[] =
        "{\"model_type\": \"albert\", \"architectures\": [\"AlbertModel\"], \"vocab_size\": 100,"
        " \"embedding_size\": 32, \"hidden_size\": 32, \"num_attention_heads\": 1,"
        " \"intermediate_size\": 32, \"num_hidden_layers\": 1, \"max_position_embeddings\": 8}";
    static const fault faults[] = {
        {"vkAllocateMemory", VK_ERROR_TOO_MANY_OBJECTS, RP_ERROR_DEVICE, EXPECTED},
        {"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
        {"vkAllocateDescriptorSets", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    };
    char dir[FIXTURE_PATH_SIZE];
    rp_device *other = NULL;
    rp_error err = {0};
    (void)state;
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_text(dir, "config.json", config));
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = ""}, &other, &err), RP_OK);
    for (size_t i = 0; i < RP_COUNT(faults); i++) {
        int n = 0;
        for (bool came = true; came; n += stride(n)) {
            rp_model *model = NULL;
            fault_begin(faults[i].name, n, faults[i].result);
            rp_status status = rp_model_open_random(other, dir, NULL, &model, &err);
            came = fault_end();
            if (came)
                check_failed(&faults[i], status, &err);
            else
                assert_int_equal(status, RP_OK);
            rp_model_close(&model);
            assert_int_equal(rp_device_memory_used(other), 0);
        }
        assert_true(n > 17);
    }
    rp_device_close(&other);
    fixture_remove_dir(dir);
}

/* ---- checking kernels ---- */

static const fault check_faults[] = {
    {"vkCreateBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateMemory", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateShaderModule", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreatePipelineLayout", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateComputePipelines", VK_ERROR_INVALID_SHADER_NV, RP_ERROR_DEVICE, EXPECTED},
    {"vkAllocateDescriptorSets", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateFence", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkGetPipelineExecutableStatisticsKHR", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, ASIDE},
};

static void count_result(void *user, const rp_check_result *result) {
    (void)result;
    ++*(unsigned *)user;
}

/* A kernel fails, or the call; never neither. */
static void test_checking(void **state) {
    const fault *f = *state;
    const rp_check_params params = {.only = "pool",
                                    .threads = 1,
                                    .compile_only = f->kind == ASIDE,
                                    .config = f->kind == ASIDE ? "base" : NULL};
    rp_error err = {0};
    uint32_t failed = 0;
    unsigned results = 0;
    int count = 0;
    for (bool came = true; came; count += stride(count)) {
        fault_begin(f->name, count, f->result);
        rp_status status = rp_check_kernels(device, &params, count_result, &results, &failed, &err);
        came = fault_end();
        if (came && (status || f->kind == ASIDE)) check_failed(f, status, &err);
        if (!status) assert_true((failed > 0) == (came && f->kind != ASIDE));
        assert_int_equal(rp_device_memory_used(device), 0);
    }
    assert_true(results > 0);
    if (f->kind == EXPECTED) assert_true(count > 1);
}

static int statistics_due; /* the call that fails */

static VKAPI_ATTR VkResult VKAPI_CALL tell(VkDevice d, const VkPipelineExecutableInfoKHR *which,
                                           uint32_t *count, VkPipelineExecutableStatisticKHR *out) {
    (void)d, (void)which;
    if (!statistics_due--) return VK_ERROR_OUT_OF_HOST_MEMORY;
    *count = 1;
    if (!out) return VK_SUCCESS;
    strcpy(out->name, "Spill count");
    out->format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR;
    out->value.u64 = 7;
    return VK_SUCCESS;
}

/* A driver that does not tell what it was asked, at either of the two calls, spills nothing. */
static void test_statistics(void **state) {
    const bool had = device->caps.has_statistics;
    const PFN_vkGetPipelineExecutableStatisticsKHR real = device->vk.vkGetPipelineExecutableStatisticsKHR;
    const rp_pipeline pipeline = {0};
    (void)state;
    device->caps.has_statistics = true;
    device->vk.vkGetPipelineExecutableStatisticsKHR = tell;
    for (int n = 0; n < 3; n++) {
        char text[100] = "before";
        statistics_due = n;
        assert_true(rp_pipeline_statistics(device, &pipeline, text, sizeof text) == (n == 2));
        assert_true(strstr(text, "Spill count") ? n == 2 : !text[0]);
    }
    device->vk.vkGetPipelineExecutableStatisticsKHR = real;
    device->caps.has_statistics = had;
}

int main(void) {
    enum {
        MODEL = RP_COUNT(model_faults),
        DEVICE = RP_COUNT(device_faults),
        BENCH = RP_COUNT(bench_faults),
        CHECK = RP_COUNT(check_faults)
    };
    struct CMUnitTest tests[MODEL + DEVICE + BENCH + CHECK + 3];
    size_t count = 0;
#define ADD(list, function)                     \
    for (size_t i = 0; i < RP_COUNT(list); i++) \
    tests[count++] =                            \
        (struct CMUnitTest){.name = list[i].name, .test_func = function, .initial_state = (void *)&list[i]}
    ADD(model_faults, test_model);
    ADD(device_faults, test_device);
    ADD(bench_faults, test_measuring);
    ADD(check_faults, test_checking);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_unknown_end);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_tuning);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_statistics);
    return cmocka_run_group_tests(tests, setup, teardown);
}
