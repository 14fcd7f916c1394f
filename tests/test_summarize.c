/* Sentences of texts, and summaries of them. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/sentences.h"

/* ---- sentences ---- */

/* The sentences of `text` with a bar between. */
static void check(const char *text, const char *want) {
    rp_sentences found = {0};
    char got[2048] = "";
    assert_true(rp_sentences_find((rp_text){text, strlen(text)}, &found));
    for (size_t i = 0; i < found.count; i++) {
        rp_span span = found.items[i];
        assert_true(span.start < span.end && span.end <= strlen(text));
        if (i) assert_true(found.items[i - 1].end <= span.start);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? "|" : "",
                 (int)(span.end - span.start), text + span.start);
    }
    free(found.items);
    if (strcmp(got, want)) print_error("%s\n", got);
    assert_string_equal(got, want);
}

static void test_sentences(void **state) {
    (void)state;
    check("", "");
    check(" \n\t \n\n ", "");
    check("word", "word");
    check("One. Two! Three? Four", "One.|Two!|Three?|Four");
    check("  One.\n  Two.  ", "One.|Two.");
    check("A wrapped\nline. Next", "A wrapped\nline.|Next");
    check("A heading\n\nA text.\n \t\nMore", "A heading|A text.|More");
    check("\r\nOne\r\n\r\nTwo.\r\n", "One|Two.");
    check("Mr. Smith met Dr. J. R. Brown. They left.", "Mr. Smith met Dr. J. R. Brown.|They left.");
    check("See fig. 3 and No. 5, e.g. this. No. He left.", "See fig. 3 and No. 5, e.g. this.|No.|He left.");
    check("It costs 3.50 at 5 p.m. today. At 6 p.m. They close.",
          "It costs 3.50 at 5 p.m. today.|At 6 p.m.|They close.");
    check("1. Buy milk. 2. Buy bread.", "1. Buy milk.|2. Buy bread.");
    check("\"Stop!\" he said. \"Why?\" \"Go.\" (It was late.) He went.",
          "\"Stop!\" he said.|\"Why?\"|\"Go.\"|(It was late.)|He went.");
    check("Well ... perhaps. Really?! Yes... No.", "Well ... perhaps.|Really?!|Yes...|No.");
    check("small letters. it goes on, said mr. pip. then i. and so on ... as it was.",
          "small letters.|it goes on, said mr. pip.|then i.|and so on ... as it was.");
    check(
        "\xe4\xbb\x8a\xe5\xa4\xa9\xe3\x80\x82\xe6\x98\x8e\xe5\xa4\xa9\xef\xbc\x81\xe5\x90\x8e\xe5\xa4\xa9",
        "\xe4\xbb\x8a\xe5\xa4\xa9\xe3\x80\x82|\xe6\x98\x8e\xe5\xa4\xa9\xef\xbc\x81|\xe5\x90\x8e\xe5\xa4\xa9");
    check("\xe3\x80\x8c\xe8\xa1\x8c\xe3\x81\x8f\xe3\x80\x82\xe3\x80\x8d\xe5\xbd\xbc\xe3\x80\x82",
          "\xe3\x80\x8c\xe8\xa1\x8c\xe3\x81\x8f\xe3\x80\x82\xe3\x80\x8d|\xe5\xbd\xbc\xe3\x80\x82");
    check("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d. \xd9\x85\xd8\xa7\xd8\x9f \xd9\x86\xd8\xb9\xd9\x85",
          "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d.|\xd9\x85\xd8\xa7\xd8\x9f|\xd9\x86\xd8\xb9\xd9\x85");
    check("\xf0\x9f\x98\x80! \xf0\x9f\x98\x80", "\xf0\x9f\x98\x80!|\xf0\x9f\x98\x80");
    check("www.example.org is a site. Visit it.", "www.example.org is a site.|Visit it.");
    check("...", "...");
}

/* Texts that make slow programs slow: time is linear, or the test would take minutes. */
static void test_long_runs(void **state) {
    static const char *const units[] = {".",  ". ",  "\n",    "\"",   ".\"",
                                        "a.", "a. ", "\n \n", "... ", "\xe3\x80\x82"};
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE);
    (void)state;
    assert_non_null(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]), size = SIZE / unit * unit;
        rp_sentences found = {0};
        for (size_t at = 0; at < size; at += unit) memcpy(text + at, units[u], unit);
        assert_true(rp_sentences_find((rp_text){text, size}, &found));
        assert_true(found.count <= size);
        free(found.items);
    }
    free(text);
}

/* ---- summaries ---- */

static task_case fixture;
static rp_model *model;

static int setup(void **state) {
    rp_error err = {0};
    if (fixture_open_device(state)) return -1;
    assert_true(task_case_open("embed_plain", &fixture));
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    return model ? 0 : -1;
}

static int teardown(void **state) {
    rp_model_close(&model);
    task_case_close(&fixture);
    return fixture_close_device(state);
}

