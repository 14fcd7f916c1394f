/* Early exit by patience: behind which layer each text leaves and with which logits, against what Hugging
 * Face's example does with each text alone; and the same bits in a batch, through a queue, and beside texts
 * that do not leave early. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "model/model.h"
#include "reprise/reprise.h"
#include "support_tasks.h"

enum { MOST_TEXTS = 24, LABELS = 2, LAYERS = 8 };

/* One case of exits.json, with a model of it. */
typedef struct exit_case {
    json_t *root;
    char dir[FIXTURE_PATH_SIZE];
    rp_model *model;
    rp_sequence sequences[MOST_TEXTS];
    size_t count;
} exit_case;

static json_t *cases;

static int setup(void **state) {
    char path[FIXTURE_PATH_SIZE];
    json_error_t error;
    snprintf(path, sizeof path, "%s/goldens/exits.json", TESTS_DIR);
    cases = json_load_file(path, 0, &error);
    if (!cases) print_error("%s: %s\n", path, error.text);
    return !cases || fixture_open_device(state);
}

static int teardown(void **state) {
    json_decref(cases);
    return fixture_close_device(state);
}

static int32_t *ids_of(const json_t *list) {
    int32_t *ids = calloc(json_array_size(list) + 1, sizeof *ids);
    for (size_t i = 0; i < json_array_size(list); i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

/* The folder of case number `n`, without the tensor `missing`, if it is not NULL. */
static void write_case(size_t n, const char *missing, exit_case *c) {
    *c = (exit_case){.root = json_array_get(cases, n)};
    const json_t *list = json_object_get(c->root, "tensors");
    fixture_tensor *tensors = calloc(json_array_size(list), sizeof *tensors);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *shape = json_object_get(one, "shape");
        const char *name = json_string_value(json_object_get(one, "name"));
        if (missing && !strcmp(name, missing)) continue;
        tensors[count++] = (fixture_tensor){name, (uint32_t)json_integer_value(json_array_get(shape, 0)),
                                            (uint32_t)json_integer_value(json_array_get(shape, 1)),
                                            json_number_value(json_object_get(one, "scale")),
                                            json_number_value(json_object_get(one, "offset"))};
    }
    char *config = json_dumps(json_object_get(c->root, "config"), 0);
    assert_true(fixture_make_dir(c->dir));
    assert_true(fixture_write_folder(c->dir, config, tensors, count, &(fixture_layout){0}, NULL));
    free(config);
    free(tensors);
}

static void open_case(size_t n, const char *missing, exit_case *c) {
    rp_error err = {0};
    write_case(n, missing, c);
    if (rp_model_open(fixture_device, c->dir, NULL, &c->model, &err)) fail_msg("%s", err.message);
    const json_t *texts = json_object_get(c->root, "sequences");
    for (; c->count < json_array_size(texts); c->count++) {
        const json_t *text = json_array_get(texts, c->count), *types = json_object_get(text, "types");
        c->sequences[c->count] =
            (rp_sequence){.ids = ids_of(json_object_get(text, "ids")),
                          .type_ids = types ? ids_of(types) : NULL,
                          .count = (uint32_t)json_array_size(json_object_get(text, "ids"))};
    }
}

static void close_case(exit_case *c) {
    for (size_t i = 0; i < c->count; i++) {
        free((void *)c->sequences[i].ids);
        free((void *)c->sequences[i].type_ids);
    }
    rp_model_close(&c->model);
    fixture_remove_dir(c->dir);
}

/* Sequences [first, first + count). */
static void run(const exit_case *c, size_t first, size_t count, uint32_t patience, float *logits,
                uint32_t *layers) {
    rp_error err = {0};
    rp_run_times times;
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES, .patience = patience, .layers = layers};
    if (rp_model_run(c->model, c->sequences + first, count, &params, logits, count * LABELS, &times, &err))
        fail_msg("%s", err.message);
}

/* As run(). The device may have passed over layers, so nothing is learnt of its speed. */
static void run_patient(const exit_case *c, size_t first, size_t count, uint32_t patience, float *logits,
                        uint32_t *layers) {
    rp_pace before = c->model->pace, *pace = &c->model->pace;
    run(c, first, count, patience, logits, layers);
    assert_true(pace->operation == before.operation && pace->known == before.known);
}

/* ---- against the goldens ---- */

