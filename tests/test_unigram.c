/* Unigram models: what tokenizers makes of small ones made at random (goldens/unigram), hostile vocabularies,
 * and how long building and unknown text take. test_spiece holds the other kind against libsentencepiece. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/unigram.h"

static rp_unigram *open_or_fail(const rp_unigram_piece *pieces, size_t count, int32_t unknown, bool bytes,
                                rp_unigram_kind kind) {
    rp_unigram *u = NULL;
    rp_error err = {0};
    if (rp_unigram_open(pieces, count, unknown, bytes, kind, "a file", &u, &err)) fail_msg("%s", err.message);
    return u;
}

static rp_unigram_piece piece(const char *text, double score) {
    return (rp_unigram_piece){.text = text, .size = (uint32_t)strlen(text), .score = score};
}

/* ---- goldens ---- */

static void check_case(const rp_unigram *u, size_t model, const json_t *one) {
    const json_t *text = json_array_get(one, 0), *ids = json_array_get(one, 1),
                 *spans = json_array_get(one, 2);
    rp_unigram_tokens tokens = {0};
    assert_true(rp_unigram_encode(u, json_string_value(text), json_string_length(text), &tokens));
    if (json_is_null(ids)) { /* it has an unknown character, and there is no unknown piece */
        assert_int_equal(tokens.count, 1);
        assert_int_equal(tokens.items[0].id, -1);
        assert_true(tokens.items[0].begin < tokens.items[0].end);
    } else if (tokens.count != json_array_size(ids)) {
        fail_msg("model %zu: \"%s\": %zu tokens, not %zu", model, json_string_value(text), tokens.count,
                 json_array_size(ids));
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *span = json_array_get(spans, i);
        if (tokens.items[i].id != json_integer_value(json_array_get(ids, i)) ||
            tokens.items[i].begin != json_integer_value(json_array_get(span, 0)) ||
            tokens.items[i].end != json_integer_value(json_array_get(span, 1)))
            fail_msg("model %zu: \"%s\": token %zu is %d at %u to %u", model, json_string_value(text), i,
                     (int)tokens.items[i].id, tokens.items[i].begin, tokens.items[i].end);
    }
    free(tokens.items);
}

static void test_goldens(void **state) {
    (void)state;
    json_t *models = json_load_file(TESTS_DIR "/goldens/unigram/unigram.json", JSON_ALLOW_NUL, NULL);
    assert_true(json_array_size(models) > 8);
    for (size_t m = 0; m < json_array_size(models); m++) {
        const json_t *model = json_array_get(models, m), *vocab = json_object_get(model, "vocab");
        const json_t *unknown = json_object_get(model, "unknown"), *cases = json_object_get(model, "cases");
        size_t count = json_array_size(vocab);
        rp_unigram_piece *pieces = rp_new_array(rp_unigram_piece, count);
        assert_non_null(pieces);
        for (size_t i = 0; i < count; i++) {
            const json_t *entry = json_array_get(vocab, i);
            pieces[i] = piece(json_string_value(json_array_get(entry, 0)),
                              json_number_value(json_array_get(entry, 1)));
        }
        rp_unigram *u =
            open_or_fail(pieces, count, json_is_null(unknown) ? -1 : (int32_t)json_integer_value(unknown),
                         json_is_true(json_object_get(model, "byte_fallback")), RP_UNIGRAM_FAST);
        free(pieces); /* nothing of it is kept */
        assert_true(json_array_size(cases) > 40);
        for (size_t i = 0; i < json_array_size(cases); i++) check_case(u, m, json_array_get(cases, i));
        rp_unigram_close(&u);
    }
    json_decref(models);
}

/* ---- odd input ---- */

static void check_refused(rp_unigram_piece *pieces, size_t count, int32_t unknown, const char *part) {
    rp_unigram *u = NULL;
    rp_error err = {0};
    assert_int_equal(rp_unigram_open(pieces, count, unknown, false, RP_UNIGRAM_FAST, "a/file", &u, &err),
                     RP_ERROR_FORMAT);
    assert_null(u);
    assert_non_null(strstr(err.message, "a/file"));
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
}

static void test_refused(void **state) {
    (void)state;
    char *longest = calloc(1, RP_UNIGRAM_PIECE_MAX + 2);
    assert_non_null(longest);
    memset(longest, 'a', RP_UNIGRAM_PIECE_MAX + 1);
    rp_unigram_piece pieces[] = {piece("<unk>", 0), piece("a", -1), piece(longest, -1)};
    check_refused(pieces, 2, 2, "2");
    check_refused(pieces, 3, 0, "piece 2: 1025 bytes");
    pieces[2].skip = true; /* it is never looked for */
    rp_unigram *u = open_or_fail(pieces, 3, 0, false, RP_UNIGRAM_SPIECE);
    rp_unigram_close(&u);
    rp_unigram_close(&u);
    rp_unigram_close(NULL);
    pieces[1].score = (double)INFINITY;
    check_refused(pieces, 2, 0, "piece 1: the score");
    pieces[1].score = (double)NAN;
    check_refused(pieces, 2, 0, "piece 1: the score");
    check_refused(pieces, (size_t)RP_UNIGRAM_PIECES_MAX + 1, 0, "at most");
    free(longest);
}

