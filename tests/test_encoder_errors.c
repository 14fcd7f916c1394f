/* Wrong requests at the level of token ids: the documented status, nothing computed, and a model that still
 * works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

enum { HIDDEN = 40, VOCAB = 131, LONGEST = 64, CAPACITY = 3 * (LONGEST + 1) * VOCAB };

/* The case "groups": an AlbertForPreTraining, so it has a pooler, a masked language model and a sentence
 * order head. */
static rp_device *device;
static golden g;
static rp_model *model;
static float *reference, *out;
static size_t reference_size;

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    bool ok = golden_open("groups", NULL, &g) && !rp_device_open(NULL, &device, &err) &&
              !rp_model_open(device, g.dir, NULL, &model, &err);
    if (!ok) print_error("%s\n", err.message);
    if (ok) reference = golden_run(model, &g, RP_OUTPUT_HIDDEN, NULL, g.sequence_count, &reference_size);
    out = malloc(CAPACITY * sizeof *out);
    return reference && out ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    free(reference);
    free(out);
    rp_model_close(&model);
    rp_device_close(&device);
    golden_close(&g);
    return 0;
}

/* After every test: the model answers as it did at first. */
static int still_works(void **state) {
    (void)state;
    size_t size = 0;
    float *again = golden_run(model, &g, RP_OUTPUT_HIDDEN, NULL, g.sequence_count, &size);
    bool same = again && size == reference_size && !memcmp(again, reference, size * sizeof *again);
    free(again);
    return same ? 0 : -1;
}

static void fill(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = 777;
}

static bool untouched(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (values[i] != 777) return false;
    return true;
}

/* Run sequences with one bad one among good ones. The status; RP_OK also when a failing run wrote results or
 * no message, so that every wrong behaviour looks like no error. */
static rp_status run_with(const rp_sequence *bad, size_t position) {
    static const int32_t ids[] = {2, 17, 3};
    rp_sequence sequences[3];
    rp_error err = {0};
    rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    for (size_t i = 0; i < 3; i++) sequences[i] = (rp_sequence){.ids = ids, .count = 3};
    sequences[position] = *bad;
    fill(out, CAPACITY);
    rp_status status = rp_model_run(model, sequences, 3, &params, out, CAPACITY, NULL, &err);
    rp_status without_error = rp_model_run(model, sequences, 3, &params, out, CAPACITY, NULL, NULL);
    bool explained = err.status == status && strlen(err.message) > 10;
    return explained && without_error == status && untouched(out, CAPACITY) ? status : RP_OK;
}

static void test_empty_sequence(void **state) {
    (void)state;
    static const int32_t ids[1] = {2};
    for (size_t at = 0; at < 3; at++)
        assert_int_equal(run_with(&(rp_sequence){.ids = ids, .count = 0}, at), RP_ERROR_TEXT);
}

static void test_sequence_too_long(void **state) {
    (void)state;
    int32_t ids[LONGEST + 1] = {0};
    assert_int_equal(rp_model_get_info(model)->max_tokens, LONGEST);
    assert_int_equal(run_with(&(rp_sequence){.ids = ids, .count = LONGEST + 1}, 1), RP_ERROR_TEXT);
    assert_int_equal(run_with(&(rp_sequence){.ids = ids, .count = UINT32_MAX}, 2), RP_ERROR_TEXT);
}

static void test_id_out_of_range(void **state) {
    (void)state;
    static const int32_t bad[] = {VOCAB, VOCAB + 1, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 5; i++) {
        int32_t ids[] = {2, 5, bad[i]};
        assert_int_equal(run_with(&(rp_sequence){.ids = ids, .count = 3}, i % 3), RP_ERROR_TEXT);
    }
}

static void test_type_id_out_of_range(void **state) {
    (void)state;
    static const int32_t ids[] = {2, 5, 3}, bad[] = {2, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        int32_t types[] = {0, bad[i], 1};
        assert_int_equal(run_with(&(rp_sequence){.ids = ids, .type_ids = types, .count = 3}, i % 3),
                         RP_ERROR_TEXT);
    }
}

static void test_capacity_too_small(void **state) {
    (void)state;
    static const rp_output outputs[] = {RP_OUTPUT_HIDDEN, RP_OUTPUT_MEAN, RP_OUTPUT_POOLED, RP_OUTPUT_ORDER};
    rp_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        rp_run_params params = {.output = outputs[i]};
        size_t size = rp_model_output_size(model, g.sequences, g.sequence_count, &params);
        fill(out, size);
        assert_int_equal(
            rp_model_run(model, g.sequences, g.sequence_count, &params, out, size - 1, NULL, &err),
            RP_ERROR_ARGUMENT);
        assert_true(untouched(out, size));
        assert_int_equal(rp_model_run(model, g.sequences, g.sequence_count, &params, out, 0, NULL, &err),
                         RP_ERROR_ARGUMENT);
        assert_int_equal(rp_model_run(model, g.sequences, g.sequence_count, &params, out, size, NULL, &err),
                         RP_OK);
        assert_false(untouched(out, size));
    }
}

