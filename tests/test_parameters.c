/* What a training step rests on: a layer can be recorded for any set of buffers, so that each layer's
 * activations stay; and the parameters on the device can be replaced between two runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/describe.h"
#include "model/submission.h"
#include "ops/selection.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

enum { HIDDEN = 64, INNER = 96, LAYERS = 3, TOKENS = 21, FLOATS = TOKENS * HIDDEN };

static const char config[] =
    "{\"architectures\": [\"AlbertModel\"], \"model_type\": \"albert\", \"vocab_size\": 100, "
    "\"embedding_size\": 32, \"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": 3, "
    "\"num_hidden_groups\": 1, \"inner_group_num\": 1, \"num_attention_heads\": 4, "
    "\"max_position_embeddings\": 64, \"type_vocab_size\": 2, \"hidden_act\": \"gelu_new\"}\n";

static rp_device *device;
static char dir[FIXTURE_PATH_SIZE];
static int32_t ids[TOKENS];
static const rp_sequence sequence = {.ids = ids, .count = TOKENS};
static rp_error err;

#define CHECK(call)                            \
    do {                                       \
        if (call) fail_msg("%s", err.message); \
    } while (0)

static int setup(void **state) {
    (void)state;
    for (int i = 0; i < TOKENS; i++) ids[i] = i * 37 % 100;
    if (!fixture_make_dir(dir) || !fixture_write_text(dir, "config.json", config)) return -1;
    return rp_device_open(NULL, &device, &err) ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(dir);
    return 0;
}

static rp_model *open_model(rp_precision precision, uint32_t seed) {
    const rp_model_params params = {.precision = precision, .random_seed = seed};
    rp_model *model = NULL;
    CHECK(rp_model_open_random(device, dir, &params, &model, &err));
    return model;
}

static void run(rp_model *model, float out[FLOATS]) {
    CHECK(rp_model_run(model, &sequence, 1, NULL, out, FLOATS, NULL, &err));
}

/* ---- a set of buffers for each layer ---- */

typedef struct layer_set {
    rp_buffer all;
    rp_layer_buffers at;
    VkCommandBuffer commands;
} layer_set;

/* Everything that a layer writes, in one buffer of its own; it begins as zeros, which the arrival counters
 * need. */
static void make_set(const rp_model *model, layer_set *set, rp_range in) {
    const rp_layer_buffers like = rp_model_layer_buffers(model);
    VkDeviceSize used = 0;
    set->at = like;
    rp_range *own[] = {&set->at.qkv,   &set->at.context, &set->at.attended,
                       &set->at.inner, &set->at.out,     &set->at.arrived};
    for (size_t i = 0; i < RP_COUNT(own); i++) used += rp_round_up(own[i]->size, 256);
    CHECK(rp_buffer_create(device, used, RP_MEMORY_OUTPUT, "layer", &set->all, &err));
    memset(set->all.mapped, 0, (size_t)used);
    CHECK(rp_buffer_flush(device, &set->all, used, &err));
    used = 0;
    for (size_t i = 0; i < RP_COUNT(own); i++) {
        VkDeviceSize size = own[i]->size;
        *own[i] = rp_buffer_range(&set->all, used, size);
        used += rp_round_up(size, 256);
    }
    set->at.in = in;
}

static void record_set(rp_model *model, layer_set *set) {
    rp_op_list list;
    rp_describe_layer(&model->config, model->half, &model->on_device.layers[0], &set->at, 0, &list);
    CHECK(rp_record_begin(&model->ops.recorder, "layer", &set->commands, &err));
    for (uint32_t i = 0; i < list.count; i++) {
        if (i) rp_record_barrier(&model->ops.recorder, set->commands);
        CHECK(rp_op_recall(&model->ops, &list.ops[i], &err));
        CHECK(rp_op_record((rp_op_target){&model->ops, set->commands}, &list.ops[i], &err));
    }
    CHECK(rp_record_end(&model->ops.recorder, set->commands, &err));
}

/* Submit these steps for `sequence`, and read the hidden states. */
static void run_steps(rp_model *model, const rp_step *steps, uint32_t count, float out[FLOATS]) {
    const rp_batch batch = {.sequences = &sequence, .count = 1, .tokens = TOKENS};
    CHECK(rp_device_enter(device, &err));
    CHECK(rp_model_fill(model, &batch, 0, &err));
    CHECK(rp_model_submit(model, steps, count, &err));
    CHECK(rp_buffer_invalidate(device, &model->activations.output, FLOATS * 4, &err));
    memcpy(out, model->activations.output.mapped, FLOATS * 4);
    rp_device_leave(device, RP_OK);
}

/* Each layer reads what the one before left in its own set, and the answer is that of the model's recording.
 * What the layers left is still there: the last ones, run again alone, give the same. */
