/* Labels that the caller names for a new head, and labels of the data that no head has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"
#define FILMS "sentence\tlabel\na warm film\tgood\na dull film\tbad\n"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static char dir[FIXTURE_PATH_SIZE], train[PATH], dev[PATH], names[PATH], out[PATH];

static int begin(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(out, sizeof out, "%s/out", dir);
    return 0;
}

static int clean(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static void put(const char *name, const char *text, char path[PATH]) {
    assert_true(fixture_write_text(dir, name, text));
    snprintf(path, PATH, "%s/%s", dir, name);
}

static rp_status teach(rp_finetune_params params, rp_error *err) {
    if (!params.model) params.model = PRETRAINED;
    params.train = train;
    params.out = out;
    params.steps = 1;
    params.max_tokens = 16;
    return rp_finetune(fixture_device, &params, err);
}

/* The labels of OUT, which goes away. */
static void check_labels(rp_finetune_params params, const char *const *want, uint32_t count) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (teach(params, &err)) fail_msg("%s", err.message);
    if (rp_model_open(fixture_device, out, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_model_get_info(model)->label_count, count);
    for (uint32_t i = 0; i < count; i++) assert_string_equal(rp_model_get_info(model)->labels[i], want[i]);
    rp_model_close(&model);
    fixture_remove_dir(out);
}

static void refuse(rp_finetune_params params, rp_status status, const char *part) {
    rp_error err = {0};
    rp_status got = teach(params, &err);
    if (got != status || !strstr(err.message, part)) fail_msg("%d: %s", (int)got, err.message);
}

static void test_labels_in_the_order_that_is_named(void **state) {
    static const char *const three[] = {"good", "neither", "bad"}, *const sorted[] = {"bad", "good"};
    (void)state;
    put("train.tsv", FILMS, train);
    check_labels((rp_finetune_params){0}, sorted, 2);
    check_labels((rp_finetune_params){.labels = "good,neither,bad"}, three, 3);
    put("labels.txt", "good\r\nneither\nbad\n", names);
    check_labels((rp_finetune_params){.labels = names}, three, 3);
    put("train.jsonl",
        "{\"text\": \"a\", \"labels\": [\"bad\", \"good\"]}\n{\"text\": \"b\", \"labels\": []}\n", train);
    check_labels((rp_finetune_params){.labels = names, .task = RP_EVAL_MULTILABEL}, three, 3);
    put("train.jsonl", "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"good\", \"bad\"]}\n", train);
    check_labels((rp_finetune_params){.labels = names, .task = RP_EVAL_TAG}, three, 3);
}

/* Numbers are those of the labels, whoever gave them their names. */
static void test_labels_by_number(void **state) {
    static const char *const three[] = {"good", "neither", "bad"};
    (void)state;
    put("train.tsv", "sentence\tlabel\na\t0\nb\t2\n", train);
    check_labels((rp_finetune_params){.labels = "good,neither,bad"}, three, 3);
    put("train.jsonl", "{\"text\": \"a\", \"labels\": [0, 2]}\n{\"text\": \"b\", \"labels\": [1]}\n", train);
    check_labels((rp_finetune_params){.labels = "good,neither,bad", .task = RP_EVAL_MULTILABEL}, three, 3);
}

static void test_a_label_that_is_none_is_found(void **state) {
    (void)state;
    put("train.tsv", FILMS "a film\tbad\nb film\tfine\n", train);
    refuse((rp_finetune_params){.labels = "good,bad"}, RP_ERROR_FORMAT,
           "train.tsv: line 5: the label 'fine'");
    put("train.tsv", "sentence\tlabel\na\t1\nb\t2\n", train);
    refuse((rp_finetune_params){.model = SENTIMENT}, RP_ERROR_FORMAT, "train.tsv: line 3: the label '2'");
    put("train.tsv", FILMS, train);
    put("dev.tsv", FILMS "a\tgood\nb\tugly\n", dev);
    refuse((rp_finetune_params){.dev = dev}, RP_ERROR_FORMAT, "dev.tsv: line 5: the label 'ugly'");
}

/* Before anything is read or opened. */
static void test_early_exit_that_cannot_be(void **state) {
    (void)state;
    put("train.tsv", FILMS, train);
    refuse((rp_finetune_params){.early_exit = true, .task = RP_EVAL_REGRESS}, RP_ERROR_ARGUMENT,
           "the task classify (--early-exit)");
    refuse((rp_finetune_params){.early_exit = true, .optimizer = RP_OPTIMIZER_LAMB}, RP_ERROR_ARGUMENT,
           "leave out the optimizer (--optimizer)");
}

static void test_labels_that_cannot_be_had(void **state) {
    (void)state;
    put("train.tsv", FILMS, train);
    refuse((rp_finetune_params){.labels = "good,bad,good"}, RP_ERROR_ARGUMENT, "'good' is there twice");
    refuse((rp_finetune_params){.labels = "good,,bad"}, RP_ERROR_FORMAT, "the label is empty");
    refuse((rp_finetune_params){.labels = ""}, RP_ERROR_FORMAT, "there is none");
    refuse((rp_finetune_params){.labels = "good"}, RP_ERROR_FORMAT, "2 or more");
    refuse((rp_finetune_params){.labels = "good,bad", .model = SENTIMENT}, RP_ERROR_UNSUPPORTED,
           "other labels of its own");
    refuse((rp_finetune_params){.labels = "good,bad", .task = RP_EVAL_REGRESS}, RP_ERROR_UNSUPPORTED,
           "only classify");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_labels_in_the_order_that_is_named, begin, clean),
        cmocka_unit_test_setup_teardown(test_labels_by_number, begin, clean),
        cmocka_unit_test_setup_teardown(test_a_label_that_is_none_is_found, begin, clean),
        cmocka_unit_test_setup_teardown(test_labels_that_cannot_be_had, begin, clean),
        cmocka_unit_test_setup_teardown(test_early_exit_that_cannot_be, begin, clean),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
