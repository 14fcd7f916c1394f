/* tokenizer.json files that are refused, and those that are hostile: an error that names the file and the
 * field. What good ones give is in test_tokenizer.c. */
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

#define WORDPIECE                                                                           \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"a\":4}}"
#define UNIGRAM "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1]]}"

static char dir[FIXTURE_PATH_SIZE];

static int setup(void **state) {
    (void)state;
    return fixture_make_dir(dir) && fixture_write_text(dir, "tokenizer_config.json",
                                                       "{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}")
               ? 0
               : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

/* One part of a file, the others being plain. */
static void write_part(const char *part, const char *value) {
    char text[4096];
    const char *model = strcmp(part, "model") ? WORDPIECE : value;
    int size = snprintf(text, sizeof text, "{\"model\":%s%s%s%s%s}", model, model == value ? "" : ",\"",
                        model == value ? "" : part, model == value ? "" : "\":", model == value ? "" : value);
    assert_true(size > 0 && (size_t)size < sizeof text);
    assert_true(fixture_write_text(dir, "tokenizer.json", text));
}

static void check_refused(rp_status expected, const char *field, const char *what) {
    rp_tokenizer *t = (rp_tokenizer *)&t;
    rp_error err = {0};
    rp_status status = rp_tokenizer_open(dir, &t, &err);
    if (status != expected || !strstr(err.message, "tokenizer.json") || !strstr(err.message, field) ||
        !strstr(err.message, what))
        fail_msg("wanted %s, %s and %s; got %s: %s", rp_status_name(expected), field, what,
                 rp_status_name(status), err.message);
    assert_null(t);
}

static rp_tokenizer *check_good(void) {
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    if (rp_tokenizer_open(dir, &t, &err)) fail_msg("%s", err.message);
    return t;
}

/* What is not served is refused by its name. */
static void test_unserved(void **state) {
    static const struct {
        const char *part, *value, *field, *what;
    } cases[] = {
        {"model", "{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}", "model.type", "BPE"},
        {"model", "{\"vocab\":{},\"merges\":[]}", "model.type", "BPE"},
        {"model", "{\"type\":\"WordLevel\",\"vocab\":{},\"unk_token\":\"x\"}", "model.type", "WordLevel"},
        {"normalizer", "{\"type\":\"ByteLevel\"}", "normalizer.type", "ByteLevel"},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Foo\"}]}",
         "normalizer.normalizers[1].type", "Foo"},
        {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(?=a)b\"},\"content\":\"\"}",
         "normalizer.pattern", "(?=a)b"},
        {"pre_tokenizer", "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "pre_tokenizer.type",
         "ByteLevel"},
        {"pre_tokenizer", "{\"type\":\"UnicodeScripts\"}", "pre_tokenizer.type", "UnicodeScripts"},
        {"post_processor", "{\"type\":\"RobertaProcessing\",\"sep\":[\"a\",4],\"cls\":[\"a\",4]}",
         "post_processor.type", "RobertaProcessing"},
        {"post_processor", "{\"type\":\"Sequence\",\"processors\":[]}", "post_processor.type", "Sequence"},
        {"version", "\"2.0\"", "version", "1.0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_part(cases[i].part, cases[i].value);
        check_refused(RP_ERROR_UNSUPPORTED, cases[i].field, cases[i].what);
    }
}

static void test_damaged(void **state) {
    static const struct {
        const char *part, *value, *field;
    } cases[] = {
        {"model", "null", "model"},
        {"model", "{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}", "model.unk_token"},
        {"model",
         "{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"\","
         "\"max_input_chars_per_word\":-1,\"vocab\":{\"a\":0}}",
         "max_input_chars_per_word"},
        {"model",
         "{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"\","
         "\"max_input_chars_per_word\":9,\"vocab\":{\"a\":2000000000}}",
         "model.vocab"},
        {"model",
         "{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"\","
         "\"max_input_chars_per_word\":9,\"vocab\":{\"a\":0,\"b\":0}}",
         "\"b\""},
        {"model", "{\"type\":\"Unigram\",\"unk_id\":7,\"vocab\":[[\"a\",0]]}", "model.unk_id"},
        {"model", "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\"]]}", "model.vocab[0]"},
        {"model", "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[]}", "model.vocab"},
        {"normalizer", "{\"type\":\"BertNormalizer\"}", "normalizer.clean_text"},
        {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}",
         "precompiled_charsmap"},
        {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"a b\"}", "precompiled_charsmap"},
        {"normalizer", "{\"type\":\"Replace\",\"pattern\":\"x\",\"content\":\"\"}", "normalizer.pattern"},
        {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", "pre_tokenizer.replacement"},
        {"pre_tokenizer",
         "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false,\"prepend_scheme\":"
         "\"always\"}",
         "add_prefix_space"},
        {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":null}",
         "prepend_scheme"},
        {"decoder", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":3}", "prepend_scheme"},
        {"pre_tokenizer", "{\"type\":\"Punctuation\",\"behavior\":\"Kept\"}", "pre_tokenizer.behavior"},
        {"post_processor",
         "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],"
         "\"pair\":[],\"special_tokens\":{}}",
         "single[0].Sequence.id"},
        {"post_processor",
         "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}],"
         "\"pair\":[],\"special_tokens\":{}}",
         "special_tokens"},
        {"post_processor", "{\"type\":\"BertProcessing\",\"sep\":[\"x\",3],\"cls\":[\"y\",77]}", "77"},
        {"added_tokens", "{}", "added_tokens"},
        {"added_tokens", "[{\"id\":1}]", "added_tokens[0]"},
        {"decoder", "{\"type\":\"WordPiece\",\"prefix\":\"##\"}", "decoder.cleanup"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_part(cases[i].part, cases[i].value);
        check_refused(RP_ERROR_FORMAT, cases[i].field, "");
    }
    assert_true(fixture_write_text(dir, "tokenizer.json", "<!DOCTYPE html>"));
    check_refused(RP_ERROR_FORMAT, "", "");
}

/* Texts can be cut by it all the same. */
static void test_unserved_decoder(void **state) {
    (void)state;
    write_part("decoder", "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"CTC\"}]}");
    rp_tokenizer *t = check_good();
    rp_encoding e;
    rp_error err = {0};
    char *text = NULL;
    assert_int_equal(rp_tokenize(t, (rp_text){"a", 1}, (rp_text){0}, NULL, &e, &err), RP_OK);
    assert_int_equal(e.count, 1);
    assert_int_equal(rp_tokenizer_decode(t, e.ids, e.count, false, &text, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "CTC"));
    assert_null(text);
    rp_encoding_free(&e);
    rp_tokenizer_close(&t);
}

/* Without an unknown token only texts that need one fail. */
static void test_no_unknown(void **state) {
    static const char *const models[] = {
        "{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[[\"a\",-1]]}",
        "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
        "\"max_input_chars_per_word\":100,\"vocab\":{\"a\":0,\"##a\":1}}"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        write_part("model", models[i]);
        rp_tokenizer *t = check_good();
        rp_encoding e;
        rp_error err = {0};
        assert_int_equal(rp_tokenize(t, (rp_text){"aa", 2}, (rp_text){0}, NULL, &e, &err), RP_OK);
        assert_int_equal(e.count, 2);
        rp_encoding_free(&e);
        assert_int_equal(rp_tokenize(t, (rp_text){"ab", 2}, (rp_text){0}, NULL, &e, &err), RP_ERROR_TEXT);
        assert_non_null(strstr(err.message, "tokenizer.json"));
        rp_tokenizer_close(&t);
    }
}

/* Steps that make a text longer and longer, forty times eight times. */
static void test_growing(void **state) {
    char text[8192], *at = text;
    (void)state;
    for (int decoder = 0; decoder < 2; decoder++) {
        at = text + sprintf(text, "{\"model\":" UNIGRAM ",\"%s\":{\"type\":\"Sequence\",\"%s\":[",
                            decoder ? "decoder" : "normalizer", decoder ? "decoders" : "normalizers");
        for (int i = 0; i < 40; i++)
            at += sprintf(at,
                          "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"}",
                          i ? "," : "");
        strcpy(at, "]}}");
        assert_true(fixture_write_text(dir, "tokenizer.json", text));
        rp_tokenizer *t = check_good();
        rp_encoding e;
        rp_error err = {0};
        char *out = NULL;
        rp_status status = rp_tokenize(t, (rp_text){"a", 1}, (rp_text){0}, NULL, &e, &err);
        assert_int_equal(status, decoder ? RP_OK : RP_ERROR_TEXT);
        if (decoder) {
            assert_int_not_equal(rp_tokenizer_decode(t, e.ids, e.count, false, &out, &err), RP_OK);
            rp_encoding_free(&e);
        } else {
            assert_non_null(strstr(err.message, "normalizer"));
        }
        rp_tokenizer_close(&t);
    }
}

/* Added tokens are looked for all at once: many of them take no longer. */
static void test_many_added(void **state) {
    enum { TOKENS = 20000, LINE = 160, WORDS = 50000 };
    char *text = malloc(TOKENS * LINE + 500), *at = text, *line = malloc(WORDS * 8), *to = line;
    (void)state;
    assert_true(text && line);
    at += sprintf(at, "{\"model\":" WORDPIECE ",\"added_tokens\":[");
    for (int i = 0; i < TOKENS; i++)
        at += sprintf(
            at,
            "%s{\"id\":%d,\"content\":\"aaaa%d\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
            "\"normalized\":%s,\"special\":false}",
            i ? "," : "", i, i, i % 2 ? "true" : "false");
    strcpy(at, "]}");
    assert_true(fixture_write_text(dir, "tokenizer.json", text));
    for (int i = 0; i < WORDS; i++) to += sprintf(to, "aaa%s ", i % 2 ? "a7" : "a");
    clock_t begun = clock();
    rp_tokenizer *t = check_good();
    rp_encoding e;
    rp_error err = {0};
    if (rp_tokenize(t, (rp_text){line, (size_t)(to - line)}, (rp_text){0}, NULL, &e, &err))
        fail_msg("%s", err.message);
    assert_true(e.count > WORDS / 2);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    if (seconds > 5) fail_msg("%g s", seconds);
    rp_encoding_free(&e);
    rp_tokenizer_close(&t);
    free(line);
    free(text);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_unserved),   FILE_TEST(test_damaged), FILE_TEST(test_unserved_decoder),
        FILE_TEST(test_no_unknown), FILE_TEST(test_growing), FILE_TEST(test_many_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
