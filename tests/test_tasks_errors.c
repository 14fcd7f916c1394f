/* Tasks on inputs that cannot be used, parameters at their ends, and folders that lack something. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }
#define BAD_UTF8 TEXT("bad \xff byte")
enum { LONG = 4000 };

/* ---- a case and its model, for each test ---- */

static task_case fixture;
static rp_model *model;
static rp_result *result;
static rp_error err;

static void open_model(void) {
    rp_model_close(&model);
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
}

static void open_case(const char *name) {
    assert_true(task_case_open(name, &fixture));
    open_model();
}

static int end_test(void **state) {
    (void)state;
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&fixture);
    err = (rp_error){0};
    return 0;
}

static void assert_entry(size_t i, rp_status status, const char *needle) {
    const char *message = NULL;
    assert_int_equal(rp_result_status(result, i, &message), status);
    assert_non_null(message);
    if (!strstr(message, needle)) print_error("no \"%s\" in: %s\n", needle, message);
    assert_non_null(strstr(message, needle));
}

static void assert_call(rp_status got, rp_status want, const char *needle) {
    assert_int_equal(got, want);
    assert_null(result);
    if (!strstr(err.message, needle)) print_error("no \"%s\" in: %s\n", needle, err.message);
    assert_non_null(strstr(err.message, needle));
}

static void ok(rp_status status) {
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_non_null(result);
}

/* "word word ..." of `count` words. */
static rp_text words(const char *word, size_t count) {
    static char buffer[LONG * 10];
    char *at = buffer;
    for (size_t i = 0; i < count; i++) at += sprintf(at, "%s ", word);
    return (rp_text){buffer, (size_t)(at - buffer)};
}

/* ---- arguments ---- */

