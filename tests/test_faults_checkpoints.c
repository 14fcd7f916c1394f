/* The n-th allocation of host memory fails while a training is begun, gone on with, saved and ended: a status
 * and a message, nothing left behind (the leak check of the sanitized build sees), no checkpoint lost; and
 * the call that goes on from what is there ends with the bits of a training that nothing disturbed.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_tasks.h"
#include "wrap_alloc.h"

/* ---- the training ---- */

enum { PATH = FIXTURE_PATH_SIZE + 64 };
static const char rows[] =
    "sentence\tlabel\na warm film\tgood\na dull film\tbad\na fine film\tgood\nan awful film\tbad\n";
static rp_device *device;
static task_case model; /* small, with a tokenizer */
static char dir[FIXTURE_PATH_SIZE];

static int begin(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && fixture_make_dir(dir) && fixture_write_text(dir, "t.tsv", rows) &&
                   task_case_open("order", &model)
               ? 0
               : -1;
}

static int end(void **state) {
    (void)state;
    task_case_close(&model);
    fixture_remove_dir(dir);
    rp_device_close(&device);
    return 0;
}

static void name(char out[PATH], const char *below, const char *file) {
    snprintf(out, PATH, "%s/%s%s", dir, below, file);
}

static rp_status train(const char *out, rp_error *err) {
    char data[PATH], folder[PATH], log[PATH], plot[PATH];
    name(data, "t.tsv", "");
    name(folder, out, "");
    name(log, out, ".jsonl");
    name(plot, out, ".svg");
    const rp_finetune_params params = {.model = model.dir,
                                       .train = data,
                                       .dev = data,
                                       .out = folder,
                                       .steps = 3,
                                       .batch_size = 2,
                                       .learning_rate = 2e-4,
                                       .eval_every = 2,
                                       .save_every = 1,
                                       .keep = 2,
                                       .log = log,
                                       .plot = plot,
                                       .command = "reprise finetune",
                                       .resume = true};
    return rp_finetune(device, &params, err);
}

/* Files and folders of `out`; a checkpoint is whole, which the next call finds out. */
static int count_checkpoints(const char *out) {
    char path[PATH];
    int count = 0;
    name(path, out, "");
    DIR *folder = opendir(path);
    for (const struct dirent *item; folder && (item = readdir(folder));) {
        if (item->d_name[0] == '.' && item->d_name[1] != '.' && item->d_name[1])
            fail_msg("%s is left", item->d_name);
        count += !strncmp(item->d_name, "checkpoint-", 11);
    }
    if (folder) closedir(folder);
    return count;
}

static char *read_model(const char *out, size_t *size) {
    char path[PATH];
    name(path, out, "/model.safetensors");
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void test_every_allocation(void **state) {
    (void)state;
    rp_error err = {0};
    size_t size, other;
    int ends = 0, failures = 0;
    if (train("whole", &err)) fail_msg("%s", err.message); /* and the kernels are known */
    char *want = read_model("whole", &size);
    char out[16] = "out0";
    for (int n = 0, before = 0;; n += 1 + n / 6) {
        alloc_begin(n);
        rp_status status = train(out, &err);
        bool came = alloc_end();
        if (status && status != RP_ERROR_HOST_MEMORY) print_error("%d: %s\n", n, err.message);
        assert_int_equal(status, came && status ? RP_ERROR_HOST_MEMORY : RP_OK);
        int checkpoints = count_checkpoints(out);
        assert_true(checkpoints >= before);
        before = checkpoints;
        failures += status != RP_OK;
        if (status) continue;
        char *got = read_model(out, &other);
        assert_int_equal(size, other);
        assert_memory_equal(got, want, size);
        free(got);
        snprintf(out, sizeof out, "out%d", ++ends);
        before = 0;
        if (!came) break;
    }
    print_message("%d failures, %d trainings\n", failures, ends);
    assert_true(failures > 20);
    free(want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, begin, end);
}
