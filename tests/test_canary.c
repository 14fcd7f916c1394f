/* A few texts are recomputed in plain C: that agrees with the device in every output, and notices when the
 * device is wrong. */
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "model/canary.h"
#include "model/plain.h"
#include "model/trace.h"
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
static uint64_t numbers[8]; /* of the first mismatches */

static void take_mismatch(void *user, const rp_mismatch *m) {
    sensible = user == &mismatches && m->error > m->bound && m->tokens > 0;
    if (mismatches < RP_COUNT(numbers)) numbers[mismatches] = m->number;
    mismatches++;
}

static rp_model *open_with(const char *dir, rp_model_params params) {
    const rp_mismatch_handler handler = {take_mismatch, &mismatches};
    rp_model *model = NULL;
    rp_error err = {0};
    params.on_mismatch = &handler;
    if (rp_model_open(device, dir, &params, &model, &err)) fail_msg("%s", err.message);
    mismatches = 0;
    return model;
}

static rp_model *open_model(const char *dir, uint32_t every, rp_precision precision) {
    return open_with(dir, (rp_model_params){.verify_every = every, .precision = precision});
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
    static const char *const cases[] = {
        "groups", "inner",    "bert",        "bert_lm",      "bert_spans",         "bert_choice",
        "head26", "odd_bf16", "bert_tokens", "bert_classes", "distilbert_classes", "distilbert_lm"};
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
                  counts.worst < (precision >= RP_PRECISION_F16 ? 0.03 : 1e-3))) /* it did compare */
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

/* `count` texts of two tokens in one call, and what has become of them. */
static rp_verify_counts run_at_once(rp_model *model, size_t count) {
    static const int32_t ids[2] = {1, 2};
    rp_sequence texts[64];
    rp_verify_counts counts;
    rp_error err = {0};
    const rp_run_params run = {.output = RP_OUTPUT_CLS};
    float *out = malloc(count * 768 * sizeof(float));
    assert_non_null(out);
    assert_true(count <= RP_COUNT(texts));
    for (size_t i = 0; i < count; i++) texts[i] = (rp_sequence){ids, NULL, 2};
    if (rp_model_run(model, texts, count, &run, out, count * 768, NULL, &err)) fail_msg("%s", err.message);
    rp_model_verify_counts(model, true, &counts);
    free(out);
    return counts;
}

/* With verify_all a run waits, and one in so many is recomputed. */
static void test_all(void **state) {
    golden g;
    (void)state;
    assert_true(golden_open("groups", NULL, &g));
    rp_model *model = open_with(g.dir, (rp_model_params){.verify_every = 3, .verify_all = true});
    rp_verify_counts counts = run_at_once(model, 40); /* numbers 0, 3, ... 39 */
    assert_int_equal(counts.checked, 14);
    assert_int_equal(counts.dropped, 0);
    counts = run_at_once(model, 40); /* 42, ... 78 */
    assert_int_equal(counts.checked, 14 + 13);
    assert_int_equal(counts.dropped + counts.wrong, 0);
    rp_model_close(&model);
    golden_close(&g);
}

/* ---- callbacks, and ends of calls ---- */

typedef struct inside {
    rp_model *model;
    rp_status closed, ran;
    bool same;
    atomic_bool done;
} inside;

/* Whatever would wait for the thread that calls this. */
static void wait_for_itself(void *user, const rp_mismatch *mismatch) {
    static const int32_t ids[2] = {1, 2};
    const rp_run_params run = {.output = RP_OUTPUT_CLS};
    rp_sequence texts[12];
    static float out[RP_COUNT(texts) * 768];
    inside *in = user;
    rp_model *same = in->model;
    rp_verify_counts counts;
    (void)mismatch;
    if (in->done) return;
    in->closed = rp_model_close(&same);
    in->same = same == in->model;
    rp_model_verify_counts(in->model, true, &counts);
    for (size_t i = 0; i < RP_COUNT(texts); i++) texts[i] = (rp_sequence){ids, NULL, 2};
    in->ran = rp_model_run(in->model, texts, RP_COUNT(texts), &run, out, RP_COUNT(out), NULL, NULL);
    in->done = true;
}

/* The device is said to have given zeros. */
static void offer_zeros(rp_model *model) {
    static const int32_t ids[2] = {1, 2};
    static const float zeros[768];
    const rp_sequence text = {ids, NULL, 2};
    const rp_run_params run = {.output = RP_OUTPUT_CLS};
    assert_int_equal(rp_canary_offer(model->canary, rp_model_trace, &text, 1, &run, zeros, NULL), RP_OK);
}

static void test_callback_that_waits_for_itself(void **state) {
    inside in = {.closed = RP_OK};
    const rp_mismatch_handler handler = {wait_for_itself, &in};
    const rp_model_params params = {.verify_every = 1, .verify_all = true, .on_mismatch = &handler};
    rp_verify_counts counts;
    rp_error err;
    golden g;
    (void)state;
    alarm(300);
    assert_true(golden_open("groups", NULL, &g));
    assert_int_equal(rp_model_open(device, g.dir, &params, &in.model, &err), RP_OK);
    offer_zeros(in.model);
    rp_model_verify_counts(in.model, true, &counts);
    assert_true(in.done);
    assert_int_equal(in.closed, RP_ERROR_ARGUMENT);
    assert_true(in.same);
    assert_int_equal(in.ran, RP_OK);
    assert_int_equal(counts.wrong, 1);
    assert_true(counts.dropped > 0); /* more than had room */
    assert_int_equal(rp_model_close(&in.model), RP_OK);
    golden_close(&g);
    alarm(0);
}

