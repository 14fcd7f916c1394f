/* Tokenizer folders that are missing, empty, cut, mutated, mismatched or hostile: an error that names the
 * file and the field, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "reprise/tokenizer.h"
#include "support_fixture.h"

#define SPIECE SOURCE_DIR "/tools/models/sentiment/spiece.model"
#define VOCAB "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\n"

static char dir[FIXTURE_PATH_SIZE];
static char *spiece; /* the bytes of the bundled model */
static size_t spiece_size;

static int read_spiece(void **state) {
    (void)state;
    FILE *file = fopen(SPIECE, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return -1;
    spiece_size = (size_t)ftell(file);
    rewind(file);
    spiece = malloc(spiece_size);
    int result = spiece && fread(spiece, 1, spiece_size, file) == spiece_size ? 0 : -1;
    fclose(file);
    return result;
}

static int free_spiece(void **state) {
    (void)state;
    free(spiece);
    return 0;
}

static int setup(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static void write_bytes(const char *name, const void *data, size_t size) {
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static void remove_file(const char *name) {
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    remove(path);
}

/* Opening must fail with a message that holds both parts. */
static void check_bad(rp_status expected, const char *file, const char *needle) {
    rp_tokenizer *t = (rp_tokenizer *)&t;
    rp_error err = {0};
    rp_status status = rp_tokenizer_open(dir, &t, &err);
    if (status != expected || !strstr(err.message, file) || !strstr(err.message, needle))
        fail_msg("wanted %s, \"%s\" and \"%s\"; got %s: %s", rp_status_name(expected), file, needle,
                 rp_status_name(status), err.message);
    assert_null(t);
}

static rp_tokenizer *check_good(void) {
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    if (rp_tokenizer_open(dir, &t, &err)) fail_msg("%s", err.message);
    return t;
}

/* Use a tokenizer that was made from who knows what; the results do not matter. */
static void exercise(const rp_tokenizer *t) {
    static const char *const texts[] = {"A fine day, 1,000 of them!", "[MASK] caf\xc3\xa9 \xef\xb7\xba",
                                        "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab \xef\xac\x81 12,5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rp_encoding e;
        char *text = NULL;
        if (rp_tokenize(t, (rp_text){texts[i], strlen(texts[i])}, (rp_text){"x", 1}, NULL, &e, NULL))
            continue;
        for (size_t k = 0; k < e.count; k++) {
            assert_true(e.ids[k] >= 0 && (uint32_t)e.ids[k] < rp_tokenizer_vocab_size(t));
            assert_true(e.offsets[k].start <= e.offsets[k].end && e.offsets[k].end <= strlen(texts[i]));
        }
        rp_tokenizer_decode(t, e.ids, e.count, false, &text, NULL);
        rp_string_free(&text);
        rp_encoding_free(&e);
    }
}

static void try_open(void) {
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    rp_status status = rp_tokenizer_open(dir, &t, &err);
    if (status) {
        assert_null(t);
        assert_int_equal(err.status, status);
        assert_true(strlen(err.message) > 10);
        return;
    }
    exercise(t);
    rp_tokenizer_close(&t);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* ---- which files ---- */

static void test_missing(void **state) {
    (void)state;
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    check_bad(RP_ERROR_FILE, dir, "no tokenizer (tokenizer.json, spiece.model or vocab.txt)");
    assert_int_equal(rp_tokenizer_open("/no/such/folder", &t, &err), RP_ERROR_FILE);
    assert_int_equal(rp_tokenizer_open(NULL, &t, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_tokenizer_open(dir, NULL, &err), RP_ERROR_ARGUMENT);
    rp_tokenizer_close(NULL);
    rp_tokenizer_close(&t);
}

static void test_choice(void **state) {
    (void)state;
    static const struct {
        const char *class, *config;
        bool wordpiece;
    } cases[] = {
        {NULL, NULL, false},
        {"{}", "{\"model_type\": \"bert\"}", true},
        {"{}", "{\"model_type\": \"albert\"}", false},
        {"{\"tokenizer_class\": \"BertTokenizer\"}", "{\"model_type\": \"albert\"}", true},
        {"{\"tokenizer_class\": \"BertTokenizerFast\"}", NULL, true},
        {"{\"tokenizer_class\": \"AlbertTokenizer\"}", "{\"model_type\": \"bert\"}", false},
        {"{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}", "{\"model_type\": \"bert\"}", true},
        {"{\"tokenizer_class\": null}", NULL, false},
    };
    write_bytes("spiece.model", spiece, spiece_size);
    write_text("vocab.txt", VOCAB);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_file("config.json");
        remove_file("tokenizer_config.json");
        if (cases[i].class) write_text("tokenizer_config.json", cases[i].class);
        if (cases[i].config) write_text("config.json", cases[i].config);
        rp_tokenizer *t = check_good();
        assert_int_equal(rp_tokenizer_vocab_size(t) == 8, cases[i].wordpiece);
        rp_tokenizer_close(&t);
    }
    write_text("tokenizer_config.json", "{\"tokenizer_class\": \"T5Tokenizer\"}");
    check_bad(RP_ERROR_UNSUPPORTED, "tokenizer_config.json", "tokenizer_class");
    write_text("tokenizer_config.json", "{\"tokenizer_class\": 5}");
    check_bad(RP_ERROR_FORMAT, "tokenizer_config.json", "tokenizer_class");
    remove_file("tokenizer_config.json");
    remove_file("spiece.model");
    rp_tokenizer *t = check_good(); /* vocab.txt alone */
    assert_int_equal(rp_tokenizer_vocab_size(t), 8);
    rp_tokenizer_close(&t);
}

/* ---- vocab.txt ---- */

static void test_vocab(void **state) {
    (void)state;
    write_text("vocab.txt", "");
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "empty");
    write_bytes("vocab.txt", "[PAD]\n[UNK]\n\xff\xfe\n", 15);
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "line 3");
    write_bytes("vocab.txt", "[PAD]\n[U\0K]\n", 12);
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "line 2");
    write_text("vocab.txt", "[UNK]\n[CLS]\na\n");
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "sep_token");
    /* DOS line ends, an empty line, a repeated piece */
    write_text("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\n[PAD]\r\na\r\n\r\na");
    rp_tokenizer *t = check_good();
    rp_encoding e;
    /* [MASK] is added, and numbered by how many pieces there are, as the reference does */
    assert_int_equal(rp_tokenizer_special_ids(t).mask, 6);
    assert_int_equal(rp_tokenizer_special_ids(t).pad, 3);
    assert_int_equal(rp_tokenizer_vocab_size(t), 7);
    assert_int_equal(rp_tokenize(t, (rp_text){"a z", 3}, (rp_text){0}, NULL, &e, NULL), RP_OK);
    assert_int_equal(e.count, 4);
    assert_int_equal(e.ids[1], 6); /* the later line has it */
    assert_int_equal(e.ids[2], 0);
    rp_encoding_free(&e);
    rp_tokenizer_close(&t);
}

