/* Folders whose head is not whole, or not told: they open, embed works to the bit, and the head's task says
 * what is wrong. And heads that the caller names. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static task_case fixture;
static rp_model *model;
static rp_result *result;
static rp_error err;

static int end_test(void **state) {
    (void)state;
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&fixture);
    err = (rp_error){0};
    return 0;
}

static void open_as(rp_head head) {
    rp_model_close(&model);
    if (rp_model_open(fixture_device, fixture.dir, &(rp_model_params){.head = head}, &model, &err))
        print_error("%s\n", err.message);
    assert_non_null(model);
}

/* The first input of the case's first call. */
static rp_status ask(void) {
    size_t first = 0;
    rp_result_free(&result);
    return task_run(model, json_array_get(fixture.calls, 0), &first, 1, &result, &err);
}

static void assert_refused(const char *needle) {
    assert_int_equal(ask(), RP_ERROR_HEAD);
    assert_null(result);
    if (!strstr(err.message, needle)) print_error("no \"%s\" in: %s\n", needle, err.message);
    assert_non_null(strstr(err.message, needle));
}

/* Every answer of the case's first call is that of Hugging Face. */
static void assert_answers(void) {
    const json_t *call = json_array_get(fixture.calls, 0), *inputs = json_object_get(call, "inputs");
    size_t count = json_array_size(inputs);
    double worst = 0;
    rp_result_free(&result);
    if (task_run(model, call, NULL, count, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    for (size_t i = 0; i < count; i++) {
        json_t *got = task_answer(call, json_array_get(inputs, i), result, i);
        assert_true(task_same(got, json_array_get(json_object_get(call, "answers"), i), &worst));
        json_decref(got);
    }
}

/* The mean vector of a text; as many floats as there is room for. */
static void embed(float out[24]) {
    const rp_embed_params params = {.pooling = RP_POOLING_MEAN, .normalize = RP_NORMALIZE_NO};
    const rp_text text = {"a warm and funny film", 21};
    size_t rows = 0, columns = 0;
    rp_result_free(&result);
    if (rp_embed(model, &text, 1, &params, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    const float *vector = rp_result_vectors(result, 0, &rows, &columns);
    assert_int_equal(columns, 24);
    memcpy(out, vector, 24 * sizeof *out);
}

/* ---- the case's config and tensors ---- */

static json_t *config(void) {
    return json_object_get(fixture.root, "config");
}

static json_t *tensors(void) {
    return json_object_get(fixture.root, "tensors");
}

/* The place of a tensor in the list, from the end on. */
static size_t place_of(const char *name) {
    size_t i = json_array_size(tensors());
    while (i-- > 0)
        if (!strcmp(json_string_value(json_array_get(json_array_get(tensors(), i), 0)), name)) return i;
    fail_msg("no tensor %s", name);
    return 0;
}

static void drop(const char *name) {
    assert_int_equal(json_array_remove(tensors(), place_of(name)), 0);
}

static void add(const char *name, int rows, int columns) {
    json_t *shape = columns ? json_pack("[i,i]", rows, columns) : json_pack("[i]", rows);
    json_array_append_new(tensors(), json_pack("[s,o,f,f]", name, shape, 0.25, 0.0));
}

enum { ABSENT, PARTIAL, SIZE, NOT_FINITE, INT8, DAMAGES };

/* Damage the head that has the tensors `weight` and `bias`. Returns what a message has to say. */
static const char *damage(int how, const char *weight, const char *bias) {
    json_t *tensor = json_array_get(tensors(), place_of(weight)), *shape = json_array_get(tensor, 1);
    switch (how) {
    case ABSENT:
        drop(bias);
        drop(weight);
        return "the tensor is missing";
    case PARTIAL:
        drop(weight);
        return "the tensor is missing; others of this head are there";
    case SIZE:
        json_array_set_new(shape, 0, json_integer(json_integer_value(json_array_get(shape, 0)) + 1));
        return "config.json asks for";
    case NOT_FINITE:
        json_array_set_new(tensor, 3, json_real(1e300)); /* infinite as a float */
        return "NaN or infinite";
    default:
        json_array_set_new(tensor, 2, json_real(-1));
        return "\"I8\" is not supported";
    }
}

static void test_damaged_heads_are_left_out(void **state) {
    static const struct {
        const char *name, *weight, *bias;
        unsigned heads; // that stay
    } rows[] = {
        {"classify", "classifier.weight", "classifier.bias", RP_HEAD_POOLER},
        {"classify_many", "classifier.weight", "classifier.bias", RP_HEAD_POOLER},
        {"distilbert_classify", "classifier.weight", "classifier.bias", 0},
        {"tag_wordpiece", "classifier.weight", "classifier.bias", 0},
        {"distilbert_tag", "classifier.weight", "classifier.bias", 0},
        {"answer_wordpiece", "qa_outputs.weight", "qa_outputs.bias", 0},
        {"choose_wordpiece", "classifier.weight", "classifier.bias", RP_HEAD_POOLER},
        {"order_wordpiece", "cls.seq_relationship.weight", "cls.seq_relationship.bias",
         RP_HEAD_POOLER | RP_HEAD_MASKED_LM},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int how = 0; how < DAMAGES; how++) {
            float whole[24], damaged[24];
            assert_true(task_case_open(rows[i].name, &fixture));
            open_as(0);
            embed(whole);
            const char *needle = damage(how, rows[i].weight, rows[i].bias);
            assert_true(task_case_write(&fixture));
            open_as(0);
            assert_int_equal(rp_model_get_info(model)->heads, rows[i].heads);
            embed(damaged);
            assert_memory_equal(whole, damaged, sizeof whole);
            assert_refused(needle);
            assert_refused("/model.safetensors: ");
            assert_refused(rows[i].weight);
            assert_non_null(strstr(err.message, "embed"));
            end_test(NULL);
        }
}

/* What a head stands on is a part of it. transformers would fill it with random numbers. */
static void test_heads_without_what_they_stand_on(void **state) {
    static const struct {
        const char *name, *tensor;
    } rows[] = {
        {"classify_many", "bert.pooler.dense.weight"},
        {"choose_wordpiece", "bert.pooler.dense.bias"},
        {"order_wordpiece", "bert.pooler.dense.weight"},
        {"distilbert_classify", "pre_classifier.weight"},
        {"distilbert_choose", "pre_classifier.bias"},
        {"fill_wordpiece", "cls.predictions.transform.LayerNorm.weight"},
        {"distilbert_fill", "vocab_transform.bias"},
        {"distilbert_fill", "vocab_projector.bias"},
    };
    float out[24];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *dot = strchr(rows[i].tensor, '.');
        assert_true(task_case_open(rows[i].name, &fixture));
        drop(rows[i].tensor);
        assert_true(task_case_write(&fixture));
        open_as(0);
        embed(out);
        assert_refused(strncmp(rows[i].tensor, "bert.", 5) ? rows[i].tensor : dot + 1);
        end_test(NULL);
    }
}

/* The output that a run asks for has the reason too. */
static void test_runs_have_the_reason(void **state) {
    const int32_t ids[] = {2, 7, 3};
    const rp_sequence sequence = {.ids = ids, .count = 3};
    float out[1];
    (void)state;
    assert_true(task_case_open("classify_many", &fixture));
    drop("bert.pooler.dense.weight");
    assert_true(task_case_write(&fixture));
    open_as(0);
    for (int i = 0; i < 2; i++) {
        const rp_run_params params = {.output = i ? RP_OUTPUT_POOLED : RP_OUTPUT_CLASSES};
        assert_int_equal(rp_model_run(model, &sequence, 1, &params, out, 1, NULL, &err), RP_ERROR_HEAD);
        assert_non_null(strstr(err.message, "pooler.dense.weight"));
        assert_int_equal(rp_model_output_size(model, &sequence, 1, &params), 0);
    }
}

/* Damage in the encoder is an error as before. */
static void test_a_damaged_encoder_is_refused(void **state) {
    (void)state;
    for (int how = 0; how < DAMAGES; how++) {
        assert_true(task_case_open("distilbert_classify", &fixture));
        const char *needle = damage(how, "distilbert.transformer.layer.1.attention.q_lin.weight",
                                    "distilbert.transformer.layer.1.attention.q_lin.bias");
        assert_true(task_case_write(&fixture));
        assert_int_equal(rp_model_open(fixture_device, fixture.dir, NULL, &model, &err),
                         how == INT8 ? RP_ERROR_UNSUPPORTED : RP_ERROR_FORMAT);
        assert_null(model);
        assert_non_null(strstr(err.message, how == PARTIAL ? "the tensor is missing" : needle));
        assert_non_null(strstr(err.message, "q_lin"));
        end_test(NULL);
    }
}

/* ---- which head it is ---- */

/* Without `architectures`, or with a class of somebody's own, the tensors tell. */
static void test_heads_are_told_by_the_tensors(void **state) {
    static const char *const names[] = {"classify",
                                        "classify_many",
                                        "tag",
                                        "tag_wordpiece",
                                        "answer_wordpiece",
                                        "fill_wordpiece",
                                        "fill",
                                        "order_wordpiece",
                                        "distilbert_tag",
                                        "distilbert_classify",
                                        "distilbert_answer"};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof names / sizeof *names); i++) {
        assert_true(task_case_open(names[i / 2], &fixture));
        if (i % 2)
            json_object_set_new(config(), "architectures", json_pack("[s]", "FancyClassifier"));
        else
            json_object_del(config(), "architectures");
        assert_true(task_case_write(&fixture));
        open_as(0);
        assert_answers();
        end_test(NULL);
    }
}

/* A token classifier that was saved with a pooler, by a class that nobody knows. */
static void test_the_caller_says_it(void **state) {
    (void)state;
    assert_true(task_case_open("tag_wordpiece", &fixture));
    json_object_del(config(), "architectures");
    add("bert.pooler.dense.weight", 24, 24);
    add("bert.pooler.dense.bias", 24, 0);
    assert_true(task_case_write(&fixture));
    open_as(0);
    assert_refused("--head tag");
    open_as(RP_HEAD_TOKENS);
    assert_int_equal(rp_model_get_info(model)->heads, RP_HEAD_POOLER | RP_HEAD_TOKENS);
    assert_answers();
    open_as(RP_HEAD_CLASSIFIER); /* the same tensor as somebody else may mean it */
    assert_int_equal(rp_model_get_info(model)->heads, RP_HEAD_POOLER | RP_HEAD_CLASSIFIER);
    assert_refused("this model cannot do tag (no such head)");
}

static void test_a_choice_is_told_by_the_caller(void **state) {
    (void)state;
    assert_true(task_case_open("choose_wordpiece", &fixture));
    json_object_del(config(), "architectures");
    assert_true(task_case_write(&fixture));
    open_as(0);
    assert_refused("--head classify or --head choose");
    open_as(RP_HEAD_CHOICE);
    assert_answers();
}

static void test_contradictions_name_both(void **state) {
    static const struct {
        rp_head head;
        const char *needles[2];
    } rows[] = {{RP_HEAD_SPANS, {"--head answer", "classifier.weight: shape is [4, 24]"}},
                {RP_HEAD_CHOICE, {"--head choose", "classifier.weight: shape is [4, 24]"}},
                {RP_HEAD_CLASSIFIER, {"--head classify", "pooler.dense.weight: the tensor is missing"}}};
    (void)state;
    assert_true(task_case_open("tag_wordpiece", &fixture));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rp_model_params params = {.head = rows[i].head};
        assert_int_equal(rp_model_open(fixture_device, fixture.dir, &params, &model, &err), RP_ERROR_HEAD);
        assert_null(model);
        for (int n = 0; n < 2; n++) {
            if (!strstr(err.message, rows[i].needles[n])) print_error("%s\n", err.message);
            assert_non_null(strstr(err.message, rows[i].needles[n]));
        }
    }
}

