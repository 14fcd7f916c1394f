/* The command as a user runs it: lines, streams and failures. Most of it through `tokenize`, which
 * needs no device; what the models answer is in test_cli_models.c. */
#include "reprise/tokenizer.h"
#include "support_cli.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL SOURCE_DIR "/tools/models/sentiment"

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

/* ---- lines ---- */

/* The tokens of output line `index`, joined by blanks. */
static void tokens_of(const cli_run *run, size_t index, char *joined, size_t size) {
    json_t *value = cli_json(run, index), *token;
    size_t i;
    joined[0] = '\0';
    json_t *tokens = json_object_get(value, "tokens");
    assert_true(json_is_array(tokens));
    json_array_foreach(tokens, i, token) {
        size_t have = strlen(joined);
        snprintf(joined + have, size - have, "%s%s", i ? " " : "", json_string_value(token));
    }
    json_decref(value);
}

static void assert_same_tokens(const cli_run *run, size_t first, size_t second) {
    char a[512], b[512];
    tokens_of(run, first, a, sizeof a);
    tokens_of(run, second, b, sizeof b);
    assert_string_equal(a, b);
}

static void test_every_line_is_an_input(void **state) {
    (void)state;
    /* a byte order mark, an empty line, CRLF, tabs, and a last line without its end */
    const char text[] = "\xef\xbb\xbfone\n\none\r\none\tone\ntwo\none";
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), text, sizeof text - 1);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 6);
    char tokens[128];
    tokens_of(&run, 1, tokens, sizeof tokens);
    assert_string_equal(tokens, "[CLS] [SEP]");
    assert_same_tokens(&run, 0, 2);
    assert_same_tokens(&run, 0, 5);
    cli_free(&run);

    run = cli_text(CLI_ARGS("tokenize", "--json", "-m", MODEL), "");
    assert_int_equal(run.status, 0);
    assert_int_equal(run.out_size, 0);
    cli_free(&run);
}

static void test_arguments_lines_and_files_are_alike(void **state) {
    (void)state;
    char path[] = "/tmp/reprise-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "first text\nsecond\n", 18), 18);
    close(fd);
    cli_run a = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "first text", "second"), NULL, 0);
    cli_run b = cli_text(CLI_ARGS("tokenize", "--json", "-m", MODEL), "first text\nsecond\n");
    cli_run c = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "-f", path), NULL, 0);
    cli_run d = cli_text(CLI_ARGS("tokenize", "--jsonl", "-m", MODEL),
                         "{\"text\": \"first text\"}\n{\"text\": \"second\", \"text_pair\": null}\n");
    unlink(path);
    assert_int_equal(a.status, 0);
    assert_int_equal(cli_line_count(&a), 2);
    assert_string_equal(a.out, b.out);
    assert_string_equal(a.out, c.out);
    assert_string_equal(a.out, d.out);
    cli_free(&a);
    cli_free(&b);
    cli_free(&c);
    cli_free(&d);
}

static void test_pairs(void **state) {
    (void)state;
    cli_run a = cli(CLI_ARGS("tokenize", "--pair", "--json", "-m", MODEL, "one two", "three"), NULL, 0);
    cli_run b = cli_text(CLI_ARGS("tokenize", "--pair", "--json", "-m", MODEL), "one two\tthree\nno tab\n");
    cli_run c = cli_text(CLI_ARGS("tokenize", "--jsonl", "-m", MODEL),
                         "{\"text_pair\": \"three\", \"text\": \"one two\"}\n");
    assert_int_equal(a.status, 0);
    json_t *value = cli_json(&a, 0), *types = json_object_get(value, "token_type_ids");
    assert_int_equal(json_integer_value(json_array_get(types, 0)), 0);
    assert_int_equal(json_integer_value(json_array_get(types, json_array_size(types) - 1)), 1);
    json_decref(value);
    assert_string_equal(a.out, c.out);
    assert_int_equal(strncmp(a.out, b.out, a.out_size), 0);
    assert_int_equal(b.status, 1);
    char *error = cli_error(&b, 1);
    assert_non_null(error);
    assert_non_null(strstr(error, "tab"));
    free(error);
    cli_free(&a);
    cli_free(&b);
    cli_free(&c);
}

