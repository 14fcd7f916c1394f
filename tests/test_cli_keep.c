/* What of an input stays with its answer: the names of files, and the keys that are not read. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "reprise/tokenizer.h"

#define MODEL SOURCE_DIR "/tools/models/sentiment"

/* The answer to `text` alone, without its line end. The caller frees it. */
static char *answer_to(const char *text) {
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "--", text), NULL, 0);
    assert_int_equal(run.status, 0);
    char *line = strndup(run.out, run.out_size - 1);
    cli_free(&run);
    return line;
}

/* ---- --keep ---- */

static void assert_kept(const char *line, const char *before) {
    char *good = answer_to("good"), *want = malloc(strlen(good) + strlen(before) + 64);
    cli_run run = cli_text(CLI_ARGS("tokenize", "--keep", "-m", MODEL), line);
    sprintf(want, "{%s\"answer\": %s, \"truncated\": false}\n", before, good);
    assert_string_equal(run.out, want);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    free(good);
    free(want);
}

static void test_keys_that_are_not_read_are_kept_byte_for_byte(void **state) {
    (void)state;
    assert_kept("{\"id\": 7, \"text\": \"good\"}", "\"id\": 7, ");
    assert_kept("{\"text\":\"good\",\"b\":1e400,\"a\":-0.10,\"c\":123456789012345678901234567890}",
                "\"b\": 1e400, \"a\": -0.10, \"c\": 123456789012345678901234567890, ");
    assert_kept("{ \"n\\u0061me\" : \"\\u00e9\xc3\xa9 \\\" , } \\\\\" ,\"text\": \"good\" , \"x\":[1 , "
                "{\"text\":\"}\"} ] }",
                "\"n\\u0061me\": \"\\u00e9\xc3\xa9 \\\" , } \\\\\", \"x\": [1 , {\"text\":\"}\"} ], ");
    assert_kept(
        "{\"text\": \"good\", \"text_pair\": null, \"x\": {}, \"y\": [], \"z\": \"\", \"w\": true}\r\n",
        "\"x\": {}, \"y\": [], \"z\": \"\", \"w\": true, ");
    assert_kept("{\"text\": \"good\"}", "");
    assert_kept("{\"t\\u0065xt\": \"good\", \"file\": \"a\"}", "\"file\": \"a\", ");
}

static void test_keys_that_the_answer_has_get_another_name(void **state) {
    (void)state;
    assert_kept("{\"answer\": 1, \"text\": \"good\", \"err\\u006fr\": [], \"truncated\": 2}",
                "\"input_answer\": 1, \"input_error\": [], \"input_truncated\": 2, ");
    assert_kept("{\"answer\": 1, \"text\": \"good\", \"input_answer\": 2}",
                "\"input_answer_2\": 1, \"input_answer\": 2, ");
}

