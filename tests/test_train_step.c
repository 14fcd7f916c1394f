/* What a step of training asks of the driver, and that it is reproducible: one vkQueueSubmit for each
 * micro-batch, the same bits each time, nearly the same result however a batch is cut, and clear errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_train.h"
#include "support_vk.h"
#include "train/trainer.h"

static rp_device *device;
static train_case c;
static rp_trainer *trainer;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && train_open("regress", &c) ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    train_close(&c);
    rp_device_close(&device);
    return 0;
}

static int close_trainer(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    return 0;
}

static void open_trainer(const rp_trainer_params *params) {
    rp_error err = {0};
    if (rp_trainer_open(device, c.g.dir, params, &trainer, &err)) fail_msg("%s", err.message);
}

static rp_train_result step(const rp_train_batch *batch) {
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    return result;
}

/* ---- batches ---- */

enum { MANY = 300, LONGEST = 64 };
static int32_t ids[MANY][LONGEST];
static rp_sequence sequences[MANY];
static float targets[MANY];

/* Sequences of 1 to `longest` tokens. */
static rp_train_batch make_batch(size_t count, uint32_t longest, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        sequences[i] = (rp_sequence){.ids = ids[i], .count = 1 + (seed >> 8) % longest};
        for (uint32_t k = 0; k < sequences[i].count; k++)
            ids[i][k] = (int32_t)(((seed >> 4) + 7 * k * k + i) % 131);
        targets[i] = (float)(i % 5) / 4;
    }
    return (rp_train_batch){.sequences = sequences, .count = count, .targets = targets};
}

/* ---- the call count ---- */

/* Prologue, layers, head, layers backwards, epilogue, and the update after the last micro-batch. */
static void check_submission(void) {
    const rp_config *config = &trainer->model->config;
    uint32_t layers = config->layers;
    assert_int_equal(vk_seen.buffer_count, 2 * layers + 4);
    assert_true(vk_seen.buffers[0] == trainer->prologue);
    assert_true(vk_seen.buffers[layers + 1] == trainer->head_commands);
    for (uint32_t i = 0; i < layers; i++) {
        uint32_t group = rp_config_group(config, i);
        assert_true(vk_seen.buffers[1 + i] == trainer->forward[group]);
        assert_true(vk_seen.buffers[2 * layers + 1 - i] == trainer->backward[group]);
    }
    assert_true(vk_seen.buffers[2 * layers + 2] == trainer->epilogue);
    assert_true(vk_seen.buffers[2 * layers + 3] == trainer->update);
}

static void test_one_submission_for_a_micro_batch(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 1e-4};
    open_trainer(&params);
    step(&c.batches[0]);
    vk_watch(device);
    assert_true(vk_watches_everything(device));
    for (uint32_t i = 0; i < 8; i++) {
        const rp_train_batch batch = make_batch(1 + 5 * i, i % 2 ? LONGEST : 3, i);
        vk_seen = (vk_seen_calls){0};
        rp_train_result result = step(&batch);
        assert_int_equal(result.submissions, 1);
        assert_int_equal(vk_seen.submits, 1);
        assert_int_equal(vk_seen.waits, 1);
        assert_int_equal(vk_seen.resets, 1);
        assert_int_equal(vk_seen.others, 0);
        check_submission();
    }
    const rp_train_batch batch = make_batch(MANY, LONGEST, 99);
    vk_seen = (vk_seen_calls){0};
    rp_train_result result = step(&batch);
    assert_true(result.submissions > 1);
    assert_int_equal(vk_seen.submits, result.submissions);
    assert_int_equal(vk_seen.others, 0);
    vk_unwatch(device);
}

/* ---- the same again, and cut ---- */

static float *all_weights(size_t *count) {
    const rp_sequence *all = c.batches[0].sequences;
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    *count = rp_model_output_size(trainer->model, all, c.batches[0].count, &params);
    float *out = calloc(*count, sizeof *out);
    assert_non_null(out);
    if (rp_model_run(trainer->model, all, c.batches[0].count, &params, out, *count, NULL, &err))
        fail_msg("%s", err.message);
    return out;
}

/* Three steps, and the hidden states after them. */
static float *train(const rp_trainer_params *params, rp_train_result *last, size_t *count) {
    const rp_train_batch batch = make_batch(40, LONGEST, 7);
    open_trainer(params);
    for (int i = 0; i < 3; i++) *last = step(&batch);
    float *out = all_weights(count);
    rp_trainer_close(&trainer);
    return out;
}