static void test_bad_lines_keep_their_places(void **state) {
    (void)state;
    const struct {
        const char *line, *says; /* NULL: it is answered */
    } lines[] = {
        {"{\"text\": \"good\"}", NULL},
        {"{\"text\": 1}", "\"text\": must be a string, not a number"},
        {"{\"txt\": \"good\"}", "\"text\": missing"},
        {"not JSON", "not JSON"},
        {"", "empty"},
        {"[\"good\"]", "must be a JSON object, not an array"},
        {"{\"text\": \"good\"} more", "not JSON"},
        {"{\"text\": \"cut", "not JSON"},
        {"{\"text\": null}", "\"text\": must be a string, not null"},
        {"{\"text\": \"good\", \"text_pair\": {}}", "\"text_pair\": must be a string, not an object"},
        {"{\"text\": \"a\", \"text\": \"b\"}", "duplicate"},
        {"{\"text\": \"\xff\"}", "not JSON"},
        {"{\"text\": \"\\ud800\"}", "not JSON"},
        {"{\"text\": 1e400}", "\"text\": must be a string, not a number"},
        {"{\"id\": 18446744073709551615, \"text\": \"good\"}", NULL}, /* numbers that nobody reads */
        {"{\"w\": [1e400, -1e400], \"text\": \"good\", \"n\": -123456789012345678901234567890}", NULL},
        {"{\"w\": 1e, \"text\": \"good\"}", "not JSON"},
        {"{\"other\": [1, {}], \"text\": \"good\"}", NULL},
    };
    enum { COUNT = sizeof lines / sizeof *lines };
    char input[4096] = "";
    for (size_t i = 0; i < COUNT; i++) strcat(strcat(input, lines[i].line), "\n");
    cli_run run = cli_text(CLI_ARGS("tokenize", "--jsonl", "-m", MODEL), input);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        char *error = cli_error(&run, i);
        if (!lines[i].says) {
            assert_null(error);
            continue;
        }
        assert_non_null(error);
        if (!strstr(error, lines[i].says)) print_error("line %zu: %s\n", i, error);
        assert_non_null(strstr(error, lines[i].says));
        free(error);
    }
    assert_same_tokens(&run, 0, COUNT - 1);
    cli_free(&run);
}

static void test_keys_of_each_command_are_named(void **state) {
    (void)state;
    const struct {
        const char *command, *line, *says;
    } cases[] = {
        {"coherence", "{\"text\": \"a\"}", "\"text_pair\": missing"},
        {"coherence", "{\"text_pair\": \"a\"}", "\"text\": missing"},
        {"answer", "{\"question\": \"a\"}", "\"context\": missing"},
        {"answer", "{\"context\": \"a\", \"question\": []}", "\"question\": must be a string, not an array"},
        {"choose", "{\"text\": \"a\"}", "\"choices\": missing"},
        {"choose", "{\"text\": \"a\", \"choices\": \"b\"}", "\"choices\": must be an array"},
        {"choose", "{\"text\": \"a\", \"choices\": []}", "\"choices\": must be an array of at least one"},
        {"choose", "{\"text\": \"a\", \"choices\": [\"b\", 2]}", "\"choices\"[1]: must be a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* No model is there: the line fails for its own reason all the same. */
        cli_run run = cli_text(CLI_ARGS(cases[i].command, "--jsonl", "-m", "/nonexistent"), cases[i].line);
        assert_int_equal(run.status, 1);
        assert_int_equal(cli_line_count(&run), 1);
        char *error = cli_error(&run, 0);
        assert_non_null(error);
        assert_non_null(strstr(error, cases[i].says));
        free(error);
        cli_free(&run);
    }
}

static void test_bytes_that_are_not_text(void **state) {
    (void)state;
    const char input[] = "good\nbad \xff byte\nnul \0 inside\n\xed\xa0\x80\ngood\n";
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, sizeof input - 1);
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 5);
    const bool fails[] = {false, true, false, true, false};
    for (size_t i = 0; i < 5; i++) {
        char *error = cli_error(&run, i);
        assert_int_equal(error != NULL, fails[i]);
        free(error);
    }
    assert_same_tokens(&run, 0, 4);
    cli_free(&run);

    run = cli(CLI_ARGS("tokenize", "-m", MODEL), input, sizeof input - 1);
    assert_int_equal(run.status, 1);
    assert_null(memchr(run.out, '\0', run.out_size));
    assert_null(memchr(run.out, '\xff', run.out_size));
    cli_free(&run);
}

