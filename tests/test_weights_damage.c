/* Folders whose weights are incomplete, damaged or of another model: the message names the file and the
 * tensor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_weights.h"

/* Whichever tensor is missing or has another shape, the message names it. */
static void test_each_tensor_missing_or_misshapen(void **state) {
    (void)state;
    const char *class = ALBERT("\"AlbertForPreTraining\"");
    tiny_add((fixture_tensor[]){POOLER, LM, LM_BIAS, ORDER}, 9);
    for (size_t i = 0; i < tiny_count; i++) {
        fixture_tensor saved = tiny_tensors[i];
        char found[64];
        const char *name = strncmp(saved.name, "albert.", 7) ? saved.name : saved.name + 7;
        tiny_tensors[i].name = "elsewhere";
        tiny_write(class);
        tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors: ", name);
        tiny_tensors[i] = saved;
        tiny_tensors[i].rows++;
        tiny_write(class);
        if (saved.columns)
            snprintf(found, sizeof found, "is [%u, %u],", saved.rows + 1, saved.columns);
        else
            snprintf(found, sizeof found, "is [%u],", saved.rows + 1);
        tiny_check_bad(RP_ERROR_FORMAT, saved.name, found);
        if (saved.columns)
            snprintf(found, sizeof found, "asks for [%u, %u]", saved.rows, saved.columns);
        else
            snprintf(found, sizeof found, "asks for [%u]", saved.rows);
        tiny_check_bad(RP_ERROR_FORMAT, saved.name, found);
        tiny_tensors[i] = saved;
        tiny_tensors[i].offset = i % 2 ? NAN : -INFINITY;
        tiny_write(class);
        tiny_check_bad(RP_ERROR_FORMAT, saved.name, "NaN or infinite");
        tiny_tensors[i] = saved;
    }
}

