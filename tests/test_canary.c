/* A few texts are recomputed in plain C: that agrees with the device in every output, and notices when the
 * device is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "support_spoil.h"

static rp_device *device;
static char cache[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!fixture_make_dir(cache)) return -1;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err))
        print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(cache);
    return 0;
}

static _Atomic unsigned mismatches;
static _Atomic bool sensible;

static void take_mismatch(void *user, const rp_mismatch *m) {
    sensible = user == &mismatches && m->error > m->bound && m->tokens > 0;
    mismatches++;
}

static rp_model *open_model(const char *dir, uint32_t every, rp_precision precision) {
    const rp_mismatch_handler handler = {take_mismatch, &mismatches};
    const rp_model_params params = {.verify_every = every, .precision = precision, .on_mismatch = &handler};
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(device, dir, &params, &model, &err)) fail_msg("%s", err.message);
    mismatches = 0;
    return model;
}

/* Every output of a case, one sequence at a time so that none is left out. */
static void run_all(rp_model *model, const golden *g) {
    for (size_t i = 0; i < g->output_count; i++)
        for (size_t s = 0; s < g->sequence_count; s++) {
            rp_verify_counts counts;
            size_t size;
            free(golden_run(model, g, g->outputs[i].output, &s, 1, &size));
            rp_model_verify_counts(model, true, &counts);
        }
}

/* ---- a right device ---- */

static void test_agrees(void **state) {
    static const char *const cases[] = {"groups",      "inner",  "bert",     "bert_lm",     "bert_spans",
                                        "bert_choice", "head26", "odd_bf16", "bert_tokens", "bert_classes"};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        golden g;
        rp_verify_counts counts;
        assert_true(golden_open(cases[i], NULL, &g));
        for (int precision = RP_PRECISION_DEFAULT; precision <= (i ? 0 : RP_PRECISION_INT4); precision++) {
            rp_model *model = open_model(g.dir, 1, (rp_precision)precision);
            run_all(model, &g);
            rp_model_verify_counts(model, true, &counts);
            if (counts.wrong || mismatches)
                fail_msg("%s, precision %d: off by %g", cases[i], precision, counts.worst);
            assert_true(counts.checked > 0);
            assert_int_equal(counts.dropped, 0);
            if (!(counts.worst > 0 &&
                  counts.worst < (precision >= RP_PRECISION_F16 ? 0.1 : 1e-3))) /* it did compare */
                fail_msg("%s, precision %d: %g", cases[i], precision, counts.worst);
            rp_model_close(&model);
        }
        golden_close(&g);
    }
}

static void test_one_in(void **state) {
    golden g;
    rp_verify_counts counts;
    (void)state;
    assert_true(golden_open("groups", NULL, &g));
    rp_model *model = open_model(g.dir, 3, RP_PRECISION_DEFAULT);
    for (size_t i = 0; i < 7; i++) {
        size_t order = i % g.sequence_count, size;
        free(golden_run(model, &g, RP_OUTPUT_MEAN, &order, 1, &size));
        rp_model_verify_counts(model, true, &counts);
    }
    assert_int_equal(counts.checked, 3); /* numbers 0, 3 and 6 */
    rp_model_close(&model);
    model = open_model(g.dir, 0, RP_PRECISION_DEFAULT);
    rp_model_verify_counts(model, true, &counts);
    assert_int_equal(counts.checked + counts.dropped, 0);
    rp_model_verify_counts(NULL, true, &counts);
    rp_model_close(&model);
    golden_close(&g);
}

/* Many texts at once: most are left out, none is waited for, and closing gives up what is queued. */
static void test_busy(void **state) {
    enum { TEXTS = 64 };
    int32_t ids[128];
    rp_sequence texts[TEXTS];
    float *out = rp_new_array(float, (size_t)TEXTS * 768);
    rp_model *model = NULL;
    rp_error err = {0};
    rp_verify_counts counts;
    const rp_run_params run = {.output = RP_OUTPUT_MEAN};
    golden g;
    (void)state;
    assert_non_null(out);
    assert_true(golden_open("groups", NULL, &g));
    model = open_model(g.dir, 1, RP_PRECISION_DEFAULT);
    uint32_t longest = rp_model_get_info(model)->max_tokens;
    if (longest > 128) longest = 128;
    for (uint32_t i = 0; i < 128; i++) ids[i] = (int32_t)(i % rp_model_get_info(model)->vocab_size);
    for (uint32_t i = 0; i < TEXTS; i++) texts[i] = (rp_sequence){ids, NULL, longest};
    assert_int_equal(rp_model_run(model, texts, TEXTS, &run, out, (size_t)TEXTS * 768, NULL, &err), RP_OK);
    rp_model_verify_counts(model, true, &counts);
    assert_int_equal(counts.checked + counts.dropped, TEXTS);
    assert_int_equal(counts.wrong, 0);
    assert_int_equal(rp_model_run(model, texts, TEXTS, &run, out, (size_t)TEXTS * 768, NULL, &err), RP_OK);
    rp_model_close(&model); /* with texts in the queue */
    golden_close(&g);
    free(out);
}

/* ---- a wrong one ---- */

static bool trusting; /* the fault comes after the kernels were found right */
static bool is_matmul(const char *shader) {
    return trusting && !strncmp(shader, "matmul", 6);
}

static void test_notices(void **state) {
    golden g;
    rp_verify_counts counts;
    (void)state;
    assert_true(golden_open("groups", NULL, &g));
    trusting = false;
    rp_model *model = open_model(g.dir, 0, RP_PRECISION_DEFAULT); /* verdicts go to the cache */
    rp_model_close(&model);
    trusting = true;
    spoil_begin(device, is_matmul);
    model = open_model(g.dir, 1, RP_PRECISION_DEFAULT);
    assert_true(spoil_seen().spoiled > 0);
    spoil_end();
    run_all(model, &g);
    rp_model_verify_counts(model, true, &counts);
    assert_true(counts.checked > 0);
    assert_int_equal(counts.wrong, counts.checked);
    assert_int_equal(mismatches, counts.wrong);
    assert_true(sensible);
    assert_true(counts.worst > 0.1);
    rp_model_close(&model);
    golden_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_one_in),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_notices),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
