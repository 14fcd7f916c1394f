/* Tokens, offsets, words, pairs, truncation and decoding against Hugging Face: tests/goldens/tokens, made by
 * make_token_goldens.py and make_tokenizer_json_goldens.py. */
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
#include <jansson.h>

#include "loader/tokenizer.h"
#include "support_fixture.h"

static json_t *load_goldens(const char *path) {
    json_error_t problem;
    json_t *goldens = json_load_file(path, JSON_ALLOW_NUL, &problem);
    if (!goldens) fail_msg("%s: %s", path, problem.text);
    return goldens;
}

static rp_text text_of(const json_t *value) {
    return (rp_text){json_string_value(value), json_string_length(value)};
}

/* The folder of a golden: the vocabulary as a link, where it is not among the files that are in the JSON. */
static rp_tokenizer *open_folder(json_t *golden, char dir[FIXTURE_PATH_SIZE]) {
    const json_t *vocabulary = json_object_get(golden, "spiece");
    bool spiece = json_is_true(vocabulary);
    char path[2 * FIXTURE_PATH_SIZE];
    const char *name;
    json_t *text;
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    assert_true(fixture_make_dir(dir));
    snprintf(path, sizeof path, "%s/%s", dir, spiece ? "spiece.model" : "vocab.txt");
    if (vocabulary)
        assert_int_equal(symlink(spiece ? SOURCE_DIR "/tools/models/sentiment/spiece.model"
                                        : TESTS_DIR "/goldens/tokens/vocab.txt",
                                 path),
                         0);
    json_object_foreach(json_object_get(golden, "files"), name, text)
        assert_true(fixture_write_text(dir, name, json_string_value(text)));
    if (rp_tokenizer_open(dir, &t, &err)) fail_msg("%s", err.message);
    return t;
}

static void print_list(const char *name, const json_t *want, const int32_t *got, size_t count) {
    char *text = json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY);
    print_error("  %s\n    want %s\n    got   ", name, text);
    for (size_t i = 0; i < count; i++) print_error("%d,", (int)got[i]);
    print_error("\n");
    free(text);
}

/* False, with both lists printed, when they differ. A missing list is not compared. */
static bool same_list(const char *name, const json_t *want, const int32_t *got, size_t count) {
    bool same = !want || json_array_size(want) == count;
    for (size_t i = 0; want && same && i < count; i++)
        same = json_integer_value(json_array_get(want, i)) == got[i];
    if (!same) print_list(name, want, got, count);
    return same;
}

/* Start and end of each token in code points of its text. */
static int32_t *code_points(const rp_encoding *e, rp_text text, rp_text pair) {
    int32_t *out = calloc(2 * e->count + 1, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < e->count; i++) {
        rp_text of = e->sequence[i] == 1 ? pair : text;
        assert_true(e->offsets[i].start <= e->offsets[i].end && e->offsets[i].end <= of.size);
        out[2 * i] = (int32_t)rp_utf8_count(of.data, e->offsets[i].start);
        out[2 * i + 1] = (int32_t)rp_utf8_count(of.data, e->offsets[i].end);
    }
    return out;
}

static bool check_case(const rp_tokenizer *t, json_t *want) {
    rp_text text = text_of(json_object_get(want, "text")), pair = text_of(json_object_get(want, "pair"));
    rp_tokenize_params params = {.max_tokens = (uint32_t)json_integer_value(json_object_get(want, "max"))};
    rp_encoding got;
    rp_error err = {0};
    if (rp_tokenize(t, text, pair, &params, &got, &err)) {
        print_error("%s: %s\n", text.data, err.message);
        return false;
    }
    int32_t *points = code_points(&got, text, pair);
    bool same = same_list("ids", json_object_get(want, "ids"), got.ids, got.count);
    same = same && same_list("types", json_object_get(want, "types"), got.type_ids, got.count);
    same = same && same_list("offsets", json_object_get(want, "offsets"), points, 2 * got.count);
    same = same && same_list("words", json_object_get(want, "words"), got.words, got.count);
    same = same && (!got.truncated || got.count == params.max_tokens);
    for (size_t i = 0; i < got.count; i++) same = same && (got.sequence[i] < 0) == (got.words[i] < 0);
    if (!same) print_error("  of \"%s\" and \"%s\", at most %u\n", text.data, pair.data, params.max_tokens);
    free(points);
    rp_encoding_free(&got);
    return same;
}

