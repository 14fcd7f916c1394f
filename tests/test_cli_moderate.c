/* reprise moderate, with the bundled model of sentiment: its second label, POSITIVE, may count. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "bundled:sentiment"

static void test_answers(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("moderate", "-m", MODEL, "--json"),
                           "not one laugh\nA film. It is warm and funny!\n\xff\n");
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3);
    json_t *bad = cli_json(&run, 0), *good = cli_json(&run, 1);
    assert_true(json_is_false(json_object_get(bad, "flagged")));
    assert_string_equal(json_string_value(json_object_get(bad, "action")), "allow");
    json_t *label = json_array_get(json_object_get(bad, "labels"), 0);
    assert_int_equal(json_array_size(json_object_get(bad, "labels")), 1);
    assert_string_equal(json_string_value(json_object_get(label, "label")), "POSITIVE");
    assert_int_equal(json_array_size(json_object_get(label, "spans")), 0);
    assert_true(json_is_true(json_object_get(good, "flagged")));
    label = json_array_get(json_object_get(good, "labels"), 0);
    assert_true(json_number_value(json_object_get(label, "threshold")) == 0.5);
    json_t *span = json_array_get(json_object_get(label, "spans"), 0);
    assert_non_null(json_string_value(json_object_get(span, "text")));
    assert_true(json_integer_value(json_object_get(span, "end")) >
                json_integer_value(json_object_get(span, "start")));
    json_decref(bad);
    json_decref(good);
    char *error = cli_error(&run, 2);
    assert_non_null(error);
    free(error);
    cli_free(&run);
    run = cli_text(CLI_ARGS("moderate", "-m", MODEL, "a warm and funny film"), NULL);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "flag"));
    assert_non_null(strstr(run.out, "0.5000"));
    cli_free(&run);
}

static void test_files(void **state) {
    char policy[FIXTURE_PATH_SIZE];
    (void)state;
    strcpy(policy,
           cli_file("policy",
                    "{\"rules\": [{\"label\": \"NEGATIVE\", \"threshold\": 0.5, \"action\": \"console\"}]}",
                    73));
    cli_run run = cli_text(
        CLI_ARGS("moderate", "-m", MODEL, "--policy", policy, "--normalize", "--json", "n0t one laugh"),
        NULL);
    assert_int_equal(run.status, 0);
    json_t *answer = cli_json(&run, 0);
    assert_string_equal(json_string_value(json_object_get(answer, "action")), "console");
    json_decref(answer);
    cli_free(&run);
    /* A file that is wrong fails once, with its name, and each input of a program gets its line. */
    run = cli_text(CLI_ARGS("moderate", "-m", MODEL, "--thresholds", policy, "--json", "a", "b"), NULL);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 2);
    assert_non_null(strstr(run.err, "\"thresholds\" must be an object"));
    cli_free(&run);
    unlink(policy);
    run = cli_text(CLI_ARGS("moderate", "See you at six. Call 0800 123456 now to win cash!"), NULL);
    assert_int_equal(run.status, 0); /* the bundled model */
    assert_non_null(strstr(run.out, "flag"));
    assert_non_null(strstr(run.out, "call_or_click"));
    cli_free(&run);
}

static void test_calibration(void **state) {
    static const char rows[] = "text\tlabel\na warm and funny film\tPOSITIVE\nnot one laugh\tNEGATIVE\n"
                               "a joy\tPOSITIVE\ndull\tNEGATIVE\n";
    char data[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE];
    (void)state;
    strcpy(data, cli_file("dev.tsv", rows, sizeof rows - 1));
    strcpy(out, cli_file("thresholds", NULL, 0));
    cli_run run =
        cli_text(CLI_ARGS("eval", "--calibrate", out, "--target-recall", "1.0", "--json", data), NULL);
    assert_int_equal(run.status, 0);
    json_t *answer = cli_json(&run, 0), *list = json_object_get(answer, "thresholds");
    assert_int_equal(json_array_size(list), 1);
    json_t *first = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(first, "label")), "POSITIVE");
    assert_true(json_number_value(json_object_get(first, "recall")) == 1);
    assert_true(json_is_true(json_object_get(first, "reached")));
    json_t *intent = json_object_get(answer, "intent");
    assert_true(json_number_value(json_object_get(intent, "recall")) == 1);
    assert_non_null(json_object_get(intent, "threshold"));
    json_decref(answer);
    cli_free(&run);
    run = cli_text(CLI_ARGS("moderate", "-m", MODEL, "--thresholds", out, "--json", "a joy"), NULL);
    assert_int_equal(run.status, 0);
    answer = cli_json(&run, 0);
    assert_true(json_is_true(json_object_get(answer, "flagged")));
    json_decref(answer);
    cli_free(&run);
    unlink(out);
    static const char *const wrong[][6] = {{"eval", "--calibrate", "x", "y"},
                                           {"eval", "--target-recall", "0.9", "y"},
                                           {"eval", "--calibrate", "x", "--target-recall", "0"},
                                           {"eval", "--calibrate", "x", "--target-recall", "1.5"},
                                           {"moderate", "--long", "max", "a"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run = cli_text(wrong[i], NULL);
        assert_int_equal(run.status, 2);
        cli_free(&run);
    }
    unlink(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_calibration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
