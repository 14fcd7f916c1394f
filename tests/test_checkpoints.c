/* Checkpoints of reprise finetune: whoever kills it, and when, the resumed training ends with the bits of one
 * that never stopped. What is damaged is passed over or refused, and what cannot be written leaves what was
 * saved. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_cli.h"
#include "support_fixture.h"

enum { PATH = FIXTURE_PATH_SIZE + 96, MOMENTS = 5, STEPS = 10 };

/* Two trainings: one that is never stopped, and another one. */
static char dir[FIXTURE_PATH_SIZE];
static char paths[8][PATH];

static const char *in_dir(const char *name) {
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH, "%s/%s", dir, name);
    return path;
}

static const char train_rows[] =
    "sentence\tlabel\na warm and funny film\tgood\na dull film\tbad\na fine film\tgood\n"
    "an awful film\tbad\na bright and tender one\tgood\na grim and stale one\tbad\n",
                  dev_rows[] = "sentence\tlabel\na moving film\tgood\na tedious film\tbad\na flat one\tbad\n";

/* The options that decide; `out` names the folder, the log and the plot. */
static size_t list_args(const char *out, bool resume, const char *args[40]) {
    static char names[3][PATH];
    size_t count = 0;
    const char *const fixed[] = {"finetune",
                                 "--train",
                                 in_dir("train.tsv"),
                                 "--dev",
                                 in_dir("dev.tsv"),
                                 "--batch-size",
                                 "3",
                                 "--steps",
                                 "10",
                                 "--lr",
                                 "3e-4",
                                 "--warmup",
                                 "0.2",
                                 "--keep",
                                 "2",
                                 "--save-every",
                                 "2",
                                 "--eval-every",
                                 "3",
                                 "--metric",
                                 "loss"};
    for (; count < sizeof fixed / sizeof *fixed; count++) args[count] = fixed[count];
    snprintf(names[0], PATH, "%s/%s", dir, out);
    snprintf(names[1], PATH, "%s/%s.jsonl", dir, out);
    snprintf(names[2], PATH, "%s/%s.svg", dir, out);
    args[count++] = "-o";
    args[count++] = names[0];
    args[count++] = "--log";
    args[count++] = names[1];
    args[count++] = "--plot";
    args[count++] = names[2];
    if (resume) args[count++] = "--resume";
    args[count] = NULL;
    return count;
}

static cli_run run(const char *out, bool resume, const char *more, const char *value) {
    const char *args[40];
    size_t count = list_args(out, resume, args);
    if (more) {
        args[count++] = more;
        args[count++] = value;
        args[count] = NULL;
    }
    return cli(args, NULL, 0);
}

static int begin(void **state) {
    (void)state;
    if (!fixture_make_dir(dir) || !fixture_write_text(dir, "train.tsv", train_rows) ||
        !fixture_write_text(dir, "dev.tsv", dev_rows))
        return -1;
    /* The time to measure kernels may end before all are measured, and another program may measure otherwise:
     * trainings that begin anew learn the same where the cache is their own and knows all speeds. */
    setenv("REPRISE_CACHE_DIR", in_dir("cache"), 1);
    static const char *const names[] = {"first", "second", "third", "whole"};
    int status = 0;
    for (size_t i = 0; !status && i < 4; i++) {
        cli_run made = run(names[i], false, i < 3 ? "--steps" : NULL, "1");
        status = made.status;
        cli_free(&made);
    }
    return status;
}

