/* Faults over training: each kind of call of Vulkan, and each allocation of host memory, fails while steps
 * are made, while a model and a checkpoint are saved, while text or a teacher teaches. A status and a
 * message, nothing left behind, nothing that was saved is lost, and who goes on gets the bits of a training
 * that nothing disturbed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_faults.h"
#include "support_tasks.h"
#include "support_train.h"
#include "wrap_alloc.h"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static rp_device *device;
static train_case c;
static task_case small, teacher; /* models with a tokenizer */
static char dir[FIXTURE_PATH_SIZE];

static const char *in_dir(const char *name) {
    static char paths[8][PATH];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH, "%s/%s", dir, name);
    return path;
}

static int begin(void **state) {
    rp_error err = {0};
    (void)state;
    if (!faults_install() || rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && train_open("classify", &c) && task_case_open("order", &small) &&
                   task_case_open("classify", &teacher) && fixture_make_dir(dir)
               ? 0
               : -1;
}

static int end(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    task_case_close(&teacher);
    task_case_close(&small);
    train_close(&c);
    rp_device_close(&device);
    return 0;
}

static void assert_same_file(const char *a, const char *b) {
    size_t size, other;
    char *one = fixture_read(NULL, a, &size), *two = fixture_read(NULL, b, &other);
    if (size != other || memcmp(one, two, size)) fail_msg("%s differs from %s", b, a);
    free(one);
    free(two);
}

/* ---- steps, a model and a checkpoint ---- */

typedef enum stage { STEPS, MODEL, CHECKPOINT, DONE } stage;

/* Two steps, a model saved over another one, a checkpoint. `*reached` is where it ended. */
static rp_status work(rp_trainer *trainer, stage *reached, rp_error *err) {
    rp_status status = rp_trainer_step(trainer, &c.batches[0], NULL, err);
    *reached = STEPS;
    if (!status) status = rp_trainer_step(trainer, &c.batches[1], NULL, err);
    if (status) return status;
    *reached = MODEL;
    status = rp_trainer_save(trainer, in_dir("model"), true, err);
    if (status) return status;
    *reached = CHECKPOINT;
    status = rp_trainer_save_state(trainer, in_dir("state"), err);
    if (!status) *reached = DONE;
    return status;
}

static void open_trainer(rp_trainer **out, const char *resume) {
    rp_trainer_params params = train_params(&c);
    rp_error err = {0};
    params.resume = resume;
    if (rp_trainer_open(device, c.g.dir, &params, out, &err)) fail_msg("%s", err.message);
}

/* After a fault in a step nothing pretends that the trainer still knows what it learnt; after one in saving
 * it goes on, and saves the same bits. */
static void check_trainer(rp_trainer *trainer, stage reached) {
    rp_error err = {0};
    if (reached == STEPS) {
        rp_status status = rp_trainer_save(trainer, in_dir("model"), true, &err);
        if (status) assert_int_equal(status, RP_ERROR_DEVICE_LOST);
        return;
    }
    if (rp_trainer_save(trainer, in_dir("model"), true, &err)) fail_msg("%s", err.message);
    assert_same_file(in_dir("wanted/model.safetensors"), in_dir("model/model.safetensors"));
    fixture_remove_dir(in_dir("state"));
    if (rp_trainer_save_state(trainer, in_dir("state"), &err)) fail_msg("%s", err.message);
}

/* What has the name of a checkpoint is one: it opens, or it is refused for what is missing. */
static void check_checkpoint(void) {
    rp_trainer_params params = train_params(&c);
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    params.resume = in_dir("state");
    if (access(in_dir("state/trainer.json"), F_OK)) return;
    if (rp_trainer_open(device, c.g.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
    rp_trainer_close(&trainer);
}

/* One run in which something is to fail; true: it came. */
static bool run(const char *function, int n, VkResult result, stage *reached) {
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    fixture_remove_dir(in_dir("state"));
    open_trainer(&trainer, NULL);
    if (function)
        fault_begin(function, n, result);
    else
        alloc_begin(n);
    rp_status status = work(trainer, reached, &err);
    bool came = function ? fault_end() : alloc_end();
    if (!came) assert_int_equal(status, RP_OK);
    if (status) assert_true(err.status == status && strlen(err.message) > 20);
    if (status && !function) assert_int_equal(status, RP_ERROR_HOST_MEMORY);
    check_checkpoint();
    if (status)
        check_trainer(trainer, *reached);
    else
        assert_same_file(in_dir("wanted/model.safetensors"), in_dir("model/model.safetensors"));
    rp_trainer_close(&trainer);
    assert_int_equal(rp_device_memory_used(device), 0);
    return came;
}

static void make_wanted(void **state) {
    stage reached;
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    (void)state;
    for (int i = 0; i < 2; i++) { /* the first tries kernels */
        open_trainer(&trainer, NULL);
        fixture_remove_dir(in_dir("state"));
        if (work(trainer, &reached, &err)) fail_msg("%s", err.message);
        if (i && rp_trainer_save(trainer, in_dir("wanted"), false, &err)) fail_msg("%s", err.message);
        rp_trainer_close(&trainer);
    }
}

/* `comes`: in steps, too. */
static const struct {
    const char *function;
    VkResult result;
    bool comes;
} faults[] = {
    {"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY, true},
    {"vkWaitForFences", VK_ERROR_OUT_OF_DEVICE_MEMORY, true},
    {"vkResetFences", VK_ERROR_OUT_OF_DEVICE_MEMORY, true},
    {"vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, false},
    {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED, false},
    {"vkFlushMappedMemoryRanges", VK_ERROR_OUT_OF_HOST_MEMORY, false},
    {"vkInvalidateMappedMemoryRanges", VK_ERROR_OUT_OF_HOST_MEMORY, false},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_HOST_MEMORY, false},
    {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, false},
    {"vkEndCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, false},
    {"vkCreateFence", VK_ERROR_OUT_OF_HOST_MEMORY, false},
};

static void test_calls(void **state) {
    (void)state;
    make_wanted(NULL);
    for (size_t i = 0; i < RP_COUNT(faults); i++) {
        int n = 0;
        stage reached;
        for (bool came = true; came; n += n < 2 ? 1 : fixture_stride(4))
            came = run(faults[i].function, n, faults[i].result, &reached);
        assert_true(n > 1 || !faults[i].comes);
    }
}

static void test_allocations(void **state) {
    int failures[DONE + 1] = {0};
    (void)state;
    for (int n = 0;; n += 1 + n / 3) {
        stage reached;
        bool came = run(NULL, n, VK_SUCCESS, &reached);
        failures[reached]++;
        if (!came) break;
    }
    assert_true(failures[MODEL] + failures[CHECKPOINT] > 5 && failures[DONE] > 0);
}

/* ---- text, and a teacher ---- */

static rp_status pretrain(const char *out, rp_error *err) {
    const char *const corpus[] = {in_dir("text.txt")};
    const rp_pretrain_params params = {.corpus = corpus,
                                       .corpus_count = 1,
                                       .init = small.dir,
                                       .out = in_dir(out),
                                       .batch_size = 2,
                                       .steps = 3,
                                       .save_every = 1,
                                       .log = in_dir("pretrain.jsonl"),
                                       .resume = true};
    return rp_pretrain(device, &params, err);
}

static rp_status be_taught(const char *out, rp_error *err) {
    const rp_finetune_params params = {.model = small.dir,
                                       .teacher = teacher.dir,
                                       .train = in_dir("t.tsv"),
                                       .out = in_dir(out),
                                       .steps = 3,
                                       .batch_size = 2,
                                       .save_every = 1,
                                       .learning_rate = 1e-4,
                                       .resume = true};
    return rp_finetune(device, &params, err);
}

typedef rp_status training(const char *out, rp_error *err);

/* Each allocation that comes fails, in trainings that go on from what the one before has saved. */
static void sweep_allocations(training *train, const char *whole) {
    char model[64], want[64], out[16];
    int failures = 0, trainings = 0;
    rp_error err = {0};
    if (train("first", &err) || train(whole, &err)) fail_msg("%s", err.message);
    fixture_remove_dir(in_dir("first"));
    snprintf(want, sizeof want, "%s/model.safetensors", whole);
    for (int n = 0;; n += 1 + n / 3) {
        snprintf(out, sizeof out, "out%d", trainings);
        alloc_begin(n);
        rp_status status = train(out, &err);
        bool came = alloc_end();
        if (status && status != RP_ERROR_HOST_MEMORY) fail_msg("%d: %d, %s", n, status, err.message);
        assert_true(came || !status);
        failures += status != RP_OK;
        if (status) continue;
        snprintf(model, sizeof model, "%s/model.safetensors", out);
        assert_same_file(in_dir(want), in_dir(model));
        fixture_remove_dir(in_dir(out));
        trainings++;
        if (!came) break;
    }
    print_message("%d failures, %d trainings\n", failures, trainings);
    assert_true(failures > 10);
}

static void test_pretraining(void **state) {
    (void)state;
    assert_true(
        fixture_write_text(dir, "text.txt", "a letter came.\nhe read it.\n\nit rained.\nwe stayed.\n"));
    sweep_allocations(pretrain, "pretrained");
}

/* Calls fail while rp_pretrain opens a model, makes steps and saves: an error, after which it goes on to the
 * same bits. */
static void test_calls_of_pretraining(void **state) {
    rp_error err = {0};
    int failures = 0;
    (void)state;
    for (size_t i = 0; i < RP_COUNT(faults); i++) {
        bool came = true;
        for (int n = (int)i % fixture_stride(3); came; n += 1 + n * fixture_stride(6) / 6) {
            fault_begin(faults[i].function, n, faults[i].result);
            rp_status status = pretrain("calls", &err);
            came = fault_end();
            assert_true(came || !status);
            if (status) assert_true(err.status == status && strlen(err.message) > 20);
            failures += status != RP_OK;
            if (status && pretrain("calls", &err)) fail_msg("%s %d: %s", faults[i].function, n, err.message);
            assert_same_file(in_dir("pretrained/model.safetensors"), in_dir("calls/model.safetensors"));
            fixture_remove_dir(in_dir("calls"));
            assert_int_equal(rp_device_memory_used(device), 0);
        }
    }
    assert_true(failures > 5);
}

static void test_a_teacher(void **state) {
    (void)state;
    assert_true(fixture_write_text(dir, "t.tsv", "sentence\na warm film\na dull film\na fine one\nit ran\n"));
    sweep_allocations(be_taught, "taught");
}

/* The device is lost while a teacher answers, between its pupil's steps: the training ends with the same
 * bits. */
static void test_a_lost_teacher(void **state) {
    rp_error err = {0};
    int n = 0;
    (void)state;
    for (bool came = true; came; n += fixture_stride(6)) {
        fault_begin("vkQueueSubmit", n, VK_ERROR_DEVICE_LOST);
        rp_status status = be_taught("lost", &err);
        came = fault_end();
        if (status) fail_msg("%d: %s", n, err.message);
        assert_same_file(in_dir("taught/model.safetensors"), in_dir("lost/model.safetensors"));
        fixture_remove_dir(in_dir("lost"));
    }
    assert_true(n > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),          cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_pretraining),    cmocka_unit_test(test_a_teacher),
        cmocka_unit_test(test_a_lost_teacher), cmocka_unit_test(test_calls_of_pretraining),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
