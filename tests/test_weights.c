/* The weights of whole folders: names, heads, shards, element types, real files, and generated ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support_weights.h"

/* The same shape and elements. */
static void check_same(const rp_tensor *got, const rp_tensor *want) {
    assert_non_null(got->data);
    assert_int_equal(got->rows, want->rows);
    assert_int_equal(got->columns, want->columns);
    for (size_t i = 0; i < (size_t)got->rows * got->columns; i++)
        assert_true(rp_tensor_get(got, i) == rp_tensor_get(want, i));
}

/* ---- heads ---- */

static void test_heads(void **state) {
    static const struct {
        const char *config;
        fixture_tensor more[12];
        unsigned heads;
        uint32_t classifier_rows, elements;
    } rows[] = {
        {ALBERT("\"AlbertModel\""), {{0}}, 0, 0, 0},
        {ALBERT("\"AlbertModel\""), {POOLER}, RP_HEAD_POOLER, 0, 42},
        {ALBERT(""), {POOLER}, RP_HEAD_POOLER, 0, 42},
        {ALBERT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_POOLER | RP_HEAD_CLASSIFIER,
         3,
         63},
        {ALBERT("\"AlbertForTokenClassification\""), {CLASSIFIER(3)}, RP_HEAD_TOKENS, 3, 21},
        {ALBERT("\"AlbertForTokenClassification\""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_POOLER | RP_HEAD_TOKENS,
         3,
         63},
        {ALBERT("\"AlbertForMultipleChoice\""),
         {POOLER, CLASSIFIER(1)},
         RP_HEAD_POOLER | RP_HEAD_CHOICE,
         1,
         49},
        {ALBERT("\"AlbertForQuestionAnswering\""), {SPANS}, RP_HEAD_SPANS, 2, 14},
        {ALBERT(""), {POOLER, CLASSIFIER(3)}, RP_HEAD_POOLER | RP_HEAD_CLASSIFIER, 3, 63},
        {ALBERT(""), {CLASSIFIER(3)}, RP_HEAD_TOKENS, 3, 21},
        {ALBERT(""), {SPANS}, RP_HEAD_SPANS, 2, 14},
        {ALBERT("\"AlbertForMaskedLM\""), {LM, LM_BIAS}, RP_HEAD_MASKED_LM, 0, 47},
        {ALBERT("\"AlbertForMaskedLM\""), {LM, LM_BIAS, DECODER, DECODER_BIAS}, RP_HEAD_MASKED_LM, 0, 47},
        {ALBERT("\"AlbertForPreTraining\""),
         {LM, LM_BIAS, POOLER, ORDER},
         RP_HEAD_MASKED_LM | RP_HEAD_POOLER | RP_HEAD_ORDER,
         0,
         103},
        {ALBERT(""),
         {LM, DECODER_BIAS, POOLER, ORDER},
         RP_HEAD_MASKED_LM | RP_HEAD_POOLER | RP_HEAD_ORDER,
         0,
         103},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_count = ENCODER;
        tiny_add(rows[i].more, RP_COUNT(rows[i].more));
        tiny_write(rows[i].config);
        tiny_load();
        assert_int_equal(tiny_weights.heads, rows[i].heads);
        assert_int_equal(tiny_weights.parameters, ENCODER_ELEMENTS + rows[i].elements);
        assert_int_equal(tiny_weights.classifier.rows, rows[i].classifier_rows);
        assert_int_equal(tiny_weights.pooler.data != NULL, (rows[i].heads & RP_HEAD_POOLER) != 0);
        assert_int_equal(tiny_weights.order.data != NULL, (rows[i].heads & RP_HEAD_ORDER) != 0);
        assert_int_equal(tiny_weights.lm_bias.data != NULL, (rows[i].heads & RP_HEAD_MASKED_LM) != 0);
        assert_null(tiny_weights.lm_decoder.data); // all of these are tied
    }
}

/* Every view, told apart by its shape and by its first element, which the generator derives from the name. */
static void test_every_tensor_in_its_place(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){POOLER, LM, LM_BIAS, ORDER}, 9);
    for (size_t i = 0; i < tiny_count;
         i++) { // constants 1/64, 2/64 ... make the tiny_tensors distinguishable
        tiny_tensors[i].scale = 0;
        tiny_tensors[i].offset = (double)(i + 1) / 64;
    }
    tiny_write(ALBERT("\"AlbertForPreTraining\""));
    tiny_load();
    const rp_layer_weights *l = &tiny_weights.layers[0];
    const rp_tensor *expected[] = {&tiny_weights.word,
                                   &tiny_weights.position,
                                   &tiny_weights.type,
                                   &tiny_weights.embedding_norm,
                                   &tiny_weights.embedding_norm_bias,
                                   &tiny_weights.mapping,
                                   &tiny_weights.mapping_bias,
                                   &l->query,
                                   &l->query_bias,
                                   &l->key,
                                   &l->key_bias,
                                   &l->value,
                                   &l->value_bias,
                                   &l->dense,
                                   &l->dense_bias,
                                   &l->attention_norm,
                                   &l->attention_norm_bias,
                                   &l->ffn,
                                   &l->ffn_bias,
                                   &l->ffn_output,
                                   &l->ffn_output_bias,
                                   &l->output_norm,
                                   &l->output_norm_bias,
                                   &tiny_weights.pooler,
                                   &tiny_weights.pooler_bias,
                                   &tiny_weights.lm_dense,
                                   &tiny_weights.lm_dense_bias,
                                   &tiny_weights.lm_norm,
                                   &tiny_weights.lm_norm_bias,
                                   &tiny_weights.lm_bias,
                                   &tiny_weights.order,
                                   &tiny_weights.order_bias};
    assert_int_equal(RP_COUNT(expected), tiny_count);
    for (size_t i = 0; i < tiny_count; i++) {
        bool vector = tiny_tensors[i].columns == 0;
        assert_int_equal(expected[i]->rows, vector ? 1 : tiny_tensors[i].rows);
        assert_int_equal(expected[i]->columns, vector ? tiny_tensors[i].rows : tiny_tensors[i].columns);
        assert_true(rp_tensor_get(expected[i], 0) == (float)(i + 1) / 64);
    }
}