/* The thread is kept in a callback, so the queue stays full: a run that waits for room can be cancelled. */
typedef struct kept {
    atomic_bool in, go;
} kept;

static void stay(void *user, const rp_mismatch *mismatch) {
    kept *k = user;
    (void)mismatch;
    k->in = true;
    while (!k->go) usleep(1000);
}

static void test_deadline_of_a_run_that_waits(void **state) {
    kept k = {false};
    const rp_mismatch_handler handler = {stay, &k};
    const rp_model_params params = {.verify_every = 1, .verify_all = true, .on_mismatch = &handler};
    static const int32_t ids[2] = {1, 2};
    rp_sequence texts[12];
    static float out[RP_COUNT(texts) * 768];
    rp_model *model = NULL;
    rp_verify_counts counts;
    rp_call call = {0};
    const rp_run_params run = {.output = RP_OUTPUT_CLS, .call = &call};
    rp_error err;
    golden g;
    (void)state;
    alarm(300);
    for (size_t i = 0; i < RP_COUNT(texts); i++) texts[i] = (rp_sequence){ids, NULL, 2};
    assert_true(golden_open("groups", NULL, &g));
    assert_int_equal(rp_model_open(device, g.dir, &params, &model, &err), RP_OK);
    offer_zeros(model);
    while (!k.in) usleep(1000);
    call.deadline = rp_clock() + 1; /* enough for the device */
    assert_int_equal(rp_model_run(model, texts, RP_COUNT(texts), &run, out, RP_COUNT(out), NULL, &err),
                     RP_ERROR_DEADLINE);
    k.go = true;
    rp_model_verify_counts(model, true, &counts);
    assert_true(counts.wrong == 1 && counts.checked + counts.dropped <= 1 + RP_COUNT(texts));
    assert_int_equal(rp_model_close(&model), RP_OK);
    golden_close(&g);
    alarm(0);
}

/* A weight file that is cut while a text is being recomputed ends the text, not the program. */
static void test_cut_file(void **state) {
    static const int32_t ids[2] = {1, 2};
    const rp_sequence sequence = {ids, NULL, 2};
    char pattern[FIXTURE_PATH_SIZE + 16];
    float before[768], after[768];
    rp_plain_result result;
    rp_plain plain = {0};
    rp_error err = {0};
    glob_t found;
    golden g;
    (void)state;
    assert_true(golden_open("groups", NULL, &g));
    rp_model *model = open_model(g.dir, 0, RP_PRECISION_DEFAULT);
    assert_true(rp_model_get_info(model)->hidden_size <= 768);
    assert_int_equal(rp_plain_init(&plain, model, &err), RP_OK);
    assert_int_equal(rp_plain_run(&plain, &sequence, RP_OUTPUT_CLS, NULL, 0, NULL, before, &result, &err),
                     RP_OK);
    assert_true(result.done);
    snprintf(pattern, sizeof pattern, "%s/*.safetensors", g.dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) assert_int_equal(truncate(found.gl_pathv[i], 0), 0);
    globfree(&found);
    assert_int_equal(rp_plain_run(&plain, &sequence, RP_OUTPUT_CLS, NULL, 0, NULL, after, &result, &err),
                     RP_OK);
    assert_false(result.done);
    rp_plain_finish(&plain);
    assert_int_equal(rp_plain_init(&plain, model, &err), RP_ERROR_FILE); /* it is not what was opened */
    rp_plain_finish(&plain);
    rp_model_close(&model);
    golden_close(&g);
}

/* ---- numbers that are not finite ---- */

/* Another model of the same shape, whose hidden states overflow in the end, with weights that are all finite.
 */
static void make_overflowing(golden *g) {
    static const fixture_layout f32 = {.dtype = FIXTURE_F32};
    static const char last[] = "bert.encoder.layer.3.output.LayerNorm.weight";
    size_t i = 0;
    assert_true(golden_open("bert_classes", &f32, g));
    while (i < g->tensor_count && strcmp(g->tensors[i].name, last)) i++;
    assert_true(i < g->tensor_count);
    g->tensors[i].offset = 3e38;
    char *config = json_dumps(json_object_get(g->root, "config"), 0);
    assert_true(config && fixture_write_folder(g->dir, config, g->tensors, g->tensor_count, &f32, NULL));
    free(config);
}

/* What becomes of a sequence when the device gives `got`: whether it is wrong. */
static bool is_wrong(rp_canary *canary, const rp_sequence *sequence, rp_output output, const float *got) {
    const rp_run_params run = {.output = output};
    rp_verify_counts before, after;
    rp_canary_counts(canary, true, &before);
    assert_int_equal(rp_canary_offer(canary, rp_model_trace, sequence, 1, &run, got, NULL), RP_OK);
    rp_canary_counts(canary, true, &after);
    assert_int_equal(after.checked, before.checked + 1);
    return after.wrong > before.wrong;
}

