/* Labels of long texts, labels that a model was not taught, and which words count: against what Hugging
 * Face's models give window by window, against its zero-shot pipeline and sentence-transformers' vectors, and
 * against classifying each text by hand without each word. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double BOUND = 1e-5;

static rp_model *open_model(const char *dir, uint32_t max_batch_tokens) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(fixture_device, dir, &(rp_model_params){.max_batch_tokens = max_batch_tokens}, &model,
                      &err))
        print_error("%s\n", err.message);
    assert_non_null(model);
    return model;
}

/* ---- against the goldens ---- */

static rp_result *run(rp_model *model, const json_t *call, size_t first, size_t count) {
    static const char *const ways[] = {"", "mean", "max", "vote"};
    const json_t *params = json_object_get(call, "params"), *inputs = json_object_get(call, "inputs");
    const json_t *names = json_object_get(params, "labels");
    rp_input *texts = calloc(count, sizeof *texts);
    rp_text *singles = calloc(count, sizeof *singles);
    const char *labels[8];
    rp_result *result = NULL;
    rp_error err = {0};
    for (size_t i = 0; i < count; i++) {
        const json_t *input = json_array_get(inputs, first + i);
        texts[i].text = singles[i] =
            task_text(json_is_string(input) ? input : json_object_get(input, "text"));
        if (json_is_object(input)) texts[i].pair = task_text(json_object_get(input, "text_pair"));
    }
    for (size_t i = 0; i < json_array_size(names); i++)
        labels[i] = json_string_value(json_array_get(names, i));
    if (names) {
        const rp_zero_shot_params p = {.labels = labels,
                                       .label_count = json_array_size(names),
                                       .hypothesis = json_string_value(json_object_get(params, "template")),
                                       .multi_label = json_is_true(json_object_get(params, "multi_label"))};
        rp_zero_shot(model, singles, count, &p, &result, &err);
    } else {
        rp_classify_params p = {.stride = (uint32_t)json_integer_value(json_object_get(params, "stride"))};
        while (strcmp(ways[p.long_texts], json_string_value(json_object_get(params, "long")))) p.long_texts++;
        rp_classify(model, texts, count, &p, &result, &err);
    }
    if (!result) print_error("%s\n", err.message);
    assert_non_null(result);
    free(texts);
    free(singles);
    return result;
}

/* Every label with its score, best first. */
static double compare(const rp_result *result, size_t i, const json_t *want) {
    const char *message = "";
    double worst = 0;
    size_t count = 0;
    if (rp_result_status(result, i, &message)) print_error("input %zu: %s\n", i, message);
    const rp_label *labels = rp_result_labels(result, i, &count);
    assert_int_equal(count, json_object_size(want));
    for (size_t k = 0; k < count; k++) {
        double error =
            fabs((double)labels[k].score - json_number_value(json_object_get(want, labels[k].label)));
        assert_true(json_object_get(want, labels[k].label) != NULL);
        if (error > worst) worst = error;
        if (k) assert_true(labels[k].score <= labels[k - 1].score);
    }
    return worst;
}

static void test_labels_are_those_of_hugging_face(void **state) {
    task_case c = {0};
    double worst = 0;
    assert_true(task_case_open(*state, &c));
    rp_model *model = open_model(c.dir, 0), *small = open_model(c.dir, 1);
    for (size_t n = 0; n < json_array_size(c.calls); n++) {
        const json_t *call = json_array_get(c.calls, n), *want = json_object_get(call, "answers");
        size_t all = json_array_size(want);
        rp_result *result = run(model, call, 0, all), *cut = run(small, call, 0, all);
        for (size_t i = 0; i < all; i++) {
            double error = compare(result, i, json_array_get(want, i));
            if (error > BOUND) print_error("call %zu, input %zu: off by %g\n", n, i, error);
            if (error > worst) worst = error;
            rp_result *one = run(model, call, i, 1); /* alone, and in many submissions: the same bits */
            char *texts[3] = {NULL};
            rp_result_json(result, i, NULL, &texts[0], NULL, NULL);
            rp_result_json(one, 0, NULL, &texts[1], NULL, NULL);
            rp_result_json(cut, i, NULL, &texts[2], NULL, NULL);
            assert_string_equal(texts[0], texts[1]);
            assert_string_equal(texts[0], texts[2]);
            for (int t = 0; t < 3; t++) rp_string_free(&texts[t]);
            rp_result_free(&one);
        }
        rp_result_free(&result);
        rp_result_free(&cut);
    }
    print_message("%s: off by at most %.2g\n", (const char *)*state, worst);
    assert_true(worst <= BOUND);
    rp_model_close(&small);
    rp_model_close(&model);
    task_case_close(&c);
}

/* ---- what is refused ---- */

