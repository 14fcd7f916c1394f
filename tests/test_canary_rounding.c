/* The cross-check where kernels round to 8 bits what they multiply: it accuses no right device, whatever the
 * weights, and finds a small error that repeats in every layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/device.h"
#include "model/plain.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "support_spoil.h"

enum { HIDDEN = 312, HEADS = 12, INNER = 640, EMBEDDING = 64, VOCABULARY = 97, TOKENS = 24 };

static const double BOUND = 0.03;
static char cache[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    (void)state;
    return fixture_make_dir(cache) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(cache);
    return 0;
}

/* `dot`: a GPU whose fastest kernels for integer weights are those with dot products, by the plan. */
static rp_device *open_device(bool dot) {
    rp_device *device = NULL;
    rp_error err;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) fail_msg("%s", err.message);
    device->tuning_limit = 0; /* no kernel is timed: the plan's order holds */
    if (!dot) return device;
    device->caps.info.type = RP_DEVICE_INTEGRATED;
    device->caps.matrix_shape_count = 0;
    device->caps.info.max_invocations = 64; /* the smallest tile: llvmpipe compiles the others for seconds */
    return device;
}

static rp_model *open_model(rp_device *device, const char *dir, rp_precision precision) {
    const rp_model_params params = {.precision = precision, .verify_every = 1, .verify_all = true};
    rp_model *model = NULL;
    rp_error err;
    if (rp_model_open(device, dir, &params, &model, &err)) fail_msg("%s", err.message);
    return model;
}

/* True when the kernels of all products of a layer round to 8 bits. */
static bool rounds(const rp_model *model) {
    rp_plain plain = {0};
    rp_error err;
    assert_int_equal(rp_plain_init(&plain, model, &err), RP_OK);
    bool all =
        plain.bytes[0] == (1 << RP_PART_QKV | 1 << RP_PART_DENSE | 1 << RP_PART_FFN | 1 << RP_PART_OUTPUT);
    rp_plain_finish(&plain);
    return all;
}

/* Run a text, and say what the cross-check found. */
static rp_verify_counts run(rp_model *model, rp_output output) {
    static float out[TOKENS * 384];
    int32_t ids[TOKENS];
    const rp_sequence sequence = {.ids = ids, .count = TOKENS};
    const rp_run_params params = {.output = output};
    rp_verify_counts counts;
    rp_error err;
    for (uint32_t t = 0; t < TOKENS; t++) ids[t] = (int32_t)((t * 131 + 5) % VOCABULARY);
    if (rp_model_run(model, &sequence, 1, &params, out, RP_COUNT(out), NULL, &err))
        fail_msg("%s", err.message);
    rp_model_verify_counts(model, true, &counts);
    assert_int_equal(counts.checked, 1);
    return counts;
}

/* An ALBERT of two groups whose heads of 26 are padded on the device. `large`: what some of the weights are
 * multiplied by. From 64 on the sums of the products drown the residual; by 4096 they exceed float16. */