static void test_the_same_steps_give_the_same_bits(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 1e-3};
    rp_train_result first, second;
    size_t count, again;
    float *a = train(&params, &first, &count), *b = train(&params, &second, &again);
    assert_memory_equal(&first.loss, &second.loss, sizeof first.loss);
    assert_memory_equal(&first.grad_norm, &second.grad_norm, sizeof first.grad_norm);
    assert_int_equal(count, again);
    assert_memory_equal(a, b, count * sizeof *a);
    free(a);
    free(b);
}

static void test_the_cut_changes_rounding_alone(void **state) {
    (void)state;
    rp_trainer_params params = {.learning_rate = 1e-3};
    rp_train_result whole, cut;
    size_t count, again;
    float *a = train(&params, &whole, &count);
    params.max_batch_tokens = 1; /* which is raised to the longest sequence that the model takes */
    float *b = train(&params, &cut, &again);
    assert_int_equal(whole.submissions, 1);
    assert_true(cut.submissions > 1);
    assert_true(fabs(whole.loss - cut.loss) <= 1e-4 * whole.loss);
    assert_true(fabs(whole.grad_norm - cut.grad_norm) <= 1e-4 * whole.grad_norm);
    for (size_t i = 0; i < again; i++) assert_true(fabsf(a[i] - b[i]) < 2e-3f);
    free(a);
    free(b);
}

/* ---- a teacher ---- */

static rp_train_result first_step(const rp_trainer_params *params, const float *teacher) {
    rp_train_batch batch = make_batch(40, LONGEST, 7);
    batch.teacher = teacher;
    open_trainer(params);
    rp_train_result result = step(&batch);
    rp_trainer_close(&trainer);
    return result;
}

/* Where a teacher says what the targets say, it counts as much as a weight says. */
static void test_a_teacher_beside_the_targets(void **state) {
    (void)state;
    const rp_trainer_params plain = {.learning_rate = 1e-3}, half = {.learning_rate = 1e-3, .taught = true},
                            alone = {.learning_rate = 1e-3, .taught = true, .label_weight = -1},
                            cut = {.learning_rate = 1e-3, .taught = true, .max_batch_tokens = 1};
    rp_train_result a = first_step(&plain, NULL), b = first_step(&half, targets),
                    d = first_step(&alone, targets), e = first_step(&cut, targets);
    assert_true(fabs(b.loss - 1.5 * a.loss) <= 1e-5 * b.loss);
    assert_true(fabs(b.grad_norm - 1.5 * a.grad_norm) <= 1e-4 * b.grad_norm);
    assert_true(fabs(d.loss - a.loss) <= 1e-6 * a.loss);
    assert_true(fabs(d.grad_norm - a.grad_norm) <= 1e-5 * a.grad_norm);
    assert_true(e.submissions > 1);
    assert_true(fabs(e.loss - b.loss) <= 1e-4 * b.loss);
    assert_true(fabs(e.grad_norm - b.grad_norm) <= 1e-4 * b.grad_norm);
}

/* ---- the learning rate ---- */

static void test_the_schedule_rises_and_falls(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 8e-4, .warmup_steps = 2, .total_steps = 6};
    const double want[] = {0, 4e-4, 8e-4, 6e-4, 4e-4, 2e-4, 0, 0};
    open_trainer(&params);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(fabs(step(&c.batches[0]).learning_rate - want[i]) < 1e-12);
}

/* Google's, which does not begin anew after the warm-up. */
static void test_the_polynomial_schedule_falls_from_its_beginning(void **state) {
    (void)state;
    const rp_trainer_params params = {.schedule = RP_SCHEDULE_POLYNOMIAL,
                                      .power = 2,
                                      .learning_rate = 9e-4,
                                      .warmup_steps = 1,
                                      .total_steps = 3};
    const double want[] = {0, 4e-4, 1e-4, 0, 0};
    open_trainer(&params);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(fabs(step(&c.batches[0]).learning_rate - want[i]) < 1e-12);
}

/* ---- errors ---- */

static void check_refused(const rp_train_batch *batch, rp_status status, const char *part) {
    rp_error err = {0};
    assert_int_equal(rp_trainer_step(trainer, batch, NULL, &err), status);
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
}