/* What a failed download leaves in the place of a vocabulary is named; where only [UNK] is missing, it is the
 * texts with unknown words that fail. */
static void test_no_vocabulary(void **state) {
    (void)state;
    write_text("vocab.txt", "Entry not found");
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "[UNK]");
    write_text("vocab.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 231508\n");
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "Git LFS");
    write_text("vocab.txt", "<!DOCTYPE html>\n<html><body>Not Found</body></html>\n");
    check_bad(RP_ERROR_FORMAT, "vocab.txt", "web page");
    write_text("vocab.txt", "[SEP]\n[CLS]\na\n");
    rp_tokenizer *t = check_good();
    rp_encoding e;
    rp_error err = {0};
    assert_int_equal(rp_tokenize(t, (rp_text){"a a", 3}, (rp_text){0}, NULL, &e, &err), RP_OK);
    assert_int_equal(e.count, 4);
    rp_encoding_free(&e);
    assert_int_equal(rp_tokenize(t, (rp_text){"a z", 3}, (rp_text){0}, NULL, &e, &err), RP_ERROR_TEXT);
    assert_non_null(strstr(err.message, "vocab.txt"));
    assert_non_null(strstr(err.message, "[UNK]"));
    rp_tokenizer_close(&t);
}

/* Beside added_tokens_decoder two files say nothing, and may be anything. */
static void test_files_without_a_say(void **state) {
    (void)state;
    write_text("vocab.txt", "[UNK]\n[SEP]\n[CLS]\na\n");
    write_text("special_tokens_map.json", "Entry not found");
    write_text("added_tokens.json", "");
    check_bad(RP_ERROR_FORMAT, "special_tokens_map.json", "not valid JSON");
    write_text("tokenizer_config.json", "{\"added_tokens_decoder\": {}}");
    rp_tokenizer *t = check_good();
    rp_tokenizer_close(&t);
}

