/* The call count. A run is one vkQueueSubmit for each batch, a wait and a reset of its fence: nothing is
 * recorded, allocated, created, mapped or updated, on the device or on the heap, whatever the lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "support_vk.h"

/* ---- the heap: the linker sends the library's calls here (--wrap) ---- */

static unsigned allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    allocations++;
    return __real_calloc(count, size);
}
void *__wrap_realloc(void *block, size_t size) {
    allocations++;
    return __real_realloc(block, size);
}
char *__wrap_strdup(const char *text) {
    allocations++;
    return __real_strdup(text);
}

/* ---- models ---- */

enum { MOST_TOKENS = 192, LONGEST = 512, MOST_SEQUENCES = 64 };

static golden g;
static rp_model *model;
static float *out;
static size_t capacity;

static void open_case(const char *name) {
    rp_error err = {0};
    rp_model_params params = {.max_batch_tokens = MOST_TOKENS};
    assert_true(golden_open(name, NULL, &g));
    if (rp_model_open(fixture_device, g.dir, &params, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    model->pace.batch = 0; /* how long a batch takes on a busy machine cuts nothing here (test_turns.c) */
    capacity = (size_t)LONGEST * 4096;
    assert_non_null(out = malloc(capacity * sizeof *out));
}

static int close_case(void **state) {
    (void)state;
    free(out);
    out = NULL;
    rp_model_close(&model);
    golden_close(&g);
    return 0;
}

/* ---- batches ---- */

static uint32_t random_below(uint32_t n) {
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)state * n >> 32);
}

static int32_t ids[LONGEST], type_ids[LONGEST];
static rp_sequence sequences[MOST_SEQUENCES];
static rp_row rows[2 * MOST_SEQUENCES];

static void fill_ids(void) {
    for (size_t i = 0; i < LONGEST; i++) {
        ids[i] = (int32_t)random_below(model->config.vocab_size);
        type_ids[i] = (int32_t)random_below(model->config.type_vocab_size);
    }
}

/* `count` sequences of 1 to `longest` tokens, of MOST_TOKENS together at most. */
static size_t fill_sequences(size_t count, uint32_t longest) {
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = 1 + random_below(longest);
        if (at + length > MOST_TOKENS) return i;
        sequences[i] = (rp_sequence){ids + at, i % 3 ? type_ids + at : NULL, length};
        at += length;
    }
    return count;
}

/* One or two rows of each sequence, and as many sequences as one submission has room for. */
static size_t fill_rows(size_t *count) {
    size_t room = model->output_floats / rp_padded(model->config.vocab_size), n = 0;
    for (size_t i = 0; i < *count; i++) {
        if (n == room) *count = i;
        for (size_t k = 0; k < 1 + i % 2 && n < room; k++)
            rows[n++] = (rp_row){(uint32_t)i, random_below(sequences[i].count)};
    }
    return n;
}

/* ---- the checks ---- */

/* A prologue, every layer, an output: two layers of a group are the same command buffer, and nothing else is.
 */
static void check_submission(void) {
    uint32_t layers = model->config.layers;
    assert_int_equal(vk_seen.buffer_count, layers + 2);
    for (uint32_t i = 0; i < layers + 2; i++)
        for (uint32_t k = 0; k < i; k++) {
            bool both = k > 0 && i <= layers &&
                        rp_config_group(&model->config, i - 1) == rp_config_group(&model->config, k - 1);
            assert_int_equal(vk_seen.buffers[i] == vk_seen.buffers[k], both);
        }
}

