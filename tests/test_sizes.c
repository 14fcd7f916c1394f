/* Sizes that do not fit memory are refused and do not wrap, also where size_t has 32 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"

#define MODEL SOURCE_DIR "/tools/models/sentiment"

/* A device may have buffers of more than 4 GiB, whatever the host's pointers are. */
_Static_assert(sizeof(rp_round_up(1, 1)) == 8 && sizeof(rp_div_up(1, 1)) == 8, "sizes on a device");

static void test_rounding(void **state) {
    (void)state;
    assert_true(rp_round_up((5ull << 30) + 1, 256) == (5ull << 30) + 256);
    assert_true(rp_div_up((5ull << 30) + 1, 1 << 20) == 5121);
}

/* Products of 32-bit sizes whose low half is small: a few bytes would be allocated for them. */
static void test_arrays(void **state) {
    static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX / sizeof(double) + 1, UINT64_MAX / 2 + 3};
    rp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(counts); i++) {
        assert_null(rp_new_array(double, counts[i]));
        assert_null(rp_arena_alloc(&arena, counts[i], sizeof(double)));
    }
    if (sizeof(size_t) == 4) {
        assert_null(rp_new_array(char, (1ull << 32) + 1));
        assert_null(rp_arena_alloc(&arena, (1ull << 32) + 1, 1));
    }
    double *none = rp_new_array(double, 0); /* which is not a failure */
    assert_non_null(none);
    free(none);
    rp_arena_finish(&arena);
}

/* How many floats a run writes: the caller allocates as many. */
static void test_output_size(void **state) {
    static const int32_t ids[2] = {2, 3};
    const rp_sequence sequence = {.ids = ids, .count = 2};
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    assert_int_equal(rp_model_open(device, MODEL, NULL, &model, &err), RP_OK);
    const size_t hidden = rp_model_get_info(model)->hidden_size;
    assert_true(rp_model_output_size(model, &sequence, 1, NULL) == 2 * hidden);
    const rp_run_params pooled = {.output = RP_OUTPUT_CLASSES};
    const size_t labels = rp_model_get_info(model)->label_count, most = SIZE_MAX / sizeof(float) / labels;
    assert_true(rp_model_output_size(model, &sequence, most, &pooled) == most * labels);
    assert_true(rp_model_output_size(model, &sequence, most + 1, &pooled) == SIZE_MAX);
    assert_true(rp_model_output_size(model, &sequence, SIZE_MAX / labels + 1, &pooled) == SIZE_MAX);
    rp_model_close(&model);
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_output_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
