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
#include "ops/contest.h"
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

/* ---- the candidates ---- */

typedef struct candidates {
    const char *kinds; /* of each: 's' spills, 'w' is wrong, 'S' is both, '.' is neither */
    uint32_t verified;
} candidates;

static rp_status verify(rp_ops *ops, void *user, uint32_t candidate, rp_difference *out, rp_error *err) {
    candidates *c = user;
    char kind = c->kinds[candidate];
    const rp_pipeline *pipeline;
    const rp_pipeline_key key = {
        .shader = "empty", .constants = {candidate + 1}, .constant_count = 1, .bindings = 1};
    c->verified++;
    says_spill = kind == 's' || kind == 'S';
    *out = (rp_difference){.error = kind == 'w' || kind == 'S' ? 2 : 0, .bound = 1};
    rp_status status = rp_pipeline_get(&ops->pipelines, &key, &pipeline, err);
    if (!status) assert_false(keeps_statistics(pipeline->handle)); /* what is verified is what models run */
    return status;
}

/* The candidate that is used, or -1; `verified`: how many are tried. */
static int chosen_of(const char *kinds, uint32_t verified) {
    candidates c = {.kinds = kinds};
    static const rp_use use = {0};
    rp_contest contest = {
        .op = "test", .count = (uint32_t)strlen(kinds), .verify = verify, .tried = &use, .user = &c};
    rp_ops ops = {0};
    rp_error err;
    uint32_t chosen = UINT32_MAX;
    snprintf(contest.use, sizeof contest.use, "%s", kinds);
    for (uint32_t i = 0; i < contest.count; i++) snprintf(contest.names[i], RP_KERNEL_NAME, "kernel %u", i);
    rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
    rp_status status = rp_select(&ops, &contest, &chosen, &err);
    if (c.verified != verified) fail_msg("%s: %u tried, not %u", kinds, c.verified, verified);
    assert_true(ops.pipelines.count <= verified &&
                !ops.pipelines.count == !verified); /* they serve the model */
    rp_ops_finish(&ops);
    if (status) assert_int_equal(status, RP_ERROR_DEVICE);
    return status ? -1 : (int)chosen;
}

static void test_passed_over(void **state) {
    static const struct {
        const char *kinds;
        int chosen;
        uint32_t tried;
    } cases[] = {{".s", 0, 1},   {"s..", 1, 2}, {"ss.", 2, 3}, {"sw.s", 2, 3},
                 {"wsws", 1, 4}, {"Ss.", 2, 3}, {"Ssw", 1, 3}, {"s", 0, 1}};
    (void)state;
    device->caps.has_statistics = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int start = 0; start < 2; start++) {
            flagged = 0;
            int chosen = chosen_of(cases[i].kinds, start ? 0 : cases[i].tried);
            if (chosen != cases[i].chosen)
                fail_msg("%s, start %d: %d is used, not %d", cases[i].kinds, start, chosen, cases[i].chosen);
            assert_int_equal(flagged, start ? 0 : cases[i].tried);
        }
    assert_int_equal(chosen_of("wS", 2), -1); /* spilling does not make it right */
    assert_int_equal(chosen_of("wS", 2), -1); /* nor does having been read */
}

/* A driver that tells nothing is not asked. */
static void test_not_asked(void **state) {
    (void)state;
    device->caps.has_statistics = false;
    flagged = 0;
    assert_int_equal(chosen_of("s.w", 1), 0);
    assert_int_equal(chosen_of("w.s.", 2), 1);
    assert_int_equal(flagged, 0);
}

/* ---- notes of tries that did not end ---- */

/* As processes leave them that end while they try this kernel; nobody else can try it. */
static void note_tries(const char *kernel, uint32_t count) {
    static const rp_use use = {0};
    rp_attempt trial;
    assert_true(rp_attempt_begin(&trial, device, &(rp_attempted){"test", kernel, &use}));
    trial.tries.unclear = count;
    rp_attempt_note_write(&trial.tries);
    rp_attempt_note_close(&trial.tries);
}

/* Two tries that did not end pass a kernel over. Where no other is left it has a third try at once, for
 * somebody may have stopped two starts at the same moment; one that did not end either is an error once. */
static void test_noted(void **state) {
    (void)state;
    device->caps.has_statistics = false;
    note_tries("kernel 0", 2);
    assert_int_equal(chosen_of("...w", 1), 1);
    assert_int_equal(chosen_of("..", 1), 1);
    assert_int_equal(chosen_of(".", 1), 0);
    assert_int_equal(chosen_of("....", 1), 0); /* proven, it is used again */
    note_tries("kernel 0", 2);
    note_tries("kernel 1", 2);
    assert_int_equal(chosen_of(".w", 1), 0);
    note_tries("kernel 0", 3);
    assert_int_equal(chosen_of(".ww", 3), -1); /* the third kernel is tried twice */
    assert_int_equal(chosen_of(".ww", 3), 0);
}

/* After rp_device_stop nothing is tried, and what was being tried leaves no note. */
static void test_stopped(void **state) {
    rp_device *whole = device;
    rp_error err = {0};
    (void)state;
    rp_device_stop(NULL);
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err), RP_OK);
    real = device->vk;
    candidates c = {.kinds = "stop"};
    static const rp_use use = {0};
    rp_contest contest = {
        .op = "stop", .count = 1, .names = {"kernel"}, .verify = verify, .tried = &use, .user = &c};
    for (int stopped = 0; stopped < 2; stopped++) {
        rp_ops ops = {0};
        uint32_t chosen;
        rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
        contest.use[0] = (char)('a' + stopped);
        assert_int_equal(rp_select(&ops, &contest, &chosen, &err), stopped ? RP_ERROR_STOPPED : RP_OK);
        rp_ops_finish(&ops);
        if (stopped) continue;
        rp_device_stop(device);
        assert_int_equal(rp_check_kernels(device, NULL, NULL, NULL, NULL, &err), RP_ERROR_STOPPED);
    }
    assert_int_equal(c.verified, 1);
    rp_device_close(&device);
    device = whole;
}