/* Run and count; `submissions` are expected. */
static void check_run(rp_output output, size_t count, unsigned submissions) {
    rp_run_params params = {.output = output};
    if (output == RP_OUTPUT_MASKED_LM) {
        params.rows = rows;
        params.row_count = fill_rows(&count);
    }
    rp_run_times times;
    rp_error err = {0};
    assert_true(rp_model_output_size(model, sequences, count, &params) <= capacity);
    vk_watch(fixture_device);
    unsigned before = allocations;
    rp_status status = rp_model_run(model, sequences, count, &params, out, capacity, &times, &err);
    unsigned allocated = allocations - before;
    vk_unwatch(fixture_device);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_int_equal(vk_seen.submits, submissions);
    assert_int_equal(times.submissions, submissions);
    assert_in_range(vk_seen.waits, submissions, 1000); /* a driver may cut a wait short */
    assert_int_equal(vk_seen.resets, submissions);
    assert_int_equal(vk_seen.others, 0);
    assert_int_equal(allocated, 0);
    assert_int_equal(vk_seen.flushes, model->activations.input.coherent ? 0 : submissions);
    assert_int_equal(vk_seen.invalidates, model->activations.output.coherent ? 0 : submissions);
    check_submission();
}

static void test_one_submission(void **state) {
    static const size_t counts[] = {1, 2, 7, MOST_SEQUENCES};
    open_case(*state);
    fill_ids();
    for (int output = 0; output < RP_OUTPUT_COUNT; output++) {
        if (!rp_output_available(model, (rp_output)output)) continue;
        uint32_t longest = model->config.max_positions;
        for (size_t i = output == RP_OUTPUT_HIDDEN ? 0 : 2; i < RP_COUNT(counts); i++)
            for (uint32_t most = 1; most <= longest; most = most * 5 + 1)
                check_run((rp_output)output, fill_sequences(counts[i], most), 1);
        assert_true(longest <= LONGEST);
        sequences[0] = (rp_sequence){ids, type_ids, longest};
        check_run((rp_output)output, 1, 1);
    }
}

/* The shared layer of an ALBERT is one command buffer; a BERT's layers are one each. */
static void test_albert_replays_one_buffer(void **state) {
    (void)state;
    open_case("deep");
    fill_ids();
    check_run(RP_OUTPUT_HIDDEN, fill_sequences(3, 5), 1);
    assert_int_equal(model->config.groups, 1);
    assert_true(model->config.layers > 2);
}

static void test_bert_has_a_buffer_for_each_layer(void **state) {
    (void)state;
    open_case("bert");
    fill_ids();
    check_run(RP_OUTPUT_HIDDEN, fill_sequences(3, 5), 1);
    assert_true(model->config.layers > 1 && model->config.groups == model->config.layers);
}

/* Work that one batch cannot hold: a submission for each, and still nothing else. */
static void test_longer_work(void **state) {
    (void)state;
    open_case("groups");
    fill_ids();
    rp_model_close(&model);
    rp_error err = {0};
    uint32_t most = 64;
    assert_int_equal(
        rp_model_open(fixture_device, g.dir, &(rp_model_params){.max_batch_tokens = most}, &model, &err),
        RP_OK);
    most = rp_model_get_info(model)->max_batch_tokens;
    model->pace.batch = 0;
    for (size_t i = 0; i < 5; i++)
        sequences[i] = (rp_sequence){ids, NULL, most / 2 + 1}; /* no two fit together */
    static const rp_output outputs[] = {RP_OUTPUT_HIDDEN, RP_OUTPUT_MEAN, RP_OUTPUT_POOLED, RP_OUTPUT_ORDER};
    for (size_t i = 0; i < RP_COUNT(outputs); i++)
        for (unsigned count = 1; count <= 5; count++) check_run(outputs[i], count, count);
}

static void test_nothing_to_do(void **state) {
    (void)state;
    open_case("groups");
    fill_ids();
    vk_watch(fixture_device);
    rp_status status = rp_model_run(model, NULL, 0, NULL, NULL, 0, NULL, NULL);
    vk_unwatch(fixture_device);
    assert_int_equal(status, RP_OK);
    assert_int_equal(vk_seen.submits + vk_seen.waits + vk_seen.others, 0);
}

