/* Training, held against PyTorch: the loss and the norm of the gradient of each step, and the weights in the
 * end, which are read from the folder that was saved. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "loader/safetensors.h"
#include "support_train.h"

/* ---- weights ---- */

static bool is_noise(const train_case *c, const char *name) {
    const json_t *list = json_object_get(c->root, "noise"), *item;
    size_t i;
    json_array_foreach(list, i, item) if (!strcmp(json_string_value(item), name)) return true;
    return false;
}

/* The largest difference of a tensor in the file from what PyTorch has. */
static double compare_tensor(const rp_tensor_file *file, const char *name, const json_t *want) {
    const json_t *places = json_array_get(want, 0), *values = json_array_get(want, 1);
    double worst = 0;
    for (size_t i = 0; i < file->count; i++) {
        const rp_tensor_entry *t = &file->entries[i];
        if (strcmp(t->name, name)) continue;
        assert_string_equal(t->dtype, "F32");
        for (size_t k = 0; k < json_array_size(values); k++) {
            float got;
            json_int_t at = json_integer_value(json_array_get(places, k));
            assert_true(4 * (uint64_t)at < t->bytes);
            memcpy(&got, t->data + 4 * at, sizeof got);
            worst = fmax(worst, fabs(got - json_number_value(json_array_get(values, k))));
        }
        return worst;
    }
    print_error("%s is not in the file\n", name);
    fail();
    return worst;
}

static void check_weights(const train_case *c, const char *dir, double bound) {
    char path[FIXTURE_PATH_SIZE + 32];
    rp_tensor_file file = {0};
    rp_error err = {0};
    const char *name;
    json_t *want;
    int compared = 0;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(rp_safetensors_open(path, &file, &err), RP_OK);
    json_object_foreach(json_object_get(c->root, "weights"), name, want) {
        if (is_noise(c, name)) continue;
        double away = compare_tensor(&file, name, want);
        if (away > bound) print_error("%s is %.1e away\n", name, away);
        assert_true(away <= bound);
        compared++;
    }
    assert_true(compared > 10);
    rp_tensor_file_close(&file);
}

/* ---- what was saved ---- */

static float *run(rp_model *model, const train_case *c, rp_output output, size_t *size) {
    const rp_run_params params = {.output = output};
    const rp_train_batch *b = &c->batches[0];
    rp_error err = {0};
    *size = rp_model_output_size(model, b->sequences, b->count, &params);
    float *out = calloc(*size, sizeof *out);
    assert_non_null(out);
    if (rp_model_run(model, b->sequences, b->count, &params, out, *size, NULL, &err))
        fail_msg("%s", err.message);
    return out;
}

static rp_output output_of(const rp_model *model, const train_case *c) {
    if (c->vectors) return RP_OUTPUT_MEAN;
    unsigned heads = rp_model_get_info(model)->heads;
    if (heads & RP_HEAD_CLASSIFIER) return RP_OUTPUT_CLASSES;
    if (heads & RP_HEAD_TOKENS) return RP_OUTPUT_TOKENS;
    return heads & RP_HEAD_SPANS ? RP_OUTPUT_SPANS : RP_OUTPUT_CHOICE;
}

/* The model that was trained and the one that was saved give the same logits, and no longer those of before.
 */
static void check_logits(rp_trainer *trainer, const train_case *c, const char *dir) {
    rp_model *was = NULL, *saved = NULL;
    rp_error err = {0};
    size_t size, other;
    if (rp_model_open(fixture_device, dir, NULL, &saved, &err)) fail_msg("%s", err.message);
    if (rp_model_open(fixture_device, c->g.dir, NULL, &was, &err)) fail_msg("%s", err.message);
    rp_output output = output_of(saved, c);
    float *trained = run(rp_trainer_model(trainer), c, output, &size), *got = run(saved, c, output, &other),
          *before = run(was, c, output, &other);
    assert_int_equal(size, other);
    assert_memory_equal(trained, got, size * sizeof *got);
    assert_memory_not_equal(before, got, size * sizeof *got);
    free(trained);
    free(got);
    free(before);
    rp_model_close(&saved);
    rp_model_close(&was);
}

/* ---- the cases ---- */

static void check_steps(rp_trainer *trainer, const train_case *c) {
    rp_error err = {0};
    for (size_t i = 0; i < TRAIN_STEPS; i++) {
        rp_train_result result;
        if (rp_trainer_step(trainer, &c->batches[i % TRAIN_BATCHES], &result, &err))
            fail_msg("%s", err.message);
        if (fabs(result.loss - c->loss[i]) > 2e-3 * c->loss[i] ||
            fabs(result.grad_norm - c->norm[i]) > 2e-3 * c->norm[i])
            fail_msg("step %zu: loss %.7g and not %.7g, norm %.7g and not %.7g", i + 1, result.loss,
                     c->loss[i], result.grad_norm, c->norm[i]);
        assert_int_equal(result.step, i + 1);
        assert_true(result.learning_rate == c->learning_rate);
    }
}

static void follow(const char *name, double bound) {
    char dir[FIXTURE_PATH_SIZE];
    train_case c;
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    assert_true(train_open(name, &c));
    assert_true(fixture_make_dir(dir));
    rp_trainer_params params = train_params(&c);
    if (rp_trainer_open(fixture_device, c.g.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
    check_steps(trainer, &c);
    if (rp_trainer_save(trainer, dir, false, &err)) fail_msg("%s", err.message);
    check_weights(&c, dir, bound);
    check_logits(trainer, &c, dir);
    rp_trainer_close(&trainer);
    fixture_remove_dir(dir);
    train_close(&c);
}

static void test_classify(void **state) {
    (void)state;
    follow("classify", 1e-3);
}
static void test_classify_bert(void **state) {
    (void)state;
    follow("classify_bert", 1e-3);
}
static void test_classify_taught(void **state) {
    (void)state;
    follow("classify_taught", 1e-3);
}
static void test_multilabel(void **state) {
    (void)state;
    follow("multilabel", 1e-3);
}
static void test_regress(void **state) {
    (void)state;
    follow("regress", 1e-3);
}
static void test_tag(void **state) {
    (void)state;
    follow("tag", 1e-3);
    follow("tag_relu", 3e-2);
}
static void test_answer(void **state) {
    (void)state;
    follow("answer", 1e-3);
    follow("answer_groups", 1e-3);
    follow("answer_odd", 1e-3);
    follow("answer_inner", 1e-3);
}
static void test_choose(void **state) {
    (void)state;
    follow("choose", 1e-3);
    follow("choose_odd", 3e-2);
    follow("choose_head26", 1e-3);
}

static void test_embed(void **state) {
    (void)state;
    follow("embed", 1e-3);
    follow("embed_relu", 3e-2);
    follow("embed_bert", 1e-3);
    follow("embed_scored", 1e-3);
    follow("embed_taught", 1e-3);
}

/* Classifiers behind all layers, of one group and of two. */
static void test_exits(void **state) {
    (void)state;
    follow("exits", 1e-3);
    follow("exits_groups", 1e-3);
}

static void test_frozen(void **state) {
    (void)state;
    follow("classify_frozen", 1e-3);
    follow("multilabel_frozen", 1e-3);
    follow("tag_frozen", 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify),        cmocka_unit_test(test_classify_bert),
        cmocka_unit_test(test_classify_taught), cmocka_unit_test(test_multilabel),
        cmocka_unit_test(test_regress),         cmocka_unit_test(test_tag),
        cmocka_unit_test(test_answer),          cmocka_unit_test(test_choose),
        cmocka_unit_test(test_embed),           cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_exits),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
