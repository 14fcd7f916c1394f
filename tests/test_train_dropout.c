/* Dropout: the way back goes through the elements that the way forwards kept, in the recomputation too, and
 * the cut of a batch changes nothing. */
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

static train_case c;

static int close_case(void **state) {
    (void)state;
    train_close(&c);
    return 0;
}

/* The first step of a trainer of the model in `dir`, on the first batch. What it made is saved to `out`;
 * NULL: nowhere. */
static rp_train_result first_step(const char *dir, const rp_trainer_params *params, const char *out) {
    rp_trainer *trainer = NULL;
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_open(fixture_device, dir, params, &trainer, &err) ||
        rp_trainer_step(trainer, &c.batches[0], &result, &err) ||
        (out && rp_trainer_save(trainer, out, true, &err)))
        fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    return result;
}

/* AdamW with so large an eps that its first step is `rate` times the gradient. */
static rp_trainer_params plain_descent(double rate) {
    const double EPS = 1e4;
    return (rp_trainer_params){.schedule = RP_SCHEDULE_CONSTANT,
                               .learning_rate = rate * EPS,
                               .eps = EPS,
                               .max_grad_norm = -1,
                               .seed = 77};
}

/* How much the loss falls for each unit of the gradient's square, over a step of `rate` along it: 1 for small
 * steps, where the gradient is that of the loss. Both losses are of the same elements. */
static double fall(rp_trainer_params params, double rate) {
    char dir[FIXTURE_PATH_SIZE];
    rp_trainer_params step = plain_descent(rate);
    assert_true(fixture_make_dir(dir));
    params.learning_rate = step.learning_rate;
    rp_train_result before = first_step(c.g.dir, &params, dir);
    rp_train_result after = first_step(dir, &params, NULL);
    fixture_remove_dir(dir);
    return (before.loss - after.loss) / (rate * before.grad_norm * before.grad_norm);
}

/* Without what the curve of the loss adds in proportion to the step. */
static void check_gradient(rp_trainer_params params, double rate) {
    double whole = fall(params, rate), half = fall(params, rate / 2), limit = 2 * half - whole;
    if (!(fabs(limit - 1) < 0.01)) fail_msg("%.5f: %.5f and %.5f", limit, whole, half);
}

static void check_case(const char *name, double rate) {
    rp_trainer_params none = plain_descent(0), each[3] = {none, none, none}, all = none;
    assert_true(train_open(name, &c));
    check_gradient(none, rate);
    each[0].hidden_dropout = each[1].attention_dropout = each[2].classifier_dropout = 0.3;
    all.hidden_dropout = all.attention_dropout = all.classifier_dropout = 0.2;
    double loss = first_step(c.g.dir, &none, NULL).loss;
    for (int i = 0; i < 3; i++) {
        assert_true(first_step(c.g.dir, &each[i], NULL).loss != loss);
        check_gradient(each[i], rate);
    }
    check_gradient(all, rate);
}

static void test_albert(void **state) {
    (void)state;
    check_case("classify", 1e-3);
}
static void test_bert(void **state) {
    (void)state;
    check_case("classify_bert", 1e-3);
}
static void test_tokens(void **state) {
    (void)state;
    check_case("tag", 1e-3);
}

static void test_the_cut_changes_rounding_alone(void **state) {
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = {
        .hidden_dropout = 0.2, .attention_dropout = 0.2, .classifier_dropout = 0.2, .seed = 3};
    rp_train_result whole = first_step(c.g.dir, &params, NULL), again = first_step(c.g.dir, &params, NULL);
    assert_memory_equal(&whole.loss, &again.loss, sizeof whole.loss);
    assert_memory_equal(&whole.grad_norm, &again.grad_norm, sizeof whole.grad_norm);
    params.max_batch_tokens = 1; /* which is raised to the longest sequence that the model takes: 40 */
    rp_train_result cut = first_step(c.g.dir, &params, NULL);
    assert_int_equal(whole.submissions, 1);
    assert_true(cut.submissions > 1);
    assert_true(fabs(whole.loss - cut.loss) <= 1e-4 * whole.loss);
    assert_true(fabs(whole.grad_norm - cut.grad_norm) <= 1e-4 * whole.grad_norm);
    params.seed = 4;
    assert_true(fabs(first_step(c.g.dir, &params, NULL).loss - whole.loss) > 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_albert, close_case),
        cmocka_unit_test_teardown(test_bert, close_case),
        cmocka_unit_test_teardown(test_tokens, close_case),
        cmocka_unit_test_teardown(test_the_cut_changes_rounding_alone, close_case),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
