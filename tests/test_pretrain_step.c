/* Steps of pre-training: gradients against finite differences of the loss, what the driver is asked for, how
 * batches and tensors are cut, heads that are made, and errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/names.h"
#include "support_pretrain.h"
#include "support_vk.h"
#include "train/trainer.h"

static rp_device *device;
static pretrain_case c;
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
    pretrain_close(&c);
    return 0;
}

static void open_case(const char *name) {
    if (!c.root) assert_true(pretrain_open(name, &c));
}

static void open_trainer_on(rp_device *where, const rp_trainer_params *params) {
    rp_error err = {0};
    if (rp_trainer_open(where, c.dir, params, &trainer, &err)) fail_msg("%s", err.message);
}

static rp_train_result step(const rp_train_batch *batch) {
    rp_train_result result = {0};
    rp_error err = {0};
    if (rp_trainer_step(trainer, batch, &result, &err)) fail_msg("%s", err.message);
    return result;
}

/* ---- finite differences ---- */

/* A learning rate that changes nothing, and first moments that are the gradient. */
static rp_trainer_params still(rp_head head) {
    return (rp_trainer_params){.head = head,
                               .schedule = RP_SCHEDULE_CONSTANT,
                               .learning_rate = 1e-30,
                               .beta1 = 1e-30,
                               .max_grad_norm = -1};
}

/* The tensors of all parameters: as they are, and their gradients. */
enum { MOST_TENSORS = 128 };
typedef struct tensors {
    rp_weights weights;
    rp_arena arena;
    rp_tensor *list[MOST_TENSORS];
    char names[MOST_TENSORS][RP_NAME_SIZE];
    size_t count;
} tensors;

static rp_status note(const rp_slot *slot, void *context) {
    tensors *t = context;
    if (!slot->tensor->data) return RP_OK;
    assert_true(t->count < MOST_TENSORS);
    strcpy(t->names[t->count], slot->name);
    t->list[t->count++] = slot->tensor;
    return RP_OK;
}

static void read_tensors(rp_train_kind kind, tensors *t) {
    const rp_model *model = trainer->model;
    rp_error err = {0};
    *t = (tensors){.weights = model->weights};
    t->weights.layers = calloc(model->on_device.layer_count, sizeof *t->weights.layers);
    memcpy(t->weights.layers, model->weights.layers,
           model->on_device.layer_count * sizeof *t->weights.layers);
    assert_int_equal(rp_model_begin(trainer->model, &err), RP_OK);
    rp_status status = rp_train_read(trainer, kind, &t->weights, &t->arena, &err);
    if (rp_model_end(trainer->model, status)) fail_msg("%s", err.message);
    rp_slots_each(&model->config, &t->weights, RP_PART_ENCODER | (unsigned)trainer->head | RP_HEAD_POOLER,
                  note, t);
    rp_slot more[] = {{.tensor = &t->weights.lm_bias, .name = "bias"},
                      {.tensor = &t->weights.lm_decoder, .name = "decoder"}};
    note(&more[0], t);
    note(&more[1], t);
}

static void free_tensors(tensors *t) {
    free(t->weights.layers);
    rp_arena_finish(&t->arena);
}

static double loss_now(tensors *t) {
    rp_error err = {0};
    assert_int_equal(rp_model_begin(trainer->model, &err), RP_OK);
    rp_status status = rp_train_write(trainer, RP_TRAIN_WEIGHTS, &t->weights, "", &err);
    if (rp_model_end(trainer->model, status)) fail_msg("%s", err.message);
    return step(&c.batches[0]).loss;
}

/* How the loss changes along `direction`. */
static double slope_along(tensors *t, rp_tensor *tensor, const float *direction) {
    const double STEP = 1e-3;
    size_t count = (size_t)tensor->rows * tensor->columns;
    float *at = (float *)(uintptr_t)tensor->data, *before = malloc(count * sizeof *before);
    double loss[2];
    memcpy(before, at, count * sizeof *at);
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < count; k++) at[k] = before[k] + (float)(i ? -STEP : STEP) * direction[k];
        loss[i] = loss_now(t);
    }
    memcpy(at, before, count * sizeof *at);
    free(before);
    return (loss[0] - loss[1]) / (2 * STEP);
}