static void test_null_pointers_are_refused(void **state) {
    const rp_text text = TEXT("x");
    (void)state;
    open_case("classify");
    assert_call(rp_embed(NULL, &text, 1, NULL, &result, &err), RP_ERROR_ARGUMENT, "NULL");
    assert_call(rp_embed(model, NULL, 1, NULL, &result, &err), RP_ERROR_ARGUMENT, "NULL");
    assert_int_equal(rp_embed(model, &text, 1, NULL, NULL, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_classify(model, NULL, 1, NULL, &result, NULL), RP_ERROR_ARGUMENT);
    assert_call(rp_embed(model, &text, 1, &(rp_embed_params){.pooling = (rp_pooling)9}, &result, &err),
                RP_ERROR_ARGUMENT, "pooling");
    rp_result_free(NULL);
    rp_result_free(&result);
}

static void test_no_inputs_are_no_answers(void **state) {
    (void)state;
    open_case("classify");
    ok(rp_classify(model, NULL, 0, NULL, &result, &err));
    assert_int_equal(rp_result_count(result), 0);
}

static void test_accessors_of_other_tasks_and_entries_are_empty(void **state) {
    const rp_input inputs[] = {{TEXT("fine"), {0}}, {BAD_UTF8, {0}}};
    const char *message = NULL;
    size_t count = 7, rows = 7, columns = 7;
    (void)state;
    open_case("classify");
    ok(rp_classify(model, inputs, 2, NULL, &result, &err));
    for (size_t i = 1; i < 4; i++) { /* failed, and beyond the end */
        assert_null(rp_result_labels(result, i, &count));
        assert_int_equal(count, 0);
        assert_true(rp_result_in_order(result, i) == -1);
        assert_false(rp_result_truncated(result, i));
    }
    assert_null(rp_result_fills(result, 0, 0, &count));
    assert_null(rp_result_entities(result, 0, &count));
    assert_null(rp_result_answers(result, 0, &count));
    assert_null(rp_result_vectors(result, 0, &rows, &columns));
    assert_int_equal(count + rows + columns + rp_result_mask_count(result, 0), 0);
    assert_int_equal(rp_result_status(result, 2, &message), RP_ERROR_ARGUMENT);
    assert_non_null(message);
    assert_int_equal(rp_result_status(result, 0, &message), RP_OK);
    assert_string_equal(message, "");
    assert_non_null(rp_result_labels(result, 0, NULL));
}

/* ---- heads and folders ---- */

static void test_a_missing_head_says_what_there_is(void **state) {
    const rp_text text = TEXT("[MASK]");
    const rp_input input = {TEXT("a"), TEXT("b")};
    const rp_question question = {TEXT("a"), TEXT("b")};
    const rp_choice choice = {text, &text, 1};
    (void)state;
    open_case("classify");
    assert_call(rp_tag(model, &text, 1, NULL, &result, &err), RP_ERROR_HEAD,
                "this model cannot do tag (no such head)");
    assert_non_null(strstr(err.message, "AlbertForSequenceClassification"));
    assert_non_null(strstr(err.message, "it can do classify, embed"));
    assert_call(rp_fill_mask(model, &text, 1, NULL, &result, &err), RP_ERROR_HEAD, "fill-mask");
    assert_call(rp_answer_questions(model, &question, 1, NULL, &result, &err), RP_ERROR_HEAD, "answer");
    assert_call(rp_coherence(model, &input, 1, NULL, &result, &err), RP_ERROR_HEAD, "coherence");
    assert_call(rp_choose(model, &choice, 1, NULL, &result, &err), RP_ERROR_HEAD, "choose");
    end_test(NULL);
    open_case("order");
    assert_call(rp_classify(model, &input, 1, NULL, &result, &err), RP_ERROR_HEAD,
                "fill-mask, coherence, embed");
}

static void remove_file(const char *name) {
    char path[FIXTURE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", fixture.dir, name);
    assert_int_equal(unlink(path), 0);
}

static void test_texts_need_a_tokenizer(void **state) {
    const rp_text text = TEXT("x");
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    remove_file("spiece.model");
    open_model();
    assert_call(rp_embed(model, &text, 1, NULL, &result, &err), RP_ERROR_FILE, "vocab.txt");
}

static void test_pooling_that_is_not_supported_is_for_embed_alone(void **state) {
    const rp_text text = TEXT("a film");
    rp_embed_params params = {0};
    (void)state;
    assert_true(task_case_open("embed_mean", &fixture));
    fixture_write_text(fixture.dir, "modules.json",
                       "[{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"\"},"
                       " {\"type\": \"sentence_transformers.models.Dense\", \"path\": \"2_Dense\"}]");
    open_model();
    assert_call(rp_embed(model, &text, 1, NULL, &result, &err), RP_ERROR_UNSUPPORTED, "Dense");
    assert_call(rp_embed(model, NULL, 0, NULL, &result, &err), RP_ERROR_UNSUPPORTED, "of your choice");
    params.pooling = RP_POOLING_CLS;
    assert_call(rp_embed(model, &text, 1, &params, &result, &err), RP_ERROR_UNSUPPORTED, "modules.json");
    params.normalize = RP_NORMALIZE_NO;
    ok(rp_embed(model, &text, 1, &params, &result, &err));
    rp_result_free(&result);
    params = (rp_embed_params){.pooling = RP_POOLING_NONE};
    rp_text many = words("film", 30); /* max_seq_length is 20 */
    ok(rp_embed(model, &many, 1, &params, &result, &err));
    assert_true(rp_result_truncated(result, 0));
    size_t rows = 0;
    assert_non_null(rp_result_vectors(result, 0, &rows, NULL));
    assert_int_equal(rows, 20);
}

static void test_prompts_and_dimensions_that_there_are_not(void **state) {
    const rp_text texts[] = {TEXT("a film"), BAD_UTF8, {0}};
    rp_embed_params params = {.prompt_name = "question"};
    (void)state;
    open_case("embed_joined");
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "has: query, passage");
    params.prompt = "x"; /* goes before a name */
    ok(rp_embed(model, texts, 3, &params, &result, &err));
    assert_entry(0, RP_OK, "");
    assert_entry(1, RP_ERROR_TEXT, "byte 4");
    assert_entry(2, RP_OK, "");
    rp_result_free(&result);
    params = (rp_embed_params){.prompt = "\xff"};
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "prompt");
    params = (rp_embed_params){.dimensions = 7};
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "vectors have 6");
    params = (rp_embed_params){.dimensions = 25, .pooling = RP_POOLING_MEAN};
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "vectors have 24");
    params = (rp_embed_params){.dimensions = 3, .pooling = RP_POOLING_NONE};
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "choose a pooling");
    end_test(NULL);
    open_case("embed_plain");
    params = (rp_embed_params){.prompt_name = "query"};
    assert_call(rp_embed(model, texts, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "names none");
}

