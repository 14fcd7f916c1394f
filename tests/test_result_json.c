/* Results as JSON: the values that the accessors give, in the shape that the command and Hugging Face print.
 */
#include "support_tasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }

static task_case fixture;
static rp_model *model;
static rp_result *result;
static rp_error err;

static void open_model(void) {
    rp_model_close(&model);
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
}

static int end_test(void **state) {
    (void)state;
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&fixture);
    return 0;
}

/* Entry `i` as text; owned by the caller (rp_string_free). */
static char *write_entry(size_t i, const rp_json_params *params) {
    char *text = NULL;
    size_t size = 0;
    if (rp_result_json(result, i, params, &text, &size, &err)) print_error("%s\n", err.message);
    assert_non_null(text);
    assert_int_equal(strlen(text), size);
    assert_null(strchr(text, '\n'));
    return text;
}

static json_t *read_entry(size_t i, const rp_json_params *params) {
    char *text = write_entry(i, params);
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value) print_error("%s\n", text);
    assert_non_null(value);
    rp_string_free(&text);
    return value;
}

/* Equal, and numbers to the bit of a float32. */
static bool same(const json_t *a, const json_t *b) {
    if (json_is_real(a) && json_is_real(b)) return (float)json_real_value(a) == (float)json_real_value(b);
    bool equal = json_typeof(a) == json_typeof(b);
    if (equal && json_is_array(a)) {
        equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = same(json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (!equal || !json_is_object(a)) return equal && json_equal(a, b);
    const char *key;
    json_t *value;
    equal = json_object_size(a) == json_object_size(b);
    json_object_foreach((json_t *)a, key, value) {
        const json_t *other = json_object_get(b, key);
        equal = equal && other && same(value, other);
    }
    return equal;
}

/* What the accessors give, in the shape that is printed. */
static json_t *expected(const json_t *call, const json_t *input, size_t i) {
    const char *task = json_string_value(json_object_get(call, "task"));
    const json_t *top_k = json_object_get(json_object_get(call, "params"), "top_k");
    json_t *value = task_answer(call, input, result, i);
    bool one = (!strcmp(task, "fill-mask") && json_array_size(value) == 1) ||
               (!strcmp(task, "answer") && json_integer_value(top_k) <= 1);
    if (!strcmp(task, "coherence")) {
        double score = json_real_value(value);
        json_decref(value);
        return json_pack("{s:s, s:f}", "label", score >= 0.5 ? "in_order" : "swapped", "score", score);
    }
    if (!one) return value;
    json_t *first = json_incref(json_array_get(value, 0));
    json_decref(value);
    return first;
}

static void test_json_is_what_the_accessors_give(void **state) {
    assert_true(task_case_open(*state, &fixture));
    size_t calls = json_array_size(fixture.calls);
    assert_true(calls > 0);
    for (size_t c = 0; c < calls; c++) {
        const json_t *call = json_array_get(fixture.calls, c), *inputs = json_object_get(call, "inputs");
        open_model();
        assert_int_equal(task_run(model, call, NULL, json_array_size(inputs), &result, &err), RP_OK);
        rp_model_close(&model); /* a result outlives it */
        for (size_t i = 0; i < json_array_size(inputs); i++) {
            json_t *got = read_entry(i, NULL), *want = expected(call, json_array_get(inputs, i), i);
            if (!same(got, want)) fail_msg("%s: call %zu, input %zu", (const char *)*state, c, i);
            json_decref(got);
            json_decref(want);
        }
        rp_result_free(&result);
    }
}

/* ---- offsets ---- */

static json_int_t place(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* Code points have one, two, three and four bytes; the last takes two units of UTF-16. */
static void test_offsets_are_counted_three_ways(void **state) {
    static const rp_text text = TEXT("one \xc3\xab two \xe2\x82\xac three \xf0\x9f\x98\x80 four");
    (void)state;
    assert_true(task_case_open("tag", &fixture));
    open_model();
    assert_int_equal(
        rp_tag(model, &text, 1, &(rp_tag_params){.aggregation = RP_AGGREGATE_NONE}, &result, &err), RP_OK);
    size_t count = 0, behind = 0;
    const rp_entity *entities = rp_result_entities(result, 0, &count);
    json_t *points = read_entry(0, NULL);
    json_t *bytes = read_entry(0, &(rp_json_params){.offsets = RP_OFFSETS_BYTES});
    json_t *units = read_entry(0, &(rp_json_params){.offsets = RP_OFFSETS_UTF16});
    assert_true(count > 0);
    assert_int_equal(json_array_size(points), count);
    for (size_t k = 0; k < count; k++) {
        uint32_t end = entities[k].span.end, point = 0, unit = 0;
        for (uint32_t at = 0; at < end; at++) {
            unsigned char byte = (unsigned char)text.data[at];
            if (byte >> 6 != 2) point++, unit += byte >= 0xf0 ? 2 : 1;
        }
        assert_int_equal(place(json_array_get(points, k), "end"), point);
        assert_int_equal(place(json_array_get(bytes, k), "end"), end);
        assert_int_equal(place(json_array_get(bytes, k), "start"), entities[k].span.start);
        assert_int_equal(place(json_array_get(units, k), "end"), unit);
        behind += unit > point;
    }
    assert_true(behind > 0); /* an entity lies behind the last of them */
    json_decref(points);
    json_decref(bytes);
    json_decref(units);
}

/* Best first, the spans of answers lie in no order. */
static void test_many_answers_have_their_places(void **state) {
    static char context[2000];
    (void)state;
    size_t size = 0;
    for (int i = 0; i < 60; i++) size += (size_t)sprintf(context + size, "\xf0\x9f\x98\x80 w%d ", i);
    assert_true(task_case_open("answer", &fixture));
    open_model();
    const rp_question question = {TEXT("who?"), {context, size}};
    rp_answer_params params = {.top_k = 500};
    assert_int_equal(rp_answer_questions(model, &question, 1, &params, &result, &err), RP_OK);
    size_t count = 0;
    const rp_answer *answers = rp_result_answers(result, 0, &count);
    json_t *list = read_entry(0, NULL);
    assert_true(count > 60);
    assert_int_equal(json_array_size(list), count);
    for (size_t k = 0; k < count; k++) {
        json_int_t point = 0;
        for (uint32_t at = 0; at < answers[k].span.start; at++) point += (context[at] & 0xc0) != 0x80;
        assert_int_equal(place(json_array_get(list, k), "start"), point);
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, k), "answer")),
                            answers[k].text);
    }
    json_decref(list);
}

