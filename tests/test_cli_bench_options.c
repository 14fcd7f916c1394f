/* reprise bench: how long its sequences are, and the options that it refuses. No value is compared with a
 * time. */
#include "support_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIG SOURCE_DIR "/tools/models/sentiment"

static double number(const json_t *object, const char *key) {
    assert_true(json_is_number(json_object_get(object, key)));
    return json_number_value(json_object_get(object, key));
}

static void test_named_lengths(void **state) {
    (void)state;
    static const struct {
        const char *how, *tokens, *batch;
        double total, longest;
    } cases[] = {
        {"sst2", "32", "4", 11 + 4 + 15 + 6, 15}, {"sst2", "9", "4", 9 + 4 + 9 + 6, 9},
        {"uniform", "60", "5", 5 * 36, 60},       {"uniform", "20", "2", 2 * 12, 20},
        {"uniform", "20", "1", 12, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(CLI_ARGS("bench", "--config", CONFIG, "--lengths", cases[i].how, "--batch",
                                   cases[i].batch, "--tokens", cases[i].tokens, "--repeat", "1", "--json"),
                          NULL, 0);
        assert_int_equal(run.status, 0);
        json_t *value = cli_json(&run, 0);

        assert_true(number(value, "total_tokens") == cases[i].total);
        assert_true(number(value, "tokens") == cases[i].longest);
        json_decref(value);
        cli_free(&run);
    }
}

static void test_lengths_that_cannot_be_used(void **state) {
    (void)state;
    char *many = malloc(2 * 70000 + 1);
    assert_non_null(many);
    for (size_t i = 0; i < 70000; i++) memcpy(many + 2 * i, "3\n", 3);
    const struct {
        const char *content, *says;
    } files[] = {{"", "empty"},
                 {"3\n0\n", "line 2 is no length"},
                 {"3\nfour\n", "line 2 is no length"},
                 {"3\n-1\n", "line 2 is no length"},
                 {"5\n7.5\n", "line 2 is no length"},
                 {" \n", "line 1 is no length"},
                 {"5\n\n7\n", "line 2 is no length"},
                 {"99999999\n", "line 1 is no length"},
                 {"1048576\n1048576\n1048576\n1048576\n1\n", "line 5 is one too many"},
                 {many, "line 65537 is one too many"},
                 {"5\n999\n", "length 2 is 999"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *file = cli_file("bad-lengths", files[i].content, strlen(files[i].content));
        cli_run run = cli(CLI_ARGS("bench", "--config", CONFIG, "--lengths", file), NULL, 0);
        assert_int_equal(run.status, 1);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, file));
        assert_non_null(strstr(run.err, files[i].says));
        cli_free(&run);
        unlink(file);
    }
    free(many);
    cli_run nul = cli(CLI_ARGS("bench", "--config", CONFIG, "--lengths", "-"), "5\n5\0\n", 5);
    assert_int_equal(nul.status, 1);
    assert_non_null(strstr(nul.err, "standard input: line 2 is no length"));
    cli_free(&nul);
    static const char *const none[][2] = {{"/nonexistent/lengths", "No such file"},
                                          {SOURCE_DIR, "Is a directory"}};
    for (size_t i = 0; i < 2; i++) {
        cli_run run = cli(CLI_ARGS("bench", "--config", CONFIG, "--lengths", none[i][0]), NULL, 0);
        assert_int_equal(run.status, 1);
        assert_non_null(strstr(run.err, none[i][0]));
        assert_non_null(strstr(run.err, none[i][1]));
        cli_free(&run);
    }
}

/* Nothing that is asked for is silently left out. */
static void test_what_is_not_read_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *args[6], *says;
    } cases[] = {
        {{"--ops", "--roofline"}, "only one of"},
        {{"--trace", ""}, "empty"},
        {{"--ops", "--trace", "x"}, "--ops does not use --trace"},
        {{"--ops", "--lengths", "sst2"}, "--ops does not use --lengths"},
        {{"--ops", "--batch", "4"}, "--ops does not use --batch"},
        {{"--repeat", "3", "--ops"}, "--ops does not use --repeat"},
        {{"--ops", "-m", CONFIG}, "--ops does not use --model"},
        {{"--ops", "--head", "tag"}, "--ops does not use --head"},
        {{"--config", "base", "--head", "tag"}, "--head is for the weights of --model"},
        {{"--roofline", "--tokens", "600"}, "--roofline does not use --tokens"},
        {{"--roofline", "--config", "base"}, "--roofline does not use --config"},
        {{"--roofline", "--precision", "f16"}, "--roofline does not use --precision"},
        {{"--replay", "--batch", "2"}, "--replay does not use --batch"},
        {{"--replay", "-m", CONFIG}, "--replay does not use --model"},
        {{"--startup", "--repeat", "2"}, "--startup does not use --repeat"},
        {{"--serve", "--tokens", "8"}, "--serve does not use --tokens"},
        {{"--train", "--lengths", "sst2"}, "--train does not use --lengths"},
        {{"--accuracy", "x", "--config", "base"}, "--accuracy does not use --config"},
        {{"--accuracy", "x", "--tokens", "8"}, "--accuracy does not use --tokens"},
        {{"-m", CONFIG, "--config", "base"}, "either --model or --config"},
        {{"--lengths", "x", "--batch", "2"}, "already says what --batch and --tokens say"},
        {{"--lengths", "-", "--tokens", "2"}, "already says what --batch and --tokens say"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *args[8] = {"bench"};
        for (size_t n = 0; n < 6; n++) args[n + 1] = cases[i].args[n];
        cli_run run = cli(args, NULL, 0);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, cases[i].says));
        assert_non_null(strstr(run.err, "--help'"));
        cli_free(&run);
    }
    cli_run missing = cli(CLI_ARGS("bench", "-m", "/nonexistent/model", "--tokens", "8"), NULL, 0);
    assert_int_equal(missing.status, 1);
    assert_non_null(strstr(missing.err, "/nonexistent/model"));
    cli_free(&missing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_lengths),
        cmocka_unit_test(test_lengths_that_cannot_be_used),
        cmocka_unit_test(test_what_is_not_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
