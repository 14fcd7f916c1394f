/* Training in f16: the losses follow those of float32, a step that overflows is skipped and others go on, the
 * scale is part of a checkpoint, and the device does no more than in float32. */
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
#include "support_vk.h"
#include "train/trainer.h"

static rp_device *device;
static rp_trainer *trainer;
static char dir[FIXTURE_PATH_SIZE]; /* of a test */

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

static int make_dir(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int clean_up(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    fixture_remove_dir(dir);
    return 0;
}

static void open_trainer(const char *model, rp_trainer_params params) {
    rp_error err = {0};
    params.precision = RP_PRECISION_F16;
    if (rp_trainer_open(device, model, &params, &trainer, &err)) fail_msg("%s", err.message);
}

static rp_train_result step(const rp_train_batch *batch) {
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    return result;
}

static double relative(double got, double want) {
    return fabs(got - want) / fabs(want);
}

/* ---- it follows float32 ---- */

enum { FOLLOWED = 10 };

static void test_losses_follow_pytorch(void **state) {
    static const char *const names[] = {"classify",        "classify_bert",  "tag",
                                        "answer_groups",   "embed",          "choose",
                                        "classify_taught", "classify_frozen"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        train_case c;
        double loss = 0, norm = 0;
        assert_true(train_open(names[i], &c));
        open_trainer(c.g.dir, train_params(&c));
        for (size_t k = 0; k < FOLLOWED; k++) {
            rp_train_result result = step(&c.batches[k % TRAIN_BATCHES]);
            assert_false(result.skipped);
            assert_true(result.loss_scale == 65536);
            loss = fmax(loss, relative(result.loss, c.loss[k]));
            norm = fmax(norm, relative(result.grad_norm, c.norm[k]));
        }
        if (loss > 1e-2 || norm > 1e-2) fail_msg("%s: loss %.1e, norm %.1e away", names[i], loss, norm);
        if (loss == 0 || norm == 0) fail_msg("%s: nothing is rounded", names[i]);
        rp_trainer_close(&trainer);
        train_close(&c);
    }
}

static void test_pre_training_follows(void **state) {
    static const char *const names[] = {"untied", "inner", "bert"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pretrain_case c;
        rp_train_result want[4];
        assert_true(pretrain_open(names[i], &c));
        rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
        for (int half = 0; half < 2; half++) {
            rp_error err = {0};
            params.precision = half ? RP_PRECISION_F16 : RP_PRECISION_F32;
            if (rp_trainer_open(device, c.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
            for (size_t k = 0; k < 4; k++) {
                rp_train_result result = step(&c.batches[k % PRETRAIN_BATCHES]);
                if (!half) want[k] = result;
                double loss = relative(result.loss, want[k].loss),
                       norm = relative(result.grad_norm, want[k].grad_norm);
                if (loss > 1e-2 || norm > 5e-2)
                    fail_msg("%s, step %zu: loss %.1e, norm %.1e away", names[i], k + 1, loss, norm);
            }
            rp_trainer_close(&trainer);
        }
        pretrain_close(&c);
    }
}

/* ---- what the device does ---- */

static void test_one_submission_and_the_same_bits(void **state) {
    train_case c;
    rp_train_result results[2][4];
    (void)state;
    assert_true(train_open("tag", &c));
    for (int again = 0; again < 2; again++) {
        rp_trainer_params params = train_params(&c);
        params.hidden_dropout = 0.1;
        open_trainer(c.g.dir, params);
        for (int k = 0; k < 4; k++) {
            if (k == 1) vk_watch(device);
            vk_seen = (vk_seen_calls){0};
            results[again][k] = step(&c.batches[k % TRAIN_BATCHES]);
            results[again][k].seconds = 0;
            if (!k) continue;
            assert_int_equal(vk_seen.submits, 1);
            assert_int_equal(vk_seen.others, 0);
        }
        vk_unwatch(device);
        rp_trainer_close(&trainer);
    }
    assert_memory_equal(results[0], results[1], sizeof results[0]);
    train_close(&c);
}

/* ---- an overflow ---- */

static float *hidden_states(const train_case *c, size_t *size) {
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    rp_model *model = rp_trainer_model(trainer);
    *size = rp_model_output_size(model, c->batches[0].sequences, c->batches[0].count, &params);
    float *out = calloc(*size, sizeof *out);
    assert_non_null(out);
    if (rp_model_run(model, c->batches[0].sequences, c->batches[0].count, &params, out, *size, NULL, &err))
        fail_msg("%s", err.message);
    return out;
}

/* With this scale the gradients of the first steps are beyond float16. */
static const double TOO_LARGE = 1 << 28;

static void test_an_overflow_is_skipped(void **state) {
    train_case c;
    size_t size;
    int skipped = 0;
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = train_params(&c);
    params.loss_scale = TOO_LARGE;
    params.schedule = RP_SCHEDULE_LINEAR;
    params.total_steps = 1000000;
    open_trainer(c.g.dir, params);
    float *before = hidden_states(&c, &size), *after = before;
    rp_train_result result = step(&c.batches[0]);
    assert_true(result.skipped && !isfinite(result.grad_norm));
    assert_true(result.loss_scale == TOO_LARGE && relative(result.loss, c.loss[0]) < 1e-2);
    for (; result.skipped; skipped++) {
        assert_true(skipped < 28);
        after = hidden_states(&c, &size);
        assert_memory_equal(before, after, size * sizeof *after); /* nothing has changed */
        free(after);
        result = step(&c.batches[0]);
        assert_int_equal(result.step, skipped + 2);
        assert_true(result.loss_scale == ldexp(TOO_LARGE, -skipped - 1));
        assert_true(result.learning_rate == params.learning_rate); /* as if there had been no step */
    }
    after = hidden_states(&c, &size);
    assert_memory_not_equal(before, after, size * sizeof *after);
    assert_true(relative(result.grad_norm, c.norm[0]) < 5e-2);
    for (size_t k = 1; k < 5 && !result.skipped; k++) { /* goes on as if there had been none */
        result = step(&c.batches[k]);
        assert_true(relative(result.loss, c.loss[k]) < 1e-2);
    }
    free(before);
    free(after);
    train_close(&c);
}

/* What no scale makes finite is an error, as in float32. */
static void test_what_is_never_finite_is_an_error(void **state) {
    train_case c;
    rp_error err = {0};
    rp_train_result result;
    rp_status status = RP_OK;
    (void)state;
    assert_true(train_open("regress", &c));
    float targets[4] = {3e38f, 3e38f, 3e38f, 3e38f};
    rp_train_batch batch = c.batches[0];
    batch.count = 2;
    batch.targets = targets;
    rp_trainer_params params = train_params(&c);
    params.loss_scale = 4;
    open_trainer(c.g.dir, params);
    for (int i = 0; i < 2; i++) assert_true(step(&batch).skipped);
    status = rp_trainer_step(trainer, &batch, &result, &err);
    assert_int_equal(status, RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "step 3: the gradient of "));
    assert_non_null(strstr(err.message, "with a loss scale of 1"));
    assert_false(step(&c.batches[0]).skipped); /* the trainer is of use */
    train_close(&c);
}

/* It grows again after 2000 steps that were not skipped. */
static void test_the_scale_grows(void **state) {
    train_case c;
    (void)state;
    assert_true(train_open("classify", &c));
    open_trainer(c.g.dir, train_params(&c));
    trainer->scale.good = 1998;
    assert_true(step(&c.batches[0]).loss_scale == 65536);
    assert_true(step(&c.batches[1]).loss_scale == 65536);
    assert_true(step(&c.batches[2]).loss_scale == 131072);
    assert_int_equal(trainer->scale.good, 1);
    train_close(&c);
}

/* ---- checkpoints ---- */

static void test_a_checkpoint_has_the_scale(void **state) {
    train_case c;
    char saved[FIXTURE_PATH_SIZE + 16];
    rp_error err = {0};
    rp_train_result want, got;
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = train_params(&c);
    params.loss_scale = TOO_LARGE;
    params.schedule = RP_SCHEDULE_LINEAR;
    params.total_steps = 50;
    open_trainer(c.g.dir, params);
    for (size_t k = 0; k < 12; k++) want = step(&c.batches[k % TRAIN_BATCHES]);
    assert_false(want.skipped);
    assert_true(trainer->scale.skipped > 0);
    trainer->scale.good = 1999;
    snprintf(saved, sizeof saved, "%s/saved", dir);
    if (rp_trainer_save_state(trainer, saved, &err)) fail_msg("%s", err.message);
    const rp_train_scale scale = trainer->scale;
    for (size_t k = 0; k < 3; k++) {
        want = step(&c.batches[k]);
        assert_true(k != 1 || want.loss_scale == 2 * scale.scale);
    }
    rp_trainer_close(&trainer);
    params.resume = saved;
    open_trainer(c.g.dir, params);
    assert_true(trainer->scale.scale == scale.scale && trainer->scale.good == scale.good &&
                trainer->scale.skipped == scale.skipped);
    for (size_t k = 0; k < 3; k++) got = step(&c.batches[k]);
    want.seconds = got.seconds = 0;
    assert_memory_equal(&want, &got, sizeof got);
    rp_trainer_close(&trainer);
    /* in f32 the scale is none, but skipped steps do not count there, either, nor in what that saves */
    for (int again = 0; again < 2; again++) {
        params.loss_scale = 0;
        params.resume = saved;
        if (rp_trainer_open(device, c.g.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
        assert_true(trainer->scale.scale == 1 && trainer->scale.skipped == scale.skipped);
        got = step(&c.batches[0]);
        assert_true(got.learning_rate ==
                    params.learning_rate * (double)(50 - (12 + (uint64_t)again - scale.skipped)) / 50);
        snprintf(saved, sizeof saved, "%s/again%d", dir, again);
        if (rp_trainer_save_state(trainer, saved, &err)) fail_msg("%s", err.message);
        rp_trainer_close(&trainer);
    }
    train_close(&c);
}

/* ---- what is refused ---- */

static void test_params(void **state) {
    train_case c;
    rp_error err = {0};
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = train_params(&c);
    params.precision = RP_PRECISION_INT8;
    assert_int_equal(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "precision"));
    static const double bad[] = {3, 0.5, -65536, INFINITY, NAN, 1e38};
    params.precision = RP_PRECISION_F16;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        params.loss_scale = bad[i];
        assert_int_equal(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), RP_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "loss_scale"));
    }
    train_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_losses_follow_pytorch, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_pre_training_follows, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_one_submission_and_the_same_bits, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_an_overflow_is_skipped, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_what_is_never_finite_is_an_error, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_the_scale_grows, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_a_checkpoint_has_the_scale, make_dir, clean_up),
        cmocka_unit_test_setup_teardown(test_params, make_dir, clean_up),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