/* The upper level makes the same calls. */
static void test_task(void **state) {
    (void)state;
    static const char *const texts[] = {"a warm and funny film", "dull",
                                        "far too long , and not even bad enough to laugh"};
    rp_input inputs[3] = {{{0}, {0}}};
    rp_result *result = NULL;
    rp_error err = {0};
    for (size_t i = 0; i < 3; i++) inputs[i].text = (rp_text){texts[i], strlen(texts[i])};
    assert_int_equal(rp_model_open(fixture_device, SOURCE_DIR "/tools/models/sentiment", NULL, &model, &err),
                     RP_OK);
    model->pace.batch = 0;
    for (size_t count = 1; count <= 3; count++) {
        vk_watch(fixture_device);
        rp_status status = rp_classify(model, inputs, count, NULL, &result, &err);
        vk_unwatch(fixture_device);
        assert_int_equal(status, RP_OK);
        assert_int_equal(vk_seen.submits, 1);
        assert_int_equal(vk_seen.others, 0);
        rp_result_free(&result);
    }
}

/* The counts above mean nothing if they would not see a call. */
static void test_counting_sees_calls(void **state) {
    (void)state;
    vk_watch(fixture_device);
    bool everything = vk_watches_everything(fixture_device);
    vk_unwatch(fixture_device);
    assert_true(everything);
    assert_false(vk_watches_everything(fixture_device));
    unsigned before = allocations;
    open_case("odd");
    assert_true(allocations > before + 10);
}

#define CASE(case_name)                                                                                      \
    {                                                                                                        \
        .name = "one submission: " case_name, .test_func = test_one_submission, .teardown_func = close_case, \
        .initial_state = case_name                                                                           \
    }
#define TEST(function) cmocka_unit_test_teardown(function, close_case)

/* ---- the size of the layer ---- */

static PFN_vkCmdDispatchIndirect dispatch;
static VkCommandBuffer dispatched[256]; /* the command buffer of each dispatch that was recorded */
static size_t dispatch_count;

static VKAPI_ATTR void VKAPI_CALL count_dispatch(VkCommandBuffer commands, VkBuffer buffer,
                                                 VkDeviceSize offset) {
    assert_true(dispatch_count < RP_COUNT(dispatched));
    dispatched[dispatch_count++] = commands;
    dispatch(commands, buffer, offset);
}

/* A layer is at most six dispatches: here Q, K and V; attention; its output with the LayerNorm; and the two
 * of the feed-forward network, with the other one. */
static void test_layer_is_small(void **state) {
    (void)state;
    dispatch = fixture_device->vk.vkCmdDispatchIndirect;
    fixture_device->vk.vkCmdDispatchIndirect = count_dispatch;
    dispatch_count = 0;
    open_case("deep");
    fixture_device->vk.vkCmdDispatchIndirect = dispatch;
    /* The last ones: what timed kernels before may have had the same handle. */
    fill_ids();
    check_run(RP_OUTPUT_HIDDEN, fill_sequences(3, 5), 1);
    VkCommandBuffer layer = vk_seen.buffers[1];
    size_t of_layer = 0, i = dispatch_count;
    while (i && dispatched[i - 1] != layer) i--;
    while (i-- && dispatched[i] == layer) of_layer++;
    assert_int_equal(model->config.inner_layers, 1);
    assert_int_equal(of_layer, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_layer_is_small, close_case),
        TEST(test_counting_sees_calls),
        CASE("odd"),    /* one group, classes */
        CASE("groups"), /* two groups: pooler, masked LM, sentence order */
        CASE("inner"),  /* several inner layers */
        CASE("bert_tokens"),
        CASE("bert_spans"),
        CASE("bert_choice"),
        CASE("bert_pretraining"),
        TEST(test_albert_replays_one_buffer),
        TEST(test_bert_has_a_buffer_for_each_layer),
        TEST(test_longer_work),
        TEST(test_nothing_to_do),
        TEST(test_task),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
