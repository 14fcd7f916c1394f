/* Thresholds that rp_eval finds: scores are those of moderation and of dialogues, which then take the file.
 */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM (2 * FIXTURE_PATH_SIZE)

static task_case many, one; /* labels a, b, c, d, each by itself; labels bad, so-so, good */
static rp_model *several, *single;
static char data_file[ROOM], thresholds[ROOM];
static rp_error err;

static int open_models(void **state) {
    if (fixture_open_device(state) || !task_case_open("long_many", &many) || !task_case_open("long", &one))
        return -1;
    snprintf(data_file, sizeof data_file, "%s/dev.tsv", one.dir);
    snprintf(thresholds, sizeof thresholds, "%s/thresholds.json", one.dir);
    return rp_model_open(fixture_device, many.dir, NULL, &several, &err) ||
           rp_model_open(fixture_device, one.dir, NULL, &single, &err);
}

static int close_models(void **state) {
    rp_model_close(&several);
    rp_model_close(&single);
    task_case_close(&many);
    task_case_close(&one);
    return fixture_close_device(state);
}

static rp_evaluation *calibrate(rp_model *model, double recall, double precision, uint32_t max_tokens) {
    const rp_eval_params params = {.calibrate = thresholds,
                                   .target_recall = recall,
                                   .target_precision = precision,
                                   .max_tokens = max_tokens};
    rp_evaluation *e = NULL;
    if (rp_eval(model, data_file, &params, &e, &err)) print_error("%s\n", err.message);
    assert_non_null(e);
    return e;
}

/* ---- what moderation reads ---- */

/* The score of label `index` as rp_moderate gives it. */
static double moderated(const char *text, uint32_t index) {
    const rp_text texts = {text, strlen(text)};
    const rp_moderate_params params = {.no_spans = true};
    rp_moderation *m = NULL;
    rp_result *result = NULL;
    double score = NAN;
    assert_int_equal(rp_moderation_open(several, NULL, &m, &err), RP_OK);
    assert_int_equal(rp_moderate(m, &texts, 1, &params, &result, &err), RP_OK);
    const rp_verdict *v = rp_result_verdict(result, 0);
    for (size_t i = 0; i < v->label_count; i++)
        if (v->labels[i].index == index) score = (double)v->labels[i].score;
    rp_result_free(&result);
    rp_moderation_close(&m);
    return score;
}

/* A text of many windows counts by the highest of them, though the model takes its beginning alone, and less
 * where somebody says so. A label without rows keeps what it has without a file. */
static void test_long_rows(void **state) {
    static char text[8000], data[9000];
    size_t count = 0;
    (void)state;
    *text = '\0';
    for (int i = 0; i < 60; i++) sprintf(text + strlen(text), "In %d the river was dark. ", 1800 + i);
    snprintf(data, sizeof data, "text\tlabel\n%s\ta,b\nletters and ships\tb\n", text);
    text[strlen(text) - 1] = '\0';
    assert_true(fixture_write_text(one.dir, "dev.tsv", data));
    for (uint32_t max_tokens = 0; max_tokens < 16; max_tokens += 8) {
        rp_evaluation *e = calibrate(several, 1, 0, max_tokens);
        const rp_threshold *t = rp_evaluation_thresholds(e, &count);
        assert_int_equal(count, 4);
        for (uint32_t k = 0; k < 2; k++) {
            const double high = moderated(text, k), low = moderated("letters and ships", k);
            const bool both = k == 1 || high < low;
            const double lowest = k == 1 && low < high ? low : high, next = both ? 0 : low;
            assert_true(fabs(t[k].threshold - (lowest + next) / 2) < 1e-6);
            assert_true(t[k].reached && t[k].recall == 1);
        }
        for (uint32_t k = 2; k < 4; k++)
            assert_true(t[k].threshold == 0.5 && !t[k].support && !t[k].reached && isnan(t[k].precision) &&
                        isnan(t[k].recall));
        rp_evaluation_free(&e);
    }
    rp_moderation *m = NULL;
    const rp_moderation_params params = {.thresholds = thresholds};
    assert_int_equal(rp_moderation_open(several, &params, &m, &err), RP_OK);
    rp_moderation_close(&m);
    /* No label at all. */
    assert_true(fixture_write_text(one.dir, "dev.tsv", "text\tlabel\na film\t\n"));
    rp_evaluation *e = NULL;
    const rp_eval_params none = {.calibrate = thresholds, .target_recall = 1};
    assert_int_equal(rp_eval(several, data_file, &none, &e, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "no row has one of the labels"));
}

/* ---- what dialogues read ---- */

enum { ROWS = 8 };
static const char *const texts[ROWS] = {
    "a film",   "dull.", "the river",     "London was dark", "letters and ships",
    "a bridge", "years", "warm and funny"};

