/* Folders that cannot serve say at opening what is missing, what is there instead, and what would bring it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/config.h"
#include "loader/weights_files.h"
#include "reprise/tokenizer.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE], inner[2 * FIXTURE_PATH_SIZE];

static int setup(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static void make_inner(const char *name) {
    char command[3 * FIXTURE_PATH_SIZE];
    snprintf(inner, sizeof inner, "%s/%s", dir, name);
    snprintf(command, sizeof command, "mkdir -p %s", inner);
    assert_int_equal(system(command), 0);
}

typedef rp_status opener(const char *folder, rp_error *err);

static rp_status open_config(const char *folder, rp_error *err) {
    rp_config config;
    return rp_config_load(folder, &config, err);
}

static rp_status open_weights(const char *folder, rp_error *err) {
    rp_weight_files *files = NULL;
    return rp_weight_files_open(folder, &files, err);
}

static rp_status open_tokenizer(const char *folder, rp_error *err) {
    rp_tokenizer *tokenizer = NULL;
    return rp_tokenizer_open(folder, &tokenizer, err);
}

static void check(opener *open, const char *folder, rp_status expected, const char *missing,
                  const char *there, const char *advice) {
    rp_error err = {0};
    rp_status status = open(folder, &err);
    bool said = strstr(err.message, missing) && strstr(err.message, there) && strstr(err.message, advice);
    if (status != expected || !said) print_error("%d %s\n", (int)status, err.message);
    assert_int_equal(status, expected);
    assert_true(said);
    assert_true(strlen(err.message) < sizeof err.message - 1);
}

static void test_nothing_at_all(void **state) {
    (void)state;
    check(open_config, dir, RP_ERROR_FILE, "no config.json", "empty", "`reprise pull ORG/NAME`");
    check(open_weights, dir, RP_ERROR_FILE, "no weights", "empty", "`reprise pull ORG/NAME`");
    check(open_tokenizer, dir, RP_ERROR_FILE, "no tokenizer", "empty", "`reprise pull ORG/NAME`");
    make_inner("models--org--tiny/snapshots/0123456789abcdef0123456789abcdef01234567");
    check(open_weights, inner, RP_ERROR_FILE, "no weights", "empty", "`reprise pull org/tiny`");
    check(open_config, dir, RP_ERROR_FILE, "no config.json", "", "ORG/NAME"); /* the cache itself */
}

static void test_weights_in_other_forms(void **state) {
    (void)state;
    static const struct {
        const char *name, *what, *advice;
    } rows[] = {
        /* each is told before those behind it */
        {"adapter_model.safetensors", "an adapter", "merge"},
        {"tf_model.h5", "weights of Keras", "from_tf=True"},
        {"flax_model.msgpack", "weights of Flax", "from_flax=True"},
        {"model-00001-of-00002.safetensors", "a shard", "model.safetensors.index.json"},
        {"pytorch_model-00001-of-00002.bin", "a shard", "pytorch_model.bin.index.json"},
        {"model.ckpt.data-00000-of-00001", "TensorFlow checkpoint", ".index"},
        {"model.fp16.safetensors", "another name", "model.safetensors"},
        {"training_args.bin", "what a training left", "`reprise pull ORG/NAME`"},
        {"optimizer.pt", "what a training left", "`reprise pull ORG/NAME`"},
        {"rng_state_0.pth", "what a training left", "`reprise pull ORG/NAME`"},
        {"openvino_model.bin", "OpenVINO", "`reprise pull ORG/NAME`"},
        {"weights.pt", "another name", "pytorch_model.bin"},
        {"tiny.Q4.gguf", "llama.cpp", "`reprise pull ORG/NAME`"},
        {"model.onnx", "ONNX", "`reprise pull ORG/NAME`"},
        {"rust_model.ot", "Rust", "`reprise pull ORG/NAME`"},
    };
    for (size_t i = RP_COUNT(rows); i-- > 0;) {
        assert_true(fixture_write_text(dir, rows[i].name, "x"));
        check(open_weights, dir, RP_ERROR_UNSUPPORTED, rows[i].name, rows[i].what, rows[i].advice);
    }
}

static void test_folders(void **state) {
    (void)state;
    make_inner("onnx");
    check(open_weights, dir, RP_ERROR_UNSUPPORTED, "onnx/", "ONNX", "original");
    make_inner("checkpoint-500");
    assert_true(fixture_write_text(inner, "config.json", "{}"));
    check(open_config, dir, RP_ERROR_UNSUPPORTED, "no config.json", "onnx/", "the folder checkpoint-500");
    rmdir(strcat(strcpy(inner, dir), "/onnx"));
    check(open_config, dir, RP_ERROR_FILE, "no config.json", "", "the folder checkpoint-500");
    assert_true(fixture_write_text(dir, "model.gguf", "x"));
    check(open_config, dir, RP_ERROR_UNSUPPORTED, "no config.json", "model.gguf",
          "the folder checkpoint-500");
}

static void test_names_of_any_bytes(void **state) {
    (void)state;
    char name[256];
    memset(name, 'a', sizeof name);
    memcpy(name + 240, "\xff\n.gguf", 8);
    assert_true(fixture_write_text(dir, name, "x"));
    check(open_weights, dir, RP_ERROR_UNSUPPORTED, "aaa", "llama.cpp", "pull");
}

static void test_tokenizers_of_other_kinds(void **state) {
    (void)state;
    assert_true(fixture_write_text(dir, "vocab.json", "{}"));
    assert_true(fixture_write_text(dir, "merges.txt", "a b"));
    check(open_tokenizer, dir, RP_ERROR_UNSUPPORTED, "no tokenizer", "merges.txt", "do not run");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_at_all),     TEST(test_weights_in_other_forms),    TEST(test_folders),
        TEST(test_names_of_any_bytes), TEST(test_tokenizers_of_other_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
