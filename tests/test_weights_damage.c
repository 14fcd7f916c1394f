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

/* Write the folder with tensor `i` damaged in one of three ways; `found` gets what a message says of it. */
enum { MISSING, MISSHAPEN, NOT_FINITE, DAMAGES };

static void write_damaged(const char *config, size_t i, int damage, char found[64]) {
    fixture_tensor saved = tiny_tensors[i];
    snprintf(found, 64, "%s", damage == MISSING ? "is missing" : "NaN or infinite");
    if (damage == MISSING) tiny_tensors[i].name = "elsewhere";
    if (damage == NOT_FINITE) tiny_tensors[i].offset = i % 2 ? NAN : -INFINITY;
    if (damage == MISSHAPEN) {
        tiny_tensors[i].rows++;
        if (saved.columns)
            snprintf(found, 64, "is [%u, %u], config.json asks for [%u, %u]", saved.rows + 1, saved.columns,
                     saved.rows, saved.columns);
        else
            snprintf(found, 64, "is [%u], config.json asks for [%u]", saved.rows + 1, saved.rows);
    }
    tiny_write(config);
    tiny_tensors[i] = saved;
}

/* Its name without the prefix, which is left out where it is missing with and without. */
static const char *bare_name(size_t i) {
    const char *name = tiny_tensors[i].name;
    return strncmp(name, "albert.", 7) ? name : name + 7;
}

/* Whichever tensor of the encoder is missing, has another shape or a NaN, the message names it. */
static void test_each_tensor_of_the_encoder(void **state) {
    char found[64];
    (void)state;
    for (size_t i = 0; i < ENCODER; i++)
        for (int damage = 0; damage < DAMAGES; damage++) {
            write_damaged(ALBERT(""), i, damage, found);
            tiny_check_bad(RP_ERROR_FORMAT, bare_name(i), found);
        }
}

/* And whichever tensor of a head it is, this head and what stands on it are left out, and the others stay. */
static void test_each_tensor_of_a_head(void **state) {
    enum { ALL = RP_HEAD_POOLER | RP_HEAD_ORDER | RP_HEAD_MASKED_LM };
    (void)state;
    tiny_add((fixture_tensor[]){POOLER, LM, LM_BIAS, ORDER}, 9);
    for (size_t i = ENCODER; i < tiny_count; i++)
        for (int damage = 0; damage < DAMAGES; damage++) {
            size_t k = i - ENCODER;
            unsigned head = k < 2 ? RP_HEAD_POOLER : k < 7 ? RP_HEAD_MASKED_LM : RP_HEAD_ORDER;
            unsigned gone = head == RP_HEAD_POOLER ? head | RP_HEAD_ORDER : head;
            char found[64];
            write_damaged(ALBERT("\"AlbertForPreTraining\""), i, damage, found);
            tiny_load();
            assert_int_equal(tiny_weights.heads, ALL & ~gone);
            for (unsigned bit = 1; bit <= ALL; bit *= 2) {
                if (!(gone & bit)) continue;
                tiny_check_left_out(bit, bare_name(i));
                tiny_check_left_out(bit, found);
            }
            assert_int_equal(tiny_weights.parameters, ENCODER_ELEMENTS + (gone & RP_HEAD_POOLER ? 0 : 42) +
                                                          (gone & RP_HEAD_MASKED_LM ? 0 : 47) +
                                                          (gone & RP_HEAD_ORDER ? 0 : 14));
        }
}

