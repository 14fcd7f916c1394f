/* reprise eval with the bundled model: what it writes, and what it says of files that are wrong. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD "sentence\tlabel\na warm and funny film\t1\na dull and lifeless film\t0\n"
#define ALL GOOD "an awful waste of time\tx\n"

static void test_metrics(void **state) {
    char path[FIXTURE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", cli_file("eval.tsv", GOOD, sizeof GOOD - 1));
    cli_run run = cli(CLI_ARGS("eval", "--json", path), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 1);
    json_t *got = cli_json(&run, 0);
    assert_string_equal(json_string_value(json_object_get(got, "task")), "classify");
    assert_int_equal(json_integer_value(json_object_get(got, "rows")), 2);
    assert_int_equal(json_integer_value(json_object_get(got, "skipped")), 0);
    assert_true(json_number_value(json_object_get(got, "accuracy")) == 1);
    assert_true(json_number_value(json_object_get(got, "f1")) == 1);
    assert_true(json_number_value(json_object_get(got, "loss")) < 0.1);
    json_decref(got);
    cli_free(&run);
    run = cli(CLI_ARGS("eval", "--glue", "sst2", path), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "2 rows\naccuracy               1.0000\n");
    cli_free(&run);
    unlink(path);
}

static void test_labels_that_are_wrong(void **state) {
    char path[FIXTURE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", cli_file("eval.csv", ALL, sizeof ALL - 1));
    cli_run run = cli(CLI_ARGS("eval", "--format", "tsv", "--json", path), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_int_equal(run.out_size, 0);
    assert_non_null(strstr(run.err, "the label 'x'"));
    cli_free(&run);
    run = cli(CLI_ARGS("eval", "--label-column", "stars", path), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "'stars'"));
    cli_free(&run);
    unlink(path);
}

/* A file of predictions that is a link stays one. */
static void test_predictions_through_a_link(void **state) {
    char path[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE], link[FIXTURE_PATH_SIZE], line[500] = "";
    struct stat info;
    (void)state;
    snprintf(path, sizeof path, "%s", cli_file("eval.tsv", GOOD, sizeof GOOD - 1));
    snprintf(out, sizeof out, "%s", cli_file("out.jsonl", "", 0));
    snprintf(link, sizeof link, "%s", cli_file("link.jsonl", NULL, 0));
    assert_int_equal(symlink(out, link), 0);
    cli_run run = cli(CLI_ARGS("eval", "--task", "classify", "--predictions", link, path), NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    FILE *file = fopen(out, "r");
    assert_non_null(file);
    for (int i = 0; i < 2; i++) assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "\"prediction\": \"NEGATIVE\""));
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    unlink(path);
    unlink(out);
    unlink(link);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_labels_that_are_wrong),
        cmocka_unit_test(test_predictions_through_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
