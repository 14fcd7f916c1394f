/* Which of several kernels is used. A driver that says of some kernels that they spill registers to memory:
 * they are used only where nothing else is right, and a later start knows it without asking. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/attempts.h"
#include "ops/class.h"
#include "ops/selection.h"
#include "reprise/check.h"
#include "support_fixture.h"

static rp_device *device;
static char cache[FIXTURE_PATH_SIZE];
static rp_vk_table real;
static uint32_t flagged;      /* pipelines that were to keep statistics */
static VkPipeline living[16]; /* of those, those that were not destroyed */
static bool says_spill;

/* ---- the driver ---- */

static VKAPI_ATTR VkResult VKAPI_CALL create(VkDevice handle, VkPipelineCache pipeline_cache, uint32_t count,
                                             const VkComputePipelineCreateInfo *infos,
                                             const VkAllocationCallbacks *callbacks, VkPipeline *out) {
    VkComputePipelineCreateInfo info = infos[0];
    bool keeps = info.flags & VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    info.flags = 0; /* the one beneath need not know */
    VkResult result = real.vkCreateComputePipelines(handle, pipeline_cache, count, &info, callbacks, out);
    if (!keeps || result) return result;
    for (size_t i = 0; i < RP_COUNT(living); i++)
        if (!living[i]) {
            living[i] = *out;
            flagged++;
            return result;
        }
    return VK_ERROR_UNKNOWN;
}

static VKAPI_ATTR void VKAPI_CALL destroy(VkDevice handle, VkPipeline pipeline,
                                          const VkAllocationCallbacks *callbacks) {
    for (size_t i = 0; i < RP_COUNT(living); i++)
        if (living[i] == pipeline) living[i] = VK_NULL_HANDLE;
    real.vkDestroyPipeline(handle, pipeline, callbacks);
}

static bool keeps_statistics(VkPipeline pipeline) {
    for (size_t i = 0; i < RP_COUNT(living); i++)
        if (living[i] == pipeline) return true;
    return false;
}

static VKAPI_ATTR VkResult VKAPI_CALL tell(VkDevice handle, const VkPipelineExecutableInfoKHR *info,
                                           uint32_t *count, VkPipelineExecutableStatisticKHR *out) {
    (void)handle;
    assert_true(keeps_statistics(info->pipeline));
    *count = 1;
    if (!out) return VK_SUCCESS;
    snprintf(out->name, sizeof out->name, "Spill count");
    out->format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR;
    out->value.u64 = says_spill ? 7 : 0;
    return VK_SUCCESS;
}

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!fixture_make_dir(cache)) return -1;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) {
        print_error("%s\n", err.message);
        return -1;
    }
    real = device->vk;
    device->vk.vkCreateComputePipelines = create;
    device->vk.vkDestroyPipeline = destroy;
    device->vk.vkGetPipelineExecutableStatisticsKHR = tell;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(cache);
    return 0;
}

/* ---- an operator whose kernels are as each test wants them ---- */

typedef struct fake {
    const char *kinds; /* of each kernel: 's' spills, 'w' is wrong, 'S' is both, '.' is neither */
    double times[4];
    uint32_t tiles[4];
    uint32_t verified, timed; /* kernels: a number, a bit each */
} fake;
static fake now;

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = (uint32_t)strlen(now.kinds);
    (void)caps, (void)use;
    for (uint32_t i = 0; i < count; i++) {
        out[i] =
            (rp_kernel){.key = {.shader = "empty", .constants = {i + 1}, .constant_count = 1, .bindings = 1},
                        .rows = now.tiles[i],
                        .columns = 1};
        snprintf(out[i].name, sizeof out[i].name, "kernel %u", i);
    }
    return count;
}

static uint32_t number_of(const rp_kernel *kernel) {
    return kernel->key.constants[0] - 1;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    char kind = now.kinds[number_of(proof->kernel)];
    const rp_pipeline *pipeline;
    (void)n;
    now.verified++;
    says_spill = kind == 's' || kind == 'S';
    *proof->difference = (rp_difference){.error = kind == 'w' || kind == 'S' ? 2 : 0, .bound = 1};
    rp_status status = rp_pipeline_get(proof->owner->pipelines, &proof->kernel->key, &pipeline, err);
    if (!status) assert_false(keeps_statistics(pipeline->handle)); /* what is verified is what models run */
    return status;
}

static rp_status give_time(rp_tuning *tuning, const rp_op *op, const rp_kernel *kernel, double *seconds,
                           rp_error *err) {
    (void)op, (void)err;
    *seconds = now.times[number_of(kernel)];
    now.timed |= 1u << number_of(kernel);
    /* each takes what is left of the time, so the second is one too many */
    if (tuning->owner->device->tuning_limit < 10) tuning->until = 0;
    return RP_OK;
}

