/* reprise index, search and rank as a user has them: texts in every form, rows that cannot be used, the wrong
 * model, and what goes to scripts. */
#include "support_cli.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"
#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"

static char index_path[600];

static int setup(void **state) {
    (void)state;
    snprintf(index_path, sizeof index_path, "%s", cli_file("test.index", "", 0));
    unlink(index_path);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(index_path);
    return 0;
}

/* Index `input`, and what it says. */
static void make_index(const char *option, const char *input, const char *expected) {
    const char *const args[] = {"index", "-m", SENTIMENT, "-o", index_path, "--json", option, NULL};
    cli_run run = cli_text(args, input);
    assert_int_equal(run.status, 0);
    assert_int_equal(strncmp(run.out, expected, strlen(expected)), 0);
    cli_free(&run);
}

/* Search for `query`: the ids and the texts, as JSON. */
static void check_search(const char *query, const char *top_k, const char *expected) {
    cli_run run =
        cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "--json", "-k", top_k, query), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *answer = cli_json(&run, 0);
    json_t *want = json_loads(expected, 0, NULL);
    assert_int_equal(json_array_size(answer), json_array_size(want));
    double last = 2;
    for (size_t i = 0; i < json_array_size(want); i++) {
        json_t *hit = json_array_get(answer, i), *pair = json_array_get(want, i);
        assert_true(json_equal(json_object_get(hit, "id"), json_array_get(pair, 0)));
        assert_true(json_equal(json_object_get(hit, "text"), json_array_get(pair, 1)));
        assert_true(json_number_value(json_object_get(hit, "score")) <= last);
        last = json_number_value(json_object_get(hit, "score"));
    }
    json_decref(answer);
    json_decref(want);
    cli_free(&run);
}

static void test_lines(void **state) {
    (void)state;
    make_index("--json", "a warm film\nan hour too long\n\nRain in May",
               "{\"documents\": 4, \"skipped\": 0, \"dimensions\": 384, \"bytes\": ");
    check_search("a warm film", "1", "[[0, \"a warm film\"]]");
    check_search("Rain in May", "1", "[[3, \"Rain in May\"]]");
    cli_run run =
        cli_text(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "--json", "--threshold", "0.999"),
                 "an hour too long\nRain in May\n");
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    json_t *first = cli_json(&run, 0);
    assert_int_equal(json_array_size(first), 1);
    json_decref(first);
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "a warm film"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "  0  a warm film\n"));
    cli_free(&run);
}

static void test_ids(void **state) {
    (void)state;
    make_index("--jsonl",
               "{\"id\": 7, \"text\": \"a warm film\"}\n{\"text\": \"no id\", \"more\": [1]}\n"
               "{\"id\": \"x\\u00e9\", \"text\": \"Rain in May\"}\n{\"id\": -1.5, \"text\": \"\"}\n"
               "{\"id\": true, \"text\": \"an hour too long\"}",
               "{\"documents\": 5, \"skipped\": 0");
    check_search("a warm film", "1", "[[7, \"a warm film\"]]");
    check_search("no id", "1", "[[1, \"no id\"]]");
    check_search("Rain in May", "1", "[[\"x\\u00e9\", \"Rain in May\"]]");
    check_search("an hour too long", "1", "[[true, \"an hour too long\"]]");
    make_index("--csv", "id,text\nu1,\"a, warm \"\"film\"\"\"\nu2,rain\n",
               "{\"documents\": 2, \"skipped\": 0");
    check_search("a, warm \"film\"", "1", "[[\"u1\", \"a, warm \\\"film\\\"\"]]");
    cli_run run = cli_text(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "--keep", "-k", "1"),
                           "{\"query\": \"rain\", \"n\": 3}\n");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "{\"n\": 3, \"answer\": [{\"score\": "));
    cli_free(&run);
}

static void test_rows_that_cannot_be_used(void **state) {
    (void)state;
    static const char rows[] =
        "{\"text\": \"one\"}\nnot json\n{\"text\": \"two\"}\n{\"text\": 3}\n{\"id\": [], \"text\": \"4\"}\n";
    unlink(index_path);
    cli_run run = cli_text(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path, "--jsonl"), rows);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "standard input, line 2: not JSON"));
    assert_int_equal(access(index_path, F_OK), -1);
    cli_free(&run);
    run = cli_text(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path, "--jsonl", "--skip-bad"), rows);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "\"documents\": 2, \"skipped\": 3"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path), "good\nb\xff"
                                                                         "ad\n");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "standard input, line 2: the text is not valid UTF-8 at byte 1"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path), "");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "at least one document"));
    cli_free(&run);
}

/* A number that would be rounded is no id: that might be another document's. */
static void test_long_ids(void **state) {
    (void)state;
    make_index("--jsonl",
               "{\"id\": 9223372036854775807, \"text\": \"rain\"}\n{\"id\": \"\", \"text\": \"dull\"}\n"
               "{\"id\": \"18446744073709551615\", \"text\": \"a warm film\"}",
               "{\"documents\": 3, \"skipped\": 0");
    check_search("rain", "1", "[[9223372036854775807, \"rain\"]]");
    check_search("dull", "1", "[[1, \"dull\"]]");
    check_search("a warm film", "1", "[[\"18446744073709551615\", \"a warm film\"]]");
    cli_run run = cli_text(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path, "--jsonl"),
                           "{\"id\": -9223372036854775809, \"text\": \"rain\"}\n");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "line 1: \"id\": a number of more than 64 bits"));
    cli_free(&run);
}

