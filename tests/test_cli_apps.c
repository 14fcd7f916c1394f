/* reprise score and reprise summarize, as a user runs them. */
#include "support_cli.h"
#include "support_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* ---- score ---- */

static void test_scores(void **state) {
    static const char input[] = "{\"text\": \"She left.\", \"id\": 7}\n{\"text\": 3}\n{\"text\": \"\"}\n";
    (void)state;
    cli_run run = cli_text(CLI_ARGS("score", "--keep"), input);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 3);
    json_t *first = cli_json(&run, 0);
    assert_int_equal(number_of(first, "id"), 7);
    const json_t *answer = json_object_get(first, "answer");
    assert_true(number_of(answer, "score") < 0);
    assert_int_equal(number_of(answer, "tokens"), 3);
    json_decref(first);
    char *error = cli_error(&run, 1);
    assert_non_null(error);
    free(error);
    cli_free(&run);
    run = cli(CLI_ARGS("score", "She left."), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "She left.\n  -"));
    assert_non_null(strstr(run.out, " a token of 3\n"));
    cli_free(&run);
}

static const char list[] = "0 ||| she left the house . ||| LM= -1 ||| -2.5\n"
                           "0 ||| she left house the the . ||| ||| -2.25\n"
                           "3 ||| it was late . ||| LM= -3 ||| -1\n"
                           "3 ||| late it the was . ||| LM= -1 ||| -0.5 ||| 0-0\n";

static void test_lists_are_ranked(void **state) {
    char path[FIXTURE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", cli_file("list", list, sizeof list - 1));
    cli_run run = cli(CLI_ARGS("score", "--nbest", path, "--weight", "0"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "she left house the the .\nlate it the was .\n");
    cli_free(&run);
    run = cli(CLI_ARGS("score", "--nbest", path, "--weight", "1"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "she left the house .\nit was late .\n");
    cli_free(&run);
    run = cli(CLI_ARGS("score", "--nbest", path, "--weight", "1", "--json", "-k", "9"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    json_t *second = cli_json(&run, 1);
    const json_t *items = json_object_get(second, "hypotheses"), *best = json_array_get(items, 0);
    assert_int_equal(number_of(second, "id"), 3);
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(json_string_value(json_object_get(best, "text")), "it was late .");
    assert_true(number_of(best, "total") == -1);
    assert_true(fabs(number_of(best, "weighted") - number_of(best, "total") - number_of(best, "score")) <
                1e-4);
    json_decref(second);
    cli_free(&run);
    /* What is ranked is a list again. */
    run = cli(CLI_ARGS("score", "--nbest", path, "--weight", "1", "-k", "2"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 4);
    assert_non_null(strstr(run.out, "0 ||| she left the house . ||| LM= -1 PLL= -"));
    assert_non_null(strstr(run.out, "0 ||| she left house the the . ||| PLL= -"));
    unlink(path);
    snprintf(path, sizeof path, "%s", cli_file("again", run.out, run.out_size));
    cli_free(&run);
    run = cli(CLI_ARGS("score", "--nbest", path, "--weight", "0"), NULL, 0);
    assert_string_equal(run.out, "she left the house .\nit was late .\n");
    cli_free(&run);
    unlink(path);
}

static void test_a_weight_is_tuned(void **state) {
    static const char lines[] = "she left the house .\n\n\nit was late .\n";
    char path[FIXTURE_PATH_SIZE], references[FIXTURE_PATH_SIZE], weight[FIXTURE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", cli_file("list", list, sizeof list - 1));
    snprintf(references, sizeof references, "%s", cli_file("references", lines, sizeof lines - 1));
    snprintf(weight, sizeof weight, "%s", cli_file("weight", "", 0));
    cli_run run =
        cli(CLI_ARGS("score", "--nbest", path, "--tune", "--references", references, "--json", "-o", weight),
            NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *tuned = cli_json(&run, 0);
    assert_true(number_of(tuned, "weight") > 0);
    assert_true(fabs(number_of(tuned, "chrf") - 100) < 1e-9 && number_of(tuned, "chrf_before") < 99);
    assert_int_equal(number_of(tuned, "hypotheses"), 4);
    json_decref(tuned);
    cli_free(&run);
    run = cli(CLI_ARGS("score", "--nbest", path, "--weight", weight), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "she left the house .\nit was late .\n");
    cli_free(&run);
    unlink(path);
    unlink(references);
    unlink(weight);
}

static void test_wrong_usage(void **state) {
    static const char *const wrong[][8] = {
        {"score", "--weight", "1", "a"},
        {"score", "--top-k", "2", "a"},
        {"score", "--nbest", "/nowhere"},
        {"score", "--nbest", "/nowhere", "--weight", "1", "a"},
        {"score", "--nbest", "/nowhere", "--weight", "-1"},
        {"score", "--nbest", "/nowhere", "--weight", "/nowhere"},
        {"score", "--nbest", "/nowhere", "--tune"},
        {"score", "--nbest", "/nowhere", "--tune", "--references", "a", "--weight", "1"},
        {"score", "--nbest", "/nowhere", "--weight", "1", "--references", "a"},
        {"summarize", "--sentences", "0", "a"},
        {"summarize", "--sentences", "1001", "a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *args[9] = {0};
        memcpy(args, wrong[i], sizeof wrong[i]);
        cli_run run = cli(args, NULL, 0);
        if (run.status != 2) print_error("case %zu: %d\n", i, run.status);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        cli_free(&run);
    }
    cli_run run = cli(CLI_ARGS("score", "--nbest", "/nowhere", "--weight", "1"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/nowhere"));
    cli_free(&run);
}

/* ---- summarize ---- */

#define FIRST "The ship left the harbour in the morning."
#define SECOND "The captain looked\nat the sea."
static const char document[] = FIRST " " SECOND "\n\n" FIRST "  \n";

static void test_summaries(void **state) {
    char path[FIXTURE_PATH_SIZE];
    (void)state;
    cli_run run = cli_text(CLI_ARGS("summarize", "-n", "5"), document);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, FIRST "\nThe captain looked at the sea.\n");
    cli_free(&run);
    snprintf(path, sizeof path, "%s", cli_file("document", document, sizeof document - 1));
    run = cli(CLI_ARGS("summarize", "--json", "-n", "1", "-f", path), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *list = cli_json(&run, 0);
    assert_int_equal(json_array_size(list), 1);
    const json_t *only = json_array_get(list, 0);
    assert_true(number_of(only, "end") - number_of(only, "start") ==
                (double)json_string_length(json_object_get(only, "text")));
    json_decref(list);
    cli_free(&run);
    run = cli(CLI_ARGS("summarize", "--files", path), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *file = cli_json(&run, 0);
    assert_string_equal(json_string_value(json_object_get(file, "file")), path);
    assert_int_equal(json_array_size(json_object_get(file, "answer")), 2);
    json_decref(file);
    cli_free(&run);
    unlink(path);
    run = cli_text(CLI_ARGS("summarize", "--jsonl"), "{\"text\": \"One. Two.\"}\n{\"text\": \"\"}\n");
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    cli_free(&run);
    run = cli_text(CLI_ARGS("summarize"), "bad \xff");
    assert_int_equal(run.status, 1);
    cli_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_lists_are_ranked),
        cmocka_unit_test(test_a_weight_is_tuned),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_summaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
