/* Folders of a tiny ALBERT, whole or damaged, and what the loader says of them. For cmocka programs. */
#ifndef SUPPORT_WEIGHTS_H
#define SUPPORT_WEIGHTS_H

#include "loader/weights.h"
#include "support_fixture.h"

/* A model of the smallest interesting size: V 11, P 8, Y 2, E 4, H 6, I 10, 3 labels. */
#define SIZES_ALONE                                                                              \
    "\"vocab_size\": 11, \"embedding_size\": 4, \"hidden_size\": 6, \"intermediate_size\": 10, " \
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"max_position_embeddings\": 8"
#define SIZES SIZES_ALONE ", \"num_labels\": 3"
#define ALBERT(class) "{\"model_type\": \"albert\", \"architectures\": [" class "], " SIZES "}"
#define ALBERT_UNTIED                                                                                    \
    "{\"model_type\": \"albert\", \"architectures\": [\"AlbertForMaskedLM\"], \"tie_word_embeddings\": " \
    "false, " SIZES "}"
#define BERT(class) "{\"model_type\": \"bert\", \"architectures\": [" class "], " SIZES "}"

#define LAYER "albert.encoder.albert_layer_groups.0.albert_layers.0."

/* The encoder's tensors and their elements. */
enum { ENCODER = 23, ENCODER_ELEMENTS = 84 + 8 + 30 + 4 * 42 + 12 + 70 + 66 + 12 };

/* The tensors of the heads. */
// clang-format off
#define MATRIX(name, rows, columns) {name, rows, columns, 0.5, 0}
#define BIAS(name, rows) {name, rows, 0, 0.25, 0}
#define NORM(name, rows) {name, rows, 0, 0.25, 1}
#define POOLER MATRIX("albert.pooler.weight", 6, 6), BIAS("albert.pooler.bias", 6)
#define CLASSIFIER(n) MATRIX("classifier.weight", n, 6), BIAS("classifier.bias", n)
#define SPANS MATRIX("qa_outputs.weight", 2, 6), BIAS("qa_outputs.bias", 2)
#define ORDER MATRIX("sop_classifier.classifier.weight", 2, 6), BIAS("sop_classifier.classifier.bias", 2)
#define LM MATRIX("predictions.dense.weight", 4, 6), BIAS("predictions.dense.bias", 4), \
           NORM("predictions.LayerNorm.weight", 4), BIAS("predictions.LayerNorm.bias", 4)
#define LM_BIAS BIAS("predictions.bias", 11)
#define DECODER MATRIX("predictions.decoder.weight", 11, 4)
#define DECODER_BIAS BIAS("predictions.decoder.bias", 11)
// clang-format on

/* The folder, the tensors that go into it, and what was loaded from it. */
enum { TINY_MOST = 48 };
extern char tiny_dir[FIXTURE_PATH_SIZE];
extern fixture_tensor tiny_tensors[TINY_MOST];
extern size_t tiny_count;
extern rp_config tiny_config;
extern rp_weights tiny_weights;

/* Begin a test with a new folder and the encoder's tensors; end it by removing and freeing all. */
int tiny_setup(void **state);
int tiny_teardown(void **state);

/* Tensors up to `count` or the first without a name. */
void tiny_add(const fixture_tensor *more, size_t count);
fixture_tensor *tiny_find(const char *name);
void tiny_drop(const char *name);

/* Write config.json (the text) and the tensors into the folder, which is emptied first. */
void tiny_write_layout(const char *text, fixture_layout layout);
void tiny_write(const char *text);

/* Load the folder: it must succeed, or fail with a message that names `file` and holds `needle`. */
void tiny_load(void);
void tiny_load_as(unsigned wish); /* with rp_model_params.head */
void tiny_check_bad_as(unsigned wish, rp_status expected, const char *file, const char *needle);
void tiny_check_bad(rp_status expected, const char *file, const char *needle);

/* What was loaded lacks `head`, for a reason that names model.safetensors and holds `needle`; and (the
 * second) no view of its tensors is left. */
void tiny_check_reason(unsigned head, const char *needle);
void tiny_check_left_out(unsigned head, const char *needle);

#define TINY_TEST(name) cmocka_unit_test_setup_teardown(name, tiny_setup, tiny_teardown)

#endif