/* ---- which is the fastest ---- */

typedef struct race {
    double times[4];
    uint32_t tiles[4], count, chosen;
} race;

static rp_status give_times(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    (void)ops, (void)err;
    const race *r = user;
    memcpy(times, r->times, r->count * sizeof *times);
    return RP_OK;
}

static rp_status all_right(rp_ops *ops, void *user, uint32_t candidate, rp_difference *out, rp_error *err) {
    (void)ops, (void)user, (void)candidate, (void)err;
    *out = (rp_difference){.error = 0, .bound = 1};
    return RP_OK;
}

/* The fastest; of those that no more than noise tells from it, the one with the smallest tile, and of
 * these the one that is named first. */
static void test_fastest(void **state) {
    static const race races[] = {
        {{3, 2, 1, 4}, {0}, 4, 2},
        {{1.015, 1, 1.01, 1.5}, {0}, 4, 0},
        {{1.015, 1, 1.01, 1.5}, {4, 4, 2, 1}, 4, 2},
        {{1.015, 1, 1.02, 1.01}, {4, 8, 4, 4}, 4, 0},
        {{1, 1, 1, 1}, {8, 4, 2, 1}, 4, 3},
        {{2, INFINITY, 1, 1.2}, {4, 1, 8, 1}, 4, 2},
        {{1.01, 1}, {1, 2}, 2, 0},
        {{1, 1.015, 1.03, 2}, {8, 4, 2, 1}, 4, 1},
        {{INFINITY, 5, INFINITY}, {0}, 3, 1},
    };
    (void)state;
    device->caps.has_statistics = false;
    for (uint32_t i = 0; i < RP_COUNT(races); i++) {
        static const rp_use use = {0};
        rp_contest contest = {.op = "race",
                              .tried = &use,
                              .count = races[i].count,
                              .measure = give_times,
                              .verify = all_right,
                              .user = (void *)&races[i]};
        rp_ops ops = {0};
        rp_error err;
        uint32_t chosen = UINT32_MAX;
        snprintf(contest.shape, sizeof contest.shape, "race %u", i);
        memcpy(contest.tiles, races[i].tiles, sizeof races[i].tiles);
        for (uint32_t k = 0; k < contest.count; k++)
            snprintf(contest.names[k], RP_KERNEL_NAME, "kernel %u", k);
        for (int start = 0; start < 2; start++) { /* the second reads what the first found */
            rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
            assert_int_equal(rp_select(&ops, &contest, &chosen, &err), RP_OK);
            rp_ops_finish(&ops);
            if (chosen != races[i].chosen) fail_msg("race %u: %u wins, not %u", i, chosen, races[i].chosen);
        }
    }
}

static uint32_t measured; /* candidates, by reluctant */

/* Each takes what is left of the time, so the second is one too many. */
static rp_status reluctant(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    (void)user, (void)err;
    for (uint32_t i = 0; i < 3; i++) {
        times[i] = INFINITY;
        if (!rp_may_measure(ops)) continue;
        times[i] = 3 - i;
        measured++;
        if (ops->device->tuning_limit < 10) ops->measuring_until = 0;
    }
    return RP_OK;
}

/* Time that is over: what was measured comes first, then the others as they are named; and nothing is kept,
 * so that a later start measures the whole. */
static void test_out_of_time(void **state) {
    static const struct {
        double limit;
        uint32_t measured, chosen;
    } starts[] = {{0, 0, 0}, {-1, 0, 0}, {1, 1, 0}, {100, 3, 2}, {0, 0, 2}};
    double limit = device->tuning_limit;
    (void)state;
    device->caps.has_statistics = false;
    assert_true(limit > 0 && limit < 10);
    for (uint32_t i = 0; i < RP_COUNT(starts); i++) {
        static const rp_use use = {0};
        rp_contest contest = {.op = "slow",
                              .tried = &use,
                              .shape = "slow",
                              .count = 3,
                              .tiles = {4, 2, 1},
                              .measure = reluctant,
                              .verify = all_right};
        rp_ops ops = {0};
        rp_error err;
        uint32_t chosen = UINT32_MAX;
        for (uint32_t k = 0; k < 3; k++) snprintf(contest.names[k], RP_KERNEL_NAME, "kernel %u", k);
        measured = 0;
        device->tuning_limit = starts[i].limit;
        rp_ops_init(&ops, device, (rp_range){0}, (rp_range){0});
        assert_int_equal(rp_select(&ops, &contest, &chosen, &err), RP_OK);
        assert_true(ops.chosen > 0);
        ops.chosen = 1000; /* what other choices took counts */
        snprintf(contest.shape, sizeof contest.shape, "other %u", i);
        uint32_t before = measured, other;
        assert_int_equal(rp_select(&ops, &contest, &other, &err), RP_OK);
        assert_int_equal(measured, before);
        rp_ops_finish(&ops);
        assert_int_equal(measured, starts[i].measured);
        assert_int_equal(chosen, starts[i].chosen);
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
