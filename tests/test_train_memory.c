/* What training takes of a device: layers that are kept or computed again give the same bits, a device with
 * small storage buffers gets smaller micro-batches, and the numbers that are planned are those that are
 * taken.
 */
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
static uint64_t storage_bytes; /* of the device, which tests make smaller */
static rp_trainer *trainer;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    if (device) storage_bytes = device->caps.info.max_storage_bytes;
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
    device->caps.info.max_storage_bytes = storage_bytes;
    return 0;
}

static void open_trainer(const train_case *c, const rp_trainer_params *params) {
    rp_error err = {0};
    if (rp_trainer_open(device, c->g.dir, params, &trainer, &err)) fail_msg("%s", err.message);
}

/* Some steps on the batches of a case. */
enum { STEPS = 3 };
typedef struct learnt {
    rp_train_result last;
    uint32_t batch_tokens;
    bool recomputes;
    size_t count;
    float *hidden; /* [count] after them */
} learnt;

static learnt learn(const train_case *c, const rp_trainer_params *params) {
    const rp_run_params run = {.output = RP_OUTPUT_HIDDEN};
    const rp_train_batch *batch = &c->batches[0];
    learnt out = {0};
    rp_error err = {0};
    open_trainer(c, params);
    out.batch_tokens = rp_trainer_get_info(trainer)->batch_tokens;
    out.recomputes = rp_trainer_get_info(trainer)->recomputes;
    for (int i = 0; i < STEPS; i++)
        if (rp_trainer_step(trainer, &c->batches[i % TRAIN_BATCHES], &out.last, &err))
            fail_msg("%s", err.message);
    rp_model *model = rp_trainer_model(trainer);
    out.count = rp_model_output_size(model, batch->sequences, batch->count, &run);
    out.hidden = calloc(out.count, sizeof *out.hidden);
    assert_non_null(out.hidden);
    if (rp_model_run(model, batch->sequences, batch->count, &run, out.hidden, out.count, NULL, &err))
        fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    return out;
}

/* ---- kept, or computed again ---- */

static void test_both_ways_give_the_same_bits(void **state) {
    static const char *const cases[] = {"regress", "classify_bert", "answer_groups"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        train_case c;
        if (!train_open(cases[i], &c)) fail_msg("%s", cases[i]);
        rp_trainer_params params = train_params(&c);
        params.hidden_dropout = params.attention_dropout = 0.1;
        params.recompute = RP_RECOMPUTE_ALWAYS;
        learnt again = learn(&c, &params);
        params.recompute = RP_RECOMPUTE_NEVER;
        learnt kept = learn(&c, &params);
        assert_true(again.recomputes && !kept.recomputes);
        assert_memory_equal(&again.last.loss, &kept.last.loss, sizeof kept.last.loss);
        assert_memory_equal(&again.last.grad_norm, &kept.last.grad_norm, sizeof kept.last.grad_norm);
        assert_memory_equal(again.hidden, kept.hidden, kept.count * sizeof *kept.hidden);
        free(again.hidden);
        free(kept.hidden);
        train_close(&c);
    }
}

static void test_both_ways_make_one_submission(void **state) {
    train_case c;
    (void)state;
    if (!train_open("regress", &c)) fail();
    for (int way = RP_RECOMPUTE_ALWAYS; way <= RP_RECOMPUTE_NEVER; way++) {
        rp_trainer_params params = train_params(&c);
        rp_error err = {0};
        params.recompute = (rp_recompute)way;
        open_trainer(&c, &params);
        assert_int_equal(rp_trainer_step(trainer, &c.batches[0], NULL, &err), RP_OK);
        vk_watch(device);
        for (int i = 0; i < TRAIN_BATCHES; i++) {
            vk_seen = (vk_seen_calls){0};
            assert_int_equal(rp_trainer_step(trainer, &c.batches[i], NULL, &err), RP_OK);
            assert_int_equal(vk_seen.submits, 1);
            assert_int_equal(vk_seen.others, 0);
        }
        vk_unwatch(device);
        rp_trainer_close(&trainer);
    }
    train_close(&c);
}

/* ---- small storage buffers ---- */

/* The largest range that a trainer of these params binds. */
static uint64_t widest(const train_case *c, const rp_trainer_params *params) {
    rp_train_buffers none;
    rp_train_room rooms[RP_MOST_TRAIN_ROOMS];
    uint64_t most = 0;
    open_trainer(c, params);
    const rp_train_shape shape = rp_train_shape_of(trainer);
    for (size_t i = rp_train_rooms(&shape, &none, rooms); i--;)
        if (4 * rooms[i].floats > most) most = 4 * rooms[i].floats;
    rp_trainer_close(&trainer);
    return most;
}

static void test_small_buffers_make_small_parts(void **state) {
    train_case c;
    (void)state;
    if (!train_open("regress", &c)) fail();
    rp_trainer_params params = train_params(&c);
    params.recompute = RP_RECOMPUTE_NEVER;
    params.max_batch_tokens = 1; /* which is raised to the longest sequence */
    uint64_t least = widest(&c, &params);
    params.max_batch_tokens = 4096;
    learnt whole = learn(&c, &params);
    device->caps.info.max_storage_bytes = least;
    learnt cut = learn(&c, &params);
    assert_true(cut.batch_tokens < whole.batch_tokens);
    assert_true(!cut.recomputes);
    assert_true(fabs(whole.last.loss - cut.last.loss) <= 1e-4 * fabs(whole.last.loss));
    assert_true(fabs(whole.last.grad_norm - cut.last.grad_norm) <= 1e-4 * whole.last.grad_norm);
    for (size_t i = 0; i < cut.count; i++) assert_true(fabsf(whole.hidden[i] - cut.hidden[i]) < 2e-3f);
    free(whole.hidden);
    free(cut.hidden);
    train_close(&c);
}

