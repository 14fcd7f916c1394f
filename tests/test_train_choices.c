/* Questions with different numbers of choices in one batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_train.h"

static rp_device *device;
static rp_trainer *trainer;
static train_case c;

static int begin(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && train_open("choose", &c) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    train_close(&c);
    rp_device_close(&device);
    return 0;
}

static void reopen(uint32_t most) {
    rp_trainer_params params = train_params(&c);
    rp_error err = {0};
    params.max_batch_tokens = most;
    rp_trainer_close(&trainer);
    if (rp_trainer_open(device, c.g.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
}

static rp_train_result step(const rp_train_batch *batch) {
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    return result;
}

/* As many for all, said in either way, are the same bits. */
static void test_as_many_for_all(void **state) {
    uint32_t counts[64];
    rp_train_batch batch = c.batches[0];
    (void)state;
    reopen(0);
    rp_train_result one = step(&batch);
    for (size_t i = 0; i < 64; i++) counts[i] = batch.choices;
    batch.choice_counts = counts;
    batch.choices = 0;
    reopen(0);
    rp_train_result other = step(&batch);
    assert_true(one.loss == other.loss && one.grad_norm == other.grad_norm);
}

/* The loss of a batch is the mean of those of its questions, however it is cut. */
static void test_different_numbers(void **state) {
    static const uint32_t counts[] = {2, 1, 3};
    static const int32_t labels[] = {1, 0, 2};
    rp_train_batch batch = c.batches[0];
    double mean = 0;
    size_t first = 0;
    (void)state;
    assert_true(batch.count >= 6);
    for (size_t i = 0; i < 3; first += counts[i++]) {
        rp_train_batch alone = {.sequences = batch.sequences + first,
                                .count = counts[i],
                                .labels = labels + i,
                                .choices = counts[i]};
        reopen(0);
        mean += step(&alone).loss / 3;
    }
    batch =
        (rp_train_batch){.sequences = batch.sequences, .count = 6, .labels = labels, .choice_counts = counts};
    reopen(0);
    rp_train_result whole = step(&batch), second = step(&batch);
    assert_true(fabs(whole.loss - mean) < 1e-5 * mean);
    reopen(1); /* which is raised to the longest sequence */
    rp_train_result cut = step(&batch);
    assert_true(fabs(cut.loss - whole.loss) < 1e-5 * mean);
    assert_true(fabs(cut.grad_norm - whole.grad_norm) < 1e-4 * whole.grad_norm);
    assert_true(fabs(step(&batch).loss - second.loss) < 1e-4 * mean);
}

static void refuse(rp_train_batch batch, const char *part) {
    rp_error err = {0};
    assert_int_equal(rp_trainer_step(trainer, &batch, NULL, &err), RP_ERROR_ARGUMENT);
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
}

static void test_wrong_numbers(void **state) {
    static const uint32_t many[] = {2, 5}, none[] = {2, 0}, good[] = {2, 1, 3};
    static const int32_t labels[] = {1, 0, 2}, wrong[] = {1, 1, 2};
    rp_train_batch batch = {.sequences = c.batches[0].sequences, .count = 6, .labels = labels};
    (void)state;
    reopen(0);
    refuse(batch, "question 0 has 0 choices, and 6 sequences are left");
    batch.choices = 4;
    refuse(batch, "question 1 has 4 choices, and 2 sequences are left");
    batch.choice_counts = many;
    refuse(batch, "question 1 has 5 choices, and 4 sequences are left");
    batch.choice_counts = none;
    refuse(batch, "question 1 has 0 choices");
    batch.choice_counts = good;
    batch.labels = wrong;
    refuse(batch, "labels[1] is 1 and must be below 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_many_for_all),
                                       cmocka_unit_test(test_different_numbers),
                                       cmocka_unit_test(test_wrong_numbers)};
    return cmocka_run_group_tests(tests, begin, end);
}
