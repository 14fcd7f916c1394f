/* config.json: defaults, every legal variant, and wrong values, each with a message that names the file and
 * the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/config.h"
#include "loader/unicode.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

/* Load `text` as config.json. */
static rp_status load(const char *text, rp_config *config, rp_error *err) {
    *err = (rp_error){0};
    assert_true(fixture_write_text(dir, "config.json", text));
    return rp_config_load(dir, config, err);
}

static void load_good(const char *text, rp_config *config) {
    rp_error err;
    rp_status status = load(text, config, &err);
    if (status) print_error("%s\n-> %s\n", text, err.message);
    assert_int_equal(status, RP_OK);
}

static void check_bad(const char *text, rp_status expected, const char *field) {
    rp_config config;
    rp_error err;
    rp_status status = load(text, &config, &err);
    bool good = status == expected && err.status == expected && strstr(err.message, "config.json") &&
                strstr(err.message, field);
    if (!good) print_error("%.200s\n-> %s: %s\n", text, rp_status_name(status), err.message);
    assert_true(good);
    assert_null(config.path); // nothing is left to free
    assert_null(config.labels);
}

/* ---- what is legal ---- */

static void test_albert_defaults(void **state) {
    (void)state;
    rp_config c;
    load_good("{\"model_type\": \"albert\"}", &c); // AlbertConfig() of transformers 4.44.2
    assert_int_equal(c.family, RP_FAMILY_ALBERT);
    assert_int_equal(c.vocab_size, 30000);
    assert_int_equal(c.embedding_size, 128);
    assert_int_equal(c.hidden_size, 4096);
    assert_int_equal(c.layers, 12);
    assert_int_equal(c.groups, 1);
    assert_int_equal(c.inner_layers, 1);
    assert_int_equal(c.attention_heads, 64);
    assert_int_equal(c.intermediate_size, 16384);
    assert_int_equal(c.max_positions, 512);
    assert_int_equal(c.type_vocab_size, 2);
    assert_int_equal(c.activation, RP_ACTIVATION_GELU_TANH);
    assert_true(c.norm_eps == 1e-12f);
    assert_true(c.tie_word_embeddings);
    assert_int_equal(c.problem, RP_PROBLEM_SINGLE_LABEL);
    assert_false(c.problem_given);
    assert_int_equal(c.label_count, 2);
    assert_string_equal(c.labels[0], "LABEL_0");
    assert_string_equal(c.labels[1], "LABEL_1");
    assert_string_equal(c.architecture, "");
    rp_config_finish(&c);
    assert_null(c.path);
}

static void test_bert_defaults(void **state) {
    (void)state;
    rp_config c;
    load_good("{\"model_type\": \"bert\"}", &c); // BertConfig() of transformers 4.44.2
    assert_int_equal(c.family, RP_FAMILY_BERT);
    assert_int_equal(c.vocab_size, 30522);
    assert_int_equal(c.embedding_size, 768);
    assert_int_equal(c.hidden_size, 768);
    assert_int_equal(c.layers, 12);
    assert_int_equal(c.groups, 12);
    assert_int_equal(c.inner_layers, 1);
    assert_int_equal(c.attention_heads, 12);
    assert_int_equal(c.intermediate_size, 3072);
    assert_int_equal(c.max_positions, 512);
    assert_int_equal(c.activation, RP_ACTIVATION_GELU);
    for (uint32_t i = 0; i < c.layers; i++) assert_int_equal(rp_config_group(&c, i), i);
    rp_config_finish(&c);
}