/* ---- where tensors may be ---- */

static void test_layouts(void **state) {
    static const fixture_layout layouts[] = {
        {.strip_prefix = "albert."},
        {.shards = 3},
        {.shards = 2, .strip_prefix = "albert."},
        {.shards = 40},
        {.add_prefix = "module."},                        // as torch.nn.DataParallel saves
        {.shards = 40, .add_prefix = "model."},           // as a trainer does
        {.add_prefix = "module.model._orig_mod.module."}, // and others around one another
        {.shards = 2, .strip_prefix = "albert.", .add_prefix = "module."},
        {.dtype = FIXTURE_F64},
        {.form = FIXTURE_ZIP},
        {.form = FIXTURE_OLD},
        {.form = FIXTURE_ZIP, .shards = 3, .add_prefix = "module."},
        {.form = FIXTURE_OLD, .shards = 2, .strip_prefix = "albert."},
        {.form = FIXTURE_ZIP, .transposed = true},
        {.form = FIXTURE_OLD, .transposed = true, .dtype = FIXTURE_F64},
        {.form = FIXTURE_ZIP, .dtype = FIXTURE_F64}};
    (void)state;
    tiny_write(ALBERT(""));
    tiny_load();
    rp_weights reference = tiny_weights;
    tiny_weights = (rp_weights){0};
    for (size_t i = 0; i < RP_COUNT(layouts); i++) {
        tiny_write_layout(ALBERT(""), layouts[i]); // the folder of `reference` is gone, its mapping is not
        tiny_load();
        check_same(&tiny_weights.word, &reference.word);
        check_same(&tiny_weights.layers[0].ffn_output, &reference.layers[0].ffn_output);
        check_same(&tiny_weights.layers[0].output_norm_bias, &reference.layers[0].output_norm_bias);
        assert_int_equal(tiny_weights.parameters, reference.parameters);
    }
    rp_weights_finish(&reference);
}

static void test_element_types(void **state) {
    (void)state;
    tiny_write(ALBERT(""));
    tiny_load();
    rp_weights reference = tiny_weights;
    tiny_weights = (rp_weights){0};
    for (int i = 0; i < 6; i++) {
        fixture_dtype dtype = i % 2 ? FIXTURE_BF16 : FIXTURE_F16;
        fixture_form form = (fixture_form)(i / 2);
        tiny_write_layout(ALBERT(""), (fixture_layout){.dtype = dtype, .form = form, .transposed = form});
        tiny_load();
        assert_int_equal(tiny_weights.word.dtype, dtype == FIXTURE_F16 ? RP_F16 : RP_BF16);
        for (size_t i = 0; i < 44; i++) {
            float away = rp_tensor_get(&tiny_weights.word, i) - rp_tensor_get(&reference.word, i);
            assert_true(fabsf(away) <= (dtype == FIXTURE_F16 ? 0x1p-12f : 0x1p-9f) / 2);
        }
    }
    rp_weights_finish(&reference);
}