static void make_model(char dir[FIXTURE_PATH_SIZE], double large) {
    static const char config[] =
        "{\"architectures\": [\"AlbertModel\"], \"model_type\": \"albert\", \"vocab_size\": 97, "
        "\"embedding_size\": 64, \"hidden_size\": 312, \"intermediate_size\": 640, \"num_hidden_layers\": 4, "
        "\"num_hidden_groups\": 2, \"inner_group_num\": 1, \"num_attention_heads\": 12, "
        "\"max_position_embeddings\": 64, \"type_vocab_size\": 2, \"hidden_act\": \"gelu_new\", "
        "\"layer_norm_eps\": 1e-12}";
    static const fixture_tensor outside[] = {
        {"embeddings.word_embeddings.weight", VOCABULARY, EMBEDDING, 0.5, 0},
        {"embeddings.position_embeddings.weight", 64, EMBEDDING, 0.5, 0},
        {"embeddings.token_type_embeddings.weight", 2, EMBEDDING, 0.5, 0},
        {"embeddings.LayerNorm.weight", EMBEDDING, 0, 0.25, 1},
        {"embeddings.LayerNorm.bias", EMBEDDING, 0, 0.25, 0},
        {"encoder.embedding_hidden_mapping_in.weight", HIDDEN, EMBEDDING, 0.1875, 0},
        {"encoder.embedding_hidden_mapping_in.bias", HIDDEN, 0, 0.25, 0},
        {"pooler.weight", HIDDEN, HIDDEN, 0.0859375, 0},
        {"pooler.bias", HIDDEN, 0, 0.25, 0}};
    const fixture_tensor inside[] = {{"attention.query.weight", HIDDEN, HIDDEN, 0.15625, 0},
                                     {"attention.query.bias", HIDDEN, 0, 0.25, 0},
                                     {"attention.key.weight", HIDDEN, HIDDEN, 0.15625, 0},
                                     {"attention.key.bias", HIDDEN, 0, 0.25, 0},
                                     {"attention.value.weight", HIDDEN, HIDDEN, 0.0859375, 0},
                                     {"attention.value.bias", HIDDEN, 0, 0.25, 0},
                                     {"attention.dense.weight", HIDDEN, HIDDEN, 0.0859375 * large, 0},
                                     {"attention.dense.bias", HIDDEN, 0, 0.25, 0},
                                     {"attention.LayerNorm.weight", HIDDEN, 0, 0.25, 1},
                                     {"attention.LayerNorm.bias", HIDDEN, 0, 0.25, 0},
                                     {"ffn.weight", INNER, HIDDEN, 0.0859375 * large, 0},
                                     {"ffn.bias", INNER, 0, 0.25, 0},
                                     {"ffn_output.weight", HIDDEN, INNER, 0.0625 * large, 0},
                                     {"ffn_output.bias", HIDDEN, 0, 0.25, 0},
                                     {"full_layer_layer_norm.weight", HIDDEN, 0, 0.25, 1},
                                     {"full_layer_layer_norm.bias", HIDDEN, 0, 0.25, 0}};
    enum { OUTSIDE = RP_COUNT(outside), INSIDE = RP_COUNT(inside) };
    static char names[2 * INSIDE][128];
    fixture_tensor all[OUTSIDE + 2 * INSIDE];
    memcpy(all, outside, sizeof outside);
    for (size_t i = 0; i < 2 * INSIDE; i++) {
        all[OUTSIDE + i] = inside[i % INSIDE];
        snprintf(names[i], sizeof names[i], "encoder.albert_layer_groups.%zu.albert_layers.0.%s", i / INSIDE,
                 inside[i % INSIDE].name);
        all[OUTSIDE + i].name = names[i];
    }
    const fixture_layout layout = {.dtype = FIXTURE_F32};
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_folder(dir, config, all, RP_COUNT(all), &layout, NULL));
}

/* ---- a right device ---- */

static void check_right(rp_device *device, bool dot, const char *dir, const char *what, rp_output output) {
    for (int precision = RP_PRECISION_INT8; precision <= RP_PRECISION_INT4; precision++) {
        rp_model *model = open_model(device, dir, (rp_precision)precision);
        assert_true(rounds(model) == dot);
        rp_verify_counts counts = run(model, output);
        print_message("%s, precision %d%s: %g\n", what, precision, dot ? ", 8 bits" : "", counts.worst);
        assert_int_equal(counts.wrong, 0);
        assert_true(counts.worst > 0 && counts.worst < BOUND);
        rp_model_close(&model);
    }
}

static void test_right(void **state) {
    static const double large[] = {1, 64, 4096};
    char dirs[RP_COUNT(large)][FIXTURE_PATH_SIZE], what[32];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(large); i++) make_model(dirs[i], large[i]);
    for (int dot = 0; dot < 2; dot++) {
        rp_device *device = open_device(dot);
        check_right(device, dot, SOURCE_DIR "/tools/models/sentiment", "sentiment", RP_OUTPUT_CLASSES);
        for (size_t i = dot ? 0 : RP_COUNT(large) - 1; i < RP_COUNT(large); i++) {
            snprintf(what, sizeof what, "weights times %g", large[i]);
            check_right(device, dot, dirs[i], what, RP_OUTPUT_HIDDEN);
        }
        rp_device_close(&device);
    }
    for (size_t i = 0; i < RP_COUNT(large); i++) fixture_remove_dir(dirs[i]);
}

/* ---- a wrong one ---- */

static bool multiplies(const char *shader) {
    return !strncmp(shader, "matmul_dot", 10);
}

/* The driver gets a constant of GELU wrong by a tenth, after the kernels were proven right. Over a whole
 * model that makes less of a difference than rounding to 8 bits may. */
static void test_small_error(void **state) {
    char dir[FIXTURE_PATH_SIZE];
    rp_device *device = open_device(true);
    (void)state;
    make_model(dir, 1);
    rp_model *model = open_model(device, dir, RP_PRECISION_INT8); /* verdicts go to the cache folder */
    rp_model_close(&model);
    spoil_constant(device, multiplies, 0.79788456080286536f, 0.72f);
    model = open_model(device, dir, RP_PRECISION_INT8);
    assert_true(spoil_seen().spoiled > 0);
    spoil_end();
    assert_true(rounds(model));
    rp_verify_counts counts = run(model, RP_OUTPUT_HIDDEN);
    print_message("a small error: %g\n", counts.worst);
    assert_int_equal(counts.wrong, counts.checked);
    assert_true(counts.worst < 0.2);
    rp_model_close(&model);
    rp_device_close(&device);
    fixture_remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_small_error)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