static void test_goldens(void **state) {
    (void)state;
    for (size_t n = 0; n < json_array_size(cases); n++) {
        exit_case c;
        open_case(n, NULL, &c);
        json_t *runs = json_object_get(c.root, "runs");
        for (size_t r = 0; r < json_array_size(runs); r++) {
            float logits[MOST_TEXTS * LABELS], alone[LABELS];
            uint32_t layers[MOST_TEXTS], own;
            const json_t *golden = json_array_get(runs, r);
            uint32_t patience = (uint32_t)json_integer_value(json_object_get(golden, "patience"));
            run_patient(&c, 0, c.count, patience, logits, layers);
            for (size_t i = 0; i < c.count; i++) {
                const json_t *want = json_array_get(json_object_get(golden, "texts"), i);
                assert_int_equal(layers[i], json_integer_value(json_array_get(want, 0)));
                for (size_t l = 0; l < LABELS; l++) {
                    double value = json_number_value(json_array_get(json_array_get(want, 1), l));
                    assert_true(fabs((double)logits[i * LABELS + l] - value) < 1e-4 * fmax(1, fabs(value)));
                }
                run_patient(&c, i, 1, patience, alone, &own);
                assert_int_equal(own, layers[i]);
                assert_memory_equal(alone, logits + i * LABELS, sizeof alone);
            }
        }
        close_case(&c);
    }
}

/* Without patience all layers, and the classifier behind the last one: as patience that never ends. */
static void test_without_patience(void **state) {
    float all[MOST_TEXTS * LABELS], patient[MOST_TEXTS * LABELS];
    uint32_t layers[MOST_TEXTS];
    exit_case c;
    (void)state;
    open_case(0, NULL, &c);
    run(&c, 0, c.count, 0, all, layers);
    for (size_t i = 0; i < c.count; i++) assert_int_equal(layers[i], LAYERS);
    run(&c, 0, c.count, 1000, patient, layers);
    for (size_t i = 0; i < c.count; i++) assert_int_equal(layers[i], LAYERS);
    for (size_t i = 0; i < c.count * LABELS; i++) assert_true(fabsf(all[i] - patient[i]) < 1e-5f);
    close_case(&c);
}

/* A converted folder has its internal classifiers. */
static void test_converted(void **state) {
    float want[MOST_TEXTS * LABELS], got[MOST_TEXTS * LABELS];
    uint32_t layers[2][MOST_TEXTS];
    char dir[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE + 8];
    rp_error err = {0};
    exit_case c;
    (void)state;
    open_case(0, NULL, &c);
    run(&c, 0, c.count, 2, want, layers[0]);
    rp_model_close(&c.model);
    assert_true(fixture_make_dir(dir));
    snprintf(out, sizeof out, "%s/out", dir);
    if (rp_convert(c.dir, out, NULL, &err)) fail_msg("%s", err.message);
    if (rp_model_open(fixture_device, out, NULL, &c.model, &err)) fail_msg("%s", err.message);
    run(&c, 0, c.count, 2, got, layers[1]);
    assert_memory_equal(got, want, c.count * LABELS * sizeof *got);
    assert_memory_equal(layers[0], layers[1], c.count * sizeof **layers);
    close_case(&c);
    fixture_remove_dir(dir);
}

/* ---- through a queue ---- */

/* A thread that asks for texts one by one; some do not leave early, and have another output. */
typedef struct caller {
    const exit_case *c;
    const float (*logits)[MOST_TEXTS * LABELS]; /* by patience 0, 1, 2, 3 */
    const uint32_t (*layers)[MOST_TEXTS];
    uint32_t seed, wrong;
    pthread_t thread;
} caller;

static void *ask(void *user) {
    caller *a = user;
    uint32_t state = a->seed;
    for (int n = 0; n < 60; n++) {
        state = state * 1664525u + 1013904223u;
        size_t first = (state >> 8) % a->c->count, count = 1 + (state >> 16) % 3;
        uint32_t patience = (state >> 24) % 4, layers[3];
        float logits[3 * LABELS];
        if (first + count > a->c->count) count = 1;
        run(a->c, first, count, patience, logits, layers);
        a->wrong +=
            memcmp(logits, a->logits[patience] + first * LABELS, count * LABELS * sizeof *logits) != 0;
        a->wrong += memcmp(layers, a->layers[patience] + first, count * sizeof *layers) != 0;
    }
    return NULL;
}

/* A text that is alone goes through the layers up to its exit, and not one more. */
static void check_alone(const exit_case *c, rp_queue *queue) {
    uint64_t layer_tokens = 0;
    rp_queue_counts counts;
    for (size_t i = 0; i < c->count; i++) {
        float logits[LABELS];
        uint32_t layers;
        run(c, i, 1, 1 + (uint32_t)i % 3, logits, &layers);
        layer_tokens += (uint64_t)layers * c->sequences[i].count;
    }
    rp_queue_count(queue, &counts);
    assert_int_equal(counts.layer_tokens, layer_tokens);
    assert_true(layer_tokens < counts.tokens * LAYERS);
}

