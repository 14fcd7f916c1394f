#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_faults.h"
#include "support_queue.h"

enum { LONGEST = 40, MOST_TEXTS = 3, WIDTH = 48, THREADS = 4, VOCABULARY = 131 };

rp_device *queue_device;
rp_model *queue_model;
rp_sequence queue_texts[QUEUE_TEXTS];
const rp_output queue_outputs[QUEUE_OUTPUTS] = {RP_OUTPUT_CLASSES, RP_OUTPUT_MEAN, RP_OUTPUT_HIDDEN,
                                                RP_OUTPUT_POOLED,  RP_OUTPUT_MAX,  RP_OUTPUT_CLS};
static int32_t ids[QUEUE_TEXTS][LONGEST], types[QUEUE_TEXTS][LONGEST];
static float *wanted[QUEUE_OUTPUTS][QUEUE_TEXTS];
static golden g;
static atomic_uint errors;
static atomic_bool allowed;

static uint32_t next(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

size_t queue_size(size_t i, int o) {
    const rp_run_params params = {.output = queue_outputs[o]};
    return rp_model_output_size(queue_model, &queue_texts[i], 1, &params);
}

const float *queue_wanted(size_t i, int o) {
    return wanted[o][i];
}

int queue_setup(void **state) {
    rp_error err = {0};
    uint32_t seed = 7;
    (void)state;
    if (!faults_install() || !golden_open("deep", NULL, &g) || rp_device_open(NULL, &queue_device, &err) ||
        rp_model_open(queue_device, g.dir, NULL, &queue_model, &err)) {
        print_error("%s\n", err.message);
        return -1;
    }
    for (size_t i = 0; i < QUEUE_TEXTS; i++) {
        uint32_t count = i < 2 ? 1 : 1 + next(&seed) % LONGEST;
        for (uint32_t t = 0; t < count; t++) {
            ids[i][t] = (int32_t)(next(&seed) % VOCABULARY);
            types[i][t] = (int32_t)(next(&seed) % 2);
        }
        queue_texts[i] = (rp_sequence){.ids = ids[i], .type_ids = i % 3 ? types[i] : NULL, .count = count};
        for (int o = 0; o < QUEUE_OUTPUTS; o++) {
            const rp_run_params params = {.output = queue_outputs[o]};
            size_t size = queue_size(i, o);
            wanted[o][i] = rp_new_array(float, size);
            if (rp_model_run(queue_model, &queue_texts[i], 1, &params, wanted[o][i], size, NULL, &err)) {
                print_error("%s\n", err.message);
                return -1;
            }
        }
    }
    return 0;
}

int queue_teardown(void **state) {
    (void)state;
    for (int o = 0; o < QUEUE_OUTPUTS; o++)
        for (size_t i = 0; i < QUEUE_TEXTS; i++) free(wanted[o][i]);
    rp_model_close(&queue_model);
    rp_device_close(&queue_device);
    golden_close(&g);
    return 0;
}

rp_queue *queue_open(const rp_queue_params *params) {
    rp_queue *queue = NULL;
    rp_error err = {0};
    if (rp_queue_open(queue_model, params, &queue, &err)) fail_msg("%s", err.message);
    return queue;
}

void queue_allow_errors(bool allow) {
    allowed = allow;
    errors = 0;
}

unsigned queue_errors(void) {
    return errors;
}

/* ---- crowds ---- */

/* One request: some texts, and one output. */
typedef struct visitor {
    rp_sequence sequences[MOST_TEXTS];
    size_t which[MOST_TEXTS];
    int output;
    rp_run_params params;
    rp_request request;
    float out[MOST_TEXTS * LONGEST * WIDTH];
    atomic_uint *answered, *wrong;
} visitor;

static void check(void *user, rp_status status, rp_result *result, const rp_error *err) {
    visitor *v = user;
    const float *got = v->out;
    unsigned wrong = 0;
    (void)result;
    if (status && !(allowed && err->status == status && err->message[0])) {
        print_error("%d: %s\n", (int)status, err->message);
        wrong++;
    }
    errors += status != RP_OK;
    for (size_t i = 0; !status && i < v->request.count; i++) {
        size_t size = queue_size(v->which[i], v->output);
        wrong += memcmp(got, wanted[v->output][v->which[i]], size * sizeof *got) != 0;
        got += size;
    }
    *v->wrong += wrong;
    *v->answered += 1;
    free(v);
}

typedef struct crowd {
    rp_queue *queue;
    uint32_t requests, seed;
    atomic_uint answered, wrong;
    pthread_t thread;
} crowd;

static void *ask(void *user) {
    crowd *c = user;
    uint32_t seed = c->seed;
    for (uint32_t n = 0; n < c->requests; n++) {
        visitor *v = rp_new(visitor);
        if (!v) abort();
        v->output = (int)(next(&seed) % QUEUE_OUTPUTS);
        v->params.output = queue_outputs[v->output];
        v->answered = &c->answered;
        v->wrong = &c->wrong;
        v->request = (rp_request){.inputs = v->sequences,
                                  .count = 1 + next(&seed) % MOST_TEXTS,
                                  .params = &v->params,
                                  .out = v->out,
                                  .capacity = RP_COUNT(v->out),
                                  .done = check,
                                  .user = v};
        for (size_t i = 0; i < v->request.count; i++) {
            v->which[i] = next(&seed) % QUEUE_TEXTS;
            v->sequences[i] = queue_texts[v->which[i]];
        }
        rp_error err;
        rp_status status;
        while ((status = rp_queue_ask(c->queue, &v->request, NULL, &err)) == RP_ERROR_BUSY)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        if (status) check(v, status, NULL, &err);
        if (next(&seed) % 4 == 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)(next(&seed) % 3000) * 1000}, NULL);
    }
    while (c->answered < c->requests) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return NULL;
}

void queue_crowd(rp_queue *queue, uint32_t requests, uint32_t seed) {
    crowd crowds[THREADS];
    memset(crowds, 0, sizeof crowds);
    for (uint32_t i = 0; i < THREADS; i++) {
        crowds[i].queue = queue;
        crowds[i].requests = requests / THREADS;
        crowds[i].seed = seed * 100 + i;
        assert_int_equal(pthread_create(&crowds[i].thread, NULL, ask, &crowds[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(crowds[i].thread, NULL);
        assert_int_equal(crowds[i].wrong, 0);
    }
}