static double product(const float *gradient, const float *direction, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)gradient[i] * direction[i];
    return sum;
}

static bool agrees(double said, double slope) {
    return fabs(said - slope) <= 0.01 * fmax(0.2, fabs(slope));
}

/* Random weights with the signs of the gradient, so that nothing cancels; where it is zero, with any. But for
 * the row of padding, to which look-ups give no gradient, as in PyTorch. */
static void check_tensor(tensors *weights, rp_tensor *tensor, const rp_tensor *gradient, const char *name,
                         int *large) {
    size_t count = (size_t)tensor->rows * tensor->columns;
    float *direction = malloc(count * sizeof *direction), *g = (float *)(uintptr_t)gradient->data;
    uint32_t seed = 5;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        float size = 0.5f + (float)(seed >> 8) * 0x1p-25f;
        direction[i] = g[i] > 0 || (g[i] == 0 && seed >> 31) ? size : -size;
        if (tensor == &weights->weights.word && i / tensor->columns == trainer->model->config.pad_id)
            direction[i] = 0;
    }
    double slope = slope_along(weights, tensor, direction), said = product(g, direction, count);
    if (!agrees(said, slope)) fail_msg("%s: the gradient says %g, and the loss %g", name, said, slope);
    if (fabs(slope) > 0.5) { /* a wrong gradient is noticed: by a fiftieth, and where a half is missing */
        assert_false(agrees(1.02 * said, slope));
        assert_false(agrees(said - product(g, direction, count / 2), slope) &&
                     agrees(product(g, direction, count / 2), slope));
        ++*large;
    }
    free(direction);
}

static void check_gradients(const char *name, rp_head head) {
    const rp_trainer_params params = still(head);
    tensors weights, gradients;
    int large = 0;
    open_case(name);
    open_trainer_on(device, &params);
    step(&c.batches[0]);
    read_tensors(RP_TRAIN_WEIGHTS, &weights);
    read_tensors(RP_TRAIN_MEAN, &gradients);
    assert_int_equal(weights.count, gradients.count);
    for (size_t i = 0; i < weights.count; i++)
        check_tensor(&weights, weights.list[i], gradients.list[i], weights.names[i], &large);
    assert_true(large > (int)weights.count / 2);
    free_tensors(&weights);
    free_tensors(&gradients);
    clean(NULL);
}

static void test_gradients_are_those_of_the_loss(void **state) {
    (void)state;
    check_gradients("odd", RP_TRAIN_BOTH);
    check_gradients("untied", RP_HEAD_MASKED_LM);
    check_gradients("bert", RP_TRAIN_BOTH);
}

/* ---- what the driver is asked for ---- */

static void test_one_submission_for_a_micro_batch(void **state) {
    (void)state;
    open_case("odd");
    rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
    open_trainer_on(device, &params);
    step(&c.batches[0]);
    vk_watch(device);
    assert_true(vk_watches_everything(device));
    for (int i = 1; i < PRETRAIN_BATCHES; i++) {
        vk_seen = (vk_seen_calls){0};
        assert_int_equal(step(&c.batches[i]).submissions, 1);
        assert_int_equal(vk_seen.submits, 1);
        assert_int_equal(vk_seen.others, 0);
    }
    vk_unwatch(device);
}

/* ---- cuts ---- */