static void test_old_norm_names(void **state) {
    (void)state;
    tiny_find("albert.embeddings.LayerNorm.weight")->name = "albert.embeddings.LayerNorm.gamma";
    tiny_find("albert.embeddings.LayerNorm.bias")->name = "albert.embeddings.LayerNorm.beta";
    tiny_find(LAYER "full_layer_layer_norm.bias")->name = LAYER "full_layer_layer_norm.beta";
    tiny_add((fixture_tensor[]){LM, LM_BIAS}, 5);
    tiny_find("predictions.LayerNorm.weight")->name = "predictions.LayerNorm.gamma";
    for (int i = 0; i < 6; i++) {
        const char *prefix = i % 2 ? "module." : NULL;
        tiny_write_layout(ALBERT(""), (fixture_layout){.form = (fixture_form)(i / 2), .add_prefix = prefix});
        tiny_load();
        assert_true(rp_tensor_get(&tiny_weights.embedding_norm, 0) > 0.5f);
        assert_true(rp_tensor_get(&tiny_weights.lm_norm, 0) > 0.5f);
    }
}

/* Unused tensors may have any name, shape and type. */
static void test_unused_tensors(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){{"albert.embeddings.position_ids", 1, 8, 0, 0}, {"other", 3, 0, 0, NAN}}, 2);
    tiny_write(ALBERT(""));
    tiny_load();
    assert_int_equal(tiny_weights.parameters, ENCODER_ELEMENTS);
}

/* ---- whose the classifier is ---- */

#define SILENT(class) "{\"model_type\": \"albert\", \"architectures\": [" class "], " SIZES_ALONE "}"

/* Told by the tensors, or by the caller; and how many labels there are where config.json does not say. */
static void test_whose_the_classifier_is(void **state) {
    static const struct {
        const char *config;
        fixture_tensor more[8];
        unsigned wish, heads, left_out;
        uint32_t labels;
        const char *reason;
    } rows[] = {
        // a pooler tells, where nothing else does
        {ALBERT(""),
         {POOLER, CLASSIFIER(3)},
         0,
         RP_HEAD_CLASSIFIER,
         RP_HEAD_TOKENS,
         3,
         "say so with --head tag"},
        {ALBERT("\"Classifier\""), {CLASSIFIER(3)}, 0, RP_HEAD_TOKENS, 0, 3, NULL},
        {ALBERT(""), {POOLER, CLASSIFIER(3)}, RP_HEAD_TOKENS, RP_HEAD_TOKENS, 0, 3, NULL},
        {ALBERT(""), {POOLER, CLASSIFIER(1)}, 0, RP_HEAD_CHOICE, 0, 3, NULL},
        {SILENT(""), {CLASSIFIER(2)}, 0, RP_HEAD_TOKENS, RP_HEAD_SPANS, 2, "say so with --head answer"},
        {ALBERT(""), {CLASSIFIER(2)}, RP_HEAD_SPANS, RP_HEAD_SPANS, 0, 3, NULL},
        {ALBERT(""), {SPANS}, RP_HEAD_SPANS, RP_HEAD_SPANS, 0, 3, NULL},
        {ALBERT(""), {SPANS, POOLER, CLASSIFIER(1)}, RP_HEAD_CHOICE, RP_HEAD_CHOICE, 0, 3, NULL},
        // the caller overrules the class, as an AutoModelFor... does
        {ALBERT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_TOKENS,
         RP_HEAD_TOKENS,
         0,
         3,
         NULL},
        // without labels: the rows count, but not against a class that transformers has saved
        {SILENT(""), {POOLER, CLASSIFIER(3)}, 0, RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, 3, "--head tag"},
        {SILENT("\"Mine\""), {CLASSIFIER(7)}, 0, RP_HEAD_TOKENS, 0, 7, NULL},
        {SILENT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(3)},
         0,
         0,
         RP_HEAD_CLASSIFIER,
         2,
         "is [3, 6], config.json asks for [2, 6] (id2label or num_labels, hidden_size); config.json names no "
         "labels"},
        {SILENT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(2)},
         0,
         RP_HEAD_CLASSIFIER,
         0,
         2,
         NULL},
        {SILENT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_CLASSIFIER,
         RP_HEAD_CLASSIFIER,
         0,
         3,
         NULL},
        {SILENT(""), {POOLER, CLASSIFIER(1)}, 0, 0, RP_HEAD_CLASSIFIER, 2, "has one row"},
        {SILENT(""), {POOLER, CLASSIFIER(1)}, 0, 0, RP_HEAD_CHOICE, 2, "--head classify or --head choose"},
        {SILENT(""), {POOLER, CLASSIFIER(1)}, RP_HEAD_CLASSIFIER, RP_HEAD_CLASSIFIER, 0, 1, NULL},
        {SILENT(""), {POOLER, CLASSIFIER(1)}, RP_HEAD_CHOICE, RP_HEAD_CHOICE, 0, 2, NULL},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_count = ENCODER;
        tiny_add(rows[i].more, RP_COUNT(rows[i].more));
        tiny_write(rows[i].config);
        tiny_load_as(rows[i].wish);
        assert_int_equal(tiny_weights.heads & ~(unsigned)RP_HEAD_POOLER, rows[i].heads);
        assert_int_equal(tiny_config.label_count, rows[i].labels);
        if (rows[i].reason) tiny_check_reason(rows[i].left_out, rows[i].reason);
    }
}

