/* Training where the host sees no device memory, and where Vulkan fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_faults.h"
#include "support_train.h"

static rp_device *device;
static train_case c;
static rp_trainer *trainer;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (!faults_install() || rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && train_open("classify", &c) ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    train_close(&c);
    rp_device_close(&device);
    faults_hide_memory(NULL);
    return 0;
}

static int close_trainer(void **state) {
    (void)state;
    fault_end();
    rp_trainer_close(&trainer);
    return 0;
}

static rp_status open_trainer(rp_error *err) {
    rp_trainer_params params = train_params(&c);
    return rp_trainer_open(device, c.g.dir, &params, &trainer, err);
}

static void logits(rp_model *model, float out[64]) {
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES};
    rp_error err = {0};
    if (rp_model_run(model, c.batches[0].sequences, c.batches[0].count, &params, out, 64, NULL, &err))
        fail_msg("%s", err.message);
}

static void test_a_lost_device_ends_training(void **state) {
    (void)state;
    rp_error err = {0};
    if (open_trainer(&err)) fail_msg("%s", err.message);
    assert_int_equal(rp_trainer_step(trainer, &c.batches[0], NULL, &err), RP_OK);
    fault_begin("vkQueueSubmit", 0, VK_ERROR_DEVICE_LOST);
    assert_int_equal(rp_trainer_step(trainer, &c.batches[1], NULL, &err), RP_ERROR_DEVICE_LOST);
    assert_true(fault_end());
    /* what was learnt is gone: nothing pretends otherwise */
    assert_int_equal(rp_trainer_step(trainer, &c.batches[1], NULL, &err), RP_ERROR_DEVICE_LOST);
    assert_int_equal(rp_trainer_save(trainer, "no-folder", true, &err), RP_ERROR_DEVICE_LOST);
    rp_trainer_close(&trainer);
    if (open_trainer(&err)) fail_msg("%s", err.message);
    assert_int_equal(rp_trainer_step(trainer, &c.batches[0], NULL, &err), RP_OK);
}

/* Each kind of call that opening makes fails once; nothing is left behind, and the next attempt succeeds. */
static void test_opening_survives_each_failure(void **state) {
    (void)state;
    static const char *const functions[] = {"vkAllocateMemory",
                                            "vkCreateBuffer",
                                            "vkCreateDescriptorPool",
                                            "vkAllocateDescriptorSets",
                                            "vkAllocateCommandBuffers",
                                            "vkCreateCommandPool",
                                            "vkEndCommandBuffer",
                                            "vkCreateFence",
                                            "vkQueueSubmit",
                                            "vkMapMemory"};
    rp_error err = {0};
    if (open_trainer(&err)) fail_msg("%s", err.message); /* every kernel is proven then */
    rp_trainer_close(&trainer);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int due = 0; due < 400; due = 2 * due + 1) {
            fault_begin(functions[i], due, VK_ERROR_OUT_OF_DEVICE_MEMORY);
            rp_status status = open_trainer(&err);
            bool came = fault_end();
            assert_true(status ? came && !trainer && *err.message : trainer != NULL);
            rp_trainer_close(&trainer);
            if (!came) break;
        }
    assert_int_equal(open_trainer(&err), RP_OK);
}

/* Zeros, weights and what is saved go through staging memory. This device stays so: it comes last. */
static void test_memory_that_the_host_does_not_see(void **state) {
    (void)state;
    float want[64], got[64];
    char dir[FIXTURE_PATH_SIZE];
    rp_model *saved = NULL;
    rp_error err = {0};
    faults_hide_memory(device);
    assert_true(fixture_make_dir(dir));
    if (open_trainer(&err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < 3; i++) {
        rp_train_result result;
        if (rp_trainer_step(trainer, &c.batches[i], &result, &err)) fail_msg("%s", err.message);
        double away = result.loss / c.loss[i] - 1, norm = result.grad_norm / c.norm[i] - 1;
        assert_true(away > -2e-3 && away < 2e-3 && norm > -2e-3 && norm < 2e-3);
    }
    if (rp_trainer_save(trainer, dir, false, &err)) fail_msg("%s", err.message);
    if (rp_model_open(device, dir, NULL, &saved, &err)) fail_msg("%s", err.message);
    logits(rp_trainer_model(trainer), want);
    logits(saved, got);
    assert_memory_equal(want, got, c.batches[0].count * 2 * sizeof *got);
    rp_model_close(&saved);
    rp_trainer_close(&trainer);
    fixture_remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_lost_device_ends_training, close_trainer),
        cmocka_unit_test_teardown(test_opening_survives_each_failure, close_trainer),
        cmocka_unit_test_teardown(test_memory_that_the_host_does_not_see, close_trainer),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
