/* Internal classifiers that learn (early exit): what a step asks of the driver, what OUT has, and which
 * trainings have none. test_train.c holds the numbers against PyTorch's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/safetensors.h"
#include "support_train.h"
#include "support_vk.h"
#include "train/trainer.h"

enum { LABELS = 2 };

static train_case c;
static char out[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    return fixture_open_device(state) || !train_open("exits", &c) || !fixture_make_dir(out) ? -1 : 0;
}

static int teardown(void **state) {
    fixture_remove_dir(out);
    train_close(&c);
    return fixture_close_device(state);
}

static rp_trainer *open_trainer(const char *dir, const rp_trainer_params *params) {
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    if (rp_trainer_open(fixture_device, dir, params, &trainer, &err)) fail_msg("%s", err.message);
    return trainer;
}

static rp_train_result steps(rp_trainer *trainer, size_t count) {
    rp_train_result result = {0};
    rp_error err = {0};
    for (size_t i = 0; i < count; i++)
        if (rp_trainer_step(trainer, &c.batches[i % TRAIN_BATCHES], &result, &err))
            fail_msg("%s", err.message);
    return result;
}

static void save(rp_trainer *trainer) {
    rp_error err = {0};
    if (rp_trainer_save(trainer, out, true, &err)) fail_msg("%s", err.message);
}

static bool has_tensor(const char *dir, const char *name) {
    char path[FIXTURE_PATH_SIZE + 32];
    rp_tensor_file file = {0};
    rp_error err = {0};
    bool found = false;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(rp_safetensors_open(path, &file, &err), RP_OK);
    for (size_t i = 0; i < file.count; i++) found |= !strcmp(file.entries[i].name, name);
    rp_tensor_file_close(&file);
    return found;
}

/* The first batch's logits and layers of the model in `dir`. */
static void ask(const char *dir, uint32_t patience, float *logits, uint32_t *layers) {
    rp_model *model = NULL;
    rp_error err = {0};
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES, .patience = patience, .layers = layers};
    const rp_train_batch *b = &c.batches[0];
    if (rp_model_open(fixture_device, dir, NULL, &model, &err) ||
        rp_model_run(model, b->sequences, b->count, &params, logits, b->count * LABELS, NULL, &err))
        fail_msg("%s", err.message);
    rp_model_close(&model);
}

/* ---- a step ---- */

static void check_step_is_one_submission(rp_train_freeze freeze) {
    const rp_trainer_params params = {.early_exit = true, .learning_rate = 1e-3, .freeze = freeze};
    rp_trainer *trainer = open_trainer(c.g.dir, &params);
    uint32_t layers = trainer->model->config.layers, exits = layers - 1;
    steps(trainer, 1);
    vk_watch(fixture_device);
    assert_true(vk_watches_everything(fixture_device));
    for (size_t i = 0; i < TRAIN_BATCHES; i++) {
        rp_train_result result;
        rp_error err = {0};
        vk_seen = (vk_seen_calls){0};
        assert_int_equal(rp_trainer_step(trainer, &c.batches[i], &result, &err), RP_OK);
        assert_int_equal(result.submissions, 1);
        assert_int_equal(vk_seen.submits, 1);
        assert_int_equal(vk_seen.others, 0);
        assert_int_equal(vk_seen.buffer_count,
                         freeze == RP_FREEZE_ENCODER ? layers + exits + 3 : 2 * layers + exits + 4);
    }
    vk_unwatch(fixture_device);
    rp_trainer_close(&trainer);
}

static void test_a_step_is_one_submission(void **state) {
    (void)state;
    check_step_is_one_submission(RP_FREEZE_NONE);
    check_step_is_one_submission(RP_FREEZE_ENCODER);
}

/* The sequences of all batches, many times over. */
static rp_train_batch make_large_batch(void) {
    enum { MANY = 240 };
    static rp_sequence sequences[MANY];
    static int32_t labels[MANY];
    size_t count = 0;
    for (size_t b = 0; count < MANY; b = (b + 1) % TRAIN_BATCHES)
        for (size_t i = 0; i < c.batches[b].count && count < MANY; i++, count++) {
            sequences[count] = c.batches[b].sequences[i];
            labels[count] = c.batches[b].labels[i];
        }
    return (rp_train_batch){.sequences = sequences, .count = count, .labels = labels};
}