static void test_partial_and_promised_heads(void **state) {
    static const struct {
        const char *config;
        fixture_tensor more[8];
        const char *missing;
    } rows[] = {
        {ALBERT(""), {POOLER, {"classifier.weight", 3, 6, 0.5, 0}}, "classifier.bias"},
        {ALBERT(""), {POOLER, {"classifier.bias", 3, 0, 0.5, 0}}, "classifier.weight"},
        {ALBERT(""), {{"qa_outputs.bias", 2, 0, 0.5, 0}}, "qa_outputs.weight"},
        {ALBERT(""), {{"albert.pooler.weight", 6, 6, 0.5, 0}}, "pooler.bias"},
        {ALBERT(""), {LM}, "predictions.bias"},
        {ALBERT(""), {LM_BIAS}, "predictions.dense.weight"},
        {ALBERT(""), {ORDER}, "pooler.weight"},
        {ALBERT("\"AlbertForSequenceClassification\""), {CLASSIFIER(3)}, "pooler.weight"},
        {ALBERT("\"AlbertForSequenceClassification\""), {POOLER}, "classifier.weight"},
        {ALBERT("\"AlbertForTokenClassification\""), {{0}}, "classifier.weight"},
        {ALBERT("\"AlbertForMultipleChoice\""), {POOLER}, "classifier.weight"},
        {ALBERT("\"AlbertForMultipleChoice\""), {POOLER, CLASSIFIER(3)}, "asks for [1, 6]"},
        {ALBERT("\"AlbertForSequenceClassification\""), {POOLER, CLASSIFIER(2)}, "asks for [3, 6] (id2label"},
        {ALBERT("\"AlbertForQuestionAnswering\""), {CLASSIFIER(3)}, "qa_outputs.weight"},
        {ALBERT("\"AlbertForMaskedLM\""), {{0}}, "predictions.dense.weight"},
        {ALBERT("\"AlbertForPreTraining\""), {LM, LM_BIAS, POOLER}, "sop_classifier.classifier.weight"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_count = ENCODER;
        tiny_add(rows[i].more, RP_COUNT(rows[i].more));
        tiny_write(rows[i].config);
        tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors", rows[i].missing);
    }
}

static void test_config_of_another_model(void **state) {
    static const struct {
        const char *config, *needle;
    } rows[] = {
        {"{\"model_type\": \"albert\"}", "(vocab_size, embedding_size)"},
        {"{\"model_type\": \"albert\", \"vocab_size\": 11, \"embedding_size\": 4, \"hidden_size\": 65536}",
         "max_position_embeddings"},
        {BERT(""), "word_embeddings"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_write(rows[i].config);
        tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors", rows[i].needle);
    }
}

/* ---- shards ---- */

static void test_damaged_indexes(void **state) {
    static const struct {
        const char *index;
        rp_status status;
        const char *needle;
    } rows[] = {
        {"", RP_ERROR_FORMAT, "empty"},
        {"{", RP_ERROR_FORMAT, "line 1"},
        {"{}", RP_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": []}", RP_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": {}}", RP_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": {\"w\": 3}}", RP_ERROR_FORMAT, "w: "},
        {"{\"weight_map\": {\"w\": \"../x.safetensors\"}}", RP_ERROR_FORMAT, "../x.safetensors"},
        {"{\"weight_map\": {\"w\": \"/tmp/x.safetensors\"}}", RP_ERROR_FORMAT, "/tmp/x.safetensors"},
        {"{\"weight_map\": {\"w\": \"a\\\\x.safetensors\"}}", RP_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"w\": \"..\"}}", RP_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"w\": \"\"}}", RP_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"w\": \"config.json\"}}", RP_ERROR_FORMAT, "config.json"},
        {"{\"weight_map\": {\"w\": \"x.safetensors\"}}", RP_ERROR_FILE, "x.safetensors is missing"},
        {"{\"weight_map\": {\"w\": \"model-00001-of-00002.safetensors\"}}", RP_ERROR_FORMAT,
         "w: is not in model-00001-of-00002.safetensors"},
        {"{\"weight_map\": {\"albert.embeddings.position_embeddings.weight\": "
         "\"model-00001-of-00002.safetensors\"}}",
         RP_ERROR_FORMAT,
         "albert.embeddings.position_embeddings.weight: is not in model-00001-of-00002.safetensors"},
        {"{\"weight_map\": {\"albert.embeddings.word_embeddings.weight\": "
         "\"model-00001-of-00002.safetensors\"}}",
         RP_ERROR_FORMAT, "position_embeddings.weight: the tensor is missing"},
    };
    (void)state;
    tiny_write_layout(ALBERT(""), (fixture_layout){.shards = 2});
    tiny_load();
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        assert_true(fixture_write_text(tiny_dir, "model.safetensors.index.json", rows[i].index));
        tiny_check_bad(rows[i].status, "model.safetensors.index.json", rows[i].needle);
    }
    tiny_write_layout(ALBERT(""), (fixture_layout){.shards = 2});
    assert_true(fixture_write_text(tiny_dir, "model-00002-of-00002.safetensors", "damaged"));
    tiny_check_bad(RP_ERROR_FORMAT, "model-00002-of-00002.safetensors", "header length");
}

/* ---- folders ---- */

static void test_missing_files(void **state) {
    static const char *const others[] = {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"};
    char path[2 * FIXTURE_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(others); i++) {
        tiny_write(ALBERT(""));
        snprintf(path, sizeof path, "%s/model.safetensors", tiny_dir);
        assert_int_equal(unlink(path), 0);
        tiny_check_bad(RP_ERROR_FILE, tiny_dir, "neither model.safetensors nor model.safetensors.index.json");
        assert_true(fixture_write_text(tiny_dir, others[i], "x"));
        tiny_check_bad(RP_ERROR_UNSUPPORTED, others[i], "convert");
    }
    assert_int_equal(mkdir(path, 0700), 0);
    tiny_check_bad(RP_ERROR_FILE, "model.safetensors", "not a regular file");
    assert_int_equal(rmdir(path), 0);
    rp_error err = {0};
    assert_int_equal(rp_weights_load("", &tiny_config, &tiny_weights, &err), RP_ERROR_FILE);
    assert_int_equal(rp_weights_load("/no/such/folder", &tiny_config, &tiny_weights, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "/no/such/folder"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TINY_TEST(test_each_tensor_missing_or_misshapen),
        TINY_TEST(test_partial_and_promised_heads),
        TINY_TEST(test_config_of_another_model),
        TINY_TEST(test_damaged_indexes),
        TINY_TEST(test_missing_files),
    };
    return cmocka_run_group_tests_name("weights_damage", tests, NULL, NULL);
}