static rp_status classify(rp_model *model, const char *text, const char *pair,
                          const rp_classify_params *params, rp_result **out, rp_error *err) {
    rp_input input = {.text = {text, strlen(text)}};
    if (pair) input.pair = (rp_text){pair, strlen(pair)};
    return rp_classify(model, &input, 1, params, out, err);
}

static void test_long_texts_refuse(void **state) {
    task_case c = {0}, value = {0};
    rp_result *result = NULL;
    rp_error err = {0};
    char lead[1000] = "";
    (void)state;
    assert_true(task_case_open("long", &c) && task_case_open("long_value", &value));
    rp_model *model = open_model(c.dir, 0), *number = open_model(value.dir, 0);
    for (int i = 0; i < 120; i++) strcat(lead, "river ");
    const rp_classify_params wrong = {.long_texts = (rp_long_texts)4};
    assert_int_equal(classify(model, "a", NULL, &wrong, &result, &err), RP_ERROR_ARGUMENT);
    const rp_classify_params both = {.long_texts = RP_LONG_MAX, .explain = true};
    assert_int_equal(classify(model, "a", NULL, &both, &result, &err), RP_ERROR_ARGUMENT);
    const rp_classify_params vote = {.long_texts = RP_LONG_VOTE};
    assert_int_equal(classify(number, "a", NULL, &vote, &result, &err), RP_ERROR_UNSUPPORTED);
    /* The first text of a pair leaves no room: that input fails alone. */
    const rp_input inputs[] = {
        {{lead, strlen(lead)}, RP_TEXT("the end")}, {RP_TEXT("a film"), {0}}, {RP_TEXT("a \xff"), {0}}};
    assert_int_equal(rp_classify(model, inputs, 3, &vote, &result, &err), RP_OK);
    const char *message = "";
    assert_int_equal(rp_result_status(result, 0, &message), RP_ERROR_TEXT);
    assert_non_null(strstr(message, "nothing is left for the text"));
    assert_int_equal(rp_result_status(result, 1, NULL), RP_OK);
    assert_int_equal(rp_result_status(result, 2, NULL), RP_ERROR_TEXT);
    rp_result_free(&result);
    rp_model_close(&number);
    rp_model_close(&model);
    task_case_close(&value);
    task_case_close(&c);
}

static void test_long_texts_are_not_cut(void **state) {
    task_case c = {0};
    rp_result *result = NULL;
    rp_error err = {0};
    char text[2000] = "";
    uint32_t taken = 0;
    (void)state;
    assert_true(task_case_open("long", &c));
    rp_model *model = open_model(c.dir, 0);
    for (int i = 0; i < 200; i++) strcat(text, "river ");
    assert_int_equal(classify(model, text, NULL, NULL, &result, &err), RP_OK);
    assert_true(rp_result_truncated(result, 0));
    rp_result_free(&result);
    /* A stride that is too large is half a window. */
    for (uint32_t stride = 0; stride < 200; stride += 60) {
        const rp_classify_params mean = {.long_texts = RP_LONG_MEAN, .stride = stride, .top_k = 1};
        assert_int_equal(classify(model, text, NULL, &mean, &result, &err), RP_OK);
        assert_false(rp_result_truncated(result, 0));
        assert_true(rp_result_tokens(result, 0, &taken) >= 200);
        assert_int_equal(rp_result_tokens(result, 0, NULL), taken);
        size_t count = 0;
        assert_non_null(rp_result_labels(result, 0, &count));
        assert_int_equal(count, 1);
        rp_result_free(&result);
    }
    rp_model_close(&model);
    task_case_close(&c);
}

static float score_of(rp_model *model, const char *text, size_t size, uint32_t label);

/* With truncation_side "left" windows are counted from the end of the text, and the last one stays of a text
 * that is cut. */