/* ---- labels ---- */

/* id2label may hold numbers: pipelines print them as they stand. */
static void test_labels_that_are_numbers(void **state) {
    static const rp_text text = TEXT("one two three");
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    json_t *labels = json_object_get(json_object_get(fixture.root, "config"), "id2label");
    size_t count = json_object_size(labels);
    assert_true(count > 1);
    json_object_set_new(labels, "0", json_integer(7));
    json_object_set_new(labels, "1", json_string("7"));
    json_object_del(json_object_get(fixture.root, "config"), "label2id");
    assert_true(task_case_write(&fixture));
    open_model();
    assert_int_equal(rp_classify(model, &(rp_input){.text = text}, 1, NULL, &result, &err), RP_OK);
    rp_model_close(&model);
    json_t *list = read_entry(0, NULL);
    size_t numbers = 0, strings = 0;
    for (size_t k = 0; k < count; k++) {
        const json_t *label = json_object_get(json_array_get(list, k), "label");
        numbers += json_is_integer(label) && json_integer_value(label) == 7;
        strings += json_is_string(label) && !strcmp(json_string_value(label), "7");
    }
    assert_int_equal(numbers, 1);
    assert_int_equal(strings, 1);
    json_decref(list);
}

/* ---- what cannot be written, and errors ---- */

static void test_a_failed_entry_says_why(void **state) {
    const rp_input inputs[] = {{.text = TEXT("good")}, {.text = TEXT("a \"bad\" \xff byte")}};
    const char *message = NULL;
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    open_model();
    assert_int_equal(rp_classify(model, inputs, 2, NULL, &result, &err), RP_OK);
    assert_int_equal(rp_result_status(result, 1, &message), RP_ERROR_TEXT);
    json_t *good = read_entry(0, NULL), *bad = read_entry(1, NULL);
    assert_true(json_is_array(good));
    assert_int_equal(json_object_size(bad), 1);
    assert_string_equal(json_string_value(json_object_get(bad, "error")), message);
    json_decref(good);
    json_decref(bad);
}

static void test_wrong_arguments(void **state) {
    const rp_input input = {.text = TEXT("good")};
    char *text = "not written";
    size_t size = 1;
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    open_model();
    assert_int_equal(rp_classify(model, &input, 1, NULL, &result, &err), RP_OK);
    assert_int_equal(rp_result_json(result, 1, NULL, &text, &size, &err), RP_ERROR_ARGUMENT);
    assert_null(text);
    assert_int_equal(size, 0);
    assert_int_equal(rp_result_json(NULL, 0, NULL, &text, NULL, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_result_json(result, 0, NULL, NULL, &size, &err), RP_ERROR_ARGUMENT);
    rp_json_params params = {.offsets = (rp_offsets)3};
    assert_int_equal(rp_result_json(result, 0, &params, &text, NULL, &err), RP_ERROR_ARGUMENT);
    params = (rp_json_params){.reserved = {0, 1}};
    assert_int_equal(rp_result_json(result, 0, &params, &text, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_result_json(result, 0, NULL, &text, NULL, NULL), RP_OK); /* without size and err */
    rp_string_free(&text);
}

#define CASE(name) \
    { "json of " name, test_json_is_what_the_accessors_give, NULL, end_test, name }
#define JSON_TEST(name) cmocka_unit_test_teardown(name, end_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("classify"),
        CASE("classify_many"),
        CASE("classify_value"),
        CASE("fill"),
        CASE("fill_wordpiece"),
        CASE("tag"),
        CASE("tag_wordpiece"),
        CASE("answer"),
        CASE("answer_wordpiece"),
        CASE("embed_plain"),
        CASE("embed_joined"),
        CASE("choose"),
        CASE("order"),
        CASE("sentiment"),
        JSON_TEST(test_offsets_are_counted_three_ways),
        JSON_TEST(test_many_answers_have_their_places),
        JSON_TEST(test_labels_that_are_numbers),
        JSON_TEST(test_a_failed_entry_says_why),
        JSON_TEST(test_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