/* The weights after all batches, as a file has them. */
static float *train(const rp_trainer_params *params, rp_device *where, size_t *count, rp_train_result *last) {
    tensors t;
    *count = 0;
    open_trainer_on(where, params);
    for (int i = 0; i < PRETRAIN_BATCHES; i++) *last = step(&c.batches[i]);
    read_tensors(RP_TRAIN_WEIGHTS, &t);
    for (size_t i = 0; i < t.count; i++) *count += (size_t)t.list[i]->rows * t.list[i]->columns;
    float *out = malloc(*count * sizeof *out), *to = out;
    for (size_t i = 0; i < t.count; i++) {
        size_t some = (size_t)t.list[i]->rows * t.list[i]->columns;
        memcpy(to, t.list[i]->data, some * sizeof *to);
        to += some;
    }
    free_tensors(&t);
    rp_trainer_close(&trainer);
    return out;
}

static void check_near(const float *a, const float *b, size_t count, float bound) {
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= bound))
            fail_msg("element %zu is %g and not %g", i, (double)b[i], (double)a[i]);
}

/* A micro-batch is cut by its tokens, and by the tokens to be predicted, too. */
static void test_the_cut_changes_rounding_alone(void **state) {
    (void)state;
    open_case("odd");
    rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
    size_t count, other;
    rp_train_result whole, again, cut;
    float *a = train(&params, device, &count, &whole), *b = train(&params, device, &other, &again);
    assert_memory_equal(a, b, count * sizeof *a);
    free(b);
    params.max_batch_tokens = 1; /* raised to the longest sequence */
    b = train(&params, device, &other, &cut);
    assert_int_equal(whole.submissions, 1);
    assert_true(cut.submissions > 1);
    assert_true(fabs(whole.mlm_loss - cut.mlm_loss) < 1e-4 && fabs(whole.sop_loss - cut.sop_loss) < 1e-4);
    assert_true(whole.mlm_accuracy == cut.mlm_accuracy && whole.sop_accuracy == cut.sop_accuracy);
    check_near(a, b, count, 1e-4f);
    free(b);
    free(a);
}

/* Whether layers are computed again or kept, the bits are the same. */
static void test_what_is_kept_changes_nothing(void **state) {
    (void)state;
    static const rp_recompute ways[] = {RP_RECOMPUTE_ALWAYS, RP_RECOMPUTE_NEVER};
    float *made[2];
    size_t count[2];
    rp_train_result result[2];
    open_case("inner");
    for (int i = 0; i < 2; i++) {
        rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
        params.recompute = ways[i];
        made[i] = train(&params, device, &count[i], &result[i]);
    }
    assert_true(result[0].loss == result[1].loss && count[0] == count[1]);
    assert_memory_equal(made[0], made[1], count[0] * sizeof *made[0]);
    free(made[0]);
    free(made[1]);
}

/* Storage buffers so small that matrices are in chunks, and these in several windows: the ratios of LAMB are
 * those of whole tensors. */
static void check_ranges(const char *name, uint64_t range, uint32_t word_chunks, uint32_t qkv_chunks) {
    rp_device *small = NULL;
    rp_error err = {0};
    size_t count, other;
    rp_train_result result;
    open_case(name);
    rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
    params.learning_rate = 0.05;
    float *a = train(&params, device, &count, &result);
    if (rp_device_open(NULL, &small, &err)) fail_msg("%s", err.message);
    small->caps.info.max_storage_bytes = range;
    float *b = train(&params, small, &other, &result);
    open_trainer_on(small, &params);
    assert_int_equal(trainer->model->on_device.word.chunk_count, word_chunks);
    assert_int_equal(trainer->model->on_device.layers[0].qkv.chunk_count, qkv_chunks);
    assert_true(trainer->window_count > 3);
    rp_trainer_close(&trainer);
    rp_device_close(&small);
    assert_int_equal(count, other);
    check_near(a, b, count, 1e-4f);
    free(a);
    free(b);
    clean(NULL);
}

static void test_a_tensor_may_lie_in_many_ranges(void **state) {
    (void)state;
    check_ranges("mlm", 72 << 10, 3, 1);
    check_ranges("odd", 40 << 10, 1, 2); /* V in both */
}

/* ---- heads that are made ---- */