/* More texts than one submission takes, with hidden states that are pooled on the host. */
static void test_many_texts_are_pooled_in_parts(void **state) {
    enum { COUNT = 60 };
    rp_text texts[COUNT];
    size_t rows = 0, columns = 0;
    float first[6];
    (void)state;
    assert_true(task_case_open("embed_joined", &fixture));
    assert_int_equal(
        rp_model_open(fixture_device, fixture.dir, &(rp_model_params){.max_batch_tokens = 64}, &model, &err),
        RP_OK);
    for (size_t i = 0; i < COUNT; i++) texts[i] = words("film", i % 3 ? 5 : 1 + i);
    ok(rp_embed(model, &texts[1], 1, NULL, &result, &err));
    memcpy(first, rp_result_vectors(result, 0, &rows, &columns), sizeof first);
    assert_true(rows == 1 && columns == 6);
    rp_result_free(&result);
    ok(rp_embed(model, texts, COUNT, NULL, &result, &err));
    for (size_t i = 1; i < COUNT; i++)
        if (i % 3) assert_memory_equal(rp_result_vectors(result, i, NULL, NULL), first, sizeof first);
}

static void test_damaged_pooling_settings_are_for_embed_alone(void **state) {
    const rp_embed_params params = {.pooling = RP_POOLING_CLS, .normalize = RP_NORMALIZE_NO};
    const rp_text text = TEXT("x");
    const rp_input input = {TEXT("x"), {0}};
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    fixture_write_text(fixture.dir, "sentence_bert_config.json", "{\"max_seq_length\": -1}");
    open_model();
    assert_call(rp_embed(model, &text, 1, &params, &result, &err), RP_ERROR_FORMAT, "max_seq_length");
    ok(rp_classify(model, &input, 1, NULL, &result, &err));
}

static void test_a_model_with_one_token_type_takes_no_pairs(void **state) {
    const rp_input inputs[] = {{TEXT("a"), TEXT("b")}, {TEXT("a"), {0}}};
    (void)state;
    assert_true(task_case_open("classify", &fixture));
    json_object_set_new(json_object_get(fixture.root, "config"), "type_vocab_size", json_integer(1));
    json_t *tensors = json_object_get(fixture.root, "tensors");
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        json_t *tensor = json_array_get(tensors, i);
        if (strstr(json_string_value(json_array_get(tensor, 0)), "token_type"))
            json_array_set_new(json_array_get(tensor, 1), 0, json_integer(1));
    }
    assert_true(task_case_write(&fixture));
    open_model();
    ok(rp_classify(model, inputs, 2, NULL, &result, &err));
    assert_entry(0, RP_ERROR_UNSUPPORTED, "type_vocab_size");
    assert_entry(1, RP_OK, "");
    rp_result_free(&result);
    fixture_write_text(fixture.dir, "tokenizer_config.json", "{\"model_input_names\": [\"input_ids\"]}");
    open_model(); // its tokenizer gives no types
    ok(rp_classify(model, inputs, 2, NULL, &result, &err));
    for (size_t i = 0; i < 2; i++) assert_entry(i, RP_OK, "");
}

/* ---- inputs ---- */

