/* reprise classify with --long, --explain and --labels, with the bundled model. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_long_texts_are_read_whole(void **state) {
    char text[8000] = "{\"text\": \"";
    (void)state;
    for (int i = 0; i < 90; i++) strcat(text, "a warm and funny film, she said. ");
    strcat(text, "\"}\n");
    cli_run cut = cli_text(CLI_ARGS("classify", "--keep"), text);
    cli_run run = cli_text(CLI_ARGS("classify", "--keep", "--long", "vote", "--stride", "20"), text);
    assert_int_equal(cut.status, 0);
    assert_non_null(strstr(cut.err, "the rest was left out"));
    assert_int_equal(run.status, 0);
    assert_null(strstr(run.err, "left out"));
    json_t *answer = cli_json(&run, 0), *best = json_array_get(json_object_get(answer, "answer"), 0);
    assert_true(json_is_false(json_object_get(answer, "truncated")));
    assert_string_equal(json_string_value(json_object_get(best, "label")), "POSITIVE");
    assert_true(json_number_value(json_object_get(best, "score")) == 1);
    json_decref(answer);
    cli_free(&run);
    cli_free(&cut);
}

static void test_words_are_explained(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("classify", "--explain", "--json"), "not one laugh\na film\n");
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    json_t *answer = cli_json(&run, 0), *words = json_object_get(answer, "words");
    assert_int_equal(json_array_size(json_object_get(answer, "labels")), 2);
    assert_int_equal(json_array_size(words), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(words, 2), "word")), "laugh");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(words, 2), "start")), 8);
    json_decref(answer);
    cli_free(&run);
    run = cli_text(CLI_ARGS("classify", "--explain", "not one laugh"), NULL); /* no colours in a pipe */
    assert_int_equal(run.status, 0);
    assert_null(strchr(run.out, '\x1b'));
    assert_non_null(strstr(run.out, "    laugh"));
    cli_free(&run);
}

static void test_labels_of_ones_own(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("classify", "--labels", " film , , the weather,", "--template",
                                    "about {}", "--json", "a warm and funny film"),
                           NULL);
    assert_int_equal(run.status, 0);
    json_t *answer = cli_json(&run, 0);
    assert_int_equal(json_array_size(answer), 2);
    json_t *best = json_array_get(answer, 0), *last = json_array_get(answer, 1);
    assert_true(json_number_value(json_object_get(best, "score")) >
                json_number_value(json_object_get(last, "score")));
    json_decref(answer);
    cli_free(&run);
    run = cli_text(CLI_ARGS("classify", "--labels", ", ,", "a"), NULL);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "at least one label"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("classify", "--labels", "a", "--template", "no place", "a"), NULL);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "must have {} once"));
    cli_free(&run);
}

/* Options that contradict each other are wrong usage, and so is a way that there is not. */
static void test_wrong_usage(void **state) {
    static const char *const wrong[][6] = {
        {"classify", "--stride", "8", "a"},
        {"classify", "--long", "median", "a"},
        {"classify", "--long", "max", "--explain", "a"},
        {"classify", "--labels", "x", "--long", "max", "a"},
        {"classify", "--labels", "x", "--explain", "a"},
        {"classify", "--labels", "", "a"},
        {"classify", "--template", "{}", "a"},
        {"classify", "--multi-label", "a"},
        {"classify", "--explain", "--csv"},
        {"tag", "--explain", "a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cli_run run = cli_text(wrong[i], NULL);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        cli_free(&run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_texts_are_read_whole),
        cmocka_unit_test(test_words_are_explained),
        cmocka_unit_test(test_labels_of_ones_own),
        cmocka_unit_test(test_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
