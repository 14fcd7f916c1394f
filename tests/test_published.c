/* The shape that is published: ALBERT base, one layer of it and all, against plain C that rounds weights and
 * activations as the device does, in every precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

enum { TOKENS = 16, HIDDEN = 768 };

static rp_device *device;
static char one_layer[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    char path[FIXTURE_PATH_SIZE + 16];
    rp_error err;
    (void)state;
    if (!fixture_make_dir(one_layer)) return -1;
    snprintf(path, sizeof path, "%s/config.json", one_layer);
    FILE *file = fopen(path, "w");
    if (!file) return -1;
    fputs("{\"architectures\": [\"AlbertModel\"], \"model_type\": \"albert\", \"vocab_size\": 500, "
          "\"embedding_size\": 128, \"hidden_size\": 768, \"intermediate_size\": 3072, "
          "\"num_hidden_layers\": 1, \"num_hidden_groups\": 1, \"inner_group_num\": 1, "
          "\"num_attention_heads\": 12, \"max_position_embeddings\": 64, \"type_vocab_size\": 2, "
          "\"hidden_act\": \"gelu_new\", \"layer_norm_eps\": 1e-12}\n",
          file);
    fclose(file);
    return rp_device_open(NULL, &device, &err) ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(one_layer);
    return 0;
}

/* The largest difference of a hidden state behind any layer, in units of what is usual. */
static double error_of(const char *config, rp_precision precision) {
    static float out[TOKENS * HIDDEN];
    const rp_model_params params = {
        .precision = precision, .random_seed = 7, .verify_every = 1, .verify_all = true};
    int32_t ids[TOKENS];
    rp_model *model = NULL;
    rp_verify_counts counts;
    rp_error err;
    for (int i = 0; i < TOKENS; i++) ids[i] = (i * 131 + 5) % 500;
    const rp_sequence sequence = {.ids = ids, .count = TOKENS};
    if (rp_model_open_random(device, config, &params, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_model_get_info(model)->hidden_size, HIDDEN);
    assert_int_equal(rp_model_get_info(model)->intermediate_size, 4 * HIDDEN);
    if (rp_model_run(model, &sequence, 1, NULL, out, TOKENS * HIDDEN, NULL, &err))
        fail_msg("%s", err.message);
    rp_model_verify_counts(model, true, &counts);
    assert_int_equal(counts.checked, 1);
    rp_model_close(&model);
    print_message("%s, precision %d: %g\n", config, (int)precision, counts.worst);
    return counts.worst;
}

/* Kernels of int8 and int4 may round what they multiply to 8 bits, where a device has such products: 0.017
 * was the most of them. */
static const struct {
    rp_precision precision;
    double layer, whole; /* bounds */
} precisions[] = {{RP_PRECISION_F32, 1e-5, 2e-5},
                  {RP_PRECISION_F16, 5e-3, 1e-2},
                  {RP_PRECISION_INT8, 1e-2, 3e-2},
                  {RP_PRECISION_INT4, 1e-2, 3e-2}};

static void test_layer(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
        assert_true(error_of(one_layer, precisions[i].precision) < precisions[i].layer);
}

static void test_base(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
        assert_true(error_of("base", precisions[i].precision) < precisions[i].whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layer), cmocka_unit_test(test_base)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