/* Pieces that all have one hash, where it begins with the number that FNV-1a usually does: two words of five
 * letters that go on from the same number to the same, sixteen times. */
enum { WORDS = 16, LETTERS = 5, SLOTS = 1 << 20 };

static uint32_t hash_word(uint32_t hash, uint32_t n, char out[LETTERS]) {
    for (int i = 0; i < LETTERS; i++, n /= 26) {
        out[i] = (char)('a' + n % 26);
        hash = (hash ^ (uint32_t)out[i]) * 0x01000193u;
    }
    return hash;
}

static void find_words(char words[WORDS][2][LETTERS]) {
    uint32_t *seen = malloc(SLOTS * sizeof *seen), hash = 0x811c9dc5u;
    assert_non_null(seen);
    for (int w = 0; w < WORDS; w++) {
        memset(seen, 0xff, SLOTS * sizeof *seen);
        for (uint32_t n = 0;; n++) {
            assert_true(n < 26 * 26 * 26 * 26 * 26);
            uint32_t now = hash_word(hash, n, words[w][0]), *slot = &seen[now % SLOTS];
            if (*slot != UINT32_MAX && hash_word(hash, *slot, words[w][1]) == now) {
                hash = now;
                break;
            }
            *slot = n;
        }
    }
    free(seen);
}

/* Processor seconds for a vocabulary of all the ways to take one of each two words, or nearly so. */
static double open_words(char words[WORDS][2][LETTERS]) {
    enum { LINE = WORDS * LETTERS + 1 };
    static const char special[] = "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n";
    size_t size = sizeof special - 1 + ((size_t)LINE << WORDS);
    char *text = malloc(size), *at = text;
    assert_non_null(text);
    at = (char *)memcpy(at, special, sizeof special - 1) + sizeof special - 1;
    for (uint32_t n = 0; n < 1u << WORDS; n++) {
        for (int w = 0; w < WORDS; w++, at += LETTERS) memcpy(at, words[w][n >> w & 1], LETTERS);
        *at++ = '\n';
    }
    write_bytes("vocab.txt", text, size);
    free(text);
    clock_t begun = clock();
    rp_tokenizer *t = check_good();
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    assert_int_equal(rp_tokenizer_vocab_size(t), 5 + (1 << WORDS));
    rp_tokenizer_close(&t);
    return seconds;
}

static void test_colliding_pieces(void **state) {
    static char words[WORDS][2][LETTERS];
    (void)state;
    find_words(words);
    double colliding = open_words(words);
    words[0][0][0] = 'A'; /* half of them go on from another number now, */
    for (int w = 1; w < WORDS; w++) words[w][0][0] = (char)('A' + w); /* and so on */
    double usual = open_words(words);
    if (colliding > 5 * usual + 0.2) fail_msg("%g s with one hash, %g s without", colliding, usual);
}

/* ---- the JSON files ---- */

