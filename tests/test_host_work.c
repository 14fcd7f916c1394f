/* Host work holds no other thread up: while one thread reads the files of a model, waits for its tokenizer,
 * writes to the cache or hands out what a check found, another one finds the device lost, opens it again and
 * runs. Were the device still entered by the first, the other would wait for it until the alarm. */
#include <pthread.h>
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
#include "gpu/cache.h"
#include "loader/weights.h"
#include "model/model.h"
#include "reprise/check.h"
#include "reprise/reprise.h"
#include "support_faults.h"
#include "support_fixture.h"
#include "tools/bench/measure.h"

enum { FLOATS = 4096, PATIENCE = 120 /* seconds */ };

static rp_device *device;
static golden g;
static char cache[FIXTURE_PATH_SIZE];
static float wanted[FLOATS], got[FLOATS];

/* ---- host work that takes until it is let go ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *slow; /* what waits, once; NULL: nothing */
    bool waiting;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* `*what` is slow from now on; NULL: what waits goes on. */
static void set_slow(const char *what) {
    pthread_mutex_lock(&gate.lock);
    gate.slow = what;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void pass(const char *what) {
    pthread_mutex_lock(&gate.lock);
    bool slow = gate.slow && !strcmp(gate.slow, what);
    if (slow) gate.waiting = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.slow && !strcmp(gate.slow, what)) pthread_cond_wait(&gate.changed, &gate.lock);
    if (slow) gate.waiting = false; /* others pass meanwhile */
    pthread_mutex_unlock(&gate.lock);
}

static void wait_for_it(void) {
    pthread_mutex_lock(&gate.lock);
    while (!gate.waiting) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* The linker sends the library's calls here. */
rp_status __real_rp_weights_load(const char *dir, rp_config *config, rp_weights *out, rp_error *err);
rp_status __wrap_rp_weights_load(const char *dir, rp_config *config, rp_weights *out, rp_error *err);
rp_status __wrap_rp_weights_load(const char *dir, rp_config *config, rp_weights *out, rp_error *err) {
    pass("weights");
    return __real_rp_weights_load(dir, config, out, err);
}

rp_status __real_rp_weights_check_unchanged(const rp_weights *weights, rp_error *err);
rp_status __wrap_rp_weights_check_unchanged(const rp_weights *weights, rp_error *err);
rp_status __wrap_rp_weights_check_unchanged(const rp_weights *weights, rp_error *err) {
    pass("weights again");
    return __real_rp_weights_check_unchanged(weights, err);
}

rp_status __real_rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err);
rp_status __wrap_rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err);
rp_status __wrap_rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err) {
    pass("tokenizer");
    return __real_rp_tokenizer_open(dir, out, err);
}

bool __real_rp_cache_write(const char *dir, const char *name, const void *data, size_t size);
bool __wrap_rp_cache_write(const char *dir, const char *name, const void *data, size_t size);
bool __wrap_rp_cache_write(const char *dir, const char *name, const void *data, size_t size) {
    if (!strncmp(name, "pipelines-", 10)) pass("pipelines");
    return __real_rp_cache_write(dir, name, data, size);
}

/* ---- the two threads ---- */

typedef struct other {
    pthread_t thread;
    const char *dir;
    rp_model *model; /* run; NULL: opened from `dir` */
    rp_status status;
    rp_error err;
} other;

static void *open_or_run(void *user) {
    other *o = user;
    float *out = calloc(FLOATS, sizeof *out);
    o->status = RP_ERROR_HOST_MEMORY;
    if (out && o->model)
        o->status = rp_model_run(o->model, g.sequences, 2, NULL, out, FLOATS, NULL, &o->err);
    else if (out)
        o->status = rp_model_open(device, o->dir, NULL, &o->model, &o->err);
    free(out);
    return NULL;
}