static void test_inputs_that_fail_keep_their_keys(void **state) {
    static const char *const cases[][2] = {
        {"{\"id\": \"a\", \"text\": 1}", "{\"id\": \"a\", \"error\": \"\\\"text\\\": must be"},
        {"{\"id\": 1.0}", "{\"id\": 1.0, \"error\": \"\\\"text\\\": missing"},
        {"{\"text\": 1}", "{\"error\": \"\\\"text\\\": must be"},
        {"{\"id\": 1", "{\"error\": \"not JSON"},
        {"[1]", "{\"error\": \"must be a JSON object"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        cli_run run = cli_text(CLI_ARGS("tokenize", "--keep", "-m", MODEL), cases[i][0]);
        assert_int_equal(run.status, 1);
        assert_int_equal(strncmp(run.out, cases[i][1], strlen(cases[i][1])), 0);
        json_decref(cli_json(&run, 0));
        cli_free(&run);
    }
    cli_run run = cli_text(CLI_ARGS("answer", "--keep", "-m", "/nonexistent"),
                           "{\"question\": \"q\", \"id\": 3, \"context\": \"c\", \"text\": 0}");
    assert_int_equal(strncmp(run.out, "{\"id\": 3, \"text\": 0, \"error\": ", 30), 0);
    cli_free(&run);
}

static void test_what_was_cut_says_so(void **state) {
    (void)state;
    cli_run run =
        cli_text(CLI_ARGS("tokenize", "--keep", "--max-length", "4", "-m", MODEL),
                 "{\"text\": \"a\"}\n{\"text\": \"a film that goes on for an hour too long\", \"id\": 0}\n");
    const bool cut[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        json_t *line = cli_json(&run, i);
        assert_true(json_is_boolean(json_object_get(line, "truncated")));
        assert_int_equal(json_is_true(json_object_get(line, "truncated")), cut[i]);
        json_decref(line);
    }
    cli_free(&run);
}

static void test_the_shape_without_it_is_that_of_pipelines(void **state) {
    (void)state;
    char *good = answer_to("good");
    cli_run run = cli_text(CLI_ARGS("tokenize", "--jsonl", "-m", MODEL), "{\"id\": 7, \"text\": \"good\"}");
    assert_int_equal(strncmp(run.out, good, strlen(good)), 0);
    assert_string_equal(run.out + strlen(good), "\n");
    cli_free(&run);
    free(good);
}

/* ---- --files ---- */

static void write_file(const char *dir, const char *name, const char *data, size_t size) {
    char path[FIXTURE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void test_each_file_is_one_text_and_fails_alone(void **state) {
    char dir[FIXTURE_PATH_SIZE], paths[9][FIXTURE_PATH_SIZE + 64];
    static const struct {
        const char *name, *data;
        size_t size;
        const char *text; /* NULL: it fails */
        const char *says;
    } files[] = {
        {"good", "good\nfilm\n", 10, "good\nfilm\n", NULL},
        {"mark", "\xef\xbb\xbfgood", 7, "good", NULL},
        {"empty", "", 0, "", NULL},
        {"wide", "\xff\xfeg\0", 4, NULL, "byte 0 is not valid UTF-8"},
        {"binary", "ELF\0\0", 5, NULL, "byte 3 is NUL"},
        {"folder", NULL, 0, NULL, "is a folder; name the files in it"},
        {"missing", NULL, 0, NULL, "cannot open: No such file"},
        {"closed", "x", 1, NULL, "cannot open: Permission denied"},
        {"last \"one\"", "x", 1, "x", NULL},
    };
    enum { FILES = sizeof files / sizeof *files };
    const char *args[FILES + 5] = {"tokenize", "-m", MODEL, "--files"};
    (void)state;
    assert_true(fixture_make_dir(dir));
    for (size_t i = 0; i < FILES; i++) {
        args[4 + i] = paths[i];
        snprintf(paths[i], sizeof paths[i], "%s/%s", dir, files[i].name);
        if (files[i].data) write_file(dir, files[i].name, files[i].data, files[i].size);
        if (!strcmp(files[i].name, "folder")) assert_int_equal(mkdir(paths[i], 0700), 0);
        if (!strcmp(files[i].name, "closed")) assert_int_equal(chmod(paths[i], 0), 0);
    }
    cli_run run = cli(args, NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), FILES);
    for (size_t i = 0; i < FILES; i++) {
        if (!strcmp(files[i].name, "closed") && !geteuid()) continue; /* root opens all */
        json_t *line = cli_json(&run, i), *answer = json_object_get(line, "answer");
        assert_string_equal(json_string_value(json_object_get(line, "file")), paths[i]);
        const char *error = json_string_value(json_object_get(line, "error"));
        assert_int_equal(json_object_size(line), files[i].text ? 3 : 2);
        if (files[i].text) {
            char *same = answer_to(files[i].text);
            json_t *value = json_loads(same, 0, NULL);
            assert_true(json_equal(answer, value));
            assert_true(json_is_false(json_object_get(line, "truncated")));
            json_decref(value);
            free(same);
        } else {
            assert_non_null(error);
            assert_non_null(strstr(error, files[i].says));
        }
        json_decref(line);
    }
    cli_free(&run);
    fixture_remove_dir(dir);
}

static void test_a_file_that_is_too_long_fills_no_memory(void **state) {
    (void)state;
    cli_run one = cli(CLI_ARGS("tokenize", "-m", MODEL, "--files", "/dev/null"), NULL, 0);
    cli_run run = cli(CLI_ARGS("tokenize", "-m", MODEL, "--files", "/dev/zero", "/dev/null"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 2);
    assert_non_null(
        strstr(run.out, "{\"file\": \"/dev/zero\", \"error\": \"/dev/zero: longer than the 4194304 bytes"));
    if (!getenv("ASAN_OPTIONS")) assert_true(run.peak_kib < one.peak_kib + 24 * 1024);
    cli_free(&one);
    cli_free(&run);
}

static void test_standard_input_and_pipes_are_files_too(void **state) {
    (void)state;
    char *good = answer_to("good"), want[4096];
    cli_run run = cli_text(CLI_ARGS("tokenize", "-m", MODEL, "--files", "-", "/dev/stdin"), "good");
    snprintf(want, sizeof want, "{\"file\": \"-\", \"answer\": %s, \"truncated\": false}\n", good);
    assert_int_equal(strncmp(run.out, want, strlen(want)), 0);
    cli_free(&run);
    free(good);
}

static void test_a_text_that_names_a_file_is_said_once(void **state) {
    (void)state;
    char path[4096];
    strcpy(path, cli_file("text.txt", "x", 1));
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "no file", path, path), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 3);
    const char *said = strstr(run.err, "is the name of a file too; --files reads the file");
    assert_non_null(said);
    assert_null(strstr(said + 1, "is the name of a file"));
    cli_free(&run);
    run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "no file", "/tmp"), NULL, 0);
    assert_int_equal(run.err_size, 0);
    cli_free(&run);
    unlink(path);
}

static void test_file_may_be_repeated(void **state) {
    char a[4096], b[4096];
    (void)state;
    strcpy(a, cli_file("a.txt", "one\ntwo", 7));
    strcpy(b, cli_file("b.txt", "\xef\xbb\xbfthree\n", 9));
    cli_run run =
        cli_text(CLI_ARGS("tokenize", "--json", "-m", MODEL, "-f", a, "-f", "-", "-f", b), "good\n");
    cli_run same = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "one", "two", "good", "three"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, same.out);
    cli_free(&run);
    cli_free(&same);
    run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "-f", a, "-f", "/nonexistent"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(run.out_size, 0); /* told before anything is answered */
    assert_non_null(strstr(run.err, "/nonexistent: cannot open"));
    cli_free(&run);
    run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "-f", a, "-f", "/tmp", "-f", b), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3); /* the others are answered */
    cli_free(&run);
    unlink(a);
    unlink(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_are_not_read_are_kept_byte_for_byte),
        cmocka_unit_test(test_keys_that_the_answer_has_get_another_name),
        cmocka_unit_test(test_inputs_that_fail_keep_their_keys),
        cmocka_unit_test(test_what_was_cut_says_so),
        cmocka_unit_test(test_the_shape_without_it_is_that_of_pipelines),
        cmocka_unit_test(test_each_file_is_one_text_and_fails_alone),
        cmocka_unit_test(test_a_file_that_is_too_long_fills_no_memory),
        cmocka_unit_test(test_standard_input_and_pipes_are_files_too),
        cmocka_unit_test(test_a_text_that_names_a_file_is_said_once),
        cmocka_unit_test(test_file_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
