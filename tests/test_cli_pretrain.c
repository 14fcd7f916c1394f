/* reprise pretrain: what it writes, its log, what it says of a corpus that cannot be used, and what a signal
 * leaves. */
#include "support_cli.h"
#include "support_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define TEXT                                                     \
    "a letter came in the morning.\r\nhe read it twice.\r\n\r\n" \
    "the ship was old.\r\nnobody had painted it for years.\r\n"

enum { PATH = FIXTURE_PATH_SIZE + 32 };

typedef struct place {
    char dir[FIXTURE_PATH_SIZE], text[PATH], config[PATH], out[PATH], log[PATH], lines[PATH];
} place;

static void begin(place *p) {
    assert_true(fixture_make_dir(p->dir));
    snprintf(p->text, sizeof p->text, "%s/text.txt", p->dir);
    snprintf(p->config, sizeof p->config, "%s/tiny.json", p->dir);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    snprintf(p->log, sizeof p->log, "%s/log.jsonl", p->dir);
    snprintf(p->lines, sizeof p->lines, "%s/lines.jsonl", p->dir);
    assert_true(fixture_write_text(p->dir, "text.txt", TEXT));
    assert_true(fixture_write_text(p->dir, "tiny.json", FIXTURE_TINY("")));
}

static void check_log(const char *path, size_t steps) {
    static const char *const keys[] = {"step",      "epoch",     "loss",         "lr",
                                       "grad_norm", "sequences", "tokens",       "seconds",
                                       "mlm_loss",  "sop_loss",  "mlm_accuracy", "sop_accuracy"};
    char line[2000];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < steps; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        json_t *got = json_loads(line, 0, NULL);
        if (i) assert_int_equal(json_object_size(got), sizeof keys / sizeof *keys); /* the first says more */
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            assert_true(json_is_number(json_object_get(got, keys[k])));
        json_decref(got);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

/* A new model, its data as lines, a model that goes on from it, and a few answers of that. */
static void test_from_text_to_answers(void **state) {
    place p;
    char second[PATH + 8], third[PATH + 8];
    (void)state;
    begin(&p);
    snprintf(second, sizeof second, "%s2", p.out);
    snprintf(third, sizeof third, "%s3", p.out);
    cli_run run = cli(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED "/spiece.model",
                               "--config", p.config, "-o", p.out, "--steps", "3", "--batch-size", "2",
                               "--max-length", "20", "--log", p.log, "--write-instances", p.lines, p.text),
                      NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, p.out));
    cli_free(&run);
    check_log(p.log, 3);
    run = cli(CLI_ARGS("pretrain", "--instances", p.lines, "--init", p.out, "-o", second, "--steps", "2",
                       "--batch-size", "2", "--optimizer", "adamw", "--schedule", "linear", "--lr", "1e-4",
                       p.lines),
              NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    run = cli(CLI_ARGS("pretrain", "--corpus", p.text, "--init", second, "-o", third, "--epochs", "1"), NULL,
              0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    run = cli(CLI_ARGS("fill-mask", "-m", third, "--json", "a [MASK] came"), NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    run = cli(CLI_ARGS("coherence", "-m", third, "--json", "a letter came", "he read it"), NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    fixture_remove_dir(p.dir);
}

static void test_a_corpus_that_cannot_be_used(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "there is no text"},
        {"\n\n \n", "there is no text"},
        {"alone\n\nalone, too\n", "write a sentence a line"},
        {"one\ntwo\n\xff\xfe\n", "text.txt: line 3: byte 1 is not valid UTF-8"},
        {"\x89PNG\r\n\x1a\n\x01", "line 1: byte 1 is not valid UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place p;
        begin(&p);
        assert_true(fixture_write_text(p.dir, "text.txt", cases[i].text));
        cli_run run = cli(
            CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--write-instances", p.lines),
            NULL, 0);
        assert_int_equal(run.status, 1);
        if (!strstr(run.err, cases[i].says)) fail_msg("case %zu: %s", i, run.err);
        cli_free(&run);
        assert_int_equal(access(p.lines, F_OK), -1);
        fixture_remove_dir(p.dir);
    }
}

static void test_what_is_read_is_not_written_over(void **state) {
    size_t size;
    place p;
    (void)state;
    begin(&p);
    assert_int_equal(link(p.text, p.lines), 0); /* under another name, too */
    cli_run run =
        cli(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--write-instances", p.lines),
            NULL, 0);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "would be written over"));
    cli_free(&run);
    char *text = fixture_read(NULL, p.text, &size);
    assert_string_equal(text, TEXT);
    free(text);
    fixture_remove_dir(p.dir);
}

static void test_bad_lines_are_counted(void **state) {
    place p;
    (void)state;
    begin(&p);
    assert_true(fixture_write_text(p.dir, "text.txt", TEXT "\xff\n"));
    cli_run run = cli(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--skip-bad",
                               "--max-length", "5", "--write-instances", p.lines),
                      NULL, 0);
    assert_int_equal(run.status, 1); /* each line is longer */
    assert_non_null(strstr(run.err, "--max-length"));
    cli_free(&run);
    run = cli(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--skip-bad",
                       "--write-instances", p.lines),
              NULL, 0);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.err, "1 bad lines were left out"));
    cli_free(&run);
    fixture_remove_dir(p.dir);
}

