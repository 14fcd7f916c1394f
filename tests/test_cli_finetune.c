/* reprise finetune: what it writes, its log, and what a signal leaves. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILMS "sentence\tlabel\na warm film\tgood\na dull film\tbad\na funny film\tgood\nan awful film\tbad\n"

typedef struct place {
    char dir[FIXTURE_PATH_SIZE], train[FIXTURE_PATH_SIZE + 32], out[FIXTURE_PATH_SIZE + 32],
        log[FIXTURE_PATH_SIZE + 32];
} place;

static void begin(place *p) {
    assert_true(fixture_make_dir(p->dir));
    snprintf(p->train, sizeof p->train, "%s/train.tsv", p->dir);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    snprintf(p->log, sizeof p->log, "%s/log.jsonl", p->dir);
    assert_true(fixture_write_text(p->dir, "train.tsv", FILMS));
}

static void check_log(const char *path, const char *const kinds) {
    static const char *const step[] = {"step",      "epoch",     "loss",   "lr",
                                       "grad_norm", "sequences", "tokens", "seconds"};
    char line[2000];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (const char *kind = kinds; *kind; kind++) {
        assert_non_null(fgets(line, sizeof line, file));
        json_t *got = json_loads(line, 0, NULL);
        assert_non_null(got);
        if (*kind == 's')
            for (size_t i = 0; i < 8; i++) assert_true(json_is_number(json_object_get(got, step[i])));
        else
            assert_true(json_is_number(json_object_get(got, "eval_accuracy")));
        json_decref(got);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void test_a_model_and_a_log(void **state) {
    place p;
    struct stat info;
    (void)state;
    begin(&p);
    assert_true(fixture_write_text(p.dir, "log.jsonl", "an older log\n"));
    cli_run run = cli(CLI_ARGS("finetune", "--train", p.train, "--dev", p.train, "-o", p.out, "--batch-size",
                               "2", "--epochs", "2", "--lr", "1e-4", "--log", p.log),
                      NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 3);
    assert_true(!strncmp(run.out, "step 2  loss ", 13));
    assert_non_null(strstr(run.out, "best so far\n"));
    cli_free(&run);
    check_log(p.log, "ssesse");
    run = cli(CLI_ARGS("classify", "-m", p.out, "--json", "a warm film"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "\"good\""));
    cli_free(&run);
    /* What is there already stays: the model, and the log of it. */
    run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--log", p.log), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "has files already"));
    cli_free(&run);
    assert_int_equal(stat(p.log, &info), 0);
    assert_true(info.st_size > 500);
    run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", "x", "--log", p.dir), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "cannot be written"));
    cli_free(&run);
    fixture_remove_dir(p.dir);
}

/* In f16 the log has the scale, the card says how it was made, and a resumed training must ask for it. */
static void test_f16(void **state) {
    place p;
    char line[2000], path[FIXTURE_PATH_SIZE + 64];
    (void)state;
    begin(&p);
    cli_run run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--steps", "2", "--precision",
                               "f16", "--save-every", "1", "--log", p.log),
                      NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    check_log(p.log, "ss");
    FILE *file = fopen(p.log, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "\"scale\": 65536.0, \"skipped\": 0.0"));
    fclose(file);
    snprintf(path, sizeof path, "%s/README.md", p.out);
    file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(line, 1, sizeof line - 1, file);
    line[size] = '\0';
    fclose(file);
    assert_non_null(strstr(line, "| precision | `f16` |"));
    snprintf(path, sizeof path, "%s/training.json", p.out); /* as if it had not come to its end */
    assert_int_equal(unlink(path), 0);
    run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--steps", "2", "--save-every", "1",
                       "--resume"),
              NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "precision: the training that is to go on had \"f16\""));
    cli_free(&run);
    run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--precision", "int8"), NULL, 0);
    assert_int_equal(run.status, 2);
    cli_free(&run);
    fixture_remove_dir(p.dir);
}

/* With a learning rate that no model survives it ends with an error, and what was saved before stays. */
static void test_what_is_not_finite(void **state) {
    place p;
    char path[FIXTURE_PATH_SIZE + 64];
    struct stat info;
    (void)state;
    begin(&p);
    cli_run run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--steps", "9", "--lr", "9e8",
                               "--schedule", "constant", "--save-every", "1"),
                      NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "step 2: the gradient of "));
    assert_non_null(strstr(run.err, "go on from what was saved"));
    cli_free(&run);
    snprintf(path, sizeof path, "%s/checkpoint-1/trainer.json", p.out);
    assert_int_equal(stat(path, &info), 0);
    snprintf(path, sizeof path, "%s/model.safetensors", p.out);
    assert_int_not_equal(stat(path, &info), 0);
    fixture_remove_dir(p.dir);
}

static void test_a_log_that_cannot_be_written(void **state) {
    place p;
    (void)state;
    if (access("/dev/full", W_OK)) skip();
    begin(&p);
    cli_run run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--log", "/dev/full"), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/dev/full: cannot be written"));
    assert_int_equal(access(p.out, F_OK), -1);
    cli_free(&run);
    run = cli(CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--plot", p.train), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "would be written over"));
    assert_int_equal(access(p.out, F_OK), -1);
    cli_free(&run);
    fixture_remove_dir(p.dir);
}

/* It ends in the step, and leaves the data and the log alone. */
static void test_a_signal(void **state) {
    place p;
    struct stat info = {0};
    (void)state;
    begin(&p);
    cli_pipe pipe = cli_start(
        CLI_ARGS("finetune", "--train", p.train, "-o", p.out, "--steps", "1000000", "--log", p.log));
    for (int i = 0; i < 6000 && (stat(p.log, &info) || !info.st_size); i++) usleep(10000);
    assert_true(info.st_size > 0);
    assert_int_equal(kill(pipe.pid, SIGINT), 0);
    assert_int_equal(cli_finish(&pipe), 130);
    assert_int_equal(access(p.out, F_OK), -1);
    assert_int_equal(unlink(p.train), 0);
    assert_int_equal(unlink(p.log), 0);
    assert_int_equal(rmdir(p.dir), 0); /* nothing else is there */
}

static void test_usage(void **state) {
    static const struct {
        const char *args[8], *says;
    } cases[] = {
        {{"finetune", "-o", "x"}, "takes --train FILE"},
        {{"finetune", "--train", "x"}, "-o with the folder"},
        {{"finetune", "--train", "x", "-o", "y", "z"}, "takes --train FILE"},
        {{"finetune", "--task", "order"}, "tag, answer, choose or embed"},
        {{"finetune", "--lr", "fast"}, "--lr takes a number"},
        {{"finetune", "--lr", "0"}, "nothing is learnt"},
        {{"finetune", "--lr", "nan"}, "--lr takes a number"},
        {{"finetune", "--label-smoothing", "1"}, "below 1"},
        {{"finetune", "--epoch", "0"}, "--epochs takes a number"},
        {{"finetune", "--freeze", "head"}, "embeddings or encoder"},
        {{"finetune", "--schedule", "cosine"}, "linear, constant or polynomial"},
        {{"train", "x"}, "did you mean 'finetune'?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(cases[i].args, NULL, 0);
        assert_int_equal(run.status, 2);
        if (!strstr(run.err, cases[i].says)) fail_msg("case %zu: %s", i, run.err);
        cli_free(&run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_and_a_log),  cmocka_unit_test(test_f16),
        cmocka_unit_test(test_what_is_not_finite), cmocka_unit_test(test_a_log_that_cannot_be_written),
        cmocka_unit_test(test_a_signal),           cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