static void check_saved(rp_head head, const char *architecture) {
    char dir[FIXTURE_PATH_SIZE];
    rp_model *saved = NULL;
    rp_error err = {0};
    const rp_trainer_params params = {.head = head, .learning_rate = 1e-3, .seed = 3};
    open_trainer_on(device, &params);
    double first = step(&c.batches[0]).loss, last = 0;
    for (int i = 0; i < 8; i++) last = step(&c.batches[0]).loss;
    assert_true(last < first);
    assert_true(fixture_make_dir(dir));
    if (rp_trainer_save(trainer, dir, true, &err)) fail_msg("%s", err.message);
    if (rp_model_open(device, dir, NULL, &saved, &err)) fail_msg("%s", err.message);
    assert_string_equal(rp_model_get_info(saved)->architecture, architecture);
    assert_int_equal(rp_model_get_info(saved)->heads, rp_model_get_info(trainer->model)->heads);
    assert_int_equal(rp_model_get_info(saved)->parameters, rp_model_get_info(trainer->model)->parameters);
    rp_model_close(&saved);
    fixture_remove_dir(dir);
    rp_trainer_close(&trainer);
}

/* Of a masked language model, which has neither a pooler nor an order; and of a folder that has them. */
static void test_heads_are_made(void **state) {
    (void)state;
    open_case("mlm");
    check_saved(RP_TRAIN_BOTH, "AlbertForPreTraining");
    check_saved(RP_HEAD_MASKED_LM, "AlbertForMaskedLM");
    clean(state);
    open_case("bert");
    check_saved(RP_HEAD_MASKED_LM, "BertForPreTraining"); /* as it was */
    check_saved(RP_TRAIN_BOTH, "BertForPreTraining");
}

/* The classifier of a folder makes place. */
static void test_a_classifier_is_dropped(void **state) {
    (void)state;
    golden g;
    const fixture_layout layout = {0};
    assert_true(golden_open("odd", &layout, &g));
    open_case("odd"); /* for its instances */
    fixture_remove_dir(c.dir);
    strcpy(c.dir, g.dir);
    check_saved(RP_TRAIN_BOTH, "AlbertForPreTraining");
    golden_close(&g);
}

/* ---- dropout ---- */

/* Before the order of an ALBERT alone, as in Hugging Face's classes. */
static void test_the_order_drops_out(void **state) {
    (void)state;
    static const char *const names[] = {"odd", "bert"};
    for (int i = 0; i < 2; i++) {
        open_case(names[i]);
        rp_trainer_params params = {.head = RP_TRAIN_BOTH, .classifier_dropout = 0.5};
        open_trainer_on(device, &params);
        rp_train_result dropped = step(&c.batches[0]);
        rp_trainer_close(&trainer);
        params.classifier_dropout = 0;
        open_trainer_on(device, &params);
        rp_train_result whole = step(&c.batches[0]);
        assert_true(dropped.mlm_loss == whole.mlm_loss);
        assert_int_equal(dropped.sop_loss == whole.sop_loss, i);
        clean(state);
    }
}

/* ---- errors ---- */

static void check_refused(const rp_train_batch *batch, rp_status status, const char *part) {
    rp_error err = {0};
    assert_int_equal(rp_trainer_step(trainer, batch, NULL, &err), status);
    if (!strstr(err.message, part)) fail_msg("'%s' not in '%s'", part, err.message);
}

