/* What a call tells (progress, log), and what becomes of calls when somebody closes what they use, or when
 * the device is lost between two of them. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_callers.h"
#include "support_faults.h"

enum { THREADS = 8 };

/* ---- progress ---- */

typedef struct told {
    pthread_t thread;
    size_t calls, done, total;
    bool wrong;
} told;

static void listen(void *user, size_t done, size_t total) {
    told *t = user;
    t->wrong |= !pthread_equal(t->thread, pthread_self()) || done <= t->done || done > total ||
                (t->calls && total != t->total);
    t->calls++;
    t->done = done;
    t->total = total;
}

static void test_progress(void **state) {
    enum { TEXTS = 20 };
    rp_input inputs[TEXTS] = {{{0}, {0}}};
    rp_text texts[TEXTS];
    rp_result *result = NULL;
    rp_model *other = NULL;
    rp_error err;
    (void)state;
    told t = {.thread = pthread_self()};
    caller c = {.count = LONG, .call = {.progress = listen, .user = &t}};
    c.status = caller_run(&c);
    caller_check(&c);
    assert_true(!t.wrong && t.calls == LONG && t.done == LONG && t.total == LONG);

    assert_int_equal(rp_model_open(device, SOURCE_DIR "/tools/models/sentiment", NULL, &other, &err), RP_OK);
    other->pace.batch = 1e-12;
    for (size_t i = 0; i < TEXTS;
         i++) /* those that cannot be used count as done, too; the last one is such */
        texts[i] = inputs[i].text = i % 3 == 1 ? (rp_text){"\xff", 1} : (rp_text){"a film", 6};
    for (int pooling = 0; pooling < 3; pooling++) {
        t = (told){.thread = pthread_self()};
        const rp_call call = {.progress = listen, .user = &t};
        rp_status status =
            pooling ? rp_embed(other, texts, TEXTS,
                               &(rp_embed_params){.pooling = pooling == 1 ? RP_POOLING_MEAN : RP_POOLING_NONE,
                                                  .call = &call},
                               &result, &err)
                    : rp_classify(other, inputs, TEXTS, &(rp_classify_params){.call = &call}, &result, &err);
        assert_int_equal(status, RP_OK);
        assert_int_equal(rp_result_status(result, 1, NULL), RP_ERROR_TEXT);
        rp_result_free(&result);
        assert_true(!t.wrong && t.done == TEXTS && t.total == TEXTS);
        assert_in_range(t.calls, 10, TEXTS);
    }
    t = (told){.thread = pthread_self()};
    const rp_call call = {.progress = listen, .user = &t};
    assert_int_equal(rp_classify(other, NULL, 0, &(rp_classify_params){.call = &call}, &result, &err), RP_OK);
    rp_result_free(&result);
    assert_int_equal(t.calls, 0);
    rp_model_close(&other);
}

/* ---- closing ---- */

typedef struct closer {
    rp_status closed, nested; /* what the callback got */
    rp_model *kept;
    atomic_bool waits; /* until the gate is closing */
    atomic_size_t done;
} closer;

static bool is_closing(rp_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    bool closing = gate->closing;
    pthread_mutex_unlock(&gate->lock);
    return closing;
}

static void close_inside(void *user, size_t done, size_t total) {
    closer *c = user;
    rp_model *mine = c->kept;
    (void)total;
    c->closed = rp_model_close(&mine);
    if (mine != c->kept) c->closed = RP_OK;
    c->done = done;
}

static void test_close_from_callback(void **state) {
    closer c = {.kept = model};
    caller inside = {.count = 2, .call = {.progress = close_inside, .user = &c}};
    (void)state;
    alarm(300);
    inside.status = caller_run(&inside);
    caller_check(&inside);
    assert_int_equal(c.closed, RP_ERROR_ARGUMENT);
    rp_device *same = device; /* a model is on it */
    assert_int_equal(rp_device_close(&same), RP_ERROR_ARGUMENT);
    assert_ptr_equal(same, device);
    inside.call.progress = NULL;
    inside.status = caller_run(&inside); /* and everything works on */
    caller_check(&inside);
    rp_device *nothing = NULL;
    assert_int_equal(rp_device_close(&nothing), RP_OK);
    assert_int_equal(rp_device_close(NULL), RP_OK);
    assert_int_equal(rp_model_close(NULL), RP_OK);
}