static rp_result *summarize(const rp_text *documents, size_t count, uint32_t sentences) {
    const rp_summarize_params params = {.sentences = sentences};
    rp_result *result = NULL;
    rp_error err = {0};
    if (rp_summarize(model, documents, count, &params, &result, &err)) print_error("%s\n", err.message);
    assert_non_null(result);
    return result;
}

static const char story[] =
    "The ship left the harbour in the morning. The sea was calm. The captain looked at the ship and the sea. "
    "The ship left the harbour in the morning. Caf\xc3\xa9s are warm. The ship left the harbour, in the "
    "morning! "
    "In the evening the ship came back.";

/* In the text's order, where the text has them, each once; the same bits alone and with others. */
static void test_summaries(void **state) {
    const rp_text documents[] = {RP_TEXT("One thing. Another one."), {story, sizeof story - 1}};
    (void)state;
    for (uint32_t wanted = 1; wanted < 9; wanted++) {
        rp_result *both = summarize(documents, 2, wanted), *one = summarize(documents + 1, 1, wanted);
        size_t count, alone;
        const rp_sentence *s = rp_result_sentences(both, 1, &count), *t = rp_result_sentences(one, 0, &alone);
        assert_true(count && count <= wanted && count == alone && count <= 5);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(strlen(s[i].text), s[i].span.end - s[i].span.start);
            assert_memory_equal(s[i].text, story + s[i].span.start, strlen(s[i].text));
            assert_true(isfinite(s[i].score) && s[i].score == t[i].score);
            assert_memory_equal(&s[i].span, &t[i].span, sizeof(rp_span));
            if (i) assert_true(s[i].span.start >= s[i - 1].span.end);
        }
        size_t ships = 0;
        for (size_t i = 0; i < count; i++) ships += !strncmp(s[i].text, "The ship left the harbour", 25);
        assert_true(ships <= 1);
        rp_result_free(&both);
        rp_result_free(&one);
    }
    rp_result *usual = summarize(documents, 2, 0);
    size_t count;
    rp_result_sentences(usual, 1, &count);
    assert_int_equal(count, 3);
    rp_result_sentences(usual, 0, &count);
    assert_int_equal(count, 2);
    rp_result_free(&usual);
}

/* The order head adds to each score what it says of the sentence and its neighbours. */
static void test_coherence(void **state) {
    static const char text[] = "A letter came. He read it twice. The sea was calm. Nobody answered.";
    static const rp_input pairs[] = {{RP_TEXT("A letter came."), RP_TEXT("He read it twice.")},
                                     {RP_TEXT("He read it twice."), RP_TEXT("The sea was calm.")},
                                     {RP_TEXT("The sea was calm."), RP_TEXT("Nobody answered.")}};
    const rp_text document = {text, sizeof text - 1};
    rp_summarize_params params = {.sentences = 4};
    rp_result *results[2] = {NULL}, *orders = NULL;
    rp_model *ordering = NULL;
    rp_error err = {0};
    task_case c;
    size_t count[2];
    (void)state;
    assert_true(task_case_open("order", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &ordering, &err), RP_OK);
    for (int i = 0; i < 2; i++) {
        params.coherence = i ? -0.5f : 0;
        assert_int_equal(rp_summarize(ordering, &document, 1, &params, &results[i], &err), RP_OK);
    }
    assert_int_equal(rp_coherence(ordering, pairs, 3, NULL, &orders, &err), RP_OK);
    const rp_sentence *plain = rp_result_sentences(results[0], 0, &count[0]),
                      *other = rp_result_sentences(results[1], 0, &count[1]);
    assert_true(count[0] == 4 && count[1] == 4);
    for (size_t i = 0; i < 4; i++) {
        const float before = i ? rp_result_in_order(orders, i - 1) : rp_result_in_order(orders, 0);
        const float behind = i < 3 ? rp_result_in_order(orders, i) : before;
        assert_true(fabsf(other[i].score - plain[i].score + 0.25f * (before + behind)) < 1e-5f);
    }
    rp_result_free(&orders);
    for (int i = 0; i < 2; i++) rp_result_free(&results[i]);
    params.coherence = 2;
    assert_int_equal(rp_summarize(ordering, &document, 1, &params, &results[0], &err), RP_ERROR_ARGUMENT);
    params.coherence = 0.5f;
    assert_int_equal(rp_summarize(model, &document, 1, &params, &results[0], &err), RP_ERROR_HEAD);
    assert_non_null(strstr(err.message, "has no head for the order of sentences"));
    const rp_text one = RP_TEXT("Alone.");
    assert_int_equal(rp_summarize(ordering, &one, 1, &params, &results[0], &err), RP_OK);
    rp_result_free(&results[0]);
    rp_model_close(&ordering);
    task_case_close(&c);
}

