/* Questions as rp_finetune learns them: the windows of their contexts and the labels of each, as Hugging Face
 * makes them for the same file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "finetune/finetune.h"
#include "support_fixture.h"

static rp_finetune_run *run;
static char dir[FIXTURE_PATH_SIZE];

static void finish(void) {
    if (!run) return;
    rp_finetune_batch_finish(&run->batch);
    rp_data_close(&run->data);
    rp_config_finish(&run->config);
    rp_model_close(&run->model);
    free(run->firsts);
    free(run);
    run = NULL;
}

static int clean(void **state) {
    (void)state;
    finish();
    fixture_remove_dir(dir);
    *dir = 0;
    return 0;
}

/* What rp_finetune has before its first step, but for the trainer. */
static rp_status look_at(const char *file, rp_finetune_params params, rp_error *err) {
    static char model[] = SOURCE_DIR "/tools/models/pretrained";
    const rp_data_params questions = {
        .kind = RP_DATA_QUESTION, .labelled = true, .skip_bad = params.skip_bad};
    finish();
    run = calloc(1, sizeof *run);
    assert_non_null(run);
    params.task = RP_EVAL_ANSWER;
    params.train = file;
    params.no_shuffle = true;
    if (!params.batch_size) params.batch_size = 1;
    run->dir = model;
    run->params = params;
    run->device = fixture_device;
    assert_int_equal(rp_config_load(model, &run->config, err), RP_OK);
    assert_int_equal(rp_model_open(fixture_device, model, NULL, &run->model, err), RP_OK);
    rp_status status = rp_data_open(file, &questions, &run->data, err);
    if (!status) status = rp_finetune_look_at_rows(run, err);
    if (status) return status;
    run->steps_of_epoch = (run->rows + params.batch_size - 1) / params.batch_size;
    return rp_finetune_batch_init(run, err);
}

/* ---- as Hugging Face makes them ---- */

static void same_integers(const json_t *want, const int32_t *got, size_t count, const char *what, size_t i) {
    if (json_array_size(want) != count)
        fail_msg("%s of feature %zu: %zu and not %zu", what, i, count, json_array_size(want));
    for (size_t k = 0; k < count; k++)
        if (json_integer_value(json_array_get(want, k)) != got[k])
            fail_msg("%s of feature %zu: number %zu is %d and not %d", what, i, k, (int)got[k],
                     (int)json_integer_value(json_array_get(want, k)));
}

static void check_cut(const json_t *cut) {
    const json_t *features = json_object_get(cut, "features"), *feature;
    const rp_finetune_params params = {
        .max_tokens = (uint32_t)json_integer_value(json_object_get(cut, "max_tokens")),
        .stride = (uint32_t)json_integer_value(json_object_get(cut, "stride"))};
    rp_error err = {0};
    size_t i;
    if (look_at(TESTS_DIR "/goldens/questions/train.json", params, &err)) fail_msg("%s", err.message);
    assert_int_equal(run->rows, json_array_size(features));
    assert_true(json_array_size(features) > 10);
    json_array_foreach(features, i, feature) {
        if (rp_finetune_fill(run, i, &err)) fail_msg("%s", err.message);
        assert_int_equal(run->batch.tokenized.count, 1);
        const rp_sequence *sequence = run->batch.tokenized.sequences;
        same_integers(json_object_get(feature, "ids"), sequence->ids, sequence->count, "ids", i);
        same_integers(json_object_get(feature, "types"), sequence->type_ids, sequence->count, "types", i);
        same_integers(json_object_get(feature, "labels"), run->batch.labels, run->batch.label_count, "labels",
                      i);
    }
}

static void test_windows_and_labels(void **state) {
    (void)state;
    json_t *cuts = json_load_file(TESTS_DIR "/goldens/questions/features.json", 0, NULL), *cut;
    size_t i;
    assert_true(json_array_size(cuts) > 1);
    json_array_foreach(cuts, i, cut) check_cut(cut);
    json_decref(cuts);
}

/* The defaults are those of Hugging Face, and a batch holds the windows of several questions, in any order.
 */
