/* rp_finetune with heads of several texts: questions, choices and vectors of pairs. */
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

#include "reprise/reprise.h"
#include "support_fixture.h"

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static rp_device *device;
static char dir[FIXTURE_PATH_SIZE], train[PATH], dev[PATH], out[PATH];
static double first_loss, last_loss;
static int evaluations, warned, steps;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

static int clean(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    *dir = 0;
    return 0;
}

/* ---- files ---- */

static void put(const char *name, const char *text, char path[PATH]) {
    if (!*dir) assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_text(dir, name, text));
    snprintf(path, PATH, "%s/%s", dir, name);
    snprintf(out, PATH, "%s/out", dir);
}

static void take_step(void *user, const rp_training_step *s) {
    (void)user;
    if (s->step == 1) first_loss = s->loss;
    last_loss = s->loss;
    steps++;
}

static void take_log(void *user, rp_log_level level, const char *message) {
    (void)user, (void)level;
    if (strstr(message, ": 2 bad rows were left out")) warned++;
}

static void take_evaluation(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                            bool best) {
    (void)user, (void)last, (void)metrics, (void)count, (void)best;
    evaluations++;
}

static rp_status try_to(rp_finetune_params params, rp_error *err) {
    static const rp_training_handler handler = {.step = take_step, .evaluated = take_evaluation};
    static const rp_call call = {.log = take_log};
    if (!params.model) params.model = PRETRAINED;
    params.train = train;
    params.out = out;
    params.handler = &handler;
    params.call = &call;
    evaluations = warned = steps = 0;
    return rp_finetune(device, &params, err);
}

static void teach(rp_finetune_params params) {
    rp_error err = {0};
    if (try_to(params, &err)) fail_msg("%s", err.message);
    assert_true(last_loss < 0.8 * first_loss);
}

static void refuse(rp_finetune_params params, rp_status status, const char *part) {
    rp_error err = {0};
    struct stat info;
    rp_status got = try_to(params, &err);
    if (got != status || !strstr(err.message, part)) fail_msg("%d: %s", (int)got, err.message);
    assert_int_equal(stat(out, &info), -1);
}

static rp_model *open_out(const char *architecture) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(device, out, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_string_equal(rp_model_get_info(model)->architecture, architecture);
    return model;
}

static double metric(rp_model *model, const char *file, rp_eval_task task, const char *name) {
    const rp_eval_params params = {.task = task};
    rp_evaluation *e = NULL;
    rp_error err = {0};
    double value = NAN;
    size_t count;
    if (rp_eval(model, file, &params, &e, &err)) fail_msg("%s", err.message);
    const rp_metric *metrics = rp_evaluation_metrics(e, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(metrics[i].name, name)) value = metrics[i].value;
    rp_evaluation_free(&e);
    return value;
}

/* ---- answers ---- */

static void write_questions(void) {
    static const char *const names[] = {"Ann", "Bob", "Cara", "Dirk", "Eve", "Finn", "Gwen", "Hal"};
    char text[8192] = "";
    size_t at = 0;
    for (int i = 0; i < 8; i++)
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            "{\"question\": \"who won?\", \"context\": \"the winner is %s today\", \"answers\": {\"text\": "
            "[%s%s%s], \"answer_start\": [%s]}}\n",
            names[i], i == 7 ? "" : "\"", i == 7 ? "" : names[i], i == 7 ? "" : "\"", i == 7 ? "" : "14");
    put("questions.jsonl", text, train);
}

static void test_answers(void **state) {
    (void)state;
    write_questions();
    teach((rp_finetune_params){.task = RP_EVAL_ANSWER, .dev = train, .epochs = 12, .learning_rate = 5e-4});
    assert_int_equal(evaluations, 12);
    rp_model *model = open_out("AlbertForQuestionAnswering");
    assert_true(metric(model, train, RP_EVAL_ANSWER, "HasAns_f1") > 80);
    rp_model_close(&model);
}