static void test_only_four_heads_can_be_named(void **state) {
    static const int wrong[] = {RP_HEAD_POOLER, RP_HEAD_MASKED_LM, RP_HEAD_ORDER, 3, 128, -1};
    (void)state;
    assert_true(task_case_open("tag_wordpiece", &fixture));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const rp_model_params params = {.head = (rp_head)wrong[i]};
        assert_int_equal(rp_model_open(fixture_device, fixture.dir, &params, &model, &err),
                         RP_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "RP_HEAD_TOKENS"));
    }
    const rp_model_params params = {.head = RP_HEAD_TOKENS};
    assert_int_equal(rp_model_open_random(fixture_device, fixture.dir, &params, &model, &err),
                     RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "rp_model_open_random: head"));
}

/* ---- labels ---- */

/* Three labels in the weights where config.json says nothing, which means two to transformers. */
static void test_labels_that_nobody_counts(void **state) {
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    json_object_del(config(), "id2label");
    assert_true(task_case_write(&fixture));
    open_as(0);
    assert_refused("classifier.weight: shape is [3, 24], config.json asks for [2, 24]");
    assert_non_null(strstr(err.message, "id2label"));
    open_as(RP_HEAD_CLASSIFIER);
    assert_int_equal(rp_model_get_info(model)->label_count, 3);
    assert_string_equal(rp_model_get_info(model)->labels[2], "LABEL_2");
    assert_int_equal(ask(), RP_OK);
    json_object_del(config(), "architectures"); /* transformers did not write this */
    assert_true(task_case_write(&fixture));
    open_as(0);
    assert_int_equal(rp_model_get_info(model)->label_count, 3);
    assert_int_equal(ask(), RP_OK);
}

