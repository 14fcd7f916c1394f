/* Regular expressions: what Oniguruma found (goldens/make_regex_goldens.py), what is refused, and how long a
 * search takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "loader/regex.h"

static rp_regex *compile(const char *pattern) {
    rp_regex *regex = NULL;
    rp_error err = {0};
    if (rp_regex_open(pattern, strlen(pattern), "tokenizer.json", &regex, &err)) fail_msg("%s", err.message);
    return regex;
}

static rp_chars decode(const char *text, size_t size) {
    rp_chars chars = {0};
    for (size_t at = 0; at < size;) {
        size_t from = at;
        uint32_t code = rp_utf8_next(text, &at);
        assert_true(rp_chars_push(&chars, code, (uint32_t)from, (uint32_t)at));
    }
    return chars;
}

/* The first match of a search of its own from `from` on. */
static bool find(const rp_regex *regex, const rp_char *chars, size_t count, size_t from, size_t *start,
                 size_t *end, bool *memory) {
    rp_regex_walk walk = {.from = from};
    bool found = rp_regex_next(regex, chars, count, &walk, start, end, memory);
    rp_regex_walk_finish(&walk);
    return found;
}

/* The text with # for every match; the caller frees it. */
static char *replace(const rp_regex *regex, const char *text) {
    size_t size = strlen(text), start, end, from = 0, used = 0;
    rp_chars chars = decode(text, size);
    rp_regex_walk walk = {0};
    bool memory = false;
    char *out = malloc(2 * size + 2);
    assert_non_null(out);
    while (rp_regex_next(regex, chars.items, chars.count, &walk, &start, &end, &memory)) {
        assert_true(from <= start && start <= end && end <= chars.count);
        for (; from < start; from++) used += rp_utf8_put(out + used, chars.items[from].code);
        out[used++] = '#';
        from = end;
    }
    assert_false(memory);
    rp_regex_walk_finish(&walk);
    for (; from < chars.count; from++) used += rp_utf8_put(out + used, chars.items[from].code);
    out[used] = 0;
    free(chars.items);
    return out;
}

static void check_rows(const char *pattern, json_t *texts, json_t *row, size_t skip) {
    rp_regex *regex = compile(pattern);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        const char *want = json_string_value(json_array_get(row, i + skip));
        char *got = replace(regex, text);
        if (strcmp(got, want)) fail_msg("%s on \"%s\": \"%s\", not \"%s\"", pattern, text, got, want);
        free(got);
    }
    rp_regex_close(&regex);
    assert_null(regex);
}

static void oniguruma_finds_the_same(void **state) {
    (void)state;
    json_error_t error;
    json_t *root = json_load_file(TESTS_DIR "/goldens/regex/regex.json", 0, &error), *row;
    size_t i;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "hand"), i, row) {
        check_rows(json_string_value(json_array_get(row, 0)), json_object_get(root, "texts"), row, 1);
    }
    assert_true(i > 150);
    json_array_foreach(json_object_get(root, "made"), i, row) {
        check_rows(json_string_value(json_array_get(row, 0)), json_array_get(row, 1), json_array_get(row, 2),
                   0);
    }
    assert_true(i >= 300);
    json_decref(root);
}

static void refuse(const char *pattern, size_t size, const char *why) {
    rp_regex *regex = NULL;
    rp_error err = {0};
    assert_int_equal(rp_regex_open(pattern, size, "dir/tokenizer.json", &regex, &err), RP_ERROR_UNSUPPORTED);
    assert_null(regex);
    if (!strstr(err.message, why)) fail_msg("%s: %s", pattern, err.message);
    assert_non_null(strstr(err.message, "dir/tokenizer.json"));
}

