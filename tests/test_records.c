/* Models and tokenizers that open from records: the same bits as from the folder for every kind of files,
 * what the caller may do with memory and descriptors meanwhile, a lost device, records that cannot be, and
 * memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_records.h"
#include "support_tasks.h"
#include "wrap_alloc.h"

#define TF TESTS_DIR "/goldens/tf/"
#define MODELS SOURCE_DIR "/tools/models/"
enum { FLOATS = 1 << 16 };

static rp_device *device;
static float wanted[FLOATS], got[FLOATS];

static int setup(void **state) {
    rp_error err = {0};
    (void)state;
    if (!faults_install()) return -1;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return rp_device_close(&device);
}

static rp_model *open_records(const rp_record *records, size_t count) {
    rp_error err = {0};
    rp_model *model = NULL;
    if (rp_model_open_records(device, records, count, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_string_equal(rp_model_get_info(model)->dir, "records");
    return model;
}

static int open_descriptors(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

/* ---- the same bits ---- */

/* Hidden states of two sequences, with room behind them. */
static void run(rp_model *model, float *out) {
    const int32_t ids[] = {1, 2, 3, 4, 0, 3, 2};
    const rp_sequence sequences[] = {{.ids = ids, .count = 4}, {.ids = ids + 3, .count = 3}};
    rp_error err = {0};
    memset(out, 0, FLOATS * sizeof *out);
    if (rp_model_run(model, sequences, 2, NULL, out, FLOATS, NULL, &err)) fail_msg("%s", err.message);
    assert_true(out[0] != 0);
}