static void test_settings(void **state) {
    (void)state;
    static const struct {
        const char *json, *field;
    } cases[] = {
        {"", "empty"},
        {"[]", "must be an object"},
        {"{\"do_lower_case\": 1", "do_lower_case"},
        {"{\"do_lower_case\": \"yes\"}", "do_lower_case"},
        {"{\"strip_accents\": \"yes\"}", "strip_accents"},
        {"{\"model_max_length\": \"512\"}", "model_max_length"},
        {"{\"model_max_length\": -1}", "model_max_length"},
        {"{\"truncation_side\": \"top\"}", "truncation_side"},
        {"{\"cls_token\": 5}", "cls_token"},
        {"{\"cls_token\": {\"lstrip\": true}}", "cls_token"},
        {"{\"cls_token\": {\"content\": \"x\", \"lstrip\": \"yes\"}}", "lstrip"},
        {"{\"cls_token\": null}", "cls_token"},
        {"{\"additional_special_tokens\": \"x\"}", "additional_special_tokens"},
        {"{\"additional_special_tokens\": [7]}", "additional_special_tokens"},
        {"{\"added_tokens_decoder\": []}", "added_tokens_decoder"},
        {"{\"added_tokens_decoder\": {\"1\": \"x\"}}", "added_tokens_decoder"},
        {"{\"added_tokens_decoder\": {\"-1\": {\"content\": \"x\"}}}", "id"},
        {"{\"added_tokens_decoder\": {\"1x\": {\"content\": \"x\"}}}", "id"},
    };
    write_text("vocab.txt", VOCAB);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("tokenizer_config.json", cases[i].json);
        if (strstr(cases[i].json, "\"cls_token\": null"))
            check_bad(RP_ERROR_FORMAT, "vocab.txt", cases[i].field);
        else
            check_bad(RP_ERROR_FORMAT, "tokenizer_config.json", cases[i].field);
    }
    remove_file("tokenizer_config.json");
    write_text("added_tokens.json", "{\"x\": 1e400}");
    check_bad(RP_ERROR_FORMAT, "added_tokens.json", "JSON");
    write_text("added_tokens.json", "{\"x\": 1.5}");
    check_bad(RP_ERROR_FORMAT, "added_tokens.json", "\"x\"");
    remove_file("added_tokens.json");
    write_text("special_tokens_map.json", "{\"sep_token\": []}");
    check_bad(RP_ERROR_FORMAT, "special_tokens_map.json", "sep_token");
    remove_file("special_tokens_map.json");
    write_text("tokenizer.json", "{\"added_tokens\": [{\"content\": \"x\"}]}");
    check_bad(RP_ERROR_FORMAT, "tokenizer.json", "model");
}

static void test_limits(void **state) {
    (void)state;
    static const struct {
        const char *json;
        uint32_t most;
    } cases[] = {{"{}", 0},
                 {"{\"model_max_length\": 77}", 77},
                 {"{\"max_len\": 99}", 99},
                 {"{\"model_max_length\": 512.0}", 512},
                 {"{\"model_max_length\": null}", 0},
                 {"{\"model_max_length\": 1e30}", 0},
                 {"{\"model_max_length\": 1000000000000000019884624838656}", 0}};
    write_text("vocab.txt", VOCAB);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("tokenizer_config.json", cases[i].json);
        rp_tokenizer *t = check_good();
        assert_int_equal(rp_tokenizer_max_tokens(t), cases[i].most);
        rp_tokenizer_close(&t);
    }
}

/* Files cut and changed at many places. */
static void test_damaged_json(void **state) {
    (void)state;
    static const char config[] = "{\"do_lower_case\": true, \"never_split\": [\"a b\"], \"truncation_side\": "
                                 "\"left\", \"mask_token\": {\"content\": "
                                 "\"[MASK]\", \"lstrip\": true}, \"additional_special_tokens\": [\"<e>\", "
                                 "\"\xc3\xa9\"], \"added_tokens_decoder\": "
                                 "{\"9\": {\"content\": \"<e>\", \"single_word\": true, \"special\": true}}, "
                                 "\"model_max_length\": 12}";
    char text[sizeof config];
    uint64_t seed = 1;
    write_text("vocab.txt", VOCAB);
    for (size_t i = 0; i < 600; i++) {
        memcpy(text, config, sizeof config);
        for (size_t k = 0; k < 1 + i % 3; k++)
            text[next_random(&seed) % (sizeof config - 1)] = "\"{}[],:0x\\ \xff-9e"[next_random(&seed) % 16];
        size_t size = i % 2 ? sizeof config - 1 : next_random(&seed) % sizeof config;
        write_bytes("tokenizer_config.json", text, size);
        try_open();
    }
}