static void test_missing_heads(void **state) {
    (void)state;
    static const rp_output missing[] = {RP_OUTPUT_CLASSES, RP_OUTPUT_TOKENS, RP_OUTPUT_SPANS,
                                        RP_OUTPUT_CHOICE};
    for (size_t i = 0; i < 4; i++) {
        rp_run_params params = {.output = missing[i]};
        rp_error err = {0};
        fill(out, CAPACITY);
        assert_int_equal(rp_model_output_size(model, g.sequences, g.sequence_count, &params), 0);
        assert_int_equal(
            rp_model_run(model, g.sequences, g.sequence_count, &params, out, CAPACITY, NULL, &err),
            RP_ERROR_HEAD);
        assert_true(untouched(out, CAPACITY));
        assert_true(strlen(err.message) > 10);
    }
}

static void test_output_sizes(void **state) {
    (void)state;
    static const size_t rows_of[] = {[RP_OUTPUT_HIDDEN] = 100,
                                     [RP_OUTPUT_MEAN] = 3,
                                     [RP_OUTPUT_CLS] = 3,
                                     [RP_OUTPUT_MAX] = 3,
                                     [RP_OUTPUT_POOLED] = 3};
    assert_int_equal(g.token_count, 100);
    for (int i = RP_OUTPUT_HIDDEN; i <= RP_OUTPUT_POOLED; i++) {
        rp_run_params params = {.output = (rp_output)i};
        assert_int_equal(rp_model_output_size(model, g.sequences, 3, &params), rows_of[i] * HIDDEN);
    }
    rp_run_params order = {.output = RP_OUTPUT_ORDER};
    rp_run_params masked = {.output = RP_OUTPUT_MASKED_LM, .rows = g.rows, .row_count = 5};
    assert_int_equal(rp_model_output_size(model, g.sequences, 3, &order), 6);
    assert_int_equal(rp_model_output_size(model, g.sequences, 3, &masked), 5 * VOCAB);
}

static void test_rows_out_of_range(void **state) {
    (void)state;
    const rp_row bad[][2] = {{{0, 0}, {3, 0}},          // no such sequence
                             {{0, 0}, {UINT32_MAX, 0}}, // nor this
                             {{0, 31}, {1, 0}},         // sequence 0 has tokens 0 to 30
                             {{0, 0}, {1, UINT32_MAX}}, // no such token
                             {{1, 0}, {0, 0}}};         // sequences descend
    for (size_t i = 0; i < 5; i++) {
        rp_run_params params = {.output = RP_OUTPUT_MASKED_LM, .rows = bad[i], .row_count = 2};
        rp_error err = {0};
        fill(out, CAPACITY);
        assert_int_equal(rp_model_run(model, g.sequences, 3, &params, out, CAPACITY, NULL, &err),
                         RP_ERROR_ARGUMENT);
        assert_true(untouched(out, CAPACITY));
        assert_true(strlen(err.message) > 10);
    }
}

/* Sequences without a chosen row are allowed, and a row may be chosen twice. */
static void test_rows_of_some_sequences(void **state) {
    (void)state;
    const rp_row rows[] = {{1, 4}, {1, 4}, {1, 0}};
    rp_run_params some = {.output = RP_OUTPUT_MASKED_LM, .rows = rows, .row_count = 3};
    rp_run_params one = {.output = RP_OUTPUT_MASKED_LM, .rows = (const rp_row[]){{0, 4}}, .row_count = 1};
    rp_error err = {0};
    assert_int_equal(rp_model_run(model, g.sequences, 3, &some, out, 3 * VOCAB, NULL, &err), RP_OK);
    assert_memory_equal(out, out + VOCAB, VOCAB * sizeof *out);
    assert_memory_not_equal(out, out + 2 * VOCAB, VOCAB * sizeof *out);
    assert_int_equal(rp_model_run(model, g.sequences + 1, 1, &one, out + VOCAB, VOCAB, NULL, &err), RP_OK);
    assert_memory_equal(out, out + VOCAB, VOCAB * sizeof *out);
}

