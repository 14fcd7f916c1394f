/* rp_finetune and rp_pretrain where the device is lost: each goes on by itself, and ends with the same bits.
 */
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
#include "support_faults.h"
#include "support_tasks.h"

#define FILMS "sentence\tlabel\na warm film\tgood\na dull film\tbad\na funny film\tgood\nan awful film\tbad\n"

enum { PATH = FIXTURE_PATH_SIZE + 64, STEPS = 4 };

static rp_device *device;
static task_case small; /* a model of two narrow layers, with its tokenizer */
static char dir[FIXTURE_PATH_SIZE], data[PATH];
static char *wanted, *wanted_log;
static size_t wanted_size, wanted_log_size;
static unsigned warnings;

static void take_log(void *user, rp_log_level level, const char *message) {
    (void)user, (void)level;
    warnings += strstr(message, "goes on from its last checkpoint") != NULL;
}

/* Without the times, which differ. */
static char *read_log(size_t *size) {
    char *all = fixture_read(dir, "log.jsonl", size);
    for (char *at = all; (at = strstr(at, "\"seconds\": "));) {
        at += strlen("\"seconds\": ");
        while (*at && *at != ',' && *at != '}') *at++ = '_';
    }
    size_t kept = 0;
    for (size_t i = 0; i < *size; i++)
        if (all[i] != '_') all[kept++] = all[i];
    *size = kept;
    all[kept] = 0;
    return all;
}

static rp_status finetune(uint64_t save_every, rp_error *err) {
    char out[PATH], log[PATH];
    const rp_call call = {.log = take_log};
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(log, sizeof log, "%s/log.jsonl", dir);
    const rp_finetune_params params = {.model = small.dir,
                                       .train = data,
                                       .dev = data,
                                       .out = out,
                                       .steps = STEPS,
                                       .eval_every = 2,
                                       .batch_size = 2,
                                       .learning_rate = 1e-4,
                                       .save_every = save_every,
                                       .log = log,
                                       .call = &call};
    warnings = 0;
    *err = (rp_error){0};
    return rp_finetune(device, &params, err);
}

static void clean(void) {
    char out[PATH];
    snprintf(out, sizeof out, "%s/out", dir);
    fixture_remove_dir(out);
}

/* The model and the log are those of a training to which nothing happened. */
static void check(void) {
    char out[PATH];
    size_t size;
    snprintf(out, sizeof out, "%s/out", dir);
    char *model = fixture_read(out, "model.safetensors", &size);
    assert_int_equal(size, wanted_size);
    assert_memory_equal(model, wanted, size);
    free(model);
    char *log = read_log(&size);
    assert_int_equal(size, wanted_log_size);
    assert_memory_equal(log, wanted_log, size);
    free(log);
}

static int open_device(void **state) {
    rp_error err = {0};
    char out[PATH];
    (void)state;
    if (!task_case_open("order", &small) || !fixture_make_dir(dir) ||
        !fixture_write_text(dir, "train.tsv", FILMS))
        return -1;
    snprintf(data, sizeof data, "%s/train.tsv", dir);
    if (!faults_install() || rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    /* twice: the first tries kernels */
    for (int i = 0; device && i < 2; i++) {
        if (i) clean();
        if (finetune(1, &err)) print_error("%s\n", err.message);
    }
    snprintf(out, sizeof out, "%s/out", dir);
    wanted = fixture_read(out, "model.safetensors", &wanted_size);
    wanted_log = read_log(&wanted_log_size);
    clean();
    return device ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    free(wanted);
    free(wanted_log);
    rp_device_close(&device);
    task_case_close(&small);
    fixture_remove_dir(dir);
    return 0;
}

/* A training whose call number `due` of `function` loses the device; false: it has not so many. */
static bool survives(const char *function, int due, uint64_t save_every) {
    rp_error err;
    fault_begin(function, due, VK_ERROR_DEVICE_LOST);
    rp_status status = finetune(save_every, &err);
    bool came = fault_end();
    if (status) fail_msg("%s %d: %s", function, due, err.message);
    assert_int_equal(warnings, came);
    check();
    clean();
    return came;
}

static void test_lost_at_any_submission(void **state) {
    (void)state;
    int due = 0;
    while (survives("vkQueueSubmit", due, 1)) due++;
    assert_true(due >= STEPS);
}

static void test_lost_at_a_wait(void **state) {
    (void)state;
    int due = 2;
    while (survives("vkWaitForFences", due, 2)) due += 13;
    assert_true(due > 2);
}

/* Without a checkpoint it begins again. */
static void test_lost_without_checkpoints(void **state) {
    (void)state;
    assert_true(survives("vkQueueSubmit", STEPS - 1, UINT64_MAX));
}

static bool is_update(const char *shader) {
    return !strncmp(shader, "update", 6);
}

/* A device that is lost at each update ends the training. */
static void test_lost_again_and_again(void **state) {
    rp_error err;
    (void)state;
    fault_shaders(is_update, VK_ERROR_DEVICE_LOST);
    assert_int_equal(finetune(1, &err), RP_ERROR_DEVICE_LOST);
    fault_shaders(NULL, VK_SUCCESS);
    assert_int_equal(warnings, 3);
    survives("vkQueueSubmit", 1 << 20, 1);
}

static rp_status pretrain(rp_error *err) {
    char out[PATH], text[PATH];
    const char *const corpus[] = {text};
    const rp_call call = {.log = take_log};
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(text, sizeof text, "%s/text.txt", dir);
    const rp_pretrain_params params = {.corpus = corpus,
                                       .corpus_count = 1,
                                       .init = small.dir,
                                       .out = out,
                                       .batch_size = 2,
                                       .steps = STEPS,
                                       .save_every = 2,
                                       .call = &call};
    warnings = 0;
    *err = (rp_error){0};
    return rp_pretrain(device, &params, err);
}

static void test_pretraining(void **state) {
    char out[PATH], *model = NULL, *again;
    size_t size, now;
    bool came = true;
    rp_error err;
    (void)state;
    snprintf(out, sizeof out, "%s/out", dir);
    assert_true(
        fixture_write_text(dir, "text.txt", "a letter came.\nhe read it.\n\nit rained.\nwe stayed.\n"));
    for (int due = -1; came; due += 9) {
        if (due >= 0) fault_begin("vkQueueSubmit", due, VK_ERROR_DEVICE_LOST);
        rp_status status = pretrain(&err);
        if (due >= 0) came = fault_end();
        if (status) fail_msg("%d: %s", due, err.message);
        again = fixture_read(out, "model.safetensors", model ? &now : &size);
        if (due >= 0) assert_int_equal(warnings, came);
        if (model) assert_true(now == size && !memcmp(model, again, size));
        if (model) free(again);
        if (!model) model = again;
        clean();
    }
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_at_any_submission), cmocka_unit_test(test_lost_at_a_wait),
        cmocka_unit_test(test_lost_without_checkpoints), cmocka_unit_test(test_lost_again_and_again),
        cmocka_unit_test(test_pretraining)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