static void test_distilbert(void **state) {
    (void)state;
    rp_config c;
    load_good("{\"model_type\": \"distilbert\"}", &c); // DistilBertConfig() of transformers 4.44.2
    assert_int_equal(c.family, RP_FAMILY_DISTILBERT);
    assert_int_equal(c.vocab_size, 30522);
    assert_int_equal(c.embedding_size, 768);
    assert_int_equal(c.hidden_size, 768);
    assert_int_equal(c.layers, 6);
    assert_int_equal(c.groups, 6);
    assert_int_equal(c.inner_layers, 1);
    assert_int_equal(c.attention_heads, 12);
    assert_int_equal(c.intermediate_size, 3072);
    assert_int_equal(c.max_positions, 512);
    assert_int_equal(c.type_vocab_size, 0);
    assert_int_equal(c.activation, RP_ACTIVATION_GELU);
    assert_true(c.no_pooler && c.norm_eps == 1e-12f && c.tie_word_embeddings);
    rp_config_finish(&c);
    // fields of other families say nothing; the others' names of its own fields count, as with transformers
    load_good(
        "{\"model_type\": \"distilbert\", \"dim\": 24, \"n_heads\": 2, \"n_layers\": 3, \"hidden_dim\": 40,"
        " \"intermediate_size\": 50, \"num_hidden_layers\": 4, \"type_vocab_size\": 2, \"embedding_size\": 5,"
        " \"layer_norm_eps\": 0.5, \"hidden_act\": \"relu\", \"activation\": \"relu\", \"tie_weights_\": "
        "true,"
        " \"sinusoidal_pos_embds\": false, \"seq_classif_dropout\": 0.2, \"pad_token_id\": 0}",
        &c);
    assert_int_equal(c.hidden_size, 24);
    assert_int_equal(c.embedding_size, 24);
    assert_int_equal(c.intermediate_size, 40);
    assert_int_equal(c.layers, 4);
    assert_int_equal(c.groups, 4);
    assert_int_equal(c.attention_heads, 2);
    assert_int_equal(c.type_vocab_size, 0);
    assert_int_equal(c.activation, RP_ACTIVATION_RELU);
    assert_true(c.norm_eps == 1e-12f);
    rp_config_finish(&c);
}

static void test_family_without_model_type(void **state) {
    static const struct {
        const char *text;
        rp_family family;
    } rows[] = {
        {"{\"architectures\": [\"BertModel\"], \"embedding_size\": 3}", RP_FAMILY_BERT},
        {"{\"architectures\": [\"AlbertForMaskedLM\"]}", RP_FAMILY_ALBERT},
        {"{\"embedding_size\": 128}", RP_FAMILY_ALBERT},
        {"{\"hidden_size\": 768}", RP_FAMILY_BERT},
        {"{\"architectures\": [\"DistilBertForMaskedLM\"]}", RP_FAMILY_DISTILBERT},
        {"{\"dim\": 768, \"n_layers\": 6}", RP_FAMILY_DISTILBERT},
        {"{\"model_type\": null, \"architectures\": null, \"embedding_size\": 128}", RP_FAMILY_ALBERT},
        {"{\"model_type\": \"bert\", \"embedding_size\": 128}", RP_FAMILY_BERT},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_config c;
        load_good(rows[i].text, &c);
        assert_int_equal(c.family, rows[i].family);
        rp_config_finish(&c);
    }
}

static void test_odd_sizes(void **state) {
    (void)state;
    rp_config c;
    load_good(
        "{\"model_type\": \"albert\", \"vocab_size\": 66001, \"embedding_size\": 22, \"hidden_size\": 39,"
        " \"num_attention_heads\": 3, \"intermediate_size\": 91, \"num_hidden_layers\": 5,"
        " \"num_hidden_groups\": 2, \"inner_group_num\": 3, \"max_position_embeddings\": 1,"
        " \"type_vocab_size\": 1, \"layer_norm_eps\": 0.1, \"hidden_act\": \"relu\","
        " \"tie_word_embeddings\": false, \"architectures\": [\"AlbertForMaskedLM\", \"Other\"]}",
        &c);
    assert_int_equal(c.vocab_size, 66001);
    assert_int_equal(c.embedding_size, 22);
    assert_int_equal(c.hidden_size, 39);
    assert_int_equal(c.attention_heads, 3);
    assert_int_equal(c.intermediate_size, 91);
    assert_int_equal(c.layers, 5);
    assert_int_equal(c.groups, 2);
    assert_int_equal(c.inner_layers, 3);
    assert_int_equal(c.max_positions, 1);
    assert_int_equal(c.type_vocab_size, 1);
    assert_true(c.norm_eps == 0.1f);
    assert_int_equal(c.activation, RP_ACTIVATION_RELU);
    assert_false(c.tie_word_embeddings);
    assert_string_equal(c.architecture, "AlbertForMaskedLM");
    rp_config_finish(&c);
}

