/* Heads that are made where a folder has none, trained, and saved with their labels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/weights.h"
#include "support_fixture.h"
#include "train/trainer.h"

static golden g;
static rp_trainer *trainer;
static char dir[FIXTURE_PATH_SIZE];

static int clean(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    golden_close(&g);
    g = (golden){0};
    fixture_remove_dir(dir);
    *dir = 0;
    return 0;
}

static void open_case(const char *name, const rp_trainer_params *params) {
    const fixture_layout layout = {0};
    rp_error err = {0};
    if (!g.name) assert_true(golden_open(name, &layout, &g));
    if (!*dir) assert_true(fixture_make_dir(dir));
    if (rp_trainer_open(fixture_device, g.dir, params, &trainer, &err)) fail_msg("%s", err.message);
}

/* ---- training a little ---- */

static const int32_t ids[] = {5, 17, 3, 90, 64, 8}, labels[] = {1, 0, 1, 1, 0, 1, 0, 1, 0};
static const float targets[] = {1, 0, 0, 1, 1, 0, 0, 0, 1};
static const rp_sequence sequences[] = {{ids, NULL, 3}, {ids + 1, NULL, 4}, {ids + 2, NULL, 2}};
static const rp_train_batch batch = {
    .sequences = sequences, .count = 3, .labels = labels, .targets = targets, .choices = 3};

static void train(void) {
    rp_train_result first = {0}, last = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, &batch, &first, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 12; i++)
        if (rp_trainer_step(trainer, &batch, &last, &err)) fail_msg("%s", err.message);
    assert_true(last.loss < 0.9 * first.loss);
}

static void run(rp_model *model, rp_output output, float out[64], size_t *size) {
    const rp_run_params params = {.output = output};
    rp_error err = {0};
    *size = rp_model_output_size(model, sequences, 3, &params);
    assert_in_range(*size, 1, 64);
    if (rp_model_run(model, sequences, 3, &params, out, 64, NULL, &err)) fail_msg("%s", err.message);
}

/* Save, open what was saved, and compare. Returns its info, valid until it is closed. */
static rp_model *save_and_open(rp_output output, const char *architecture) {
    float want[64], got[64];
    rp_model *saved = NULL;
    rp_error err = {0};
    size_t size, other;
    if (rp_trainer_save(trainer, dir, true, &err)) fail_msg("%s", err.message);
    if (rp_model_open(fixture_device, dir, NULL, &saved, &err)) fail_msg("%s", err.message);
    assert_string_equal(rp_model_get_info(saved)->architecture, architecture);
    assert_int_equal(rp_model_get_info(saved)->parameters, trainer->model->info.parameters);
    run(trainer->model, output, want, &size);
    run(saved, output, got, &other);
    assert_int_equal(size, other);
    assert_memory_equal(want, got, size * sizeof *got);
    return saved;
}

/* ---- the heads ---- */