static void test_a_bad_text_fails_alone(void **state) {
    const rp_input inputs[] = {
        {TEXT("one"), {0}}, {BAD_UTF8, {0}}, {TEXT("a"), BAD_UTF8}, {TEXT("two"), {0}}};
    (void)state;
    open_case("classify");
    ok(rp_classify(model, inputs, 4, NULL, &result, &err));
    assert_entry(1, RP_ERROR_TEXT, "UTF-8");
    assert_entry(2, RP_ERROR_TEXT, "UTF-8");
    for (size_t i = 0; i < 4; i += 3) {
        rp_result *alone = NULL;
        assert_int_equal(rp_classify(model, &inputs[i], 1, NULL, &alone, &err), RP_OK);
        const rp_label *a = rp_result_labels(result, i, NULL), *b = rp_result_labels(alone, 0, NULL);
        for (size_t k = 0; k < 3; k++) assert_true(a[k].score == b[k].score && a[k].index == b[k].index);
        rp_result_free(&alone);
    }
}

static void test_every_task_reports_bad_texts(void **state) {
    const rp_text texts[] = {BAD_UTF8, TEXT("fine [MASK]")};
    (void)state;
    open_case("fill");
    ok(rp_fill_mask(model, texts, 2, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "UTF-8");
    assert_entry(1, RP_OK, "");
    end_test(NULL);
    open_case("embed_cls");
    ok(rp_embed(model, texts, 2, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "byte 4");
    assert_entry(1, RP_OK, "");
    end_test(NULL);
    open_case("tag");
    ok(rp_tag(model, texts, 2, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "UTF-8");
    assert_non_null(rp_result_entities(result, 1, NULL));
    end_test(NULL);
    open_case("answer");
    const rp_question questions[] = {{texts[0], texts[1]}, {texts[1], texts[0]}, {texts[1], texts[1]}};
    ok(rp_answer_questions(model, questions, 3, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "UTF-8");
    assert_entry(1, RP_ERROR_TEXT, "UTF-8");
    assert_non_null(rp_result_answers(result, 2, NULL));
}

/* ---- fill-mask ---- */

static void test_fill_mask_needs_a_mask(void **state) {
    rp_text texts[] = {TEXT("no mask"), TEXT(""), {0}, TEXT("a [MASK]")};
    (void)state;
    open_case("fill");
    char *text = strdup(words("film", 100).data);
    text = realloc(text, strlen(text) + 8);
    assert_non_null(strcat(text, "[MASK]"));
    texts[2] = (rp_text){text, strlen(text)};
    ok(rp_fill_mask(model, texts, 4, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "no [MASK] in the text");
    assert_entry(1, RP_ERROR_TEXT, "no [MASK] in the text");
    assert_entry(2, RP_ERROR_TEXT, "among the first 64 tokens");
    assert_int_equal(rp_result_mask_count(result, 0), 0);
    assert_int_equal(rp_result_mask_count(result, 3), 1);
    free(text);
}

static void test_fill_mask_gives_the_whole_vocabulary(void **state) {
    const rp_text text = TEXT("[MASK]");
    size_t count = 0;
    double sum = 0;
    (void)state;
    open_case("fill_wordpiece");
    ok(rp_fill_mask(model, &text, 1, &(rp_fill_params){.top_k = UINT32_MAX}, &result, &err));
    const rp_fill *fills = rp_result_fills(result, 0, 0, &count);
    assert_int_equal(count, rp_model_get_info(model)->vocab_size);
    bool *seen = calloc(count, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[fills[i].token]);
        seen[fills[i].token] = true;
        assert_true(!i || fills[i].score <= fills[i - 1].score);
        sum += fills[i].score;
    }
    assert_true(fabs(sum - 1) < 1e-5);
    free(seen);
}

/* More logits than are held at a time: the masks of one text then lie in two runs. */
static void test_many_masks_are_run_in_slices(void **state) {
    enum { TEXTS = 60, MASKS = 41 };
    rp_text texts[TEXTS];
    char *lines = calloc(TEXTS, MASKS * 12);
    (void)state;
    open_case("fill");
    for (size_t i = 0; i < TEXTS; i++) {
        char *at = lines + i * MASKS * 12;
        texts[i].data = at;
        for (size_t m = 0; m < MASKS; m++) at += sprintf(at, m % 20 == i % 20 ? "%zu[MASK]" : "[MASK] ", i);
        texts[i].size = (size_t)(at - texts[i].data);
    }
    assert_true((uint64_t)TEXTS * MASKS * rp_model_get_info(model)->vocab_size > 1 << 24);
    const rp_fill_params params = {.top_k = 1};
    ok(rp_fill_mask(model, texts, TEXTS, &params, &result, &err));
    for (size_t i = 0; i < TEXTS; i += 7) {
        rp_result *alone = NULL;
        assert_int_equal(rp_fill_mask(model, &texts[i], 1, &params, &alone, &err), RP_OK);
        assert_int_equal(rp_result_mask_count(result, i), MASKS);
        for (size_t m = 0; m < MASKS; m++) {
            const rp_fill *a = rp_result_fills(result, i, m, NULL), *b = rp_result_fills(alone, 0, m, NULL);
            assert_true(a->score == b->score && a->token == b->token);
            assert_string_equal(a->sequence, b->sequence);
        }
        rp_result_free(&alone);
    }
    free(lines);
}

/* ---- tag ---- */

/* Without aggregation every token of a long text comes once, whatever the windows share. */
static void test_every_token_is_tagged_once(void **state) {
    static const uint32_t strides[] = {0, 1, 5, 17, 30, 37, 1000};
    (void)state;
    open_case("tag_wordpiece");
    rp_text text = words("letters", 300);
    rp_encoding tokens = {0};
    const rp_tokenize_params no_specials = {.no_special_tokens = true};
    assert_int_equal(
        rp_tokenize(rp_model_get_tokenizer(model), text, (rp_text){0}, &no_specials, &tokens, &err), 0);
    for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
        const rp_tag_params params = {.aggregation = RP_AGGREGATE_NONE, .stride = strides[s]};
        size_t count = 0;
        ok(rp_tag(model, &text, 1, &params, &result, &err));
        const rp_entity *entities = rp_result_entities(result, 0, &count);
        assert_int_equal(count, tokens.count); /* this model labels none of them O */
        for (size_t i = 0; i < count; i++) {
            rp_span want = tokens.offsets[i];
            assert_int_equal(entities[i].index, i + 1);
            assert_true(entities[i].span.start == want.start && entities[i].span.end == want.end);
        }
        rp_result_free(&result);
    }
    rp_encoding_free(&tokens);
}

static void test_tag_refuses_other_aggregations(void **state) {
    const rp_tag_params params = {.aggregation = (rp_aggregation)5};
    const rp_text text = TEXT("x");
    (void)state;
    open_case("tag");
    assert_call(rp_tag(model, &text, 1, &params, &result, &err), RP_ERROR_ARGUMENT, "aggregation");
}

/* ---- answer ---- */

static void test_answers_of_odd_questions(void **state) {
    const rp_question questions[] = {{TEXT(""), TEXT("context")},  {TEXT("what"), TEXT("")},
                                     {{0}, TEXT("context")},       {TEXT("what"), {0}},
                                     {TEXT("what"), TEXT(" \t ")}, {TEXT(" "), TEXT("a\0b")}};
    size_t count = 0;
    (void)state;
    open_case("answer");
    ok(rp_answer_questions(model, questions, 6, &(rp_answer_params){.top_k = 100}, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "question is empty");
    assert_entry(1, RP_ERROR_TEXT, "context is empty");
    assert_entry(2, RP_ERROR_TEXT, "question is empty");
    assert_entry(3, RP_ERROR_TEXT, "context is empty");
    const rp_answer *answers = rp_result_answers(result, 4, &count);
    assert_int_equal(count, 1); /* nothing to find in white space */
    assert_true(answers[0].score == 0 && answers[0].span.end == 0);
    assert_string_equal(answers[0].text, "");
    answers = rp_result_answers(result, 5, &count);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++) {
        assert_true(answers[i].span.start < answers[i].span.end && answers[i].span.end <= 3);
        assert_memory_equal(answers[i].text, questions[5].context.data + answers[i].span.start,
                            answers[i].span.end - answers[i].span.start + 0u);
    }
}

static void test_a_question_can_be_too_long(void **state) {
    const rp_text context = TEXT("Ada was born in London.");
    (void)state;
    open_case("answer");
    rp_question question = {words("why", 300), context};
    rp_answer_params params = {.max_question_tokens = 200, .max_tokens = 100};
    ok(rp_answer_questions(model, &question, 1, &params, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "nothing is left");
    rp_result_free(&result);
    params = (rp_answer_params){.max_tokens = 68, .stride = 1000}; /* room for one token of the context */
    ok(rp_answer_questions(model, &question, 1, &params, &result, &err));
    assert_entry(0, RP_OK, "");
    assert_true(rp_result_truncated(result, 0));
    rp_result_free(&result);
    question.question = (rp_text)TEXT("why");
    params = (rp_answer_params){.max_tokens = UINT32_MAX};
    ok(rp_answer_questions(model, &question, 1, &params, &result, &err));
    assert_entry(0, RP_OK, "");
    assert_false(rp_result_truncated(result, 0));
}

/* ---- coherence, choose ---- */

static void test_coherence_needs_a_pair(void **state) {
    const rp_input inputs[] = {{TEXT("one"), {0}}, {TEXT("one"), TEXT("two")}};
    (void)state;
    open_case("order");
    ok(rp_coherence(model, inputs, 2, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "text_pair");
    assert_true(rp_result_in_order(result, 0) == -1);
    assert_true(rp_result_in_order(result, 1) >= 0 && rp_result_in_order(result, 1) <= 1);
}

static void test_choose_needs_usable_choices(void **state) {
    const rp_text good[] = {TEXT("one"), TEXT("two")}, bad[] = {TEXT("one"), BAD_UTF8},
                  missing[] = {TEXT("one"), {0}};
    const rp_text text = TEXT("choose");
    const rp_choice inputs[] = {
        {text, NULL, 0}, {text, bad, 2}, {text, good, 2}, {text, missing, 2}, {text, good, 1}};
    size_t rows = 0, columns = 0;
    (void)state;
    open_case("choose");
    ok(rp_choose(model, inputs, 5, NULL, &result, &err));
    assert_entry(0, RP_ERROR_TEXT, "nothing to choose from");
    assert_entry(1, RP_ERROR_TEXT, "UTF-8");
    assert_entry(3, RP_ERROR_TEXT, "missing");
    const float *two = rp_result_vectors(result, 2, &rows, &columns),
                *one = rp_result_vectors(result, 4, NULL, NULL);
    assert_true(rows == 1 && columns == 2 && fabsf(two[0] + two[1] - 1) < 1e-6f);
    assert_true(one[0] == 1);
}

/* More choices than a few submissions take are run before the last is seen, with the same bits; what was run
 * of an input that fails in the end is left out. */
static void test_choose_from_many(void **state) {
    enum { WORDS = 4, MANY = 300 };
    static const rp_text words[WORDS] = {TEXT("one"), TEXT("two"), TEXT("three three"), TEXT("four")};
    static rp_text many[MANY + 1]; /* the last is missing */
    const rp_text text = TEXT("choose");
    const rp_choice inputs[] = {
        {text, words, WORDS}, {text, many, MANY + 1}, {text, many, MANY}, {text, words, WORDS}};
    (void)state;
    for (size_t i = 0; i < MANY; i++) many[i] = words[i * i % 7 % WORDS];
    open_case("choose");
    rp_model_close(&model);
    assert_int_equal(
        rp_model_open(fixture_device, fixture.dir, &(rp_model_params){.max_batch_tokens = 1}, &model, &err),
        RP_OK);
    assert_true(rp_model_get_info(model)->max_batch_tokens < MANY / 4);
    ok(rp_choose(model, inputs, 4, NULL, &result, &err));
    assert_entry(1, RP_ERROR_TEXT, "missing");
    const float *few = rp_result_vectors(result, 0, NULL, NULL),
                *last = rp_result_vectors(result, 3, NULL, NULL);
    assert_memory_equal(few, last, WORDS * sizeof *few);
    assert_true(fabsf(few[0] + few[1] + few[2] + few[3] - 1) < 1e-6f && few[1] != few[2]);
    size_t columns = 0;
    const float *got = rp_result_vectors(result, 2, NULL, &columns);
    assert_int_equal(columns, MANY);
    double sum = 0;
    for (size_t i = 0; i < MANY; i++) sum += few[i * i % 7 % WORDS];
    for (size_t i = 0; i < MANY; i++) {
        double want = few[i * i % 7 % WORDS] / sum;
        if (!(fabs(got[i] - want) < 1e-5 * want)) fail_msg("choice %zu: %g, not %g", i, got[i], want);
    }
}

/* Weights that are finite, and too large for what comes of them. */
static void test_numbers_that_are_not_finite(void **state) {
    static const char *const names[] = {"classify",    "fill",   "tag",  "answer",
                                        "embed_plain", "choose", "order"};
    (void)state;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        assert_true(task_case_open(names[n], &fixture));
        json_t *tensor;
        size_t i;
        json_array_foreach(json_object_get(fixture.root, "tensors"), i, tensor) {
            const char *name = json_string_value(json_array_get(tensor, 0));
            if (strstr(name, "full_layer_layer_norm.weight") || strstr(name, "output.LayerNorm.weight"))
                json_array_set_new(tensor, 3, json_real(3e38));
        }
        assert_true(task_case_write(&fixture));
        open_model();
        json_t *call = json_array_get(fixture.calls, 0);
        ok(task_run(model, call, NULL, 1, &result, &err));
        assert_int_equal(rp_result_count(result), 1);
        assert_entry(0, RP_ERROR_FORMAT, "not finite");
        end_test(NULL);
    }
}

#define TASK_TEST(name) cmocka_unit_test_teardown(name, end_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        TASK_TEST(test_choose_from_many),
        TASK_TEST(test_null_pointers_are_refused),
        TASK_TEST(test_no_inputs_are_no_answers),
        TASK_TEST(test_accessors_of_other_tasks_and_entries_are_empty),
        TASK_TEST(test_a_missing_head_says_what_there_is),
        TASK_TEST(test_texts_need_a_tokenizer),
        TASK_TEST(test_pooling_that_is_not_supported_is_for_embed_alone),
        TASK_TEST(test_damaged_pooling_settings_are_for_embed_alone),
        TASK_TEST(test_prompts_and_dimensions_that_there_are_not),
        TASK_TEST(test_many_texts_are_pooled_in_parts),
        TASK_TEST(test_a_model_with_one_token_type_takes_no_pairs),
        TASK_TEST(test_a_bad_text_fails_alone),
        TASK_TEST(test_every_task_reports_bad_texts),
        TASK_TEST(test_fill_mask_needs_a_mask),
        TASK_TEST(test_fill_mask_gives_the_whole_vocabulary),
        TASK_TEST(test_many_masks_are_run_in_slices),
        TASK_TEST(test_every_token_is_tagged_once),
        TASK_TEST(test_tag_refuses_other_aggregations),
        TASK_TEST(test_answers_of_odd_questions),
        TASK_TEST(test_a_question_can_be_too_long),
        TASK_TEST(test_coherence_needs_a_pair),
        TASK_TEST(test_choose_needs_usable_choices),
        TASK_TEST(test_numbers_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