static bool always(const rp_caps *caps, const rp_op *op) {
    (void)caps, (void)op;
    return true;
}

static const rp_class in_order = {.name = "test", .plan = plan, .cases = 1, .prove = prove};
static const rp_class by_speed = {
    .name = "race", .plan = plan, .cases = 1, .prove = prove, .is_tuned = always, .tune = give_time};

/* The kernel that a new model selects, or -1. `heads` tells operators apart. */
static int select_kernel(const rp_class *class, uint32_t heads) {
    rp_op op = {.class = class, .heads = heads, .head_dim = heads}, again = op;
    rp_ops ops = {0};
    rp_error err;
    rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
    assert_int_equal(rp_op_recall(&ops, &again, &err), RP_ERROR_ARGUMENT);
    rp_status status = rp_op_select(&ops, &op, &err);
    if (status) {
        assert_int_equal(status, RP_ERROR_DEVICE);
    } else {
        uint32_t verified = now.verified;
        assert_int_equal(rp_op_recall(&ops, &again, &err), RP_OK);
        assert_string_equal(again.kernel.name, op.kernel.name);
        assert_int_equal(rp_op_select(&ops, &again, &err), RP_OK);
        assert_int_equal(now.verified, verified);
    }
    assert_true(ops.pipelines->count <= now.verified &&
                !ops.pipelines->count == !now.verified); /* they serve the model */
    rp_ops_finish(&ops);
    return status ? -1 : (int)number_of(&op.kernel);
}

/* An operator for each list of kinds; `verified`: how many kernels are. */
static int selected_of(const char *kinds, uint32_t verified) {
    uint32_t heads = 1;
    for (const char *kind = kinds; *kind; kind++) heads = heads * 31 % 4001 + (uint32_t)*kind;
    now = (fake){.kinds = kinds};
    int selected = select_kernel(&in_order, heads);
    if (now.verified != verified) fail_msg("%s: %u verified, not %u", kinds, now.verified, verified);
    return selected;
}

/* ---- which of those that are right ---- */

static void test_passed_over(void **state) {
    static const struct {
        const char *kinds;
        int selected;
        uint32_t verified;
    } cases[] = {{".s", 0, 1},   {"s..", 1, 2}, {"ss.", 2, 3}, {"sw.s", 2, 3},
                 {"wsws", 1, 4}, {"Ss.", 2, 3}, {"Ssw", 1, 3}, {"s", 0, 1}};
    (void)state;
    device->caps.has_statistics = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int start = 0; start < 2; start++) {
            flagged = 0;
            int selected = selected_of(cases[i].kinds, start ? 0 : cases[i].verified);
            if (selected != cases[i].selected)
                fail_msg("%s, start %d: %d is used, not %d", cases[i].kinds, start, selected,
                         cases[i].selected);
            assert_int_equal(flagged, start ? 0 : cases[i].verified);
        }
    assert_int_equal(selected_of("wS", 2), -1); /* spilling does not make it right */
    assert_int_equal(selected_of("wS", 2), -1); /* nor does having been read */
}

/* A driver that tells nothing is not asked. */
static void test_not_asked(void **state) {
    (void)state;
    device->caps.has_statistics = false;
    flagged = 0;
    assert_int_equal(selected_of("s.w", 1), 0);
    assert_int_equal(selected_of("w.s.", 2), 1);
    assert_int_equal(flagged, 0);
}

/* ---- notes of attempts that did not end ---- */

/* As processes leave them that end while they run this kernel; nobody else can run it. */
static void note_attempts(const char *kernel, uint32_t count) {
    static const rp_use use = {0};
    rp_attempt attempt;
    assert_true(rp_attempt_begin(&attempt, device, &(rp_attempted){&in_order, kernel, &use}));
    attempt.note.unclear = count;
    rp_attempt_note_write(&attempt.note);
    rp_attempt_note_close(&attempt.note);
}

/* Two attempts that did not end pass a kernel over. Where no other is left there is a third one at once, for
 * somebody may have stopped two starts at the same moment; one that did not end either is an error once. */
static void test_noted(void **state) {
    (void)state;
    device->caps.has_statistics = false;
    note_attempts("kernel 0", 2);
    assert_int_equal(selected_of("...w", 1), 1);
    assert_int_equal(selected_of("..", 1), 1);
    assert_int_equal(selected_of(".", 1), 0);
    assert_int_equal(selected_of("....", 1), 0); /* proven, it is used again */
    note_attempts("kernel 0", 2);
    note_attempts("kernel 1", 2);
    assert_int_equal(selected_of(".w", 1), 0);
    note_attempts("kernel 0", 3);
    assert_int_equal(selected_of(".ww", 3), -1); /* the third kernel is verified twice */
    assert_int_equal(selected_of(".ww", 1), 0);
}

