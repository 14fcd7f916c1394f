/* A model whose weights are pytorch_model.bin gives the same bits as the same weights in model.safetensors,
 * also when they had to be copied, and its texts can be recomputed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

static rp_device *device;

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

/* Output `k` of a case whose weights lie in files of this layout; every text was recomputed. */
static float *run(const char *name, const fixture_layout *layout, size_t k, size_t *size) {
    golden g;
    rp_error err = {0};
    rp_model *model = NULL;
    rp_verify_counts counts;
    assert_true(golden_open(name, layout, &g));
    rp_model_params params = {.verify_every = 1, .verify_all = true};
    if (rp_model_open(device, g.dir, &params, &model, &err)) fail_msg("%s", err.message);
    assert_true(k < g.output_count);
    float *values = golden_run(model, &g, g.outputs[k].output, NULL, g.sequence_count, size);
    assert_non_null(values);
    rp_model_verify_counts(model, true, &counts);
    assert_int_equal(counts.wrong, 0);
    assert_int_equal(counts.dropped, 0);
    assert_true(counts.checked > 0);
    rp_model_close(&model);
    golden_close(&g);
    return values;
}

static void test_twins(void **state) {
    static const char *const cases[] = {"groups", "bert_lm"};
    static const fixture_layout layouts[] = {
        {.form = FIXTURE_ZIP},
        {.form = FIXTURE_OLD},
        {.form = FIXTURE_ZIP, .shards = 3, .add_prefix = "module."},
        {.form = FIXTURE_ZIP, .transposed = true},
        {.form = FIXTURE_OLD, .transposed = true, .dtype = FIXTURE_F64},
        {.dtype = FIXTURE_F64},
    };
    (void)state;
    for (size_t c = 0; c < RP_COUNT(cases); c++) {
        const fixture_layout safetensors = {.dtype = FIXTURE_F32};
        size_t size, twin_size;
        float *values = run(cases[c], &safetensors, 0, &size);
        for (size_t i = 0; i < RP_COUNT(layouts); i++) {
            float *twin = run(cases[c], &layouts[i], 0, &twin_size);
            assert_int_equal(twin_size, size);
            assert_memory_equal(twin, values, size * sizeof *values);
            free(twin);
        }
        free(values);
    }
}

/* A half stays one, transposed or not. */
static void test_halves(void **state) {
    const fixture_layout safetensors = {.dtype = FIXTURE_F16};
    const fixture_layout layout = {.dtype = FIXTURE_F16, .form = FIXTURE_ZIP, .transposed = true};
    size_t size, twin_size;
    (void)state;
    float *values = run("groups", &safetensors, 0, &size), *twin = run("groups", &layout, 0, &twin_size);
    assert_int_equal(twin_size, size);
    assert_memory_equal(twin, values, size * sizeof *values);
    free(values);
    free(twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests_name("weights_models", tests, setup, teardown);
}
