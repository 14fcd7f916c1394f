/* Tokens that a model has no embedding for: they fail the text that holds them, and only those that stand
 * around every text the model. And which tokens of a long text are tagged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_fixture.h"
#include "support_tasks.h"

#define TEXT(literal) \
    { literal, sizeof(literal) - 1 }

static task_case fixture;
static rp_model *model;
static rp_result *result;
static rp_error err;

/* The case with one more token than its model has embeddings: zzyzx. */
static void open_case(const char *name) {
    assert_true(task_case_open(name, &fixture));
    assert_true(fixture_write_text(fixture.dir, "tokenizer_config.json",
                                   "{\"model_max_length\": 64, \"additional_special_tokens\": [\"zzyzx\"]}"));
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) fail_msg("%s", err.message);
}

static void close_case(void) {
    rp_result_free(&result);
    rp_model_close(&model);
    task_case_close(&fixture);
}

static void assert_fails(size_t entry, const char *needle) {
    const char *message = NULL;
    assert_int_equal(rp_result_status(result, entry, &message), needle ? RP_ERROR_TEXT : RP_OK);
    if (needle && !strstr(message, needle)) fail_msg("%s does not say %s", message, needle);
}

static void test_the_text_that_holds_it_fails(void **state) {
    const rp_text texts[] = {TEXT("a quick fox"), TEXT("a zzyzx fox"), TEXT("zzyzx")};
    (void)state;
    open_case("tag_wordpiece");
    assert_int_equal(rp_tag(model, texts, 3, NULL, &result, &err), RP_OK);
    assert_fails(0, NULL);
    assert_fails(1, "\"zzyzx\"");
    assert_fails(2, "vocab_size");
    close_case();
    open_case("answer_wordpiece");
    const rp_question questions[] = {{texts[0], texts[0]}, {texts[0], texts[1]}, {texts[2], texts[0]}};
    assert_int_equal(rp_answer_questions(model, questions, 3, NULL, &result, &err), RP_OK);
    assert_fails(0, NULL);
    assert_fails(1, "zzyzx");
    assert_fails(2, "zzyzx");
    close_case();
    open_case("fill_wordpiece");
    const rp_text masks[] = {TEXT("a [MASK] fox"), TEXT("a [MASK] zzyzx")};
    assert_int_equal(rp_fill_mask(model, masks, 2, NULL, &result, &err), RP_OK);
    assert_fails(0, NULL);
    assert_fails(1, "zzyzx");
    close_case();
}

static void test_one_around_every_text_is_no_model(void **state) {
    (void)state;
    assert_true(task_case_open("tag_wordpiece", &fixture));
    assert_true(fixture_write_text(fixture.dir, "tokenizer_config.json", "{\"cls_token\": \"zzyzx\"}"));
    assert_int_equal(rp_model_open(fixture_device, fixture.dir, NULL, &model, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "zzyzx"));
    assert_non_null(strstr(err.message, "vocab.txt"));
    close_case();
}

/* The case `name` with a tokenizer of three words and this post-processor. */
static void open_with_template(const char *name, const char *post) {
    char json[512];
    snprintf(json, sizeof json,
             "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"post_processor\":%s,"
             "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"\","
             "\"max_input_chars_per_word\":9,\"vocab\":{\"a\":0,\"b\":1,\"x\":2}}}",
             post);
    assert_true(task_case_open(name, &fixture));
    assert_true(fixture_write_text(fixture.dir, "tokenizer_config.json",
                                   "{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}"));
    assert_true(fixture_write_text(fixture.dir, "tokenizer.json", json));
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) fail_msg("%s", err.message);
}

/* Positions count what the template puts in front of the text, which may be nothing. */
static void test_positions_follow_the_template(void **state) {
    static const char around[] = "{\"type\":\"BertProcessing\",\"cls\":[\"x\",2],\"sep\":[\"x\",2]}";
    const rp_tag_params params = {.aggregation = RP_AGGREGATE_NONE};
    const rp_text text = TEXT("a b");
    (void)state;
    for (uint32_t first = 0; first < 2; first++) {
        size_t count = 0;
        open_with_template("tag_wordpiece", first ? around : "null");
        assert_int_equal(rp_tag(model, &text, 1, &params, &result, &err), RP_OK);
        const rp_entity *entities = rp_result_entities(result, 0, &count);
        assert_int_equal(count, 2); /* this model labels none of them O */
        for (uint32_t i = 0; i < count; i++) assert_int_equal(entities[i].index, first + i);
        close_case();
    }
}

/* A text without a token, where the template has none either, fails alone: there is no sequence to run. */
static void test_no_token_at_all(void **state) {
    const rp_input inputs[] = {{TEXT(""), {0}}, {TEXT("a b"), {0}}, {TEXT(" "), {0}}, {TEXT(""), {0}}};
    const rp_text texts[] = {TEXT(""), TEXT("a b"), TEXT(" "), TEXT("")};
    (void)state;
    for (int way = 0; way < 4; way++) {
        rp_moderation *m = NULL;
        const rp_classify_params params = {.long_texts = way == 1 ? RP_LONG_MEAN : RP_LONG_CUT};
        open_with_template(way == 3 ? "tag_wordpiece" : "long_many", "null");
        if (way < 2) {
            assert_int_equal(rp_classify(model, inputs, 4, &params, &result, &err), RP_OK);
        } else if (way == 2) {
            assert_int_equal(rp_moderation_open(model, NULL, &m, &err), RP_OK);
            assert_int_equal(rp_moderate(m, texts, 4, NULL, &result, &err), RP_OK);
        } else {
            assert_int_equal(rp_tag(model, texts, 4, NULL, &result, &err), RP_OK);
        }
        for (size_t i = 0; i < 4; i++) {
            const char *message = "";
            assert_int_equal(rp_result_status(result, i, &message), i == 1 ? RP_OK : RP_ERROR_TEXT);
            if (i != 1) assert_non_null(strstr(message, "no tokens"));
        }
        rp_moderation_close(&m);
        close_case();
    }
}