static bool check_decoded(const rp_tokenizer *t, json_t *want) {
    json_t *list = json_object_get(want, "ids");
    int32_t ids[512];
    size_t count = json_array_size(list);
    char *got = NULL;
    rp_error err = {0};
    assert_true(count <= 512);
    for (size_t i = 0; i < count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    if (rp_tokenizer_decode(t, ids, count, json_is_true(json_object_get(want, "skip")), &got, &err)) {
        print_error("%s\n", err.message);
        return false;
    }
    const char *text = json_string_value(json_object_get(want, "text"));
    bool same = strcmp(got, text) == 0;
    if (!same) print_error("  decoded\n    want \"%s\"\n    got  \"%s\"\n", text, got);
    rp_string_free(&got);
    assert_null(got);
    return same;
}

static void check_specials(const rp_tokenizer *t, json_t *golden) {
    json_t *list = json_object_get(golden, "special");
    uint32_t size = (uint32_t)json_integer_value(json_object_get(golden, "size"));
    size_t next = 0;
    for (uint32_t id = 0; id < rp_tokenizer_vocab_size(t); id++) {
        bool want = next < json_array_size(list) && json_integer_value(json_array_get(list, next)) == id;
        if (rp_tokenizer_is_special(t, (int32_t)id) != want)
            fail_msg("id %u: special should be %d", id, want);
        next += want;
    }
    assert_int_equal(next, json_array_size(list));
    assert_true(rp_tokenizer_vocab_size(t) >= size); /* ids may have holes */
}

static size_t check_goldens(const char *path) {
    json_t *goldens = load_goldens(path), *golden, *item;
    size_t i, k, bad = 0, cases = 0;
    json_array_foreach(goldens, i, golden) {
        char dir[FIXTURE_PATH_SIZE];
        size_t before = bad;
        rp_tokenizer *t = open_folder(golden, dir);
        check_specials(t, golden);
        json_array_foreach(json_object_get(golden, "cases"), k, item) bad += !check_case(t, item);
        cases += k;
        json_array_foreach(json_object_get(golden, "decode"), k, item) bad += !check_decoded(t, item);
        if (bad > before) print_error("^ in %s\n", json_string_value(json_object_get(golden, "name")));
        rp_tokenizer_close(&t);
        assert_null(t);
        fixture_remove_dir(dir);
    }
    json_decref(goldens);
    assert_int_equal(bad, 0);
    return cases;
}

static void test_goldens(void **state) {
    (void)state;
    assert_true(check_goldens(TESTS_DIR "/goldens/tokens/tokens.json") > 400);
}

/* Every component and option of a tokenizer.json, and what the files beside it say. */
static void test_tokenizer_json(void **state) {
    (void)state;
    assert_true(check_goldens(TESTS_DIR "/goldens/tokens/tokenizer_json.json") > 4000);
}

/* The published vocabulary and the original algorithm's ids, where the shared folder is. */
static void test_published_vocabulary(void **state) {
    (void)state;
    FILE *file = fopen(SOURCE_DIR "/../shared/data/albert-tokens.tsv", "rb");
    char dir[FIXTURE_PATH_SIZE], path[2 * FIXTURE_PATH_SIZE], *line = NULL;
    size_t capacity = 0, lines = 0, bad = 0;
    if (!file) skip();
    assert_true(fixture_make_dir(dir));
    snprintf(path, sizeof path, "%s/spiece.model", dir);
    assert_int_equal(symlink(SOURCE_DIR "/../shared/data/spiece.model", path), 0);
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    if (rp_tokenizer_open(dir, &t, &err)) fail_msg("%s", err.message);
    for (; getline(&line, &capacity, file) > 0; lines++) {
        char *text = strchr(line, '\t') + 1, *ids = strchr(text, '\t') + 1;
        rp_encoding got;
        rp_tokenize_params params = {.no_special_tokens = true};
        assert_int_equal(
            rp_tokenize(t, (rp_text){text, (size_t)(ids - 1 - text)}, (rp_text){0}, &params, &got, &err),
            RP_OK);
        size_t i = 0;
        char *end = ids;
        for (long id; id = strtol(ids, &end, 10), end != ids; ids = end, i++)
            if (i >= got.count || got.ids[i] != id) break;
        bad += end != ids || i != got.count;
        rp_encoding_free(&got);
    }
    free(line);
    fclose(file);
    rp_tokenizer_close(&t);
    fixture_remove_dir(dir);
    assert_int_equal(lines, 1228);
    assert_int_equal(bad, 0);
}

/* Folders of sentence-transformers have it where modules.json says that the Transformer is. */
static void test_in_a_module(void **state) {
    (void)state;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfilm\n",
                      listed[] =
                          "[{\"path\": \"words\", \"type\": \"sentence_transformers.models.Transformer\"}]";
    char dir[FIXTURE_PATH_SIZE], inner[FIXTURE_PATH_SIZE + 16];
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    assert_true(fixture_make_dir(dir));
    snprintf(inner, sizeof inner, "%s/words", dir);
    assert_int_equal(mkdir(inner, 0777), 0);
    assert_true(fixture_write_text(inner, "vocab.txt", vocab));
    assert_int_equal(rp_tokenizer_open(dir, &t, &err), RP_ERROR_FILE);
    assert_true(fixture_write_text(dir, "modules.json", "[{"));
    assert_int_equal(rp_tokenizer_open(dir, &t, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "modules.json"));
    assert_true(fixture_write_text(dir, "modules.json", listed));
    if (rp_tokenizer_open(dir, &t, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_tokenizer_special_ids(t).mask, 4);
    rp_tokenizer_close(&t);
    fixture_remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_tokenizer_json),
        cmocka_unit_test(test_published_vocabulary),
        cmocka_unit_test(test_in_a_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