/* ---- spiece.model ---- */

static void test_cut_spiece(void **state) {
    (void)state;
    write_text("spiece.model", "");
    check_bad(RP_ERROR_FORMAT, "spiece.model", "empty");
    write_text("spiece.model", "version https://git-lfs.github.com/spec/v1\n");
    check_bad(RP_ERROR_FORMAT, "spiece.model", "SentencePiece");
    write_text("spiece.model", "\x12\x02\x18\x03"); /* a trainer that this library does not know */
    check_bad(RP_ERROR_UNSUPPORTED, "spiece.model", "model_type");
    write_bytes("spiece.model", "\x0a\x03\x0a\x01\xff", 5);
    check_bad(RP_ERROR_FORMAT, "spiece.model", "piece 0");
    for (size_t i = 1; i < 60; i++) {
        write_bytes("spiece.model", spiece, spiece_size * i / 60);
        try_open();
    }
}

/* Where the message `bytes` begins in the model. */
static size_t find_bytes(const char *bytes, size_t size) {
    for (size_t i = 0; i + size <= spiece_size; i++)
        if (memcmp(spiece + i, bytes, size) == 0) return i;
    fail_msg("the bundled model does not hold what this test looks for");
    return 0;
}

static void test_mutated_spiece(void **state) {
    (void)state;
    uint64_t seed = 7;
    size_t name = find_bytes("nmt_nfkc", 8); /* the character map follows the normalizer's name */
    char *bytes = malloc(spiece_size);
    assert_non_null(bytes);
    for (size_t i = 0; i < 150; i++) {
        memcpy(bytes, spiece, spiece_size);
        size_t from = i % 3 == 0 ? 0 : name - 8, span = i % 3 == 0   ? name
                                                        : i % 3 == 1 ? 64
                                                                     : spiece_size - from;
        for (size_t k = 0; k < 1 + i % 8; k++) {
            size_t at = from + next_random(&seed) % span;
            bytes[at < spiece_size ? at : 0] ^= (char)(1u << next_random(&seed) % 8);
        }
        write_bytes("spiece.model", bytes, spiece_size);
        try_open();
    }
    free(bytes);
}

/* ---- character maps ---- */

enum { MOST_LAYERS = 256 };
#define LEAF (1u << 31)
static uint32_t units[256 * (MOST_LAYERS + 2)];

/* A map whose keys are all words of up to `layers` of the first `children` letters, with one value for all of
 * them: nodes of a layer share what is below them. The number of its units. */
static size_t make_layers(uint32_t layers, uint32_t children) {
    uint32_t count = 256 * (layers + 2);
    for (uint32_t i = 0; i < count; i++) units[i] = LEAF; /* the value at byte 0 */
    units[0] = 256 << 10;
    for (uint32_t base = 256; base <= 256 * layers; base += 256)
        for (uint32_t letter = 'a'; letter < 'a' + children; letter++)
            units[base ^ letter] = letter | 1 << 8 | (base ^ letter ^ (base + 256)) << 10;
    return count;
}

static void put_bytes(char **at, const void *data, size_t size) {
    memcpy(*at, data, size);
    *at += size;
}

/* The beginning of a field of a message: its number and size. */
static void put_field(char **at, unsigned number, size_t size) {
    *(*at)++ = (char)(number << 3 | 2);
    for (; size > 127; size >>= 7) *(*at)++ = (char)((size & 127) | 128);
    *(*at)++ = (char)size;
}

static size_t varint_size(size_t n) {
    return n > 127 ? 1 + varint_size(n >> 7) : 1;
}

