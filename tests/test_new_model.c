/* New models: of a configuration and a vocabulary, with weights that have learnt nothing yet. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "loader/names.h"
#include "loader/new_model.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

#define SPIECE SOURCE_DIR "/tools/models/sentiment/spiece.model"

/* ---- memory that runs out ---- */

static long allowed = -1; /* allocations until one fails; -1: none does */

static bool fails(void) {
    return allowed >= 0 && allowed-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- folders ---- */

static rp_device *device;
static char dir[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE + 16];

static int begin(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

static int make_folder(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(out, sizeof out, "%s/out", dir);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static const char *file_of(const char *name, const char *text) {
    static char path[FIXTURE_PATH_SIZE + 64];
    assert_true(fixture_write_text(dir, name, text));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- what is in the folder ---- */

static json_t *config_of(void) {
    char path[FIXTURE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/config.json", out);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

static void check_integer(const json_t *root, const char *field, json_int_t want) {
    if (json_integer_value(json_object_get(root, field)) != want || !json_object_get(root, field))
        fail_msg("%s is %d", field, (int)json_integer_value(json_object_get(root, field)));
}

/* Sums over all matrices. */
typedef struct sums {
    const rp_tensor *word;
    uint32_t pad;
    double count, sum, squares, most;
} sums;

static rp_status look(const rp_slot *slot, void *context) {
    sums *s = context;
    const rp_tensor *t = slot->tensor;
    for (size_t i = 0; i < (size_t)t->rows * t->columns; i++) {
        double value = rp_tensor_get(t, i);
        bool pads = t == s->word && i / t->columns == s->pad;
        if (slot->kind != RP_SLOT_MATRIX || pads) {
            assert_true(value == (slot->kind == RP_SLOT_SCALE));
            continue;
        }
        s->count++;
        s->sum += value;
        s->squares += value * value;
        s->most = fmax(s->most, fabs(value));
    }
    return RP_OK;
}

/* Those of a normal distribution that ends at twice its deviation: theirs is 0.8796 times that. */
static void check_weights(unsigned heads, double deviation, uint32_t pad) {
    rp_config config;
    rp_weights weights;
    rp_error err = {0};
    if (rp_config_load(out, &config, &err) || rp_weights_load(out, &config, &weights, &err))
        fail_msg("%s", err.message);
    assert_int_equal(weights.heads, heads);
    assert_int_equal(config.pad_id, pad);
    sums s = {.word = &weights.word, .pad = pad};
    rp_slots_each(&config, &weights, RP_PART_ENCODER | heads, look, &s);
    for (uint32_t i = 0; heads & RP_HEAD_MASKED_LM && i < config.vocab_size; i++)
        assert_true(rp_tensor_get(&weights.lm_bias, i) == 0);
    assert_true(s.count > 10000);
    assert_true(fabs(s.sum / s.count) < 5 * deviation / sqrt(s.count));
    assert_true(fabs(sqrt(s.squares / s.count) / (0.8796 * deviation) - 1) < 5 / sqrt(s.count));
    assert_true(s.most <= 2.0001 * deviation && s.most > 1.9 * deviation);
    rp_weights_finish(&weights);
    rp_config_finish(&config);
}

/* ---- the cases ---- */

enum { BOTH = RP_HEAD_MASKED_LM | RP_HEAD_ORDER };

static const char small[] =
    "{\"model_type\": \"albert\", \"embedding_size\": 24, \"hidden_size\": 48, \"intermediate_size\": 96, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 3, \"max_position_embeddings\": 40, \"mine\": [1]}";

static void test_a_configuration_and_a_vocabulary(void **state) {
    (void)state;
    rp_error err = {0};
    if (rp_new_model_write(file_of("small.json", small), SPIECE, BOTH, 7, out, &err))
        fail_msg("%s", err.message);
    json_t *root = config_of();
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "architectures"), 0)),
                        "AlbertForPreTraining");
    check_integer(root, "hidden_size", 48);
    check_integer(root, "num_hidden_groups", 1);
    check_integer(root, "pad_token_id", 0);
    check_integer(root, "bos_token_id", 2);
    check_integer(root, "eos_token_id", 3);
    assert_int_equal(json_array_size(json_object_get(root, "mine")), 1);
    rp_tokenizer *tokenizer = NULL;
    if (rp_tokenizer_open(out, &tokenizer, &err)) fail_msg("%s", err.message);
    check_integer(root, "vocab_size", rp_tokenizer_vocab_size(tokenizer));
    rp_tokenizer_close(&tokenizer);
    json_decref(root);
    check_weights(BOTH | RP_HEAD_POOLER, 0.02, 0);
}

/* The vocabulary of a BERT, the ids of which are not those that Hugging Face takes where no file says. */
static void test_a_list_of_word_pieces(void **state) {
    (void)state;
    static const char bert[] =
        "{\"model_type\": \"bert\", \"hidden_size\": 48, \"intermediate_size\": 96, \"num_hidden_layers\": "
        "2, "
        "\"num_attention_heads\": 3, \"max_position_embeddings\": 40, \"initializer_range\": 0.5, "
        "\"vocab_size\": 20, \"architectures\": [\"BertForMaskedLM\"]}";
    char config[FIXTURE_PATH_SIZE + 64];
    rp_error err = {0};
    strcpy(config, file_of("c.json", bert));
    const char *vocab = file_of("mine.txt", "[UNK]\n[CLS]\n[SEP]\n[MASK]\n[PAD]\na\nb\n##c\n");
    if (rp_new_model_write(config, vocab, RP_HEAD_MASKED_LM, 1, out, &err)) fail_msg("%s", err.message);
    json_t *root = config_of();
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "architectures"), 0)),
                        "BertForMaskedLM");
    check_integer(root, "vocab_size", 20);
    check_integer(root, "pad_token_id", 4);
    json_decref(root);
    check_weights(RP_HEAD_MASKED_LM, 0.5, 4);
}

