/* reprise convert: what it says, and with which status it ends. */
#include "support_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_fixture.h"

#define BERT TESTS_DIR "/goldens/tf/bert"

static char dir[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE + 8];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(out, sizeof out, "%s/out", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static void check(cli_run run, int status, const char *said) {
    if (run.status != status || !strstr(run.err, said)) print_error("%d: %s\n", run.status, run.err);
    assert_int_equal(run.status, status);
    assert_non_null(strstr(run.err, said));
    cli_free(&run);
}

static void test_convert(void **state) {
    (void)state;
    char path[sizeof out + 32];
    cli_run run = cli(CLI_ARGS("convert", BERT, "-o", out, "--dtype", "f16"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(run.out_size, strlen(out) + 1);
    assert_memory_equal(run.out, out, strlen(out));
    cli_free(&run);
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    assert_int_equal(access(path, R_OK), 0);
    check(cli(CLI_ARGS("convert", BERT, "-o", out), NULL, 0), 1, "--overwrite");
    check(cli(CLI_ARGS("convert", BERT, "-o", out, "--overwrite"), NULL, 0), 0, "");
}

static void test_wrong_usage(void **state) {
    (void)state;
    check(cli(CLI_ARGS("convert"), NULL, 0), 2, "-o");
    check(cli(CLI_ARGS("convert", BERT), NULL, 0), 2, "-o");
    check(cli(CLI_ARGS("convert", "-o", out), NULL, 0), 2, "one folder to read");
    check(cli(CLI_ARGS("convert", BERT, BERT, "-o", out), NULL, 0), 2, "one folder to read");
    check(cli(CLI_ARGS("convert", BERT, "-o", out, "--dtype", "int8"), NULL, 0), 2, "f32 or f16");
    check(cli(CLI_ARGS("classify", "-o", out, "x"), NULL, 0), 2, "not an option of this command");
    check(cli(CLI_ARGS("convert", "no-such-folder", "-o", out), NULL, 0), 1, "no-such-folder");
    assert_int_equal(access(out, F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_convert, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_usage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
