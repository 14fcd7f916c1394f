/* Vectors as NumPy's .npy, as `reprise embed --format npy` writes them. */
#include "support_cli.h"
#include "support_fixture.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER = 128 };

static char folder[FIXTURE_PATH_SIZE], file[FIXTURE_PATH_SIZE + 40], part[FIXTURE_PATH_SIZE + 40];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(folder)) return -1;
    snprintf(file, sizeof file, "%s/v.npy", folder);
    snprintf(part, sizeof part, "%s/v.npy.part", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(folder);
    return 0;
}

/* What is in the folder besides: nothing may stay. */
static size_t count_files(void) {
    char command[FIXTURE_PATH_SIZE + 40];
    size_t count = 0;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%zu", &count), 1);
    pclose(pipe);
    return count;
}

/* The numbers of a whole file; owned by the caller. */
static float *read_file(const char *path, size_t *rows, size_t *columns) {
    char header[HEADER + 1] = "", order = 0;
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    assert_int_equal(fread(header, 1, HEADER, in), HEADER);
    assert_memory_equal(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* version 1.0; 118 bytes follow */
    assert_int_equal(header[HEADER - 1], '\n');
    assert_int_equal(sscanf(header + 10, "{'descr': '%cf4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                            &order, rows, columns),
                     3);
    const uint16_t one = 1;
    assert_int_equal(order, *(const char *)&one ? '<' : '>');
    size_t count = *rows * *columns;
    float *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    assert_int_equal(fread(values, sizeof *values, count + 1, in), count); /* and no more */
    fclose(in);
    return values;
}

static void test_rows_are_the_vectors(void **state) {
    (void)state;
    enum { LINES = 150 };
    char text[LINES * 40], *at = text;
    for (int i = 0; i < LINES; i++) at += sprintf(at, "film number %d was good\n", i);
    assert_true(fixture_write_text(folder, "v.npy", "an old file, which is replaced"));
    cli_run npy = cli_text(CLI_ARGS("embed", "--format", "npy", "-o", file), text);
    cli_run json = cli_text(CLI_ARGS("embed", "--json"), text);
    assert_int_equal(npy.status | json.status, 0);
    assert_int_equal(npy.out_size, 0);
    assert_int_equal(npy.err_size, 0);
    assert_int_equal(count_files(), 1);
    size_t rows = 0, columns = 0;
    float *values = read_file(file, &rows, &columns);
    assert_int_equal(rows, LINES);
    for (size_t i = 0; i < LINES; i++) {
        json_t *row = cli_json(&json, i);
        assert_int_equal(json_array_size(row), columns);
        for (size_t k = 0; k < columns; k++)
            assert_true((float)json_real_value(json_array_get(row, k)) == values[i * columns + k]);
        json_decref(row);
    }
    free(values);
    cli_free(&npy);
    cli_free(&json);
}

static void test_an_input_that_fails_is_a_row_of_nan(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("embed", "--format=npy", "--dimensions", "8", "-o", file),
                           "\xff\na good film\nbad \xff\n\n");
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "input 1: the text is not valid UTF-8"));
    assert_non_null(strstr(run.err, "its row is NaN"));
    assert_non_null(strstr(run.err, "2 of 4 inputs failed"));
    size_t rows = 0, columns = 0;
    float *values = read_file(file, &rows, &columns);
    assert_int_equal(rows, 4);
    assert_int_equal(columns, 8);
    for (size_t i = 0; i < rows * columns; i++)
        assert_int_equal(isnan(values[i]) != 0, i / 8 == 0 || i / 8 == 2);
    free(values);
    cli_free(&run);
    run = cli_text(CLI_ARGS("embed", "--format", "npy", "-o", file), ""); /* no input at all */
    assert_int_equal(run.status, 0);
    values = read_file(file, &rows, &columns);
    assert_int_equal(rows, 0);
    assert_true(columns > 8);
    free(values);
    cli_free(&run);
}