static void test_activations_and_eps(void **state) {
    static const struct {
        const char *fields;
        rp_activation activation;
        float eps;
    } rows[] = {
        {"\"hidden_act\": \"gelu\", \"layer_norm_eps\": 0", RP_ACTIVATION_GELU, 0},
        {"\"hidden_act\": \"gelu_new\", \"layer_norm_eps\": 1", RP_ACTIVATION_GELU_TANH, 1},
        {"\"hidden_act\": \"gelu_pytorch_tanh\", \"layer_norm_eps\": 1E-5", RP_ACTIVATION_GELU_TANH, 1e-5f},
        {"\"hidden_act\": \"relu\", \"layer_norm_eps\": 1e-3", RP_ACTIVATION_RELU, 1e-3f},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        char text[200];
        rp_config c;
        snprintf(text, sizeof text, "{\"model_type\": \"bert\", %s}", rows[i].fields);
        load_good(text, &c);
        assert_int_equal(c.activation, rows[i].activation);
        assert_true(c.norm_eps == rows[i].eps);
        rp_config_finish(&c);
    }
}

/* The groups of each layer as Python computes int(i / (layers / groups)). */
static void test_groups(void **state) {
    static const struct {
        uint32_t layers, groups;
        const char *expected;
    } rows[] = {
        {6, 1, "000000"},        {6, 2, "000111"}, {5, 2, "00011"}, {7, 3, "0001122"},
        {12, 5, "000112223344"}, {2, 4, "02"},     {3, 3, "012"},   {1, 3, "0"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_config c = {.layers = rows[i].layers, .groups = rows[i].groups};
        for (uint32_t k = 0; k < c.layers; k++)
            assert_int_equal(rp_config_group(&c, k), (uint32_t)(rows[i].expected[k] - '0'));
    }
}

static void test_labels(void **state) {
    (void)state;
    rp_config c;
    load_good("{\"model_type\": \"albert\", \"num_labels\": 12}", &c);
    assert_int_equal(c.label_count, 12);
    assert_string_equal(c.labels[11], "LABEL_11");
    rp_config_finish(&c);
    load_good(
        "{\"model_type\": \"albert\", \"id2label\": {\"1\": \"gut\", \"0\": \"schlecht – é\", \"2\": 7},"
        " \"num_labels\": 9, \"problem_type\": \"multi_label_classification\"}",
        &c);
    assert_int_equal(c.label_count, 3); // id2label wins
    assert_string_equal(c.labels[0], "schlecht – é");
    assert_string_equal(c.labels[1], "gut");
    assert_string_equal(c.labels[2], "7");
    assert_int_equal(c.problem, RP_PROBLEM_MULTI_LABEL);
    assert_true(c.problem_given);
    rp_config_finish(&c);
    load_good("{\"model_type\": \"albert\", \"id2label\": {\"0\": \"\"}, \"problem_type\": \"regression\"}",
              &c);
    assert_int_equal(c.label_count, 1);
    assert_string_equal(c.labels[0], "");
    assert_int_equal(c.problem, RP_PROBLEM_REGRESSION);
    rp_config_finish(&c);
    load_good(
        "{\"model_type\": \"albert\", \"tie_word_embeddings\": null, \"is_decoder\": null, \"loss\": NaN,"
        " \"max_length\": 1000000000000000019884624838656}",
        &c);
    assert_false(c.tie_word_embeddings); // as Python takes null
    rp_config_finish(&c);
    load_good("{\"model_type\": \"albert\", \"tie_word_embeddings\": 1, \"is_decoder\": 0}", &c);
    assert_true(c.tie_word_embeddings);
    rp_config_finish(&c);
    // what no class of its own looks at
    load_good("{\"model_type\": \"distilbert\", \"is_decoder\": true, \"position_embedding_type\": "
              "\"relative_key\"}",
              &c);
    rp_config_finish(&c);
    load_good("{\"model_type\": \"albert\", \"id2label\": null, \"problem_type\": null}", &c);
    assert_int_equal(c.label_count, 2);
    assert_false(c.problem_given);
    rp_config_finish(&c);
}

/* As transformers 4.44.2 counts them: one for each entry of id2label, whatever its key. */
static void test_labels_with_gaps(void **state) {
    static const struct {
        const char *fields;
        uint32_t count;
        const char *labels[4], *bare; // by row: 'y' where the label is no string
        bool given;
    } rows[] = {
        {"\"id2label\": {\"0\": \"a\", \"2\": \"b\", \"4\": \"c\"}", 3, {"a", "LABEL_1", "b"}, "nnn", true},
        {"\"id2label\": {\"-1\": \"a\", \"1\": \"b\"}", 2, {"LABEL_0", "b"}, "nn", true},
        {"\"id2label\": {\"99999999999999999999\": \"a\"}", 1, {"LABEL_0"}, "n", true},
        {"\"id2label\": {\"0\": 5, \"1\": -7, \"2\": \"5\"}", 3, {"5", "-7", "5"}, "yyn", true},
        {"\"id2label\": {\"0\": true, \"1\": false, \"2\": null}",
         3,
         {"true", "false", "LABEL_2"},
         "yyn",
         true},
        {"\"id2label\": {\"0\": \"x\", \"1\": \"x\"}, \"num_labels\": 3", 2, {"x", "x"}, "nn", true},
        {"\"id2label\": {\"0\": 0.5, \"1\": -2.5e-07, \"2\": 1e20, \"3\": NaN}",
         4,
         {"0.5", "-2.5e-07", "1e+20", "NaN"},
         "yyyn",
         true},
        {"\"id2label\": {\"00\": \"a\", \" 1\\n\": \"b\", \"+2\": \"c\", \"0_3\": \"d\"}",
         4,
         {"a", "b", "c", "d"},
         "nnnn",
         true},
        {"\"id2label\": {}, \"num_labels\": 3", 3, {"LABEL_0", "LABEL_1", "LABEL_2"}, "nnn", true},
        {"\"id2label\": {}", 2, {"LABEL_0", "LABEL_1"}, "nn", false},
        {"\"id2label\": null", 2, {"LABEL_0", "LABEL_1"}, "nn", false},
        {"\"num_labels\": 1", 1, {"LABEL_0"}, "n", true},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        char text[256];
        rp_config c;
        snprintf(text, sizeof text, "{\"model_type\": \"bert\", %s}", rows[i].fields);
        load_good(text, &c);
        assert_int_equal(c.label_count, rows[i].count);
        assert_int_equal(c.labels_given, rows[i].given);
        for (uint32_t k = 0; k < c.label_count; k++) {
            assert_string_equal(c.labels[k], rows[i].labels[k]);
            assert_int_equal(c.label_bare[k], rows[i].bare[k] == 'y');
        }
        rp_config_finish(&c);
    }
}

static void test_many_labels(void **state) {
    enum { LABELS = 5000, ROOM = LABELS * 32 };
    (void)state;
    rp_config c;
    char *text = malloc(ROOM);
    assert_non_null(text);
    int at = snprintf(text, ROOM, "{\"model_type\": \"bert\", \"id2label\": {");
    for (int i = LABELS; i-- > 0;)
        at += snprintf(text + at, ROOM - at, "\"%d\": \"name %d\"%s", i, i, i ? "," : "}}");
    load_good(text, &c);
    free(text);
    assert_int_equal(c.label_count, LABELS);
    for (int i = 0; i < LABELS; i += 499) {
        char name[32];
        snprintf(name, sizeof name, "name %d", i);
        assert_string_equal(c.labels[i], name);
    }
    rp_config_finish(&c);
}

static void test_bundled_and_presets(void **state) {
    static const struct {
        const char *name;
        uint32_t hidden, layers, heads;
    } rows[] = {
        {"base", 768, 12, 12}, {"large", 1024, 24, 16}, {"xlarge", 2048, 24, 16}, {"xxlarge", 4096, 12, 64}};
    (void)state;
    rp_config c;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        assert_int_equal(rp_config_preset(rows[i].name, &c, NULL), RP_OK);
        assert_int_equal(c.hidden_size, rows[i].hidden);
        assert_int_equal(c.intermediate_size, 4 * rows[i].hidden);
        assert_int_equal(c.layers, rows[i].layers);
        assert_int_equal(c.attention_heads, rows[i].heads);
        assert_int_equal(c.activation, RP_ACTIVATION_GELU_TANH);
        assert_int_equal(c.label_count, 2);
        assert_string_equal(c.architecture, "AlbertModel");
        rp_config_finish(&c);
    }
    assert_int_equal(rp_config_preset(SOURCE_DIR "/tools/models/sentiment", &c, NULL), RP_OK);
    assert_int_equal(c.hidden_size, 384);
    assert_string_equal(c.labels[1], "POSITIVE");
    assert_string_equal(c.path, SOURCE_DIR "/tools/models/sentiment/config.json");
    rp_config_finish(&c);
    rp_config_finish(&c); // a second time is allowed
}