static rp_model *open_model(const char *dir) {
    rp_error err = {0};
    rp_model *model = NULL;
    rp_status status = rp_model_open(device, dir, NULL, &model, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    return model;
}

static void check_runs(rp_model *model) {
    rp_error err = {0};
    memset(got, 0xee, sizeof got);
    rp_status status = rp_model_run(model, g.sequences, 2, NULL, got, FLOATS, NULL, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_memory_equal(got, wanted, sizeof wanted);
}

static void lose(rp_model *model) {
    rp_error err = {0};
    fault_begin("vkWaitForFences", 0, VK_ERROR_DEVICE_LOST);
    rp_status status = rp_model_run(model, g.sequences, 2, NULL, got, FLOATS, NULL, &err);
    assert_true(fault_end());
    assert_int_equal(status, RP_ERROR_DEVICE_LOST);
}

/* Nobody has entered the device, or whoever has leaves it. */
static void wait_until_left(void) {
    while (pthread_rwlock_trywrlock(&device->entered)) usleep(1000);
    pthread_rwlock_unlock(&device->entered);
}

/* The device is lost and opened again while the other thread waits in what is slow. */
static void lose_meanwhile(rp_model *model) {
    unsigned devices = faults_seen().devices;
    wait_for_it();
    wait_until_left();
    lose(model);
    check_runs(model);
    assert_int_equal(faults_seen().devices, devices + 1);
    set_slow(NULL);
}

static void begin(other *o, const char *slow) {
    alarm(PATIENCE);
    set_slow(slow);
    assert_int_equal(pthread_create(&o->thread, NULL, open_or_run, o), 0);
}

static void end(other *o) {
    pthread_join(o->thread, NULL);
    alarm(0);
    if (o->status) print_error("%s\n", o->err.message);
    assert_int_equal(o->status, RP_OK);
}

/* ---- tests ---- */

static void open_slowly(const char *slow) {
    rp_model *model = open_model(g.dir);
    other o = {.dir = g.dir};
    begin(&o, slow);
    lose_meanwhile(model);
    end(&o);
    check_runs(o.model);
    check_runs(model);
    rp_model_close(&o.model);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

static void test_weights(void **state) {
    (void)state;
    open_slowly("weights");
}

static void test_writing_pipelines(void **state) {
    (void)state;
    device->pipeline_cache_size = 0; /* there is news to write */
    rp_model *model = open_model(g.dir);
    device->pipeline_cache_size = 0;
    other o = {.dir = g.dir};
    begin(&o, "pipelines");
    lose_meanwhile(model);
    end(&o);
    check_runs(o.model);
    rp_model_close(&o.model);
    rp_model_close(&model);
}

static void test_tokenizer(void **state) {
    static const char *const dirs[] = {SOURCE_DIR "/tools/models/sentiment", NULL};
    (void)state;
    rp_model *model = open_model(g.dir);
    uint64_t before = rp_device_memory_used(device);
    other o = {.dir = dirs[0]};
    begin(&o, "tokenizer");
    while (rp_device_memory_used(device) == before) usleep(1000); /* its weights are sent */
    lose_meanwhile(model);
    end(&o);
    const rp_input input = {{"a warm and funny film", 21}, {0}};
    rp_result *result = NULL;
    assert_int_equal(rp_classify(o.model, &input, 1, NULL, &result, NULL), RP_OK);
    rp_result_free(&result);
    rp_model_close(&o.model);
    rp_model_close(&model);
}

/* Of a model that is made again. */
static void test_files_of_a_lost_model(void **state) {
    (void)state;
    rp_model *model = open_model(g.dir), *second = open_model(g.dir);
    other o = {.model = second};
    lose(model);
    check_runs(model);
    begin(&o, "weights again");
    wait_for_it();
    wait_until_left();
    unsigned devices = faults_seen().devices;
    fault_begin("vkWaitForFences", 0, VK_ERROR_DEVICE_LOST);
    assert_int_equal(rp_model_run(model, g.sequences, 2, NULL, got, FLOATS, NULL, NULL),
                     RP_ERROR_DEVICE_LOST);
    assert_true(fault_end());
    rp_roofline costs;
    assert_int_equal(rp_bench_roofline(device, RP_ROOFLINE_COSTS, &costs, NULL), RP_OK); /* opens it again */
    assert_int_equal(faults_seen().devices, devices + 1);
    set_slow(NULL);
    end(&o);
    check_runs(second);
    check_runs(model);
    rp_model_close(&second);
    rp_model_close(&model);
}

static void take_slowly(void *user, const rp_check_result *result) {
    unsigned *seen = user;
    assert_int_equal(result->verdict, RP_CHECK_RIGHT);
    if (!*seen) {
        rp_model *model = open_model(g.dir);
        wait_until_left();
        lose(model);
        check_runs(model);
        rp_model_close(&model);
    }
    ++*seen;
}

/* Whoever takes the results may use the device too. */
static void test_results_of_a_check(void **state) {
    (void)state;
    rp_error err = {0};
    unsigned seen = 0;
    uint32_t failed;
    const rp_check_params params = {.only = "gather", .threads = 1};
    alarm(PATIENCE);
    rp_status status = rp_check_kernels(device, &params, take_slowly, &seen, &failed, &err);
    alarm(0);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_int_equal(failed, 0);
    assert_int_equal(seen, 2);
}

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!faults_install() || !golden_open("groups", NULL, &g) || !fixture_make_dir(cache)) return -1;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) return -1;
    memset(wanted, 0xee, sizeof wanted);
    rp_model *model = open_model(g.dir);
    rp_status status = rp_model_run(model, g.sequences, 2, NULL, wanted, FLOATS, NULL, &err);
    rp_model_close(&model);
    return status ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    golden_close(&g);
    fixture_remove_dir(cache);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_writing_pipelines),
        cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_files_of_a_lost_model),
        cmocka_unit_test(test_results_of_a_check),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
