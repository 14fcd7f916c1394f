/* mpirun reprise finetune: one model, one log and one voice, whatever comes of it; and launchers whose MPI
 * cannot be used. */
#include "support_cli.h"
#include "support_fixture.h"
#include "support_mpi.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILMS "sentence\tlabel\na warm film\tgood\na dull film\tbad\na funny film\tgood\nan awful film\tbad\n"

static char dir[FIXTURE_PATH_SIZE], data[FIXTURE_PATH_SIZE + 32], said[1 << 16];

static int make_data(void **state) {
    (void)state;
    if (!fixture_make_dir(dir) || !fixture_write_text(dir, "train.tsv", FILMS)) return -1;
    snprintf(data, sizeof data, "%s/train.tsv", dir);
    return 0;
}

static int remove_data(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static const char *in_dir(const char *name, char path[FIXTURE_PATH_SIZE + 32]) {
    snprintf(path, FIXTURE_PATH_SIZE + 32, "%s/%s", dir, name);
    return path;
}

static int count(const char *word) {
    int times = 0;
    for (const char *at = said; (at = strstr(at, word)); at++) times++;
    return times;
}

/* Three steps a pass, of three rows, three, and the one that is left: the second rank has none of it. */
static int finetune(int ranks, const char *out, const char *log) {
    char out_path[FIXTURE_PATH_SIZE + 32], log_path[FIXTURE_PATH_SIZE + 32];
    return mpi_run(ranks,
                   (const char *const[]){BINARY_DIR "/reprise", "finetune", "--train", data, "--dev", data,
                                         "-o", in_dir(out, out_path), "--batch-size", "3", "--epochs", "1",
                                         "--lr", "1e-4", "--log", in_dir(log, log_path), NULL},
                   said, sizeof said);
}

static void check_logs(void) {
    static const char *const names[] = {"loss", "grad_norm", "sequences", "tokens", "epoch", "eval_accuracy"};
    char path[FIXTURE_PATH_SIZE + 32], line[2][2000];
    FILE *one = fopen(in_dir("one.jsonl", path), "r"), *two = fopen(in_dir("two.jsonl", path), "r");
    assert_true(one && two);
    for (int i = 0; i < 3; i++) {
        assert_true(fgets(line[0], sizeof *line, one) && fgets(line[1], sizeof *line, two));
        json_t *a = json_loads(line[0], 0, NULL), *b = json_loads(line[1], 0, NULL);
        assert_true(a && b);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            double x = json_number_value(json_object_get(a, names[k])),
                   y = json_number_value(json_object_get(b, names[k]));
            if (!(fabs(x - y) <= 1e-5 * fabs(x))) fail_msg("line %d, %s: %g and %g", i + 1, names[k], x, y);
        }
        json_decref(a);
        json_decref(b);
    }
    assert_null(fgets(line[1], sizeof *line, two));
    fclose(one);
    fclose(two);
}

static void test_two_processes_make_one_model(void **state) {
    char path[FIXTURE_PATH_SIZE + 32];
    (void)state;
    if (!mpi_is_there()) skip();
    assert_int_equal(finetune(1, "one", "one.jsonl"), 0);
    assert_int_equal(finetune(2, "two", "two.jsonl"), 0);
    assert_int_equal(count("best so far"), 1);
    assert_int_equal(count("/two\n"), 1);
    check_logs();
    cli_run run = cli(CLI_ARGS("classify", "-m", in_dir("two", path), "--json", "a warm film"), NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    /* one complaint, of the first process, and what is there stays */
    assert_int_not_equal(finetune(2, "two", "other.jsonl"), 0);
    assert_int_equal(count("rank 0: "), 1);
    assert_int_equal(count("has files already"), 1);
}

/* What is said without mpirun, where an environment pretends that it was there. */
static void check_refused(const char *size, const char *folder, const char *says) {
    char path[FIXTURE_PATH_SIZE + 32];
    setenv(size, "3", 1);
    if (folder) setenv("LD_LIBRARY_PATH", folder, 1);
    cli_run run = cli(CLI_ARGS("finetune", "--train", data, "-o", in_dir("none", path)), NULL, 0);
    unsetenv(size);
    unsetenv("LD_LIBRARY_PATH");
    assert_int_equal(run.status, 1);
    if (!strstr(run.err, says)) fail_msg("%s", run.err);
    assert_int_equal(access(path, F_OK), -1);
    cli_free(&run);
}

static void test_an_mpi_that_is_not_known(void **state) {
    static const char *const versions[] = {"Spectrum MPI v4.1", "MPICH Version: 9.0", "Open MPI v4.1.4"};
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        setenv("FAKE_MPI", versions[i], 1); /* the last has not Open MPI's handles */
        check_refused("OMPI_COMM_WORLD_SIZE", FAKE_MPI_DIR, versions[i]);
    }
    unsetenv("FAKE_MPI");
}

static void test_no_mpi(void **state) {
    static const char *const names[] = {"libmpi.so.40", "libmpich.so.12", "libmpi.so.12", "libmpi.so"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(fixture_write_text(dir, names[i], "no library\n"));
    check_refused("PMI_SIZE", dir, "MPI's library is not on this system");
}

/* It was not mpirun that set these: the processes do not know each other. */
static void test_a_launcher_of_another_mpi(void **state) {
    (void)state;
    if (!mpi_is_there()) skip();
    check_refused("PMI_SIZE", NULL, "they belong to different MPIs");
    check_refused("OMPI_COMM_WORLD_SIZE", NULL, "they belong to different MPIs");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_processes_make_one_model, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_an_mpi_that_is_not_known, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_no_mpi, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_a_launcher_of_another_mpi, make_data, remove_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
