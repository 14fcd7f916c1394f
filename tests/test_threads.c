/* Eight threads on one model, on one device with several models, on two devices, and on nothing but opening
 * and closing. The answers must be the bits that one thread gets; built with REPRISE_TSAN, every access to
 * memory is checked too. */
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

#include "gpu/device.h"
#include "model/model.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "tools/bench/measure.h"

enum { THREADS = 8, ROUNDS = 2, TEXTS = 5, DEVICES = 2 };
static const char sentiment[] = SOURCE_DIR "/tools/models/sentiment";

static const char *const texts[TEXTS] = {
    "a joy", "", "an hour too long, and not one laugh in the whole of it", "warm. funny. moving.",
    "It began well, went on for longer than anybody had asked it to, and ended in the rain, as these things "
    "do."};

static rp_device *devices[DEVICES];
static rp_model *models[DEVICES]; /* the same model on each */
static float expected[TEXTS][2];  /* scores in the order of the classes, on the first device */

enum { CASES = 2 };
static const char *const case_names[CASES] = {"head64", "groups"};
static golden cases[CASES];
static float *case_values[CASES]; /* hidden states from one thread */
static size_t case_counts[CASES];

/* ---- one thread's work; what fails is counted, since asserting belongs to the main thread ---- */

typedef struct worker {
    pthread_t thread;
    unsigned number;
    rp_device *device;
    rp_model *model;
    int failures;
} worker;

#define MUST(good)                                                                                          \
    do                                                                                                      \
        if (!(good)) {                                                                                      \
            fprintf(stderr, "%s:%d: thread %u: does not hold: %s\n", __FILE__, __LINE__, w->number, #good); \
            w->failures++;                                                                                  \
        }                                                                                                   \
    while (0)

static bool scores_are(const rp_result *result, size_t entry, const float want[2]) {
    size_t count = 0;
    const rp_label *labels = rp_result_labels(result, entry, &count);
    for (size_t i = 0; i < count; i++)
        if (labels[i].score != want[labels[i].index]) return false;
    return count == 2;
}

/* Classify some of the texts, in an order of this thread's own. */
static void classify(worker *w, rp_model *model, unsigned round) {
    rp_input inputs[TEXTS] = {{{0}, {0}}};
    rp_result *result = NULL;
    rp_error err = {0};
    size_t count = 1 + (w->number + round) % TEXTS;
    for (size_t i = 0; i < count; i++) {
        const char *text = texts[(w->number + i) % TEXTS];
        inputs[i].text = (rp_text){text, strlen(text)};
    }
    MUST(rp_classify(model, inputs, count, NULL, &result, &err) == RP_OK);
    for (size_t i = 0; i < count; i++) MUST(scores_are(result, i, expected[(w->number + i) % TEXTS]));
    rp_result_free(&result);
}

/* What may be asked of a model while others run it. */
static void ask(worker *w, rp_device *device, rp_model *model) {
    const rp_tokenizer *t = rp_model_get_tokenizer(model);
    rp_encoding encoding = {0};
    char *text = NULL;
    rp_error err = {0};
    rp_start_times times;
    const char *source = texts[w->number % TEXTS];
    MUST(rp_tokenize(t, (rp_text){source, strlen(source)}, (rp_text){0}, NULL, &encoding, &err) == RP_OK);
    MUST(rp_tokenizer_decode(t, encoding.ids, encoding.count, true, &text, &err) == RP_OK);
    rp_string_free(&text);
    rp_encoding_free(&encoding);
    MUST(rp_model_get_info(model)->layers > 0 && rp_tokenizer_vocab_size(t) > 0);
    MUST(rp_device_memory_used(device) >= rp_model_get_info(model)->device_bytes);
    MUST(rp_device_get_info(device)->usable);
    rp_bench_start_times(model, &times);
}

static void *use_one_model(void *context) {
    worker *w = context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        classify(w, w->model, round);
        ask(w, w->device, w->model);
    }
    return NULL;
}

/* The hidden states of every sequence of a golden case; freed by the caller. */
static float *hidden_states(rp_device *device, const golden *g, size_t *count) {
    rp_model *model = NULL;
    float *out = NULL;
    if (rp_model_open(device, g->dir, NULL, &model, NULL)) return NULL;
    *count = rp_model_output_size(model, g->sequences, g->sequence_count, NULL);
    out = calloc(*count, sizeof *out);
    if (out && rp_model_run(model, g->sequences, g->sequence_count, NULL, out, *count, NULL, NULL)) {
        free(out);
        out = NULL;
    }
    rp_model_close(&model);
    return out;
}

/* Its own model, opened, used and closed, on a device that the threads share. */
static void *use_own_model(void *context) {
    worker *w = context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count = 0;
        float *got = hidden_states(w->device, &cases[w->number % CASES], &count);
        MUST(got && count == case_counts[w->number % CASES]);
        if (got) MUST(!memcmp(got, case_values[w->number % CASES], count * sizeof *got));
        free(got);
    }
    return NULL;
}