/* ---- what is not ---- */

static void test_wrong_sizes(void **state) {
    static const char *const fields[] = {
        "vocab_size",        "embedding_size",      "hidden_size",
        "intermediate_size", "num_hidden_layers",   "num_hidden_groups",
        "inner_group_num",   "num_attention_heads", "max_position_embeddings",
        "type_vocab_size",   "num_labels"};
    static const char *const values[] = {"0",
                                         "-1",
                                         "1000000000",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "4.0",
                                         "1e3",
                                         "\"768\"",
                                         "null",
                                         "true",
                                         "[768]",
                                         "{}",
                                         "NaN",
                                         "18446744073709551616",
                                         "Infinity",
                                         "1e999",
                                         "0768",
                                         ""};
    (void)state;
    for (size_t f = 0; f < RP_COUNT(fields); f++)
        for (size_t v = 0; v < RP_COUNT(values); v++) {
            char text[200];
            snprintf(text, sizeof text, "{\"model_type\": \"albert\", \"%s\": %s, \"pad_token_id\": 0}",
                     fields[f], values[v]);
            check_bad(text, RP_ERROR_FORMAT, fields[f]);
        }
}

#define ALBERT "{\"model_type\": \"albert\", "
#define DISTILBERT "{\"model_type\": \"distilbert\", "

