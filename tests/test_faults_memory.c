/* A device without room: batches shrink before a model is refused, and a refusal says what is needed and what
 * there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/model.h"
#include "support_faults.h"
#include "support_fixture.h"

enum { FLOATS = 1 << 15 };

static golden g;
static rp_device *device;
static float wanted[FLOATS], got[FLOATS];

static rp_model *open_model(rp_error *err) {
    rp_model *model = NULL;
    rp_status status = rp_model_open(device, g.dir, NULL, &model, err);
    assert_int_equal(status == RP_OK, model != NULL);
    if (status) assert_int_equal(rp_device_memory_used(device), 0);
    return model;
}

static void run(rp_model *model, float *out) {
    rp_error err = {0};
    memset(out, 0xee, FLOATS * sizeof *out);
    assert_int_equal(rp_model_run(model, g.sequences, g.sequence_count, NULL, out, FLOATS, NULL, &err),
                     RP_OK);
}

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!faults_install() || !golden_open("groups", NULL, &g) || rp_device_open(NULL, &device, &err))
        return -1;
    rp_model *model = open_model(&err);
    run(model, wanted);
    rp_model_close(&model);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    rp_device_close(&device);
    return 0;
}

/* No allocation above `bytes`: the batch that is left, or 0 when the model is refused. */
static uint32_t tokens_within(_Atomic VkDeviceSize *bound, VkDeviceSize bytes, rp_error *err) {
    uint32_t tokens = 0;
    *bound = bytes;
    rp_model *model = open_model(err);
    *bound = 0;
    if (model) {
        const rp_model_info *info = rp_model_get_info(model);
        tokens = info->max_batch_tokens;
        assert_true(tokens >= info->max_tokens);
        run(model, got);
        assert_memory_equal(got, wanted, sizeof wanted);
    }
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
    return tokens;
}

static bool says(const rp_error *err, const char *part) {
    if (!strstr(err->message, part)) print_error("\"%s\" is not in: %s\n", part, err->message);
    return strstr(err->message, part);
}

/* With ever less room the batch gets smaller, down to the longest sequence, and then the model is refused. */
static void check_shrinks(_Atomic VkDeviceSize *bound, VkDeviceSize room) {
    rp_error err = {0};
    uint32_t whole = tokens_within(bound, room, &err), last = whole;
    bool shrank = false;
    assert_true(whole > 0);
    for (VkDeviceSize bytes = room; last; bytes = bytes * 3 / 4) {
        err = (rp_error){0};
        uint32_t tokens = tokens_within(bound, bytes, &err);
        assert_true(tokens <= last);
        shrank = shrank || (tokens && tokens < whole);
        last = tokens;
    }
    assert_true(shrank);
    assert_int_equal(err.status, RP_ERROR_DEVICE_MEMORY);
    assert_true(says(&err, g.dir));
    assert_true(says(&err, " MiB of device memory, "));
    assert_true(says(&err, "for its weights and "));
    assert_true(says(&err, rp_device_get_info(device)->name));
    err = (rp_error){0};
    assert_int_equal(tokens_within(bound, room, &err), whole); /* all is well again */
}

static void test_small_allocations(void **state) {
    (void)state;
    check_shrinks(&fault_largest_allocation, 256 << 20);
}

static void test_small_device(void **state) {
    (void)state;
    check_shrinks(&fault_all_allocations, 256 << 20);
}

/* Also where the caller asked for more than there is room for. */
static void test_large_wish(void **state) {
    rp_error err = {0};
    rp_model *model = NULL;
    (void)state;
    fault_all_allocations = 8 << 20;
    assert_int_equal(
        rp_model_open(device, g.dir, &(rp_model_params){.max_batch_tokens = 60000}, &model, &err), RP_OK);
    assert_in_range(rp_model_get_info(model)->max_batch_tokens, rp_model_get_info(model)->max_tokens, 30000);
    run(model, got);
    fault_all_allocations = 0;
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
}

/* A submission that the device has no memory for: what is left of the call goes in halves, each within what
 * failed, down to single sequences; then it is an error. */
static void test_submissions(void **state) {
    rp_error err = {0};
    (void)state;
    rp_model *model = open_model(&err);
    for (int times = 1; times <= 2; times++) {
        unsigned before = faults_seen().submits;
        run(model, got);
        unsigned submits = faults_seen().submits - before;
        fault_begin("vkQueueSubmit", 0, VK_ERROR_OUT_OF_DEVICE_MEMORY);
        fault_repeat(times);
        run(model, got);
        assert_true(fault_end());
        assert_true(faults_seen().submits - before > 2 * submits + (unsigned)times);
        assert_memory_equal(got, wanted, sizeof wanted);
    }
    fault_begin("vkQueueSubmit", 0, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    rp_status status = rp_model_run(model, g.sequences, 1, NULL, got, FLOATS, NULL, &err);
    assert_true(fault_end());
    assert_int_equal(status, RP_ERROR_DEVICE_MEMORY);
    run(model, got);
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
}

/* A device that was lost comes back with less memory: the batch shrinks as it does when a model is opened,
 * and is what it was when the memory is there again. What the caller was told of the model stays: other
 * threads may be reading it. */
static void test_rebuild(void **state) {
    rp_error err = {0};
    bool shrank = false;
    (void)state;
    rp_model *model = open_model(&err);
    const rp_model_info *info = rp_model_get_info(model);
    const rp_model_info told = *info;
    uint64_t bytes = rp_device_memory_used(device);
    rp_status status = RP_OK;
    for (VkDeviceSize room = 256 << 20; !status; room = room * 3 / 4) {
        fault_begin("vkQueueSubmit", 0, VK_ERROR_DEVICE_LOST);
        assert_int_equal(rp_model_run(model, g.sequences, 1, NULL, got, FLOATS, NULL, &err),
                         RP_ERROR_DEVICE_LOST);
        assert_true(fault_end());
        fault_all_allocations = room;
        memset(got, 0xee, sizeof got);
        status = rp_model_run(model, g.sequences, g.sequence_count, NULL, got, FLOATS, NULL, &err);
        fault_all_allocations = 0;
        if (status) break;
        assert_memory_equal(got, wanted, sizeof wanted);
        shrank = shrank || rp_device_memory_used(device) < bytes;
        assert_memory_equal(info, &told, sizeof told);
    }
    assert_true(shrank);
    assert_int_equal(status, RP_ERROR_DEVICE_MEMORY);
    assert_true(says(&err, "for its weights and "));
    assert_int_equal(rp_device_memory_used(device), 0);
    run(model, got);
    assert_memory_equal(got, wanted, sizeof wanted);
    assert_int_equal(rp_device_memory_used(device), bytes);
    assert_memory_equal(info, &told, sizeof told);
    rp_model_close(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_allocations), cmocka_unit_test(test_small_device),
        cmocka_unit_test(test_large_wish),        cmocka_unit_test(test_submissions),
        cmocka_unit_test(test_rebuild),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