static rp_train_result three_steps(const rp_trainer_params *params, const rp_train_batch *batch) {
    rp_trainer *trainer = open_trainer(c.g.dir, params);
    rp_train_result result = {0};
    rp_error err = {0};
    for (int i = 0; i < 3; i++)
        if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    return result;
}

/* Layers that are computed again, and a batch that is cut, change rounding alone. */
static void test_recomputed_and_cut(void **state) {
    (void)state;
    const rp_train_batch batch = make_large_batch();
    rp_trainer_params params = {.early_exit = true, .learning_rate = 1e-4, .max_batch_tokens = 8192};
    rp_train_result kept = three_steps(&params, &batch), again, cut;
    params.recompute = RP_RECOMPUTE_ALWAYS;
    again = three_steps(&params, &batch);
    params.max_batch_tokens = 1; /* which is raised to the longest sequence that the model takes */
    cut = three_steps(&params, &batch);
    assert_int_equal(kept.submissions, 1);
    assert_true(cut.submissions > 1);
    assert_true(fabs(kept.loss - again.loss) <= 1e-4 * kept.loss);
    assert_true(fabs(kept.loss - cut.loss) <= 1e-4 * kept.loss);
    assert_true(fabs(kept.grad_norm - cut.grad_norm) <= 1e-3 * kept.grad_norm);
}

/* Where a teacher says what it says, in 0 of the loss, nothing is otherwise; a teacher alone is learnt by
 * all. */
static void test_a_teacher_teaches_all(void **state) {
    (void)state;
    static float says[64 * LABELS];
    const rp_trainer_params params = {
        .early_exit = true, .taught = true, .label_weight = -1, .learning_rate = 1e-2};
    rp_trainer *trainer = open_trainer(c.g.dir, &params);
    rp_train_batch batch = c.batches[0];
    rp_train_result first = {0}, last = {0};
    rp_error err = {0};
    for (size_t i = 0; i < batch.count; i++) says[LABELS * i] = i % 2 ? 3 : -3;
    batch.teacher = says;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(rp_trainer_step(trainer, &batch, i ? &last : &first, &err), RP_OK);
        assert_int_equal(last.submissions, i ? 1 : 0);
    }
    assert_true(last.loss < 0.8 * first.loss);
    rp_trainer_close(&trainer);
}

/* ---- what is saved ---- */

/* Classifiers and pooler learn alone, on layers that stay. */
static void test_a_frozen_encoder(void **state) {
    (void)state;
    const rp_trainer_params params = {.early_exit = true, .learning_rate = 3e-2, .freeze = RP_FREEZE_ENCODER};
    float logits[64 * LABELS];
    uint32_t layers[64];
    rp_trainer *trainer = open_trainer(c.g.dir, &params);
    double first = steps(trainer, 1).loss, last = 0;
    for (int i = 0; i < 20; i++) last = steps(trainer, 1).loss;
    assert_true(last < 0.5 * first);
    save(trainer);
    rp_trainer_close(&trainer);
    ask(out, 2, logits, layers);
    size_t right = 0, early = 0;
    for (size_t i = 0; i < c.batches[0].count; i++) {
        right += (logits[LABELS * i + 1] > logits[LABELS * i]) == (c.batches[0].labels[i] == 1);
        early += layers[i] < 8;
    }
    assert_true(early > 0);
    assert_true(right + 1 >= c.batches[0].count);
}