static void test_windows_from_the_left(void **state) {
    enum { WORDS = 70, SIZE = 6, ROOM = 46, STRIDE = 10 };
    static const char *const words[] = {"river ", "years ", "lived "};
    task_case c = {0};
    rp_result *result = NULL;
    rp_error err = {0};
    char text[WORDS * SIZE + 1] = "";
    double mean = 0;
    size_t windows = 0, count = 0;
    (void)state;
    assert_true(task_case_open("long_many", &c));
    assert_true(fixture_write_text(c.dir, "tokenizer_config.json", "{\"truncation_side\": \"left\"}"));
    rp_model *model = open_model(c.dir, 0);
    for (int i = 0; i < WORDS; i++) strcat(text, words[i * i % 7 % 3]);
    const rp_classify_params params = {.long_texts = RP_LONG_MEAN, .stride = STRIDE};
    assert_int_equal(classify(model, text, NULL, &params, &result, &err), RP_OK);
    assert_int_equal(rp_result_tokens(result, 0, NULL), WORDS); /* a word is a token */
    const rp_label *best = rp_result_labels(result, 0, &count);
    for (int end = WORDS, first = 1; first > 0; end -= ROOM - STRIDE, windows++) {
        first = end > ROOM ? end - ROOM : 0;
        mean += (double)score_of(model, text + first * SIZE, (size_t)(end - first) * SIZE, best->index);
    }
    assert_int_equal(windows, 2);
    assert_true(fabs(mean / (double)windows - (double)best->score) < 1e-6);
    float last = score_of(model, text + (WORDS - ROOM) * SIZE, ROOM * SIZE, best->index);
    assert_true(score_of(model, text, sizeof text - 1, best->index) == last);
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

static void test_zero_shot_refuses(void **state) {
    static const char *const good[] = {"a", "b"}, *const empty[] = {"a", ""}, *const bad[] = {"a", "\xff"};
    static const struct {
        rp_zero_shot_params params;
        const char *part;
    } wrong[] = {
        {{.labels = good}, "at least one label"},
        {{.label_count = 2}, "at least one label"},
        {{.labels = empty, .label_count = 2}, "label 2 is empty"},
        {{.labels = bad, .label_count = 2}, "label 2"},
        {{.labels = good, .label_count = 2, .hypothesis = "no place"}, "must have {} once"},
        {{.labels = good, .label_count = 2, .hypothesis = "{} and {}"}, "must have {} once"},
    };
    static const char *const cases[] = {"zero_shot", "zero_shot_vectors"};
    rp_result *result = NULL;
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        task_case c = {0};
        assert_true(task_case_open(cases[k], &c));
        rp_model *model = open_model(c.dir, 0);
        const rp_text text = RP_TEXT("a film");
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            rp_error err = {0};
            assert_int_equal(rp_zero_shot(model, &text, 1, &wrong[i].params, &result, &err),
                             RP_ERROR_ARGUMENT);
            if (!strstr(err.message, wrong[i].part)) print_error("%s\n", err.message);
            assert_non_null(strstr(err.message, wrong[i].part));
            assert_null(result);
        }
        rp_error err = {0};
        assert_int_equal(rp_zero_shot(model, &text, 1, NULL, &result, &err), RP_ERROR_ARGUMENT);
        rp_model_close(&model);
        task_case_close(&c);
    }
}

