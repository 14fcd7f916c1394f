#include "support_weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const fixture_tensor encoder[] = {
    {"albert.embeddings.word_embeddings.weight", 11, 4, 0.5, 0},
    {"albert.embeddings.position_embeddings.weight", 8, 4, 0.5, 0},
    {"albert.embeddings.token_type_embeddings.weight", 2, 4, 0.5, 0},
    {"albert.embeddings.LayerNorm.weight", 4, 0, 0.25, 1},
    {"albert.embeddings.LayerNorm.bias", 4, 0, 0.25, 0},
    {"albert.encoder.embedding_hidden_mapping_in.weight", 6, 4, 0.5, 0},
    {"albert.encoder.embedding_hidden_mapping_in.bias", 6, 0, 0.25, 0},
    {LAYER "attention.query.weight", 6, 6, 0.5, 0},
    {LAYER "attention.query.bias", 6, 0, 0.25, 0},
    {LAYER "attention.key.weight", 6, 6, 0.5, 0},
    {LAYER "attention.key.bias", 6, 0, 0.25, 0},
    {LAYER "attention.value.weight", 6, 6, 0.5, 0},
    {LAYER "attention.value.bias", 6, 0, 0.25, 0},
    {LAYER "attention.dense.weight", 6, 6, 0.5, 0},
    {LAYER "attention.dense.bias", 6, 0, 0.25, 0},
    {LAYER "attention.LayerNorm.weight", 6, 0, 0.25, 1},
    {LAYER "attention.LayerNorm.bias", 6, 0, 0.25, 0},
    {LAYER "ffn.weight", 10, 6, 0.5, 0},
    {LAYER "ffn.bias", 10, 0, 0.25, 0},
    {LAYER "ffn_output.weight", 6, 10, 0.5, 0},
    {LAYER "ffn_output.bias", 6, 0, 0.25, 0},
    {LAYER "full_layer_layer_norm.weight", 6, 0, 0.25, 1},
    {LAYER "full_layer_layer_norm.bias", 6, 0, 0.25, 0},
};
_Static_assert(RP_COUNT(encoder) == ENCODER, "the header says how many");

char tiny_dir[FIXTURE_PATH_SIZE];
fixture_tensor tiny_tensors[TINY_MOST];
size_t tiny_count;
rp_config tiny_config;
rp_weights tiny_weights;

int tiny_setup(void **state) {
    (void)state;
    memcpy(tiny_tensors, encoder, sizeof encoder);
    tiny_count = ENCODER;
    return fixture_make_dir(tiny_dir) ? 0 : -1;
}

int tiny_teardown(void **state) {
    (void)state;
    rp_weights_finish(&tiny_weights);
    rp_config_finish(&tiny_config);
    fixture_remove_dir(tiny_dir);
    return 0;
}

void tiny_add(const fixture_tensor *more, size_t count) {
    for (size_t i = 0; i < count && more[i].name; i++) tiny_tensors[tiny_count++] = more[i];
    assert_true(tiny_count <= TINY_MOST);
}

fixture_tensor *tiny_find(const char *name) {
    for (size_t i = 0; i < tiny_count; i++)
        if (!strcmp(tiny_tensors[i].name, name)) return &tiny_tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

void tiny_drop(const char *name) {
    fixture_tensor *gone = tiny_find(name);
    *gone = tiny_tensors[--tiny_count];
}

void tiny_write_layout(const char *text, fixture_layout layout) {
    fixture_remove_dir(tiny_dir);
    assert_int_equal(mkdir(tiny_dir, 0700), 0);
    assert_true(fixture_write_folder(tiny_dir, text, tiny_tensors, tiny_count, &layout, NULL));
}

void tiny_write(const char *text) {
    tiny_write_layout(text, (fixture_layout){0});
}

/* Load the folder into `config` and `weights`. */
static rp_status load(unsigned wish, rp_error *err) {
    rp_weights_finish(&tiny_weights);
    rp_config_finish(&tiny_config);
    rp_status status = rp_config_load(tiny_dir, &tiny_config, err);
    tiny_config.head = wish;
    return status ? status : rp_weights_load(tiny_dir, &tiny_config, &tiny_weights, err);
}

void tiny_load_as(unsigned wish) {
    rp_error err = {0};
    rp_status status = load(wish, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
}

void tiny_load(void) {
    tiny_load_as(0);
}

void tiny_check_bad(rp_status expected, const char *file, const char *needle) {
    tiny_check_bad_as(0, expected, file, needle);
}

void tiny_check_bad_as(unsigned wish, rp_status expected, const char *file, const char *needle) {
    rp_error err = {0};
    rp_status status = load(wish, &err);
    bool good = status == expected && err.status == expected && strstr(err.message, file) &&
                strstr(err.message, needle);
    if (!good) print_error("want %s\n-> %s: %s\n", needle, rp_status_name(status), err.message);
    assert_true(good);
    assert_null(tiny_weights.files);
    assert_null(tiny_weights.layers);
}

void tiny_check_reason(unsigned head, const char *needle) {
    const rp_error *why = rp_weights_left_out(&tiny_weights, head);
    bool good = why && why->status == RP_ERROR_HEAD && strstr(why->message, "model.safetensors: ") &&
                strstr(why->message, needle);
    if (!good) print_error("want %s\n-> %s\n", needle, why ? why->message : "no reason");
    assert_true(good);
    assert_false(tiny_weights.heads & head);
}

void tiny_check_left_out(unsigned head, const char *needle) {
    const rp_weights *w = &tiny_weights;
    const void *views[] = {head == RP_HEAD_POOLER ? w->pooler.data : NULL,
                           head == RP_HEAD_POOLER ? w->pooler_bias.data : NULL,
                           head == RP_HEAD_ORDER ? w->order.data : NULL,
                           head == RP_HEAD_ORDER ? w->order_bias.data : NULL,
                           head == RP_HEAD_MASKED_LM ? w->lm_dense.data : NULL,
                           head == RP_HEAD_MASKED_LM ? w->lm_norm.data : NULL,
                           head == RP_HEAD_MASKED_LM ? w->lm_bias.data : NULL,
                           head > RP_HEAD_POOLER && head < RP_HEAD_MASKED_LM ? w->classifier.data : NULL};
    tiny_check_reason(head, needle);
    for (size_t i = 0; i < RP_COUNT(views); i++) assert_null(views[i]);
}