static int end(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

/* ---- comparing ---- */

static void assert_same(const char *a, const char *b) {
    size_t size[2];
    char *one = fixture_read(NULL, a, &size[0]), *two = fixture_read(NULL, b, &size[1]);
    if (size[0] != size[1] || memcmp(one, two, size[0])) fail_msg("%s is not the same as %s", b, a);
    free(one);
    free(two);
}

/* Both logs, line by line, but for the seconds of each. */
static void assert_same_log(const char *a, const char *b) {
    char lines[2][2000];
    FILE *files[2] = {fopen(a, "r"), fopen(b, "r")};
    assert_true(files[0] && files[1]);
    for (;;) {
        bool more = fgets(lines[0], sizeof *lines, files[0]);
        assert_int_equal(more, fgets(lines[1], sizeof *lines, files[1]) != NULL);
        if (!more) break;
        json_t *one = json_loads(lines[0], 0, NULL), *two = json_loads(lines[1], 0, NULL);
        assert_true(one && two);
        json_object_del(one, "seconds");
        json_object_del(two, "seconds");
        char *text[2] = {json_dumps(one, JSON_REAL_PRECISION(17)), json_dumps(two, JSON_REAL_PRECISION(17))};
        assert_string_equal(text[0], text[1]);
        free(text[0]);
        free(text[1]);
        json_decref(one);
        json_decref(two);
    }
    fclose(files[0]);
    fclose(files[1]);
}

/* All files of both folders, checkpoints too, but for names of the machine. */
static void assert_same_training(const char *name) {
    static const char *const files[] = {"model.safetensors",
                                        "config.json",
                                        "trainer_state.json",
                                        "training.json",
                                        "README.md",
                                        "checkpoint-8/model.safetensors",
                                        "checkpoint-8/exp_avg.safetensors",
                                        "checkpoint-8/exp_avg_sq.safetensors",
                                        "checkpoint-8/trainer.json",
                                        "checkpoint-8/trainer_state.json",
                                        "checkpoint-8/training.json",
                                        "checkpoint-6/best/model.safetensors"};
    char a[PATH], b[PATH];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(a, sizeof a, "%s/whole/%s", dir, files[i]);
        snprintf(b, sizeof b, "%s/%s/%s", dir, name, files[i]);
        assert_same(a, b);
    }
    snprintf(b, sizeof b, "%s/%s.jsonl", dir, name);
    assert_same_log(in_dir("whole.jsonl"), b);
    snprintf(b, sizeof b, "%s/%s.svg", dir, name);
    assert_same(in_dir("whole.svg"), b);
    snprintf(b, sizeof b, "%s/%s/.training", dir, name);
    assert_int_equal(access(b, F_OK), -1);
    snprintf(b, sizeof b, "%s/%s/checkpoint-4", dir, name);
    assert_int_equal(access(b, F_OK), -1); /* two stay */
}

/* ---- kills ---- */

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static off_t size_of(const char *path) {
    struct stat info;
    return stat(path, &info) ? 0 : info.st_size;
}

/* Does .training hold a file or folder whose name begins so? */
static bool is_written(const char *prefix) {
    DIR *folder = opendir(in_dir("killed/.training"));
    bool found = false;
    for (const struct dirent *item; folder && (item = readdir(folder));)
        found = found || !strncmp(item->d_name, prefix, strlen(prefix));
    if (folder) closedir(folder);
    return found;
}

/* Wait for a moment of some kind, or until the process has ended. */
static void wait_for_moment(pid_t pid, uint32_t kind) {
    const char *log = in_dir("killed.jsonl");
    off_t before = size_of(log);
    siginfo_t info;
    for (int i = 0; i < 60000; i++) {
        info.si_pid = 0;
        if (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid) return;
        if (kind == 0 && size_of(log) != before) break;    /* a step was made */
        if (kind == 1 && is_written("checkpoint-")) break; /* one is being written */
        if (kind == 2 && is_written("new")) break;         /* the best model is */
        if (kind == 3 && is_written("old")) break;         /* one is being removed */
        if (kind == 4 && i > 20) break;                    /* it has only begun */
        usleep(1000);
    }
    usleep(random_below(kind == 0 ? 200000 : 15000));
}

static void test_killed_at_any_moment(void **state) {
    (void)state;
    const char *args[40];
    int ended = 0, kills = 30 / fixture_stride(5);
    for (int i = 0; i < kills; i++) {
        list_args("killed", i > 0, args);
        cli_pipe pipe = cli_start(args);
        wait_for_moment(pipe.pid, (uint32_t)i % MOMENTS);
        kill(pipe.pid, SIGKILL);
        ended += cli_finish(&pipe) == 0;
    }
    cli_run last = run("killed", true, NULL, NULL);
    assert_int_equal(last.status, 0);
    cli_free(&last);
    print_message("%d kills, %d of them after the end\n", kills, ended);
    assert_same_training("killed");
}

/* ---- what is there already ---- */

