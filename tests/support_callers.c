#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_callers.h"
#include "support_faults.h"

enum { FLOATS = 4096 };

rp_device *device;
rp_model *model;
golden g;
rp_sequence many[LONG];
static float wanted[FLOATS]; /* of all of them */
static size_t width;

/* ---- the model of the tests: each batch is one sequence ---- */

void callers_open_model(void) {
    rp_error err = {0};
    if (rp_model_open(device, g.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    model->pace.batch = 1e-12;
}

int callers_setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!faults_install() || !golden_open("groups", NULL, &g) || rp_device_open(NULL, &device, &err))
        return -1;
    callers_open_model();
    width = rp_model_get_info(model)->hidden_size;
    for (size_t i = 0; i < LONG; i++) many[i] = g.sequences[i % g.sequence_count];
    const rp_run_params mean = {.output = RP_OUTPUT_MEAN};
    return rp_model_run(model, many, LONG, &mean, wanted, FLOATS, NULL, &err) ? -1 : 0;
}

int callers_teardown(void **state) {
    (void)state;
    rp_model_close(&model);
    rp_device_close(&device);
    golden_close(&g);
    return 0;
}

/* ---- threads that call ---- */

rp_status caller_run(caller *c) {
    const rp_run_params params = {.output = RP_OUTPUT_MEAN, .call = &c->call};
    memset(c->got, 0xee, sizeof c->got);
    return rp_model_run(model, many + c->first, c->count, &params, c->got, RP_COUNT(c->got), NULL, &c->err);
}

static void *call(void *user) {
    caller *c = user;
    c->status = caller_run(c);
    return NULL;
}

void caller_begin(caller *c) {
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

void caller_end(caller *c) {
    assert_int_equal(pthread_join(c->thread, NULL), 0);
}

void caller_check(const caller *c) {
    if (c->status) fail_msg("%s", c->err.message);
    assert_true(width <= 64);
    assert_memory_equal(c->got, wanted + c->first * width, c->count * width * sizeof *wanted);
}

void take_turn(void) {
    alarm(300); /* what would wait for ever */
    assert_int_equal(rp_turns_take(&model->turns, NULL), RP_OK);
}

void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The first field of the library's. */
struct rp_turn {
    struct rp_turn *next;
};

void wait_for_line(size_t wanted_length) {
    for (size_t length = 0; length != wanted_length;) {
        nap();
        pthread_mutex_lock(&model->turns.lock);
        length = 0;
        for (struct rp_turn *at = model->turns.first; at; at = at->next) length++;
        pthread_mutex_unlock(&model->turns.lock);
    }
}

void give_turn(void) {
    rp_turns_give(&model->turns);
}
