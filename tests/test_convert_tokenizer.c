/* The tokenizer.json that rp_convert makes of spiece.model: the same tokens, and lower scores where the
 * original algorithm cuts otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/json.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

#define GOLDENS TESTS_DIR "/goldens/tf/"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"

static char dir[FIXTURE_PATH_SIZE], out[FIXTURE_PATH_SIZE + 16], in[FIXTURE_PATH_SIZE + 16];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(in, sizeof in, "%s/in", dir);
    return mkdir(in, 0755);
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static size_t read_file(const char *path, char *bytes, size_t room) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static void copy(const char *from, const char *folder, const char *name) {
    char path[2048], *bytes = malloc(1 << 20);
    size_t size = read_file(from, bytes, 1 << 20);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
}

static void same_file(const char *a, const char *b) {
    enum { ROOM = 1 << 20 };
    char *bytes = malloc(2 * ROOM);
    size_t size = read_file(a, bytes, ROOM);
    assert_true(size > 0 && size < ROOM);
    assert_int_equal(read_file(b, bytes + ROOM, ROOM), size);
    assert_memory_equal(bytes, bytes + ROOM, size);
    free(bytes);
}

static void convert(const char *from, const rp_convert_params *params) {
    rp_error err = {0};
    if (rp_convert(from, out, params, &err)) fail_msg("%s: %s", from, err.message);
}

static rp_encoding encode(const rp_tokenizer *t, const char *text) {
    rp_encoding encoding = {0};
    rp_error err = {0};
    if (rp_tokenize(t, (rp_text){text, strlen(text)}, (rp_text){0}, NULL, &encoding, &err))
        fail_msg("%s", err.message);
    return encoding;
}

static void test_tokenizer_json(void **state) {
    (void)state;
    static const char *const texts[] = {"Unbelievable films, 1,234 of them in 2,010,",
                                        "``na\xc3\xafve'' (caf\xc3\xa9)  \xe2\x82\xac 5  ", "a [MASK] b", ""};
    char path[sizeof out + 32];
    rp_json_document document;
    rp_error err = {0};
    copy(GOLDENS "albert_classifier.safetensors", in, "model.safetensors");
    copy(GOLDENS "albert_classifier.json", in, "config.json");
    copy(SENTIMENT "/spiece.model", in, "spiece.model");
    copy(SENTIMENT "/tokenizer_config.json", in, "tokenizer_config.json");
    convert(in, NULL);
    snprintf(path, sizeof path, "%s/tokenizer.json", out);
    same_file(path, SENTIMENT "/tokenizer.json"); /* what the bundled models carry */
    same_file(path, SOURCE_DIR "/tools/models/pretrained/tokenizer.json");
    if (rp_json_load(path, &document, &err)) fail_msg("%s", err.message);
    const rp_json *model = rp_json_get(&document.root, "model"), *vocab = rp_json_get(model, "vocab");
    assert_int_equal(vocab->count, 8192);
    assert_int_equal(rp_json_get(model, "unk_id")->integer, 1);
    assert_int_equal(rp_json_get(&document.root, "added_tokens")->count, 5);
    rp_json_finish(&document);
    rp_tokenizer *a = NULL, *b = NULL;
    if (rp_tokenizer_open(in, &a, &err) || rp_tokenizer_open(out, &b, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < RP_COUNT(texts); i++) {
        rp_encoding x = encode(a, texts[i]), y = encode(b, texts[i]);
        assert_int_equal(x.count, y.count);
        assert_memory_equal(x.ids, y.ids, x.count * sizeof *x.ids);
        rp_encoding_free(&x);
        rp_encoding_free(&y);
    }
    rp_tokenizer_close(&a);
    rp_tokenizer_close(&b);
}