/* A signal ends the wait for a text, and leaves nothing behind. */
static void test_a_signal(void **state) {
    char part[sizeof index_path + 40], line[8];
    (void)state;
    unlink(index_path);
    cli_pipe pipe = cli_start(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path));
    snprintf(part, sizeof part, "%s.%ld-0.part", index_path, (long)pipe.pid);
    assert_int_equal(write(pipe.to, "rain\n", 5), 5);
    for (int i = 0; i < 6000 && access(part, F_OK); i++) usleep(10000);
    assert_int_equal(access(part, F_OK), 0);
    assert_int_equal(kill(pipe.pid, SIGINT), 0);
    assert_false(cli_read_line(&pipe, line, sizeof line, 60)); /* its input stays open until it ends */
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(cli_finish(&pipe), 130);
    assert_int_equal(access(index_path, F_OK), -1);
}

static void test_wrong_usage(void **state) {
    (void)state;
    make_index("--json", "one\ntwo\n", "{\"documents\": 2");
    cli_run run = cli(CLI_ARGS("search", "-m", PRETRAINED, "-i", index_path, "--json", "x"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "\"sentiment\""));
    char *why = cli_error(&run, 0);
    assert_non_null(why);
    free(why);
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "x"), NULL, 0);
    assert_int_equal(run.status, 2);
    cli_free(&run);
    run = cli(CLI_ARGS("index", "-m", SENTIMENT, "x"), NULL, 0);
    assert_int_equal(run.status, 2);
    cli_free(&run);
    run = cli(CLI_ARGS("index", "-m", SENTIMENT, "-f", index_path, "-o", index_path), NULL, 0);
    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, "written over"));
    cli_free(&run);
    run = cli(CLI_ARGS("index", "-m", SENTIMENT, "-o", index_path, "--files", index_path), NULL, 0);
    assert_int_equal(run.status, 2);
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", SENTIMENT "/config.json", "x"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "config.json: no index"));
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", "/nowhere.index", "x"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(
        strstr(run.err, "/nowhere.index: cannot open the file: No such file or directory; check the"));
    assert_null(strstr(run.err, "model"));
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "--threshold", "-1.5", "x"), NULL, 0);
    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, "--threshold takes a number from -1 to 1, not '-1.5'"));
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "--json", "--threshold", "-1", "x"), NULL,
              0);
    assert_int_equal(run.status, 0);
    json_t *all = cli_json(&run, 0);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    cli_free(&run);
    run = cli(CLI_ARGS("search", "-m", SENTIMENT, "-i", index_path, "-k", "4097", "--json", "x"), NULL, 0);
    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, "--top-k takes a number from 1 to 4096, not '4097'"));
    cli_free(&run);
}

static void test_rank(void **state) {
    (void)state;
    cli_run run =
        cli_text(CLI_ARGS("rank", "-m", PRETRAINED, "--jsonl"),
                 "{\"query\": \"a warm film\", \"documents\": [\"rain\", \"a warm film\", \"\"]}\n"
                 "{\"query\": \"a\", \"documents\": [\"b\", 3]}\n{\"query\": \"a\", \"documents\": []}\n");
    assert_int_equal(run.status, 1);
    json_t *answer = cli_json(&run, 0), *best = json_array_get(answer, 0);
    assert_int_equal(json_array_size(answer), 3);
    assert_int_equal(json_integer_value(json_object_get(best, "index")), 1);
    assert_true(json_real_value(json_object_get(best, "score")) > 0.9999);
    json_decref(answer);
    for (size_t i = 1; i < 3; i++) {
        char *why = cli_error(&run, i);
        assert_non_null(why);
        assert_non_null(strstr(why, "\"documents\""));
        free(why);
    }
    cli_free(&run);
    run = cli(CLI_ARGS("rank", "-m", PRETRAINED, "-k", "1", "a film", "a film", "rain"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "a film\n    1.0000  0  a film\n");
    cli_free(&run);
    /* What would change nothing is refused before anything is answered. */
    run = cli(CLI_ARGS("rank", "-m", SENTIMENT, "--prompt-text", "query: ", "--json", "a", "b"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(
        strstr(run.err, "is a cross-encoder, which reads the query as it is: leave out the prompt"));
    cli_free(&run);
    run = cli(CLI_ARGS("rank", "-m", PRETRAINED, "--raw", "a", "b"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "the score is a cosine, which has no raw form: leave out raw scores"));
    cli_free(&run);
    /* By default the bundled model for similarity ranks. */
    run = cli(CLI_ARGS("rank", "--json", "a sleeping pet", "Shares fell.", "The cat sleeps."), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "[{\"index\": 1, \"score\": "));
    cli_free(&run);
    run = cli(CLI_ARGS("rank", "-m", PRETRAINED, "alone"), NULL, 0);
    assert_int_equal(run.status, 2);
    cli_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_rows_that_cannot_be_used),
        cmocka_unit_test(test_long_ids),
        cmocka_unit_test(test_a_signal),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_rank),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