static char *weights_text(size_t *size) {
    char path[FIXTURE_PATH_SIZE + 64];
    struct stat info;
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    FILE *f = fopen(path, "rb");
    assert_true(f && !stat(path, &info));
    *size = (size_t)info.st_size;
    char *text = malloc(*size);
    assert_int_equal(fread(text, 1, *size, f), *size);
    fclose(f);
    fixture_remove_dir(out);
    return text;
}

static void test_the_seed_makes_the_weights(void **state) {
    (void)state;
    rp_error err = {0};
    char *made[3];
    size_t size[3];
    for (int i = 0; i < 3; i++) {
        const char *config = file_of("small.json", small);
        assert_int_equal(rp_new_model_write(config, SPIECE, BOTH, i == 2 ? 8 : 7, out, &err), RP_OK);
        made[i] = weights_text(&size[i]);
    }
    assert_true(size[0] == size[1] && size[0] == size[2]);
    assert_memory_equal(made[0], made[1], size[0]);
    assert_memory_not_equal(made[0], made[2], size[0]);
    for (int i = 0; i < 3; i++) free(made[i]);
}

/* Of a folder both, and learning begins. */
static void test_a_trainer_of_it(void **state) {
    (void)state;
    const int32_t ids[] = {2, 40, 4, 41, 3, 42, 4, 3}, types[] = {0, 0, 0, 0, 0, 1, 1, 1}, words[] = {44, 45},
                  order = 1;
    const uint32_t places[] = {2, 6}, two = 2;
    const rp_sequence sequence = {ids, types, 8};
    const rp_train_batch batch = {.sequences = &sequence,
                                  .count = 1,
                                  .masked_counts = &two,
                                  .masked_positions = places,
                                  .masked_ids = words,
                                  .order = &order};
    rp_trainer_params params = {.config = file_of("config.json", small),
                                .tokenizer = SOURCE_DIR "/tools/models/sentiment",
                                .optimizer = RP_OPTIMIZER_LAMB,
                                .learning_rate = 0.01};
    rp_trainer *trainer = NULL;
    rp_train_result result;
    rp_error err = {0};
    if (rp_trainer_open(device, out, &params, &trainer, &err)) fail_msg("%s", err.message);
    const rp_model_info *info = rp_model_get_info(rp_trainer_model(trainer));
    double first = 0;
    for (int i = 0; i < 10; i++) {
        if (rp_trainer_step(trainer, &batch, &result, &err)) fail_msg("%s", err.message);
        if (!i) first = result.mlm_loss;
    }
    assert_true(fabs(first - log(info->vocab_size)) < 0.3); /* nothing was known */
    assert_true(result.mlm_loss < first - 1);
    rp_trainer_close(&trainer);
    assert_int_equal(rp_trainer_open(device, out, &params, &trainer, &err), RP_ERROR_FILE); /* has files */
    assert_null(trainer);
}

