/* Vectors of texts that learn: nearly the same however a batch is cut, the same bits each time, and clear
 * errors. What PyTorch makes of them is in test_train.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support_fixture.h"
#include "support_vk.h"
#include "train/trainer.h"

static rp_device *device;
static golden g;
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

static int clean(void **state) {
    (void)state;
    rp_trainer_close(&trainer);
    golden_close(&g);
    g = (golden){0};
    return 0;
}

/* ---- batches ---- */

enum { MANY = 1204, LONGEST = 40, WIDTH = 39 };
static int32_t ids[MANY][LONGEST];
static rp_sequence sequences[MANY];
static float scores[MANY / 2], teacher[MANY * WIDTH];

static rp_train_batch make_batch(size_t pairs, uint32_t seed) {
    for (size_t i = 0; i < 2 * pairs; i++) {
        seed = seed * 1664525 + 1013904223;
        sequences[i] = (rp_sequence){.ids = ids[i], .count = 1 + (seed >> 8) % LONGEST};
        for (uint32_t k = 0; k < sequences[i].count; k++)
            ids[i][k] = (int32_t)(((seed >> 4) + 7 * k * k + i) % 131);
        scores[i / 2] = (float)(i % 5) / 4;
    }
    return (rp_train_batch){.sequences = sequences, .count = 2 * pairs, .targets = scores};
}

static rp_status try_open(const rp_trainer_params *params, rp_error *err) {
    const fixture_layout layout = {0};
    if (!g.name) assert_true(golden_open("odd", &layout, &g));
    return rp_trainer_open(device, g.dir, params, &trainer, err);
}

static void open_trainer(const rp_trainer_params *params) {
    rp_error err = {0};
    if (try_open(params, &err)) fail_msg("%s", err.message);
}

/* ---- a batch that is cut ---- */

/* Three steps; the losses and norms, and the hidden states after them. */
static float *train(const rp_trainer_params *params, rp_train_result results[3], size_t *count) {
    rp_train_batch batch = make_batch(21, 7);
    if (params->taught) batch.teacher = teacher;
    const rp_run_params hidden = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    open_trainer(params);
    for (int i = 0; i < 3; i++)
        if (rp_trainer_step(trainer, &batch, &results[i], &err)) fail_msg("%s", err.message);
    *count = rp_model_output_size(trainer->model, batch.sequences, 9, &hidden);
    float *out = calloc(*count, sizeof *out);
    assert_non_null(out);
    if (rp_model_run(trainer->model, batch.sequences, 9, &hidden, out, *count, NULL, &err))
        fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    return out;
}

static void check_cut(const rp_trainer_params *params) {
    rp_trainer_params less = *params;
    rp_train_result whole[3] = {0}, again[3] = {0}, cut[3] = {0};
    size_t count, same;
    float *a = train(params, whole, &count), *b = train(params, again, &same);
    assert_memory_equal(a, b, count * sizeof *a);
    free(b);
    less.max_batch_tokens = 1; /* which is raised to the longest sequence that the model takes */
    b = train(&less, cut, &same);
    for (int i = 0; i < 3; i++) {
        assert_true(whole[i].loss == again[i].loss && whole[i].grad_norm == again[i].grad_norm);
        assert_int_equal(whole[i].submissions, 1);
        assert_true(cut[i].submissions > 8);
        assert_int_equal(cut[i].submissions % 2, 0);
        assert_int_equal(whole[i].tokens, cut[i].tokens);
        assert_true(fabs(whole[i].loss - cut[i].loss) <= 1e-4 * whole[i].loss);
        assert_true(fabs(whole[i].grad_norm - cut[i].grad_norm) <= 1e-4 * whole[i].grad_norm);
    }
    assert_true(whole[0].loss > 1e-3 && whole[0].grad_norm > 1e-3);
    for (size_t i = 0; i < count; i++) assert_true(fabsf(a[i] - b[i]) < 2e-3f);
    free(a);
    free(b);
}

static void test_the_cut_changes_rounding_alone(void **state) {
    (void)state;
    check_cut(&(rp_trainer_params){.vectors = RP_VECTORS_IN_BATCH, .learning_rate = 1e-3});
    check_cut(&(rp_trainer_params){.vectors = RP_VECTORS_SCORED, .learning_rate = 1e-3});
    check_cut(&(rp_trainer_params){.vectors = RP_VECTORS_SCORED, .learning_rate = 1e-3, .taught = true});
}

/* What is dropped is the same in both passes, or the loss that is told would not be that of the gradient. */
static void test_the_cut_drops_the_same(void **state) {
    (void)state;
    check_cut(&(rp_trainer_params){.vectors = RP_VECTORS_IN_BATCH,
                                   .learning_rate = 1e-3,
                                   .hidden_dropout = 0.1,
                                   .attention_dropout = 0.1});
}