static size_t put_piece(unsigned char *to, const char *text, float score, int kind) {
    size_t size = strlen(text), n = 0;
    to[n++] = 0x0a; // a message with the text, the score and the kind
    to[n++] = (unsigned char)(2 + size + 5 + 2);
    to[n++] = 0x0a;
    to[n++] = (unsigned char)size;
    memcpy(to + n, text, size);
    n += size;
    to[n++] = 0x15;
    memcpy(to + n, &score, 4);
    n += 4;
    to[n++] = 0x18;
    to[n++] = (unsigned char)kind;
    return n;
}

/* Pieces that end in a digit and a comma, and no others, are scored 100 lower. */
static void test_scores(void **state) {
    (void)state;
    static const struct {
        const char *text;
        float score;
        int kind;
        double expected;
    } pieces[] = {{"<pad>", 0, 3, 0},      {"<unk>", 0, 2, 0},       {"[CLS]", 0, 3, 0},
                  {"[SEP]", 0, 3, 0},      {"[MASK]", 0, 3, 0},      {"\xe2\x96\x81", -1, 1, -1},
                  {",", -2.25f, 1, -2.25}, {"1,", -3.5f, 1, -103.5}, {"a,", -3.5f, 1, -3.5},
                  {"12,", -4, 1, -104},    {"1,a", -5, 1, -5}};
    unsigned char model[512];
    char path[sizeof out + 32];
    rp_json_document document;
    size_t size = 0;
    for (size_t i = 0; i < RP_COUNT(pieces); i++)
        size += put_piece(model + size, pieces[i].text, pieces[i].score, pieces[i].kind);
    copy(GOLDENS "albert_classifier.safetensors", in, "model.safetensors");
    copy(GOLDENS "albert_classifier.json", in, "config.json");
    snprintf(path, sizeof path, "%s/spiece.model", in);
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(model, 1, size, file), size);
    fclose(file);
    convert(in, NULL);
    snprintf(path, sizeof path, "%s/tokenizer.json", out);
    assert_int_equal(rp_json_load(path, &document, NULL), RP_OK);
    const rp_json *vocab = rp_json_get(rp_json_get(&document.root, "model"), "vocab");
    assert_int_equal(vocab->count, RP_COUNT(pieces));
    for (size_t i = 0; i < RP_COUNT(pieces); i++) {
        assert_string_equal(vocab->items[i].items[0].text, pieces[i].text);
        assert_true(vocab->items[i].items[1].real == pieces[i].expected);
    }
    rp_json_finish(&document);
}

/* A cased vocabulary keeps its case and its accents, as tokenizer_config.json says. */
static void test_flags(void **state) {
    (void)state;
    static const struct {
        const char *config;
        bool lower, accents;
    } cases[] = {{"{}", true, false},
                 {"{\"do_lower_case\": false, \"keep_accents\": true}", false, true},
                 {"{\"do_lower_case\": null, \"keep_accents\": null}", false, false}};
    copy(GOLDENS "albert_classifier.safetensors", in, "model.safetensors");
    copy(GOLDENS "albert_classifier.json", in, "config.json");
    copy(SENTIMENT "/spiece.model", in, "spiece.model");
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        char path[sizeof out + 32];
        rp_json_document document;
        bool lower = false, strips = false;
        assert_true(fixture_write_text(in, "tokenizer_config.json", cases[i].config));
        convert(in, &(rp_convert_params){.overwrite = true});
        snprintf(path, sizeof path, "%s/tokenizer.json", out);
        assert_int_equal(rp_json_load(path, &document, NULL), RP_OK);
        const rp_json *list = rp_json_get(rp_json_get(&document.root, "normalizer"), "normalizers");
        for (uint32_t k = 0; k < list->count; k++) {
            const char *type = rp_json_string(rp_json_get(&list->items[k], "type"));
            lower = lower || !strcmp(type, "Lowercase");
            strips = strips || !strcmp(type, "StripAccents");
        }
        assert_int_equal(lower, cases[i].lower);
        assert_int_equal(strips, !cases[i].accents);
        rp_json_finish(&document);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tokenizer_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