static void test_a_classifier_with_labels(void **state) {
    (void)state;
    static const char *const names[] = {"good", "bad", "\"neither\""};
    const rp_trainer_params params = {.head = RP_HEAD_CLASSIFIER,
                                      .label_count = 3,
                                      .labels = names,
                                      .problem = RP_PROBLEM_MULTI_LABEL,
                                      .learning_rate = 1e-3};
    open_case("groups", &params);
    train();
    rp_model *saved = save_and_open(RP_OUTPUT_CLASSES, "AlbertForSequenceClassification");
    const rp_model_info *info = rp_model_get_info(saved);
    assert_int_equal(info->label_count, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(info->labels[i], names[i]);
    assert_int_equal(info->problem, RP_PROBLEM_MULTI_LABEL);
    assert_true(info->heads & RP_HEAD_MASKED_LM); /* which the folder had */
    rp_model_close(&saved);
}

/* The folder has neither a head nor the pooler that it stands on. */
static void test_a_head_with_its_pooler(void **state) {
    (void)state;
    const rp_trainer_params params = {.head = RP_HEAD_CHOICE, .learning_rate = 1e-3};
    open_case("bert_tokens", &params);
    assert_true(trainer->model->info.heads & RP_HEAD_POOLER);
    train();
    rp_model *saved = save_and_open(RP_OUTPUT_CHOICE, "BertForMultipleChoice");
    rp_model_close(&saved);
}

static void test_tags_in_place_of_a_classifier(void **state) {
    (void)state;
    const rp_trainer_params params = {.head = RP_HEAD_TOKENS, .label_count = 5, .learning_rate = 1e-3};
    open_case("bert_classes", &params);
    train();
    rp_model *saved = save_and_open(RP_OUTPUT_TOKENS, "BertForTokenClassification");
    assert_int_equal(rp_model_get_info(saved)->label_count, 5);
    assert_string_equal(rp_model_get_info(saved)->labels[4], "LABEL_4");
    rp_model_close(&saved);
}

static void test_spans(void **state) {
    (void)state;
    const rp_trainer_params params = {.head = RP_HEAD_SPANS, .learning_rate = 1e-3};
    open_case("head16", &params);
    train();
    rp_model *saved = save_and_open(RP_OUTPUT_SPANS, "AlbertForQuestionAnswering");
    rp_model_close(&saved);
}

/* A head that is there stays as it is. */
static void test_no_head_is_made_in_vain(void **state) {
    (void)state;
    const rp_trainer_params asked = {.head = RP_HEAD_CLASSIFIER, .label_count = 2}, plain = {0};
    float a[64], b[64];
    size_t size, other;
    open_case("odd", &asked);
    run(trainer->model, RP_OUTPUT_CLASSES, a, &size);
    rp_trainer_close(&trainer);
    open_case("odd", &plain);
    run(trainer->model, RP_OUTPUT_CLASSES, b, &other);
    assert_int_equal(size, other);
    assert_memory_equal(a, b, size * sizeof *a);
}

/* ---- its weights ---- */

static void test_weights_are_a_truncated_normal(void **state) {
    (void)state;
    float seen[3][400];
    for (int i = 0; i < 3; i++) {
        const rp_trainer_params params = {.head = RP_HEAD_TOKENS, .label_count = 10, .seed = i ? 2 : 1};
        open_case("groups", &params);
        const rp_weights *w = &trainer->model->weights;
        double sum = 0, squares = 0;
        assert_int_equal(w->classifier.rows, 10);
        rp_tensor_read(&w->classifier, 0, 400, seen[i]);
        for (int k = 0; k < 400; k++) {
            assert_true(fabsf(seen[i][k]) <= 0.04f);
            sum += seen[i][k] / 400;
            squares += seen[i][k] * seen[i][k] / 400;
        }
        assert_true(fabs(sum) < 0.004);
        assert_true(sqrt(squares) > 0.015 && sqrt(squares) < 0.02); /* 0.0176 */
        for (int k = 0; k < 10; k++) assert_true(rp_tensor_get(&w->classifier_bias, (size_t)k) == 0);
        rp_trainer_close(&trainer);
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_equal(seen[1], seen[2], sizeof seen[0]);
}

static void test_what_cannot_be_made_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"one", NULL};
    const rp_trainer_params none = {0},
                            wrong[] = {
                                {.label_count = 3},
                                {.head = RP_HEAD_SPANS, .label_count = 2},
                                {.head = RP_HEAD_TOKENS, .label_count = 1u << 20},
                                {.head = RP_HEAD_TOKENS, .label_count = 2, .labels = names},
                                {.head = RP_HEAD_TOKENS, .label_count = 2, .problem = (rp_problem)9},
                            };
    const rp_trainer_params taught = {.head = RP_HEAD_TOKENS, .label_count = 2, .taught = true};
    rp_error err = {0};
    const fixture_layout layout = {0};
    assert_true(golden_open("groups", &layout, &g));
    assert_int_equal(rp_trainer_open(fixture_device, g.dir, &taught, &trainer, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "a teacher teaches"));
    assert_int_equal(rp_trainer_open(fixture_device, g.dir, &none, &trainer, &err), RP_ERROR_HEAD);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(rp_trainer_open(fixture_device, g.dir, &wrong[i], &trainer, &err),
                         RP_ERROR_ARGUMENT);
        assert_null(trainer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_classifier_with_labels, clean),
        cmocka_unit_test_teardown(test_a_head_with_its_pooler, clean),
        cmocka_unit_test_teardown(test_tags_in_place_of_a_classifier, clean),
        cmocka_unit_test_teardown(test_spans, clean),
        cmocka_unit_test_teardown(test_no_head_is_made_in_vain, clean),
        cmocka_unit_test_teardown(test_weights_are_a_truncated_normal, clean),
        cmocka_unit_test_teardown(test_what_cannot_be_made_is_refused, clean),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