static void check_folder(const char *dir) {
    rp_error err = {0};
    rp_model *model = NULL;
    if (rp_model_open(device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
    run(model, wanted);
    const unsigned heads = rp_model_get_info(model)->heads;
    const uint64_t parameters = rp_model_get_info(model)->parameters;
    rp_model_close(&model);
    for (int memory = 0; memory < 2; memory++) {
        records_case c;
        assert_true(records_open(dir, memory, &c));
        int before = open_descriptors();
        model = open_records(c.records, c.count);
        run(model, got);
        assert_memory_equal(got, wanted, sizeof wanted);
        assert_int_equal(rp_model_get_info(model)->heads, heads);
        assert_int_equal(rp_model_get_info(model)->parameters, parameters);
        rp_model_close(&model);
        assert_int_equal(open_descriptors(), before);
        records_close(&c);
    }
}

static void test_every_form_of_weights(void **state) {
    static const fixture_layout layouts[] = {
        {0}, {.shards = 3}, {.form = FIXTURE_ZIP}, {.form = FIXTURE_OLD, .transposed = true}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(layouts); i++) {
        golden g;
        assert_true(golden_open("odd", &layouts[i], &g));
        check_folder(g.dir);
        golden_close(&g);
    }
    check_folder(TF "bert"); /* with names of its own, and a vocabulary that is missing */
    check_folder(TF "albert_hub");
}

/* The bundled models of other tasks than those of test_bundled_models, by their hidden states and heads. */
static void test_bundled_heads(void **state) {
    (void)state;
    check_folder(MODELS "pretrained");
    check_folder(MODELS "entities");
    check_folder(MODELS "intents");
}

/* Texts through the tokenizer, the model and its thresholds: what a program would print. */
static char *answer(rp_model *model, const char *text) {
    rp_result *result = NULL;
    rp_moderation *moderation = NULL;
    rp_error err = {0};
    char *json = NULL;
    const rp_input input = {.text = {text, strlen(text)}};
    if (rp_moderation_open(model, NULL, &moderation, &err) ||
        rp_moderate(moderation, &input.text, 1, NULL, &result, &err) ||
        rp_result_json(result, 0, NULL, &json, NULL, &err))
        fail_msg("%s", err.message);
    rp_result_free(&result);
    rp_moderation_close(&moderation);
    return json;
}

static void test_bundled_models(void **state) {
    static const char *const names[] = {"sentiment", "spam"};
    static const char text[] = "See you at six, \xF0\x9F\x98\x80. Call 0800 123456 now to win cash!";
    (void)state;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        char dir[FIXTURE_PATH_SIZE];
        rp_error err = {0};
        rp_model *model = NULL;
        snprintf(dir, sizeof dir, MODELS "%s", names[i]);
        if (rp_model_open(device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
        char *want = answer(model, text);
        rp_model_close(&model);
        for (int memory = 0; memory < 2; memory++) {
            records_case c;
            assert_true(records_open(dir, memory, &c));
            model = open_records(c.records, c.count);
            char *json = answer(model, text);
            assert_string_equal(json, want);
            rp_string_free(&json);
            rp_model_close(&model);
            records_close(&c);
        }
        rp_string_free(&want);
    }
}

/* A model of the golden tasks with more files: thresholds that decide, modules behind the pooling. */
static void test_side_files(void **state) {
    task_case t;
    records_case c;
    (void)state;
    assert_true(task_case_open("long_many", &t));
    assert_true(fixture_write_text(t.dir, "thresholds.json", "{\"thresholds\": {\"a\": 0, \"b\": 1}}"));
    rp_error err = {0};
    rp_model *model = NULL;
    if (rp_model_open(device, t.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    char *want = answer(model, "the cat");
    rp_model_close(&model);
    assert_true(records_open(t.dir, true, &c));
    model = open_records(c.records, c.count);
    char *json = answer(model, "the cat");
    assert_string_equal(json, want);
    rp_string_free(&json);
    rp_model_close(&model);
    for (size_t i = 0; i < c.count; i++) /* broken, it is the caller of moderation who hears of it */
        if (!strcmp(c.records[i].name, "thresholds.json")) c.records[i].size = 3;
    model = open_records(c.records, c.count);
    rp_moderation *moderation = NULL;
    assert_int_equal(rp_moderation_open(model, NULL, &moderation, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "records/thresholds.json"));
    rp_model_close(&model);
    rp_string_free(&want);
    records_close(&c);
    task_case_close(&t);
}

static void embed(rp_model *model, float *out) {
    const rp_text text = RP_TEXT("the cat");
    rp_result *result = NULL;
    rp_error err = {0};
    size_t rows = 0, columns = 0;
    if (rp_embed(model, &text, 1, NULL, &result, &err)) fail_msg("%s", err.message);
    const float *vectors = rp_result_vectors(result, 0, &rows, &columns);
    assert_true(rows == 1 && columns > 0 && columns < FLOATS);
    memcpy(out, vectors, columns * sizeof *out);
    rp_result_free(&result);
}

/* Modules in folders, one of them named in a roundabout way. */
static void test_sentence_transformers(void **state) {
    static const char modules[] = "[{\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": "
                                  "\"sentence_transformers.models.Transformer\"},"
                                  " {\"idx\": 1, \"name\": \"1\", \"path\": \"./1_Pooling/\", \"type\": "
                                  "\"sentence_transformers.models.Pooling\"}]";
    static const char pooling[] = "{\"pooling_mode_mean_tokens\": false, \"pooling_mode_max_tokens\": true}";
    task_case t;
    char path[FIXTURE_PATH_SIZE + 16];
    rp_error err = {0};
    rp_model *model = NULL;
    (void)state;
    assert_true(task_case_open("long_many", &t));
    snprintf(path, sizeof path, "%s/1_Pooling", t.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(fixture_write_text(t.dir, "modules.json", modules));
    assert_true(fixture_write_text(path, "config.json", pooling));
    if (rp_model_open(device, t.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    memset(wanted, 0, sizeof wanted);
    embed(model, wanted);
    rp_model_close(&model);
    for (int memory = 0; memory < 2; memory++) {
        records_case c;
        assert_true(records_open(t.dir, memory, &c));
        model = open_records(c.records, c.count);
        memset(got, 0, sizeof got);
        embed(model, got);
        assert_memory_equal(got, wanted, sizeof wanted);
        rp_model_close(&model);
        records_close(&c);
    }
    fixture_remove_dir(path);
    task_case_close(&t);
}

/* ---- what is the caller's ---- */

/* A tokenizer needs nothing of its records any more. */
static void test_tokenizer(void **state) {
    const rp_text text = RP_TEXT("a warm and funny film"), none = {0};
    rp_tokenizer *tokenizer = NULL;
    rp_encoding want, have;
    rp_error err = {0};
    (void)state;
    if (rp_tokenizer_open(MODELS "sentiment", &tokenizer, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_tokenize(tokenizer, text, none, NULL, &want, &err), RP_OK);
    rp_tokenizer_close(&tokenizer);
    for (int memory = 0; memory < 2; memory++) {
        records_case c;
        assert_true(records_open(MODELS "sentiment", memory, &c));
        if (rp_tokenizer_open_records(c.records, c.count, &tokenizer, &err)) fail_msg("%s", err.message);
        for (size_t i = 0; i < c.count; i++) memset(c.buffers[i], 0xee, (size_t)c.records[i].size + 1);
        records_close(&c);
        assert_int_equal(rp_tokenize(tokenizer, text, none, NULL, &have, &err), RP_OK);
        assert_int_equal(have.count, want.count);
        assert_memory_equal(have.ids, want.ids, want.count * sizeof *want.ids);
        assert_memory_equal(have.offsets, want.offsets, want.count * sizeof *want.offsets);
        rp_encoding_free(&have);
        rp_tokenizer_close(&tokenizer);
    }
    rp_encoding_free(&want);
}

static rp_status lose_and_run(rp_model *model, rp_error *err) {
    const int32_t id = 1;
    const rp_sequence sequence = {.ids = &id, .count = 1};
    fault_begin("vkWaitForFences", 0, VK_ERROR_DEVICE_LOST);
    assert_int_equal(rp_model_run(model, &sequence, 1, NULL, got, FLOATS, NULL, err), RP_ERROR_DEVICE_LOST);
    assert_true(fault_end());
    return rp_model_run(model, &sequence, 1, NULL, got, FLOATS, NULL, err);
}

/* The caller has closed its descriptors, and moved what they stood at; the model loads its weights again. */
static void test_a_lost_device(void **state) {
    golden g;
    rp_error err = {0};
    (void)state;
    assert_true(golden_open("odd", NULL, &g));
    for (int memory = 0; memory < 2; memory++) {
        records_case c;
        assert_true(records_open(g.dir, memory, &c));
        if (!memory) assert_int_equal(lseek(c.descriptor, 5, SEEK_SET), 5);
        rp_model *model = open_records(c.records, c.count);
        if (!memory) assert_int_equal(lseek(c.descriptor, 0, SEEK_CUR), 5);
        run(model, wanted);
        if (!memory) {
            close(c.descriptor);
            c.descriptor = -1;
            unlink(c.path);
        }
        if (lose_and_run(model, &err)) fail_msg("%s", err.message);
        run(model, got);
        assert_memory_equal(got, wanted, sizeof wanted);
        rp_model_close(&model);
        records_close(&c);
    }
    golden_close(&g);
}

/* Somebody writes into the file that holds the weights. */
static void test_a_changed_file(void **state) {
    golden g;
    records_case c;
    rp_error err = {0};
    (void)state;
    assert_true(golden_open("odd", NULL, &g) && records_open(g.dir, false, &c));
    rp_model *model = open_records(c.records, c.count);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    assert_int_equal(futimens(c.descriptor, times), 0);
    assert_int_equal(lose_and_run(model, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "records/model.safetensors"));
    rp_model_close(&model);
    records_close(&c);
    golden_close(&g);
}

/* Each of the sequences is computed again by the reference, from the records. */
static void test_cross_check(void **state) {
    golden g;
    (void)state;
    assert_true(golden_open("odd", NULL, &g));
    for (int memory = 0; memory < 2; memory++) {
        const rp_model_params params = {.verify_every = 1, .verify_all = true};
        records_case c;
        rp_verify_counts counts;
        rp_model *model = NULL;
        rp_error err = {0};
        assert_true(records_open(g.dir, memory, &c));
        if (rp_model_open_records(device, c.records, c.count, &params, &model, &err))
            fail_msg("%s", err.message);
        run(model, got);
        rp_model_verify_counts(model, true, &counts);
        assert_int_equal(counts.checked, 2);
        assert_int_equal(counts.wrong, 0);
        rp_model_close(&model);
        records_close(&c);
    }
    golden_close(&g);
}

/* ---- records that cannot be ---- */

static void check_refused(const rp_record *records, size_t count, rp_status status, const char *needle) {
    rp_tokenizer *tokenizer = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    assert_int_equal(rp_model_open_records(device, records, count, NULL, &model, &err), status);
    if (!strstr(err.message, needle)) fail_msg("\"%s\" does not say \"%s\"", err.message, needle);
    assert_null(model);
    if (status != RP_ERROR_ARGUMENT) return;
    assert_int_equal(rp_tokenizer_open_records(records, count, &tokenizer, &err), status);
    assert_non_null(strstr(err.message, needle));
    assert_null(tokenizer);
}

static void test_names(void **state) {
    static const char *const bad[] = {NULL,   "",     "/config.json", "a/",     "a//b", ".",
                                      "..",   "./a",  "../a",         "a/../b", "a/..", "a\\b",
                                      "a\nb", "\xff", "a/.",          "a\x7f b"};
    char longer[1100];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(bad); i++) {
        const rp_record records[] = {{.name = "config.json", .memory = "{}", .size = 2},
                                     {.name = bad[i], .memory = "{}", .size = 2}};
        check_refused(records, 2, RP_ERROR_ARGUMENT, "records[1].name");
    }
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const rp_record one = {.name = longer, .memory = "{}", .size = 2};
    check_refused(&one, 1, RP_ERROR_ARGUMENT, "records[0].name");
    const rp_record twice[] = {{.name = "b", .memory = "{}", .size = 2},
                               {.name = "a", .memory = "{}", .size = 2},
                               {.name = "b", .memory = "[]", .size = 2}};
    check_refused(twice, 3, RP_ERROR_ARGUMENT, "record b: is there twice");
    check_refused(NULL, 1, RP_ERROR_ARGUMENT, "records is NULL");
}

static void test_places(void **state) {
    char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 8];
    int ends[2];
    (void)state;
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "a", "{}"));
    snprintf(path, sizeof path, "%s/a", dir);
    int file = open(path, O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CLOEXEC);
    int folder = open(dir, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0 && to >= 0 && folder >= 0 && !pipe(ends));
    const struct {
        rp_record record;
        const char *needle;
    } rows[] = {
        {{.size = 3, .descriptor = file}, "beyond the end"},
        {{.size = 1, .offset = 2, .descriptor = file}, "beyond the end"},
        {{.size = UINT64_MAX, .offset = 2, .descriptor = file}, "beyond the end"},
        {{.size = 2, .offset = UINT64_MAX - 1, .descriptor = file}, "beyond the end"},
        {{.size = 1, .descriptor = -1}, "neither memory nor an open descriptor"},
        {{.size = 1, .descriptor = 1 << 20}, "neither memory nor an open descriptor"},
        {{.size = 1, .descriptor = ends[0]}, "no regular file"},
        {{.size = 1, .descriptor = folder}, "no regular file"},
        {{.size = 1, .descriptor = to}, "not open for reading"},
        {{.memory = "{}", .size = 2, .offset = 1}, "offset must be 0"},
        {{.memory = "{}", .size = UINT64_MAX}, "larger than memory"},
        {{.memory = "{}", .size = 2, .flags = 1}, "not zero"},
        {{.memory = "{}", .size = 2, .reserved = {0, 1}}, "not zero"},
    };
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_record record = rows[i].record;
        record.name = "config.json";
        check_refused(&record, 1, RP_ERROR_ARGUMENT, rows[i].needle);
        check_refused(&record, 1, RP_ERROR_ARGUMENT, "record config.json");
    }
    close(file), close(to), close(folder), close(ends[0]), close(ends[1]);
    fixture_remove_dir(dir);
}

/* Records that are there, and files that are not: nothing of the file system is looked at instead. */
static void test_what_is_missing(void **state) {
    golden g;
    records_case c;
    char old[FIXTURE_PATH_SIZE];
    rp_tokenizer *tokenizer = NULL;
    rp_error err = {0};
    (void)state;
    assert_true(golden_open("odd", NULL, &g) && records_open(g.dir, true, &c));
    check_refused(NULL, 0, RP_ERROR_FILE, "records: no config.json");
    size_t config = strcmp(c.records[0].name, "config.json") ? 1 : 0;
    const rp_record only = c.records[config], empty = {.name = "config.json", .descriptor = -1};
    check_refused(&only, 1, RP_ERROR_FILE, "pass a record of each file");
    check_refused(&empty, 1, RP_ERROR_FORMAT, "records/config.json: the file is empty");
    assert_int_equal(rp_tokenizer_open_records(&only, 1, &tokenizer, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "records: no tokenizer"));
    assert_int_equal(rp_tokenizer_open_records(&only, 1, NULL, &err), RP_ERROR_ARGUMENT);
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(c.dir), 0); /* where a folder has the very name */
    assert_int_equal(mkdir("records", 0700), 0);
    assert_true(fixture_write_text("records", "config.json", "{}"));
    check_refused(NULL, 0, RP_ERROR_FILE, "records: no config.json");
    assert_int_equal(rp_model_open(device, "records", NULL, &(rp_model *){NULL}, &err), RP_ERROR_FORMAT);
    unlink("records/config.json");
    rmdir("records");
    assert_int_equal(chdir(old), 0);
    records_close(&c);
    golden_close(&g);
}

/* ---- memory that runs out ---- */

static void test_memory_runs_out(void **state) {
    task_case t;
    int step = fixture_stride(3), n = 0;
    (void)state;
    assert_true(task_case_open("long_many", &t));
    assert_true(fixture_write_text(t.dir, "thresholds.json", "{\"thresholds\": {\"a\": 0.25}}"));
    for (bool came = true; came; n += step) {
        records_case c;
        rp_error err = {0};
        rp_model *model = NULL;
        assert_true(records_open(t.dir, n & 1, &c));
        int before = open_descriptors();
        alloc_begin(n);
        rp_status status = rp_model_open_records(device, c.records, c.count, NULL, &model, &err);
        came = alloc_end();
        assert_int_equal(status, came && status ? RP_ERROR_HOST_MEMORY : RP_OK);
        assert_int_equal(status == RP_OK, model != NULL);
        rp_model_close(&model);
        assert_int_equal(open_descriptors(), before);
        records_close(&c);
    }
    assert_true(n > step);
    task_case_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_weights),
        cmocka_unit_test(test_bundled_heads),
        cmocka_unit_test(test_bundled_models),
        cmocka_unit_test(test_side_files),
        cmocka_unit_test(test_sentence_transformers),
        cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_a_lost_device),
        cmocka_unit_test(test_a_changed_file),
        cmocka_unit_test(test_cross_check),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
