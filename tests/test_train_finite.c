/* What is not finite in float32 is an error that names the step and the tensor, of whatever kind, and changes
 * nothing; training goes on when it is mended. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_pretrain.h"
#include "support_train.h"
#include "train/trainer.h"

static rp_device *device;
static rp_trainer *trainer;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

static int close_trainer(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    return 0;
}

static void open_trainer(const char *dir, rp_trainer_params params) {
    rp_error err = {0};
    if (rp_trainer_open(device, dir, &params, &trainer, &err)) fail_msg("%s", err.message);
}

static rp_train_result step(const rp_train_batch *batch) {
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    return result;
}

/* ---- one number on the device ---- */

/* Put a number in place of element `at` of a range, and return what was there. */
static float exchange(rp_store *store, rp_range range, VkDeviceSize at, float value) {
    rp_error err = {0};
    float was = 0;
    rp_status status = rp_model_begin(trainer->model, &err);
    assert_int_equal(status, RP_OK);
    status = rp_store_read(store, range, 4 * at, 4, &was, &err);
    if (!status) status = rp_store_flush(store, &err);
    float *to = status ? NULL : rp_store_write(store, range, 4 * at, 4, &err);
    if (to) *to = value;
    if (!status) status = rp_store_flush(store, &err);
    if (rp_model_end(trainer->model, status)) fail_msg("%s", err.message);
    return was;
}

static void turn(void) {
    rp_error err = {0};
    assert_int_equal(rp_model_begin(trainer->model, &err), RP_OK);
    if (rp_model_end(trainer->model, rp_train_turn(trainer, &err))) fail_msg("%s", err.message);
}

static rp_range gradient_of(const rp_parameter *p) {
    const rp_window *w = &trainer->windows[p->window];
    rp_range range = w->gradient;
    range.offset += p->range.offset - w->weights.offset;
    range.size = p->range.size;
    return range;
}

/* ---- each tensor ---- */

static void check_error(const rp_train_batch *batch, const rp_parameter *p, const char *what) {
    rp_error err = {0};
    char want[200], layer[32] = "";
    if (p->layer >= 0) snprintf(layer, sizeof layer, " of layer %d", p->layer);
    snprintf(want, sizeof want, "step 2: the %s of %s%s %s not finite, and no parameter was changed", what,
             p->name, layer, *what == 'w' ? "are" : "is");
    assert_int_equal(rp_trainer_step(trainer, batch, NULL, &err), RP_ERROR_UNSUPPORTED);
    if (strncmp(err.message, want, strlen(want))) fail_msg("'%s' and not '%s'", err.message, want);
}

/* After a first step: one number of each gradient, and of each tensor of weights. */
static void check_parameters(const rp_train_batch *batch, const rp_train_batch *next, size_t kinds) {
    const char *names[64] = {NULL};
    size_t known = 0;
    step(batch);
    for (size_t i = 0; i < trainer->parameter_count; i++) {
        const rp_parameter *p = &trainer->parameters[i];
        VkDeviceSize at = i % (p->range.size / 4);
        size_t k = 0;
        while (k < known && strcmp(names[k], p->name)) k++;
        if (k == known) names[known++] = p->name;
        exchange(&trainer->gradients, gradient_of(p), at, i % 2 ? INFINITY : NAN);
        check_error(next, p, "gradient");
        if (!strcmp(p->name, "word embeddings")) continue; /* nobody reads the first word */
        float was = exchange(&trainer->model->on_device.store, p->range, 0, NAN);
        check_error(next, p, "weights");
        exchange(&trainer->model->on_device.store, p->range, 0, was);
        turn(); /* the update has turned what was there */
    }
    assert_true(isfinite(step(next).grad_norm));
    assert_int_equal(known, kinds);
}

static void check_case(const char *name, size_t kinds) {
    train_case c;
    assert_true(train_open(name, &c));
    rp_trainer_params params = train_params(&c);
    open_trainer(c.g.dir, params);
    check_parameters(&c.batches[0], &c.batches[1], kinds);
    train_close(&c);
}

static void test_albert(void **state) {
    (void)state;
    check_case("classify", 22);
}

static void test_bert(void **state) {
    (void)state;
    check_case("classify_bert", 20);
}

static void test_pre_training(void **state) {
    pretrain_case c;
    (void)state;
    assert_true(pretrain_open("untied", &c));
    open_trainer(c.dir, pretrain_params(&c, RP_OPTIMIZER_LAMB));
    check_parameters(&c.batches[0], &c.batches[1], 23);
    pretrain_close(&c);
}

/* ---- where it began ---- */

/* One overflow makes every gradient before it NaN: the tensor that is named is where that began. */
static void test_the_first_on_the_way_back_is_named(void **state) {
    train_case c;
    rp_error err = {0};
    (void)state;
    assert_true(train_open("regress", &c));
    open_trainer(c.g.dir, train_params(&c));
    float targets[4] = {3e38f, 3e38f, 3e38f, 3e38f};
    rp_train_batch batch = c.batches[0];
    batch.count = 2;
    batch.targets = targets;
    assert_int_equal(rp_trainer_step(trainer, &batch, NULL, &err), RP_ERROR_UNSUPPORTED);
    const char want[] = "step 1: the gradient of classifier";
    if (strncmp(err.message, want, strlen(want))) fail_msg("%s", err.message);
    step(&c.batches[0]);
    train_close(&c);
}

/* A learning rate that throws the weights out of float32. */
static void test_weights_that_an_update_made_infinite(void **state) {
    train_case c;
    rp_error err = {0};
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = train_params(&c);
    params.learning_rate = 3.4e38;
    params.weight_decay = 1;
    open_trainer(c.g.dir, params);
    rp_status status = RP_OK;
    for (int i = 0; !status && i < 3; i++) status = rp_trainer_step(trainer, &c.batches[0], NULL, &err);
    assert_int_equal(status, RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "step "));
    assert_non_null(strstr(err.message, " not finite"));
    train_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_albert, close_trainer),
        cmocka_unit_test_teardown(test_bert, close_trainer),
        cmocka_unit_test_teardown(test_pre_training, close_trainer),
        cmocka_unit_test_teardown(test_the_first_on_the_way_back_is_named, close_trainer),
        cmocka_unit_test_teardown(test_weights_that_an_update_made_infinite, close_trainer),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