static void test_batches_of_windows(void **state) {
    (void)state;
    const rp_finetune_params params = {.batch_size = 4, .max_tokens = 40, .stride = 12};
    rp_error err = {0};
    assert_int_equal(look_at(TESTS_DIR "/goldens/questions/train.json", (rp_finetune_params){0}, &err),
                     RP_OK);
    assert_int_equal(run->params.max_tokens, 384);
    assert_int_equal(run->params.stride, 128);
    assert_int_equal(look_at(TESTS_DIR "/goldens/questions/train.json", params, &err), RP_OK);
    run->params.no_shuffle = false;
    run->params.seed = 5;
    uint64_t seen = 0, tokens = 0;
    for (uint64_t step = 0; step < run->steps_of_epoch; step++) {
        if (rp_finetune_fill(run, step, &err)) fail_msg("%s", err.message);
        assert_int_equal(run->batch.label_count, 2 * run->batch.tokenized.count);
        assert_int_equal(run->batch.count, run->batch.tokenized.count);
        seen += run->batch.count;
        for (size_t i = 0; i < run->batch.count; i++) {
            uint32_t count = run->batch.tokenized.sequences[i].count;
            assert_in_range(run->batch.labels[2 * i], 0, count - 1);
            assert_in_range(run->batch.labels[2 * i + 1], run->batch.labels[2 * i], count - 1);
            tokens += count;
        }
    }
    assert_int_equal(seen, run->rows);
    assert_true(tokens > 30 * seen);
}

/* ---- rows as people write them ---- */

static const char *write(const char *text) {
    static char path[FIXTURE_PATH_SIZE + 16];
    if (!*dir) assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_text(dir, "q.jsonl", text));
    snprintf(path, sizeof path, "%s/q.jsonl", dir);
    return path;
}

/* Without answer_start the answer is where the context has it first. */
static void test_answers_without_a_place(void **state) {
    (void)state;
    rp_error err = {0};
    const char *path =
        write("{\"question\": \"who?\", \"context\": \"I saw Ann, and Ann saw me.\", \"answers\": "
              "[\"Ann\"]}\n{\"question\": \"when?\", \"context\": \"Now.\", \"answers\": []}\n");
    if (look_at(path, (rp_finetune_params){.batch_size = 2}, &err)) fail_msg("%s", err.message);
    assert_int_equal(run->rows, 2);
    if (rp_finetune_fill(run, 0, &err)) fail_msg("%s", err.message);
    const int32_t *labels = run->batch.labels;
    rp_encoding context = {0};
    const rp_tokenize_params plain = {.no_special_tokens = true};
    assert_int_equal(
        rp_tokenize(rp_model_get_tokenizer(run->model), RP_TEXT("Ann"), (rp_text){0}, &plain, &context, &err),
        RP_OK);
    assert_int_equal(labels[1] - labels[0] + 1, context.count);
    assert_memory_equal(run->batch.tokenized.sequences[0].ids + labels[0], context.ids, 4 * context.count);
    rp_encoding_free(&context);
    assert_int_equal(labels[2], 0);
    assert_int_equal(labels[3], 0);
}

static void test_questions_that_cannot_be_learnt(void **state) {
    (void)state;
    static const char bad[] = "{\"question\": \"a?\", \"context\": \"b c\", \"answers\": [\"c\"]}\n"
                              "{\"question\": \"a?\", \"context\": \"b c\", \"answers\": [\"d\"]}\n"
                              "{\"question\": \"one two three four five six seven eight nine ten\", "
                              "\"context\": \"b\", \"answers\": "
                              "[\"b\"]}\n";
    rp_error err = {0};
    assert_int_equal(look_at(write(bad), (rp_finetune_params){.max_tokens = 12}, &err), RP_ERROR_FORMAT);
    if (!strstr(err.message, "q.jsonl: line 2: the answer 'd'")) fail_msg("%s", err.message);
    if (look_at(write(bad), (rp_finetune_params){.max_tokens = 12, .skip_bad = true}, &err))
        fail_msg("%s", err.message);
    assert_int_equal(run->rows, 1);
    assert_int_equal(rp_finetune_row_of(run, 0), 0);
    const char *long_one = strchr(bad, '\n') + 1;
    assert_int_equal(look_at(write(strchr(long_one, '\n') + 1), (rp_finetune_params){.max_tokens = 12}, &err),
                     RP_ERROR_FORMAT);
    if (!strstr(err.message, "line 1: of the 12 tokens")) fail_msg("%s", err.message);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_windows_and_labels, clean),
        cmocka_unit_test_teardown(test_batches_of_windows, clean),
        cmocka_unit_test_teardown(test_answers_without_a_place, clean),
        cmocka_unit_test_teardown(test_questions_that_cannot_be_learnt, clean),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