static void test_objects_and_tables_may_be_the_inputs(void **state) {
    (void)state;
    size_t rows = 0, columns = 0;
    cli_run run = cli_text(CLI_ARGS("embed", "--format", "npy", "-o", file, "--jsonl"),
                           "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    assert_int_equal(run.status, 0);
    free(read_file(file, &rows, &columns));
    assert_int_equal(rows, 2);
    cli_free(&run);
    run = cli_text(CLI_ARGS("embed", "--format", "npy", "-o", file, "--csv"),
                   "id,text\n1,\"a,\nb\"\n2,c\n3,d\n");
    assert_int_equal(run.status, 0);
    assert_int_equal(run.out_size, 0);
    free(read_file(file, &rows, &columns));
    assert_int_equal(rows, 3);
    cli_free(&run);
}

static void test_what_is_refused(void **state) {
    (void)state;
    const struct {
        const char *args[9];
        const char *says;
        int status;
    } cases[] = {
        {{"embed", "--format", "npy", "x"}, "--output FILE", 2},
        {{"embed", "-o", file, "x"}, "--format npy", 2},
        {{"embed", "--format", "npy", "-o", file, "--pooling", "none", "x"}, "choose a pooling", 2},
        {{"embed", "--format", "npy", "-o", file, "--json", "x"}, "leave out --json", 2},
        {{"embed", "--format", "csv", "x"}, "text, json or npy", 2},
        {{"classify", "--format", "npy", "-o", file, "x"}, "not an option", 2},
        {{"embed", "--format", "npy", "-o", "/dev/null", "x"}, "is not a regular file", 1},
        {{"embed", "--format", "npy", "-o", folder, "x"}, "is not a regular file", 1},
        {{"embed", "--format", "npy", "-o", "-", "x"}, "name a file (one of that name is ./-)", 1},
        {{"embed", "--format", "npy", "-o", "/nonexistent/v.npy", "x"}, "cannot write", 1},
        {{"embed", "--format", "npy", "-o", file, "-m", "/nonexistent/model", "x"}, "/nonexistent/model", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(cases[i].args, NULL, 0);
        if (run.status != cases[i].status || !strstr(run.err, cases[i].says))
            fail_msg("case %zu: status %d: %s", i, run.status, run.err);
        assert_int_equal(run.out_size, 0);
        assert_int_equal(count_files(), 0);
        cli_free(&run);
    }
}

static void test_a_link_to_nothing_stays(void **state) {
    char link[FIXTURE_PATH_SIZE + 40], target[8];
    (void)state;
    snprintf(link, sizeof link, "%s/link.npy", folder);
    assert_int_equal(symlink("nothing", link), 0);
    cli_run run = cli(CLI_ARGS("embed", "--format", "npy", "-o", link, "x"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "is a link to what is not there"));
    assert_int_equal(readlink(link, target, sizeof target), 7);
    cli_free(&run);
    unlink(link);
}

static bool grows_to(const char *path, off_t size) {
    struct stat info;
    for (int i = 0; i < 600; i++) {
        if (!stat(path, &info) && info.st_size >= size) return true;
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    return false;
}

/* Under its name a file is whole or is not there; what was answered until then has another. */
static void test_an_interrupted_run_leaves_no_file_that_looks_whole(void **state) {
    (void)state;
    static const char lines[] = "one film\ntwo films\nthree films\n";
    char unfinished[FIXTURE_PATH_SIZE + 80];
    size_t rows = 0, columns = 0;
    assert_true(fixture_write_text(folder, "v.npy", "an old file"));
    cli_pipe run = cli_start(CLI_ARGS("embed", "--format", "npy", "-o", file));
    assert_int_equal(write(run.to, lines, sizeof lines - 1), (ssize_t)sizeof lines - 1);
    snprintf(unfinished, sizeof unfinished, "%s.%ld.part", file, (long)run.pid);
    assert_true(grows_to(unfinished, HEADER + 1));
    FILE *in = fopen(unfinished, "rb");
    assert_non_null(in);
    assert_int_equal(fgetc(in), 0); /* nobody takes it for a file of numbers */
    fclose(in);
    assert_int_equal(kill(run.pid, SIGINT), 0);
    assert_int_equal(cli_finish(&run), 130);
    free(read_file(part, &rows, &columns));
    assert_true(rows >= 1 && rows <= 3);
    assert_int_equal(count_files(), 2);
    char old[20] = "";
    in = fopen(file, "r");
    assert_non_null(in);
    assert_non_null(fgets(old, sizeof old, in));
    assert_string_equal(old, "an old file");
    fclose(in);
}

#define NPY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        NPY_TEST(test_rows_are_the_vectors),
        NPY_TEST(test_an_input_that_fails_is_a_row_of_nan),
        NPY_TEST(test_objects_and_tables_may_be_the_inputs),
        NPY_TEST(test_what_is_refused),
        NPY_TEST(test_a_link_to_nothing_stays),
        NPY_TEST(test_an_interrupted_run_leaves_no_file_that_looks_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