static void test_what_is_finished_stays(void **state) {
    (void)state;
    struct stat before, after;
    assert_int_equal(stat(in_dir("whole/model.safetensors"), &before), 0);
    cli_run again = run("whole", true, NULL, NULL);
    assert_int_equal(again.status, 0);
    cli_free(&again);
    assert_int_equal(stat(in_dir("whole/model.safetensors"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_same_training("whole");
    again = run("whole", true, "--lr", "1e-4");
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "lr: the training that is to go on had 0.0003"));
    cli_free(&again);
    again = run("whole", false, NULL, NULL);
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "--resume"));
    cli_free(&again);
    again = run("whole/checkpoint-8/best", true, NULL, NULL); /* files of somebody else */
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "has files already"));
    cli_free(&again);
    again = run("none", false, "--metric", "beauty");
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "'beauty'"));
    cli_free(&again);
    assert_int_equal(access(in_dir("none"), F_OK), -1);
}

static void test_what_stands_in_the_files(void **state) {
    (void)state;
    size_t size;
    json_t *root = json_load_file(in_dir("whole/trainer_state.json"), 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "global_step")), STEPS);
    assert_int_equal(json_array_size(json_object_get(root, "log_history")), STEPS + 4);
    const json_t *last = json_array_get(json_object_get(root, "log_history"), STEPS + 3);
    assert_true(json_is_real(json_object_get(last, "eval_loss")));
    json_decref(root);
    char *card = fixture_read(NULL, in_dir("whole/README.md"), &size);
    assert_non_null(strstr(card, "reprise finetune --train"));
    assert_non_null(strstr(card, "| train.sha256 | `"));
    assert_non_null(strstr(card, "| device | `"));
    free(card);
    char *plot = fixture_read(NULL, in_dir("whole.svg"), &size);
    assert_true(!strncmp(plot, "<svg ", 5) && !strcmp(plot + size - 7, "</svg>\n"));
    assert_non_null(strstr(plot, ">eval_loss</text>"));
    assert_null(strstr(plot, "nan"));
    free(plot);
}

/* ---- damage ---- */

static void stop_after_checkpoint(const char *out, const char *checkpoint) {
    const char *args[40];
    char path[PATH];
    list_args(out, false, args);
    snprintf(path, sizeof path, "%s/%s/%s", dir, out, checkpoint);
    cli_pipe pipe = cli_start(args);
    for (int i = 0; i < 60000 && access(path, F_OK); i++) usleep(1000);
    kill(pipe.pid, SIGKILL);
    cli_finish(&pipe);
    assert_int_equal(access(path, F_OK), 0);
}

static void cut(const char *path) {
    assert_int_equal(truncate(path, size_of(path) / 2), 0);
}

static void test_a_damaged_checkpoint_is_passed_over(void **state) {
    (void)state;
    stop_after_checkpoint("damaged", "checkpoint-4");
    cut(in_dir("damaged/checkpoint-4/exp_avg.safetensors"));
    cli_run again = run("damaged", true, NULL, NULL);
    assert_int_equal(again.status, 0);
    assert_non_null(strstr(again.err, "checkpoint-4/exp_avg.safetensors: has "));
    assert_non_null(strstr(again.err, "an earlier checkpoint"));
    cli_free(&again);
    assert_same_training("damaged");
}

static void test_no_good_checkpoint(void **state) {
    (void)state;
    stop_after_checkpoint("bad", "checkpoint-2");
    cut(in_dir("bad/checkpoint-2/training.json"));
    cli_run again = run("bad", true, NULL, NULL);
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "checkpoint-2/training.json"));
    assert_non_null(strstr(again.err, "no good checkpoint is left"));
    cli_free(&again);
    assert_int_equal(access(in_dir("bad/checkpoint-2/model.safetensors"), F_OK), 0);
}

/* No file may be as large as the model: what was saved stays, and is gone on from. */
static void test_no_room(void **state) {
    (void)state;
    struct rlimit old, small;
    stop_after_checkpoint("full", "checkpoint-2");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){1 << 20, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    cli_run again = run("full", true, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(again.status, 1);
    assert_non_null(strstr(again.err, "cannot be written"));
    cli_free(&again);
    assert_int_equal(access(in_dir("full/checkpoint-2/training.json"), F_OK), 0);
    assert_int_equal(access(in_dir("full/.training"), F_OK), -1);
    again = run("full", true, NULL, NULL);
    assert_int_equal(again.status, 0);
    cli_free(&again);
    assert_same_training("full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_any_moment),
        cmocka_unit_test(test_what_is_finished_stays),
        cmocka_unit_test(test_what_stands_in_the_files),
        cmocka_unit_test(test_a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(test_no_good_checkpoint),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