/* A folder that has the head goes on with it, and the task is known. */
static void test_a_head_goes_on(void **state) {
    char first[PATH];
    struct stat info;
    (void)state;
    write_questions();
    teach((rp_finetune_params){.task = RP_EVAL_ANSWER, .epochs = 10, .learning_rate = 5e-4});
    double reached = last_loss;
    snprintf(first, sizeof first, "%s/first", dir);
    assert_int_equal(rename(out, first), 0);
    rp_error err = {0};
    if (try_to((rp_finetune_params){.model = first, .epochs = 1, .learning_rate = 1e-5}, &err))
        fail_msg("%s", err.message);
    assert_true(first_loss < 2 * reached);
    assert_int_equal(stat(out, &info), 0);
    fixture_remove_dir(out);
    refuse((rp_finetune_params){.model = first, .task = RP_EVAL_CHOOSE}, RP_ERROR_UNSUPPORTED,
           "for the task answer, not choose");
}

/* ---- choices ---- */

static void test_choices(void **state) {
    char text[8192] = "";
    size_t at = 0;
    (void)state;
    for (int i = 0; i < 12; i++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "{\"text\": \"the colour of %d\", \"choices\": [\"%s\", \"%s\", \"stone\"], "
                               "\"label\": %d}\n",
                               i, i % 2 ? "wood" : "red", i % 2 ? "red" : "wood", i % 2);
    put("choices.jsonl", text, train);
    teach((rp_finetune_params){
        .task = RP_EVAL_CHOOSE, .dev = train, .epochs = 14, .batch_size = 5, .learning_rate = 5e-4});
    rp_model *model = open_out("AlbertForMultipleChoice");
    assert_true(metric(model, train, RP_EVAL_CHOOSE, "accuracy") > 0.9);
    rp_model_close(&model);
    fixture_remove_dir(out);
    put("choices.jsonl",
        "{\"text\": \"a\", \"choices\": [\"b\", \"c\"], \"label\": 1}\n"
        "{\"text\": \"a\", \"choices\": [\"b\", \"c\", \"d\"], \"label\": 3}\n",
        train);
    refuse((rp_finetune_params){.task = RP_EVAL_CHOOSE}, RP_ERROR_FORMAT,
           "line 2: label is not the number of one of the 3 choices");
}

/* Questions may have different numbers of choices; of the rows of each task bad ones can be left out, those
 * too that the task alone finds bad. */
static void test_choices_differ(void **state) {
    char text[4096] = "{\"text\": \"a\", \"choices\": [\"b\"], \"label\": 1}\n{}\n";
    size_t at = strlen(text);
    (void)state;
    for (int i = 0; i < 12; i++)
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            "{\"text\": \"the colour of %d\", \"choices\": [%s\"wood\", \"red\"], \"label\": %d}\n", i,
            i % 3 ? i % 3 > 1 ? "\"stone\", \"oak\", " : "\"stone\", " : "", i % 3 + 1);
    put("choices.jsonl", text, train);
    put("dev.jsonl", strchr(strchr(text, '\n') + 1, '\n') + 1, dev);
    rp_finetune_params params = {
        .task = RP_EVAL_CHOOSE, .dev = dev, .epochs = 1, .batch_size = 6, .skip_bad = true};
    rp_error err = {0};
    if (try_to(params, &err)) fail_msg("%s", err.message);
    assert_int_equal(warned, 1);
    assert_int_equal(steps, 2);
    assert_int_equal(evaluations, 1);
    fixture_remove_dir(out);
    /* pairs with scores that no cosine can be */
    put("pairs.tsv", "text\ttext_pair\tlabel\na\tb\t7\na\tb\t0.5\nc\td\t-3\nc\td\t1\n", train);
    params = (rp_finetune_params){.task = RP_EVAL_EMBED, .epochs = 1, .batch_size = 1, .skip_bad = true};
    if (try_to(params, &err)) fail_msg("%s", err.message);
    assert_int_equal(warned, 1);
    assert_int_equal(steps, 2);
}

/* ---- vectors ---- */

static const char pairs[] = "text\ttext_pair\n"
                            "a warm film\ta friendly movie\n"
                            "the cat sat\tan animal was resting\n"
                            "it rains\tthe weather is wet\n"
                            "shares went up\tstock prices rose\n"
                            "good food\ta tasty meal\n"
                            "he ran home\tthe boy hurried back\n"
                            "a red car\tthe vehicle is crimson\n"
                            "she sings\ta woman makes music\n";

static bool has_file(const char *name) {
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", out, name);
    return !access(path, R_OK);
}