/* The last one is the classifier, which is asked without patience. */
static void test_the_last_one_is_the_classifier(void **state) {
    (void)state;
    const rp_trainer_params params = {.early_exit = true, .learning_rate = 1e-3};
    float patient[64 * LABELS], plain[64 * LABELS], trained[64 * LABELS];
    uint32_t layers[64];
    const rp_run_params run = {.output = RP_OUTPUT_CLASSES},
                        early = {.output = RP_OUTPUT_CLASSES, .patience = 1};
    const rp_train_batch *b = &c.batches[0];
    rp_error err = {0};
    rp_trainer *trainer = open_trainer(c.g.dir, &params);
    steps(trainer, 3);
    save(trainer);
    rp_model *model = rp_trainer_model(trainer);
    if (rp_model_run(model, b->sequences, b->count, &run, trained, b->count * LABELS, NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(
        rp_model_run(model, b->sequences, b->count, &early, plain, b->count * LABELS, NULL, &err),
        RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "is being trained"));
    rp_trainer_close(&trainer);
    ask(out, 0, plain, NULL);
    ask(out, 100, patient, layers);
    for (size_t i = 0; i < b->count * LABELS; i++) {
        assert_true(fabsf(plain[i] - patient[i]) < 1e-4f);
        assert_true(fabsf(plain[i] - trained[i]) < 1e-4f);
    }
    assert_true(has_tensor(out, "classifiers.0.weight") && has_tensor(out, "classifiers.7.bias"));
    assert_true(has_tensor(out, "classifier.weight"));
}

/* Those of the folder are not of the model that comes out, where they do not learn. */
static void test_without_it_they_are_left_out(void **state) {
    (void)state;
    const rp_trainer_params params = {.learning_rate = 1e-3};
    rp_trainer *trainer = open_trainer(c.g.dir, &params);
    steps(trainer, 1);
    save(trainer);
    rp_trainer_close(&trainer);
    assert_true(has_tensor(out, "classifier.weight"));
    assert_false(has_tensor(out, "classifiers.0.weight"));
}

/* A folder without them, or with another number of labels, gets them. */
static void test_they_are_made(void **state) {
    (void)state;
    const rp_trainer_params plain = {.learning_rate = 1e-3},
                            early = {.early_exit = true, .learning_rate = 2e-3, .seed = 3},
                            more = {.early_exit = true, .head = RP_HEAD_CLASSIFIER, .label_count = 3};
    char second[FIXTURE_PATH_SIZE];
    rp_error err = {0};
    rp_trainer *trainer = open_trainer(c.g.dir, &plain);
    save(trainer);
    rp_trainer_close(&trainer);
    assert_true(fixture_make_dir(second));
    trainer = open_trainer(out, &early);
    double first = steps(trainer, 1).loss, last = 0;
    for (int i = 0; i < 20; i++) last = steps(trainer, 1).loss;
    assert_true(last < 0.8 * first);
    if (rp_trainer_save(trainer, second, false, &err)) fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    assert_true(has_tensor(second, "classifiers.6.weight"));
    trainer = open_trainer(second, &more);
    assert_true(fabs(steps(trainer, 1).loss - log(3)) < 0.2);
    rp_trainer_close(&trainer);
    fixture_remove_dir(second);
}

/* ---- what is refused ---- */

static void refused(const char *name, rp_trainer_params params, rp_status status, const char *message) {
    train_case other;
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    assert_true(train_open(name, &other));
    params.early_exit = true;
    assert_int_equal(rp_trainer_open(fixture_device, other.g.dir, &params, &trainer, &err), status);
    assert_null(trainer);
    if (!strstr(err.message, message)) fail_msg("%s", err.message);
    train_close(&other);
}

static void test_refusals(void **state) {
    (void)state;
    refused("exits", (rp_trainer_params){.optimizer = RP_OPTIMIZER_LAMB}, RP_ERROR_ARGUMENT, "ADAMW");
    refused("exits", (rp_trainer_params){.vectors = RP_VECTORS_IN_BATCH}, RP_ERROR_ARGUMENT,
            "RP_HEAD_CLASSIFIER");
    refused("exits", (rp_trainer_params){.head = RP_HEAD_TOKENS}, RP_ERROR_ARGUMENT, "RP_HEAD_CLASSIFIER");
    refused("tag", (rp_trainer_params){0}, RP_ERROR_ARGUMENT, "one of several labels");
    refused("multilabel", (rp_trainer_params){0}, RP_ERROR_ARGUMENT, "one of several labels");
    refused("regress", (rp_trainer_params){0}, RP_ERROR_ARGUMENT, "one of several labels");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_is_one_submission),
        cmocka_unit_test(test_recomputed_and_cut),
        cmocka_unit_test(test_a_teacher_teaches_all),
        cmocka_unit_test(test_a_frozen_encoder),
        cmocka_unit_test(test_the_last_one_is_the_classifier),
        cmocka_unit_test(test_without_it_they_are_left_out),
        cmocka_unit_test(test_they_are_made),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