/* It ends in the step, and leaves nothing of its own. */
static void test_a_signal(void **state) {
    place p;
    struct stat info = {0};
    (void)state;
    begin(&p);
    cli_pipe pipe = cli_start(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--config",
                                       p.config, "-o", p.out, "--log", p.log));
    for (int i = 0; i < 6000 && (stat(p.log, &info) || !info.st_size); i++) usleep(10000);
    assert_true(info.st_size > 0);
    assert_int_equal(kill(pipe.pid, SIGINT), 0);
    assert_int_equal(cli_finish(&pipe), 130);
    assert_int_equal(access(p.out, F_OK), -1);
    assert_int_equal(unlink(p.text), 0);
    assert_int_equal(unlink(p.config), 0);
    assert_int_equal(unlink(p.log), 0);
    assert_int_equal(rmdir(p.dir), 0); /* nothing else is there */
}

/* Where nothing is trained it ends between two instances. */
static void test_a_signal_while_instances_are_written(void **state) {
    place p;
    struct stat info = {0};
    char part[PATH + 8];
    (void)state;
    begin(&p);
    snprintf(part, sizeof part, "%s.part", p.lines);
    cli_pipe pipe = cli_start(CLI_ARGS("pretrain", "--corpus", p.text, "--tokenizer", PRETRAINED, "--epochs",
                                       "1000000", "--write-instances", p.lines));
    for (int i = 0; i < 6000 && (stat(part, &info) || !info.st_size); i++) usleep(10000);
    assert_true(info.st_size > 0);
    assert_int_equal(kill(pipe.pid, SIGINT), 0);
    assert_int_equal(cli_finish(&pipe), 130);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(access(p.lines, F_OK), -1);
    fixture_remove_dir(p.dir);
}

static size_t lines_of(const char *path) {
    char line[4000];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) count++;
    if (file) fclose(file);
    return count;
}

/* Killed in a later pass over the corpus and resumed, the model has the same bits as without. */
static void test_killed_and_resumed(void **state) {
    place p;
    char other[PATH + 8];
    size_t sizes[2];
    (void)state;
    begin(&p);
    snprintf(other, sizeof other, "%s2", p.out);
    const char *args[] = {"pretrain", "--corpus", p.text, "--tokenizer",  PRETRAINED, "--config",
                          p.config,   "-o",       other,  "--steps",      "40",       "--batch-size",
                          "1",        "--lr",     "0.01", "--save-every", "5",        "--log",
                          p.log,      NULL,       NULL};
    cli_run run = cli(args, NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    args[8] = p.out;
    cli_pipe pipe = cli_start(args);
    for (int i = 0; i < 6000 && (access(p.out, F_OK) || lines_of(p.log) < 12 || lines_of(p.log) > 39); i++)
        usleep(1000);
    kill(pipe.pid, SIGKILL);
    cli_finish(&pipe);
    args[19] = "--resume";
    run = cli(args, NULL, 0);
    assert_int_equal(run.status, 0);
    cli_free(&run);
    assert_int_equal(lines_of(p.log), 40);
    char *once = fixture_read(other, "model.safetensors", &sizes[0]),
         *twice = fixture_read(p.out, "model.safetensors", &sizes[1]);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(once, twice, sizes[0]);
    free(once);
    free(twice);
    fixture_remove_dir(p.dir);
}

static void test_usage(void **state) {
    static const struct {
        const char *args[12], *says;
    } cases[] = {
        {{"pretrain", "-o", "x"}, "takes either --corpus FILE..."},
        {{"pretrain", "--corpus", "x", "--instances", "y", "-o", "z"}, "takes either --corpus"},
        {{"pretrain", "--corpus", "x", "--tokenizer", "t"}, "takes -o with the folder"},
        {{"pretrain", "--corpus", "x", "--tokenizer", "t", "-o", "y"}, "takes --config with a new model"},
        {{"pretrain", "--corpus", "x", "--config", "base", "-o", "y"}, "takes --tokenizer"},
        {{"pretrain", "--corpus", "x", "--config", "base", "--init", "m", "-o", "y"}, "either --config"},
        {{"pretrain", "--corpus", "x", "--init", "m", "--tokenizer", "t", "-o", "y"}, "its own tokenizer"},
        {{"pretrain", "--instances", "x", "--init", "m", "--write-instances", "y"}, "those of a --corpus"},
        {{"pretrain", "--optimizer", "sgd"}, "adamw or lamb"},
        {{"pretrain", "--schedule", "cosine"}, "linear, constant or polynomial"},
        {{"pretrain", "--max-predictions", "0"}, "--max-predictions takes a number"},
        {{"pretrain", "--task", "tag"}, "--task"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(cases[i].args, NULL, 0);
        if (run.status != 2 || !strstr(run.err, cases[i].says))
            fail_msg("case %zu: %d, %s", i, run.status, run.err);
        cli_free(&run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_text_to_answers),
        cmocka_unit_test(test_a_corpus_that_cannot_be_used),
        cmocka_unit_test(test_what_is_read_is_not_written_over),
        cmocka_unit_test(test_bad_lines_are_counted),
        cmocka_unit_test(test_a_signal),
        cmocka_unit_test(test_a_signal_while_instances_are_written),
        cmocka_unit_test(test_killed_and_resumed),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