/* A wish that the tensors cannot meet is an error that names both. */
static void test_wishes_that_contradict_the_tensors(void **state) {
    static const struct {
        const char *config;
        fixture_tensor more[6];
        unsigned wish;
        const char *needles[2];
    } rows[] = {
        {ALBERT(""), {CLASSIFIER(3)}, RP_HEAD_SPANS, {"--head answer", "classifier.weight: shape is [3, 6]"}},
        {ALBERT(""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_CHOICE,
         {"--head choose", "classifier.weight: shape is [3, 6]"}},
        {ALBERT(""), {POOLER, CLASSIFIER(2)}, RP_HEAD_TOKENS, {"--head tag", "asks for [3, 6] (id2label"}},
        {ALBERT(""),
         {CLASSIFIER(3)},
         RP_HEAD_CLASSIFIER,
         {"--head classify", "pooler.weight: the tensor is missing"}},
        {ALBERT(""),
         {SPANS},
         RP_HEAD_CLASSIFIER,
         {"--head classify", "classifier.weight: the tensor is missing"}},
        {ALBERT("\"AlbertForMaskedLM\""),
         {LM, LM_BIAS},
         RP_HEAD_TOKENS,
         {"--head tag", "classifier.weight: the tensor"}},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_count = ENCODER;
        tiny_add(rows[i].more, RP_COUNT(rows[i].more));
        tiny_write(rows[i].config);
        for (size_t n = 0; n < 2; n++)
            tiny_check_bad_as(rows[i].wish, RP_ERROR_HEAD, "model.safetensors: ", rows[i].needles[n]);
    }
}

static void test_groups_and_inner_layers(void **state) {
    static const struct {
        const char *name;
        uint32_t groups, inner;
    } rows[] = {
        {"groups", 2, 1}, {"groups_three", 3, 1}, {"inner", 2, 2}, {"inner_three", 1, 3}, {"bert", 3, 1}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        golden g;
        rp_error err = {0};
        assert_true(golden_open(rows[i].name, NULL, &g));
        rp_config_finish(&tiny_config);
        rp_weights_finish(&tiny_weights);
        assert_int_equal(rp_config_load(g.dir, &tiny_config, &err), RP_OK);
        assert_int_equal(rp_weights_load(g.dir, &tiny_config, &tiny_weights, &err), RP_OK);
        assert_int_equal(tiny_config.groups, rows[i].groups);
        assert_int_equal(tiny_config.inner_layers, rows[i].inner);
        for (uint32_t k = 0; k < rows[i].groups * rows[i].inner; k++) {
            assert_non_null(tiny_weights.layers[k].query.data);
            for (uint32_t j = 0; j < k; j++)
                assert_ptr_not_equal(tiny_weights.layers[k].query.data, tiny_weights.layers[j].query.data);
        }
        golden_close(&g);
    }
}

/* ---- the masked language model's output ---- */

static void test_tied_decoder(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){LM, LM_BIAS, DECODER}, 6);
    tiny_write(ALBERT_UNTIED);
    tiny_load();
    assert_int_equal(tiny_weights.lm_decoder.rows, 11);
    assert_int_equal(tiny_weights.lm_decoder.columns, 4);
    assert_int_equal(tiny_weights.parameters, ENCODER_ELEMENTS + 47 + 44);
    tiny_find("predictions.decoder.weight")->scale = 0;
    tiny_find("albert.embeddings.word_embeddings.weight")->scale = 0; // byte by byte the same
    tiny_write(ALBERT_UNTIED);
    tiny_load();
    assert_null(tiny_weights.lm_decoder.data);
    tiny_drop("predictions.decoder.weight");
    tiny_write(ALBERT_UNTIED);
    tiny_load();
    tiny_check_left_out(RP_HEAD_MASKED_LM, "predictions.decoder.weight");
}