static void test_a_row_without_a_name_has_its_number(void **state) {
    size_t count = 0;
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    json_object_set_new(config(), "id2label", json_pack("{s:s,s:i,s:s}", "0", "a", "2", 7, "4", "c"));
    assert_true(task_case_write(&fixture));
    open_as(0);
    assert_int_equal(ask(), RP_OK);
    const rp_label *labels = rp_result_labels(result, 0, &count);
    static const char *const names[] = {"a", "LABEL_1", "7"};
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) assert_string_equal(labels[i].label, names[labels[i].index]);
    for (size_t i = 0; i < 3; i++) assert_int_equal(rp_model_get_info(model)->label_bare[i], i == 2);
}

/* ---- DistilBERT ---- */

static void test_a_distilbert_has_neither_types_nor_pooler(void **state) {
    const int32_t ids[] = {2, 7, 3, 9, 3}, types[] = {0, 1, -1, 7, 2147483647};
    const rp_sequence sequences[] = {{.ids = ids, .count = 5}, {.ids = ids, .type_ids = types, .count = 5}};
    float out[2][5 * 24];
    (void)state;
    assert_true(task_case_open("distilbert_classify", &fixture));
    open_as(0);
    assert_int_equal(rp_model_get_info(model)->heads, RP_HEAD_CLASSIFIER);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rp_model_run(model, &sequences[i], 1, NULL, out[i], 5 * 24, NULL, &err), RP_OK);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    const rp_run_params pooled = {.output = RP_OUTPUT_POOLED};
    assert_int_equal(rp_model_run(model, sequences, 1, &pooled, out[0], 24, NULL, &err), RP_ERROR_HEAD);
}

#define TEST(name) cmocka_unit_test_teardown(name, end_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_damaged_heads_are_left_out),
        TEST(test_heads_without_what_they_stand_on),
        TEST(test_runs_have_the_reason),
        TEST(test_a_damaged_encoder_is_refused),
        TEST(test_heads_are_told_by_the_tensors),
        TEST(test_the_caller_says_it),
        TEST(test_a_choice_is_told_by_the_caller),
        TEST(test_contradictions_name_both),
        TEST(test_only_four_heads_can_be_named),
        TEST(test_labels_that_nobody_counts),
        TEST(test_a_row_without_a_name_has_its_number),
        TEST(test_a_distilbert_has_neither_types_nor_pooler),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
