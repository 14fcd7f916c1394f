/* Checkpoints of TensorFlow: the weights of small ones against what transformers saved, which file of a
 * folder is meant, and damage of every kind. */
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

#include "loader/crc32c.h"
#include "loader/folder.h"
#include "loader/names.h"
#include "loader/tf_checkpoint.h"
#include "loader/tf_weights.h"
#include "support_fixture.h"

#define GOLDENS TESTS_DIR "/goldens/tf/"

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

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

static bytes read_file(const char *path) {
    bytes out = {malloc(1 << 20), 0};
    FILE *file = fopen(path, "rb");
    if (!file) print_error("%s is missing\n", path);
    assert_non_null(file);
    out.size = fread(out.data, 1, 1 << 20, file);
    fclose(file);
    return out;
}

static void write_file(const char *name, const void *data, size_t size) {
    char path[FIXTURE_PATH_SIZE + 300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static void remove_file(const char *name) {
    char path[FIXTURE_PATH_SIZE + 300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

static void copy_file(const char *golden, const char *name) {
    char path[512];
    snprintf(path, sizeof path, GOLDENS "%s", golden);
    bytes b = read_file(path);
    write_file(name, b.data, b.size);
    free(b.data);
}

/* ---- the same weights as transformers saved ---- */

typedef struct pair {
    const rp_weights *tf, *hf;
    size_t tensors;
} pair;

/* The tensor that stands at the same place in the other struct. */
static const rp_tensor *twin(const pair *p, const rp_tensor *tensor, size_t layers) {
    const char *at = (const char *)tensor, *structs = (const char *)p->tf,
               *rows = (const char *)p->tf->layers;
    if (at >= structs && at < structs + sizeof *p->tf)
        return (const rp_tensor *)((const char *)p->hf + (at - structs));
    assert_true(at >= rows && at < rows + layers * sizeof *p->tf->layers);
    return (const rp_tensor *)((const char *)p->hf->layers + (at - rows));
}

static rp_status compare_slot(const rp_slot *slot, void *context) {
    pair *p = context;
    const rp_tensor *b = twin(p, slot->tensor, 4);
    assert_non_null(slot->tensor->data);
    assert_non_null(b->data);
    assert_int_equal(slot->tensor->rows, b->rows);
    assert_int_equal(slot->tensor->columns, b->columns);
    for (size_t i = 0; i < (size_t)b->rows * b->columns; i++)
        if (rp_tensor_get(slot->tensor, i) != rp_tensor_get(b, i)) fail_msg("%s[%zu]", slot->name, i);
    p->tensors++;
    return RP_OK;
}

/* Open goldens/tf/NAME and NAME.safetensors with NAME.json, and compare all that the parts hold. */
static void compare_case(const char *name, unsigned heads, size_t tensors) {
    char golden[128], path[512];
    rp_config a, b;
    rp_weights tf, hf;
    rp_error err = {0};
    snprintf(golden, sizeof golden, "%s.json", name);
    copy_file(golden, "config.json");
    snprintf(golden, sizeof golden, "%s.safetensors", name);
    copy_file(golden, "model.safetensors");
    snprintf(path, sizeof path, GOLDENS "%s", name);
    if (rp_config_load(path, &a, &err) || rp_config_load(dir, &b, &err) ||
        rp_weights_load(path, &a, &tf, &err) || rp_weights_load(dir, &b, &hf, &err))
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(a.family, b.family);
    assert_int_equal(a.activation, b.activation);
    assert_int_equal(a.label_count, b.label_count);
    assert_int_equal(tf.heads & heads, heads);
    assert_int_equal(hf.heads & heads, heads);
    assert_true(tf.parameters == hf.parameters);
    pair p = {.tf = &tf, .hf = &hf};
    rp_slots_each(&a, &tf, RP_PART_ENCODER | heads, compare_slot, &p);
    assert_int_equal(p.tensors, tensors);
    for (size_t i = 0; heads & RP_HEAD_MASKED_LM && i < a.vocab_size; i++)
        assert_true(rp_tensor_get(&tf.lm_bias, i) == rp_tensor_get(&hf.lm_bias, i));
    rp_weights_finish(&tf);
    rp_weights_finish(&hf);
    rp_config_finish(&a);
    rp_config_finish(&b);
}

enum { PRETRAINED = RP_HEAD_POOLER | RP_HEAD_MASKED_LM | RP_HEAD_ORDER };

static void test_goldens(void **state) {
    (void)state;
    compare_case("albert", PRETRAINED, 7 + 4 * 16 + 2 + 4 + 2);
    compare_case("albert_hub", PRETRAINED, 7 + 16 + 2 + 4 + 2);
    compare_case("bert", PRETRAINED, 5 + 2 * 16 + 2 + 4 + 2);
    compare_case("bert_squad", RP_HEAD_SPANS, 5 + 16 + 2);
}

/* ---- which checkpoint ---- */

static void check_found(const char *name) {
    char *path = NULL;
    rp_error err = {0};
    assert_int_equal(rp_tf_folder_find(dir, &path, &err), RP_OK);
    if (!name)
        assert_null(path);
    else {
        assert_non_null(path);
        assert_string_equal(path + strlen(dir) + 1, name);
    }
    free(path);
}

static void test_which_checkpoint(void **state) {
    (void)state;
    char *path = NULL;
    rp_error err = {0};
    check_found(NULL);
    write_text("variables/variables.index", "");
    write_text("model.safetensors.index.json", "{}");
    check_found("variables/variables.index");
    write_text("model.ckpt-9.index", "");
    check_found("model.ckpt-9.index");
    write_text("model.ckpt-10.index", "");
    assert_int_equal(rp_tf_folder_find(dir, &path, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "model.ckpt-10.index and model.ckpt-9.index"));
    write_text("checkpoint",
               "all_model_checkpoint_paths: \"a\"\nmodel_checkpoint_path: \"/tmp/run/model.ckpt-9\"\n");
    check_found("model.ckpt-9.index");
    write_text("checkpoint", "model_checkpoint_path: \"model.ckpt-11\"\n"); // names none that is there
    assert_int_equal(rp_tf_folder_find(dir, &path, &err), RP_ERROR_FORMAT);
    remove_file("model.ckpt-9.index");
    check_found("model.ckpt-10.index");
    write_text("checkpoint", "model_checkpoint_path: \"model.ckpt-10"); // cut
    check_found("model.ckpt-10.index");
    remove_file("checkpoint");
    char pipe[FIXTURE_PATH_SIZE + 16];
    snprintf(pipe, sizeof pipe, "%s/checkpoint", dir);
    assert_int_equal(mkfifo(pipe, 0600), 0); // nobody ever writes to it
    assert_int_equal(rp_tf_folder_find(dir, &path, &err), RP_ERROR_FILE);
}

/* ---- which configuration and vocabulary ---- */

static void test_names_of_files(void **state) {
    (void)state;
    char name[RP_FOLDER_NAME];
    rp_error err = {0};
    static const char config[] = "{\"hidden_size\": 4, \"num_hidden_layers\": 1}";
    rp_config none;
    assert_int_equal(rp_config_load(dir, &none, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, ": no config.json, nor another *config*.json"));
    write_text("assets/albert_config.json", config);
    write_text("tokenizer_config.json", "{\"do_lower_case\": true}");
    write_text("generation_config.json", "not JSON");
    assert_int_equal(rp_folder_config(dir, name, &err), RP_OK);
    assert_string_equal(name, "assets/albert_config.json");
    write_text("albert_config_base.json", config);
    assert_int_equal(rp_folder_config(dir, name, &err), RP_OK);
    assert_string_equal(name, "albert_config_base.json");
    write_text("bert_config.json", config);
    assert_int_equal(rp_folder_config(dir, name, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "both albert_config_base.json and bert_config.json"));
    write_text("config.json", "{}");
    assert_int_equal(rp_folder_config(dir, name, &err), RP_OK);
    assert_string_equal(name, "config.json");

    write_text("assets/30k-clean.model", "\n\x0e\n\x05<pad>");
    assert_int_equal(rp_folder_spiece(dir, name, &err), RP_OK);
    assert_string_equal(name, "assets/30k-clean.model");
    remove_file("assets/30k-clean.model");
    write_text("weights.model", "\x80\x02}q");
    assert_int_equal(rp_folder_spiece(dir, name, &err), RP_OK);
    assert_string_equal(name, "");
    write_text("prefix.model", "\n\x0e\n\x05<pad>");
    assert_int_equal(rp_folder_spiece(dir, name, &err), RP_OK);
    assert_string_equal(name, "prefix.model");
    write_text("other.model", "\n\x0e\n\x05<pad>");
    assert_int_equal(rp_folder_spiece(dir, name, &err), RP_ERROR_FORMAT);
    write_text("spiece.model", "");
    assert_int_equal(rp_folder_spiece(dir, name, &err), RP_OK);
    assert_string_equal(name, "spiece.model");
    write_text("assets/vocab.txt", "[UNK]\n");
    assert_int_equal(rp_folder_vocab(dir, name, &err), RP_OK);
    assert_string_equal(name, "assets/vocab.txt");
}

/* Google's ALBERT means the tanh form by "gelu", whatever its file is called; Hugging Face's does not. */
static void test_gelu(void **state) {
    (void)state;
    static const char google[] = "{\"embedding_size\": 4, \"hidden_size\": 4, \"num_hidden_layers\": 1, "
                                 "\"num_attention_heads\": 1, \"hidden_act\": \"gelu\"}";
    static const char hf[] = "{\"model_type\": \"albert\", \"hidden_size\": 4, \"num_hidden_layers\": 1, "
                             "\"num_attention_heads\": 1, \"hidden_act\": \"gelu\"}";
    static const struct {
        const char *name, *text;
        bool safetensors;
        rp_activation expected;
    } cases[] = {{"albert_config.json", google, false, RP_ACTIVATION_GELU_TANH},
                 {"config.json", google, false, RP_ACTIVATION_GELU_TANH},
                 {"config.json", hf, false, RP_ACTIVATION_GELU},
                 {"config.json", google, true, RP_ACTIVATION_GELU}};
    rp_error err = {0};
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_config config;
        write_text(cases[i].name, cases[i].text);
        write_text(cases[i].safetensors ? "model.safetensors" : "model.ckpt.index", "");
        if (rp_config_load(dir, &config, &err)) fail_msg("%s", err.message);
        assert_int_equal(config.activation, cases[i].expected);
        rp_config_finish(&config);
        remove_file(cases[i].name);
    }
}

/* ---- damage ---- */

static rp_status open_bytes(const void *data, size_t size, rp_error *err) {
    char path[FIXTURE_PATH_SIZE + 32];
    rp_tf_checkpoint c;
    *err = (rp_error){0};
    snprintf(path, sizeof path, "%s/x.index", dir);
    write_file("x.index", data, size);
    rp_status status = rp_tf_checkpoint_open(path, &c, err);
    if (!status) rp_tf_checkpoint_close(&c);
    assert_int_equal(status, err->status);
    return status;
}

static void test_damaged_index(void **state) {
    (void)state;
    bytes b = read_file(GOLDENS "bert_squad/model.ckpt-10.index");
    rp_error err = {0};
    assert_int_equal(open_bytes(b.data, b.size, &err), RP_OK);
    for (size_t cut = 0; cut < b.size; cut += 7)
        assert_int_equal(open_bytes(b.data, cut, &err), RP_ERROR_FORMAT);
    for (size_t i = 0; i < b.size;
         i++) { // only padding of the footer and the block of no entries are not read
        unsigned char kept = b.data[i];
        b.data[i] ^= 0x41;
        rp_status status = open_bytes(b.data, b.size, &err);
        if (status == RP_OK) assert_true(i + 100 > b.size);
        b.data[i] = kept;
    }
    assert_int_equal(open_bytes("version https://git-lfs.github.com/spec/v1\n", 43, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "git lfs pull"));
    free(b.data);
}

/* A table with one block of these entries (already encoded), whose checksums are right. */
static size_t make_table(const char *entries, size_t size, unsigned char compression, unsigned char *out) {
    static const unsigned char magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
    unsigned char index[32] = {0, 1, 3, '~', 0};
    size_t n = 0, blocks[2], sizes[2];
    for (int i = 0; i < 2; i++) {
        const void *from = i ? (const void *)index : entries;
        size_t bytes = i ? 7 : size;
        if (i) { // the handle of the first block: offset 0, size in two bytes
            index[4] = 0;
            index[5] = (unsigned char)(sizes[0] & 127) | 128;
            index[6] = (unsigned char)(sizes[0] >> 7);
        }
        blocks[i] = n;
        memcpy(out + n, from, bytes);
        memset(out + n + bytes, 0, 8);
        out[n + bytes + 4] = 1; // one restart
        sizes[i] = bytes + 8;
        n += sizes[i];
        out[n] = i ? 0 : compression;
        uint32_t crc = rp_crc32c(out + blocks[i], sizes[i] + 1),
                 masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
        for (int k = 0; k < 4; k++) out[n + 1 + k] = (unsigned char)(masked >> 8 * k);
        n += 5;
    }
    memset(out + n, 0, 40);
    out[n + 2] = (unsigned char)(blocks[1] & 127) | 128;
    out[n + 3] = (unsigned char)(blocks[1] >> 7);
    out[n + 4] = (unsigned char)sizes[1];
    memcpy(out + n + 40, magic, 8);
    return n + 48;
}

#define HEADER "\0\0\6\x08\x01\x1a\x02\x08\x01"
#define LITERAL(text) text, sizeof text - 1

static void check_table(const char *entries, size_t size, unsigned char compression, rp_status expected,
                        const char *needle) {
    unsigned char out[1024];
    rp_error err = {0};
    rp_status status = open_bytes(out, make_table(entries, size, compression, out), &err);
    if (status != expected || !strstr(err.message, needle))
        fail_msg("%s: %s: %s", needle, rp_status_name(status), err.message);
}

/* Tables whose checksums are right and whose content is not. */
static void test_wrong_tables(void **state) {
    (void)state;
    const rp_status format = RP_ERROR_FORMAT, other = RP_ERROR_UNSUPPORTED;
    check_table(LITERAL(HEADER), 0, RP_OK, "");
    check_table(LITERAL(HEADER "\0\1\2a\x08\x03"), 0, RP_OK, "");
    check_table(LITERAL(HEADER), 1, other, "snappy");
    check_table(LITERAL(HEADER), 2, format, "compression that does not exist");
    check_table(LITERAL("\0\0\4\x08\x01\x10\x01"), 0, other, "big-endian");
    check_table(LITERAL("\0\0\6\x08\x01\x1a\x02\x10\x02"), 0, other, "version 2");
    check_table(LITERAL("\0\0\0"), 0, format, "0 data files");
    check_table(LITERAL("\0\0\4\x08\xff\xff\x7f"), 0, format, "data files, must be 1 to 4096");
    check_table(LITERAL("\0\1\2a\x08\x01"), 0, format, "header: is missing");
    check_table(LITERAL(HEADER "\1\1\0a"), 0, format, "shares more bytes");
    check_table(LITERAL(HEADER "\0\2\0b"), 0, format, "does not lie in its block");
    check_table(LITERAL(HEADER "\0\1\2b\x08\x03\0\1\2a\x08\x03"), 0, format, "not in order");
    check_table(LITERAL(HEADER "\0\1\2b\x08\x03\0\1\2b\x08\x03"), 0, format, "not in order");
    check_table(LITERAL(HEADER "\0\1\2a\x18\x01"), 0, format, "data file that does not exist");
    check_table(LITERAL(HEADER "\0\1\2a\x1c\x01"), 0, format, "a: its entry is damaged");
    check_table(LITERAL(HEADER "\0\1\3a\x12\x7f\x01"), 0, format, "a: its entry is damaged");
    // float, [3], 5 bytes; float, [2^62, 8], 0 bytes
    check_table(LITERAL(HEADER "\0\1\12a\x08\x01\x12\x04\x12\x02\x08\x03\x28\x05"), 0, format,
                "its bytes are not");
    check_table(
        LITERAL(HEADER
                "\0\1\x16"
                "a\x08\x01\x12\x12\x12\x0a\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x12\x04\x08\x88\x80\x00"),
        0, format, "its bytes are not");
    // 20 bytes of a number that never ends
    check_table(
        LITERAL(HEADER "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), 0,
        format, "does not lie in its block");
}

static rp_status open_weights(rp_error *err) {
    char path[FIXTURE_PATH_SIZE + 32];
    rp_config config;
    rp_weights weights;
    snprintf(path, sizeof path, "%s/x.index", dir);
    rp_status status = rp_config_load(dir, &config, err);
    if (status) return status;
    status = rp_weights_load(dir, &config, &weights, err);
    if (!status) rp_weights_finish(&weights);
    rp_config_finish(&config);
    return status;
}

/* Damage of the data is found by the checksum of the tensor, before anything is computed with it. */
static void test_damaged_data(void **state) {
    (void)state;
    bytes b = read_file(GOLDENS "bert_squad/model.ckpt-10.data-00000-of-00001");
    rp_error err = {0};
    copy_file("bert_squad/bert_config.json", "bert_config.json");
    copy_file("bert_squad/model.ckpt-10.index", "x.index");
    assert_int_equal(open_weights(&err), RP_ERROR_FILE); // no data
    assert_non_null(strstr(err.message, "x.data-00000-of-00001"));
    write_file("x.data-00000-of-00001", b.data, b.size);
    if (open_weights(&err)) fail_msg("%s", err.message);
    b.data[3] ^= 1;
    write_file("x.data-00000-of-00001", b.data, b.size);
    assert_int_equal(open_weights(&err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "bert.embeddings.LayerNorm.bias: the data is damaged"));
    write_file("x.data-00000-of-00001", b.data, b.size / 2);
    assert_int_equal(open_weights(&err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "its data file, which is cut"));
    write_file("x.data-00000-of-00001", "", 0);
    assert_int_equal(open_weights(&err), RP_ERROR_FORMAT);
    free(b.data);
}

/* Weights that are not there as they should be, in an index that is right. */
static void test_refused_weights(void **state) {
    (void)state;
    unsigned char out[1024];
    rp_error err = {0};
    static const char partitioned[] =
        HEADER "\0\x30\4bert/encoder/layer_0/attention/output/dense/bias\x08\x01\x3a\0";
    static const char keras[] = HEADER "\0\x1c\0_CHECKPOINTABLE_OBJECT_GRAPH";
    static const char nothing[] = HEADER "\0\3\0abc";
    write_text("bert_config.json",
               "{\"hidden_size\": 4, \"num_hidden_layers\": 1, \"num_attention_heads\": 1}");
    write_text("x.data-00000-of-00001", "");
    write_file("x.index", out, make_table(partitioned, sizeof partitioned - 1, 0, out));
    assert_int_equal(open_weights(&err), RP_ERROR_UNSUPPORTED);
    assert_non_null(
        strstr(err.message,
               "bert/encoder/layer_0/attention/output/dense/bias: a variable that is kept in partitions"));
    write_file("x.index", out, make_table(keras, sizeof keras - 1, 0, out));
    assert_int_equal(open_weights(&err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "Keras"));
    write_file("x.index", out, make_table(nothing, sizeof nothing - 1, 0, out));
    assert_int_equal(open_weights(&err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "bert/encoder/"));
}

/* ALBERT's head of SQuAD 2 is left out, and what asks for it hears of it. The variable is made by renaming
 * another one of as many bytes in the index, whose checksum then follows. */
static void test_unserved_head(void **state) {
    (void)state;
    bytes b = read_file(GOLDENS "bert_squad/model.ckpt-10.index"),
          before = read_file(GOLDENS "bert_squad/model.ckpt-10.index");
    rp_config config;
    rp_weights weights;
    rp_error err = {0};
    size_t end = 0;
    // the keys follow one another as "cls/squad/output_bias", then "weights" behind the shared part
    for (size_t i = 0; i + 21 < b.size; i++)
        if (!memcmp(b.data + i, "cls/squad/output_bias", 21)) memcpy(b.data + i, "end_logits/dense/bias", 21);
    for (size_t i = 0; i + 5 < b.size && !end;
         i++) { // the first block ends with its compression and checksum
        uint32_t stored =
            b.data[i + 1] | b.data[i + 2] << 8 | b.data[i + 3] << 16 | (uint32_t)b.data[i + 4] << 24;
        uint32_t crc = rp_crc32c(before.data, i + 1);
        if (((crc >> 15 | crc << 17) + 0xa282ead8u) == stored) end = i + 1;
    }
    free(before.data);
    assert_true(end > 0);
    uint32_t crc = rp_crc32c(b.data, end), masked = (crc >> 15 | crc << 17) + 0xa282ead8u;
    for (int k = 0; k < 4; k++) b.data[end + k] = (unsigned char)(masked >> 8 * k);
    write_file("x.index", b.data, b.size);
    free(b.data);
    copy_file("bert_squad/bert_config.json", "bert_config.json");
    copy_file("bert_squad/model.ckpt-10.data-00000-of-00001", "x.data-00000-of-00001");
    if (rp_config_load(dir, &config, &err) || rp_weights_load(dir, &config, &weights, &err))
        fail_msg("%s", err.message);
    assert_false(weights.heads & RP_HEAD_SPANS);
    const rp_error *reason = rp_weights_left_out(&weights, RP_HEAD_SPANS);
    assert_non_null(reason);
    assert_non_null(strstr(reason->message, "x.index: end_logits/"));
    rp_weights_finish(&weights);
    rp_config_finish(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goldens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_which_checkpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_of_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gelu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unserved_head, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