static void test_nothing_is_made_after_the_first_step(void **state) {
    (void)state;
    const rp_trainer_params params = {.vectors = RP_VECTORS_IN_BATCH, .max_batch_tokens = 400};
    const size_t pairs[] = {1, 2, 21, RP_TRAIN_USUAL_PAIRS};
    rp_error err = {0};
    open_trainer(&params);
    rp_train_batch batch = make_batch(3, 1);
    if (rp_trainer_step(trainer, &batch, NULL, &err)) fail_msg("%s", err.message);
    vk_watch(device);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        rp_train_result result = {0};
        batch = make_batch(pairs[i], (uint32_t)i);
        vk_seen = (vk_seen_calls){0};
        if (rp_trainer_step(trainer, &batch, &result, &err)) fail_msg("%s", err.message);
        assert_int_equal(vk_seen.submits, result.submissions);
        assert_int_equal(vk_seen.others, 0);
        assert_true(isfinite(result.loss));
    }
    vk_unwatch(device);
}

/* ---- what changes and what does not ---- */

/* A classifier and the pooler below it have no part in vectors. */
static void test_heads_stay(void **state) {
    (void)state;
    const rp_trainer_params params = {
        .vectors = RP_VECTORS_IN_BATCH, .learning_rate = 1e-2, .weight_decay = 0.5};
    const rp_train_batch batch = make_batch(4, 3);
    char dir[FIXTURE_PATH_SIZE];
    rp_model *models[2] = {NULL};
    rp_error err = {0};
    open_trainer(&params);
    assert_true(fixture_make_dir(dir));
    for (int i = 0; i < 3; i++)
        if (rp_trainer_step(trainer, &batch, NULL, &err)) fail_msg("%s", err.message);
    if (rp_trainer_save(trainer, dir, true, &err)) fail_msg("%s", err.message);
    if (rp_model_open(device, g.dir, NULL, &models[0], &err)) fail_msg("%s", err.message);
    if (rp_model_open(device, dir, NULL, &models[1], &err)) fail_msg("%s", err.message);
    const rp_weights *was = &models[0]->weights, *is = &models[1]->weights;
    assert_true(is->heads & RP_HEAD_CLASSIFIER);
    for (uint32_t i = 0; i < was->pooler.rows; i++) {
        assert_true(rp_tensor_get(&was->pooler, i) == rp_tensor_get(&is->pooler, i));
        assert_true(rp_tensor_get(&was->classifier, i) == rp_tensor_get(&is->classifier, i));
        assert_true(rp_tensor_get(&was->layers[0].dense, i) != rp_tensor_get(&is->layers[0].dense, i));
    }
    rp_model_close(&models[0]);
    rp_model_close(&models[1]);
    fixture_remove_dir(dir);
}

/* ---- errors ---- */

static void refuse(const rp_train_batch *batch, const char *part) {
    rp_error err = {0};
    assert_int_equal(rp_trainer_step(trainer, batch, NULL, &err), RP_ERROR_ARGUMENT);
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
}

static void test_wrong_batches_are_refused(void **state) {
    (void)state;
    const rp_trainer_params params = {.vectors = RP_VECTORS_SCORED};
    open_trainer(&params);
    rp_train_batch batch = make_batch(MANY / 2, 1);
    refuse(&batch, "1204 sequences are not from 1 to 512 pairs; make the batch smaller");
    batch.count = 3;
    refuse(&batch, "3 sequences");
    batch.count = 4;
    scores[1] = NAN;
    refuse(&batch, "targets[1]");
    batch.targets = NULL;
    refuse(&batch, "no targets");
    batch = make_batch(2, 1);
    batch.teacher = teacher;
    refuse(&batch, "teacher must be NULL");
}

/* ---- more pairs ---- */

/* The mean of the hidden states of a text's tokens. */
static void take_mean(const float *hidden, uint32_t tokens, double out[WIDTH]) {
    double length = 0;
    for (int c = 0; c < WIDTH; c++) {
        out[c] = 0;
        for (uint32_t k = 0; k < tokens; k++) out[c] += (double)hidden[k * WIDTH + c] / tokens;
        length += out[c] * out[c];
    }
    for (int c = 0; c < WIDTH; c++) out[c] /= sqrt(length);
}