static void test_offsets_are_code_points(void **state) {
    (void)state;
    const char *text = "h\xc3\xa9llo \xf0\x9f\x98\x80 film";
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "--no-special-tokens", "-m", MODEL, text), NULL, 0);
    assert_int_equal(run.status, 0);
    json_t *value = cli_json(&run, 0), *offsets = json_object_get(value, "offsets");
    size_t count = json_array_size(offsets);
    assert_true(count > 2);
    assert_int_equal(json_array_size(json_object_get(value, "input_ids")), count);
    json_t *last = json_array_get(offsets, count - 1);
    assert_int_equal(json_integer_value(json_array_get(last, 1)), 12);
    json_decref(value);
    cli_free(&run);
}

static void test_a_line_of_three_megabytes(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    char *input = malloc(SIZE + 32);
    assert_non_null(input);
    memset(input, 'a', SIZE);
    for (size_t i = 5; i < SIZE; i += 6) input[i] = ' ';
    size_t size = SIZE + (size_t)sprintf(input + SIZE, "\nshort");
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, size);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    json_t *value = cli_json(&run, 0);
    assert_true(json_array_size(json_object_get(value, "input_ids")) >= SIZE / 6);
    json_decref(value);
    cli_free(&run);
    free(input);
}

/* A line of the longest text is answered; longer ones fail, whatever their length, and fill no memory. */
static void test_lines_that_are_too_long(void **state) {
    (void)state;
    enum { LONGEST = RP_TEXT_BYTES_MAX, HUGE_LINE = 64 << 20, SIZE = 2 * LONGEST + HUGE_LINE + 64 };
    char *input = malloc(SIZE), *at = input;
    assert_non_null(input);
    memset(input, ' ', SIZE);
    memcpy(at, "one", 3);
    at += LONGEST;
    memcpy(at, "\r\ntwo", 5);
    at += 2 + LONGEST + 1;
    memcpy(at, "\nthree\n", 7);
    at += 7 + HUGE_LINE;
    memcpy(at, "\nfive", 5);
    at += 5;
    cli_run one = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, LONGEST);
    cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, (size_t)(at - input));
    assert_int_equal(run.status, 1);
    assert_int_equal(cli_line_count(&run), 5);
    for (size_t i = 0; i < 5; i++) {
        char *error = cli_error(&run, i);
        assert_true((i == 1 || i == 3) == (error != NULL));
        if (error) assert_non_null(strstr(error, "longer than the 4194304 bytes"));
        free(error);
    }
    assert_non_null(strstr(run.err, "2 of 5 inputs failed"));
    if (!getenv("ASAN_OPTIONS")) assert_true(run.peak_kib < one.peak_kib + 24 * 1024);
    cli_free(&one);
    cli_free(&run);
    free(input);
}

/* ---- streams ---- */

static void test_the_first_answer_comes_before_the_end(void **state) {
    (void)state;
    cli_pipe pipe = cli_start(CLI_ARGS("tokenize", "--json", "-m", MODEL));
    char line[512];
    assert_int_equal(write(pipe.to, "one\n", 4), 4);
    assert_true(cli_read_line(&pipe, line, sizeof line, 120));
    assert_int_equal(line[0], '{');
    assert_int_equal(write(pipe.to, "two\nthr", 7), 7); /* half a line must not hold up the one before */
    assert_true(cli_read_line(&pipe, line, sizeof line, 120));
    assert_int_equal(write(pipe.to, "ee\n", 3), 3);
    assert_true(cli_read_line(&pipe, line, sizeof line, 120));
    assert_int_equal(cli_finish(&pipe), 0);
}

