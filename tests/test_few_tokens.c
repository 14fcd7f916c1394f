/* On a GPU a short text alone may run by other kernels than a batch: the bits of its results stay the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

enum { HIDDEN = 128, LONG = 200, MOST = 512 };

static rp_device *device;
static char dir[FIXTURE_PATH_SIZE];
static uint32_t clock_state;

/* Times without a pattern, all of them long: any kernel may be taken for the fastest, for many rows and for
 * few. */
static VKAPI_ATTR VkResult VKAPI_CALL make_times(VkDevice handle, VkQueryPool pool, uint32_t first,
                                                 uint32_t count, size_t size, void *out, VkDeviceSize stride,
                                                 VkQueryResultFlags flags) {
    uint64_t *stamps = out;
    (void)handle, (void)pool, (void)first, (void)count, (void)size, (void)stride, (void)flags;
    clock_state = clock_state * 1664525 + 1013904223;
    stamps[0] = 0;
    stamps[1] = (uint64_t)((0.15 + (clock_state >> 8) * 1e-8) * 1e9 / device->caps.timestamp_period);
    return VK_SUCCESS;
}

/* The device as a GPU, which is asked for times. */
static int setup(void **state) {
    const rp_device_params params = {.cache_dir = ""};
    rp_error err;
    (void)state;
    if (!fixture_make_dir(dir) || rp_device_open(&params, &device, &err)) return -1;
    device->caps.info.type = RP_DEVICE_INTEGRATED;
    device->tuning_limit = 1e9;
    device->vk.vkGetQueryPoolResults = make_times;
    return fixture_write_text(
               dir, "config.json",
               "{\"architectures\": [\"AlbertModel\"], \"model_type\": \"albert\", \"vocab_size\": 500, "
               "\"embedding_size\": 128, \"hidden_size\": 128, \"intermediate_size\": 768, "
               "\"num_hidden_layers\": 2, \"num_hidden_groups\": 2, \"inner_group_num\": 1, "
               "\"num_attention_heads\": 4, \"max_position_embeddings\": 256, \"type_vocab_size\": 2, "
               "\"hidden_act\": \"gelu_new\", \"layer_norm_eps\": 1e-12}\n")
               ? 0
               : -1;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(dir);
    return 0;
}

static float *run(rp_model *model, const rp_sequence *sequences, size_t count) {
    size_t size = rp_model_output_size(model, sequences, count, NULL);
    float *out = malloc(size * sizeof *out);
    rp_error err;
    assert_non_null(out);
    if (rp_model_run(model, sequences, count, NULL, out, size, NULL, &err)) fail_msg("%s", err.message);
    return out;
}

/* Each length alone, and behind a text that is too long for the kernels for few. */
static void compare(rp_model *model) {
    static const uint32_t lengths[] = {1, 5, 16, 17, 64, 128, 129};
    static int32_t ids[MOST];
    for (uint32_t i = 0; i < MOST; i++) ids[i] = (int32_t)(i * 7919 % 500);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const rp_sequence both[2] = {{.ids = ids, .count = LONG}, {.ids = ids + i, .count = lengths[i]}};
        float *alone = run(model, &both[1], 1), *together = run(model, both, 2);
        assert_memory_equal(alone, together + LONG * HIDDEN, lengths[i] * HIDDEN * sizeof *alone);
        free(alone);
        free(together);
    }
}

static void test_same_bits(void **state) {
    rp_precision precision = (rp_precision)(intptr_t)*state;
    const rp_model_params params = {.precision = precision, .random_seed = 1};
    rp_model *model = NULL;
    rp_error err;
    clock_state = 1;
    if (rp_model_open_random(device, dir, &params, &model, &err)) fail_msg("%s", err.message);
    assert_true(model->widths.count > 1); /* else this compares a recording with itself */
    compare(model);
    rp_model_close(&model);
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