/* After rp_device_stop nothing is run, and what was being run leaves no note. */
static void test_stopped(void **state) {
    rp_device *whole = device;
    rp_error err = {0};
    (void)state;
    rp_device_stop(NULL);
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err), RP_OK);
    real = device->vk;
    now = (fake){.kinds = "."};
    for (uint32_t stopped = 0; stopped < 2; stopped++) {
        rp_ops ops = {0};
        rp_op op = {.class = &in_order, .heads = 4001 + stopped, .head_dim = 4001 + stopped};
        rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
        assert_int_equal(rp_op_select(&ops, &op, &err), stopped ? RP_ERROR_STOPPED : RP_OK);
        rp_ops_finish(&ops);
        if (stopped) continue;
        rp_device_stop(device);
        assert_int_equal(rp_check_kernels(device, NULL, NULL, NULL, NULL, &err), RP_ERROR_STOPPED);
    }
    assert_int_equal(now.verified, 1);
    rp_device_close(&device);
    device = whole;
}

/* ---- which is the fastest ---- */

/* The fastest; of those that no more than noise tells from it, the one with the smallest tile, and of
 * these the one that is named first. */
static void test_fastest(void **state) {
    static const struct {
        fake race;
        int selected;
    } races[] = {
        {{"....", {3, 2, 1, 4}, {0}, 0, 0}, 2},
        {{"....", {1.015, 1, 1.01, 1.5}, {0}, 0, 0}, 0},
        {{"....", {1.015, 1, 1.01, 1.5}, {4, 4, 2, 1}, 0, 0}, 2},
        {{"....", {1.015, 1, 1.02, 1.01}, {4, 8, 4, 4}, 0, 0}, 0},
        {{"....", {1, 1, 1, 1}, {8, 4, 2, 1}, 0, 0}, 3},
        {{"....", {2, INFINITY, 1, 1.2}, {4, 1, 8, 1}, 0, 0}, 2},
        {{"..", {1.01, 1}, {1, 2}, 0, 0}, 0},
        {{"....", {1, 1.015, 1.03, 2}, {8, 4, 2, 1}, 0, 0}, 1},
        {{"...", {INFINITY, 5, INFINITY}, {0}, 0, 0}, 1},
    };
    double limit = device->tuning_limit;
    (void)state;
    device->caps.has_statistics = false;
    device->tuning_limit = 100;
    for (uint32_t i = 0; i < RP_COUNT(races); i++)
        for (int start = 0; start < 2; start++) { /* the second reads what the first found */
            now = races[i].race;
            int selected = select_kernel(&by_speed, i + 1);
            if (selected != races[i].selected)
                fail_msg("race %u: %d wins, not %d", i, selected, races[i].selected);
            assert_int_equal(now.timed != 0, !start);
        }
    device->tuning_limit = limit;
}

/* Time that is over: what was timed comes first, then the others as they are planned; and nothing is kept,
 * so that a later start times the whole. */
static void test_out_of_time(void **state) {
    static const struct {
        double limit;
        uint32_t timed; /* a bit each */
        int selected;
    } starts[] = {{0, 0, 0}, {-1, 0, 0}, {1, 1, 0}, {100, 7, 2}, {0, 0, 2}};
    double limit = device->tuning_limit;
    (void)state;
    device->caps.has_statistics = false;
    assert_true(limit > 0 && limit < 10);
    for (uint32_t i = 0; i < RP_COUNT(starts); i++) {
        rp_ops ops = {0};
        rp_op op = {.class = &by_speed, .heads = 100}, other = {.class = &by_speed, .heads = 101 + i};
        rp_error err;
        now = (fake){.kinds = "...", .times = {3, 2, 1}, .tiles = {4, 2, 1}};
        device->tuning_limit = starts[i].limit;
        rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
        assert_int_equal(rp_op_select(&ops, &op, &err), RP_OK);
        assert_int_equal(now.timed, starts[i].timed);
        assert_int_equal(number_of(&op.kernel), starts[i].selected);
        assert_true(ops.selecting > 0);
        ops.selecting = 1000; /* what other selections took counts */
        now.timed = 0;
        assert_int_equal(rp_op_select(&ops, &other, &err), RP_OK);
        assert_int_equal(now.timed, 0);
        rp_ops_finish(&ops);
    }
    device->tuning_limit = limit;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passed_over), cmocka_unit_test(test_not_asked),
        cmocka_unit_test(test_noted),       cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_fastest),     cmocka_unit_test(test_out_of_time)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