static void take_result(void *user, const rp_check_result *result) {
    rp_device **own = user;
    (void)result;
    rp_device *same = own[0];
    if (rp_device_close(&same) == RP_ERROR_ARGUMENT && same == own[0]) own[1] = same;
}

static void test_close_device_from_callback(void **state) {
    rp_device *own[2] = {NULL, NULL};
    rp_error err;
    (void)state;
    assert_int_equal(rp_device_open(NULL, &own[0], &err), RP_OK);
    const rp_check_params params = {.config = "base", .only = "pool"};
    assert_int_equal(rp_check_kernels(own[0], &params, take_result, own, NULL, &err), RP_OK);
    assert_ptr_equal(own[0], own[1]);
    assert_int_equal(rp_device_close(&own[0]), RP_OK);
}

/* Once somebody closes the model, a call that begins is told so, and the one that began before goes on. */
static void wait_inside(void *user, size_t done, size_t total) {
    closer *c = user;
    (void)total;
    c->done = done;
    if (done > 1) return;
    c->waits = true;
    while (!is_closing(&c->kept->gate)) nap();
    caller late = {.count = 1};
    const rp_run_params params = {.output = RP_OUTPUT_MEAN};
    c->nested = rp_model_run(c->kept, many, 1, &params, late.got, RP_COUNT(late.got), NULL, &late.err);
}

static void test_close_waits(void **state) {
    closer c = {.kept = model};
    caller inside = {.count = LONG, .call = {.progress = wait_inside, .user = &c}};
    (void)state;
    alarm(300);
    caller_begin(&inside);
    while (!c.waits) nap();
    rp_model *closing = model; /* what the thread has must stay as it is */
    assert_int_equal(rp_model_close(&closing), RP_OK);
    assert_null(closing);
    assert_int_equal(c.done, LONG); /* it had come to its end */
    caller_end(&inside);
    caller_check(&inside);
    assert_int_equal(c.nested, RP_ERROR_ARGUMENT);
    callers_open_model();
}

static void *open_other(void *user) {
    rp_model *other = NULL;
    caller *c = user;
    c->status = rp_model_open(device, g.dir, NULL, &other, &c->err);
    if (!c->status && (rp_model_close(&other) || other)) c->status = RP_ERROR_ARGUMENT;
    return NULL;
}

static void *run_it(void *user) {
    caller *c = user;
    c->status = caller_run(c);
    return NULL;
}

/* Opening, running and closing on one device at the same time. */
static void test_open_run_and_close(void **state) {
    static caller callers[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (caller){.first = i, .count = 3};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, i % 2 ? open_other : run_it, &callers[i]),
                         0);
    }
    for (size_t i = 0; i < THREADS; i++) caller_end(&callers[i]);
    for (size_t i = 0; i < THREADS; i++) {
        if (i % 2) assert_int_equal(callers[i].status, RP_OK);
        if (i % 2 == 0) caller_check(&callers[i]);
    }
}

/* ---- loss, and what the log hears ---- */

typedef struct heard {
    pthread_mutex_t lock;
    size_t warnings;
    char last[512];
} heard;

static void hear(void *user, rp_log_level level, const char *message) {
    heard *h = user;
    pthread_mutex_lock(&h->lock);
    h->warnings += level == RP_LOG_WARNING;
    strncpy(h->last, message, sizeof h->last - 1);
    pthread_mutex_unlock(&h->lock);
}

/* In the middle of two calls: each has the right bits, or says that the device was lost; and then all is
 * well. */
