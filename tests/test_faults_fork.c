/* A process that was forked from one with an open device: its calls fail and say why, closing does nothing,
 * and the parent works on. Also when the fork comes while other threads hold every lock there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/alloc.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "tools/bench/measure.h"

#define MODEL SOURCE_DIR "/tools/models/sentiment"

static rp_device *device;
static rp_model *model;
static const int32_t ids[] = {2, 17, 3};
static const rp_sequence sequence = {.ids = ids, .count = 3};
static const rp_run_params classes = {.output = RP_OUTPUT_CLASSES};

static int setup(void **state) {
    rp_error err = {0};
    (void)state;
    const rp_model_params params = {.verify_every = 1};
    if (rp_device_open(NULL, &device, &err) || rp_model_open(device, MODEL, &params, &model, &err))
        print_error("%s\n", err.message);
    return model ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rp_model_close(&model);
    rp_device_close(&device);
    return 0;
}

static rp_status run(rp_error *err) {
    float out[64];
    return rp_model_run(model, &sequence, 1, &classes, out, RP_COUNT(out), NULL, err);
}

static bool refused(rp_status status, rp_error *err) {
    bool told = strstr(err->message, "forked from it") && strstr(err->message, "after the fork");
    *err = (rp_error){0};
    return status == RP_ERROR_DEVICE && told;
}

/* What the child sees; 0 or the number of the first thing that is wrong. */
static int in_child(void) {
    const rp_input input = {{"a warm and funny film", 21}, {0}};
    rp_error err = {0};
    rp_model *other = NULL;
    rp_result *result = NULL;
    rp_roofline roofline;
    rp_replay_time time;
    if (!refused(run(&err), &err)) return 1;
    if (!refused(rp_classify(model, &input, 1, NULL, &result, &err), &err) || result) return 2;
    if (!refused(rp_model_open(device, MODEL, NULL, &other, &err), &err) || other) return 3;
    if (!refused(rp_bench_roofline(device, RP_ROOFLINE_COSTS, &roofline, &err), &err)) return 4;
    if (!refused(rp_bench_replay(model, RP_REPLAY_LISTED, 1, 1, 1, &time, &err), &err)) return 5;
    /* what needs no device */
    rp_encoding encoding = {0};
    if (rp_tokenize(rp_model_get_tokenizer(model), input.text, (rp_text){0}, NULL, &encoding, &err)) return 6;
    if (!encoding.count || !rp_model_get_info(model)->hidden_size) return 7;
    rp_encoding_free(&encoding);
    if (!rp_device_get_info(device)->usable) return 8;
    rp_verify_counts counts = {.checked = 9};
    rp_model_verify_counts(model, true, &counts); /* whoever would recompute is not here */
    if (counts.checked || counts.dropped) return 10;
    rp_model_close(&model);
    rp_device_close(&device);
    return model || device ? 9 : 0;
}

static void check_fork(void) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        alarm(60); /* a child that hangs is no child that fails */
        _exit(in_child());
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fork(void **state) {
    rp_error err = {0};
    (void)state;
    check_fork();
    assert_int_equal(run(&err), RP_OK); /* the parent's device is its own still */
}

static atomic_bool stop;

static void *keep_running(void *unused) {
    (void)unused;
    while (!stop) run(NULL);
    return NULL;
}

static void test_fork_beside_threads(void **state) {
    pthread_t threads[3];
    rp_error err = {0};
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its malloc does not survive a fork beside other threads; the C library's does */
#endif
    for (size_t i = 0; i < RP_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_running, NULL), 0);
    for (int i = 0; i < 10; i++) check_fork();
    stop = true;
    for (size_t i = 0; i < RP_COUNT(threads); i++) pthread_join(threads[i], NULL);
    assert_int_equal(run(&err), RP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_beside_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
