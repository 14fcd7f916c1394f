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

static void test_what_they_say(void **state) {
    static const struct {
        files files;
        rp_pooling_config expected;
    } rows[] = {
        {{0}, {RP_POOLING_MEAN, false, 0, false}},
        {{"[" TRANSFORMER ", " POOLING ", " NORMALIZE "]",
          "{\"word_embedding_dimension\": 384, \"pooling_mode_cls_token\": false, "
          "\"pooling_mode_mean_tokens\": true,"
          " \"pooling_mode_max_tokens\": false, \"pooling_mode_mean_sqrt_len_tokens\": false}",
          "{\"max_seq_length\": 256, \"do_lower_case\": false}"},
         {RP_POOLING_MEAN, true, 256, false}},
        {{"[" TRANSFORMER ", " POOLING "]",
          "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false, \"include_prompt\": true}",
          "{\"max_seq_length\": null, \"do_lower_case\": true}"},
         {RP_POOLING_CLS, false, 0, true}},
        {{NULL, "{\"pooling_mode_max_tokens\": true, \"pooling_mode_mean_tokens\": false}", "{}"},
         {RP_POOLING_MAX, false, 0, false}},
        {{NULL, "{\"pooling_mode\": \"cls\"}", NULL}, {RP_POOLING_CLS, false, 0, false}},
        {{NULL, "{\"word_embedding_dimension\": 768}", "{\"max_seq_length\": 1}"},
         {RP_POOLING_MEAN, false, 1, false}},
        {{"[" TRANSFORMER ", " MODULE("sentence_transformers.models.Dropout", "2_Dropout") ", " NORMALIZE "]",
          NULL, NULL},
         {RP_POOLING_MEAN, true, 0, false}},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_pooling_config got;
        rp_error err = {0};
        write_files(&rows[i].files);
        if (rp_pooling_load(dir, &got, &err)) fail_msg("row %zu: %s", i, err.message);
        assert_int_equal(got.pooling, rows[i].expected.pooling);
        assert_int_equal(got.normalize, rows[i].expected.normalize);
        assert_int_equal(got.max_seq_length, rows[i].expected.max_seq_length);
        assert_int_equal(got.do_lower_case, rows[i].expected.do_lower_case);
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
        {{"[" MODULE("a.models.Dense", "2_Dense") "]", NULL, NULL},
         RP_ERROR_UNSUPPORTED,
         "modules.json",
         "a.models.Dense"},
        {{NULL, "", NULL}, RP_ERROR_FORMAT, "1_Pooling/config.json", "empty"},
        {{NULL, "[]", NULL}, RP_ERROR_FORMAT, "1_Pooling/config.json", "object"},
        {{NULL, "{\"pooling_mode_mean_tokens\": 1}", NULL},
         RP_ERROR_FORMAT,
         "config.json",
         "pooling_mode_mean_tokens"},
        {{NULL, "{\"pooling_mode_mean_tokens\": false}", NULL},
         RP_ERROR_FORMAT,
         "config.json",
         "no pooling mode"},
        {{NULL, "{\"pooling_mode_cls_token\": true}", NULL},
         RP_ERROR_UNSUPPORTED,
         "config.json",
         "more than one"},
        {{NULL, "{\"pooling_mode_lasttoken\": true, \"pooling_mode_mean_tokens\": false}", NULL},
         RP_ERROR_UNSUPPORTED,
         "config.json",
         "pooling_mode_lasttoken"},
        {{NULL, "{\"pooling_mode\": \"weightedmean\"}", NULL},
         RP_ERROR_UNSUPPORTED,
         "config.json",
         "weightedmean"},
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
        rp_status status = rp_pooling_load(dir, &got, &err);
        bool good = status == rows[i].status && strstr(err.message, rows[i].file) &&
                    strstr(err.message, rows[i].needle);
        if (!good) print_error("row %zu: %s: %s\n", i, rp_status_name(status), err.message);
        assert_true(good);
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
    assert_int_equal(rp_pooling_load(dir, &got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "2_Pooling/config.json: missing"));
    write_files(&(files){
        .modules = "[" MODULE("a.Transformer", "1_Pooling") ", " MODULE("a.Pooling", "1_Pooling") "]",
        .pooling = "{\"pooling_mode\": \"max\"}"});
    assert_true(fixture_write_text(pooling_dir, "sentence_bert_config.json", "{\"max_seq_length\": 77}"));
    assert_int_equal(rp_pooling_load(dir, &got, &err), RP_OK);
    assert_int_equal(got.pooling, RP_POOLING_MAX);
    assert_int_equal(got.max_seq_length, 77);
}

static void test_wrong_folders(void **state) {
    rp_pooling_config got;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_pooling_load("", &got, &err), RP_ERROR_FILE);
    assert_int_equal(rp_pooling_load(NULL, &got, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_pooling_load("/no/such/folder", &got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "/no/such/folder"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders_of_modules, setup, teardown),
        cmocka_unit_test(test_wrong_folders),
    };
    return cmocka_run_group_tests_name("pooling", tests, NULL, NULL);
}
