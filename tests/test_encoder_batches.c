/* What a sequence gives does not depend on what runs beside it: the same bits alone, in any batch, at any
 * place, in any number of submissions, from any layout of the files, from any thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

enum { MAX_SEQUENCES = 8, MAX_BATCH = 96 };

/* A case with its model, and what each sequence gives alone. */
typedef struct bench {
    golden g;
    rp_model *model;
    float *alone[11][MAX_SEQUENCES];
    size_t size[11][MAX_SEQUENCES];
} bench;

static rp_model *open_model(const char *dir, uint32_t max_batch_tokens) {
    rp_model *model = NULL;
    rp_error err = {0};
    rp_model_params params = {.max_batch_tokens = max_batch_tokens};
    if (rp_model_open(fixture_device, dir, &params, &model, &err)) print_error("%s\n", err.message);
    return model;
}

static void bench_open(const char *name, bench *b) {
    memset(b, 0, sizeof *b);
    assert_true(golden_open(name, NULL, &b->g));
    assert_true(b->g.sequence_count <= MAX_SEQUENCES);
    assert_non_null(b->model = open_model(b->g.dir, 0));
    for (size_t i = 0; i < b->g.output_count; i++)
        for (size_t s = 0; s < b->g.sequence_count; s++) {
            b->alone[i][s] = golden_run(b->model, &b->g, b->g.outputs[i].output, &s, 1, &b->size[i][s]);
            assert_non_null(b->alone[i][s]);
        }
}

static void bench_close(bench *b) {
    for (size_t i = 0; i < b->g.output_count; i++)
        for (size_t s = 0; s < b->g.sequence_count; s++) free(b->alone[i][s]);
    rp_model_close(&b->model);
    golden_close(&b->g);
}

/* Run `order` on `model` in one call. The number of floats whose bits differ from the same sequence alone; a
 * run that fails or has another size counts as one difference. */
static size_t differing(const bench *b, rp_model *model, size_t i, const size_t *order, size_t count) {
    size_t size = 0, at = 0, wrong = 0;
    float *got = golden_run(model, &b->g, b->g.outputs[i].output, order, count, &size);
    if (!got) return 1;
    for (size_t k = 0; k < count; k++) {
        const float *alone = b->alone[i][order[k]];
        size_t n = b->size[i][order[k]];
        for (size_t j = 0; at + n <= size && j < n; j++)
            wrong += memcmp(&got[at + j], &alone[j], sizeof(float)) != 0;
        at += n;
    }
    free(got);
    if (wrong || at != size)
        print_error("%s: %s: %zu of %zu floats differ\n", b->g.name,
                    golden_output_name(b->g.outputs[i].output), wrong, size);
    return wrong + (at != size);
}

/* All outputs of the case, in batches of several makings. */
static size_t differing_in_batches(const bench *b, rp_model *model) {
    size_t n = b->g.sequence_count, wrong = 0;
    size_t reversed[MAX_SEQUENCES], doubled[2 * MAX_SEQUENCES], shifted[MAX_SEQUENCES];
    for (size_t s = 0; s < n; s++) {
        reversed[s] = n - 1 - s;
        doubled[2 * s] = doubled[2 * s + 1] = s;
        shifted[s] = (s + n / 2) % n;
    }
    for (size_t i = 0; i < b->g.output_count; i++) {
        wrong += differing(b, model, i, reversed, n);
        wrong += differing(b, model, i, doubled, 2 * n);
        wrong += differing(b, model, i, shifted, n - 1);
    }
    return wrong;
}

static void test_same_bits_in_any_batch(void **state) {
    bench b;
    bench_open(*state, &b);
    assert_int_equal(differing_in_batches(&b, b.model), 0);
    for (size_t k = 0; k < b.g.sequence_count; k++) // again: nothing is left over from the batches
        assert_int_equal(differing(&b, b.model, 0, &k, 1), 0);
    bench_close(&b);
}

static void test_same_bits_in_any_number_of_submissions(void **state) {
    bench b;
    bench_open(*state, &b);
    uint32_t longest = rp_model_get_info(b.model)->max_tokens;
    const uint32_t sizes[] = {longest, longest + 13, 4 * longest};
    for (size_t i = 0; i < 3; i++) {
        rp_model *model = open_model(b.g.dir, sizes[i]);
        assert_non_null(model);
        assert_true(rp_model_get_info(model)->max_batch_tokens >= longest);
        assert_int_equal(differing_in_batches(&b, model), 0);
        rp_model_close(&model);
    }
    bench_close(&b);
}