/* A vocabulary that has nothing but the unknown piece, or not even that. */
static void test_nothing_known(void **state) {
    (void)state;
    const rp_unigram_piece unknown = {.text = "<unk>", .size = 5, .skip = true};
    for (int kind = RP_UNIGRAM_SPIECE; kind <= RP_UNIGRAM_FAST; kind++) {
        rp_unigram *u = open_or_fail(&unknown, 1, 0, true, (rp_unigram_kind)kind);
        rp_unigram_tokens tokens = {0};
        assert_true(rp_unigram_encode(u, "", 0, &tokens));
        assert_int_equal(tokens.count, 0);
        assert_true(rp_unigram_encode(u, "a\xc3\xa9", 3, &tokens));
        assert_true(rp_unigram_encode(u, "b", 1, &tokens)); /* appended */
        assert_int_equal(tokens.items[tokens.count - 1].end, 1);
        free(tokens.items);
        rp_unigram_close(&u);
    }
    rp_unigram *u = open_or_fail(NULL, 0, -1, false, RP_UNIGRAM_FAST);
    rp_unigram_tokens tokens = {0};
    assert_true(rp_unigram_encode(u, "\xc3\xa9", 2, &tokens));
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens.items[0].id, -1);
    assert_int_equal(tokens.items[0].end, 2);
    free(tokens.items);
    rp_unigram_close(&u);
}

static void check_count(rp_unigram_kind kind, const rp_unigram_piece *pieces, size_t count, const char *text,
                        size_t expected) {
    rp_unigram *u = open_or_fail(pieces, count, 0, false, kind);
    rp_unigram_tokens tokens = {0};
    assert_true(rp_unigram_encode(u, text, strlen(text), &tokens));
    assert_int_equal(tokens.count, expected);
    free(tokens.items);
    rp_unigram_close(&u);
}

/* libsentencepiece has a sum in float64 when it compares it, and in float32 when it keeps it. */
static void test_rounding(void **state) {
    (void)state;
    const rp_unigram_piece kept[] = {{.text = "<unk>", .size = 5, .skip = true},
                                     piece("a", -16777216),
                                     piece("b", -1),
                                     piece("c", -1),
                                     piece("abc", -16777218)};
    check_count(RP_UNIGRAM_FAST, kept, 5, "abc", 1); /* a tie, which the first keeps */
    check_count(RP_UNIGRAM_SPIECE, kept, 5, "abc", 3);
    const rp_unigram_piece compared[] = {{.text = "<unk>", .size = 5, .skip = true},
                                         piece("a", -16777216),
                                         piece("b", 0.5),
                                         piece("ab", -16777216)};
    check_count(RP_UNIGRAM_FAST, compared, 4, "ab", 2);
    check_count(RP_UNIGRAM_SPIECE, compared, 4, "ab", 2); /* in float32 they would be equal */
}

/* ---- time ---- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 250,000 pieces that share nearly nothing, or nearly everything. */
static void test_build_time(void **state) {
    (void)state;
    enum { COUNT = 250000, SIZE = 16 };
    char *texts = malloc(COUNT * SIZE);
    rp_unigram_piece *pieces = rp_new_array(rp_unigram_piece, COUNT);
    assert_non_null(texts);
    assert_non_null(pieces);
    for (int shared = 0; shared < 2; shared++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t mixed = shared ? i : i * 2654435761u;
            char *text = texts + (size_t)i * SIZE;
            for (int k = 0; k < SIZE; k++)
                text[k] = (char)('a' + (k < 8 ? shared ? 0 : mixed >> 4 * k & 15 : 1));
            for (int k = 8; k < SIZE; k++) text[k] = (char)('a' + (mixed >> 4 * (k - 8) & 15));
            pieces[i] = (rp_unigram_piece){.text = text, .size = SIZE, .score = -1};
        }
        double before = seconds();
        rp_unigram *u = open_or_fail(pieces, COUNT, 0, false, RP_UNIGRAM_FAST);
        double took = seconds() - before;
        print_message("%d pieces in %.0f ms\n", COUNT, took * 1e3);
        assert_true(took < 5);
        rp_unigram_tokens tokens = {0};
        assert_true(rp_unigram_encode(u, pieces[COUNT - 1].text, SIZE, &tokens));
        assert_int_equal(tokens.count, 1);
        assert_int_equal(tokens.items[0].id, COUNT - 1);
        free(tokens.items);
        rp_unigram_close(&u);
    }
    free(pieces);
    free(texts);
}

/* Megabytes of unknown characters take no longer than as many known ones. */
static void test_unknown_time(void **state) {
    (void)state;
    enum { SIZE = 4 << 20 };
    const rp_unigram_piece pieces[] = {piece("<unk>", 0), piece("a", -1), piece("aa", -1)};
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'x', SIZE);
    for (int kind = RP_UNIGRAM_SPIECE; kind <= RP_UNIGRAM_FAST; kind++) {
        rp_unigram *u = open_or_fail(pieces, 3, 0, false, (rp_unigram_kind)kind);
        rp_unigram_tokens tokens = {0};
        double before = seconds();
        assert_true(rp_unigram_encode(u, text, SIZE, &tokens));
        assert_true(seconds() - before < 5);
        assert_int_equal(tokens.count, 1);
        assert_int_equal(tokens.items[0].id, 0);
        assert_int_equal(tokens.items[0].end, SIZE);
        free(tokens.items);
        rp_unigram_close(&u);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_build_time),    cmocka_unit_test(test_unknown_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
