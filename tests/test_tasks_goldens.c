/* Whole tasks against Hugging Face's pipelines and sentence-transformers: every call of every case in
 * tests/goldens/tasks, all inputs together and each alone. */
#include "support_tasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rp_model *open_model(const char *dir, uint32_t max_batch_tokens) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(fixture_device, dir, &(rp_model_params){.max_batch_tokens = max_batch_tokens}, &model,
                      &err))
        print_error("%s\n", err.message);
    assert_non_null(model);
    return model;
}

static void show(const char *title, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(7));
    print_error("%s: %s\n", title, text ? text : "nothing");
    free(text);
}

static rp_result *run(rp_model *model, const json_t *call, const size_t *which, size_t count) {
    rp_result *result = NULL;
    rp_error err = {0};
    if (task_run(model, call, which, count, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    assert_int_equal(rp_result_count(result), count);
    return result;
}

/* Entry `i` of a result, which answers input `input`; an entry that failed is shown. */
static json_t *take(const json_t *call, size_t input, const rp_result *result, size_t i) {
    const char *message = NULL;
    if (rp_result_status(result, i, &message)) print_error("input %zu: %s\n", input, message);
    assert_int_equal(rp_result_status(result, i, NULL), RP_OK);
    return task_answer(call, json_array_get(json_object_get(call, "inputs"), input), result, i);
}

/* All inputs together give what Hugging Face gives, and each alone gives the same bits. */
static double check_call(rp_model *model, const json_t *call) {
    const json_t *want = json_object_get(call, "answers"), *cut = json_object_get(call, "cut");
    size_t count = json_array_size(want);
    double worst = 0;
    rp_result *all = run(model, call, NULL, count);
    for (size_t i = 0; i < count; i++) {
        rp_result *one = run(model, call, &i, 1);
        json_t *got = take(call, i, all, i), *alone = take(call, i, one, 0);
        bool same = task_same(got, json_array_get(want, i), &worst);
        if (!same) {
            show("params", json_object_get(call, "params"));
            show("input", json_array_get(json_object_get(call, "inputs"), i));
            show("got", got);
            show("want", json_array_get(want, i));
        }
        assert_true(same);
        assert_true(json_equal(got, alone));
        assert_int_equal(rp_result_truncated(all, i), json_is_true(json_array_get(cut, i)));
        json_decref(got);
        json_decref(alone);
        rp_result_free(&one);
    }
    rp_result_free(&all);
    return worst;
}

static void test_answers_are_those_of_hugging_face(void **state) {
    task_case c = {0};
    double worst = 0;
    assert_true(task_case_open(*state, &c));
    rp_model *model = open_model(c.dir, 0);
    for (size_t i = 0; i < json_array_size(c.calls); i++) {
        double error = check_call(model, json_array_get(c.calls, i));
        if (error > worst) worst = error;
    }
    print_message("%s: worst %.3f of the bound\n", (const char *)*state, worst);
    rp_model_close(&model);
    task_case_close(&c);
}

/* Work that is cut into many submissions gives the same bits. */
static void test_submissions_change_nothing(void **state) {
    task_case c = {0};
    assert_true(task_case_open(*state, &c));
    rp_model *large = open_model(c.dir, 0), *small = open_model(c.dir, rp_model_get_info(large)->max_tokens);
    assert_true(rp_model_get_info(small)->max_batch_tokens < rp_model_get_info(large)->max_batch_tokens);
    for (size_t i = 0; i < json_array_size(c.calls); i++) {
        const json_t *call = json_array_get(c.calls, i);
        size_t count = json_array_size(json_object_get(call, "inputs"));
        rp_result *a = run(large, call, NULL, count), *b = run(small, call, NULL, count);
        for (size_t k = 0; k < count; k++) {
            json_t *left = take(call, k, a, k), *right = take(call, k, b, k);
            assert_true(json_equal(left, right));
            json_decref(left);
            json_decref(right);
        }
        rp_result_free(&a);
        rp_result_free(&b);
    }
    rp_model_close(&large);
    rp_model_close(&small);
    task_case_close(&c);
}

/* The comparison sees what is different. */
static void test_the_comparison_sees_differences(void **state) {
    static const char *const others[] = {"[{\"a\": 1.001, \"b\": \"x\", \"c\": 1}]",
                                         "[{\"a\": 1.0, \"b\": \"y\", \"c\": 1}]",
                                         "[{\"a\": 1.0, \"b\": \"x\", \"c\": 2}]",
                                         "[{\"a\": 1.0, \"b\": \"x\"}]",
                                         "[]",
                                         "[{\"a\": 1.0, \"b\": \"x\", \"c\": 1}, {}]"};
    json_t *want = json_loads("[{\"a\": 1.0, \"b\": \"x\", \"c\": 1}]", 0, NULL);
    double worst = 0;
    (void)state;
    assert_true(task_same(want, want, &worst));
    assert_true(worst == 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        json_t *got = json_loads(others[i], 0, NULL);
        assert_non_null(got);
        assert_false(task_same(got, want, &worst));
        json_decref(got);
    }
    json_decref(want);
}

#define CASE(name) \
    { "tasks: " name, test_answers_are_those_of_hugging_face, NULL, NULL, name }
#define CUT(name) \
    { "submissions: " name, test_submissions_change_nothing, NULL, NULL, name }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_comparison_sees_differences),
        CASE("classify"),
        CASE("classify_many"),
        CASE("classify_one"),
        CASE("classify_value"),
        CASE("fill"),
        CASE("fill_wordpiece"),
        CASE("tag"),
        CASE("tag_wordpiece"),
        CASE("answer"),
        CASE("answer_wordpiece"),
        CASE("embed_mean"),
        CASE("embed_cls"),
        CASE("embed_max"),
        CASE("embed_plain"),
        CASE("embed_modules"),
        CASE("embed_joined"),
        CASE("embed_prompts"),
        CASE("choose"),
        CASE("choose_wordpiece"),
        CASE("distilbert_classify"),
        CASE("distilbert_fill"),
        CASE("distilbert_tag"),
        CASE("distilbert_answer"),
        CASE("distilbert_embed"),
        CASE("distilbert_choose"),
        CASE("order"),
        CASE("order_wordpiece"),
        CASE("sentiment"),
        CASE("pretrained"),
        CUT("fill"),
        CUT("tag"),
        CUT("embed_mean"),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