/* The first element that `is` holds for; `count`: there is none. */
static size_t first_of(const float *values, size_t count, bool (*is)(float)) {
    size_t i = 0;
    while (i < count && !is(values[i])) i++;
    return i;
}

static bool is_finite(float x) {
    return isfinite(x);
}

static bool is_infinite(float x) {
    return isinf(x);
}

static bool is_nan(float x) {
    return isnan(x);
}

/* The same is right, whatever it is; finite on one side alone is wrong, and so is another infinity. But where
 * sums of the model's own numbers overflow, as in the pooler here, the order of additions says what becomes
 * of them: nothing is wrong there. */
static void test_not_finite(void **state) {
    static const struct {
        bool (*is)(float);
        rp_output output;
        float other[3];
        bool wrong;
    } cases[] = {{is_finite, RP_OUTPUT_CLS, {NAN, INFINITY, -INFINITY}, true},
                 {is_infinite, RP_OUTPUT_CLS, {NAN, 3e38f, 0}, true}, /* and the other infinity */
                 {is_nan, RP_OUTPUT_POOLED, {INFINITY, 3e38f, 0}, false}};
    rp_plain plain = {0};
    rp_canary *canary = NULL;
    rp_error err = {0};
    rp_plain_result result;
    golden g;
    (void)state;
    make_overflowing(&g);
    rp_model *model = open_model(g.dir, 1, RP_PRECISION_F32);
    assert_int_equal(rp_plain_init(&plain, model, &err), RP_OK);
    const rp_model_params params = {.verify_every = 1, .verify_all = true};
    assert_int_equal(rp_canary_open(model, &params, &canary, &err), RP_OK);
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        float out[64];
        size_t width = rp_model_get_info(model)->hidden_size;
        rp_output output = cases[i].output;
        assert_true(width <= RP_COUNT(out));
        assert_int_equal(rp_plain_run(&plain, g.sequences, output, NULL, 0, NULL, out, &result, &err), RP_OK);
        assert_false(is_wrong(canary, g.sequences, output, out));
        size_t at = first_of(out, width, cases[i].is);
        assert_true(at < width);
        float right = out[at];
        for (size_t k = 0; k < RP_COUNT(cases[i].other); k++) {
            out[at] = cases[i].other[k];
            assert_int_equal(is_wrong(canary, g.sequences, output, out), cases[i].wrong);
        }
        out[at] = isinf(right) ? -right : NAN;
        assert_true(is_wrong(canary, g.sequences, output, out) == !isnan(right));
    }
    rp_canary_close(&canary);
    rp_plain_finish(&plain);
    rp_model_close(&model);
    golden_close(&g);
}

/* ---- sums that cancel ---- */

/* The logits of a head may be near zero: they are judged by what they add up. */
static void test_small_logits(void **state) {
    rp_plain plain = {0};
    rp_canary *canary = NULL;
    rp_plain_result result;
    rp_error err = {0};
    golden g;
    float out[64];
    (void)state;
    assert_true(golden_open("bert_choice", NULL, &g));
    rp_model *model = open_model(g.dir, 0, RP_PRECISION_F16);
    assert_int_equal(rp_plain_init(&plain, model, &err), RP_OK);
    const rp_model_params params = {.verify_every = 1, .verify_all = true};
    assert_int_equal(rp_canary_open(model, &params, &canary, &err), RP_OK);
    for (size_t i = 0; i < g.sequence_count; i++) {
        const rp_sequence *sequence = &g.sequences[i];
        assert_int_equal(rp_plain_run(&plain, sequence, RP_OUTPUT_CHOICE, NULL, 0, NULL, out, &result, &err),
                         RP_OK);
        float right = out[0];
        assert_true(result.unit > 0);
        out[0] = right + 0.02f * (float)result.unit;
        assert_false(is_wrong(canary, sequence, RP_OUTPUT_CHOICE, out));
        out[0] = right + 0.2f * (float)fmax(result.unit, fabs(right));
        assert_true(is_wrong(canary, sequence, RP_OUTPUT_CHOICE, out));
    }
    rp_canary_close(&canary);
    rp_plain_finish(&plain);
    rp_model_close(&model);
    golden_close(&g);
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
    /* What is left out is not the end of each call. */
    spoil_begin(device, is_matmul);
    model = open_model(g.dir, 1, RP_PRECISION_DEFAULT);
    spoil_end();
    counts = run_at_once(model, 40);
    assert_int_equal(counts.checked, 4);
    assert_int_equal(counts.wrong, 4);
    assert_int_equal(counts.dropped, 36);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(numbers[i], 9 + 10 * i);
    rp_model_close(&model);
    golden_close(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_one_in),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_callback_that_waits_for_itself),
        cmocka_unit_test(test_deadline_of_a_run_that_waits),
        cmocka_unit_test(test_cut_file),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_small_logits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
