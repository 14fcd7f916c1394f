/* The side files of sentence-transformers: what they say, what is missing, what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/pooling.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE], pooling_dir[FIXTURE_PATH_SIZE + 16];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(pooling_dir, sizeof pooling_dir, "%s/1_Pooling", dir);
    return mkdir(pooling_dir, 0700);
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(pooling_dir);
    fixture_remove_dir(dir);
    return 0;
}

#define MODULE(type, path) "{\"idx\": 0, \"name\": \"0\", \"path\": \"" path "\", \"type\": \"" type "\"}"
#define TRANSFORMER MODULE("sentence_transformers.models.Transformer", "")
#define POOLING MODULE("sentence_transformers.models.Pooling", "1_Pooling")
#define NORMALIZE MODULE("sentence_transformers.models.Normalize", "2_Normalize")

/* The three files; NULL: not there. */
typedef struct files {
    const char *modules, *pooling, *sentence;
} files;

static void remove_file(const char *folder, const char *name) {
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static void write_files(const files *f) {
    remove_file(dir, "modules.json");
    remove_file(pooling_dir, "config.json");
    remove_file(dir, "sentence_bert_config.json");
    if (f->modules) assert_true(fixture_write_text(dir, "modules.json", f->modules));
    if (f->pooling) assert_true(fixture_write_text(pooling_dir, "config.json", f->pooling));
    if (f->sentence) assert_true(fixture_write_text(dir, "sentence_bert_config.json", f->sentence));
}

/* What a folder says, but for weights. */
typedef struct saying {
    unsigned modes;
    bool normalize;
    uint32_t max_seq_length;
    bool do_lower_case, leave_out_prompt;
} saying;

static void test_what_they_say(void **state) {
    static const struct {
        files files;
        saying expected;
    } rows[] = {
        {{0}, {.modes = RP_POOL_MEAN}},
        {{"[" TRANSFORMER ", " POOLING ", " NORMALIZE "]",
          "{\"word_embedding_dimension\": 384, \"pooling_mode_cls_token\": false, "
          "\"pooling_mode_mean_tokens\": true,"
          " \"pooling_mode_max_tokens\": false, \"pooling_mode_mean_sqrt_len_tokens\": false}",
          "{\"max_seq_length\": 256, \"do_lower_case\": false}"},
         {.modes = RP_POOL_MEAN, .normalize = true, .max_seq_length = 256}},
        {{"[" TRANSFORMER ", " POOLING "]",
          "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false, \"include_prompt\": true}",
          "{\"max_seq_length\": null, \"do_lower_case\": true}"},
         {.modes = RP_POOL_CLS, .do_lower_case = true}},
        {{NULL, "{\"pooling_mode_max_tokens\": 1, \"pooling_mode_mean_tokens\": null}", "{}"},
         {.modes = RP_POOL_MAX}},
        {{NULL, "{\"pooling_mode\": \"CLS\"}", NULL}, {.modes = RP_POOL_CLS}},
        {{NULL, "{\"pooling_mode\": \"weightedmean\", \"include_prompt\": false}", NULL},
         {.modes = RP_POOL_WEIGHTED_MEAN, .leave_out_prompt = true}},
        {{NULL, "{\"pooling_mode_lasttoken\": true, \"pooling_mode_mean_sqrt_len_tokens\": true}", NULL},
         {.modes = RP_POOL_MEAN | RP_POOL_MEAN_SQRT | RP_POOL_LAST}},
        {{NULL, "{\"word_embedding_dimension\": 768}", "{\"max_seq_length\": 1}"},
         {.modes = RP_POOL_MEAN, .max_seq_length = 1}},
        {{"[" TRANSFORMER ", " POOLING
          ", " MODULE("sentence_transformers.models.Dropout", "2_Dropout") ", " NORMALIZE "]",
          "{}", NULL},
         {.modes = RP_POOL_MEAN, .normalize = true}},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        const saying *want = &rows[i].expected;
        rp_pooling_config got;
        rp_error err = {0};
        write_files(&rows[i].files);
        if (rp_pooling_load(dir, 8, &got, &err)) fail_msg("row %zu: %s", i, err.message);
        assert_int_equal(got.modes, want->modes);
        assert_int_equal(got.module_count, want->normalize);
        if (want->normalize) assert_int_equal(got.modules[0].kind, RP_MODULE_NORMALIZE);
        assert_int_equal(got.max_seq_length, want->max_seq_length);
        assert_int_equal(got.do_lower_case, want->do_lower_case);
        assert_int_equal(got.leave_out_prompt, want->leave_out_prompt);
        rp_pooling_finish(&got);
    }
}

static void test_damage(void **state) {
    static const struct {
        files files;
        rp_status status;
        const char *file, *needle;
    } rows[] = {
        {{"[", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "line 1"},
        {{"{}", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "list"},
        {{"[3]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "type"},
        {{"[{\"path\": \"\"}]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "type"},
        {{"[{\"type\": \"a.Pooling\"}]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "path"},
        {{"[" MODULE("a.Pooling", "../other") "]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "path"},
        {{"[" MODULE("a.Pooling", "1_Pooling/..") "]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "path"},
        {{"[" MODULE("a.Pooling", "/etc") "]", NULL, NULL}, RP_ERROR_FORMAT, "modules.json", "path"},
        {{"[" TRANSFORMER ", " MODULE("a.models.WeightedLayerPooling", "1_Pooling") "]", NULL, NULL},
         RP_ERROR_UNSUPPORTED,
         "modules.json",
         "WeightedLayerPooling"},
        {{"[" MODULE("a.models.Dense", "2_Dense") "]", NULL, NULL},
         RP_ERROR_UNSUPPORTED,
         "modules.json",
         "before the Pooling"},
        {{"[" TRANSFORMER ", " NORMALIZE "]", NULL, NULL}, RP_ERROR_UNSUPPORTED, "modules.json", "Normalize"},
        {{"[" TRANSFORMER "]", NULL, NULL}, RP_ERROR_UNSUPPORTED, "modules.json", "no Pooling"},
        {{"[" TRANSFORMER ", " POOLING ", " MODULE("a.Dense", "2_Dense") "]", "{}", NULL},
         RP_ERROR_FILE,
         "2_Dense/config.json",
         "missing"},
        {{NULL, "{\"include_prompt\": \"\"}", NULL}, RP_ERROR_FORMAT, "config.json", "include_prompt"},
        {{NULL, "", NULL}, RP_ERROR_FORMAT, "1_Pooling/config.json", "empty"},
        {{NULL, "[]", NULL}, RP_ERROR_FORMAT, "1_Pooling/config.json", "object"},
        {{NULL, "{\"pooling_mode_mean_tokens\": \"yes\"}", NULL},
         RP_ERROR_FORMAT,
         "config.json",
         "pooling_mode_mean_tokens"},
        {{NULL, "{\"pooling_mode_mean_tokens\": false}", NULL},
         RP_ERROR_FORMAT,
         "config.json",
         "no pooling mode"},
        {{NULL, "{\"pooling_mode\": \"median\"}", NULL}, RP_ERROR_FORMAT, "config.json", "median"},
        {{NULL, "{\"pooling_mode\": 3}", NULL}, RP_ERROR_FORMAT, "config.json", "pooling_mode"},
        {{NULL, NULL, "{\"max_seq_length\": 0}"},
         RP_ERROR_FORMAT,
         "sentence_bert_config.json",
         "max_seq_length"},
        {{NULL, NULL, "{\"max_seq_length\": -1}"},
         RP_ERROR_FORMAT,
         "sentence_bert_config.json",
         "max_seq_length"},
        {{NULL, NULL, "{\"max_seq_length\": 1e9}"},
         RP_ERROR_FORMAT,
         "sentence_bert_config.json",
         "max_seq_length"},
        {{NULL, NULL, "{\"max_seq_length\": 4294967296}"},
         RP_ERROR_FORMAT,
         "sentence_bert_config.json",
         "max_seq_length"},
        {{NULL, NULL, "{\"do_lower_case\": \"no\"}"},
         RP_ERROR_FORMAT,
         "sentence_bert_config.json",
         "do_lower_case"},
        {{NULL, NULL, "[]"}, RP_ERROR_FORMAT, "sentence_bert_config.json", "object"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_pooling_config got;
        rp_error err = {0};
        write_files(&rows[i].files);
        rp_status status = rp_pooling_load(dir, 8, &got, &err);
        bool good = status == rows[i].status && strstr(err.message, rows[i].file) &&
                    strstr(err.message, rows[i].needle);
        if (!good) print_error("row %zu: %s: %s\n", i, rp_status_name(status), err.message);
        assert_true(good);
        rp_pooling_finish(&got);
    }
}

/* modules.json says where the pooling's settings are, and where the transformer is. */
static void test_folders_of_modules(void **state) {
    rp_pooling_config got;
    rp_error err = {0};
    (void)state;
    write_files(&(files){
        .modules = "[" MODULE("a.Transformer", "1_Pooling") ", " MODULE("a.Pooling", "2_Pooling") "]",
        .pooling = "{\"pooling_mode\": \"max\"}"});
    assert_int_equal(rp_pooling_load(dir, 8, &got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "2_Pooling/config.json: missing"));
    rp_pooling_finish(&got);
    write_files(&(files){
        .modules = "[" MODULE("a.Transformer", "1_Pooling") ", " MODULE("a.Pooling", "1_Pooling") "]",
        .pooling = "{\"pooling_mode\": \"max\"}"});
    assert_true(fixture_write_text(pooling_dir, "sentence_bert_config.json", "{\"max_seq_length\": 77}"));
    assert_int_equal(rp_pooling_load(dir, 8, &got, &err), RP_OK);
    assert_int_equal(got.modes, RP_POOL_MAX);
    assert_int_equal(got.max_seq_length, 77);
    rp_pooling_finish(&got);
}

/* ---- modules with weights ---- */

static char dense_dir[FIXTURE_PATH_SIZE + 16];

#define DENSE MODULE("sentence_transformers.models.Dense", "2_Dense")
#define DENSE_CONFIG \
    "{\"in_features\": 8, \"out_features\": 3, \"bias\": true, \"activation_function\": \"torch.nn.modules."

/* Load a folder whose Dense has this config and these tensors behind 8 columns. */
static rp_status load_dense(const char *config, const fixture_tensor *tensors, size_t count,
                            rp_pooling_config *out, rp_error *err) {
    snprintf(dense_dir, sizeof dense_dir, "%s/2_Dense", dir);
    mkdir(dense_dir, 0700);
    write_files(&(files){"[" TRANSFORMER ", " POOLING ", " DENSE ", " NORMALIZE "]", "{}", NULL});
    assert_true(fixture_write_folder(dense_dir, config, tensors, count, &(fixture_layout){0}, NULL));
    return rp_pooling_load(dir, 8, out, err);
}

static void test_dense(void **state) {
    static const fixture_tensor good[] = {{"linear.weight", 3, 8, 0.5, 0}, {"linear.bias", 3, 0, 0.5, 0}},
                                wide[] = {{"linear.weight", 3, 9, 0.5, 0}, {"linear.bias", 3, 0, 0.5, 0}};
    static const struct {
        const char *config;
        const fixture_tensor *tensors;
        size_t count;
        rp_status status;
        const char *needle;
    } rows[] = {
        {DENSE_CONFIG "activation.Tanh\"}", good, 2, RP_OK, ""},
        {DENSE_CONFIG "activation.Tanh\"}", wide, 2, RP_ERROR_FORMAT, "linear.weight"},
        {DENSE_CONFIG "activation.Tanh\"}", good, 1, RP_ERROR_FORMAT, "linear.bias"},
        {DENSE_CONFIG "activation.Softmax\"}", good, 2, RP_ERROR_UNSUPPORTED, "activation.Softmax"},
        {"{\"in_features\": 8, \"out_features\": 3, \"activation_function\": \"os.GELU\"}", good, 2,
         RP_ERROR_UNSUPPORTED, "os.GELU"},
        {"{\"in_features\": 9, \"out_features\": 3}", wide, 2, RP_ERROR_FORMAT, "in_features: is 9"},
        {"{\"in_features\": 8, \"out_features\": 0}", good, 2, RP_ERROR_FORMAT, "out_features"},
        {"{\"in_features\": 8, \"out_features\": 2000000}", good, 2, RP_ERROR_FORMAT, "out_features"},
        {"{\"in_features\": 8}", good, 2, RP_ERROR_FORMAT, "out_features"},
        {"[]", good, 2, RP_ERROR_FORMAT, "object"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_pooling_config got;
        rp_error err = {0};
        rp_status status = load_dense(rows[i].config, rows[i].tensors, rows[i].count, &got, &err);
        bool right = status == rows[i].status && strstr(err.message, rows[i].needle) &&
                     (!status || strstr(err.message, "2_Dense/"));
        if (!right) print_error("row %zu: %s: %s\n", i, rp_status_name(status), err.message);
        assert_true(right);
        if (!status) assert_true(got.module_count == 2 && got.modules[0].out == 3 && got.modules[1].in == 3);
        rp_pooling_finish(&got);
    }
    fixture_remove_dir(dense_dir);
}

/* ---- prompts ---- */

static void test_prompts(void **state) {
    static const struct {
        const char *text;
        rp_status status;
        const char *needle; /* or the default prompt */
    } rows[] = {
        {"{\"prompts\": {\"a\": \"A: \", \"b\": \"\"}, \"default_prompt_name\": \"a\"}", RP_OK, "A: "},
        {"{\"prompts\": {\"a\": \"A: \", \"b\": \"\"}, \"default_prompt_name\": null}", RP_OK, NULL},
        {"{\"prompts\": null}", RP_OK, NULL},
        {"{}", RP_OK, NULL},
        {"{\"prompts\": {\"a\": \"A: \"}, \"default_prompt_name\": \"c\"}", RP_ERROR_FORMAT, "\"c\""},
        {"{\"prompts\": {\"a\": 3}}", RP_ERROR_FORMAT, "prompts: a"},
        {"{\"prompts\": [\"a\"]}", RP_ERROR_FORMAT, "prompts"},
        {"{\"prompts\": {}, \"default_prompt_name\": 3}", RP_ERROR_FORMAT, "default_prompt_name"},
    };
    (void)state;
    write_files(&(files){0});
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_pooling_config got;
        rp_error err = {0};
        assert_true(fixture_write_text(dir, "config_sentence_transformers.json", rows[i].text));
        rp_status status = rp_pooling_load(dir, 8, &got, &err);
        assert_int_equal(status, rows[i].status);
        if (status) assert_non_null(strstr(err.message, rows[i].needle));
        if (!status && rows[i].needle) assert_string_equal(got.default_prompt, rows[i].needle);
        if (!status && !rows[i].needle) assert_null(got.default_prompt);
        rp_pooling_finish(&got);
    }
}

static void test_wrong_folders(void **state) {
    rp_pooling_config got;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_pooling_load("", 8, &got, &err), RP_ERROR_FILE);
    assert_int_equal(rp_pooling_load(NULL, 8, &got, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_pooling_load("/no/such/folder", 8, &got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "/no/such/folder"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders_of_modules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompts, setup, teardown),
        cmocka_unit_test(test_wrong_folders),
    };
    return cmocka_run_group_tests_name("pooling", tests, NULL, NULL);
}