static void test_json_has_the_places(void **state) {
    const rp_text document = {story, sizeof story - 1};
    rp_result *result = summarize(&document, 1, 7);
    rp_error err = {0};
    (void)state;
    for (int how = 0; how < 3; how++) {
        const rp_json_params params = {.offsets = (rp_offsets)how};
        char *text = NULL;
        assert_int_equal(rp_result_json(result, 0, &params, &text, NULL, &err), RP_OK);
        json_t *list = json_loads(text, 0, NULL);
        size_t count;
        const rp_sentence *s = rp_result_sentences(result, 0, &count);
        assert_int_equal(json_array_size(list), count);
        for (size_t i = 0; i < count; i++) {
            const json_t *item = json_array_get(list, i);
            const char *cafe = strstr(story, "\xc3\xa9");
            json_int_t less = how != RP_OFFSETS_BYTES && s[i].span.start > (size_t)(cafe - story);
            assert_string_equal(json_string_value(json_object_get(item, "text")), s[i].text);
            assert_int_equal(json_integer_value(json_object_get(item, "start")), s[i].span.start - less);
            assert_true((float)json_real_value(json_object_get(item, "score")) == s[i].score);
        }
        json_decref(list);
        rp_string_free(&text);
    }
    rp_result_free(&result);
}

static void test_odd_documents(void **state) {
    static char many[RP_SUMMARIZED_SENTENCES_MAX * 4 + 4], large[RP_TEXT_BYTES_MAX + 1];
    const rp_text documents[] = {RP_TEXT(""),
                                 {NULL, 0},
                                 RP_TEXT(" \n "),
                                 RP_TEXT("word"),
                                 RP_TEXT("\xf0\x9f\x98\x80. \xf0\x9f\x98\x80! ?"),
                                 RP_TEXT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d. \xd8\xa7"),
                                 RP_TEXT("a\0b. A new one."),
                                 RP_TEXT("bad \xff."),
                                 {many, sizeof many},
                                 {large, sizeof large},
                                 RP_TEXT("Same. Same. same! SAME?")};
    static const size_t counts[] = {0, 0, 0, 1, 1, 2, 2, 0, 0, 0, 1};
    (void)state;
    for (size_t i = 0; i < sizeof many; i++) many[i] = "no. "[i % 4];
    memset(large, 'a', sizeof large);
    rp_result *result = summarize(documents, 11, 3);
    for (size_t i = 0; i < 11; i++) {
        size_t count = 9;
        bool bad = i >= 7 && i <= 9;
        const rp_sentence *s = rp_result_sentences(result, i, &count);
        assert_int_equal(rp_result_status(result, i, NULL), bad ? RP_ERROR_TEXT : RP_OK);
        if (count != counts[i]) print_error("document %zu: %zu sentences\n", i, count);
        assert_int_equal(count, counts[i]);
        assert_true((s != NULL) == (count != 0));
    }
    char *json = NULL;
    rp_error err = {0};
    assert_int_equal(rp_result_json(result, 0, NULL, &json, NULL, &err), RP_OK);
    assert_string_equal(json, "[]");
    rp_string_free(&json);
    assert_int_equal(rp_result_json(result, 6, NULL, &json, NULL, &err), RP_OK);
    assert_non_null(strstr(json, "a\\u0000b."));
    rp_string_free(&json);
    size_t count = 9;
    assert_null(rp_result_sentences(result, 11, &count));
    assert_int_equal(count, 0);
    rp_result_free(&result);
    const rp_summarize_params params = {.sentences = RP_SUMMARY_MAX + 1};
    assert_int_equal(rp_summarize(model, documents, 1, &params, &result, &err), RP_ERROR_ARGUMENT);
    assert_null(result);
    assert_int_equal(rp_embed(model, documents, 1, NULL, &result, &err), RP_OK);
    assert_null(rp_result_sentences(result, 0, NULL));
    rp_result_free(&result);
}

static size_t told;

static void take_progress(void *user, size_t done, size_t total) {
    assert_true(total == 3 && done == told + 1);
    told = done;
    if (done == 2 && user) rp_call_cancel(user);
}

static void test_progress_and_cancelling(void **state) {
    const rp_text documents[] = {RP_TEXT("One."), RP_TEXT("Two. Three."), RP_TEXT("Four.")};
    rp_call call = {.progress = take_progress};
    const rp_summarize_params params = {.call = &call};
    rp_result *result = NULL;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_summarize(model, documents, 3, &params, &result, &err), RP_OK);
    assert_int_equal(told, 3);
    rp_result_free(&result);
    told = 0;
    call.user = &call;
    assert_int_equal(rp_summarize(model, documents, 3, &params, &result, &err), RP_ERROR_CANCELLED);
    assert_null(result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_json_has_the_places),
        cmocka_unit_test(test_coherence),
        cmocka_unit_test(test_odd_documents),
        cmocka_unit_test(test_progress_and_cancelling),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
