/* mpirun reprise finetune and pretrain: one model, one log and one voice, whatever comes of it; and launchers
 * whose MPI cannot be used. */
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILMS "sentence\tlabel\na warm film\tgood\na dull film\tbad\na funny film\tgood\nan awful film\tbad\n"

#define TEXT                                                                              \
    "a letter came in the morning.\nhe read it twice.\nthen he put it into the fire.\n\n" \
    "the ship was old.\nnobody had painted it for years.\nthe captain did not care.\n\n"  \
    "it rained.\nwe stayed at home.\nthe children played.\n"
#define PAIRS                                                                                          \
    "sentence1\tsentence2\na warm film\ta fine one\na dull film\tit bored us\nhe left\the went away\n" \
    "it rained\tthe day was wet\nthe ship sank\tit went down\nwe ate\tdinner was good\n"

static char dir[FIXTURE_PATH_SIZE], data[FIXTURE_PATH_SIZE + 32], said[1 << 16];

static int make_data(void **state) {
    (void)state;
    if (!fixture_make_dir(dir) || !fixture_write_text(dir, "train.tsv", FILMS) ||
        !fixture_write_text(dir, "text.txt", TEXT) || !fixture_write_text(dir, "pairs.tsv", PAIRS) ||
        !fixture_write_text(
            dir, "tiny.json",
            FIXTURE_TINY(", \"hidden_dropout_prob\": 0.1, \"attention_probs_dropout_prob\": 0.1")))
        return -1;
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

/* The logs of two trainings have the same numbers in their `lines` lines, to `most` of them and, of the first
 * line, to 1e-5. */
static void compare_logs(const char *first, const char *second, int lines, double most) {
    static const char *const names[] = {"loss",         "grad_norm",     "sequences", "tokens",
                                        "mlm_loss",     "mlm_accuracy",  "sop_loss",  "sop_accuracy",
                                        "epoch",        "eval_accuracy", "eval_loss", "eval_mlm_loss",
                                        "eval_sop_loss"};
    char path[FIXTURE_PATH_SIZE + 32], line[2][2000];
    FILE *one = fopen(in_dir(first, path), "r"), *two = fopen(in_dir(second, path), "r");
    assert_true(one && two);
    for (int i = 0; i < lines; i++) {
        assert_true(fgets(line[0], sizeof *line, one) && fgets(line[1], sizeof *line, two));
        json_t *a = json_loads(line[0], 0, NULL), *b = json_loads(line[1], 0, NULL);
        assert_true(a && b);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            double x = json_number_value(json_object_get(a, names[k])),
                   y = json_number_value(json_object_get(b, names[k]));
            if (!(fabs(x - y) <= (i ? most : 1e-5) * fabs(x)))
                fail_msg("line %d, %s: %g and %g", i + 1, names[k], x, y);
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
    compare_logs("one.jsonl", "two.jsonl", 3, 1e-5);
    cli_run run = cli(CLI_ARGS("classify", "-m", in_dir("two", path), "--json", "a warm film"), NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    /* one complaint, of the first process, and what is there stays */
    assert_int_not_equal(finetune(2, "two", "other.jsonl"), 0);
    assert_int_equal(count("rank 0: "), 1);
    assert_int_equal(count("has files already"), 1);
}

/* ---- pre-training ---- */

/* A new model, in 20 steps of three instances (with two that pass over the text) and two evaluations. */
static int pretrain(int ranks, const char *out, const char *log, const char *corpus, bool resume) {
    char paths[5][FIXTURE_PATH_SIZE + 32];
    return mpi_run(ranks,
                   (const char *const[]){BINARY_DIR "/reprise",
                                         "pretrain",
                                         "--corpus",
                                         in_dir(corpus, paths[0]),
                                         "--config",
                                         in_dir("tiny.json", paths[1]),
                                         "--tokenizer",
                                         SOURCE_DIR "/tools/models/pretrained",
                                         "--dev",
                                         in_dir("text.txt", paths[2]),
                                         "-o",
                                         in_dir(out, paths[3]),
                                         "--log",
                                         in_dir(log, paths[4]),
                                         "--batch-size",
                                         "3",
                                         "--steps",
                                         "20",
                                         "--lr",
                                         "0.01",
                                         "--eval-every",
                                         "15",
                                         "--save-every",
                                         "5",
                                         resume ? "--resume" : NULL,
                                         NULL},
                   said, sizeof said);
}

static void compare_weights(const char *first, const char *second) {
    char path[FIXTURE_PATH_SIZE + 64], *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s/model.safetensors", dir, i ? second : first);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        bytes[i] = malloc(1 << 20);
        assert_non_null(bytes[i]);
        sizes[i] = fread(bytes[i], 1, 1 << 20, file);
        assert_true(sizes[i] > 0 && sizes[i] < 1 << 20);
        fclose(file);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    free(bytes[0]);
    free(bytes[1]);
}

/* Go on with `ranks` processes from a checkpoint that others wrote, in a folder of its own, and with the log.
 */
static void go_on(int ranks, const char *from, const char *step, const char *to) {
    char paths[3][FIXTURE_PATH_SIZE + 64];
    snprintf(paths[0], sizeof *paths, "%s/%s", dir, to);
    assert_int_equal(mkdir(paths[0], 0777), 0);
    snprintf(paths[1], sizeof *paths, "%s/%s/checkpoint-%s", dir, from, step);
    snprintf(paths[2], sizeof *paths, "%s/%s/checkpoint-%s", dir, to, step);
    assert_int_equal(rename(paths[1], paths[2]), 0);
    assert_int_equal(pretrain(ranks, to, "two.jsonl", "text.txt", true), 0);
}

/* One, two and four processes follow each other; the same number again gives the same bits. */
static void test_pre_training(void **state) {
    char path[FIXTURE_PATH_SIZE + 32];
    (void)state;
    if (!mpi_is_there()) skip();
    assert_int_equal(pretrain(1, "one", "one.jsonl", "text.txt", false), 0);
    assert_int_equal(pretrain(2, "two", "two.jsonl", "text.txt", false), 0);
    assert_int_equal(count("step 15  loss "), 1);
    assert_int_equal(pretrain(2, "again", "again.jsonl", "text.txt", false), 0);
    assert_int_equal(pretrain(4, "four", "four.jsonl", "text.txt", false), 0);
    compare_logs("one.jsonl", "two.jsonl", 22, 2e-3);
    compare_logs("one.jsonl", "four.jsonl", 22, 2e-3);
    compare_weights("two", "again");
    /* from one to two to four to one, the training is the same; one that is done stays */
    go_on(2, "one", "5", "five");
    go_on(4, "five", "10", "ten");
    go_on(1, "ten", "15", "fifteen");
    compare_logs("one.jsonl", "two.jsonl", 22, 2e-3);
    assert_int_equal(pretrain(2, "fifteen", "two.jsonl", "text.txt", true), 0);
    /* what one of them finds wrong is said once, and nothing is left */
    assert_int_not_equal(pretrain(2, "none", "none.jsonl", "nowhere.txt", false), 0);
    assert_int_equal(count("nowhere.txt: "), 1);
    assert_int_equal(access(in_dir("none", path), F_OK), -1);
}

/* Vectors are compared with those of the whole batch, whichever process has them; some have none of it. */
static void test_vectors(void **state) {
    char paths[3][FIXTURE_PATH_SIZE + 32];
    (void)state;
    if (!mpi_is_there()) skip();
    for (int ranks = 1; ranks <= 4; ranks *= 2) {
        static const char *const outs[] = {"", "one", "two", "", "four"}, *const logs[] = {"", "one.jsonl",
                                                                                           "two.jsonl", "",
                                                                                           "four.jsonl"};
        assert_int_equal(
            mpi_run(ranks,
                    (const char *const[]){BINARY_DIR "/reprise", "finetune", "--task", "embed", "--train",
                                          in_dir("pairs.tsv", paths[0]), "-o", in_dir(outs[ranks], paths[1]),
                                          "--log", in_dir(logs[ranks], paths[2]), "--batch-size", "5",
                                          "--epochs", "2", "--teacher", "bundled:pretrained", NULL},
                    said, sizeof said),
            0);
    }
    compare_logs("one.jsonl", "two.jsonl", 4, 2e-3);
    compare_logs("one.jsonl", "four.jsonl", 4, 2e-3);
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
        cmocka_unit_test_setup_teardown(test_pre_training, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_vectors, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_an_mpi_that_is_not_known, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_no_mpi, make_data, remove_data),
        cmocka_unit_test_setup_teardown(test_a_launcher_of_another_mpi, make_data, remove_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