static void test_lost_between_two_calls(void **state) {
    (void)state;
    for (int due = 0; due < 2 * LONG; due += 5) {
        heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
        caller callers[2] = {{.count = LONG}, {.count = LONG}};
        take_turn();
        for (size_t i = 0; i < 2; i++) {
            callers[i].call = (rp_call){.log = hear, .user = &h};
            caller_begin(&callers[i]);
            wait_for_line(i + 1);
        }
        fault_begin(due % 2 ? "vkQueueSubmit" : "vkWaitForFences", due, VK_ERROR_DEVICE_LOST);
        give_turn();
        for (size_t i = 0; i < 2; i++) caller_end(&callers[i]);
        assert_true(fault_end());
        assert_true(callers[0].status == RP_ERROR_DEVICE_LOST || callers[1].status == RP_ERROR_DEVICE_LOST);
        for (size_t i = 0; i < 2; i++)
            if (callers[i].status != RP_ERROR_DEVICE_LOST) caller_check(&callers[i]);
        for (size_t i = 0; i < 2; i++) {
            callers[i].status = caller_run(&callers[i]);
            caller_check(&callers[i]);
        }
        assert_true(h.warnings > 0);
        assert_non_null(strstr(h.last, "opened again"));
    }
}

static bool is_matmul(const char *shader) {
    static const char *first; /* the one that the library would take */
    if (strncmp(shader, "matmul", 6)) return false;
    if (!first) first = shader;
    return !strcmp(shader, first);
}

/* A kernel that the driver refuses: the model does without, and the call hears of it. */
static void test_kernel_passed_over(void **state) {
    char dir[FIXTURE_PATH_SIZE];
    heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const rp_call call = {.log = hear, .user = &h};
    const rp_model_params params = {.call = &call};
    rp_device *other = NULL;
    rp_model *on_it = NULL;
    rp_error err;
    (void)state;
    assert_true(fixture_make_dir(dir));
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = dir}, &other, &err), RP_OK);
    assert_int_equal(rp_model_open(other, g.dir, &params, &on_it, &err), RP_OK);
    assert_int_equal(rp_model_close(&on_it), RP_OK);
    assert_int_equal(h.warnings, 0);
    fault_shaders(is_matmul, VK_ERROR_INVALID_SHADER_NV);
    assert_int_equal(rp_device_close(&other), RP_OK);
    assert_int_equal(rp_device_open(&(rp_device_params){.cache_dir = ""}, &other, &err), RP_OK);
    assert_int_equal(rp_model_open(other, g.dir, &params, &on_it, &err), RP_OK);
    fault_shaders(NULL, VK_SUCCESS);
    assert_true(h.warnings > 0);
    assert_non_null(strstr(h.last, "is passed over"));
    assert_non_null(strstr(h.last, "matmul"));
    assert_int_equal(rp_model_close(&on_it), RP_OK);
    assert_int_equal(rp_device_close(&other), RP_OK);
    fixture_remove_dir(dir);
}

/* Said once, to the call that finds it, or else to the device's log. */
static void test_cache_that_cannot_be_written(void **state) {
    char dir[FIXTURE_PATH_SIZE], file[FIXTURE_PATH_SIZE + 16];
    (void)state;
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "file", "no folder"));
    snprintf(file, sizeof file, "%s/file", dir);
    for (int own = 0; own < 2; own++) {
        heard of_device = {.lock = PTHREAD_MUTEX_INITIALIZER}, of_call = of_device;
        const rp_call on_device = {.log = hear, .user = &of_device},
                      on_call = {.log = hear, .user = &of_call};
        const rp_device_params params = {.cache_dir = file, .call = &on_device};
        const rp_model_params opening = {.call = own ? &on_call : NULL};
        rp_device *other = NULL;
        rp_model *on_it = NULL;
        rp_error err;
        assert_int_equal(rp_device_open(&params, &other, &err), RP_OK);
        assert_int_equal(rp_model_open(other, g.dir, &opening, &on_it, &err), RP_OK);
        assert_int_equal(of_device.warnings, !own);
        assert_int_equal(of_call.warnings, own);
        assert_non_null(strstr(own ? of_call.last : of_device.last, file));
        assert_int_equal(rp_model_close(&on_it), RP_OK);
        assert_int_equal(rp_device_close(&other), RP_OK);
        assert_int_equal(of_device.warnings + of_call.warnings, 1);
    }
    fixture_remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_close_from_callback),
        cmocka_unit_test(test_close_device_from_callback),
        cmocka_unit_test(test_close_waits),
        cmocka_unit_test(test_open_run_and_close),
        cmocka_unit_test(test_lost_between_two_calls),
        cmocka_unit_test(test_kernel_passed_over),
        cmocka_unit_test(test_cache_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, callers_setup, callers_teardown);
}