static rp_chat *open_chat(bool given, float threshold) {
    const rp_chat_params params = {.model = single, .has_threshold = given, .threshold = threshold};
    rp_chat *chat = NULL;
    if (rp_chat_open(&params, &chat, &err)) print_error("%s\n", err.message);
    assert_non_null(chat);
    return chat;
}

/* Is the text of an intent, and with which score? */
static bool says(rp_chat *chat, const char *text, float *score, char intent[64]) {
    const rp_text said = {text, strlen(text)};
    rp_result *result = NULL;
    assert_int_equal(rp_chat_say(chat, &said, 1, NULL, &result, &err), RP_OK);
    const rp_reply *reply = rp_result_reply(result, 0);
    const bool known = reply->intent != NULL;
    *score = reply->score;
    if (known) snprintf(intent, 64, "%s", reply->intent);
    rp_result_free(&result);
    return known;
}

static void test_intents(void **state) {
    char data[1000] = "text\tlabel\n", intent[64] = "";
    float scores[ROWS], unused, least = 1, highest_wrong = 0;
    (void)state;
    unlink(thresholds);
    rp_chat *chat = open_chat(true, 0);
    for (int i = 0; i < ROWS; i++) {
        assert_true(says(chat, texts[i], &scores[i], intent));
        const bool right = i % 3 != 1;
        const char *label = right ? intent : strcmp(intent, "bad") ? "bad" : "good";
        sprintf(data + strlen(data), "%s\t%s\n", texts[i], label);
        if (right && scores[i] < least) least = scores[i];
        if (!right && scores[i] > highest_wrong) highest_wrong = scores[i];
    }
    rp_chat_close(&chat);
    assert_true(fixture_write_text(one.dir, "dev.tsv", data));
    /* As many right ones as there are, and then nothing that is wrong. */
    rp_evaluation *e = calibrate(single, 1, 0, 0);
    const rp_threshold *t = rp_evaluation_intent(e);
    assert_non_null(t);
    assert_string_equal(t->label, "");
    assert_true(t->reached && t->support == 5 && t->recall == 1);
    assert_true(t->threshold <= (double)least && t->threshold >= (double)least / 2);
    const double threshold = t->threshold;
    rp_evaluation_free(&e);
    chat = open_chat(false, 0);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(says(chat, texts[i], &unused, intent), (double)scores[i] >= threshold);
    rp_chat_close(&chat);
    chat = open_chat(true, 1);
    assert_false(says(chat, texts[0], &unused, intent));
    rp_chat_close(&chat);
    e = calibrate(single, 0, 1, 0);
    t = rp_evaluation_intent(e);
    if (t->reached) assert_true(t->threshold > (double)highest_wrong);
    rp_evaluation_free(&e);
    e = NULL;
    assert_int_equal(rp_eval(single, data_file, NULL, &e, &err), RP_OK);
    assert_null(rp_evaluation_intent(e));
    rp_evaluation_free(&e);
}

static void test_the_file(void **state) {
    static const char *const bad[] = {
        "{\"intent\": 0.5}", "{\"intent\": {}}", "{\"intent\": {\"threshold\": 1.5}}",
        "{\"intent\": {\"threshold\": NaN}}", "{\"intent\": {\"threshold\": \"1\"}}"};
    const rp_chat_params params = {.model = single};
    rp_chat *chat = NULL;
    rp_moderation *m = NULL;
    char intent[64];
    float score;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(fixture_write_text(one.dir, "thresholds.json", bad[i]));
        assert_int_equal(rp_chat_open(&params, &chat, &err), RP_ERROR_FORMAT);
        assert_non_null(
            strstr(err.message, "thresholds.json: intent: must be an object with a \"threshold\""));
        assert_null(chat);
    }
    assert_true(
        fixture_write_text(one.dir, "thresholds.json", "{\"rows\": 1, \"thresholds\": {\"bad\": 0.5}}"));
    chat = open_chat(false, 0);
    const bool known = says(chat, "a film", &score, intent);
    assert_int_equal(known, score >= 0.9f);
    rp_chat_close(&chat);
    /* One that is for dialogues alone changes nothing of moderation. */
    assert_true(fixture_write_text(one.dir, "thresholds.json", "{\"intent\": {\"threshold\": 0}}"));
    chat = open_chat(false, 0);
    assert_true(says(chat, "a film", &score, intent));
    rp_chat_close(&chat);
    assert_int_equal(rp_moderation_open(single, NULL, &m, &err), RP_OK);
    const rp_text text = RP_TEXT("a film");
    rp_result *result = NULL;
    assert_int_equal(rp_moderate(m, &text, 1, NULL, &result, &err), RP_OK);
    const rp_verdict *v = rp_result_verdict(result, 0);
    assert_int_equal(v->label_count, 2);
    assert_true(v->labels[0].threshold == 0.5f);
    rp_result_free(&result);
    rp_moderation_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_intents),
        cmocka_unit_test(test_the_file),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
