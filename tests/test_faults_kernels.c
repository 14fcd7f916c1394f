/* Drivers that do not get along with one kernel: it is passed over, whatever the driver does about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/shader.h"
#include "model/model.h"
#include "support_faults.h"
#include "support_fixture.h"

static golden g;
static rp_device *device;

/* `cache` NULL: none. */
static void open_device(const char *cache) {
    rp_error err = {0};
    rp_device_params params = {.cache_dir = cache ? cache : ""};
    if (rp_device_open(&params, &device, &err)) fail_msg("%s", err.message);
}

/* The model opens and computes what Hugging Face does. */
static void expect_golden(const char *what) {
    rp_model *model = NULL;
    rp_error err = {0};
    golden_error error = {0};
    size_t size;
    if (rp_model_open(device, g.dir, NULL, &model, &err)) fail_msg("%s: %s", what, err.message);
    float *got = golden_run(model, &g, g.outputs[0].output, NULL, g.sequence_count, &size);
    assert_non_null(got);
    golden_compare(&g.outputs[0], 0, size / g.outputs[0].columns, got, &error);
    free(got);
    if (!(error.worst < 2e-4)) fail_msg("%s: off by %g", what, error.worst);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

/* Shaders that the model uses where nothing is wrong, and for which there are others. */
static const char *used[16];
static size_t used_count;

static bool note_used(const char *shader) {
    size_t i = 0;
    while (i < used_count && strcmp(used[i], shader)) i++;
    if (i == used_count && strcmp(shader, "embed") && strcmp(shader, "gather") && strcmp(shader, "pool")) {
        assert_true(i < RP_COUNT(used));
        used[used_count++] = shader;
    }
    return false;
}

static int setup(void **state) {
    (void)state;
    if (!faults_install() || !golden_open("groups", NULL, &g)) return -1;
    open_device(NULL);
    fault_shaders(note_used, VK_SUCCESS);
    expect_golden("a sound driver");
    fault_shaders(NULL, VK_SUCCESS);
    rp_device_close(&device);
    return used_count >= 3 ? 0 : -1; /* a matmul, an attention, a LayerNorm */
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

static const char *bad_shader;
static bool is_bad_shader(const char *shader) {
    return !strcmp(shader, bad_shader);
}

static bool is_matmul(const char *shader) {
    return !strncmp(shader, "matmul", 6);
}

/* Drivers say that they are out of memory when their compilers give up: the next kernel is taken, and only
 * where none is left it is an error, that of memory. */
static void test_refused(void **state) {
    static const struct {
        VkResult result;
        rp_status status;
    } codes[] = {{VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY},
                 {VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY},
                 {VK_ERROR_INVALID_SHADER_NV, RP_ERROR_DEVICE}};
    (void)state;
    open_device(NULL);
    for (size_t i = 0; i < RP_COUNT(codes); i++) {
        for (size_t s = 0; s < used_count; s++) {
            bad_shader = used[s];
            fault_shaders(is_bad_shader, codes[i].result);
            expect_golden(bad_shader);
            assert_true(fault_shaders_came > 0);
        }
        rp_model *model = NULL;
        rp_error err = {0};
        fault_shaders(is_matmul, codes[i].result);
        assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), codes[i].status);
        assert_null(model);
        assert_true(strlen(err.message) > 20);
        fault_shaders(NULL, VK_SUCCESS);
        expect_golden("mended");
    }
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