static void test_memory_does_not_grow_with_the_lines(void **state) {
    (void)state;
    enum { LINES = 200000, BYTES = 16 };
    char *input = malloc(LINES * BYTES + 1);
    assert_non_null(input);
    for (size_t i = 0; i < LINES; i++) sprintf(input + i * BYTES, "line of %7zu\n", i);
    cli_run few = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, 1000 * BYTES);
    cli_run many = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL), input, LINES * BYTES);
    assert_int_equal(few.status, 0);
    assert_int_equal(many.status, 0);
    assert_int_equal(cli_line_count(&many), LINES);
    assert_int_equal(memcmp(few.out, many.out, few.out_size), 0);
    if (!getenv("ASAN_OPTIONS")) assert_true(many.peak_kib < few.peak_kib + 8 * 1024);
    cli_free(&few);
    cli_free(&many);
    free(input);
}

/* It ends as other programs do, by SIGPIPE and without a word, also while its input stays open and idle. */
static void test_a_reader_that_goes_away_ends_it(void **state) {
    (void)state;
    cli_pipe pipe = cli_start(CLI_ARGS("tokenize", "--json", "-m", MODEL));
    char line[512];
    assert_int_equal(write(pipe.to, "one\n", 4), 4);
    assert_true(cli_read_line(&pipe, line, sizeof line, 120));
    close(pipe.from);
    pipe.from = -1;
    assert_int_equal(write(pipe.to, "two\nthree\n", 10), 10);
    int to = pipe.to;
    pipe.to = -1;
    assert_int_equal(cli_finish(&pipe), 128 + SIGPIPE);
    close(to);
}

/* Nothing is left to finish of a check either, whatever it is at. */
static void test_a_check_ends_by_a_signal(void **state) {
    (void)state;
    cli_pipe pipe = cli_start(CLI_ARGS("check", "--json"));
    char line[512];
    int status = 0;
    assert_true(cli_read_line(&pipe, line, sizeof line, 120));
    assert_int_equal(kill(pipe.pid, SIGINT), 0);
    assert_int_equal(waitpid(pipe.pid, &status, 0), pipe.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGINT);
    close(pipe.to);
    close(pipe.from);
}

/* While it waits for input everything that came is answered: nothing is left to finish. */
static void test_signals_end_it_with_their_status(void **state) {
    (void)state;
    const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        cli_pipe pipe = cli_start(CLI_ARGS("tokenize", "--json", "-m", MODEL));
        char line[512];
        assert_int_equal(write(pipe.to, "one\nhalf a li", 13), 13);
        assert_true(cli_read_line(&pipe, line, sizeof line, 120));
        assert_int_equal(kill(pipe.pid, signals[i]), 0);
        assert_false(cli_read_line(&pipe, line, sizeof line, 120)); /* the half line is no input */
        int to = pipe.to;
        pipe.to = -1;
        int status = 0;
        assert_int_equal(waitpid(pipe.pid, &status, 0), pipe.pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 128 + signals[i]);
        close(to);
        close(pipe.from);
    }
}

/* Run a shell command with $R set to the command: its exit status. */
static int shell(const char *command) {
    setenv("R", BINARY_DIR "/reprise", 1);
    setenv("M", MODEL, 1);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_what_cannot_be_written_is_a_failure(void **state) {
    (void)state;
    assert_int_equal(shell("\"$R\" tokenize -m \"$M\" x >/dev/full 2>/dev/null"), 1);
    assert_int_equal(shell("\"$R\" --help >/dev/full 2>/dev/null"), 1);
    assert_int_equal(shell("\"$R\" --version >&- 2>/dev/null"), 1);
    assert_int_equal(shell("\"$R\" tokenize -m \"$M\" x >&- 2>/dev/null"), 1);
    assert_int_equal(shell("test \"$(\"$R\" --help 2>&1 >/dev/full)\""), 0); /* it is said */
    /* at once, and not after the last of all lines */
    assert_int_equal(shell("yes | \"$R\" tokenize --json -m \"$M\" >/dev/full 2>/dev/null"), 1);
}

static void test_what_cannot_be_read_is_a_failure(void **state) {
    (void)state;
    const char *files[] = {"/nonexistent/file", "/tmp"};
    for (size_t i = 0; i < 2; i++) {
        cli_run run = cli(CLI_ARGS("tokenize", "-m", MODEL, "-f", files[i]), NULL, 0);
        assert_int_equal(run.status, 1);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, files[i]));
        cli_free(&run);
    }
    assert_int_equal(shell("\"$R\" tokenize -m \"$M\" <&- 2>/dev/null"), 1);
}

