/* Queues while things fail: the device is lost, Vulkan calls fail, memory runs out. Every request gets a
 * right answer or an error, and what is asked afterwards is answered. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_queue.h"
#include "wrap_alloc.h"

static void crowd_is_right(rp_queue *queue, uint32_t seed) {
    queue_allow_errors(false);
    queue_crowd(queue, 24, seed);
    assert_int_equal(queue_errors(), 0);
}

/* Lost once, at a submission or a wait in the midst of a crowd: everybody is answered, for those inside begin
 * again. */
static void test_lost(void **state) {
    static const char *const functions[] = {"vkQueueSubmit", "vkWaitForFences"};
    rp_queue_counts counts;
    (void)state;
    rp_queue *queue = queue_open(NULL);
    for (size_t i = 0; i < 2; i++)
        for (int due = 0; due < 20; due += fixture_stride(13)) {
            queue_allow_errors(false);
            fault_begin(functions[i], due, VK_ERROR_DEVICE_LOST);
            queue_crowd(queue, 60, (uint32_t)due + 1);
            assert_true(fault_end());
        }
    rp_queue_count(queue, &counts);
    assert_true(counts.repeats > 0);
    crowd_is_right(queue, 77);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* A submission for which the device has no memory is made again with fewer texts; other errors reach those
 * that were in it twice, and nobody else. */
static void test_calls_fail(void **state) {
    static const VkResult results[] = {VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_OUT_OF_HOST_MEMORY};
    (void)state;
    rp_queue *queue = queue_open(NULL);
    for (size_t i = 0; i < 2; i++)
        for (int times = 1; times < 4; times++) {
            queue_allow_errors(times > 1);
            fault_begin("vkQueueSubmit", 7, results[i]);
            fault_repeat(times);
            queue_crowd(queue, 60, (uint32_t)times);
            assert_true(fault_end());
            crowd_is_right(queue, 50);
        }
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* Where the device has no memory for a text alone either, its request fails: smaller batches end at texts of
 * one token. */
static void test_no_memory_for_any(void **state) {
    float out[2 * 48];
    rp_error err = {0};
    rp_call call = {.deadline = rp_clock() + 20};
    const rp_run_params params = {.output = RP_OUTPUT_CLS, .call = &call};
    (void)state;
    rp_queue *queue = queue_open(NULL);
    fault_begin("vkQueueSubmit", 0, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    fault_repeat(INT_MAX);
    rp_status status = rp_model_run(queue_model, queue_texts, 2, &params, out, 2 * 48, NULL, &err);
    assert_true(fault_end());
    assert_int_equal(queue_texts[0].count, 1);
    assert_int_equal(queue_texts[1].count, 1);
    assert_int_equal(status, RP_ERROR_DEVICE_MEMORY);
    crowd_is_right(queue, 3);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* No call that opening a queue makes may fail unnoticed, and none leaves anything behind. */
static void test_opening_fails(void **state) {
    static const char *const functions[] = {
        "vkCreateBuffer",           "vkAllocateMemory",       "vkBeginCommandBuffer",
        "vkAllocateDescriptorSets", "vkCreateFence",          "vkQueueSubmit",
        "vkWaitForFences",          "vkCreateDescriptorPool", "vkCreateCommandPool"};
    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int due = 0; due < 4; due += fixture_stride(3)) {
            rp_queue *queue = NULL;
            rp_error err = {0};
            fault_begin(functions[i], due, VK_ERROR_OUT_OF_HOST_MEMORY);
            rp_status status = rp_queue_open(queue_model, NULL, &queue, &err);
            bool came = fault_end();
            assert_int_equal(status != RP_OK, came);
            assert_int_equal(queue != NULL, !came);
            if (came) assert_true(strlen(err.message) > 10);
            rp_queue_close(&queue);
        }
    rp_queue *queue = queue_open(NULL);
    crowd_is_right(queue, 5);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
}

/* The n-th allocation of host memory fails, while a queue is opened, asked and closed. */
static void test_memory_runs_out(void **state) {
    float out[48];
    const rp_run_params params = {.output = RP_OUTPUT_CLS};
    const rp_request request = {
        .inputs = queue_texts, .count = 1, .params = &params, .out = out, .capacity = 48};
    bool came = true;
    (void)state;
    for (int n = 0; came; n++) {
        rp_queue *queue = NULL;
        rp_ticket *ticket = NULL;
        rp_error err = {0};
        alloc_begin(n);
        rp_status status = rp_queue_open(queue_model, NULL, &queue, &err);
        if (!status) status = rp_queue_ask(queue, &request, &ticket, &err);
        if (!status) status = rp_ticket_wait(&ticket, NULL, &err);
        came = alloc_end();
        if (status && status != RP_ERROR_HOST_MEMORY) print_error("%d: %s\n", n, err.message);
        assert_int_equal(status, status ? RP_ERROR_HOST_MEMORY : RP_OK);
        if (!came) assert_int_equal(status, RP_OK);
        if (!status) assert_memory_equal(out, queue_wanted(0, QUEUE_OUTPUTS - 1), sizeof out);
        assert_int_equal(rp_queue_close(&queue), RP_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_calls_fail),
        cmocka_unit_test(test_no_memory_for_any),
        cmocka_unit_test(test_opening_fails),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, queue_setup, queue_teardown);
}