/* Of two tied tensors a tool may have stored the decoder. */
static void test_word_embeddings_under_the_decoder(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){LM, LM_BIAS, DECODER}, 6);
    tiny_drop("albert.embeddings.word_embeddings.weight");
    tiny_write(ALBERT("\"AlbertForMaskedLM\""));
    tiny_load();
    assert_int_equal(tiny_weights.word.rows, 11);
    assert_null(tiny_weights.lm_decoder.data);
    tiny_write(ALBERT_UNTIED);
    tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors", "embeddings.word_embeddings.weight");
}

static void test_lm_bias(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){LM,
                                {"predictions.bias", 11, 0, 0, 0.25},
                                {"predictions.decoder.bias", 11, 0, 0, 0.5}},
             6);
    tiny_write(ALBERT("\"AlbertForMaskedLM\""));
    tiny_load();
    assert_true(rp_tensor_get(&tiny_weights.lm_bias, 10) == 0.5f);
    tiny_drop("predictions.decoder.bias");
    tiny_write(ALBERT("\"AlbertForMaskedLM\""));
    tiny_load();
    assert_true(rp_tensor_get(&tiny_weights.lm_bias, 10) == 0.25f);
    tiny_drop("predictions.bias");
    tiny_write(ALBERT("\"AlbertForMaskedLM\""));
    tiny_load();
    tiny_check_left_out(RP_HEAD_MASKED_LM, "predictions.bias");
}

/* ---- real files ---- */

typedef struct element {
    const rp_tensor *tensor;
    size_t index;
    float value;
} element;

static void check_elements(const element *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_true(rp_tensor_get(rows[i].tensor, rows[i].index) == rows[i].value);
}

/* The values were read with Python, where all of them are exact in half precision:
 *   from safetensors.numpy import load_file
 *   float(load_file("tools/models/sentiment/model.safetensors")["classifier.weight"].ravel()[767]) */