/* ---- models and devices that are not there ---- */

static void test_a_missing_model_is_said_to_each_input(void **state) {
    (void)state;
    const char *const models[] = {"tokenize", "classify"};
    for (size_t i = 0; i < 2; i++) {
        cli_run people = cli(CLI_ARGS(models[i], "-m", "/nonexistent/model", "x", "y"), NULL, 0);
        assert_int_equal(people.status, 1);
        assert_int_equal(people.out_size, 0);
        assert_non_null(strstr(people.err, "/nonexistent/model"));
        cli_run json = cli_text(CLI_ARGS(models[i], "--json", "-m", "/nonexistent/model"), "x\ny\n");
        assert_int_equal(json.status, 1);
        assert_int_equal(cli_line_count(&json), 2);
        char *error = cli_error(&json, 1);
        assert_non_null(error);
        assert_non_null(strstr(error, "/nonexistent/model"));
        assert_int_equal(count_of(json.err, "\n"), 1);
        free(error);
        cli_free(&people);
        cli_free(&json);
    }
}

static void test_no_driver_is_said(void **state) {
    (void)state;
    setenv("VK_DRIVER_FILES", "/nonexistent/driver.json", 1);
    setenv("VK_ICD_FILENAMES", "/nonexistent/driver.json", 1);
    cli_run devices = cli(CLI_ARGS("devices"), NULL, 0);
    cli_run people = cli(CLI_ARGS("classify", "x"), NULL, 0);
    cli_run json = cli_text(CLI_ARGS("classify", "--json"), "x\ny\n");
    cli_run tokens = cli(CLI_ARGS("tokenize", "-m", MODEL, "x"), NULL, 0);
    unsetenv("VK_DRIVER_FILES");
    unsetenv("VK_ICD_FILENAMES");
    assert_int_equal(devices.status, 1);
    assert_int_equal(devices.out_size, 0);
    assert_true(devices.err_size > 10);
    assert_int_equal(people.status, 1);
    assert_true(people.err_size > 10);
    assert_int_equal(json.status, 1);
    assert_int_equal(cli_line_count(&json), 2);
    char *error = cli_error(&json, 1);
    assert_non_null(error);
    free(error);
    assert_int_equal(tokens.status, 0);
    cli_free(&devices);
    cli_free(&people);
    cli_free(&json);
    cli_free(&tokens);
}

static int clean_environment(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    const char *const names[] = {"REPRISE_MODEL", "REPRISE_DEVICE", "REPRISE_SHADER_DIR", "POSIXLY_CORRECT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line_is_an_input),
        cmocka_unit_test(test_arguments_lines_and_files_are_alike),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_bad_lines_keep_their_places),
        cmocka_unit_test(test_keys_of_each_command_are_named),
        cmocka_unit_test(test_bytes_that_are_not_text),
        cmocka_unit_test(test_offsets_are_code_points),
        cmocka_unit_test(test_a_line_of_three_megabytes),
        cmocka_unit_test(test_lines_that_are_too_long),
        cmocka_unit_test(test_the_first_answer_comes_before_the_end),
        cmocka_unit_test(test_memory_does_not_grow_with_the_lines),
        cmocka_unit_test(test_a_reader_that_goes_away_ends_it),
        cmocka_unit_test(test_signals_end_it_with_their_status),
        cmocka_unit_test(test_a_check_ends_by_a_signal),
        cmocka_unit_test(test_what_cannot_be_written_is_a_failure),
        cmocka_unit_test(test_what_cannot_be_read_is_a_failure),
        cmocka_unit_test(test_a_missing_model_is_said_to_each_input),
        cmocka_unit_test(test_no_driver_is_said),
    };
    return cmocka_run_group_tests(tests, clean_environment, NULL);
}