/* A text that is cut has the entities of its first window, and says that it was cut. */
static void test_cut_texts_end_early(void **state) {
    char longer[300 * 8 + 1] = "";
    (void)state;
    for (int i = 0; i < 300; i++) strcat(longer, "letters ");
    open_case("tag_wordpiece");
    uint32_t most = 64 - 2, taken = 0;
    const rp_text texts[] = {{longer, strlen(longer)}, TEXT("a few letters")};
    const rp_tag_params params = {.aggregation = RP_AGGREGATE_NONE, .cut = true};
    size_t count = 0;
    if (rp_model_get_info(model)->max_tokens < 64) most = rp_model_get_info(model)->max_tokens - 2;
    assert_int_equal(rp_tag(model, texts, 2, &params, &result, &err), RP_OK);
    const rp_entity *entities = rp_result_entities(result, 0, &count);
    assert_int_equal(count, most); /* this model labels none of them O */
    assert_int_equal(entities[count - 1].index, most);
    assert_true(rp_result_truncated(result, 0));
    assert_true(rp_result_tokens(result, 0, &taken) > most);
    assert_int_equal(taken, most);
    assert_false(rp_result_truncated(result, 1));
    close_case();
    /* With truncation_side "left" its last words stay, and places are those of the whole text. */
    assert_true(task_case_open("tag_wordpiece", &fixture));
    assert_true(fixture_write_text(fixture.dir, "tokenizer_config.json",
                                   "{\"model_max_length\": 64, \"truncation_side\": \"left\"}"));
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_tag(model, texts, 2, &params, &result, &err), RP_OK);
    entities = rp_result_entities(result, 0, &count);
    assert_int_equal(count, most);
    assert_int_equal(entities[0].index, 1);
    assert_int_equal(entities[0].span.start, (300 - most) * 8);
    assert_true(rp_result_truncated(result, 0));
    close_case();
}

/* Open the case with "O" in place of `label`, and "X" in place of "O". */
static void open_outside(const char *label) {
    char quoted[16];
    snprintf(quoted, sizeof quoted, "\"%s\"", label);
    open_case("tag");
    rp_model_close(&model);
    size_t size = 0;
    char *config = fixture_read(fixture.dir, "config.json", &size);
    assert_non_null(config);
    for (char *at = config; (at = strstr(at, "\"O\""));) at[1] = 'X';
    for (char *at = config; (at = strstr(at, quoted));) {
        memset(at, ' ', strlen(quoted));
        memcpy(at, "\"O\"", 3);
    }
    assert_true(fixture_write_text(fixture.dir, "config.json", config));
    free(config);
    if (rp_model_open(fixture_device, fixture.dir, NULL, &model, &err)) fail_msg("%s", err.message);
}

/* The entities of an answer but for those labelled "O" are those of the other answer; how many "O" there are.
 */
static size_t compare_inside(const rp_result *whole, const rp_result *inside, size_t entry) {
    size_t every = 0, count = 0, same = 0;
    const rp_entity *all = rp_result_entities(whole, entry, &every);
    const rp_entity *some = rp_result_entities(inside, entry, &count);
    for (size_t i = 0; i < every; i++) {
        if (!strcmp(all[i].label, "O")) continue;
        assert_true(same < count);
        assert_string_equal(all[i].label, some[same].label);
        assert_true(all[i].score == some[same].score);
        assert_int_equal(all[i].span.end, some[same++].span.end);
    }
    assert_int_equal(same, count);
    return every - count;
}

/* Asked for what is labelled "O", too, each token has an entity, and the others are as without it. */
static void test_outside_of_entities(void **state) {
    const rp_text texts[] = {TEXT("Ada Lovelace wrote letters to Charles Babbage in London."),
                             TEXT("NASA, 3.14 (x) \"quoted\" cats' paws; it's a word-for-word tale!")};
    char label[16] = "";
    (void)state;
    open_case("tag");
    rp_tag_params params = {.aggregation = RP_AGGREGATE_NONE};
    assert_int_equal(rp_tag(model, texts, 2, &params, &result, &err), RP_OK);
    size_t found = 0;
    const rp_entity *entities = rp_result_entities(result, 0, &found);
    assert_true(found > 0);
    snprintf(label, sizeof label, "%s", entities[0].label);
    close_case();
    for (int way = RP_AGGREGATE_SIMPLE; way <= RP_AGGREGATE_MAX; way++) {
        rp_result *whole = NULL;
        uint32_t tokens = 0;
        open_outside(label);
        params = (rp_tag_params){.aggregation = (rp_aggregation)way, .outside = true};
        assert_int_equal(rp_tag(model, texts, 2, &params, &whole, &err), RP_OK);
        params.outside = false;
        assert_int_equal(rp_tag(model, texts, 2, &params, &result, &err), RP_OK);
        assert_true(compare_inside(whole, result, 0) + compare_inside(whole, result, 1) > 0);
        rp_result_entities(whole, 0, &found);
        rp_result_tokens(whole, 0, &tokens);
        if (way == RP_AGGREGATE_NONE) assert_int_equal(found, tokens);
        rp_result_free(&whole);
        close_case();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_that_holds_it_fails),
        cmocka_unit_test(test_one_around_every_text_is_no_model),
        cmocka_unit_test(test_positions_follow_the_template),
        cmocka_unit_test(test_no_token_at_all),
        cmocka_unit_test(test_cut_texts_end_early),
        cmocka_unit_test(test_outside_of_entities),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