/* The first texts are nearer to their own second ones than to the others. */
static int nearest(rp_model *model) {
    static const rp_text texts[] = {
        RP_TEXT("a warm film"),      RP_TEXT("it rains"),           RP_TEXT("good food"),
        RP_TEXT("a friendly movie"), RP_TEXT("the weather is wet"), RP_TEXT("a tasty meal"),
    };
    const rp_embed_params params = {.normalize = RP_NORMALIZE_YES};
    rp_result *result = NULL;
    rp_error err = {0};
    int right = 0;
    if (rp_embed(model, texts, 6, &params, &result, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < 3; i++) {
        float most = -2;
        size_t best = 0, rows, count;
        for (size_t k = 3; k < 6; k++) {
            const float *a = rp_result_vectors(result, i, &rows, &count),
                        *b = rp_result_vectors(result, k, &rows, &count);
            float sum = 0;
            for (size_t c = 0; c < count; c++) sum += a[c] * b[c];
            if (sum > most) best = k, most = sum;
        }
        right += best == i + 3;
    }
    rp_result_free(&result);
    return right;
}

static void test_pairs(void **state) {
    (void)state;
    put("pairs.tsv", pairs, train);
    teach((rp_finetune_params){.task = RP_EVAL_EMBED, .epochs = 15, .batch_size = 5, .learning_rate = 2e-4});
    assert_true(has_file("modules.json") && has_file("1_Pooling/config.json"));
    assert_true(has_file("sentence_bert_config.json"));
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(device, out, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(nearest(model), 3);
    rp_model_close(&model);
}

static void test_scores(void **state) {
    (void)state;
    static const char scored[] = "sentence1\tsentence2\tscore\n"
                                 "a warm film\ta friendly movie\t1\n"
                                 "a warm film\tthe weather is wet\t0\n"
                                 "it rains\tthe weather is wet\t0.9\n"
                                 "it rains\ta tasty meal\t0.1\n"
                                 "good food\ta tasty meal\t0.8\n"
                                 "good food\ta friendly movie\t0.05\n";
    put("scores.tsv", scored, train);
    put("dev.tsv", scored, dev);
    rp_model *model = NULL;
    rp_error err = {0};
    if (rp_model_open(device, PRETRAINED, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_true(metric(model, train, RP_EVAL_EMBED, "pearson") < 0.9);
    rp_model_close(&model);
    teach((rp_finetune_params){.task = RP_EVAL_EMBED,
                               .dev = dev,
                               .epochs = 25,
                               .batch_size = 6,
                               .learning_rate = 2e-4,
                               .no_shuffle = true});
    if (rp_model_open(device, out, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_true(metric(model, dev, RP_EVAL_EMBED, "pearson") > 0.95);
    assert_true(metric(model, dev, RP_EVAL_EMBED, "spearmanr") > 0.8);
    rp_model_close(&model);
}

static void test_pairs_that_cannot_be_learnt(void **state) {
    (void)state;
    const rp_finetune_params embed = {.task = RP_EVAL_EMBED};
    put("p.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}\n{\"text\": \"a\"}\n", train);
    refuse(embed, RP_ERROR_FORMAT, "p.jsonl: line 2: has one text");
    put("p.jsonl",
        "{\"text\": \"a\", \"text_pair\": \"b\", \"label\": 0.5}\n"
        "{\"text\": \"a\", \"text_pair\": \"c\"}\n",
        train);
    refuse(embed, RP_ERROR_FORMAT, "line 2: has no score");
    put("p.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\", \"label\": 4.5}\n", train);
    refuse(embed, RP_ERROR_FORMAT, "line 1: has the score 4.5");
    put("p.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}\n", train);
    put("d.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\"}\n", dev);
    refuse((rp_finetune_params){.task = RP_EVAL_EMBED, .dev = dev}, RP_ERROR_FORMAT, "line 1: has no label");
    refuse((rp_finetune_params){.task = RP_EVAL_ORDER}, RP_ERROR_UNSUPPORTED, "rp_pretrain");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_answers, clean),
        cmocka_unit_test_teardown(test_a_head_goes_on, clean),
        cmocka_unit_test_teardown(test_choices, clean),
        cmocka_unit_test_teardown(test_choices_differ, clean),
        cmocka_unit_test_teardown(test_pairs, clean),
        cmocka_unit_test_teardown(test_scores, clean),
        cmocka_unit_test_teardown(test_pairs_that_cannot_be_learnt, clean),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
