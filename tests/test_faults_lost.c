/* VK_ERROR_DEVICE_LOST at every submission and every wait: the call reports it, and the next one, on the same
 * handles, gives the same bits as if nothing had happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/model.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_fixture.h"
#include "tools/bench/measure.h"

enum { FLOATS = 4096 };

static rp_device *device;
static golden g;
static float wanted[FLOATS], got[FLOATS];

static void open_device(void) {
    rp_error err = {0};
    rp_status status = rp_device_open(NULL, &device, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
}

static rp_model *open_model(void) {
    rp_error err = {0};
    rp_model *model = NULL;
    rp_status status = rp_model_open(device, g.dir, NULL, &model, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    return model;
}

static rp_status run(rp_model *model, float *out, rp_error *err) {
    memset(out, 0xee, FLOATS * sizeof *out);
    return rp_model_run(model, g.sequences, 2, NULL, out, FLOATS, NULL, err);
}

/* It gives what it gave before. */
static void check_runs(rp_model *model) {
    rp_error err = {0};
    rp_status status = run(model, got, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_memory_equal(got, wanted, sizeof wanted);
}

static void check_lost(rp_status status, const rp_error *err) {
    assert_int_equal(status, RP_ERROR_DEVICE_LOST);
    assert_int_equal(err->status, RP_ERROR_DEVICE_LOST);
    assert_true(strlen(err->message) > 20);
}

/* Lose the device in a run of this model. */
static void lose(rp_model *model) {
    rp_error err = {0};
    fault_begin("vkWaitForFences", 0, VK_ERROR_DEVICE_LOST);
    rp_status status = run(model, got, &err);
    assert_true(fault_end());
    check_lost(status, &err);
}

/* A device whose memory the host does not see; its kernels, and so its bits, may be others. */
static void open_hidden_device(void) {
    rp_error err = {0};
    open_device();
    faults_hide_memory(device);
    rp_model *model = open_model();
    assert_int_equal(run(model, wanted, &err), RP_OK);
    rp_model_close(&model);
}

static int restore_wanted(void **state) {
    (void)state;
    rp_error err = {0};
    faults_hide_memory(NULL);
    open_device();
    rp_model *model = open_model();
    assert_int_equal(run(model, wanted, &err), RP_OK);
    rp_model_close(&model);
    rp_device_close(&device);
    return 0;
}

static int setup(void **state) {
    if (!faults_install() || !golden_open("groups", NULL, &g)) return -1;
    return restore_wanted(state);
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

/* ---- every place ---- */

/* Open and run, twice where the run meets the fault. True when the fault came. */
static bool lose_at(const char *function, int due) {
    rp_error err = {0};
    rp_model *model = NULL;
    fault_begin(function, due, VK_ERROR_DEVICE_LOST);
    rp_status status = rp_model_open(device, g.dir, NULL, &model, &err);
    if (status) fail_msg("%s", err.message); /* the device is opened again within the call */
    const rp_model_info *info = rp_model_get_info(model);
    uint64_t bytes = rp_device_memory_used(device);
    status = run(model, got, &err);
    bool came = fault_end();
    if (status) check_lost(status, &err);
    check_runs(model);
    assert_ptr_equal(info, rp_model_get_info(model));
    assert_int_equal(rp_device_memory_used(device), bytes);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
    return came;
}

static void lose_everywhere(const char *function, bool stage, int least) {
    int count = 0;
    if (stage)
        open_hidden_device();
    else
        open_device();
    while (lose_at(function, count)) count++;
    assert_true(count >= least);
    rp_device_close(&device);
}

static void test_every_submit(void **state) {
    (void)state;
    lose_everywhere("vkQueueSubmit", false, 1);
    lose_everywhere("vkQueueSubmit", true, 3); /* weights, counters, the run */
}

static void test_every_wait(void **state) {
    (void)state;
    lose_everywhere("vkWaitForFences", false, 1);
    lose_everywhere("vkWaitForFences", true, 3);
}

/* A device that is lost again as soon as it has been opened again: one repetition and an error, nothing left
 * behind. */
static void test_lost_for_good(void **state) {
    rp_error err = {0};
    rp_model *model = NULL;
    (void)state;
    open_hidden_device();
    unsigned before = faults_seen().devices;
    fault_begin("vkQueueSubmit", 0, VK_ERROR_DEVICE_LOST);
    fault_repeat(100); /* the first is of the weights: no kernel is to blame */
    rp_status status = rp_model_open(device, g.dir, NULL, &model, &err);
    assert_true(fault_end());
    check_lost(status, &err);
    assert_null(model);
    assert_int_equal(faults_seen().devices, before + 1);
    assert_int_equal(rp_device_memory_used(device), 0);
    fault_begin("vkQueueSubmit", 0, VK_ERROR_DEVICE_LOST);
    status = rp_model_open(device, g.dir, NULL, &model, &err);
    assert_true(fault_end());
    assert_int_equal(status, RP_OK);
    check_runs(model);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* ---- one device, several models ---- */

static void test_other_models_come_back(void **state) {
    (void)state;
    open_device();
    rp_model *first = open_model(), *second = open_model(), *third = open_model();
    lose(first);
    rp_model_close(&third); /* what is on a lost device can be given back */
    check_runs(second);
    check_runs(first);
    unsigned before = faults_seen().devices;
    check_runs(first); /* and stays */
    check_runs(second);
    assert_int_equal(faults_seen().devices, before);
    lose(second);
    lose(second); /* lost again by the call that opened it again */
    check_runs(second);
    assert_int_equal(faults_seen().devices, before + 2);
    lose(second);
    third = open_model();
    check_runs(third);
    lose(third);
    rp_model_close(&first);
    rp_model_close(&second);
    rp_model_close(&third);
    rp_device_close(&device); /* closed while it is lost */
}

enum { THREADS = 4, RUNS = 12 };

typedef struct worker {
    pthread_t thread;
    rp_model *model;
    unsigned lost, wrong;
} worker;

static void *work(void *user) {
    worker *w = user;
    float *out = malloc(FLOATS * sizeof *out);
    for (int i = 0; out && i < RUNS; i++) {
        rp_status status = run(w->model, out, NULL);
        if (status == RP_ERROR_DEVICE_LOST)
            w->lost++;
        else if (status || memcmp(out, wanted, sizeof wanted) != 0)
            w->wrong++;
    }
    free(out);
    return NULL;
}

static void test_threads(void **state) {
    static const char *const functions[] = {"vkQueueSubmit", "vkWaitForFences"};
    (void)state;
    open_device();
    rp_model *models[] = {open_model(), open_model()};
    for (size_t n = 0; n < 2 * RP_COUNT(functions); n++) {
        worker workers[THREADS] = {{0}};
        unsigned lost = 0;
        fault_begin(functions[n % 2], 10, VK_ERROR_DEVICE_LOST);
        for (size_t i = 0; i < THREADS; i++) {
            workers[i].model = models[i % 2];
            assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(workers[i].thread, NULL);
            assert_int_equal(workers[i].wrong, 0);
            lost += workers[i].lost;
        }
        assert_true(fault_end());
        assert_in_range(lost, 1, THREADS);
    }
    check_runs(models[0]);
    check_runs(models[1]);
    rp_model_close(&models[0]);
    rp_model_close(&models[1]);
    assert_int_equal(rp_device_memory_used(device), 0);
    rp_device_close(&device);
}

/* ---- coming back can fail too ---- */

typedef struct obstacle {
    const char *function;
    VkResult result;
    rp_status status;
} obstacle;

/* Each call of these is made to fail while the device or the model is made again. */
static void test_failing_rebuild(void **state) {
    static const obstacle obstacles[] = {
        {"vkCreateDevice", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST},
        {"vkCreateDevice", VK_ERROR_INITIALIZATION_FAILED, RP_ERROR_DEVICE},
        {"vkCreatePipelineCache", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY},
        {"vkAllocateMemory", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY},
        {"vkCreateComputePipelines", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST},
        {"vkQueueSubmit", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST},
    };
    (void)state;
    open_hidden_device();
    rp_model *model = open_model();
    for (size_t i = 0; i < RP_COUNT(obstacles); i++) {
        const obstacle *o = &obstacles[i];
        for (int n = 0, step = 1;; n += step) {
            rp_error err = {0};
            lose(model);
            fault_begin(o->function, n, o->result);
            rp_status status = run(model, got, &err);
            if (!fault_end()) {
                assert_int_equal(status, RP_OK);
                assert_true(n > 0);
                break;
            }
            bool harmless = !strcmp(o->function, "vkCreatePipelineCache") && !status;
            if (!harmless) {
                assert_int_equal(status, o->status);
                assert_true(strlen(err.message) > 20);
            }
            check_runs(model);
            if (n > 8) step = 5;
        }
    }
    rp_model_close(&model);
    rp_device_close(&device);
}

/* ---- where the weights come from ---- */

static void weights_path(char out[FIXTURE_PATH_SIZE + 32]) {
    snprintf(out, FIXTURE_PATH_SIZE + 32, "%s/model.safetensors", g.dir);
}

static void test_changed_file(void **state) {
    char path[FIXTURE_PATH_SIZE + 32];
    struct stat before;
    rp_error err = {0};
    (void)state;
    open_device();
    rp_model *model = open_model();
    lose(model);
    weights_path(path);
    assert_int_equal(stat(path, &before), 0);
    struct timespec times[2] = {before.st_atim, before.st_mtim}, later[2] = {before.st_atim, before.st_mtim};
    later[1].tv_sec++;
    assert_int_equal(utimensat(AT_FDCWD, path, later, 0), 0);
    assert_int_equal(run(model, got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "was changed since"));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    check_runs(model); /* another try */

    lose(model);
    assert_int_equal(truncate(path, before.st_size / 2), 0);
    assert_int_equal(run(model, got, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "was changed since"));
    rp_model_close(&model);
    rp_device_close(&device);
    golden_close(&g);
    assert_true(golden_open("groups", NULL, &g));
}

/* The mapping outlives the file. */
static void test_removed_file(void **state) {
    (void)state;
    open_device();
    rp_model *model = open_model();
    char path[FIXTURE_PATH_SIZE + 32];
    weights_path(path);
    assert_int_equal(unlink(path), 0);
    lose(model);
    check_runs(model);
    rp_model_close(&model);
    rp_device_close(&device);
    golden_close(&g);
    assert_true(golden_open("groups", NULL, &g));
}

/* Large enough for kernels to be measured: a model that comes back keeps those that it had. */
static void test_random_weights(void **state) {
    static const char config[] =
        "{\"model_type\": \"albert\", \"architectures\": [\"AlbertModel\"], \"vocab_size\": 100,"
        " \"embedding_size\": 64, \"hidden_size\": 192, \"num_attention_heads\": 3,"
        " \"intermediate_size\": 384, \"num_hidden_layers\": 2, \"max_position_embeddings\": 32}";
    static float before[64 * 192], after[64 * 192];
    static const int32_t ids[] = {2, 17, 45, 99, 3};
    const rp_sequence sequence = {.ids = ids, .count = 5};
    char dir[FIXTURE_PATH_SIZE];
    rp_error err = {0};
    rp_model *model = NULL;
    (void)state;
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_text(dir, "config.json", config));
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = ""}, &device, &err), RP_OK);
    rp_model_params params = {.random_seed = 7};
    if (rp_model_open_random(device, dir, &params, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    assert_int_equal(rp_model_run(model, &sequence, 1, NULL, before, 5 * 192, NULL, &err), RP_OK);
    assert_true(device->spent.tuning > 0);
    double tuning = device->spent.tuning;
    fault_begin("vkWaitForFences", 0, VK_ERROR_DEVICE_LOST);
    check_lost(rp_model_run(model, &sequence, 1, NULL, after, 5 * 192, NULL, &err), &err);
    assert_true(fault_end());
    assert_int_equal(rp_model_run(model, &sequence, 1, NULL, after, 5 * 192, NULL, &err), RP_OK);
    assert_memory_equal(after, before, 5 * 192 * sizeof(float));
    assert_true(device->spent.tuning == tuning);
    rp_model_close(&model);
    rp_device_close(&device);
    fixture_remove_dir(dir);
}

/* ---- the level of texts, and measuring ---- */

static void test_task(void **state) {
    rp_error err = {0};
    rp_model *model = NULL;
    rp_result *result = NULL;
    const rp_input input = {{"a warm and funny film", 21}, {0}};
    size_t count;
    (void)state;
    open_device();
    assert_int_equal(rp_model_open(device, SOURCE_DIR "/tools/models/sentiment", NULL, &model, &err), RP_OK);
    assert_int_equal(rp_classify(model, &input, 1, NULL, &result, &err), RP_OK);
    float score = rp_result_labels(result, 0, &count)[0].score;
    rp_result_free(&result);
    fault_begin("vkQueueSubmit", 0, VK_ERROR_DEVICE_LOST);
    check_lost(rp_classify(model, &input, 1, NULL, &result, &err), &err);
    assert_true(fault_end());
    assert_null(result);
    assert_int_equal(rp_classify(model, &input, 1, NULL, &result, NULL), RP_OK);
    assert_true(rp_result_labels(result, 0, &count)[0].score == score);
    rp_result_free(&result);
    rp_model_close(&model);
    rp_device_close(&device);
}

static void take_span(void *user, const rp_trace_span *span) {
    (void)user, (void)span;
}

static void test_measuring(void **state) {
    rp_error err = {0};
    rp_replay_time time;
    rp_roofline roofline;
    (void)state;
    open_device();
    rp_model *model = open_model();
    fault_begin("vkWaitForFences", 1, VK_ERROR_DEVICE_LOST);
    check_lost(rp_bench_replay(model, RP_REPLAY_SUBMITTED, 3, 4, 2, &time, &err), &err);
    assert_true(fault_end());
    assert_int_equal(rp_bench_replay(model, RP_REPLAY_RECORDED, 3, 4, 2, &time, &err), RP_OK);
    if (device->caps.info.timestamps) {
        lose(model);
        assert_int_equal(rp_bench_trace(model, g.sequences, 1, take_span, NULL, &err), RP_OK);
    }
    lose(model);
    assert_int_equal(rp_bench_roofline(device, RP_ROOFLINE_COSTS, &roofline, &err), RP_OK);
    check_runs(model);
    rp_model_close(&model);
    rp_device_close(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_submit, restore_wanted),
        cmocka_unit_test_teardown(test_every_wait, restore_wanted),
        cmocka_unit_test_teardown(test_lost_for_good, restore_wanted),
        cmocka_unit_test(test_other_models_come_back),
        cmocka_unit_test(test_threads),
        cmocka_unit_test_teardown(test_failing_rebuild, restore_wanted),
        cmocka_unit_test(test_changed_file),
        cmocka_unit_test(test_removed_file),
        cmocka_unit_test(test_random_weights),
        cmocka_unit_test(test_task),
        cmocka_unit_test(test_measuring),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