static void test_too_small_buffers_compute_again(void **state) {
    train_case c;
    (void)state;
    if (!train_open("regress", &c)) fail();
    rp_trainer_params params = train_params(&c);
    params.recompute = RP_RECOMPUTE_NEVER;
    params.max_batch_tokens = 1;
    device->caps.info.max_storage_bytes = widest(&c, &params) - 1;
    rp_error err = {0};
    assert_int_equal(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), RP_ERROR_UNSUPPORTED);
    assert_null(trainer);
    assert_non_null(strstr(err.message, "storage buffer"));
    params.recompute = RP_RECOMPUTE_AUTO;
    learnt again = learn(&c, &params);
    assert_true(again.recomputes);
    free(again.hidden);
    train_close(&c);
}

/* ---- numbers ---- */

static const uint64_t MIB = 1 << 20;

/* A plan for one of the presets. */
static rp_trainer_info planned(const char *config, rp_recompute recompute) {
    const rp_trainer_params params = {.recompute = recompute};
    rp_trainer_info info;
    rp_error err = {0};
    if (rp_trainer_plan(device, config, &params, &info, &err)) fail_msg("%s: %s", config, err.message);
    assert_true(info.batch_tokens >= 512);
    assert_int_equal(info.weights + info.gradients + info.moments + info.transposes + info.activations +
                         info.logits,
                     info.device_bytes);
    return info;
}

static void test_plans_are_as_promised(void **state) {
    (void)state;
    device->caps.info.max_storage_bytes = 128 * MIB;
    rp_trainer_info base = planned("base", RP_RECOMPUTE_AUTO), again = planned("base", RP_RECOMPUTE_ALWAYS);
    assert_true(!base.recomputes && again.recomputes);
    assert_true(base.device_bytes <= 700 * MIB && again.device_bytes <= 700 * MIB);
    assert_true(again.kept / again.batch_tokens * 5 < base.kept / base.batch_tokens);
    assert_true(base.gradients == base.weights && base.moments == 2 * base.weights);
    assert_true(planned("xxlarge", RP_RECOMPUTE_AUTO).recomputes); /* a layer's z is too large a range */
    rp_trainer_info largest = planned("xxlarge", RP_RECOMPUTE_ALWAYS);
    assert_true(largest.device_bytes <= 5 * 1024 * MIB);
    assert_true(largest.weights > 800 * MIB);
}

/* As large as the sum of what it says, and about as large as planned. */
static void test_base_takes_what_is_planned(void **state) {
    rp_error err = {0};
    (void)state;
    const rp_trainer_params params = {.head = RP_HEAD_CLASSIFIER, .label_count = 2};
    rp_trainer_info plan = planned("base", RP_RECOMPUTE_AUTO);
    uint64_t before = rp_device_memory_used(device);
    if (rp_trainer_open_random(device, "base", &params, &trainer, &err)) fail_msg("%s", err.message);
    const rp_trainer_info *info = rp_trainer_get_info(trainer);
    assert_int_equal(rp_device_memory_used(device) - before, info->device_bytes);
    assert_true(info->device_bytes <= 700 * MIB);
    assert_int_equal(info->batch_tokens, plan.batch_tokens);
    assert_true(fabs((double)info->device_bytes - (double)plan.device_bytes) <
                0.03 * (double)plan.device_bytes);
    assert_true(info->weights >= plan.weights && info->weights < plan.weights + plan.weights / 50);
    assert_true(info->kernel_count > 10);
    for (size_t i = 0; i < info->kernel_count; i++)
        assert_true(*info->kernels[i].what && *info->kernels[i].kernel);
}

static void test_wrong_plans_are_refused(void **state) {
    const rp_trainer_params wrong = {.reserved = {0, 1}};
    rp_trainer_info info;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_trainer_plan(NULL, "base", NULL, &info, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_trainer_plan(device, NULL, NULL, &info, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_trainer_plan(device, "base", NULL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_trainer_plan(device, "base", &wrong, &info, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_trainer_plan(device, "no such config", NULL, &info, &err), RP_ERROR_FILE);
    device->caps.info.max_storage_bytes = 1 << 16;
    assert_int_equal(rp_trainer_plan(device, "base", NULL, &info, &err), RP_ERROR_UNSUPPORTED);
    assert_null(rp_trainer_get_info(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_both_ways_give_the_same_bits, close_trainer),
        cmocka_unit_test_teardown(test_both_ways_make_one_submission, close_trainer),
        cmocka_unit_test_teardown(test_small_buffers_make_small_parts, close_trainer),
        cmocka_unit_test_teardown(test_too_small_buffers_compute_again, close_trainer),
        cmocka_unit_test_teardown(test_plans_are_as_promised, close_trainer),
        cmocka_unit_test_teardown(test_base_takes_what_is_planned, close_trainer),
        cmocka_unit_test_teardown(test_wrong_plans_are_refused, close_trainer),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