static void others_are_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a(?=b)", "(?.."},
        {"(?<!a)b", "(?.."},
        {"(?i)a", "(?.."},
        {"(?<name>a)", "(?.."},
        {"(?>a)", "(?.."},
        {"(a)\\1", "backreference"},
        {"\\0", "octal"},
        {"a*+", "possessive"},
        {"a++", "possessive"},
        {"a?+", "possessive"},
        {"a**", "quantifier on a quantifier"},
        {"*", "repeats nothing"},
        {"(?:*)", "repeats nothing"},
        {"a|{2}", "repeats nothing"},
        {"^*", "repeats a condition"},
        {"\\b+", "repeats a condition"},
        {"a{3,2}", "limit is below"},
        {"a{100001}", "above 100,000"},
        {"(a", "( without )"},
        {"a)", ") without ("},
        {"[a", "[ without ]"},
        {"[]", "[ without ]"},
        {"[a[b]]", "set within a set"},
        {"[[:alpha:]]", "set within a set"},
        {"[a&&b]", "&& in a set"},
        {"[z-a]", "end is before its beginning"},
        {"[a-\\d]", "does not end in a character"},
        {"[\\d-a]", "hyphen"},
        {"[--a]", "hyphen"},
        {"\\p{Klingon}", "general category"},
        {"\\p{Unknown}", "no script"},
        {"\\p{Script=Greek}", "general category"},
        {"\\p{averyveryveryverylongnameofnothing}", "unknown name"},
        {"\\pL", "without {..}"},
        {"\\p{L", "without {..}"},
        {"\\u41", "incomplete"},
        {"\\x", "incomplete"},
        {"\\x{110000}", "code point that is none"},
        {"\\x{d800}", "code point that is none"},
        {"\\ud800", "code point that is none"},
        {"\\xe9", "byte above 7F"},
        {"\\X", "escape that is not served"},
        {"\\R", "escape that is not served"},
        {"\\K", "escape that is not served"},
        {"\\Ga", "escape that is not served"},
        {"[\\y]", "escape that is not served"},
        {"a\\", "ends in a backslash"},
        {"(?:a{1000}){1000}", "too large"},
        {"(?:(?:(?:a{0,99}){0,99}){0,99}){0,99}", "too large"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) refuse(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    refuse("a\xff", 2, "not UTF-8");
    char *deep = malloc(20000);
    assert_non_null(deep);
    memset(deep, '(', 20000);
    refuse(deep, 4000, "100 groups");
    refuse(deep, 20000, "longer than");
    free(deep);
}

/* A NUL is a character like others, in the pattern and in the text. */
static void nul_is_a_character(void **state) {
    (void)state;
    rp_regex *regex = NULL;
    rp_error err = {0};
    assert_int_equal(rp_regex_open("\0+", 2, "f", &regex, &err), RP_OK);
    rp_chars chars = decode("a\0\0b", 4);
    size_t start = 9, end = 9;
    bool memory = false;
    assert_true(find(regex, chars.items, chars.count, 0, &start, &end, &memory));
    assert_int_equal(start, 1);
    assert_int_equal(end, 3);
    assert_false(find(regex, chars.items, chars.count, 3, &start, &end, &memory));
    assert_false(find(regex, chars.items, chars.count, 5, &start, &end, &memory));
    assert_false(memory);
    free(chars.items);
    rp_regex_close(&regex);
    rp_regex_close(&regex);
}

static void text_before_the_search_counts(void **state) {
    (void)state;
    rp_chars chars = decode("ab", 2);
    size_t start, end;
    bool memory = false;
    static const char *const none[] = {"^b", "\\Ab", "\\bb"};
    for (size_t i = 0; i < RP_COUNT(none); i++) {
        rp_regex *regex = compile(none[i]);
        assert_false(find(regex, chars.items, chars.count, 1, &start, &end, &memory));
        rp_regex_close(&regex);
    }
    free(chars.items);
}

/* What takes backtracking exponential or quadratic time. The bound is for slow machines and sanitizers. */
static void time_is_linear(void **state) {
    (void)state;
    static const char *const patterns[] = {"(a*)*b", "(a|a)*b", "(?:a?){40}a{40}b", "(.*)(.*)(.*)(.*)b",
                                           "a+$"};
    enum { LENGTH = 20000 };
    char *text = malloc(LENGTH + 2);
    assert_non_null(text);
    memset(text, 'a', LENGTH);
    text[LENGTH] = 'c';
    rp_chars chars = decode(text, LENGTH + 1);
    clock_t begin = clock();
    for (size_t i = 0; i < RP_COUNT(patterns); i++) {
        rp_regex *regex = compile(patterns[i]);
        size_t start, end;
        bool memory = false;
        assert_false(find(regex, chars.items, chars.count, 0, &start, &end, &memory));
        assert_false(memory);
        rp_regex_close(&regex);
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 20);
    free(chars.items);
    free(text);
}

/* All matches of a text, where each search looks at all that is left. */
static void time_of_all_matches_is_linear(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        size_t matches;
    } cases[] = {{"a*b|a", 300000}, {"(?:a*)*b|aa", 150000}, {"(?:aa)*c|a*b|a{3}", 100000}, {".*x|", 300001}};
    enum { LENGTH = 300000 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    memset(text, 'a', LENGTH);
    rp_chars chars = decode(text, LENGTH);
    clock_t begin = clock();
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_regex *regex = compile(cases[i].pattern);
        rp_regex_walk walk = {0};
        size_t start, end, matches = 0;
        bool memory = false;
        while (rp_regex_next(regex, chars.items, chars.count, &walk, &start, &end, &memory)) matches++;
        assert_false(memory);
        assert_int_equal(matches, cases[i].matches);
        rp_regex_walk_finish(&walk);
        rp_regex_close(&regex);
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 20);
    free(chars.items);
    free(text);
}

/* A walk that remembers finds what single searches find. */
static void walks_find_the_same(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "a*b|a", "(?:a|b)*c|a*b|ab|a", "(a*)*b|(ab?)*?c|a+?", "(?:ab|a)*x|a{2}b?|\\b", "[ab]*$|[ab]+?c|.",
        ".*x|"};
    enum { LENGTH = 6000 };
    rp_chars chars = {0};
    uint32_t random = 1;
    for (uint32_t i = 0; i < LENGTH; i++) {
        random = random * 1664525 + 1013904223;
        assert_true(rp_chars_push(&chars,
                                  random >> 24 < 200   ? 'a'
                                  : random >> 24 < 254 ? 'b'
                                                       : 'c',
                                  i, i + 1));
    }
    for (size_t i = 0; i < RP_COUNT(patterns); i++) {
        rp_regex *regex = compile(patterns[i]);
        rp_regex_walk walk = {0};
        size_t start, end, plain_start, plain_end, from = 0;
        bool memory = false, any = false;
        while (rp_regex_next(regex, chars.items, chars.count, &walk, &start, &end, &memory)) {
            assert_true(find(regex, chars.items, chars.count, from, &plain_start, &plain_end, &memory));
            if (plain_start == plain_end && plain_end == from && any)
                assert_true(
                    find(regex, chars.items, chars.count, from + 1, &plain_start, &plain_end, &memory));
            assert_int_equal(start, plain_start);
            assert_int_equal(end, plain_end);
            from = end;
            any = true;
        }
        assert_false(memory);
        rp_regex_walk_finish(&walk);
        rp_regex_close(&regex);
    }
    free(chars.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oniguruma_finds_the_same), cmocka_unit_test(others_are_refused),
        cmocka_unit_test(nul_is_a_character),       cmocka_unit_test(text_before_the_search_counts),
        cmocka_unit_test(time_is_linear),           cmocka_unit_test(time_of_all_matches_is_linear),
        cmocka_unit_test(walks_find_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
