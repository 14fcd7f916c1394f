/* Device memory: the weights once, and at most 1.2 times of what the activations of the largest batch need.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Bytes that a layer keeps for each token: what goes in, what attention gives, and at its widest Q, K, V and
 * the context, or the intermediate values. */
static uint64_t bytes_a_token(const rp_model_info *info) {
    uint64_t h = info->hidden_size, element = info->precision >= RP_PRECISION_F16 ? 2 : 4;
    return element * (2 * h + larger(4 * h, info->intermediate_size));
}

static void test_weights_once_and_activations(void **state) {
    (void)state;
    const struct {
        rp_precision precision;
        uint32_t tokens;
        uint64_t weight; /* bytes */
    } cases[] = {
        {RP_PRECISION_F32, 512, 4}, {RP_PRECISION_F32, 2048, 4}, {RP_PRECISION_F16, 512, 2}, {0, 0, 4}};
    rp_device *device = NULL;
    rp_error err = {0};
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        const rp_model_params params = {.max_batch_tokens = cases[i].tokens, .precision = cases[i].precision};
        rp_model *model = NULL;
        rp_status status =
            rp_model_open_random(device, SOURCE_DIR "/tools/models/sentiment", &params, &model, &err);
        if (status) print_error("%s\n", err.message);
        assert_int_equal(status, RP_OK);
        const rp_model_info *info = rp_model_get_info(model);
        uint64_t weights = info->parameters * cases[i].weight;
        uint64_t activations = info->max_batch_tokens * bytes_a_token(info);
        if (cases[i].tokens) assert_int_equal(info->max_batch_tokens, cases[i].tokens);
        assert_true(info->device_bytes > weights + activations);
        /* biases, LayerNorms and rows are padded: a hundredth */
        assert_true(info->device_bytes < weights + weights / 100 + activations * 12 / 10);
        rp_model_close(&model);
        assert_int_equal(rp_device_memory_used(device), 0);
    }
    rp_device_close(&device);
}

/* Batches are made in steps of 4 tokens, and never smaller than was asked for. */
static void test_no_fewer_tokens_than_asked(void **state) {
    (void)state;
    rp_device *device = NULL;
    rp_error err = {0};
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    for (uint32_t tokens = 1021; tokens <= 1024; tokens++) {
        const rp_model_params params = {.max_batch_tokens = tokens};
        rp_model *model = NULL;
        assert_int_equal(
            rp_model_open_random(device, SOURCE_DIR "/tools/models/sentiment", &params, &model, &err), RP_OK);
        assert_int_equal(rp_model_get_info(model)->max_batch_tokens, 1024);
        rp_model_close(&model);
    }
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights_once_and_activations),
                                       cmocka_unit_test(test_no_fewer_tokens_than_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