static void *open_and_close(void *context) {
    worker *w = context;
    rp_device *device = NULL;
    rp_error err = {0};
    size_t count = 0;
    MUST(rp_device_list(NULL, 0, &count, &err) == RP_OK && count > 0);
    MUST(rp_device_open(NULL, &device, &err) == RP_OK);
    rp_device_close(&device);
    MUST(rp_device_open(&(rp_device_params){.name = "no such device"}, &device, &err) == RP_ERROR_DEVICE);
    MUST(!device && err.message[0]);
    return NULL;
}

static void run_threads(void *(*work)(void *), bool two_devices) {
    worker workers[THREADS] = {{0}};
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned d = two_devices ? i % DEVICES : 0;
        workers[i] = (worker){.number = i, .device = devices[d], .model = models[d]};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    int failures = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        failures += workers[i].failures;
    }
    assert_int_equal(failures, 0);
}

/* ---- tests ---- */

/* First, while nothing of Vulkan is loaded. */
static void test_opening_devices(void **state) {
    (void)state;
    run_threads(open_and_close, false);
}

static void test_one_model(void **state) {
    (void)state;
    run_threads(use_one_model, false);
}

static void test_one_device_several_models(void **state) {
    (void)state;
    uint64_t before = rp_device_memory_used(devices[0]);
    run_threads(use_own_model, false);
    assert_int_equal(rp_device_memory_used(devices[0]), before);
}

static void test_two_devices(void **state) {
    (void)state;
    run_threads(use_one_model, true);
    run_threads(use_own_model, true);
}

/* While a run has the model's turn, and a submission the queue, host work goes on: were a lock needed, this
 * would wait for itself until the alarm. */
static void test_host_work_needs_no_lock(void **state) {
    worker self = {.number = 4}, *w = &self;
    rp_sequence sequence = {.ids = (int32_t[]){2, 3}, .count = 2};
    static const char not_text[] = "\xff";
    rp_input bad = {.text = {not_text, 1}};
    rp_result *result = NULL;
    rp_error err;
    (void)state;
    alarm(120);
    rp_turns_take(&models[0]->turns, NULL);
    pthread_mutex_lock(&devices[0]->queue_lock);
    ask(w, devices[0], models[0]);
    MUST(rp_model_output_size(models[0], &sequence, 1, NULL) > 0);
    MUST(rp_classify(models[0], &bad, 1, NULL, &result, &err) == RP_OK); /* nothing is left to run */
    MUST(rp_result_status(result, 0, NULL) == RP_ERROR_TEXT);
    rp_result_free(&result);
    pthread_mutex_unlock(&devices[0]->queue_lock);
    rp_turns_give(&models[0]->turns);
    alarm(0);
    assert_int_equal(self.failures, 0);
}

/* ---- the models of all tests, and what one thread gets from them ---- */

static int open_models(void **state) {
    rp_error err;
    (void)state;
    rp_model_params params = {.max_batch_tokens = 128};
    for (int d = 0; d < DEVICES; d++)
        if (rp_device_open(NULL, &devices[d], &err) ||
            rp_model_open(devices[d], sentiment, &params, &models[d], &err)) {
            fprintf(stderr, "%s\n", err.message);
            return -1;
        }
    if (rp_device_memory_used(devices[0]) != rp_model_get_info(models[0])->device_bytes) return -1;
    for (size_t i = 0; i < TEXTS; i++) {
        rp_result *result = NULL;
        rp_input input = {.text = {texts[i], strlen(texts[i])}};
        size_t count = 0;
        if (rp_classify(models[0], &input, 1, NULL, &result, &err)) return -1;
        const rp_label *labels = rp_result_labels(result, 0, &count);
        for (size_t k = 0; k < count; k++) expected[i][labels[k].index] = labels[k].score;
        rp_result_free(&result);
    }
    for (size_t i = 0; i < CASES; i++) {
        if (!golden_open(case_names[i], NULL, &cases[i])) return -1;
        case_values[i] = hidden_states(devices[0], &cases[i], &case_counts[i]);
        if (!case_values[i]) return -1;
    }
    return 0;
}

static int close_models(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        golden_close(&cases[i]);
        free(case_values[i]);
    }
    for (int d = 0; d < DEVICES; d++) {
        rp_model_close(&models[d]);
        rp_device_close(&devices[d]);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest first[] = {cmocka_unit_test(test_opening_devices)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_model),
        cmocka_unit_test(test_one_device_several_models),
        cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_host_work_needs_no_lock),
    };
    int failed = cmocka_run_group_tests(first, NULL, NULL);
    return cmocka_run_group_tests(tests, open_models, close_models) + failed;
}