/* ---- errors ---- */

static void check_refused(const char *config, const char *vocabulary, rp_status status, const char *says) {
    rp_error err = {0};
    struct stat info;
    if (rp_new_model_write(config, vocabulary, BOTH, 1, out, &err) != status)
        fail_msg("%s: %d: %s", says, (int)err.status, err.message);
    if (!strstr(err.message, says)) fail_msg("'%s' not in '%s'", says, err.message);
    assert_int_equal(stat(out, &info), -1);
}

static void test_what_does_not_fit_is_refused(void **state) {
    (void)state;
    char config[FIXTURE_PATH_SIZE + 64];
    check_refused(file_of("c.json", "{\"model_type\": \"albert\", \"vocab_size\": 100}"), SPIECE,
                  RP_ERROR_FORMAT, "vocab_size: is 100, and the tokenizer has");
    check_refused(file_of("c.json", "{\"model_type\": \"distilbert\"}"), SPIECE, RP_ERROR_UNSUPPORTED,
                  "DistilBERT");
    check_refused(file_of("c.json", "{\"model_type\": \"albert\", \"initializer_range\": -1}"), SPIECE,
                  RP_ERROR_FORMAT, "initializer_range");
    check_refused(file_of("c.json", "[]"), SPIECE, RP_ERROR_FORMAT, "must be an object");
    check_refused("no/such", SPIECE, RP_ERROR_FILE, "neither base, large");
    check_refused("base", "no/such", RP_ERROR_FILE, "no/such");
    strcpy(config, file_of("c.json", small));
    check_refused(config, file_of("v.txt", ""), RP_ERROR_FORMAT, "is empty");
    check_refused(config, file_of("v.txt", "\n\x0b"), RP_ERROR_FORMAT, "spiece.model");
    file_of("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\na\n");
    file_of("tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\", \"mask_token\": null}");
    check_refused(config, dir, RP_ERROR_FORMAT, "lacks one of");
}

/* The n-th allocation fails: nothing is left of the folder. */
static void test_memory_runs_out(void **state) {
    (void)state;
    char config[FIXTURE_PATH_SIZE + 64];
    struct stat info;
    long fail = 0;
    strcpy(config, file_of("c.json", small));
    const char *vocab = file_of("v.txt", "[UNK]\n[CLS]\n[SEP]\n[MASK]\n[PAD]\na\nb\n##c\n");
    for (bool done = false; !done; fail += fail < 100 ? 1 : 7) {
        rp_error err = {0};
        allowed = fail;
        rp_status status = rp_new_model_write(config, vocab, BOTH, 1, out, &err);
        done = allowed >= 0;
        allowed = -1;
        assert_int_equal(status, done ? RP_OK : RP_ERROR_HOST_MEMORY);
        assert_int_equal(stat(out, &info), done ? 0 : -1);
        assert_true(done || err.message[0]);
    }
    assert_true(fail > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_configuration_and_a_vocabulary, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_list_of_word_pieces, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_the_seed_makes_the_weights, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_trainer_of_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_memory_runs_out, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