static void test_a_wrong_batch_changes_nothing(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 1e-3};
    open_trainer(&params);
    rp_train_batch batch = make_batch(3, 4, 5);
    double loss = step(&batch).loss;
    rp_trainer_close(&trainer);
    open_trainer(&params);
    targets[1] = NAN;
    check_refused(&batch, RP_ERROR_ARGUMENT, "targets[1]");
    batch = make_batch(3, 4, 5);
    ids[2][0] = 131;
    check_refused(&batch, RP_ERROR_TEXT, "sequence 2");
    batch = make_batch(3, 4, 5);
    batch.targets = NULL;
    check_refused(&batch, RP_ERROR_ARGUMENT, "targets");
    batch = make_batch(0, 4, 5);
    check_refused(&batch, RP_ERROR_ARGUMENT, "no sequences");
    batch = make_batch(3, 4, 5);
    batch.reserved[1] = 1;
    check_refused(&batch, RP_ERROR_ARGUMENT, "reserved");
    batch = make_batch(3, 4, 5);
    assert_true(step(&batch).loss == loss);
}

static void test_a_wrong_teacher_is_refused(void **state) {
    (void)state;
    const rp_trainer_params plain = {.learning_rate = 1e-3}, taught = {.learning_rate = 1e-3, .taught = true};
    float teacher[3] = {0, 1, INFINITY};
    open_trainer(&plain);
    rp_train_batch batch = make_batch(3, 4, 5);
    batch.teacher = targets;
    check_refused(&batch, RP_ERROR_ARGUMENT, "teacher must be NULL");
    rp_trainer_close(&trainer);
    open_trainer(&taught);
    batch.teacher = NULL;
    check_refused(&batch, RP_ERROR_ARGUMENT, "teacher must be given");
    batch.teacher = teacher;
    check_refused(&batch, RP_ERROR_ARGUMENT, "teacher[2] is not finite");
    teacher[2] = 2;
    step(&batch);
}

/* A target so large that the gradient overflows: nothing is changed, and training goes on. */
static void test_a_gradient_that_is_not_finite_changes_nothing(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 1e-3};
    open_trainer(&params);
    rp_train_batch batch = make_batch(3, 4, 5);
    size_t count;
    float *before = all_weights(&count);
    targets[0] = 3e38f;
    check_refused(&batch, RP_ERROR_UNSUPPORTED, "step 1: the gradient of ");
    float *after = all_weights(&count);
    assert_memory_equal(before, after, count * sizeof *before);
    batch = make_batch(3, 4, 5);
    assert_int_equal(step(&batch).step, 1);
    free(before);
    free(after);
}

static void test_wrong_params_are_refused(void **state) {
    (void)state;
    const rp_trainer_params wrong[] = {{.beta1 = 1},
                                       {.beta2 = -1},
                                       {.learning_rate = NAN},
                                       {.eps = INFINITY},
                                       {.label_smoothing = 1},
                                       {.taught = true, .label_weight = NAN},
                                       {.taught = true, .label_weight = INFINITY},
                                       {.hidden_dropout = 1},
                                       {.attention_dropout = -0.1},
                                       {.classifier_dropout = NAN},
                                       {.schedule = (rp_train_schedule)7},
                                       {.warmup_steps = 3, .total_steps = 2},
                                       {.head = RP_HEAD_POOLER},
                                       {.head = RP_HEAD_ORDER},
                                       {.head = RP_HEAD_SPANS | RP_HEAD_MASKED_LM},
                                       {.optimizer = (rp_optimizer)7},
                                       {.power = -1},
                                       {.reserved = {1}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rp_error err = {0};
        assert_int_equal(rp_trainer_open(device, c.g.dir, &wrong[i], &trainer, &err), RP_ERROR_ARGUMENT);
        assert_null(trainer);
        assert_true(strlen(err.message) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_one_submission_for_a_micro_batch, close_trainer),
        cmocka_unit_test_teardown(test_the_same_steps_give_the_same_bits, close_trainer),
        cmocka_unit_test_teardown(test_the_cut_changes_rounding_alone, close_trainer),
        cmocka_unit_test_teardown(test_a_teacher_beside_the_targets, close_trainer),
        cmocka_unit_test_teardown(test_the_schedule_rises_and_falls, close_trainer),
        cmocka_unit_test_teardown(test_the_polynomial_schedule_falls_from_its_beginning, close_trainer),
        cmocka_unit_test_teardown(test_a_wrong_batch_changes_nothing, close_trainer),
        cmocka_unit_test_teardown(test_a_wrong_teacher_is_refused, close_trainer),
        cmocka_unit_test_teardown(test_a_gradient_that_is_not_finite_changes_nothing, close_trainer),
        cmocka_unit_test_teardown(test_wrong_params_are_refused, close_trainer),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