/* Heads that config.json names, or of which the files hold a part. */
static void test_partial_and_promised_heads(void **state) {
    static const struct {
        const char *config;
        fixture_tensor more[8];
        unsigned heads, left_out;
        const char *reason;
    } rows[] = {
        {ALBERT(""),
         {POOLER, {"classifier.weight", 3, 6, 0.5, 0}},
         RP_HEAD_POOLER,
         RP_HEAD_CLASSIFIER,
         "classifier.bias: the tensor is missing; others of this head are there: fetch the file again"},
        {ALBERT(""),
         {POOLER, {"classifier.bias", 3, 0, 0.5, 0}},
         RP_HEAD_POOLER,
         RP_HEAD_CLASSIFIER,
         "classifier.weight"},
        {ALBERT(""), {{"qa_outputs.bias", 2, 0, 0.5, 0}}, 0, RP_HEAD_SPANS, "qa_outputs.weight"},
        {ALBERT(""), {{"albert.pooler.weight", 6, 6, 0.5, 0}}, 0, RP_HEAD_POOLER, "pooler.bias"},
        {ALBERT(""), {LM}, 0, RP_HEAD_MASKED_LM, "predictions.bias"},
        {ALBERT(""), {LM_BIAS}, 0, RP_HEAD_MASKED_LM, "predictions.dense.weight"},
        {ALBERT(""), {ORDER}, 0, RP_HEAD_ORDER, "pooler.weight"},
        {ALBERT("\"AlbertForSequenceClassification\""),
         {CLASSIFIER(3)},
         0,
         RP_HEAD_CLASSIFIER,
         "pooler.weight"},
        {ALBERT("\"AlbertForSequenceClassification\""),
         {POOLER},
         RP_HEAD_POOLER,
         RP_HEAD_CLASSIFIER,
         "classifier.weight: the tensor is missing; fetch a folder that was saved with this head"},
        {ALBERT("\"AlbertForTokenClassification\""), {{0}}, 0, RP_HEAD_TOKENS, "classifier.weight"},
        {ALBERT("\"AlbertForMultipleChoice\""),
         {POOLER},
         RP_HEAD_POOLER,
         RP_HEAD_CHOICE,
         "classifier.weight"},
        {ALBERT("\"AlbertForMultipleChoice\""),
         {POOLER, CLASSIFIER(3)},
         RP_HEAD_POOLER,
         RP_HEAD_CHOICE,
         "asks for [1, 6]"},
        {ALBERT("\"AlbertForSequenceClassification\""),
         {POOLER, CLASSIFIER(2)},
         RP_HEAD_POOLER,
         RP_HEAD_CLASSIFIER,
         "asks for [3, 6] (id2label"},
        {ALBERT("\"AlbertForQuestionAnswering\""), {CLASSIFIER(3)}, 0, RP_HEAD_SPANS, "qa_outputs.weight"},
        {ALBERT("\"AlbertForMaskedLM\""), {{0}}, 0, RP_HEAD_MASKED_LM, "predictions.dense.weight"},
        {ALBERT("\"AlbertForPreTraining\""),
         {LM, LM_BIAS, POOLER},
         RP_HEAD_POOLER | RP_HEAD_MASKED_LM,
         RP_HEAD_ORDER,
         "sop_classifier.classifier.weight"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        tiny_count = ENCODER;
        tiny_add(rows[i].more, RP_COUNT(rows[i].more));
        tiny_write(rows[i].config);
        tiny_load();
        assert_int_equal(tiny_weights.heads, rows[i].heads);
        tiny_check_left_out(rows[i].left_out, rows[i].reason);
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

static void test_damaged_indexes_of_torch(void **state) {
    static const struct {
        const char *index;
        rp_status status;
        const char *needle;
    } rows[] = {
        {"{\"weight_map\": {\"w\": \"../x.bin\"}}", RP_ERROR_FORMAT,
         "name of a .bin file in the same folder"},
        {"{\"weight_map\": {\"w\": \"x.safetensors\"}}", RP_ERROR_FORMAT, "x.safetensors"},
        {"{\"weight_map\": {\"w\": \"x.bin\"}}", RP_ERROR_FILE, "x.bin is missing"},
        {"{\"weight_map\": {\"w\": \"pytorch_model-00001-of-00002.bin\"}}", RP_ERROR_FORMAT,
         "w: is not in pytorch_model-00001-of-00002.bin"},
    };
    (void)state;
    tiny_write_layout(ALBERT(""), (fixture_layout){.shards = 2, .form = FIXTURE_ZIP});
    tiny_load();
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        assert_true(fixture_write_text(tiny_dir, "pytorch_model.bin.index.json", rows[i].index));
        tiny_check_bad(rows[i].status, "pytorch_model.bin.index.json", rows[i].needle);
    }
    tiny_write_layout(ALBERT(""), (fixture_layout){.shards = 2, .form = FIXTURE_ZIP});
    assert_true(fixture_write_text(tiny_dir, "pytorch_model-00002-of-00002.bin", "damaged"));
    tiny_check_bad(RP_ERROR_FORMAT, "pytorch_model-00002-of-00002.bin", "not a file that torch.save wrote");
}

/* One tensor a shard, and each of the shards missing in turn: it is named by what needs it, and by nothing
 * else. */
static void test_missing_shards(void **state) {
    (void)state;
    tiny_add((fixture_tensor[]){POOLER, ORDER}, 4);
    for (size_t i = 0; i < tiny_count; i++) {
        char name[64], path[FIXTURE_PATH_SIZE + 64];
        tiny_write_layout(ALBERT("\"AlbertForPreTraining\""),
                          (fixture_layout){.shards = (uint32_t)tiny_count});
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, tiny_count);
        snprintf(path, sizeof path, "%s/%s", tiny_dir, name);
        assert_int_equal(unlink(path), 0);
        if (i < ENCODER) {
            tiny_check_bad(RP_ERROR_FILE, "model.safetensors.index.json", name);
            continue;
        }
        tiny_load();
        unsigned head = i < ENCODER + 2 ? RP_HEAD_POOLER : RP_HEAD_ORDER;
        assert_int_equal(tiny_weights.heads, head == RP_HEAD_POOLER ? 0 : RP_HEAD_POOLER);
        const rp_error *why = rp_weights_left_out(&tiny_weights, head);
        assert_non_null(why);
        assert_non_null(strstr(why->message, name));
        assert_int_equal(why->status, RP_ERROR_HEAD);
    }
}

/* The same words for every form, with the file's own name. */
static void test_damage_in_files_of_torch(void **state) {
    (void)state;
    for (fixture_form form = FIXTURE_ZIP; form <= FIXTURE_OLD; form++) {
        const fixture_layout layout = {.form = form}, wide = {.form = form, .dtype = FIXTURE_F64};
        tiny_find("albert.embeddings.LayerNorm.bias")->rows = 5;
        tiny_write_layout(ALBERT(""), layout);
        tiny_check_bad(RP_ERROR_FORMAT, "pytorch_model.bin: albert.embeddings.LayerNorm.bias",
                       "shape is [5]");
        tiny_find("albert.embeddings.LayerNorm.bias")->rows = 4;
        tiny_find(LAYER "ffn.weight")->offset = NAN;
        tiny_write_layout(ALBERT(""), layout);
        tiny_check_bad(RP_ERROR_FORMAT, "pytorch_model.bin: " LAYER "ffn.weight", "element 0 is NaN");
        tiny_find(LAYER "ffn.weight")->offset = INFINITY; // in F64 as well
        tiny_write_layout(ALBERT(""), wide);
        tiny_check_bad(RP_ERROR_FORMAT, "pytorch_model.bin: " LAYER "ffn.weight", "element 0 is NaN");
        tiny_find(LAYER "ffn.weight")->offset = 0;
        tiny_find(LAYER "ffn.bias")->name = "elsewhere";
        tiny_write_layout(ALBERT(""), layout);
        tiny_check_bad(RP_ERROR_FORMAT, "pytorch_model.bin: ", "ffn.bias: the tensor is missing");
        tiny_find("elsewhere")->name = LAYER "ffn.bias";
    }
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/pytorch_model.bin", tiny_dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    tiny_check_bad(RP_ERROR_FILE, "pytorch_model.bin", "not a regular file");
}

/* ---- folders ---- */

/* Of two forms transformers takes safetensors, and the whole before the index. */
static void test_precedence(void **state) {
    (void)state;
    tiny_write_layout(ALBERT(""), (fixture_layout){.form = FIXTURE_ZIP});
    assert_true(fixture_write_text(tiny_dir, "pytorch_model.bin.index.json", "damaged"));
    tiny_load();
    assert_true(fixture_write_text(tiny_dir, "model.safetensors.index.json", "damaged"));
    tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors.index.json", "line 1");
    assert_true(fixture_write_text(tiny_dir, "model.safetensors", "damaged"));
    tiny_check_bad(RP_ERROR_FORMAT, "model.safetensors", "header length");
}

static void test_missing_files(void **state) {
    static const char *const others[] = {"tf_model.h5", "flax_model.msgpack"};
    char path[2 * FIXTURE_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(others); i++) {
        tiny_write(ALBERT(""));
        snprintf(path, sizeof path, "%s/model.safetensors", tiny_dir);
        assert_int_equal(unlink(path), 0);
        tiny_check_bad(RP_ERROR_FILE, tiny_dir, "no weights (model.safetensors, pytorch_model.bin");
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
        TINY_TEST(test_each_tensor_of_the_encoder),
        TINY_TEST(test_each_tensor_of_a_head),
        TINY_TEST(test_partial_and_promised_heads),
        TINY_TEST(test_config_of_another_model),
        TINY_TEST(test_damaged_indexes),
        TINY_TEST(test_damaged_indexes_of_torch),
        TINY_TEST(test_missing_shards),
        TINY_TEST(test_damage_in_files_of_torch),
        TINY_TEST(test_precedence),
        TINY_TEST(test_missing_files),
    };
    return cmocka_run_group_tests_name("weights_damage", tests, NULL, NULL);
}