/* The loss of a batch as it is told of many pairs, in plain C from the model's hidden states. */
static double loss_of(const rp_train_batch *batch) {
    static double vectors[MANY][WIDTH];
    const rp_run_params hidden = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    double loss = 0;
    size_t pairs = batch->count / 2;
    size_t count = rp_model_output_size(trainer->model, batch->sequences, batch->count, &hidden);
    float *states = calloc(count, sizeof *states), *at = states;
    assert_non_null(states);
    if (rp_model_run(trainer->model, batch->sequences, batch->count, &hidden, states, count, NULL, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < batch->count; at += batch->sequences[i++].count * WIDTH)
        take_mean(at, batch->sequences[i].count, vectors[i]);
    free(states);
    for (size_t i = 0; i < pairs; i++) {
        double sum = 0, own = 0;
        for (size_t k = 0; k < pairs; k++) {
            double cosine = 0;
            for (int c = 0; c < WIDTH; c++) cosine += vectors[2 * i][c] * vectors[2 * k + 1][c];
            sum += exp(20 * cosine - 20);
            if (k == i) own = 20 * cosine - 20;
        }
        loss += (log(sum) - own) / (double)pairs;
    }
    return loss;
}

static void test_more_pairs_than_usual(void **state) {
    (void)state;
    rp_trainer_params params = {
        .vectors = RP_VECTORS_IN_BATCH, .learning_rate = 1e-3, .max_batch_pairs = MANY / 2};
    rp_train_batch batch = make_batch(MANY / 2, 5);
    rp_train_result result = {0};
    rp_error err = {0};
    open_trainer(&params);
    double loss = loss_of(&batch);
    if (rp_trainer_step(trainer, &batch, &result, &err)) fail_msg("%s", err.message);
    if (!(fabs(result.loss - loss) < 1e-4 * loss)) fail_msg("%.9g, not %.9g", result.loss, loss);
    rp_trainer_close(&trainer);
    params.max_batch_pairs = 3;
    open_trainer(&params);
    batch.count = 8;
    refuse(&batch, "8 sequences are not from 1 to 3 pairs");
    rp_trainer_close(&trainer);
    params.max_batch_pairs = 100000;
    assert_int_equal(try_open(&params, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "100000 pairs of a batch are more than the "));
}

/* A pair that is not learnt is taught by the teacher alone; without any other its vectors are all. */
static void test_a_teacher(void **state) {
    (void)state;
    const rp_trainer_params params = {
        .vectors = RP_VECTORS_IN_BATCH, .learning_rate = 1e-3, .taught = true, .label_weight = 1};
    const int32_t none[] = {-1, -1, -1, -1};
    rp_train_result all = {0}, alone = {0};
    rp_error err = {0};
    rp_train_batch batch = make_batch(4, 1);
    open_trainer(&params);
    refuse(&batch, "teacher must be given");
    batch.teacher = teacher;
    teacher[8 * WIDTH - 1] = NAN;
    refuse(&batch, "is not finite");
    teacher[8 * WIDTH - 1] = 0;
    if (rp_trainer_step(trainer, &batch, &all, &err)) fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
    open_trainer(&params);
    batch.labels = none;
    for (int i = 0; i < 20; i++) {
        rp_train_result last = {0};
        if (rp_trainer_step(trainer, &batch, &last, &err)) fail_msg("%s", err.message);
        if (i) assert_true(last.loss < alone.loss);
        if (!i) alone = last;
    }
    assert_true(alone.loss < all.loss);
}

static void write_module(const char *name, const char *text) {
    char dir[FIXTURE_PATH_SIZE + 32];
    snprintf(dir, sizeof dir, "%s/%s", g.dir, name);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_true(fixture_write_text(dir, "config.json", text));
}

static void test_what_cannot_learn_is_refused(void **state) {
    (void)state;
    const rp_trainer_params both = {.vectors = RP_VECTORS_SCORED, .head = RP_HEAD_SPANS},
                            none = {.vectors = (rp_train_vectors)9}, good = {.vectors = RP_VECTORS_IN_BATCH};
    rp_error err = {0};
    assert_int_equal(try_open(&both, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(try_open(&none, &err), RP_ERROR_ARGUMENT);
    write_module("1_Pooling", "{\"word_embedding_dimension\": 39, \"pooling_mode_max_tokens\": true, "
                              "\"pooling_mode_mean_tokens\": false}");
    assert_int_equal(try_open(&good, &err), RP_ERROR_UNSUPPORTED);
    if (!strstr(err.message, "the mean of all tokens")) fail_msg("%s", err.message);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_the_cut_changes_rounding_alone, clean),
        cmocka_unit_test_teardown(test_the_cut_drops_the_same, clean),
        cmocka_unit_test_teardown(test_nothing_is_made_after_the_first_step, clean),
        cmocka_unit_test_teardown(test_heads_stay, clean),
        cmocka_unit_test_teardown(test_wrong_batches_are_refused, clean),
        cmocka_unit_test_teardown(test_more_pairs_than_usual, clean),
        cmocka_unit_test_teardown(test_a_teacher, clean),
        cmocka_unit_test_teardown(test_what_cannot_learn_is_refused, clean),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