static void test_bundled_models(void **state) {
    (void)state;
    assert_int_equal(rp_config_load(SOURCE_DIR "/tools/models/sentiment", &tiny_config, NULL), RP_OK);
    assert_int_equal(rp_weights_load(SOURCE_DIR "/tools/models/sentiment", &tiny_config, &tiny_weights, NULL),
                     RP_OK);
    const rp_layer_weights *l = tiny_weights.layers;
    check_elements((element[]){{&tiny_weights.word, 0, 0x1.07cp-5f},
                               {&tiny_weights.word, 12345, 0x1.cfp-8f},
                               {&tiny_weights.word, 1048575, -0x1.15p-4f},
                               {&l->ffn, 0, -0x1.4a4p-5f},
                               {&l->ffn, 100000, -0x1.388p-5f},
                               {&l->ffn, 589823, 0x1.33cp-8f},
                               {&l->output_norm, 0, 0x1.5bcp-1f},
                               {&l->output_norm, 200, 0x1.858p-1f},
                               {&tiny_weights.pooler_bias, 0, 0x1.ab8p-12f},
                               {&tiny_weights.pooler_bias, 383, 0x1.5b4p-8f},
                               {&tiny_weights.classifier, 0, -0x1.584p-6f},
                               {&tiny_weights.classifier, 767, 0x1.534p-6f},
                               {&tiny_weights.classifier_bias, 0, -0x1.82p-6f},
                               {&tiny_weights.classifier_bias, 1, 0x1.62cp-6f}},
                   14);
    assert_int_equal(tiny_weights.heads, RP_HEAD_POOLER | RP_HEAD_CLASSIFIER);
    assert_int_equal(tiny_weights.word.dtype, RP_F16);
    assert_int_equal(tiny_weights.parameters, 3087234); // what the file's 6,174,472 bytes of halves hold
    rp_weights_finish(&tiny_weights);
    rp_config_finish(&tiny_config);
    assert_int_equal(rp_config_load(SOURCE_DIR "/tools/models/pretrained", &tiny_config, NULL), RP_OK);
    assert_int_equal(
        rp_weights_load(SOURCE_DIR "/tools/models/pretrained", &tiny_config, &tiny_weights, NULL), RP_OK);
    check_elements((element[]){{&tiny_weights.lm_bias, 0, -0x1.d84p-4f},
                               {&tiny_weights.lm_bias, 4000, -0x1.d6p-4f},
                               {&tiny_weights.lm_bias, 8191, -0x1.fbp-3f},
                               {&tiny_weights.lm_dense, 0, 0x1.43p-8f},
                               {&tiny_weights.lm_dense, 49151, 0x1.518p-9f},
                               {&tiny_weights.lm_norm_bias, 5, 0x1.79p-4f},
                               {&tiny_weights.order, 0, -0x1.f24p-8f},
                               {&tiny_weights.order, 767, -0x1.a24p-5f},
                               {&tiny_weights.order_bias, 0, -0x1.49cp-9f},
                               {&tiny_weights.order_bias, 1, 0x1.49cp-9f}},
                   10);
    assert_int_equal(tiny_weights.heads, RP_HEAD_POOLER | RP_HEAD_MASKED_LM | RP_HEAD_ORDER);
}

/* Every fixture of the encoder's tests loads, and nothing in its files is left unread. */
static void test_golden_folders(void **state) {
    static const struct {
        const char *name;
        unsigned heads;
    } rows[] = {
        {"odd_bf16", RP_HEAD_TOKENS},
        {"head32", RP_HEAD_SPANS},
        {"head64", RP_HEAD_POOLER | RP_HEAD_CHOICE},
        {"untied", RP_HEAD_MASKED_LM},
        {"vocab", RP_HEAD_MASKED_LM},
        {"bert", RP_HEAD_POOLER},
        {"bert_classes", RP_HEAD_POOLER | RP_HEAD_CLASSIFIER},
        {"bert_tokens", RP_HEAD_TOKENS},
        {"bert_spans", RP_HEAD_SPANS},
        {"bert_choice", RP_HEAD_POOLER | RP_HEAD_CHOICE},
        {"bert_lm", RP_HEAD_MASKED_LM},
        {"bert_pretraining", RP_HEAD_POOLER | RP_HEAD_MASKED_LM | RP_HEAD_ORDER},
        {"distilbert", 0},
        {"distilbert_classes", RP_HEAD_POOLER | RP_HEAD_CLASSIFIER}, // pre_classifier stands for the pooler
        {"distilbert_tokens", RP_HEAD_TOKENS},
        {"distilbert_spans", RP_HEAD_SPANS},
        {"distilbert_choice", RP_HEAD_POOLER | RP_HEAD_CHOICE},
        {"distilbert_lm", RP_HEAD_MASKED_LM},
        {"distilbert_untied", RP_HEAD_MASKED_LM},
    };
    (void)state;
    fixture_remove_dir(tiny_dir);
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        golden g;
        uint64_t stored = 0;
        assert_true(golden_open(rows[i].name, NULL, &g));
        snprintf(tiny_dir, sizeof tiny_dir, "%s", g.dir);
        tiny_load();
        for (size_t t = 0; t < g.tensor_count; t++)
            stored += (uint64_t)g.tensors[t].rows * (g.tensors[t].columns ? g.tensors[t].columns : 1);
        assert_int_equal(tiny_weights.heads, rows[i].heads);
        assert_int_equal(tiny_weights.parameters, stored);
        assert_int_equal(tiny_weights.mapping.data != NULL, tiny_config.family == RP_FAMILY_ALBERT);
        golden_close(&g);
    }
    tiny_dir[0] = '\0';
}

/* ---- random weights ---- */