/* The bundled model with another character map: what comes last of a field counts. */
static void write_map(size_t unit_count, const char *value) {
    size_t map = 4 + 4 * unit_count + strlen(value) + 1, spec = 1 + varint_size(map) + map;
    char *bytes = malloc(spiece_size + spec + 16), *at = bytes;
    assert_non_null(bytes);
    put_bytes(&at, spiece, spiece_size);
    put_field(&at, 3, spec);
    put_field(&at, 2, map);
    for (size_t i = 0; i <= unit_count; i++) {
        uint32_t unit = i ? units[i - 1] : (uint32_t)(4 * unit_count);
        for (unsigned shift = 0; shift < 32; shift += 8) *at++ = (char)(unit >> shift);
    }
    put_bytes(&at, value, strlen(value) + 1);
    write_bytes("spiece.model", bytes, (size_t)(at - bytes));
    free(bytes);
}

static void check_bad_map(size_t unit_count, const char *value) {
    write_map(unit_count, value);
    check_bad(RP_ERROR_FORMAT, "spiece.model", "precompiled_charsmap");
}

/* Small files with which opening, or a short text, would take minutes or all memory. */
static void test_hostile_maps(void **state) {
    (void)state;
    char *longest = calloc(30001, 1);
    assert_non_null(longest);
    for (size_t i = 0; i < 30000; i += 3) memcpy(longest + i, "\xee\x80\x80", 3); /* no piece has it */
    check_bad_map(make_layers(9, 5), longest);
    check_bad_map(make_layers(1, 1), longest);
    check_bad_map(make_layers(9, 5), "b"); /* 2 million keys */
    size_t count = make_layers(1, 1);
    units[256 ^ 'a'] = 'a' | 'a' << 10; /* leads back to itself */
    check_bad_map(count, "b");
    free(longest);
}

/* As far as it may go. */
static void test_map_limits(void **state) {
    (void)state;
    char value[130] = "";
    rp_encoding e;
    memset(value, 'b', 129);
    check_bad_map(make_layers(1, 1), value);
    check_bad_map(make_layers(256, 1), "b");
    value[128] = '\0';
    write_map(make_layers(255, 1), value);
    rp_tokenizer *t = check_good();
    exercise(t);
    assert_int_equal(rp_tokenize(t, (rp_text){"a", 1}, (rp_text){0}, NULL, &e, NULL), RP_OK);
    assert_true(e.count > 10);
    rp_encoding_free(&e);
    rp_tokenizer_close(&t);
}

/* A text that such a map makes 128 times as long. */
static void test_map_growth(void **state) {
    enum { SIZE = 1 << 20 };
    (void)state;
    char value[129] = "", *text = malloc(SIZE);
    rp_encoding e;
    rp_error err = {0};
    assert_non_null(text);
    memset(value, 'b', 128);
    memset(text, 'a', SIZE);
    write_map(make_layers(1, 1), value);
    rp_tokenizer *t = check_good();
    assert_int_equal(rp_tokenize(t, (rp_text){text, SIZE}, (rp_text){0}, NULL, &e, &err), RP_ERROR_TEXT);
    assert_non_null(strstr(err.message, "cut it into parts"));
    assert_int_equal(rp_tokenize(t, (rp_text){text, SIZE / 64}, (rp_text){0}, NULL, &e, &err), RP_OK);
    rp_encoding_free(&e);
    rp_tokenizer_close(&t);
    free(text);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_missing),       FILE_TEST(test_choice),
        FILE_TEST(test_vocab),         FILE_TEST(test_settings),
        FILE_TEST(test_limits),        FILE_TEST(test_damaged_json),
        FILE_TEST(test_cut_spiece),    FILE_TEST(test_mutated_spiece),
        FILE_TEST(test_hostile_maps),  FILE_TEST(test_map_limits),
        FILE_TEST(test_map_growth),    FILE_TEST(test_colliding_pieces),
        FILE_TEST(test_no_vocabulary), FILE_TEST(test_files_without_a_say),
    };
    return cmocka_run_group_tests(tests, read_spiece, free_spiece);
}