static void test_wrong_fields(void **state) {
    static const struct {
        const char *text;
        rp_status status;
        const char *field;
    } rows[] = {
        {"", RP_ERROR_FORMAT, "empty"},
        {"{", RP_ERROR_FORMAT, "line 1"},
        {"[]", RP_ERROR_FORMAT, "must be an object"},
        {"7", RP_ERROR_FORMAT, "line 1"},
        {"{}", RP_ERROR_FORMAT, "model_type"},
        {"{\"a\": 1}\n}", RP_ERROR_FORMAT, "line 2"},
        {"{\"a\": \"\xff\xfe\"}", RP_ERROR_FORMAT, "a: line 1"},
        {"{\"model_type\": 3}", RP_ERROR_FORMAT, "model_type"},
        {"{\"model_type\": \"roberta\"}", RP_ERROR_UNSUPPORTED, "model_type: \"roberta\""},
        {"{\"architectures\": [\"GPT2Model\"]}", RP_ERROR_UNSUPPORTED, "architectures: \"GPT2Model\""},
        {ALBERT "\"architectures\": \"AlbertModel\"}", RP_ERROR_FORMAT, "architectures"},
        {ALBERT "\"architectures\": [1]}", RP_ERROR_FORMAT, "architectures"},
        {ALBERT "\"hidden_size\": 64, \"hidden_size\": 128}", RP_ERROR_FORMAT, "hidden_size"},
        {ALBERT "\"hidden_size\": 100, \"num_attention_heads\": 3}", RP_ERROR_FORMAT, "num_attention_heads"},
        {ALBERT "\"hidden_size\": 4, \"num_attention_heads\": 8}", RP_ERROR_FORMAT, "num_attention_heads"},
        {ALBERT "\"num_hidden_groups\": 4096, \"inner_group_num\": 256}", RP_ERROR_FORMAT, "inner_group_num"},
        {ALBERT "\"layer_norm_eps\": -1e-12}", RP_ERROR_FORMAT, "layer_norm_eps"},
        {ALBERT "\"layer_norm_eps\": 1e300}", RP_ERROR_FORMAT, "layer_norm_eps"},
        {ALBERT "\"layer_norm_eps\": \"1e-12\"}", RP_ERROR_FORMAT, "layer_norm_eps"},
        {ALBERT "\"layer_norm_eps\": NaN}", RP_ERROR_FORMAT, "layer_norm_eps"},
        {ALBERT "\"hidden_act\": \"swish\"}", RP_ERROR_UNSUPPORTED, "hidden_act: \"swish\""},
        {ALBERT "\"hidden_act\": 5}", RP_ERROR_FORMAT, "hidden_act"},
        {ALBERT "\"hidden_act\": null}", RP_ERROR_FORMAT, "hidden_act"},
        {ALBERT "\"position_embedding_type\": \"relative_key\"}", RP_ERROR_UNSUPPORTED,
         "position_embedding_type"},
        {ALBERT "\"position_embedding_type\": 1}", RP_ERROR_FORMAT, "position_embedding_type"},
        {ALBERT "\"position_embedding_type\": null}", RP_ERROR_UNSUPPORTED,
         "position_embedding_type: is null"},
        {ALBERT "\"is_decoder\": true}", RP_ERROR_UNSUPPORTED, "is_decoder"},
        {ALBERT "\"pruned_heads\": {\"0\": [1]}}", RP_ERROR_UNSUPPORTED, "pruned_heads"},
        {ALBERT "\"quantization_config\": {\"bits\": 4}}", RP_ERROR_UNSUPPORTED, "quantization_config"},
        {ALBERT "\"tie_word_embeddings\": \"yes\"}", RP_ERROR_FORMAT, "tie_word_embeddings"},
        {ALBERT "\"problem_type\": \"ranking\"}", RP_ERROR_FORMAT, "problem_type: \"ranking\""},
        {ALBERT "\"problem_type\": []}", RP_ERROR_FORMAT, "problem_type"},
        {ALBERT "\"id2label\": [\"a\", \"b\"]}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"0\": \"a\", \"x\": \"b\"}}", RP_ERROR_FORMAT, "id2label: key \"x\""},
        {ALBERT "\"id2label\": {\"0\": [\"a\"]}}", RP_ERROR_FORMAT, "id2label: label 0"},
        {ALBERT "\"id2label\": {\"0\": \"a\", \"00\": \"b\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"-\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"1__0\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"1_\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"1.0\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"- 1\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {ALBERT "\"id2label\": {\"\": \"a\"}}", RP_ERROR_FORMAT, "id2label"},
        {DISTILBERT "\"dim\": 100, \"n_heads\": 3}", RP_ERROR_FORMAT, "num_attention_heads"},
        {DISTILBERT "\"n_layers\": 0}", RP_ERROR_FORMAT, "n_layers"},
        {DISTILBERT "\"hidden_dim\": 1.5}", RP_ERROR_FORMAT, "hidden_dim"},
        {DISTILBERT "\"activation\": \"tanh\"}", RP_ERROR_UNSUPPORTED, "activation: \"tanh\""},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) check_bad(rows[i].text, rows[i].status, rows[i].field);
}

/* Deep nesting must not use up the stack. */
static void test_deep_nesting(void **state) {
    enum { DEPTH = 200000 };
    (void)state;
    char *text = malloc(DEPTH + 16);
    assert_non_null(text);
    strcpy(text, "{\"deep\": ");
    memset(text + 9, '[', DEPTH);
    text[9 + DEPTH] = '\0';
    check_bad(text, RP_ERROR_FORMAT, "deep");
    free(text);
}

static void check_folder(const char *folder, rp_status expected, const char *needle) {
    rp_config config;
    rp_error err = {0};
    assert_int_equal(rp_config_load(folder, &config, &err), expected);
    if (!strstr(err.message, needle)) print_error("%s\n", err.message);
    assert_non_null(strstr(err.message, needle));
    assert_int_equal(rp_config_load(folder, &config, NULL), expected);
}

static void test_wrong_folders(void **state) {
    (void)state;
    char path[2 * FIXTURE_PATH_SIZE];
    check_folder(NULL, RP_ERROR_ARGUMENT, "folder");
    check_folder("", RP_ERROR_FILE, "empty");
    check_folder("/no/such/folder", RP_ERROR_FILE, "/no/such/folder");
    check_folder(dir, RP_ERROR_FILE, "config.json");
    assert_true(fixture_write_text(dir, "a-file", "{}"));
    snprintf(path, sizeof path, "%s/a-file", dir);
    check_folder(path, RP_ERROR_FILE, "a-file: not a folder");
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    check_folder(dir, RP_ERROR_FILE, "config.json: not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); // must not wait for a writer
    check_folder(dir, RP_ERROR_FILE, "config.json: not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_true(fixture_write_text(dir, "config.json", "{}"));
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0) check_folder(dir, RP_ERROR_FILE, "config.json: cannot open");
}

static void test_wrong_preset(void **state) {
    (void)state;
    rp_config config;
    rp_error err = {0};
    assert_int_equal(rp_config_preset("huge", &config, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "huge"));
    assert_non_null(strstr(err.message, "xxlarge"));
    assert_int_equal(rp_config_preset("", &config, &err), RP_ERROR_FILE);
    assert_int_equal(rp_config_preset(NULL, &config, &err), RP_ERROR_ARGUMENT);
}

/* What a file or a path brings that is no text does not come through, and a long message ends in a whole
 * character. */
static void test_messages_are_text(void **state) {
    rp_config config;
    rp_error err;
    char text[2000] = "{\"model_type\": \"";
    (void)state;
    for (size_t offset = 0; offset < 4; offset++) {
        static const char *const bad[] = {"{\"\\\xde\x87\xddq\x82", "{\"a\": \"\xff", "\xed\xa0\x80",
                                          "{\xf0\x9f\x98"};
        assert_int_equal(load(bad[offset], &config, &err), RP_ERROR_FORMAT);
        assert_int_equal(rp_utf8_check(err.message, strlen(err.message)), strlen(err.message));
        assert_non_null(strstr(err.message, "config.json"));
    }
    assert_int_equal(rp_config_load("/nowhere/\xff\xfe", &config, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "/nowhere/\?\?:"));
    for (size_t size = 470; size < 490; size++) { /* cut in each place of a character of four bytes */
        memset(text, 'x', size);
        text[size] = 0;
        for (size_t i = 0; i < 20; i++) strcat(text, "\xf0\x9f\x98\x80");
        rp_fail(&err, RP_ERROR_FILE, "%s", text);
        size_t length = strlen(err.message);
        assert_true(length > sizeof err.message - 5 && length < sizeof err.message);
        assert_int_equal(rp_utf8_check(err.message, length), length);
        assert_null(strchr(err.message, '?'));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_albert_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_are_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bert_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_distilbert, setup, teardown),
        cmocka_unit_test_setup_teardown(test_family_without_model_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_activations_and_eps, setup, teardown),
        cmocka_unit_test(test_groups),
        cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels_with_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_labels, setup, teardown),
        cmocka_unit_test(test_bundled_and_presets),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_nesting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_folders, setup, teardown),
        cmocka_unit_test(test_wrong_preset),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