/* A hypothesis that fills the model leaves no room for a text; others are answered. */
static void test_zero_shot_wants_room(void **state) {
    task_case c = {0};
    rp_result *result = NULL;
    rp_error err = {0};
    char longest[1000] = "";
    const char *labels[] = {longest};
    (void)state;
    assert_true(task_case_open("zero_shot", &c));
    rp_model *model = open_model(c.dir, 0);
    for (int i = 0; i < 120; i++) strcat(longest, "river ");
    const rp_text texts[] = {RP_TEXT("a film"), RP_TEXT("a \xff"), RP_TEXT("")};
    const rp_zero_shot_params params = {.labels = labels, .label_count = 1};
    assert_int_equal(rp_zero_shot(model, texts, 3, &params, &result, &err), RP_OK);
    for (size_t i = 0; i < 3; i++) assert_int_equal(rp_result_status(result, i, NULL), RP_ERROR_TEXT);
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

/* ---- which words count ---- */

static float score_of(rp_model *model, const char *text, size_t size, uint32_t label) {
    rp_result *result = NULL;
    rp_error err = {0};
    size_t count = 0;
    rp_input input = {.text = {text, size}};
    assert_int_equal(rp_classify(model, &input, 1, NULL, &result, &err), RP_OK);
    const rp_label *labels = rp_result_labels(result, 0, &count);
    float score = NAN;
    for (size_t k = 0; k < count; k++)
        if (labels[k].index == label) score = labels[k].score;
    rp_result_free(&result);
    return score;
}

/* Each word's weight is what classifying the text without it says. */
static void check_weights(rp_model *model, const char *text, const rp_result *result, size_t i) {
    size_t count = 0, size = strlen(text);
    const rp_label *best = rp_result_labels(result, i, &count);
    const rp_word *words = rp_result_words(result, i, &count);
    char without[2000];
    for (size_t k = 0; k < count; k++) {
        rp_span span = words[k].span;
        assert_true(span.start < span.end && span.end <= size);
        assert_memory_equal(words[k].word, text + span.start, span.end - span.start);
        if (k) assert_true(words[k - 1].span.end <= span.start);
        memcpy(without, text, span.start);
        memcpy(without + span.start, text + span.end, size - span.end);
        float rest = score_of(model, without, size - (span.end - span.start), best->index);
        assert_true(words[k].weight == best->score - rest);
    }
}

static void test_words_weigh_what_they_change(void **state) {
    static const char *const texts[] = {
        "a warm, funny (and well-made) film", "dull.", "", "  ", "it isn't so!!!", "Zoë saw 東京 at 10:30"};
    static const size_t counts[] = {9, 2, 0, 0, 4, 8};
    enum { COUNT = sizeof texts / sizeof *texts };
    rp_input inputs[COUNT];
    rp_result *result = NULL;
    rp_error err = {0};
    task_case c = {0};
    (void)state;
    assert_true(task_case_open("classify", &c));
    rp_model *model = open_model(c.dir, 0);
    for (size_t i = 0; i < COUNT; i++) inputs[i] = (rp_input){{texts[i], strlen(texts[i])}, {0}};
    const rp_classify_params params = {.explain = true, .top_k = 1};
    assert_int_equal(rp_classify(model, inputs, COUNT, &params, &result, &err), RP_OK);
    for (size_t i = 0; i < COUNT; i++) {
        size_t count = 0;
        rp_result_words(result, i, &count);
        assert_int_equal(count, counts[i]);
        check_weights(model, texts[i], result, i);
    }
    rp_result_free(&result);
    /* Without `explain` there are none; a pair is refused alone. */
    size_t count = 1;
    inputs[0].pair = RP_TEXT("b");
    assert_int_equal(rp_classify(model, inputs, 2, &params, &result, &err), RP_OK);
    assert_int_equal(rp_result_status(result, 0, NULL), RP_ERROR_TEXT);
    assert_int_equal(rp_result_status(result, 1, NULL), RP_OK);
    rp_result_free(&result);
    assert_int_equal(rp_classify(model, inputs, 2, NULL, &result, &err), RP_OK);
    assert_null(rp_result_words(result, 1, &count));
    assert_int_equal(count, 0);
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

/* Of a text that is cut, the words that were read; of many words, parts that weigh alike. */
static void test_explanations_are_bounded(void **state) {
    rp_result *result = NULL;
    rp_error err = {0};
    task_case c = {0};
    size_t count = 0, parts = 1;
    char text[1200] = "";
    (void)state;
    assert_true(task_case_open("classify", &c));
    rp_model *model = open_model(c.dir, 0);
    for (int i = 0; i < 80; i++)
        sprintf(text + strlen(text), "%s ", i % 3 ? i % 5 ? "river" : "film" : "london");
    const rp_classify_params params = {.explain = true, .most_parts = 5};
    assert_int_equal(classify(model, text, NULL, &params, &result, &err), RP_OK);
    assert_true(rp_result_truncated(result, 0));
    const rp_word *words = rp_result_words(result, 0, &count);
    assert_true(count > 10 && count < 48);
    for (size_t k = 1; k < count; k++) parts += words[k].weight != words[k - 1].weight;
    assert_true(parts > 1 && parts <= 5);
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

static void test_explanations_as_json(void **state) {
    rp_result *result = NULL;
    rp_error err = {0};
    task_case c = {0};
    char *text = NULL;
    (void)state;
    assert_true(task_case_open("classify", &c));
    rp_model *model = open_model(c.dir, 0);
    const rp_classify_params params = {.explain = true};
    assert_int_equal(classify(model, "Zo\xc3\xab \xf0\x9f\x98\x80 saw", NULL, &params, &result, &err), RP_OK);
    assert_int_equal(rp_result_json(result, 0, NULL, &text, NULL, &err), RP_OK);
    json_t *root = json_loads(text, 0, NULL), *words = json_object_get(root, "words");
    assert_int_equal(json_array_size(json_object_get(root, "labels")), 3);
    assert_int_equal(json_array_size(words), 3);
    json_t *last = json_array_get(words, 2);
    assert_string_equal(json_string_value(json_object_get(last, "word")), "saw");
    assert_int_equal(json_integer_value(json_object_get(last, "start")), 6);
    assert_int_equal(json_integer_value(json_object_get(last, "end")), 9);
    assert_true(json_is_real(json_object_get(last, "weight")));
    json_decref(root);
    rp_string_free(&text);
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&c);
}

#define CASE(name) \
    { "labels: " name, test_labels_are_those_of_hugging_face, NULL, NULL, name }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("long"),
        CASE("long_many"),
        CASE("long_value"),
        CASE("zero_shot"),
        CASE("zero_shot_first"),
        CASE("zero_shot_vectors"),
        cmocka_unit_test(test_long_texts_refuse),
        cmocka_unit_test(test_long_texts_are_not_cut),
        cmocka_unit_test(test_windows_from_the_left),
        cmocka_unit_test(test_zero_shot_refuses),
        cmocka_unit_test(test_zero_shot_wants_room),
        cmocka_unit_test(test_words_weigh_what_they_change),
        cmocka_unit_test(test_explanations_are_bounded),
        cmocka_unit_test(test_explanations_as_json),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
