/* Layers recorded a second time for few tokens: the same bits as without, for short texts, long ones and
 * batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "reprise/reprise.h"

enum { MOST = 400 };

static rp_device *device;
static int32_t ids[MOST];

static int setup(void **state) {
    rp_error err;
    (void)state;
    for (uint32_t i = 0; i < MOST; i++) ids[i] = (int32_t)(i * 7919 % 8192);
    return rp_device_open(NULL, &device, &err) ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

static rp_model *open_model(rp_precision precision, bool few) {
    const rp_model_params params = {.precision = precision, .few_tokens = few, .random_seed = 1};
    rp_model *model = NULL;
    rp_error err;
    if (rp_model_open_random(device, SOURCE_DIR "/tools/models/sentiment", &params, &model, &err))
        fail_msg("%s", err.message);
    return model;
}

static float *run(rp_model *model, const rp_sequence *sequences, size_t count) {
    size_t size = rp_model_output_size(model, sequences, count, NULL);
    float *out = malloc(size * sizeof *out);
    rp_error err;
    assert_non_null(out);
    if (rp_model_run(model, sequences, count, NULL, out, size, NULL, &err)) fail_msg("%s", err.message);
    return out;
}

static void test_same_bits(void **state) {
    static const uint32_t lengths[] = {1, 5, 15, 16, 17, 33, 200};
    rp_precision precision = (rp_precision)(intptr_t)*state;
    rp_model *one = open_model(precision, false), *two = open_model(precision, true);
    assert_null(one->few_groups);
    assert_non_null(two->few_groups);
    assert_true(two->few_tokens >= 16);
    rp_sequence all[sizeof lengths / sizeof lengths[0]];
    size_t count = 0;
    for (; count < sizeof lengths / sizeof lengths[0]; count++) {
        all[count] = (rp_sequence){.ids = ids + count, .count = lengths[count]};
        float *want = run(one, &all[count], 1), *got = run(two, &all[count], 1);
        assert_memory_equal(got, want, rp_model_output_size(one, &all[count], 1, NULL) * sizeof *got);
        free(want);
        free(got);
    }
    float *want = run(one, all, count), *got = run(two, all, count);
    assert_memory_equal(got, want, rp_model_output_size(one, all, count, NULL) * sizeof *got);
    free(want);
    free(got);
    rp_model_close(&one);
    rp_model_close(&two);
    assert_int_equal(rp_device_memory_used(device), 0);
}

#define PRECISION(p)                                               \
    {                                                              \
        .name = "test_same_bits " #p, .test_func = test_same_bits, \
        .initial_state = (void *)(intptr_t)RP_PRECISION_##p        \
    }

int main(void) {
    const struct CMUnitTest tests[] = {PRECISION(F32), PRECISION(F16), PRECISION(INT4)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