static void test_wrong_batches_change_nothing(void **state) {
    (void)state;
    int32_t ids[30] = {5, 6, 7, 8}, words[30] = {9, 10}, order[] = {1};
    uint32_t places[30] = {1, 3}, masked[] = {2};
    const rp_sequence sequence = {ids, NULL, 4};
    const rp_train_batch good = {.sequences = &sequence,
                                 .count = 1,
                                 .masked_counts = masked,
                                 .masked_positions = places,
                                 .masked_ids = words,
                                 .order = order};
    rp_train_batch wrong = good;
    open_case("odd");
    const rp_trainer_params params = {.head = RP_TRAIN_BOTH};
    open_trainer_on(device, &params);
    double loss = step(&good).loss;
    rp_trainer_close(&trainer);
    open_trainer_on(device, &params);
    wrong.masked_counts = NULL;
    check_refused(&wrong, RP_ERROR_ARGUMENT, "has no tokens to be predicted");
    wrong = good;
    wrong.order = NULL;
    check_refused(&wrong, RP_ERROR_ARGUMENT, "has no order");
    places[0] = 4;
    check_refused(&good, RP_ERROR_ARGUMENT, "beyond the last token");
    places[0] = 3;
    check_refused(&good, RP_ERROR_ARGUMENT, "twice");
    places[0] = 1;
    words[1] = 131;
    check_refused(&good, RP_ERROR_ARGUMENT, "not below vocab_size");
    words[1] = 10;
    masked[0] = 5;
    check_refused(&good, RP_ERROR_ARGUMENT, "are more than the tokens");
    masked[0] = 2;
    order[0] = 2;
    check_refused(&good, RP_ERROR_ARGUMENT, "order[0] is 2");
    order[0] = -1;
    words[0] = words[1] = -100;
    check_refused(&good, RP_ERROR_ARGUMENT, "no label to learn");
    order[0] = 1;
    rp_train_result alone = step(&good); /* the order is enough */
    assert_true(alone.mlm_loss == 0 && alone.mlm_accuracy == 0 && alone.sop_loss > 0);
    rp_trainer_close(&trainer);
    open_trainer_on(device, &params);
    words[0] = 9;
    words[1] = 10;
    assert_true(step(&good).loss == loss);
}

/* A weight so large that the forward pass overflows. */
static void test_a_gradient_that_is_not_finite_names_its_tensor(void **state) {
    (void)state;
    open_case("odd");
    rp_trainer_params params = pretrain_params(&c, RP_OPTIMIZER_LAMB);
    tensors before, after;
    open_trainer_on(device, &params);
    step(&c.batches[0]);
    read_tensors(RP_TRAIN_WEIGHTS, &before);
    float *bias = (float *)(uintptr_t)before.weights.lm_norm.data, was = bias[0];
    rp_error err = {0};
    bias[0] = 3e38f;
    assert_int_equal(rp_model_begin(trainer->model, &err), RP_OK);
    assert_int_equal(
        rp_model_end(trainer->model, rp_train_write(trainer, RP_TRAIN_WEIGHTS, &before.weights, "", &err)),
        RP_OK);
    check_refused(&c.batches[1], RP_ERROR_UNSUPPORTED, "step 2: the gradient of ");
    read_tensors(RP_TRAIN_WEIGHTS, &after);
    for (size_t i = 0; i < before.count; i++)
        assert_memory_equal(before.list[i]->data, after.list[i]->data,
                            4ull * before.list[i]->rows * before.list[i]->columns);
    bias[0] = was; /* and training goes on */
    assert_true(isfinite(loss_now(&before)));
    free_tensors(&before);
    free_tensors(&after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_gradients_are_those_of_the_loss, clean),
        cmocka_unit_test_teardown(test_one_submission_for_a_micro_batch, clean),
        cmocka_unit_test_teardown(test_the_cut_changes_rounding_alone, clean),
        cmocka_unit_test_teardown(test_what_is_kept_changes_nothing, clean),
        cmocka_unit_test_teardown(test_a_tensor_may_lie_in_many_ranges, clean),
        cmocka_unit_test_teardown(test_heads_are_made, clean),
        cmocka_unit_test_teardown(test_a_classifier_is_dropped, clean),
        cmocka_unit_test_teardown(test_the_order_drops_out, clean),
        cmocka_unit_test_teardown(test_wrong_batches_change_nothing, clean),
        cmocka_unit_test_teardown(test_a_gradient_that_is_not_finite_names_its_tensor, clean),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
