/* Models whose weights are stored in fewer bits: how far their results are from float32, that a text's bits
 * do not depend on its neighbours, and that less memory is taken. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

static rp_model *open_model(const char *dir, rp_precision precision) {
    rp_model *model = NULL;
    rp_error err = {0};
    rp_model_params params = {.precision = precision};
    if (rp_model_open(fixture_device, dir, &params, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_model_get_info(model)->precision, precision);
    return model;
}

static float *run(rp_model *model, const golden *g, size_t i, const size_t *order, size_t *size) {
    float *out = golden_run(model, g, g->outputs[i].output, order, g->sequence_count, size);
    assert_non_null(out);
    return out;
}

/* ---- how far from float32 ---- */

/* The root mean square of the differences, in units of the values' own. */
static double difference(const float *got, const float *want, size_t size) {
    double squares = 0, values = 0;
    for (size_t i = 0; i < size; i++) {
        double d = (double)got[i] - want[i];
        squares += d * d;
        values += (double)want[i] * want[i];
    }
    return sqrt(squares / values);
}

static const double bounds[] = {[RP_PRECISION_DEFAULT] = 0, /* the files are F16: nothing is lost */
                                [RP_PRECISION_F32] = 0,
                                [RP_PRECISION_F16] = 2e-3, /* so are the activations */
                                [RP_PRECISION_INT8] = 0.03,
                                [RP_PRECISION_INT4] = 0.25};

/* The bundled models, each output: trained weights. */
static void test_close_to_float32(void **state) {
    golden g;
    assert_true(golden_open(*state, NULL, &g));
    rp_model *exact = open_model(g.dir, RP_PRECISION_F32);
    for (rp_precision p = RP_PRECISION_DEFAULT; p <= RP_PRECISION_INT4; p++) {
        rp_model *model = open_model(g.dir, p);
        for (size_t i = 0; i < g.output_count; i++) {
            size_t size, same;
            float *want = run(exact, &g, i, NULL, &size), *got = run(model, &g, i, NULL, &same);
            assert_int_equal(size, same);
            double off = difference(got, want, size);
            double bound = size < 100 ? 3 * bounds[p] : bounds[p]; /* a few logits may be small */
            if (!(off <= bound))
                fail_msg("%s, %s, precision %d: off by %g of the values", g.name,
                         golden_output_name(g.outputs[i].output), p, off);
            if (p >= RP_PRECISION_INT8) assert_true(off > 0); /* it is another model */
            free(want);
            free(got);
        }
        rp_model_close(&model);
    }
    rp_model_close(&exact);
    golden_close(&g);
}

/* Any shape, F32 files of random weights: halves lose a thousandth of a value or so. */
static void test_halves_of_float32_files(void **state) {
    golden g;
    assert_true(golden_open(*state, NULL, &g));
    rp_model *exact = open_model(g.dir, RP_PRECISION_DEFAULT);
    rp_model *same = open_model(g.dir, RP_PRECISION_F32), *half = open_model(g.dir, RP_PRECISION_F16);
    for (size_t i = 0; i < g.output_count; i++) {
        size_t size;
        float *want = run(exact, &g, i, NULL, &size), *f32 = run(same, &g, i, NULL, &size),
              *f16 = run(half, &g, i, NULL, &size);
        assert_memory_equal(f32, want, size * sizeof *want);
        double off = difference(f16, want, size);
        if (!(off > 0 && off <= 2e-3)) fail_msg("%s: off by %g of the values", g.name, off);
        free(want);
        free(f32);
        free(f16);
    }
    rp_model_close(&exact);
    rp_model_close(&same);
    rp_model_close(&half);
    golden_close(&g);
}

/* ---- the same bits whatever the neighbours ---- */

static void check_bits(rp_model *model, const golden *g, rp_output output) {
    size_t order[32], sizes[32], n = g->sequence_count, all = 0, at = 0;
    assert_true(n <= 32);
    for (size_t s = 0; s < n; s++) order[s] = n - 1 - s;
    float *together = golden_run(model, g, output, order, n, &all);
    assert_non_null(together);
    for (size_t s = 0; s < n; at += sizes[s++]) {
        float *alone = golden_run(model, g, output, &order[s], 1, &sizes[s]);
        assert_non_null(alone);
        assert_true(at + sizes[s] <= all);
        for (size_t i = 0; i < sizes[s]; i++) assert_true(isfinite(alone[i]));
        assert_memory_equal(alone, together + at, sizes[s] * sizeof *alone);
        free(alone);
    }
    assert_int_equal(at, all);
    free(together);
}

static void test_same_bits_in_any_batch(void **state) {
    golden g;
    assert_true(golden_open(*state, NULL, &g));
    for (rp_precision p = RP_PRECISION_F16; p <= RP_PRECISION_INT4; p++) {
        rp_model *model = open_model(g.dir, p);
        for (size_t i = 0; i < g.output_count; i++) check_bits(model, &g, g.outputs[i].output);
        rp_model_close(&model);
    }
    golden_close(&g);
}

/* ---- memory, and what is refused ---- */

static uint64_t bytes_of(const char *dir, rp_precision precision) {
    rp_model *model = open_model(dir, precision);
    uint64_t bytes = rp_model_get_info(model)->device_bytes;
    rp_model_close(&model);
    return bytes;
}

static void test_memory(void **state) {
    (void)state;
    golden g;
    assert_true(golden_open("sentiment", NULL, &g));
    /* one layer of 4 * 384^2 + 2 * 384 * 1536 weights and a map of 128 * 384; the tables stay F16 */
    uint64_t layer = 4 * 384 * 384 + 2 * 384 * 1536 + 128 * 384;
    uint64_t f32 = bytes_of(g.dir, RP_PRECISION_F32), f16 = bytes_of(g.dir, RP_PRECISION_F16);
    uint64_t int8 = bytes_of(g.dir, RP_PRECISION_INT8), int4 = bytes_of(g.dir, RP_PRECISION_INT4);
    assert_true(bytes_of(g.dir, RP_PRECISION_DEFAULT) > f16); /* the same weights, larger activations */
    assert_true(f32 - f16 >= 2 * layer);
    assert_true(f16 - int8 >= layer * 9 / 10);
    assert_true(int8 - int4 >= layer * 4 / 10);
    golden_close(&g);
}

static void test_unknown_precision(void **state) {
    (void)state;
    rp_model *model = NULL;
    rp_error err = {0};
    rp_model_params params = {.precision = (rp_precision)5};
    assert_int_equal(rp_model_open_random(fixture_device, "base", &params, &model, &err), RP_ERROR_ARGUMENT);
    assert_null(model);
    assert_non_null(strstr(err.message, "precision 5"));
}

#define CASE(function, golden) \
    { .name = #function " " golden, .test_func = function, .initial_state = golden }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_close_to_float32, "sentiment"),
        CASE(test_close_to_float32, "pretrained"),
        CASE(test_halves_of_float32_files, "odd"),
        CASE(test_halves_of_float32_files, "bert_lm"),
        CASE(test_halves_of_float32_files, "distilbert_classes"),
        CASE(test_same_bits_in_any_batch, "sentiment"),
        CASE(test_same_bits_in_any_batch, "odd"),
        CASE(test_same_bits_in_any_batch, "bert_pretraining"),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_unknown_precision),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