/* More sequences than a small workgroup has invocations, most of them tiny. */
static void test_same_bits_among_many(void **state) {
    bench b;
    size_t order[MAX_BATCH];
    bench_open(*state, &b);
    for (size_t k = 0; k < MAX_BATCH; k++) order[k] = 1 + k * k % (b.g.sequence_count - 1);
    for (size_t i = 0; i < b.g.output_count; i++)
        assert_int_equal(differing(&b, b.model, i, order, MAX_BATCH), 0);
    bench_close(&b);
}

/* The same weights from other files. */
static void check_layout(const bench *b, const fixture_layout *layout) {
    golden other = {0};
    assert_true(golden_open(b->g.name, layout, &other));
    rp_model *model = open_model(other.dir, 0);
    assert_non_null(model);
    assert_int_equal(rp_model_get_info(model)->parameters, rp_model_get_info(b->model)->parameters);
    assert_int_equal(differing_in_batches(b, model), 0);
    rp_model_close(&model);
    golden_close(&other);
}

static void test_same_bits_from_shards(void **state) {
    bench b;
    bench_open(*state, &b);
    fixture_layout layout = b.g.layout;
    assert_int_equal(layout.shards, 1);
    layout.shards = 5;
    check_layout(&b, &layout);
    bench_close(&b);
}

static void test_same_bits_with_prefixed_names(void **state) {
    bench b;
    bench_open(*state, &b);
    fixture_layout layout = b.g.layout;
    layout.add_prefix = strncmp(b.g.name, "bert", 4) ? "albert." : "bert.";
    assert_true(strncmp(b.g.tensors[0].name, layout.add_prefix, strlen(layout.add_prefix)) != 0);
    check_layout(&b, &layout);
    bench_close(&b);
}

/* A model with a head whose encoder was saved without the prefix. */
static void test_same_bits_with_bare_names(void **state) {
    bench b;
    bench_open(*state, &b);
    fixture_layout layout = b.g.layout;
    layout.strip_prefix = strncmp(b.g.name, "bert", 4) ? "albert." : "bert.";
    assert_int_equal(strncmp(b.g.tensors[0].name, layout.strip_prefix, strlen(layout.strip_prefix)), 0);
    check_layout(&b, &layout);
    bench_close(&b);
}

/* One thread: its own order of the sequences, over and over. */
typedef struct worker {
    const bench *b;
    size_t shift, wrong;
    pthread_t thread;
} worker;

static void *work(void *argument) {
    worker *w = argument;
    size_t n = w->b->g.sequence_count, order[MAX_SEQUENCES];
    for (size_t round = 0; round < 6; round++) {
        for (size_t s = 0; s < n; s++) order[s] = (s + w->shift + round) % n;
        size_t count = 1 + (round + w->shift) % n;
        w->wrong += differing(w->b, w->b->model, round % w->b->g.output_count, order, count);
    }
    return NULL;
}

static void test_same_bits_from_two_threads(void **state) {
    bench b;
    worker workers[2] = {{.b = &b, .shift = 0}, {.b = &b, .shift = 2}};
    bench_open(*state, &b);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (size_t i = 0; i < 2; i++) assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    assert_int_equal(workers[0].wrong, 0);
    assert_int_equal(workers[1].wrong, 0);
    bench_close(&b);
}

#define WITH(function, case_name) \
    { .name = #function ": " case_name, .test_func = function, .initial_state = case_name }

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(test_same_bits_in_any_batch, "odd"),
        WITH(test_same_bits_in_any_batch, "odd_bf16"),
        WITH(test_same_bits_in_any_batch, "head26"),
        WITH(test_same_bits_in_any_batch, "head32"),
        WITH(test_same_bits_in_any_batch, "head256"),
        WITH(test_same_bits_in_any_batch, "groups"),
        WITH(test_same_bits_in_any_batch, "vocab"),
        WITH(test_same_bits_in_any_batch, "bert_choice"),
        WITH(test_same_bits_in_any_batch, "sentiment"),
        WITH(test_same_bits_in_any_number_of_submissions, "odd"),
        WITH(test_same_bits_in_any_number_of_submissions, "head16"),
        WITH(test_same_bits_in_any_number_of_submissions, "odd_bf16"),
        WITH(test_same_bits_in_any_number_of_submissions, "groups"),
        WITH(test_same_bits_in_any_number_of_submissions, "bert_lm"),
        WITH(test_same_bits_among_many, "types1"),
        WITH(test_same_bits_among_many, "bert_tokens"),
        WITH(test_same_bits_from_shards, "odd"),
        WITH(test_same_bits_from_shards, "bert_lm"),
        WITH(test_same_bits_with_prefixed_names, "inner_three"),
        WITH(test_same_bits_with_prefixed_names, "bert"),
        WITH(test_same_bits_with_bare_names, "odd_f16"),
        WITH(test_same_bits_with_bare_names, "groups"),
        WITH(test_same_bits_from_two_threads, "head64"),
        WITH(test_same_bits_from_two_threads, "groups"),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
