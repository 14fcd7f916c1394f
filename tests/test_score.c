/* Pseudo-log-likelihoods: what Hugging Face's models give when each token is masked by hand. */
#include "support_tasks.h"

#include <math.h>
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

static rp_result *score(rp_model *model, const rp_text *texts, size_t count) {
    rp_result *result = NULL;
    rp_error err = {0};
    if (rp_score(model, texts, count, NULL, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    return result;
}

/* All texts of a case, and each alone. */
static void test_scores_are_those_of_hugging_face(void **state) {
    task_case c;
    double worst = 0;
    assert_true(task_case_open(*state, &c));
    const json_t *call = json_array_get(c.calls, 0), *inputs = json_object_get(call, "inputs");
    size_t count = json_array_size(inputs);
    rp_text texts[32];
    assert_true(count > 5 && count <= 32);
    for (size_t i = 0; i < count; i++) texts[i] = task_text(json_array_get(inputs, i));
    /* One model in batches of one sequence, the others in large ones. */
    rp_model *model = open_model(c.dir, !strcmp(*state, "score"));
    rp_result *all = score(model, texts, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *want = json_array_get(json_object_get(call, "answers"), i);
        rp_result *one = score(model, texts + i, 1);
        uint32_t tokens = 0;
        double got = rp_result_score(all, i, &tokens);
        double error = fabs(got - json_real_value(json_object_get(want, "score")));
        if (!(error <= worst)) worst = error;
        assert_int_equal(tokens, json_integer_value(json_object_get(want, "tokens")));
        assert_true(error <= 1e-4);
        assert_true(rp_result_score(one, 0, NULL) == got);
        assert_int_equal(rp_result_truncated(all, i),
                         json_is_true(json_array_get(json_object_get(call, "cut"), i)));
        rp_result_free(&one);
    }
    print_message("%s: %.2e at most\n", (const char *)*state, worst);
    rp_result_free(&all);
    rp_model_close(&model);
    task_case_close(&c);
}

/* Odd texts are answered, or fail alone. */
static void test_odd_texts(void **state) {
    static char lengthy[40000];
    const rp_text texts[] = {RP_TEXT(""),
                             RP_TEXT(" \t\n"),
                             RP_TEXT("word"),
                             RP_TEXT("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"),
                             RP_TEXT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd8\xa7"),
                             RP_TEXT("a\0b"),
                             RP_TEXT("bad \xff"),
                             {lengthy, sizeof lengthy},
                             {NULL, 0},
                             RP_TEXT("[MASK]")};
    task_case c;
    rp_error err = {0};
    char *json = NULL;
    (void)state;
    memset(lengthy, 'a', sizeof lengthy);
    for (size_t i = 5; i < sizeof lengthy; i += 6) lengthy[i] = ' ';
    assert_true(task_case_open("score", &c));
    rp_model *model = open_model(c.dir, 0);
    rp_result *result = score(model, texts, 10);
    for (size_t i = 0; i < 10; i++) {
        uint32_t tokens = 7;
        double got = rp_result_score(result, i, &tokens);
        bool bad = i == 6;
        assert_int_equal(rp_result_status(result, i, NULL), bad ? RP_ERROR_TEXT : RP_OK);
        assert_true(bad ? isnan(got) && !tokens : got <= 0 && isfinite(got));
        if (i < 2 || i == 8) assert_true(got == 0 && tokens == 0);
        if (i == 7) assert_true(tokens == 62 && rp_result_truncated(result, i));
    }
    assert_int_equal(rp_result_json(result, 0, NULL, &json, NULL, &err), RP_OK);
    assert_string_equal(json, "{\"score\": 0.0, \"tokens\": 0}");
    rp_string_free(&json);
    assert_int_equal(rp_result_json(result, 6, NULL, &json, NULL, &err), RP_OK);
    assert_non_null(strstr(json, "{\"error\": "));
    rp_string_free(&json);
    assert_true(isnan(rp_result_score(result, 10, NULL)));
    assert_true(isnan(rp_result_score(NULL, 0, NULL)));
    rp_result_free(&result);
    result = score(model, texts, 0);
    assert_int_equal(rp_result_count(result), 0);
    rp_result_free(&result);
    /* The result of another task has no score. */
    assert_int_equal(rp_embed(model, texts, 1, NULL, &result, &err), RP_OK);
    assert_true(isnan(rp_result_score(result, 0, NULL)));
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

static void test_models_that_cannot(void **state) {
    task_case c;
    rp_result *result = NULL;
    rp_error err = {0};
    const rp_text text = RP_TEXT("a");
    (void)state;
    assert_true(task_case_open("classify", &c));
    rp_model *model = open_model(c.dir, 0);
    assert_int_equal(rp_score(model, &text, 1, NULL, &result, &err), RP_ERROR_HEAD);
    assert_non_null(strstr(err.message, "score"));
    assert_null(result);
    const rp_score_params wrong = {.reserved = {1}};
    assert_int_equal(rp_score(model, &text, 1, &wrong, &result, &err), RP_ERROR_ARGUMENT);
    rp_model_close(&model);
    task_case_close(&c);
}

/* What `done` was last, and in how many steps. */
static size_t told, tellings;

static void take_progress(void *user, size_t done, size_t total) {
    assert_true(done > told && done <= total);
    told = done;
    if (++tellings == 2 && user) rp_call_cancel(user);
}

static void test_progress_and_cancelling(void **state) {
    static const rp_text text = RP_TEXT("one two three four five six seven eight nine ten eleven twelve");
    const rp_text texts[] = {text, text, text, text};
    task_case c;
    rp_result *result = NULL;
    rp_error err = {0};
    rp_call call = {.progress = take_progress};
    const rp_score_params params = {.call = &call};
    (void)state;
    assert_true(task_case_open("score", &c));
    rp_model *model = open_model(c.dir, 1);
    assert_int_equal(rp_score(model, texts, 4, &params, &result, &err), RP_OK);
    assert_int_equal(told, 4);
    assert_true(tellings > 1);
    rp_result_free(&result);
    told = tellings = 0;
    call.user = &call;
    assert_int_equal(rp_score(model, texts, 4, &params, &result, &err), RP_ERROR_CANCELLED);
    assert_null(result);
    rp_model_close(&model);
    task_case_close(&c);
}

#define CASE(name) \
    { "scores: " name, test_scores_are_those_of_hugging_face, NULL, NULL, name }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("score"),
        CASE("score_wordpiece"),
        CASE("score_cased"),
        CASE("score_distilbert"),
        CASE("score_pretrained"),
        cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_models_that_cannot),
        cmocka_unit_test(test_progress_and_cancelling),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