static void check_random(const rp_tensor *t, float offset, float bound) {
    double sum = 0, squares = 0;
    size_t n = (size_t)t->rows * t->columns;
    for (size_t i = 0; i < n; i++) {
        float x = rp_tensor_get(t, i) - offset;
        assert_true(fabsf(x) <= bound * 1.0001f);
        sum += x;
        squares += (double)x * x;
    }
    assert_true(fabs(sum / (double)n) < 4 * bound / sqrt((double)n));
    assert_true(squares / (double)n > bound * bound / 4 &&
                squares / (double)n < bound * bound / 2); // 1/3 when uniform
}

static void test_random_weights(void **state) {
    (void)state;
    rp_weights again;
    assert_int_equal(rp_config_preset("base", &tiny_config, NULL), RP_OK);
    assert_int_equal(rp_weights_random(&tiny_config, 1, &tiny_weights, NULL), RP_OK);
    assert_int_equal(tiny_weights.parameters, 11683584); // as Hugging Face counts AlbertModel
    assert_int_equal(tiny_weights.heads, RP_HEAD_POOLER);
    assert_null(tiny_weights.classifier.data);
    check_random(&tiny_weights.word, 0, 0.05f);
    check_random(&tiny_weights.layers[0].ffn, 0, 0.05f);
    check_random(&tiny_weights.layers[0].output_norm, 1, 0.02f);
    check_random(&tiny_weights.pooler_bias, 0, 0.02f);
    assert_int_equal(rp_weights_random(&tiny_config, 1, &again, NULL), RP_OK);
    size_t bytes = (size_t)again.word.rows * again.word.columns * 4;
    assert_memory_equal(tiny_weights.word.data, again.word.data, bytes);
    rp_weights_finish(&again);
    assert_int_equal(rp_weights_random(&tiny_config, 2, &again, NULL), RP_OK);
    assert_memory_not_equal(tiny_weights.word.data, again.word.data, bytes);
    rp_weights_finish(&again);
}

static void test_random_heads(void **state) {
    (void)state;
    rp_error err = {0};
    tiny_write(ALBERT_UNTIED);
    assert_int_equal(rp_config_preset(tiny_dir, &tiny_config, &err), RP_OK);
    assert_int_equal(rp_weights_random(&tiny_config, 1, &tiny_weights, &err), RP_OK);
    assert_int_equal(tiny_weights.heads, RP_HEAD_MASKED_LM);
    assert_int_equal(tiny_weights.parameters, ENCODER_ELEMENTS + 47 + 44);
    assert_int_equal(tiny_weights.lm_decoder.rows, 11);
    assert_int_equal(tiny_weights.lm_bias.columns, 11);
    rp_weights_finish(&tiny_weights);
    rp_config_finish(&tiny_config);
    tiny_write(BERT("\"BertForSequenceClassification\""));
    assert_int_equal(rp_config_preset(tiny_dir, &tiny_config, &err), RP_OK);
    assert_int_equal(rp_weights_random(&tiny_config, 1, &tiny_weights, &err), RP_OK);
    assert_int_equal(tiny_weights.heads, RP_HEAD_POOLER | RP_HEAD_CLASSIFIER);
    assert_int_equal(tiny_weights.classifier.rows, 3);
    assert_null(tiny_weights.mapping.data);
    assert_non_null(tiny_weights.layers[1].output_norm_bias.data);
    rp_weights_finish(&tiny_weights);
    tiny_config.hidden_size = tiny_config.embedding_size = 65536; // more than any machine that runs this
    tiny_config.intermediate_size = 1 << 20;
    assert_int_equal(rp_weights_random(&tiny_config, 1, &tiny_weights, &err), RP_ERROR_HOST_MEMORY);
    assert_null(tiny_weights.layers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TINY_TEST(test_heads),
        TINY_TEST(test_every_tensor_in_its_place),
        TINY_TEST(test_layouts),
        TINY_TEST(test_element_types),
        TINY_TEST(test_old_norm_names),
        TINY_TEST(test_unused_tensors),
        TINY_TEST(test_whose_the_classifier_is),
        TINY_TEST(test_wishes_that_contradict_the_tensors),
        TINY_TEST(test_groups_and_inner_layers),
        TINY_TEST(test_tied_decoder),
        TINY_TEST(test_word_embeddings_under_the_decoder),
        TINY_TEST(test_lm_bias),
        TINY_TEST(test_bundled_models),
        TINY_TEST(test_golden_folders),
        TINY_TEST(test_random_weights),
        TINY_TEST(test_random_heads),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