static void test_sets(void **state) {
    rp_precision precision = (rp_precision)(intptr_t)*state;
    float want[FLOATS], got[FLOATS];
    layer_set sets[LAYERS];
    rp_model *model = open_model(precision, 1);
    const rp_layer_buffers own = rp_model_layer_buffers(model);
    run(model, want);
    for (int i = 0; i < LAYERS; i++) {
        make_set(model, &sets[i], i ? sets[i - 1].at.out : own.in);
        if (i == LAYERS - 1) sets[i].at.out = own.out; /* where the output reads */
        record_set(model, &sets[i]);
    }
    const rp_step steps[LAYERS + 2] = {{model->prologue, 1},
                                       {sets[0].commands, 1},
                                       {sets[1].commands, 1},
                                       {sets[2].commands, 1},
                                       {model->outputs[RP_OUTPUT_HIDDEN], 1}};
    run_steps(model, steps, LAYERS + 2, got);
    assert_memory_equal(got, want, sizeof want);
    memset(got, 0, sizeof got);
    run_steps(model, steps + 2, LAYERS, got);
    assert_memory_equal(got, want, sizeof want);
    run(model, got);
    assert_memory_equal(got, want, sizeof want);
    for (int i = 0; i < LAYERS; i++) rp_buffer_destroy(device, &sets[i].all);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

/* ---- other parameters ---- */

static rp_host_matrix host(const rp_tensor *tensor) {
    return (rp_host_matrix){tensor->data, RP_FORMAT_F32, tensor->rows, tensor->columns};
}

static void write_matrix(rp_model *model, const rp_matrix *to, const rp_tensor *from) {
    const rp_host_matrix part = host(from);
    CHECK(rp_matrix_write(&model->on_device.store, &part, 1, to, &err));
}

static void write_vectors(rp_model *model, rp_range to, const rp_tensor *a, const rp_tensor *b) {
    const rp_host_matrix parts[2] = {host(a), b ? host(b) : (rp_host_matrix){0}};
    CHECK(rp_vectors_write(&model->on_device.store, parts, b ? 2 : 1, to, &err));
}

static void write_layer(rp_model *model, const rp_device_layer *to, const rp_layer_weights *from) {
    const rp_host_matrix qkv[3] = {host(&from->query), host(&from->key), host(&from->value)};
    const rp_host_matrix bias[3] = {host(&from->query_bias), host(&from->key_bias), host(&from->value_bias)};
    rp_store *store = &model->on_device.store;
    CHECK(rp_matrix_write(store, qkv, 3, &to->qkv, &err));
    CHECK(rp_vectors_write(store, bias, 3, to->qkv_bias, &err));
    write_matrix(model, &to->dense, &from->dense);
    write_matrix(model, &to->ffn, &from->ffn);
    write_matrix(model, &to->ffn_output, &from->ffn_output);
    write_vectors(model, to->dense_bias, &from->dense_bias, NULL);
    write_vectors(model, to->ffn_bias, &from->ffn_bias, NULL);
    write_vectors(model, to->ffn_output_bias, &from->ffn_output_bias, NULL);
    write_vectors(model, to->attention_norm, &from->attention_norm, &from->attention_norm_bias);
    write_vectors(model, to->output_norm, &from->output_norm, &from->output_norm_bias);
}

/* All that the hidden states depend on. */
static void write_all(rp_model *model, const rp_weights *from) {
    const rp_device_weights *to = &model->on_device;
    CHECK(rp_device_enter(device, &err));
    write_matrix(model, &to->word, &from->word);
    write_matrix(model, &to->position, &from->position);
    write_matrix(model, &to->type, &from->type);
    write_vectors(model, to->embedding_norm, &from->embedding_norm, &from->embedding_norm_bias);
    write_matrix(model, &to->mapping, &from->mapping);
    write_vectors(model, to->mapping_bias, &from->mapping_bias, NULL);
    write_layer(model, &to->layers[0], &from->layers[0]);
    CHECK(rp_store_flush(&model->on_device.store, &err));
    rp_device_leave(device, RP_OK);
}

/* The recorded model with other parameters answers as a model that was opened with them. */
static void test_overwritten(void **state) {
    rp_precision precision = (rp_precision)(intptr_t)*state;
    float first[FLOATS], want[FLOATS], got[FLOATS];
    rp_weights weights = {0};
    rp_model *other = open_model(precision, 2), *model = open_model(precision, 1);
    run(other, want);
    run(model, first);
    assert_memory_not_equal(first, want, sizeof want);
    for (uint32_t seed = 2; seed; seed--) { /* and back */
        CHECK(rp_weights_random(&model->config, seed, &weights, &err));
        write_all(model, &weights);
        rp_weights_finish(&weights);
        run(model, got);
        assert_memory_equal(got, seed == 2 ? want : first, sizeof got);
    }
    rp_model_close(&other);
    rp_model_close(&model);
}

#define IN(test, p) \
    { .name = #test " " #p, .test_func = test, .initial_state = (void *)(intptr_t)RP_PRECISION_##p }

int main(void) {
    const struct CMUnitTest tests[] = {IN(test_sets, F32),         IN(test_sets, F16),
                                       IN(test_overwritten, F32),  IN(test_overwritten, F16),
                                       IN(test_overwritten, INT8), IN(test_overwritten, INT4)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