static void test_null_arguments(void **state) {
    (void)state;
    rp_run_params params = {.output = RP_OUTPUT_CLS};
    rp_sequence sequence = {.ids = NULL, .count = 3};
    rp_model *other = NULL;
    assert_int_equal(rp_model_run(NULL, g.sequences, 3, &params, out, CAPACITY, NULL, NULL),
                     RP_ERROR_ARGUMENT);
    assert_int_equal(rp_model_run(model, NULL, 3, &params, out, CAPACITY, NULL, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_model_run(model, g.sequences, 3, &params, NULL, CAPACITY, NULL, NULL),
                     RP_ERROR_ARGUMENT);
    assert_int_not_equal(rp_model_run(model, &sequence, 1, &params, out, CAPACITY, NULL, NULL), RP_OK);
    assert_int_equal(rp_model_open(NULL, g.dir, NULL, &other, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_model_open(device, NULL, NULL, &other, NULL), RP_ERROR_ARGUMENT);
    assert_null(other);
    rp_model_close(NULL);
    rp_model_close(&other);
}

static void test_unknown_output(void **state) {
    (void)state;
    rp_run_params params = {.output = (rp_output)99};
    rp_error err = {0};
    assert_int_not_equal(rp_model_run(model, g.sequences, 3, &params, out, CAPACITY, NULL, &err), RP_OK);
    assert_int_equal(rp_model_output_size(model, g.sequences, 3, &params), 0);
}

static void test_missing_folder(void **state) {
    (void)state;
    rp_model *other = NULL;
    rp_error err = {0};
    assert_int_equal(rp_model_open(device, "/nonexistent/folder", NULL, &other, &err), RP_ERROR_FILE);
    assert_null(other);
    assert_non_null(strstr(err.message, "/nonexistent/folder"));
}

static void test_info(void **state) {
    (void)state;
    const rp_model_info *info = rp_model_get_info(model);
    size_t parameters = 0;
    for (size_t i = 0; i < g.tensor_count; i++)
        parameters += (size_t)g.tensors[i].rows * (g.tensors[i].columns ? g.tensors[i].columns : 1);
    assert_string_equal(info->dir, g.dir);
    assert_string_equal(info->architecture, "AlbertForPreTraining");
    assert_int_equal(info->vocab_size, VOCAB);
    assert_int_equal(info->embedding_size, 24);
    assert_int_equal(info->hidden_size, HIDDEN);
    assert_int_equal(info->intermediate_size, 2 * HIDDEN);
    assert_int_equal(info->layers, 6);
    assert_int_equal(info->groups, 2);
    assert_int_equal(info->inner_layers, 1);
    assert_int_equal(info->heads_of_attention, 4);
    assert_int_equal(info->parameters, parameters);
    assert_true(info->max_batch_tokens >= LONGEST);
    assert_true(info->device_bytes >= 4 * parameters);
    assert_null(rp_model_get_tokenizer(model));
}

static void test_times(void **state) {
    (void)state;
    rp_run_params params = {.output = RP_OUTPUT_CLS};
    rp_run_times times = {.host = -1, .device = -1, .submissions = 77};
    rp_error err = {0};
    assert_int_equal(rp_model_run(model, g.sequences, 3, &params, out, CAPACITY, &times, &err), RP_OK);
    assert_int_equal(times.submissions, 1);
    assert_true(times.host >= 0 && times.host < 60);
    assert_true(times.device > 0 && times.device < 60);
}

/* Every model gives back what it took. */
static void test_open_and_close_again(void **state) {
    (void)state;
    uint64_t before = rp_device_memory_used(device);
    assert_true(before > 0);
    for (int i = 0; i < 4; i++) {
        rp_model *other = NULL;
        rp_error err = {0};
        size_t size = 0;
        assert_int_equal(rp_model_open(device, g.dir, NULL, &other, &err), RP_OK);
        assert_true(rp_device_memory_used(device) > before);
        float *got = golden_run(other, &g, RP_OUTPUT_HIDDEN, NULL, g.sequence_count, &size);
        assert_non_null(got);
        assert_memory_equal(got, reference, size * sizeof *got);
        free(got);
        rp_model_close(&other);
        assert_null(other);
        assert_int_equal(rp_device_memory_used(device), before);
    }
}

/* A folder that fails to open leaves nothing behind either. */
static void test_failed_open_leaves_nothing(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    uint64_t before = rp_device_memory_used(device);
    rp_model *other = NULL;
    rp_error err = {0};
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_folder(dir,
                                     "{\"model_type\": \"albert\", \"architectures\": [\"AlbertModel\"]}",
                                     g.tensors, g.tensor_count, &g.layout, NULL));
    assert_int_equal(rp_model_open(device, dir, NULL, &other, &err), RP_ERROR_FORMAT);
    assert_null(other);
    assert_non_null(strstr(err.message, dir));
    assert_int_equal(rp_device_memory_used(device), before);
    fixture_remove_dir(dir);
}

#define CHECKED(function) cmocka_unit_test_teardown(function, still_works)

int main(void) {
    const struct CMUnitTest tests[] = {
        CHECKED(test_empty_sequence),
        CHECKED(test_sequence_too_long),
        CHECKED(test_id_out_of_range),
        CHECKED(test_type_id_out_of_range),
        CHECKED(test_capacity_too_small),
        CHECKED(test_missing_heads),
        CHECKED(test_output_sizes),
        CHECKED(test_rows_out_of_range),
        CHECKED(test_rows_of_some_sequences),
        CHECKED(test_null_arguments),
        CHECKED(test_unknown_output),
        CHECKED(test_missing_folder),
        CHECKED(test_info),
        CHECKED(test_times),
        CHECKED(test_open_and_close_again),
        CHECKED(test_failed_open_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