static void check_queue(size_t n, const rp_queue_params *params) {
    enum { CALLERS = 6 };
    float logits[4][MOST_TEXTS * LABELS];
    uint32_t layers[4][MOST_TEXTS];
    caller callers[CALLERS];
    rp_queue *queue = NULL;
    rp_queue_counts counts;
    rp_error err = {0};
    exit_case c;
    open_case(n, NULL, &c);
    for (uint32_t p = 0; p < 4; p++) run(&c, 0, c.count, p, logits[p], layers[p]);
    if (rp_queue_open(c.model, params, &queue, &err)) fail_msg("%s", err.message);
    check_alone(&c, queue);
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.c = &c, .logits = logits, .layers = layers, .seed = 31 * i + 5};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, ask, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    rp_queue_count(queue, &counts);
    assert_int_equal(counts.depth_texts, 0);
    assert_int_equal(counts.repeats, 0);
    assert_int_equal(rp_queue_close(&queue), RP_OK);
    close_case(&c);
}

static void test_queues(void **state) {
    (void)state;
    check_queue(0, NULL);
    check_queue(0, &(rp_queue_params){.policy = RP_POLICY_JOIN});
    check_queue(0, &(rp_queue_params){.policy = RP_POLICY_DYNAMIC});
    check_queue(1, NULL); /* groups: a batch is run to its end */
}

/* ---- what cannot be ---- */

static void fails(rp_model *model, const rp_sequence *sequence, rp_output output, rp_status want,
                  const char *part) {
    float out[64];
    rp_error err = {0};
    const rp_run_params params = {.output = output, .patience = 2};
    assert_int_equal(rp_model_run(model, sequence, 1, &params, out, 64, NULL, &err), want);
    assert_non_null(strstr(err.message, part));
}

static void test_what_cannot_be(void **state) {
    exit_case c;
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    open_case(0, NULL, &c);
    fails(c.model, c.sequences, RP_OUTPUT_POOLED, RP_ERROR_ARGUMENT, "RP_OUTPUT_CLASSES");
    close_case(&c);
    open_case(0, "classifiers.3.bias", &c);
    fails(c.model, c.sequences, RP_OUTPUT_CLASSES, RP_ERROR_HEAD, "classifiers.3.bias");
    assert_int_equal(rp_model_open_random(fixture_device, c.dir, NULL, &model, &err), RP_OK);
    fails(model, c.sequences, RP_OUTPUT_CLASSES, RP_ERROR_HEAD, "no internal classifiers");
    rp_model_close(&model);
    close_case(&c);
}

/* ---- texts ---- */

/* A folder with a tokenizer, whose encoder has two layers: internal classifiers are added to it. */
static void open_texts(task_case *t, rp_model **model) {
    rp_error err = {0};
    assert_true(task_case_open("classify", t));
    for (int i = 0; i < 2; i++) {
        char weight[32], bias[32];
        snprintf(weight, sizeof weight, "classifiers.%d.weight", i);
        snprintf(bias, sizeof bias, "classifiers.%d.bias", i);
        json_array_append_new(json_object_get(t->root, "tensors"),
                              json_pack("[s, [i, i], f, f]", weight, 3, 24, 1.0, 0.0));
        json_array_append_new(json_object_get(t->root, "tensors"),
                              json_pack("[s, [i], f, f]", bias, 3, 0.25, 0.0));
    }
    assert_true(task_case_write(t));
    if (rp_model_open(fixture_device, t->dir, NULL, model, &err)) fail_msg("%s", err.message);
}

static void test_texts(void **state) {
    static const rp_input inputs[2] = {{.text = {"a warm and funny film", 21}}, {.text = {"dull", 4}}};
    const rp_classify_params wrong[] = {{.patience = 1, .explain = true},
                                        {.patience = 1, .long_texts = RP_LONG_MEAN}};
    task_case t;
    rp_model *model = NULL;
    rp_result *result = NULL;
    rp_error err = {0};
    char *json = NULL;
    (void)state;
    open_texts(&t, &model);
    assert_int_equal(rp_classify(model, inputs, 2, &(rp_classify_params){.patience = 1}, &result, &err),
                     RP_OK);
    for (size_t i = 0; i < 2; i++) {
        size_t count = 0;
        assert_int_equal(rp_result_layers(result, i), 2);
        assert_non_null(rp_result_labels(result, i, &count));
        assert_int_equal(count, 3);
        assert_int_equal(rp_result_json(result, i, NULL, &json, NULL, &err), RP_OK);
        assert_non_null(strstr(json, "{\"labels\": [{\"label\": "));
        assert_non_null(strstr(json, "], \"layers\": 2}"));
        rp_string_free(&json);
    }
    rp_result_free(&result);
    assert_int_equal(rp_classify(model, inputs, 2, NULL, &result, &err), RP_OK);
    assert_int_equal(rp_result_layers(result, 0), 0);
    rp_result_free(&result);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rp_classify(model, inputs, 2, &wrong[i], &result, &err), RP_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "patience"));
    }
    rp_model_close(&model);
    task_case_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),        cmocka_unit_test(test_without_patience),
        cmocka_unit_test(test_converted),      cmocka_unit_test(test_queues),
        cmocka_unit_test(test_what_cannot_be), cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
